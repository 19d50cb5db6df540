//! Verbs and flags in the form that the Docker CLI wants of its plugins: a word, a tabulator and what it means
//! on a line each, then a line that says whether files may stand there too.

use super::Place;
use clap::{Arg, Command};

/// cobra's `ShellCompDirectiveDefault`: files where nothing fits.
const FILES: &str = ":0";
/// cobra's `ShellCompDirectiveNoFileComp`.
const NO_FILES: &str = ":4";

/// The verbs and flags that may stand at this place and begin so.
pub(super) fn fitting(place: &Place<'_>, begun: &str) -> Vec<String> {
    if place.is_value {
        return vec![];
    }
    if begun.starts_with('-') {
        let flags = place.command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(flag);
        return flags.filter(|line| line.starts_with(begun)).collect();
    }
    let verbs = place.command.get_subcommands().filter(|verb| place.is_first && !verb.is_hide_set());
    verbs.map(verb).filter(|line| line.starts_with(begun)).collect()
}

fn flag(arg: &Arg) -> Option<String> {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.get_long().map(|long| format!("--{long}\t{help}"))
}

fn verb(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    format!("{}\t{about}", command.get_name())
}

/// The whole answer.
pub(super) fn as_cobra(lines: &[String]) -> String {
    let directive = if lines.is_empty() { FILES } else { NO_FILES };
    let lines = lines.iter().map(|line| format!("{line}\n"));
    lines.chain([format!("{directive}\n")]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::place;
    use super::*;
    use crate::arguments;

    fn answer(line: &str) -> String {
        let mut grammar = arguments::shown();
        grammar.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        as_cobra(&fitting(&place(&grammar, &words).unwrap(), words.last().unwrap()))
    }

    #[test]
    fn verbs_and_flags_come_with_what_they_mean() {
        assert_eq!(answer("resta"), "restart\tRestart containers\n:4\n");
        assert_eq!(answer("image hi"), "history\tShow how an image was made\n:4\n");
        assert!(answer("up --det").starts_with("--detach\tReturn once"));
        assert_eq!(answer("up resta"), ":0\n");
        assert_eq!(answer("--file resta"), ":0\n");
        assert!(!answer("").contains("__complete") && !answer("-").contains("--workdir"));
    }
}
