//! The comments at the top of a Dockerfile that speak to its reader: `syntax`, `escape`, `check`.
//!
//! They stand before everything else, other comments included; the first line that is none ends them.

use diagnostic::{Diagnostic, FileId, Span, nearest};

use crate::line::Physical;
use crate::lint::RULES;
use crate::mount::truth;
use crate::tree::{CheckDirective, Chosen, Directives, Word};

/// `# NAME=VALUE`.
struct Directive {
    name: String,
    name_span: Span,
    value: Word,
}

/// Reads the directives; gives them and the number of lines they take.
pub(crate) fn read(
    file: FileId,
    lines: &[Physical<'_>],
    faults: &mut Vec<Diagnostic>,
) -> (Directives, usize) {
    let mut directives = Directives { syntax: None, escape: '\\', check: CheckDirective::default() };
    let mut seen: Vec<String> = Vec::new();
    let mut taken = 0;
    for directive in lines.iter().map_while(|line| directive(file, line)) {
        if !["syntax", "escape", "check"].contains(&directive.name.as_str()) {
            break;
        }
        taken += 1;
        if seen.contains(&directive.name) {
            let message = format!("the directive `{}` is given twice", directive.name);
            faults.push(Diagnostic::error("duplicate-directive", message).at(directive.name_span, ""));
            continue;
        }
        match directive.name.as_str() {
            "syntax" => directives.syntax = Some(directive.value),
            "escape" => match directive.value.text.as_str() {
                "\\" => directives.escape = '\\',
                "`" => directives.escape = '`',
                other => faults.push(
                    Diagnostic::error("bad-escape", format!("`{other}` cannot be the escape character"))
                        .at(directive.value.span, "")
                        .help("it is `\\` or a backquote"),
                ),
            },
            _ => directives.check = check(&directive.value, faults),
        }
        seen.push(directive.name);
    }
    (directives, taken)
}

fn directive(file: FileId, line: &Physical<'_>) -> Option<Directive> {
    let comment = line.text.trim_start().strip_prefix('#')?;
    let (name, value) = comment.split_once('=')?;
    let (written, value_text) = (name.trim(), value.trim());
    let is_name = written.starts_with(|c: char| c.is_ascii_alphabetic())
        && written.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_name || value_text.is_empty() {
        return None;
    }
    let place = |part: &str| {
        // Both are parts of the same text, so the distance is an offset in it.
        let start = line.start + (part.as_ptr() as usize - line.text.as_ptr() as usize);
        Span::new(file, start, start + part.len())
    };
    Some(Directive {
        name: written.to_ascii_lowercase(),
        name_span: place(written),
        value: Word { text: value_text.to_owned(), span: place(value_text), escape: '\\' },
    })
}

/// `skip=A,B;error=true;experimental=all`.
pub(crate) fn check(value: &Word, faults: &mut Vec<Diagnostic>) -> CheckDirective {
    let mut check = CheckDirective::default();
    let mut start = 0;
    for part in value.text.split(';') {
        let place = value.place(start, start + part.len());
        start += part.len() + 1;
        match part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            Some(("skip", names)) => check.skip = chosen(names, place, faults),
            Some(("experimental", names)) => check.experimental = chosen(names, place, faults),
            Some(("error", text)) if truth(text).is_some() => check.error = truth(text) == Some(true),
            _ => faults.push(
                Diagnostic::error("bad-check", format!("`{}` is no option of `check`", part.trim()))
                    .at(place, "")
                    .help("there are `skip=NAME,NAME`, `experimental=NAME,NAME` and `error=true`"),
            ),
        }
    }
    check
}

fn chosen(names: &str, place: Span, faults: &mut Vec<Diagnostic>) -> Chosen {
    if names.eq_ignore_ascii_case("all") {
        return Chosen::All;
    }
    let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
    for name in names.iter().filter(|name| !RULES.iter().any(|rule| rule.eq_ignore_ascii_case(name))) {
        let warning =
            Diagnostic::warning("unknown-check", format!("there is no build check `{name}`")).at(place, "");
        faults.push(match nearest(name, RULES) {
            Some(near) => warning.help(format!("a check with a similar name exists: `{near}`")),
            None => warning,
        });
    }
    Chosen::Named(names)
}
