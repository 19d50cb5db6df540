//! Draws diagnostics for a person, in the manner of rustc. What a terminal would act on is never drawn raw.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::Sources;

/// Draws `diagnostics` one below the other, an empty line between them, with a final newline.
///
/// `color` is the caller's decision: terminal or not, `NO_COLOR`, `--ansi`.
pub fn render(sources: &Sources, diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&renderer.render(&[group(sources, diagnostic)]));
        text.push('\n');
        if diagnostic.labels.is_empty() {
            text.push_str(&beneath(diagnostic));
        }
    }
    // The renderer lets these through; with 8-bit controls some terminals take them for escapes.
    text.replace(|c| matches!(c, '\u{7f}'..='\u{9f}'), "\u{fffd}")
}

/// Bytes of a message, and of a line that is shown. Nobody reads more, and drawing it takes its time.
const LONGEST: usize = 4096;
/// Bytes from the first to the last line of a drawing.
const FARTHEST: usize = 4 << 20;

/// A text cut to what is read.
fn short(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..floor(text, LONGEST)]))
}

/// A text whose control characters are shown as pictures: `␛` for an escape. Lines stay lines.
fn visible(text: &str) -> Cow<'_, str> {
    let text = short(text);
    if !text.contains(|c: char| c.is_ascii_control() && c != '\n') {
        return text;
    }
    let picture = |c: char| match c {
        '\n' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(c),
        other => other,
    };
    Cow::Owned(text.chars().map(picture).collect())
}

fn group<'a>(sources: &'a Sources, diagnostic: &'a Diagnostic) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(short(&diagnostic.message)).id(diagnostic.code));
    let mut drawn: Vec<&Label> = Vec::new();
    for label in &diagnostic.labels {
        if drawn.iter().any(|earlier| earlier.span.file == label.span.file) {
            continue;
        }
        drawn.push(label);
        group = if is_drawable(sources, diagnostic, label) {
            group.element(snippet(sources, diagnostic, label))
        } else {
            let (line, column) = sources.line_and_column(label.span).unwrap_or((1, 1));
            let origin = Origin::path(visible(sources.name(label.span.file)));
            group.element(origin.line(line).char_column(column))
        };
    }
    if drawn.is_empty() {
        return group;
    }
    let notes = diagnostic.notes.iter().map(|text| Level::NOTE.message(visible(text)));
    let help = diagnostic.help.iter().map(|text| Level::HELP.message(visible(text)));
    group.elements(notes.chain(help))
}

/// Notes and help of a diagnostic without a place, whose title has no drawing beneath it: a word of the command
/// line, say.
fn beneath(diagnostic: &Diagnostic) -> String {
    let notes = diagnostic.notes.iter().map(|text| ("note", text));
    let said = notes.chain(diagnostic.help.iter().map(|text| ("help", text)));
    let line = |(kind, text): (&str, &Cow<'_, str>)| {
        let next = format!("\n{:width$}", "", width = "  = help: ".len());
        format!("  = {kind}: {}\n", visible(text).replace('\n', &next))
    };
    said.map(line).collect()
}

/// Whether the lines to show of the file of `first` are ones that can be shown; else their place has to do.
fn is_drawable(sources: &Sources, diagnostic: &Diagnostic, first: &Label) -> bool {
    let file = first.span.file;
    let text = sources.text(file);
    let (mut from, mut to) = (text.len(), 0);
    for label in diagnostic.labels.iter().filter(|label| label.span.file == file) {
        let (start, end) = one_line(text, label.span.start as usize, label.span.end as usize);
        let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = text[end..].bytes().take(LONGEST).position(|byte| byte == b'\n');
        if end - line + rest.unwrap_or(text.len() - end) > LONGEST {
            return false;
        }
        (from, to) = (from.min(line), to.max(end));
    }
    to.saturating_sub(from) <= FARTHEST
}

/// The part of the drawing that shows one file: every label of `diagnostic` in the file of `first`.
fn snippet<'a>(
    sources: &'a Sources,
    diagnostic: &'a Diagnostic,
    first: &Label,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let file = first.span.file;
    let text = sources.text(file);
    let labels = diagnostic.labels.iter().enumerate().filter(|(_, label)| label.span.file == file);
    let shown: Vec<_> = labels
        .map(|(index, label)| {
            let (start, end) = one_line(text, label.span.start as usize, label.span.end as usize);
            (index == 0, start, end, label)
        })
        .collect();
    // Only the lines between the first and the last label: the renderer looks at every line it is given.
    let from = shown.iter().map(|(_, start, ..)| *start).min().unwrap_or(0);
    let from = text[..from].rfind('\n').map_or(0, |newline| newline + 1);
    let to = shown.iter().map(|(_, _, end, _)| *end).max().unwrap_or(text.len());
    let to = text[to..].find('\n').map_or(text.len(), |newline| to + newline + 1);
    let (above, before) = sources.shift(file);
    let line = above + text[..from].bytes().filter(|&byte| byte == b'\n').count() + 1;
    let mut snippet = Snippet::source(indented(&text[from..to], before))
        .line_start(line)
        .path(visible(sources.name(file)))
        .fold(true);
    for (is_main, start, end, label) in shown {
        let kind = if is_main { AnnotationKind::Primary } else { AnnotationKind::Context };
        let words = (!label.text.is_empty()).then(|| visible(&label.text));
        let shift = before * (text[from..start].bytes().filter(|&byte| byte == b'\n').count() + 1);
        snippet = snippet.annotation(kind.span(start - from + shift..end - from + shift).label(words));
    }
    snippet
}

