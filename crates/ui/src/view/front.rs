//! What stands in front or below: the graph, help, and the line of keys, questions and notices.

use super::Look;
use crate::Model;
use crate::model::Front;
use crate::text::fit;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

/// Every key and what it does.
pub(super) const HELP: [(&str, &str); 16] = [
    ("up/down k/j", "choose a container, or the project"),
    ("enter l", "log on the whole screen, and back"),
    ("pgup/pgdn [ ]", "scroll the log by ten lines, by one"),
    ("home end", "oldest line, newest line"),
    ("f", "follow the log, or hold it"),
    ("/", "search the log; esc forgets it"),
    ("n N", "next older, next newer line found"),
    ("r", "restart"),
    ("s", "stop"),
    ("u", "start"),
    ("e", "shell in the container"),
    ("x", "execute a command in it"),
    ("g", "graph of what needs what"),
    ("ctrl-l", "draw everything anew"),
    ("ctrl-z", "suspend"),
    ("q ctrl-c", "leave; containers run on"),
];

/// Keys of the bottom line, the most needed first.
const KEYS: [&str; 11] = [
    "? help",
    "q quit",
    "/ search",
    "r restart",
    "s stop",
    "u start",
    "e shell",
    "x exec",
    "g graph",
    "enter log",
    "f follow",
];

/// The keys from this one on; on a narrow screen what a key does is below it.
pub(super) fn help(frame: &mut Frame<'_>, area: Rect, down: u16) {
    const WIDE: u16 = 52;
    let texts = HELP.iter().skip(down.into()).flat_map(|(keys, does)| {
        if area.width < WIDE {
            vec![format!(" {keys}"), format!("     {does}")]
        } else {
            vec![format!(" {keys:<14} {does}")]
        }
    });
    lines(frame, area, "Keys (up, down scroll; others go back)", texts, 0);
}

pub(super) fn graph(frame: &mut Frame<'_>, area: Rect, model: &Model, down: u16) {
    let texts = model.graph.lines().map(|line| format!(" {line}"));
    lines(frame, area, "Graph (up, down scroll; others go back)", texts, down.into());
}

fn lines(frame: &mut Frame<'_>, area: Rect, title: &str, texts: impl Iterator<Item = String>, skip: usize) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::styled(format!(" {title}"), bold), Rect { height: 1, ..area });
    for (y, text) in (area.y + 1..area.bottom()).zip(texts.skip(skip)) {
        frame.render_widget(Line::from(text), Rect { y, height: 1, ..area });
    }
}

/// The bottom line: what is asked or typed, else what was said last, else the keys.
pub(super) fn foot(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) {
    let width = usize::from(area.width);
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let (text, style) = match &model.front {
        Front::Confirm(question, _) => (question_in(width, question), reversed),
        Front::Search(typed) => (format!("/{}_", end_of(typed, width)), Style::new()),
        Front::Command(service, _, typed) => {
            let label = format!("execute in {service}: ");
            (format!("{label}{}_", end_of(typed, width.saturating_sub(label.len()))), Style::new())
        }
        _ if !model.notice.is_empty() => (model.notice.clone(), Style::new()),
        _ => (keys(width), Style::new().add_modifier(Modifier::DIM)),
    };
    frame.render_widget(Line::styled(fit(&text, width, look.ascii), style), area);
}

/// The question with its answers, which are never cut off.
fn question_in(width: usize, question: &str) -> String {
    const ANSWERS: &str = " y/N";
    format!("{}{ANSWERS}", fit(question, width.saturating_sub(ANSWERS.len()), true).trim_end())
}

/// The end of what is typed, as much of it as fits beside two other columns.
fn end_of(typed: &str, width: usize) -> &str {
    let count = typed.chars().count();
    let skipped = count.saturating_sub(width.saturating_sub(2));
    typed.char_indices().nth(skipped).map_or("", |(at, _)| &typed[at..])
}

fn keys(width: usize) -> String {
    let mut text = String::new();
    for key in KEYS {
        if text.len() + key.len() + 3 > width {
            break;
        }
        text.push_str("  ");
        text.push_str(key);
    }
    text
}
