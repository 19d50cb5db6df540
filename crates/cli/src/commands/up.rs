//! `compose up`: makes and starts what the file says, then shows its output until everything has
//! stopped or the user has had enough; with `-d` it returns once everything is started.

use super::create;
use crate::attached::{self, Attached, End};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::progress::Mode;
use crate::watching::{self, Options, Watching};
use crate::{output, select, terminal, verb};
use compose_spec::{Loaded, Project};
use plan::{Recreate, Verb};
use std::collections::BTreeSet;
use std::time::Duration;

/// Flags of `up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Return once everything is started
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Wait until services are running or healthy; implies -d
    #[arg(long)]
    pub(crate) wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait_timeout: Option<u64>,
    /// Flags about making containers
    #[command(flatten)]
    pub(crate) making: create::Making,
    /// Force-recreate services that are only depended on
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) always_recreate_deps: bool,
    /// Give recreated containers fresh anonymous volumes
    #[arg(short = 'V', long, conflicts_with = "no_recreate")]
    pub(crate) renew_anon_volumes: bool,
    /// Leave the services depended on alone
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// Create containers and start none
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Seconds before containers that are replaced are killed
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<i64>,
    /// Stop everything when a container exits
    #[arg(long)]
    pub(crate) abort_on_container_exit: bool,
    /// Stop everything when a container exits with an error
    #[arg(long)]
    pub(crate) abort_on_container_failure: bool,
    /// End with the exit code of this service
    #[arg(long, value_name = "SERVICE")]
    pub(crate) exit_code_from: Option<String>,
    /// Show only the logs of this service
    #[arg(long, value_name = "SERVICE", conflicts_with = "attach_dependencies")]
    pub(crate) attach: Vec<String>,
    /// Hide the logs of this service
    #[arg(long, value_name = "SERVICE")]
    pub(crate) no_attach: Vec<String>,
    /// Show the logs of services depended on too
    #[arg(long)]
    pub(crate) attach_dependencies: bool,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// No names in front of log lines
    #[arg(long)]
    pub(crate) no_log_prefix: bool,
    /// Show times
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// Watch files after the start
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Show the keyboard menu, or not with =false; it is shown on a terminal
    #[arg(long, value_name = "SHOWN", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", hide_possible_values = true, value_parser = crate::arguments::boolean)]
    pub(crate) menu: Option<bool>,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Brings the project up.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    check(args)?;
    let verb = if args.no_start { Verb::Create } else { Verb::Up };
    let loaded = session.load(&args.services)?;
    let mut made = args.making.prepare_loaded(session, &loaded, &args.services, verb, args.no_deps)?;
    made.policy.timeout = args.timeout.map(verb::grace);
    made.policy.renew_anonymous = args.renew_anon_volumes;
    if args.renew_anon_volumes {
        made.policy.recreate = Recreate::Force;
    }
    if args.always_recreate_deps {
        made.policy.recreate_dependencies = Recreate::Force;
    }
    made.policy.wait = args.wait;
    made.tuning.limit = args.wait_timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs);
    if args.detach || args.wait || args.no_start || session.globals.dry_run {
        let progress = session.progress("up");
        return session.work(async { made.converge(session, &progress).await.map(|()| Exit::Success) });
    }
    let end = end(args, &made.desired)?;
    let shown = shown(args, &loaded.0, &made.desired)?;
    let colour = session.colour && !args.no_color;
    let mark = if colour { "\x1b[92m⦿\x1b[0m " } else { "⦿ " };
    let options = Options { quiet: args.making.quiet_build, prune: true, mark: Some(mark.to_owned()) };
    let begin = || watching(session, &loaded, &args.services, options.clone());
    let watching = args.watch.then(begin).transpose()?;
    let attached = Attached {
        session,
        made,
        end,
        shown,
        colour,
        prefix: !args.no_log_prefix,
        timestamps: args.timestamps,
        tell_starts: session.mode != Mode::Tty,
        watching,
        menu: has_menu(args, session),
        begin: &begin,
    };
    session.attend(attached::run(attached))
}

/// What `--watch` asks for, among the lines of containers.
fn watching<'a>(
    session: &'a Session,
    loaded: &(Project, Loaded),
    services: &[String],
    options: Options,
) -> Result<Watching<'a>, Failure> {
    let sources = watching::rules::read(session, loaded, services)?;
    Watching::begin(session, &loaded.0.name, sources, options)
}