/// Lines as they stand in the file that they are a part of.
fn indented(lines: &str, before: usize) -> Cow<'_, str> {
    if before == 0 {
        return Cow::Borrowed(lines);
    }
    let indent = " ".repeat(before);
    Cow::Owned(lines.split_inclusive('\n').flat_map(|line| [indent.as_str(), line]).collect())
}

/// Cuts a stretch to its first line, to what is written and to character boundaries: a caret under a whole block helps nobody.
fn one_line(text: &str, start: usize, end: usize) -> (usize, usize) {
    let written = text.trim_end().len();
    let start = floor(text, start.min(written));
    let end = floor(text, end.clamp(start, text.len()));
    let first_line = text[start..end].find('\n').map_or(end, |newline| start + newline);
    let trimmed = start + text[start..first_line].trim_end().len();
    (start, trimmed)
}

fn floor(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    const TEXT: &str =
        "services:\n  web:\n    image: nginx\n    depends_on:\n      - cache\n  cached:\n    image: redis\n";

    fn span(sources: &mut Sources, word: &str) -> Span {
        let file = sources.add("compose.yaml", TEXT);
        let start = TEXT.find(word).unwrap();
        Span::new(file, start, start + word.len())
    }

    #[test]
    fn the_look_is_the_one_of_the_style_guide() {
        let mut sources = Sources::new();
        let span = span(&mut sources, "cache\n");
        let diagnostic =
            Diagnostic::error("unknown-dependency", "service `web` depends on `cache`, which is not defined")
                .at(span, "no service has this name")
                .help("a service with a similar name exists: `cached`");
        let expected = "\
error[unknown-dependency]: service `web` depends on `cache`, which is not defined
 --> compose.yaml:5:9
  |
5 |       - cache
  |         ^^^^^ no service has this name
  |
  = help: a service with a similar name exists: `cached`
";
        assert_eq!(render(&sources, &[diagnostic], false), expected);
    }

    #[test]
    fn of_a_line_nobody_could_read_only_the_place_is_shown() {
        let mut sources = Sources::new();
        let file = sources.add("compose.yaml", format!("a:\n  {}\n", "é".repeat(2 * LONGEST)));
        let diagnostic = Diagnostic::error("x", "é".repeat(2 * LONGEST)).at(Span::new(file, 5, 7), "here");
        let drawn = render(&sources, &[diagnostic], false);
        assert_eq!(drawn.split_once('…').map(|(_, rest)| rest), Some("\n--> compose.yaml:2:3\n"));
        assert!(drawn.len() < LONGEST + 100);
    }

    #[test]
    fn two_places_in_one_file_share_a_snippet_and_two_files_do_not() {
        let mut sources = Sources::new();
        let web = span(&mut sources, "web");
        let other = sources.add("override.yaml", "services:\n  web: 1\n");
        let diagnostic = Diagnostic::warning("example", "two places")
            .at(web, "here")
            .at(Span::new(web.file, 0, 8), "and here")
            .at(Span::new(other, 12, 15), "and there");
        let expected = "\
warning[example]: two places
 --> compose.yaml:2:3
  |
1 | services:
  | -------- and here
2 |   web:
  |   ^^^ here
  |
 ::: override.yaml:2:3
  |
2 |   web: 1
  |   --- and there
";
        assert_eq!(render(&sources, &[diagnostic], false), expected);
    }

    #[test]
    fn a_part_of_a_file_is_drawn_where_it_stands() {
        let mut sources = Sources::new();
        let file = sources.add_part("compose.yaml", "FROM a\nRUN b\n", (9, 5));
        let diagnostic =
            Diagnostic::error("example", "no").at(Span::new(file, 11, 12), "").at(Span::new(file, 5, 6), "x");
        let expected = "\
error[example]: no
  --> compose.yaml:10:9
   |
 9 |     FROM a
   |          - x
10 |     RUN b
   |         ^
";
        assert_eq!(render(&sources, &[diagnostic], false), expected);
    }

    #[test]
    fn without_a_place_there_is_a_title_and_help_only() {
        let diagnostic = Diagnostic::error("no-file", "no configuration file provided").help("use --file");
        assert_eq!(
            render(&Sources::new(), &[diagnostic], false),
            "error[no-file]: no configuration file provided\n  = help: use --file\n"
        );
        let diagnostic = Diagnostic::warning("x", "two lines").note("one\ntwo");
        assert_eq!(
            render(&Sources::new(), &[diagnostic], false),
            "warning[x]: two lines\n  = note: one\n          two\n"
        );
    }

    #[test]
    fn a_place_at_the_end_of_a_text_is_drawn() {
        let mut sources = Sources::new();
        let file = sources.add("a.yaml", "a: [b\n");
        let text = render(&sources, &[Diagnostic::error("yaml", "bad").at(Span::new(file, 6, 6), "")], false);
        assert!(text.contains("a.yaml:1:6"), "{text}");
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_is_drawn() {
        let mut sources = Sources::new();
        let file = sources.add("a\u{1b}[31m.yaml", "a: \u{1b}]0;t\u{7} \u{9b}31m\n");
        let diagnostic = Diagnostic::error("example", "bad `\u{1b}[2J` and `\u{9b}2J`")
            .at(Span::new(file, 0, 1), "not `\u{1b}c`")
            .help("no \u{8}");
        let text = render(&sources, &[diagnostic], false);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains("not `␛c`"), "{text}");
    }
}
