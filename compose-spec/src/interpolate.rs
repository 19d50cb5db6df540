//! Variables in texts: `$NAME`, `${NAME}` and the operators `:-` `-` `:+` `+` `:?` `?`; `$$` is a dollar.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use diagnostic::{Diagnostic, Sources, Span};

use crate::scope::{MOST_TOLD, within};
use crate::tree::{Node, Value};

/// Braces within each other.
const DEEPEST: usize = 100;

/// Why a text could not be interpolated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `${…}` that is none.
    Malformed(String),
    /// `${NAME:?message}` of a variable without a value: the expression, the name, the message.
    Required(String, String, String),
}

/// Where values come from, and what is told about variables that have none.
pub(crate) trait Lookup {
    /// The value of a variable.
    fn get(&self, name: &str) -> Option<String>;
    /// Told of each variable whose value is wanted.
    fn asked(&mut self, _name: &str) {}
    /// Told of each variable that became empty for want of a value.
    fn unset(&mut self, name: &str);
}

/// One piece of a text.
enum Piece<'t> {
    Literal(&'t str),
    Variable(Expression<'t>),
}

/// `$NAME` or what is within `${…}`.
struct Expression<'t> {
    name: &'t str,
    operator: Option<Operator>,
    /// What stands behind the operator.
    word: &'t str,
    whole: &'t str,
}

#[derive(Clone, Copy)]
struct Operator {
    /// `-`, `+` or `?`.
    sign: u8,
    /// With a colon, an empty value counts as none.
    colon: bool,
}

/// Replaces the variables of `text`.
pub(crate) fn text(text: &str, lookup: &mut dyn Lookup) -> Result<String, Fault> {
    let mut result = String::with_capacity(text.len());
    for piece in (Pieces { text, at: 0 }) {
        match piece? {
            Piece::Literal(literal) => result.push_str(literal),
            Piece::Variable(expression) => evaluate(&expression, lookup, &mut result)?,
        }
    }
    Ok(result)
}

fn evaluate(expression: &Expression<'_>, lookup: &mut dyn Lookup, result: &mut String) -> Result<(), Fault> {
    lookup.asked(expression.name);
    let value = lookup.get(expression.name);
    let Some(operator) = expression.operator else {
        match value {
            Some(value) => result.push_str(&value),
            None => lookup.unset(expression.name),
        }
        return Ok(());
    };
    let has_value = value.as_ref().is_some_and(|value| !(operator.colon && value.is_empty()));
    match (operator.sign, has_value) {
        (b'-', false) | (b'+', true) => result.push_str(&text(expression.word, lookup)?),
        (b'?', false) => {
            let message = text(expression.word, lookup)?;
            return Err(Fault::Required(expression.whole.to_owned(), expression.name.to_owned(), message));
        }
        _ => result.push_str(&value.unwrap_or_default()),
    }
    Ok(())
}

struct Pieces<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Result<Piece<'t>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let Some(dollar) = rest.find('$') else {
            self.at = self.text.len();
            return Some(Ok(Piece::Literal(rest)));
        };
        if dollar > 0 {
            self.at += dollar;
            return Some(Ok(Piece::Literal(&rest[..dollar])));
        }
        let behind = &rest[1..];
        let name = &behind[name_of(behind)];
        let (taken, piece) = match behind.as_bytes().first() {
            Some(b'$') => (2, Ok(Piece::Literal("$"))),
            Some(b'{') => match braced(rest) {
                Ok(expression) => (expression.whole.len(), Ok(Piece::Variable(expression))),
                Err(fault) => (rest.len(), Err(fault)),
            },
            _ if !name.is_empty() => {
                let whole = &rest[..=name.len()];
                (whole.len(), Ok(Piece::Variable(Expression { name, operator: None, word: "", whole })))
            }
            _ => (1, Ok(Piece::Literal("$"))),
        };
        self.at += taken;
        Some(piece)
    }
}

/// The name at the start of `text`, perhaps empty.
fn name_of(text: &str) -> Range<usize> {
    let bytes = text.as_bytes();
    if bytes.first().is_none_or(u8::is_ascii_digit) {
        return 0..0;
    }
    0..bytes.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(bytes.len())
}

