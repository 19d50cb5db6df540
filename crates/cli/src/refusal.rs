//! What is said about a command line that cannot be read: clap's own words, with the nearest flag or verb,
//! and what people who come from Docker Compose have to know besides.

use clap::error::{ContextKind, ContextValue};

/// Verbs of Docker Compose that there are not, and what to use.
const ELSEWHERE: [(&str, &str); 6] = [
    ("alpha", "experiments of Docker Compose are left out; `compose graph` draws what `alpha viz` does"),
    ("docker", "there is no docker here: `compose` has its own engine; leave the word out"),
    ("docker-compose", "leave the word out: this program is called `compose`"),
    ("container", "containers belong to projects: `compose ps -a` lists one's, `compose ls -a` all projects"),
    ("network", "networks belong to projects: `compose config --networks` lists one's"),
    ("volume", "volumes belong to projects: `compose volumes` lists one's"),
];

/// Flags of Docker's that there are not, and why.
const FLAGS: [(&str, &str); 5] = [
    ("-H", NO_DAEMON),
    ("--host", NO_DAEMON),
    ("--context", NO_DAEMON),
    ("--tlsverify", NO_DAEMON),
    ("--load", "what is built is in the store at once: leave the flag out"),
];
const NO_DAEMON: &str =
    "there is no daemon to connect to: the engine is in this program, and works on this machine";

/// Why a verb that is known is not supported.
pub(crate) fn reason(verb: &str) -> &'static str {
    match verb {
        "publish" => "Compose files are not kept in registries; `compose config` writes the resolved file",
        _ => "files for other systems are not made",
    }
}

/// What is written about a line that does not parse.
pub(crate) fn text(error: &clap::Error, grammar: &clap::Command) -> String {
    let said = error.render().to_string();
    match hint(error, grammar) {
        Some(hint) => format!("{}\n\n  = help: {hint}\n", said.trim_end()),
        None => said,
    }
}

fn hint(error: &clap::Error, grammar: &clap::Command) -> Option<String> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    if let Some(verb) = word(ContextKind::InvalidSubcommand) {
        return ELSEWHERE.iter().find(|(known, _)| *known == verb).map(|(_, hint)| (*hint).to_owned());
    }
    let flag = word(ContextKind::InvalidArg)?;
    let name = flag.split('=').next().unwrap_or(flag);
    let is_it = |argument: &&clap::Arg| {
        argument.get_long().is_some_and(|long| name.strip_prefix("--") == Some(long))
            || argument.get_short().is_some_and(|short| name == format!("-{short}"))
    };
    if let Some((_, why)) = FLAGS.iter().find(|(known, _)| *known == name) {
        return Some((*why).to_owned());
    }
    let global = grammar.get_arguments().find(is_it)?;
    let value = if global.get_action().takes_values() { " …" } else { "" };
    Some(format!("`{name}` stands before the verb: `compose {name}{value} VERB`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn said(line: &str) -> String {
        let error = crate::arguments::read(line.split(' ').map(OsString::from)).unwrap_err();
        text(&error, &crate::arguments::shown())
    }

    #[test]
    fn the_nearest_word_is_named() {
        assert!(said("compose upp").contains("'up'"));
        assert!(said("compose up --detatch").contains("'--detach'"));
        assert!(!said("compose up --detatch").contains("= help"));
    }

    #[test]
    fn a_global_flag_has_its_place() {
        let text = said("compose up --profile x");
        assert!(
            text.ends_with("= help: `--profile` stands before the verb: `compose --profile … VERB`\n"),
            "{text}"
        );
        assert!(said("compose ps --all-resources").contains("`compose --all-resources VERB`"));
        assert!(said("compose ps --project-name=x").contains("`compose --project-name … VERB`"));
    }

    #[test]
    fn words_of_docker_have_an_answer() {
        assert!(said("compose alpha viz").contains("`compose graph`"));
        assert!(said("compose docker ps").contains("leave the word out"));
        assert!(said("compose volume ls").contains("`compose volumes`"));
        assert!(said("compose -H tcp://x ps").contains("there is no daemon"));
        assert!(said("compose --context x ps").contains("there is no daemon"));
        assert!(said("compose build --load").contains("in the store at once"));
    }
}
