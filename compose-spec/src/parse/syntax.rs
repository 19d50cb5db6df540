//! What the parser could not read, in words for people who do not know its grammar.

use diagnostic::{Diagnostic, FileId, Span, nearest};
use saphyr_parser::{Event, Parser};

use super::repair::{Failure, line_around, previous};

/// Tells a failure that no known damage explains.
pub(super) fn tell(file: FileId, text: &str, failure: &Failure) -> Diagnostic {
    let at = failure.at.min(text.len());
    let next = text[at..].chars().next();
    let span = Span::new(file, at, at + next.map_or(1, char::len_utf8));
    let (start, end) = line_around(text, at);
    let content = text[start..end].trim_start_matches(' ');
    let info = failure.info.as_str();
    let fault =
        |message: &str| Diagnostic::error("yaml-syntax", format!("this is not valid YAML: {message}"));
    if failure.is_too_deep() {
        return Diagnostic::error("too-deep", "this is nested too deeply")
            .at(span, "the limit is reached here")
            .help("is every `[` and `{` before this place closed?");
    }
    if let Some(conflict) = conflict(file, text) {
        return conflict;
    }
    if let Some(mixed) = list_and_mapping(file, text, start, content) {
        return mixed;
    }
    if let Some(reserved) = next.filter(|c| matches!(c, '@' | '`' | '%')) {
        if content.starts_with("```") {
            return fault("a fence of Markdown stands here")
                .at(span, "not a part of the file")
                .help("copy only what stands between the fences");
        }
        let value = text[at..end].trim_end();
        return fault(&format!("a value cannot begin with `{reserved}`"))
            .at(span, "reserved in YAML")
            .help(format!("quote the value: `\"{value}\"`"));
    }
    if info.contains("unprintable") || info.contains("control character") || next == Some('\0') {
        let code = next.map_or(0, u32::from);
        return fault(&format!("the file holds the control character U+{code:04X}"))
            .at(span, "not text")
            .help("remove it; if the whole file looks like this, it is no text file");
    }
    if info.contains("unknown anchor") {
        return unknown_anchor(file, text, at, end);
    }
    if info.contains("unknown escape") || info.contains("expected hexadecimal number") {
        return fault("a double-quoted text holds an escape that YAML does not know")
            .at(span, "in this text")
            .help("write `\\\\` for a backslash, or use single quotes, which have no escapes");
    }
    let trails = info.contains("trailing content")
        || (info.contains("expected key") && behind_quote(&text[start..at]));
    if trails
        && text[..at].ends_with(' ')
        && let Some(open) = open_bracket(text, at).or_else(|| open_on_line(text, start, at))
    {
        return fault("a comma is missing between two entries")
            .at(span, "the next entry begins here")
            .at(Span::new(file, open, open + 1), "of what opens here")
            .help("put a comma behind the quote before it");
    }
    if trails {
        return fault("something stands behind the end of a quoted text")
            .at(span, "the text has ended before this")
            .help("put the quotes around the whole value");
    }
    if info.contains("flow") && next == Some('{') && text[..at].ends_with('$') {
        return fault("a variable in braces stands unquoted inside `[…]` or `{…}`")
            .at(span, "this brace begins a mapping")
            .help("quote the whole value: `[\"${NAME}\"]`, `{key: \"${NAME}\"}`");
    }
    if (info.contains("flow") || info.contains("illegal placement") || info.contains("invalid indentation"))
        && let Some(open) = open_bracket(text, at)
    {
        let bracket = &text[open..=open];
        let partner = if bracket == "[" { ']' } else { '}' };
        return Diagnostic::error("yaml-syntax", format!("a `{bracket}` is not closed"))
            .at(Span::new(file, open, open + 1), "opened here")
            .at(span, "still open here")
            .help(format!("close it with `{partner}`; a text that holds `{bracket}` may have to be quoted"));
    }
    explained(info, fault(info), span)
}

/// An alias, at `at` of a line that goes to `end`, to what is no anchor, or one that is defined only below.
fn unknown_anchor(file: FileId, text: &str, at: usize, end: usize) -> Diagnostic {
    let is_part = |c: char| !c.is_whitespace() && !matches!(c, ',' | '[' | ']' | '{' | '}');
    let name = |from: usize| {
        let rest = &text[from..];
        &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())]
    };
    let alias = name(at + 1);
    let span = Span::new(file, at, at + 1 + alias.len());
    let behind = text[(at + 1 + alias.len()).min(end)..end].trim_start();
    let is_name = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !is_name(alias) || alias.is_empty() || !(behind.is_empty() || behind.starts_with(['#', ',', ']', '}']))
    {
        let value = text[at..end].trim_end();
        return Diagnostic::error("yaml-syntax", "this is not valid YAML: a value begins with `*`")
            .at(span, "`*` begins an alias")
            .help(format!("quote the value: `\"{value}\"`"));
    }
    let fault = Diagnostic::error(
        "yaml-syntax",
        format!("this is not valid YAML: the alias `*{alias}` names an anchor that is not defined before it"),
    );
    let anchors: Vec<(usize, &str)> = text
        .match_indices('&')
        .filter(|(place, _)| text[..*place].ends_with([' ', '\n', '[', ',']))
        .map(|(place, _)| (place, name(place + 1)))
        .filter(|(_, anchor)| !anchor.is_empty() && is_name(anchor))
        .collect();
    if let Some((place, _)) = anchors.iter().find(|(place, anchor)| *anchor == alias && *place > at) {
        return fault
            .at(span, "used here")
            .at(Span::new(file, *place, place + 1 + alias.len()), "defined only here")
            .help("an anchor stands above every use of it: move the part with it up");
    }
    let before = anchors.iter().filter(|(place, _)| *place < at).map(|(_, anchor)| *anchor);
    let fault = fault.at(span, "no anchor of this name stands above");
    match nearest(alias, before) {
        Some(near) => fault.help(format!("an anchor with a similar name exists: `*{near}`")),
        None => fault
            .help(format!("define it above with `&{alias}`; anchors of other files are not known here"))
            .help("a value that begins with `*` and is no alias must be quoted"),
    }
}