/// Reads the `${…}` that `text` starts with.
fn braced(text: &str) -> Result<Expression<'_>, Fault> {
    let malformed = |shown: &str| Err(Fault::Malformed(shown.to_owned()));
    let mut depth = 0;
    let mut end = None;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'{' if depth == DEEPEST => break,
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b'\n' => break,
            _ => {}
        }
        if depth == 0 {
            end = Some(at);
            break;
        }
    }
    let Some(end) = end else { return malformed(text.lines().next().unwrap_or(text)) };
    let whole = &text[..=end];
    let inner = &text[2..end];
    let name = &inner[name_of(inner)];
    let rest = &inner[name.len()..];
    if name.is_empty() {
        return malformed(whole);
    }
    let (operator, word) = match rest.as_bytes() {
        [] => (None, ""),
        [b':', sign @ (b'-' | b'+' | b'?'), ..] => (Some(Operator { sign: *sign, colon: true }), &rest[2..]),
        [sign @ (b'-' | b'+' | b'?'), ..] => (Some(Operator { sign: *sign, colon: false }), &rest[1..]),
        _ => return malformed(whole),
    };
    Ok(Expression { name, operator, word, whole })
}

struct Environment<'a> {
    values: &'a BTreeMap<String, String>,
    unset: Vec<String>,
}

impl Lookup for Environment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }
    fn unset(&mut self, name: &str) {
        self.unset.push(name.to_owned());
    }
}

/// Replaces the variables in every text of a tree; keys are left alone.
///
/// `warned` holds the names that have been warned about already.
pub(crate) fn tree(
    node: &mut Node,
    values: &BTreeMap<String, String>,
    warned: &mut HashSet<String>,
    sources: &Sources,
    diagnostics: &mut Vec<Diagnostic>,
) {
    match &mut node.value {
        Value::String(content) if content.as_bytes().contains(&b'$') => {
            let mut lookup = Environment { values, unset: Vec::new() };
            match text(content, &mut lookup) {
                Ok(replaced) => *content = replaced,
                Err(fault) => {
                    diagnostics.push(tell(&fault, node.span, sources));
                    node.value = Value::Bad;
                }
            }
            for name in lookup.unset {
                if !warned.contains(&name) {
                    if diagnostics.len() <= MOST_TOLD {
                        diagnostics.push(tell_unset(&name, node.span, sources));
                    }
                    warned.insert(name);
                }
            }
        }
        Value::List(items) => {
            items.iter_mut().for_each(|item| tree(item, values, warned, sources, diagnostics));
        }
        Value::Map(map) => {
            for entry in map.values_mut() {
                tree(&mut entry.node, values, warned, sources, diagnostics);
            }
        }
        _ => {}
    }
}

/// The warning about a variable of the text at `span` that became empty for want of a value.
pub(crate) fn tell_unset(name: &str, span: Span, sources: &Sources) -> Diagnostic {
    let message = format!("the variable `{name}` is not set; it becomes an empty string");
    Diagnostic::warning("unset-variable", message)
        .at(place_of(name, span, sources), "")
        .help(format!("set it in `.env` or write a default: `${{{name}:-…}}`; for a plain `$` write `$$`"))
}

fn place_of(name: &str, span: Span, sources: &Sources) -> Span {
    for shape in [format!("${{{name}}}"), format!("${name}"), format!("${{{name}")] {
        let place = within(sources, span, &shape);
        if place != span {
            return place;
        }
    }
    span
}

