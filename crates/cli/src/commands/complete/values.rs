//! The words that a flag or an argument takes, where these are few and known.

use clap::{Arg, Command};

/// A command, `""` for any; one of its flags by its long name; its values.
type Row = (&'static str, &'static str, &'static [&'static str]);

/// What the grammar does not say by itself. The first row that fits counts.
const KNOWN: [Row; 13] = [
    ("", "ansi", &["never", "always", "auto"]),
    ("", "progress", &["auto", "tty", "plain", "json", "quiet"]),
    ("run", "pull", &["always", "missing", "never"]),
    ("", "pull", &["always", "missing", "never", "build", "if_not_present"]),
    ("pull", "policy", &["missing", "always"]),
    ("down", "rmi", &["all", "local"]),
    ("ps", "status", &["paused", "restarting", "removing", "running", "dead", "created", "exited"]),
    ("kill", "signal", &["SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"]),
    ("config", "format", &["yaml", "json", "json-diagnostics"]),
    ("version", "format", &["pretty", "json"]),
    ("ps", "format", &["table", "json", "raw"]),
    ("volumes", "format", &["table", "json", "raw"]),
    ("", "format", &["table", "json"]),
];

/// The values of a flag or an argument of this command; `None` where anything goes.
pub(super) fn of(command: &Command, arg: &Arg) -> Option<Vec<String>> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return Some(possible.iter().map(|value| value.get_name().to_owned()).collect());
    }
    let is_it = |(verb, flag, _): &&Row| {
        (verb.is_empty() || *verb == command.get_name()) && arg.get_long() == Some(*flag)
    };
    let (_, _, values) = KNOWN.iter().find(is_it).filter(|_| arg.get_action().takes_values())?;
    Some(values.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments;

    #[test]
    fn every_row_is_about_a_flag_that_there_is() {
        let grammar = arguments::shown();
        let commands = || grammar.get_subcommands().chain([&grammar]);
        for (verb, flag, _) in KNOWN {
            let mut meant = commands().filter(|it| verb.is_empty() || it.get_name() == verb);
            assert!(
                meant.any(|it| it.get_arguments().any(|arg| arg.get_long() == Some(flag))),
                "{verb} {flag}"
            );
        }
    }
}
