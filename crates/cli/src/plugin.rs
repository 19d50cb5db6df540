//! The program as a plugin of the Docker CLI, which runs `docker-compose compose WORDS` for `docker compose WORDS`,
//! with flags of its own in between, and asks every plugin what it is.

use crate::commands::version::VERSION;
use crate::exit::Failure;
use std::ffi::{OsStr, OsString};

/// The word by which the Docker CLI asks for a plugin's description.
const QUESTION: &str = "docker-cli-plugin-metadata";

/// Docker's flags with a value of their own.
const VALUED: [&str; 10] = [
    "--config",
    "--context",
    "-c",
    "--host",
    "-H",
    "--log-level",
    "-l",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
];

/// Docker's other flags, and those that choose a daemon to talk to.
const PLAIN: [&str; 4] = ["--debug", "-D", "--tls", "--tlsverify"];
const DAEMON: [&str; 4] = ["--context", "-c", "--host", "-H"];

/// What the command line is when Docker's own part is taken out of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// A line of ours.
    Line(Vec<OsString>),
    /// The question what this plugin is.
    Question,
}

/// Takes Docker's part out of a command line.
///
/// # Errors
/// A daemon is chosen: there is none.
pub(crate) fn call(words: Vec<OsString>) -> Result<Call, Failure> {
    if words.get(1).is_some_and(|word| word == QUESTION) {
        return Ok(Call::Question);
    }
    let Some(name) = behind_flags(&words).filter(|name| words[*name] == "compose") else {
        return Ok(Call::Line(words));
    };
    let daemon =
        words[1..name].iter().filter_map(|word| word.to_str()).find(|word| DAEMON.contains(&head(word)));
    if let Some(flag) = daemon {
        return Err(Failure::new(format!(
            "Docker's flag `{}` chooses a daemon, and here is none",
            head(flag)
        ))
        .hint("the engine is inside this program"));
    }
    Ok(Call::Line(words.iter().take(1).chain(&words[name + 1..]).cloned().collect()))
}

/// The place of the first word behind the program's name and Docker's flags.
fn behind_flags(words: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = words.get(at).map(OsString::as_os_str).and_then(OsStr::to_str)?;
        let flag = head(word);
        at += match () {
            () if VALUED.contains(&flag) => 1 + usize::from(flag == word),
            () if PLAIN.contains(&flag) => 1,
            () => return Some(at),
        };
    }
}

/// A flag without the value behind `=`.
fn head(word: &str) -> &str {
    word.split_once('=').map_or(word, |(flag, _)| flag)
}

/// The description that the Docker CLI wants: one JSON object, of the only version of its schema.
pub(crate) fn description() -> String {
    let description = serde_json::json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "compose",
        "Version": format!("v{VERSION}"),
        "ShortDescription": "Compose projects, with the engine inside",
    });
    format!("{description}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn line(line: &str) -> Vec<OsString> {
        match call(words(line)) {
            Ok(Call::Line(words)) => words,
            other => panic!("{line}: {:?}", other.map_err(|failure| failure.line())),
        }
    }

    #[test]
    fn what_is_dockers_is_taken_out() {
        assert_eq!(line("docker-compose compose up -d"), words("docker-compose up -d"));
        assert_eq!(line("p --config /x -D --log-level=debug compose ps"), words("p ps"));
        assert_eq!(line("compose -p compose up"), words("compose -p compose up"));
        assert_eq!(line("compose exec compose ls"), words("compose exec compose ls"));
        assert_eq!(line("compose"), words("compose"));
        assert_eq!(line("compose --config"), words("compose --config"));
    }

    #[test]
    fn a_daemon_cannot_be_chosen() {
        for flag in ["--host x", "-H=x", "--context x", "-c x"] {
            let refused = call(words(&format!("p {flag} compose ps"))).unwrap_err();
            assert!(refused.line().contains("Docker's flag"), "{}", refused.line());
        }
    }

    #[test]
    fn the_question_is_answered() {
        assert_eq!(call(words("p docker-cli-plugin-metadata")).ok(), Some(Call::Question));
        let told: serde_json::Value = serde_json::from_str(&description()).unwrap();
        assert_eq!(told["SchemaVersion"], "0.1.0");
    }
}