/// Whether there is a keyboard menu: where keys can be typed and lines be redrawn, unless it is not wanted.
fn has_menu(args: &Args, session: &Session) -> bool {
    let unwanted = |text: &str| !text.is_empty() && !output::truthy(text);
    let wanted =
        args.menu.unwrap_or_else(|| !session.environment().get("COMPOSE_MENU").is_some_and(unwanted));
    wanted && session.mode == Mode::Tty && terminal::stdin() && terminal::stdout()
}

/// Refuses combinations that make no sense, and what cannot be done yet.
fn check(args: &Args) -> Result<(), Failure> {
    let detached = if args.wait { Some("--wait") } else { args.detach.then_some("--detach") };
    let together = [
        ("--abort-on-container-exit", args.abort_on_container_exit),
        ("--abort-on-container-failure", args.abort_on_container_failure),
        ("--exit-code-from", args.exit_code_from.is_some()),
        ("--attach", !args.attach.is_empty()),
        ("--attach-dependencies", args.attach_dependencies),
        ("--watch", args.watch),
    ];
    if let (Some(detached), Some((flag, _))) = (detached, together.iter().find(|(_, given)| *given)) {
        return Err(Failure::new(format!("{detached} cannot be combined with {flag}")));
    }
    if args.abort_on_container_exit && args.abort_on_container_failure {
        return Err(Failure::new(
            "--abort-on-container-exit cannot be combined with --abort-on-container-failure",
        ));
    }
    if args.making.no_build && args.watch {
        return Err(Failure::new("--no-build cannot be combined with --watch"));
    }
    Ok(())
}

/// What ends an attached `up` before everything has stopped.
fn end(args: &Args, desired: &resource::Desired) -> Result<End, Failure> {
    if let Some(service) = &args.exit_code_from
        && !desired.services.iter().any(|known| known.name == *service)
    {
        return Err(select::unknown(service, desired.services.iter().map(|service| service.name.as_str())));
    }
    let failure = args.abort_on_container_failure;
    let any = args.abort_on_container_exit || (args.exit_code_from.is_some() && !failure);
    Ok(match (any, failure) {
        (true, _) => End::AnyExit { code_from: args.exit_code_from.clone() },
        (_, true) => End::AnyFailure { code_from: args.exit_code_from.clone() },
        _ => End::AllStopped,
    })
}

/// Services whose output is shown: not those with `attach: false`, unless they are named.
fn shown(args: &Args, project: &Project, desired: &resource::Desired) -> Result<BTreeSet<String>, Failure> {
    let part: BTreeSet<&str> = desired.services.iter().map(|service| service.name.as_str()).collect();
    for name in args.attach.iter().chain(&args.no_attach) {
        if !part.contains(name.as_str()) {
            let near = diagnostic::nearest(name, part.iter().copied());
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(Failure::new(format!("no such service: {name}"))
                .hint(format!("`--attach` and `--no-attach` name services that this `up` starts{near}")));
        }
    }
    let attaches = |name: &String| {
        args.services.contains(name) || project.services.get(name).is_none_or(|service| service.attach)
    };
    let wanted = |service: &&resource::DesiredService| {
        if args.attach.is_empty() {
            let part = service.selected || args.attach_dependencies || args.services.is_empty();
            part && attaches(&service.name)
        } else {
            args.attach.contains(&service.name)
        }
    };
    let names = desired.services.iter().filter(wanted).map(|service| service.name.clone());
    Ok(names.filter(|name| !args.no_attach.contains(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn refused(words: &[&str]) -> Option<String> {
        let line = Line::try_parse_from([&["up"], words].concat());
        match line {
            Err(error) => Some(error.to_string()),
            Ok(line) => check(&line.args).err().map(|failure| failure.line()),
        }
    }

    #[test]
    fn combinations_that_make_no_sense_are_refused() {
        assert_eq!(refused(&["-d", "--build", "--scale", "web=2"]), None);
        assert!(refused(&["-d", "--abort-on-container-exit"]).unwrap().contains("--detach"));
        assert!(refused(&["--wait", "--attach", "web"]).unwrap().contains("--wait"));
        assert!(refused(&["--build", "--no-build"]).is_some());
        assert!(refused(&["--force-recreate", "--no-recreate"]).is_some());
        assert!(refused(&["--always-recreate-deps", "--no-recreate"]).is_some());
        assert!(refused(&["-V", "--no-recreate"]).is_some());
        assert!(refused(&["--attach", "web", "--attach-dependencies"]).is_some());
    }
}