/// A fault as a diagnostic, the text being at `span`.
pub(crate) fn tell(fault: &Fault, span: Span, sources: &Sources) -> Diagnostic {
    match fault {
        Fault::Malformed(expression) => {
            let diagnostic =
                Diagnostic::error("bad-variable", format!("`{expression}` is no variable expression"))
                    .at(within(sources, span, expression), "");
            diagnostic.help(match assigned(expression) {
                Some((name, value)) => {
                    format!("nothing can be assigned here; a default is written `${{{name}:-{value}`").into()
                }
                None => {
                    Cow::from("a variable is `${NAME}` or `${NAME:-default}`; for a plain `$` write `$$`")
                }
            })
        }
        Fault::Required(expression, name, message) => {
            let text = match message.as_str() {
                "" => format!("the required variable `{name}` is missing a value"),
                message => format!("the required variable `{name}` is missing a value: {message}"),
            };
            Diagnostic::error("required-variable", text)
                .at(within(sources, span, expression), "asked for here")
                .help(format!("set `{name}` in the environment or in `.env`"))
        }
    }
}

/// Of `${NAME:=VALUE}`, which shells know, the name, and the value with what is behind it.
fn assigned(expression: &str) -> Option<(&str, &str)> {
    let (name, value) = expression.strip_prefix("${")?.split_once(":=")?;
    (name_of(name).len() == name.len()).then_some((name, value))
}

/// A variable some text refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Whether it must be set.
    pub required: bool,
    /// What stands for it when it is not set.
    pub default: Option<String>,
    /// What stands for it when it is set.
    pub alternate: Option<String>,
}

/// Gathers the variables every text of a tree refers to.
pub(crate) fn variables(node: &Node, found: &mut BTreeMap<String, Variable>) {
    match &node.value {
        Value::String(text) => variables_of(text, found),
        Value::List(items) => items.iter().for_each(|item| variables(item, found)),
        Value::Map(map) => map.values().for_each(|entry| variables(&entry.node, found)),
        _ => {}
    }
}

fn variables_of(text: &str, found: &mut BTreeMap<String, Variable>) {
    for piece in (Pieces { text, at: 0 }).flatten() {
        let Piece::Variable(expression) = piece else { continue };
        let variable = found.entry(expression.name.to_owned()).or_default();
        expression.name.clone_into(&mut variable.name);
        match expression.operator.map(|operator| operator.sign) {
            Some(b'-') => variable.default = Some(expression.word.to_owned()),
            Some(b'+') => variable.alternate = Some(expression.word.to_owned()),
            Some(_) => variable.required = true,
            None => {}
        }
        variables_of(expression.word, found);
    }
}

/// The variables a text refers to, each with its expression as written.
pub(crate) fn names(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for piece in (Pieces { text, at: 0 }).map_while(Result::ok) {
        let Piece::Variable(expression) = piece else { continue };
        let name = (expression.name.to_owned(), expression.whole.to_owned());
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Result<String, Fault> {
        let values = [("A", "a"), ("EMPTY", ""), ("B_1", "b")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        text(source, &mut Environment { values: &values, unset: Vec::new() })
    }

    #[test]
    fn every_form_of_the_grammar() {
        for (source, result) in [
            ("$A ${A} $B_1x $A-x", "a a  a-x"),
            ("${U:-d} ${U-d} ${EMPTY:-d} ${EMPTY-d}", "d d d "),
            ("${A:+w} ${EMPTY:+w} ${EMPTY+w} ${U+w}", "w  w "),
            ("${A:?m} ${EMPTY?m}", "a "),
            ("$$A $$ $1 $- $( $. $", "$A $ $1 $- $( $. $"),
            ("${U:-${V:-${A}}}", "a"),
            (r#"${U:-{"a":1}}"#, r#"{"a":1}"#),
            ("${U-a:-b}", "a:-b"),
            ("${U:-$$}", "$"),
        ] {
            assert_eq!(read(source).as_deref(), Ok(result), "{source}");
        }
        for source in ["${}", "${1}", "${ A }", "${A:=x}", "${A/x/y}", "${A.b}", "${A", "${A\n}", "${U:-{}"] {
            assert!(matches!(read(source), Err(Fault::Malformed(_))), "{source}");
        }
        assert!(matches!(read(&"${U:-".repeat(100_000)), Err(Fault::Malformed(_))));
        assert!(matches!(read("${U:?why}"), Err(Fault::Required(_, _, message)) if message == "why"));
        assert!(matches!(read("${EMPTY:?}"), Err(Fault::Required(..))));
    }
}
