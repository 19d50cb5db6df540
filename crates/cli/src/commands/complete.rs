//! `compose __complete -- WORDS`: the names that the last of these words may become; what the scripts of
//! `compose completion` ask while somebody types.
//!
//! The grammar says what kind of name stands there, the project or the engine which there are. What cannot be
//! found out has no names: a half-written line is no place for errors.

use crate::arguments::{self, Globals};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use clap::{Arg, Command, FromArgMatches as _};
use std::collections::BTreeSet;

/// What follows `__complete`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The line behind the program's name, up to the cursor
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// A kind of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Service,
    /// A service with a `=` behind it.
    Scale,
    Profile,
    Project,
    Image,
}

impl Args {
    /// The flags before the verb, as far as the line has them.
    pub(crate) fn globals(&self) -> Globals {
        let finished = self.words.split_last().map_or(&[][..], |(_, finished)| finished);
        let line = std::iter::once("compose").chain(finished.iter().map(String::as_str));
        let matches = arguments::command().ignore_errors(true).try_get_matches_from(line);
        matches.and_then(|matches| Globals::from_arg_matches(&matches)).unwrap_or_default()
    }
}

/// Prints the names, a line each.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let mut grammar = arguments::shown();
    grammar.build();
    let begun = args.words.last().map_or("", String::as_str);
    let names = kind(&grammar, &args.words).and_then(|kind| names(kind, session).ok()).unwrap_or_default();
    let fitting = names.iter().filter(|name| name.starts_with(begun));
    output::result(&fitting.map(|name| format!("{name}\n")).collect::<String>())?;
    Ok(Exit::Success)
}

/// What kind of name the last word is the beginning of.
fn kind(grammar: &Command, words: &[String]) -> Option<Kind> {
    let (last, finished) = words.split_last()?;
    let mut command = grammar;
    let mut positionals = 0;
    let mut awaits: Option<&Arg> = None;
    for word in finished {
        if awaits.take().is_some() {
            continue;
        }
        match word.strip_prefix('-') {
            Some(flag) if !flag.is_empty() => awaits = flag_that_waits(command, flag),
            _ => match command.find_subcommand(word).filter(|_| positionals == 0) {
                Some(verb) => command = verb,
                None => positionals += 1,
            },
        }
    }
    if awaits.is_none() && last.starts_with('-') {
        return None;
    }
    if let Some(flag) = awaits {
        return kind_of(flag, value_names(flag).next()?);
    }
    // One argument may have several names: `SERVICE` and then `COMMAND`.
    let places = || command.get_positionals().flat_map(|arg| value_names(arg).map(move |name| (arg, name)));
    let many = |arg: &Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    let (arg, name) = places().nth(positionals).or_else(|| places().last().filter(|(arg, _)| many(arg)))?;
    kind_of(arg, name)
}

fn value_names(arg: &Arg) -> impl Iterator<Item = &str> {
    arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str())
}

/// The flag whose value the next word is, by its word without the first hyphen.
fn flag_that_waits<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let is_meant = |arg: &&Arg| match word.strip_prefix('-') {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some() && arg.get_short() == word.chars().last(),
    };
    let flag = command.get_arguments().find(is_meant)?;
    (flag.get_action().takes_values() && !flag.is_require_equals_set()).then_some(flag)
}

fn kind_of(arg: &Arg, name: &str) -> Option<Kind> {
    match (arg.get_id().as_str(), name) {
        ("profiles", "NAME") => Some(Kind::Profile),
        ("project_name", _) | (_, "POD" | "POD [COLUMN]") => Some(Kind::Project),
        (_, "SERVICE" | "SERVICES") => Some(Kind::Service),
        (_, "SERVICE=NUM") => Some(Kind::Scale),
        (_, "IMAGE") => Some(Kind::Image),
        _ => None,
    }
}

/// All names of a kind.
fn names(kind: Kind, session: &Session) -> Result<BTreeSet<String>, Failure> {
    let services = || -> Result<BTreeSet<String>, Failure> {
        if let Ok((project, _)) = session.load_whole() {
            return Ok(project.services.keys().map(ToString::to_string).collect());
        }
        let subject = session.named()?;
        let observed = session.containers(&subject.pod)?;
        Ok(observed.containers.iter().map(|container| container.record.spec.service.clone()).collect())
    };
    let failed = |error| Failure::because("cannot list the projects", error);
    Ok(match kind {
        Kind::Service => services()?,
        Kind::Scale => services()?.iter().map(|name| format!("{name}=")).collect(),
        Kind::Profile => {
            let (project, _) = session.load_whole()?;
            project.services.values().flat_map(|service| service.profiles.clone()).collect()
        }
        Kind::Project => {
            let pods = session.engine()?.pods().map_err(failed)?;
            pods.iter().map(|pod| pod.record.name.to_string()).collect()
        }
        Kind::Image => {
            session.engine()?.store().images().iter().map(|image| image.reference.familiar()).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_grammar_says_what_stands_there() {
        let mut grammar = arguments::shown();
        grammar.build();
        for (line, expected) in [
            ("logs w", Some(Kind::Service)),
            ("-f other.yaml logs -f web ", Some(Kind::Service)),
            ("logs --tail ", None),
            ("logs --tail 5 ", Some(Kind::Service)),
            ("up --scale w", Some(Kind::Scale)),
            ("--profile ", Some(Kind::Profile)),
            ("-p ", Some(Kind::Project)),
            ("pod rm sh", Some(Kind::Project)),
            ("image rm ", Some(Kind::Image)),
            ("exec -T w", Some(Kind::Service)),
            ("exec web l", None),
            ("up --exit-code-from ", Some(Kind::Service)),
            ("up -", None),
            ("", None),
        ] {
            assert_eq!(kind(&grammar, &words(line)), expected, "{line}");
        }
    }

    #[test]
    fn flags_before_the_verb_count_though_the_line_goes_on() {
        let args = Args { words: words("-f a.yaml -p shop --profile debug exec ") };
        let globals = args.globals();
        assert_eq!((globals.files, globals.profiles), (vec!["a.yaml".to_owned()], vec!["debug".to_owned()]));
        assert_eq!(globals.project_name.as_deref(), Some("shop"));
    }
}
