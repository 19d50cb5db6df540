//! The `compose` program: reads the command line, runs a verb, turns its outcome into an exit code.
//!
//! The same binary plays the supervisor when it is started as one; that is decided before anything
//! else happens, while the process has one thread.

mod arguments;
mod attached;
mod building;
mod bundle;
mod commands;
mod converge;
mod copies;
mod damaged;
mod dashboard;
mod environment;
mod exit;
mod files;
mod given;
mod graph;
mod hook;
mod lock;
mod mending;
mod output;
mod pattern;
mod perform;
mod plugin;
mod privilege;
mod prompt;
mod provider;
mod pushing;
mod refusal;
mod remedies;
mod runtime;
mod select;
mod session;
mod stream;
mod terminal;
mod verb;
mod view;
mod wanted;
mod watching;
mod words;

use exit::{Exit, Failure};
use session::Session;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = engine::hidden_role() {
        return code;
    }
    ExitCode::from(output::end(run()))
}

fn run() -> u8 {
    let words = match plugin::call(std::env::args_os().collect()) {
        Ok(plugin::Call::Line(words)) => words,
        Ok(plugin::Call::Question) => return u8::from(output::result(&plugin::description()).is_err()),
        Err(failure) => {
            output::message(&failure.render(false, false));
            return failure.code();
        }
    };
    let mut arguments = match arguments::read(words) {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error),
    };
    if let Some(commands::Verb::Build(args)) = &mut arguments.verb {
        arguments.globals.progress = arguments.globals.progress.or(args.progress.take());
    }
    let json = arguments.globals.progress.as_deref() == Some("json")
        || std::env::var("COMPOSE_PROGRESS").is_ok_and(|mode| mode == "json");
    let outcome = dispatch(arguments);
    match outcome {
        Ok(exit) => exit.code(),
        Err((failure, colour)) => {
            output::message(&failure.render(json, colour));
            failure.code()
        }
    }
}

fn dispatch(mut arguments: arguments::Arguments) -> Result<Exit, (Failure, bool)> {
    let plain = |failure| (failure, false);
    if let Some(commands::Verb::Complete(args)) = &arguments.verb {
        // The project of the line that is being written.
        arguments.globals = args.globals();
    }
    if arguments.globals.version {
        return commands::version::run(&commands::version::Args { format: None, short: false })
            .map_err(plain);
    }
    let Some(verb) = arguments.verb else {
        return output::result(&arguments::help()).map(|()| Exit::Success).map_err(plain);
    };
    if let commands::Verb::Version(args) = &verb {
        return commands::version::run(args).map_err(plain);
    }
    let session = Session::open(arguments.globals)
        .map_err(|failure| match &verb {
            commands::Verb::Config(args) => commands::config::unread(args, failure),
            _ => failure,
        })
        .map_err(plain)?;
    session.timing("session open");
    let entered = verb.purpose(session.globals.dry_run).map_or(Ok(()), |purpose| session.enter(purpose));
    let outcome = entered.and_then(|()| commands::run(verb, &session));
    session.timing("done");
    outcome.map_err(|failure| (failure, session.colour_errors))
}

/// Prints what clap says: help to standard output with code 0, everything else with code 1.
fn refused(error: &clap::Error) -> u8 {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::result(&error.render().to_string()).map_or_else(|failure| failure.code(), |()| 0)
        }
        _ => {
            let words: Vec<String> =
                std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
            output::message(&refusal::text(error, &arguments::shown(), &words));
            1
        }
    }
}
