//! `compose __complete -- WORDS`: what the last of these words may become, of names and of values; what the
//! scripts of `compose completion` ask while somebody types.
//!
//! The grammar says what kind of word stands there, the project or the engine which there are. What cannot be
//! found out has no names: a half-written line is no place for errors. The Docker CLI asks its plugins the same
//! by `docker-compose __complete compose WORDS`, and wants verbs and flags too, in cobra's form.

mod values;
mod words;

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

/// A kind of word.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// One of these.
    Value(Vec<String>),
    Service,
    /// A service with a `=` behind it.
    Scale,
    Profile,
    Project,
    Image,
    Network,
    Volume,
}

impl Args {
    /// The flags before the verb, as far as the line has them.
    pub(crate) fn globals(&self) -> Globals {
        let line = self.line();
        let finished = line.split_last().map_or(&[][..], |(_, finished)| finished);
        let line = std::iter::once("compose").chain(finished.iter().map(String::as_str));
        let matches = arguments::command().ignore_errors(true).try_get_matches_from(line);
        matches.and_then(|matches| Globals::from_arg_matches(&matches)).unwrap_or_default()
    }
}

impl Args {
    /// The words behind the program's name. `--flag=value` at the end is two of them, wherever the shell parts
    /// it: bash makes three of it.
    fn line(&self) -> Vec<String> {
        let words = self.words.get(usize::from(self.is_for_docker())..).unwrap_or_default();
        let mut line: Vec<String> = vec![];
        for (number, word) in words.iter().enumerate() {
            let is_sign = word == "=" && line.last().is_some_and(|flag| flag.starts_with("--"));
            if !is_sign {
                line.push(word.clone());
            } else if number + 1 == words.len() {
                line.push(String::new());
            }
        }
        let last =
            line.last().and_then(|last| last.split_once('=')).filter(|(flag, _)| flag.starts_with("--"));
        if let Some((flag, value)) = last.map(|(flag, value)| (flag.to_owned(), value.to_owned())) {
            line.pop();
            line.extend([flag, value]);
        }
        line
    }

    /// Whether Docker's command line asks its plugin: our scripts' lines begin behind the program's name.
    fn is_for_docker(&self) -> bool {
        self.words.len() > 1 && self.words[0] == "compose"
    }
}

/// Prints what fits, a line each.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let mut grammar = arguments::shown();
    grammar.build();
    let line = args.line();
    let begun = line.last().map_or("", String::as_str);
    let place = place(&grammar, &line);
    let names = place.as_ref().and_then(|place| names(place.kind.clone()?, session).ok()).unwrap_or_default();
    let fitting = names.into_iter().filter(|name| name.starts_with(begun));
    let text = if args.is_for_docker() {
        let more = place.map(|place| words::fitting(&place, begun)).unwrap_or_default();
        words::as_cobra(&fitting.chain(more).collect::<Vec<_>>())
    } else {
        fitting.map(|name| format!("{name}\n")).collect()
    };
    output::result(&text)?;
    Ok(Exit::Success)
}

/// Where the last word of a line stands.
#[derive(Debug)]
struct Place<'a> {
    /// The innermost command that the words before it name.
    command: &'a Command,
    /// Whether it may be a verb.
    is_first: bool,
    /// Whether it is a flag's value.
    is_value: bool,
    /// What kind of word the grammar has there.
    kind: Option<Kind>,
}

/// Where the last word stands, and what kind of word it is the beginning of.
fn place<'a>(grammar: &'a Command, words: &[String]) -> Option<Place<'a>> {
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
    let place = |is_value, kind| Some(Place { command, is_first: positionals == 0, is_value, kind });
    if let Some(flag) = awaits {
        let kind = values::of(command, flag).map(Kind::Value);
        let named = || value_names(flag).next().and_then(|name| kind_of(flag, name));
        return place(true, kind.or_else(named));
    }
    if last.starts_with('-') {
        return place(false, None);
    }
    // One argument may have several names: `SERVICE` and then `COMMAND`.
    let places = || command.get_positionals().flat_map(|arg| value_names(arg).map(move |name| (arg, name)));
    let many = |arg: &Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    let found = places().nth(positionals).or_else(|| places().last().filter(|(arg, _)| many(arg)));
    let kind = |(arg, name)| values::of(command, arg).map(Kind::Value).or_else(|| kind_of(arg, name));
    place(false, found.and_then(kind))
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
        (_, "NETWORK") => Some(Kind::Network),
        (_, "VOLUME") => Some(Kind::Volume),
        (_, "CODE") => Some(Kind::Value(diagnostic::codes().map(|(code, _)| code.to_owned()).collect())),
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
        Kind::Value(values) => values.into_iter().collect(),
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
        Kind::Network => session.engine()?.networks().into_iter().map(|record| record.spec.name.0).collect(),
        Kind::Volume => session.engine()?.volumes().into_iter().map(|record| record.spec.name.0).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn values(words: &[&str]) -> Option<Kind> {
        Some(Kind::Value(words.iter().map(ToString::to_string).collect()))
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
            ("network rm proxy ", Some(Kind::Network)),
            ("network create ", None),
            ("volume inspect ", Some(Kind::Volume)),
            ("exec -T w", Some(Kind::Service)),
            ("exec web l", None),
            ("up --exit-code-from ", Some(Kind::Service)),
            ("up -", None),
            ("up --pull ", values(&["always", "missing", "never", "build", "if_not_present"])),
            ("--ansi ", values(&["never", "always", "auto"])),
            ("graph --format ", values(&["text", "dot", "mermaid", "svg"])),
            ("ps --format ", values(&["table", "json", "raw"])),
            ("images --format ", values(&["table", "json"])),
            ("completion ", values(&["bash", "elvish", "fish", "powershell", "zsh"])),
            ("", None),
        ] {
            let found = place(&grammar, &words(line)).and_then(|place| place.kind);
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn a_flag_and_its_value_are_two_words() {
        for (line, expected) in [
            ("--progress=js", "--progress js"),
            ("--progress = js", "--progress js"),
            ("up --pull =", "up --pull "),
            ("up --scale web = ", "up --scale web = "),
            ("up --scale web=", "up --scale web="),
        ] {
            assert_eq!(Args { words: words(line) }.line(), words(expected), "{line}");
        }
    }

    #[test]
    fn flags_before_the_verb_count_though_the_line_goes_on() {
        let args = Args { words: words("-f a.yaml -p shop --profile debug exec ") };
        let globals = args.globals();
        assert_eq!((globals.files, globals.profiles), (vec!["a.yaml".to_owned()], vec!["debug".to_owned()]));
        assert_eq!(globals.project_name.as_deref(), Some("shop"));
        for line in ["-f=a.yaml --as=b exec ", "--file=a.yaml exec ", "--file = a.yaml exec "] {
            assert_eq!(Args { words: words(line) }.globals().files, ["a.yaml"], "{line}");
        }
        let of_docker = Args { words: words("compose -p shop exec ") };
        assert_eq!(of_docker.globals().project_name.as_deref(), Some("shop"));
    }
}