/// What git leaves in a file whose versions it could not merge.
fn conflict(file: FileId, text: &str) -> Option<Diagnostic> {
    let mut marks = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        if ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| content.starts_with(mark)) || content == "=======" {
            marks.push(Span::new(file, at, at + content.len()));
        }
        at += line.len();
    }
    let (first, others) = marks.split_first().filter(|(_, others)| !others.is_empty())?;
    let message = "two versions of the file were merged and differ here";
    let diagnostic = Diagnostic::error("yaml-syntax", message).at(*first, "a mark of git");
    let diagnostic = others.iter().fold(diagnostic, |diagnostic, mark| diagnostic.at(*mark, ""));
    Some(diagnostic.help("keep one version, or what is right of both, and remove the marks"))
}

/// The innermost `[` or `{` before `at` that reading has met and that is not closed.
fn open_bracket(text: &str, at: usize) -> Option<usize> {
    let mut open = Vec::new();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), span)) => open.push(span.start.index()),
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => {
                open.pop();
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let places = open.iter().rev().filter_map(|place| text.char_indices().nth(*place));
    places.filter(|(place, _)| *place < at).find(|(_, c)| matches!(c, '[' | '{')).map(|(place, _)| place)
}

/// The innermost `[` or `{` of a line that begins at `start` that is open at `at`. Of a line that may yet become
/// a key the parser tells nothing before its end.
fn open_on_line(text: &str, start: usize, at: usize) -> Option<usize> {
    let (mut open, mut quote) = (Vec::new(), None);
    for (place, c) in text[start..at].char_indices() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(opened)) if c == opened => quote = None,
            ('[' | '{', None) => open.push(start + place),
            (']' | '}', None) => drop(open.pop()),
            _ => {}
        }
    }
    open.pop().filter(|_| quote.is_none())
}

fn explained(info: &str, diagnostic: Diagnostic, span: Span) -> Diagnostic {
    let diagnostic = diagnostic.at(span, "");
    if info.contains("mapping values are not allowed") {
        diagnostic
            .help("a value that holds `: ` must be quoted, and the keys of a mapping start in one column")
    } else if info.contains("simple key expect") || info.contains("could not find expected ':'") {
        diagnostic.help("a key is followed by a colon and a blank: `key: value`")
    } else if info.contains("flow")
        || info.contains("illegal placement")
        || info.contains("invalid indentation")
    {
        diagnostic.help("is every `[`, `{` and quote before this place closed?")
    } else if info.contains("did not find expected key") {
        diagnostic.help("the keys of a mapping start in one column, each with a colon behind it")
    } else {
        diagnostic.help("a value with special characters must be quoted: `key: \"value\"`")
    }
}

/// Whether a line up to a place ends in a quoted text.
fn behind_quote(line: &str) -> bool {
    line.trim_end().ends_with(['"', '\''])
}

/// A list item in a mapping, or a key in a list, told by the nearest line above in the same column.
fn list_and_mapping(file: FileId, text: &str, start: usize, content: &str) -> Option<Diagnostic> {
    let is_item = |content: &str| content == "-" || content.starts_with("- ");
    let width = line_around(text, start).1 - start - content.len();
    let mut above = start;
    let neighbour = loop {
        let (line, columns) = previous(text, above)?;
        above = line.0;
        if columns <= width {
            break (columns == width).then_some(line)?;
        }
    };
    let other = text[neighbour.0..neighbour.1].trim_start();
    if is_item(content) == is_item(other) {
        return None;
    }
    let here = Span::new(file, start + width, start + width + content.len());
    let there = Span::new(file, neighbour.0 + width, neighbour.1);
    let diagnostic = if is_item(content) {
        Diagnostic::error("mixed-list", "a list item stands among the keys of a mapping")
            .at(here, "a list item")
            .at(there, "a key of the mapping")
            .help("write all of them as `key: value`, or all as `- item`; a list belongs below a key of its own")
    } else {
        Diagnostic::error("mixed-list", "a key stands among the items of a list")
            .at(here, "no list item")
            .at(there, "an item of the list")
            .help("begin it with `- `, or, if it belongs to the item above, indent it two columns more")
    };
    Some(diagnostic)
}
