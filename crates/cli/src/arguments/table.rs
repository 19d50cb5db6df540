//! `tests/COMMANDS.md` is held to the grammar.

use clap::{Arg, ArgAction, Command};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../../tests/COMMANDS.md");

/// A flag of the page: its long form and the short one.
type Flag = (String, Option<char>);

struct Row {
    flags: BTreeSet<Flag>,
    hidden: BTreeSet<Flag>,
    ours: BTreeSet<Flag>,
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn flags(cell: &str) -> BTreeSet<Flag> {
    let read = |text: &str| {
        let (long, short) = text.split_once(" -").unwrap_or((text, ""));
        (long.strip_prefix("--").expect("a long form stands first").to_owned(), short.chars().next())
    };
    quoted(cell).map(read).collect()
}

fn rows() -> BTreeMap<String, Row> {
    let table = PAGE.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    table
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let [command, shown, hidden, ours] = cells[..] else { panic!("not four cells: {line}") };
            let name = quoted(command).next().expect("a command is quoted").to_owned();
            (name, Row { flags: flags(shown), hidden: flags(hidden), ours: flags(ours) })
        })
        .collect()
}

/// The forms of an argument that is a flag.
fn forms(argument: &Arg) -> Vec<Flag> {
    let help = matches!(argument.get_action(), ArgAction::Help | ArgAction::Version);
    let longs = argument.get_long_and_visible_aliases().unwrap_or_default().into_iter();
    let all = longs.filter(|_| !help).map(|long| (long.to_owned(), argument.get_short()));
    all.collect()
}

/// The flags of a command, those that are shown and those that are taken only; aliases are the latter.
fn grammar(command: &Command) -> (BTreeSet<Flag>, BTreeSet<Flag>) {
    let (mut shown, mut hidden) = (BTreeSet::new(), BTreeSet::new());
    for argument in command.get_arguments() {
        let place = if argument.is_hide_set() { &mut hidden } else { &mut shown };
        place.extend(forms(argument));
        let aliases = argument.get_all_aliases().unwrap_or_default().into_iter();
        hidden.extend(aliases.map(|alias| (alias.to_owned(), None)));
    }
    (shown, hidden)
}

#[test]
fn the_page_of_commands_is_the_grammar() {
    let whole = super::shown();
    let mut wrong = vec![];
    let rows = rows();
    for (name, row) in &rows {
        let command = if name == "compose" { Some(&whole) } else { whole.find_subcommand(name) };
        let Some(command) = command else {
            wrong.push(format!("`{name}`: no such command"));
            continue;
        };
        let (shown, hidden) = grammar(command);
        let known: BTreeSet<&Flag> = row.flags.iter().chain(&row.hidden).chain(&row.ours).collect();
        let has = |flag: &Flag| shown.contains(flag) || hidden.contains(flag);
        wrong.extend(known.iter().filter(|flag| !has(flag)).map(|flag| format!("`{name}` has no {flag:?}")));
        let shown_too = row.hidden.iter().filter(|flag| shown.contains(flag));
        wrong.extend(shown_too.map(|flag| format!("`{name}`: {flag:?} is not hidden")));
        let unlisted = shown.iter().chain(&hidden).filter(|flag| !known.contains(flag));
        wrong.extend(unlisted.map(|flag| format!("`{name}`: {flag:?} is not on the page")));
    }
    let ours = PAGE.lines().find(|line| line.starts_with("Commands of ours")).expect("the line is there");
    let listed: BTreeSet<&str> = rows.keys().map(String::as_str).chain(quoted(ours)).collect();
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    let unlisted = commands.filter(|command| !listed.contains(command.get_name()));
    wrong.extend(unlisted.map(|command| format!("`{}` is not on the page", command.get_name())));
    assert!(wrong.is_empty(), "tests/COMMANDS.md:\n{}", wrong.join("\n"));
}

/// All sources below a folder, as one text.
fn sources(folder: &Path, text: &mut String) {
    let entries = std::fs::read_dir(folder).expect("the sources are there");
    for path in entries.map(|entry| entry.expect("the sources are there").path()) {
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("the sources are there"));
        }
    }
}

#[test]
fn the_variables_of_the_page_are_read() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut text = String::new();
    sources(&root.join("crates/cli/src"), &mut text);
    sources(&root.join("compose-spec/src"), &mut text);
    let (_, variables) = PAGE.split_once("## Variables").expect("the chapter is there");
    let listed = variables.split("\n\n").nth(1).expect("the variables stand first");
    let unread: Vec<&str> = quoted(listed).filter(|name| !text.contains(&format!("\"{name}\""))).collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

/// The guide and the front page.
const GUIDES: [&str; 2] =
    [include_str!("../../../../README.md"), include_str!("../../../../examples/README.md")];

/// A line of a console without its remark and what the shell does with its streams.
fn typed(line: &str) -> Option<Vec<std::ffi::OsString>> {
    let command = line.strip_prefix("$ ").filter(|command| command.starts_with("compose "))?;
    let ends = [" #", " <", " >", " |"].iter().filter_map(|mark| command.find(mark));
    let command = &command[..ends.min().unwrap_or(command.len())];
    Some(command.split_whitespace().map(Into::into).collect())
}

#[test]
fn the_commands_of_the_guide_are_commands() {
    let commands: Vec<Vec<_>> = GUIDES.iter().flat_map(|guide| guide.lines()).filter_map(typed).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let read = super::read(command.clone());
        assert!(read.is_ok_and(|line| line.verb.is_some()), "no command: {command:?}");
    }
    let whole = super::shown();
    for mentioned in GUIDES.iter().flat_map(|guide| quoted(guide)) {
        let Some(verb) = mentioned.strip_prefix("compose ").and_then(|words| words.split_whitespace().next())
        else {
            continue;
        };
        let is_word = verb.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(!is_word || whole.find_subcommand(verb).is_some(), "no command: `{mentioned}`");
    }
}
