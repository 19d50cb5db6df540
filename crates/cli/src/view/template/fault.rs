//! What is wrong with a template, with its place in it.
//!
//! The library tells no places of what goes wrong while a template is filled in. They are found by trying:
//! the first node without which nothing goes wrong is the one.

use super::functions;
use crate::exit::Failure;
use diagnostic::{Diagnostic, Sources, Span};
use gotmpl::TemplateError;
use gotmpl::parse::{ActionNode, BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos, SmolStr};

/// Fills a tree in with the row that goes wrong.
type Fill<'a> = &'a dyn Fn(&ListNode) -> Result<String, TemplateError>;

/// What is no template.
pub(super) fn unread(source: &str, error: &TemplateError) -> Failure {
    match error {
        TemplateError::Parse { line, col, message, .. } | TemplateError::Lex { line, col, message, .. } => {
            // Columns are letters.
            let lines = source.split_inclusive('\n');
            let begin: usize = lines.take(line.saturating_sub(1)).map(str::len).sum();
            let letters = source[begin..].char_indices().map(|(at, _)| at);
            let at = begin + letters.chain([source.len() - begin]).nth(col.saturating_sub(1)).unwrap_or(0);
            told(source, at, message.clone(), None)
        }
        other => told(source, 0, words(other), None),
    }
}

/// A keyword that stands alone.
pub(super) fn alone(source: &str, at: usize, what: String) -> Failure {
    told(source, at, what, None)
}

/// A function that there is not.
pub(super) fn unknown_function(source: &str, at: usize, name: &str) -> Failure {
    let known = functions::BUILT_IN.into_iter().chain(functions::DOCKERS);
    let help = match diagnostic::nearest(name, known.clone()) {
        Some(near) => format!("a function with a similar name exists: `{near}`"),
        None => format!("functions are {}", known.collect::<Vec<_>>().join(", ")),
    };
    told(source, at, format!("there is no function `{name}`"), Some(help))
}

/// What went wrong while `tree` was filled in.
pub(super) fn unfilled(source: &str, tree: &ListNode, error: &TemplateError, fill: Fill<'_>) -> Failure {
    let missing = if let TemplateError::MissingKey { key } = error { Some(key.as_str()) } else { None };
    let culprit = culprit(tree, fill, missing, &|list| list).unwrap_or(Culprit { at: 0, keys: None });
    let help = match (missing, &culprit.keys) {
        (Some(key), Some(keys)) => Some(match diagnostic::nearest(key, keys.split(", ")) {
            Some(near) => format!("a field with a similar name exists: `.{near}`; the fields are {keys}"),
            None => format!("the fields are {keys}"),
        }),
        _ if is_text(error) => {
            Some("`split` makes a list of a text: `{{range split .Ports \", \"}}`".to_owned())
        }
        _ => None,
    };
    told(source, culprit.at, words(error), help)
}

/// Whether `range` was given a text.
fn is_text(error: &TemplateError) -> bool {
    matches!(error, TemplateError::NotIterable(kind) if kind == "string")
}

fn words(error: &TemplateError) -> String {
    match error {
        TemplateError::MissingKey { key } => format!("there is no field `.{key}`"),
        TemplateError::Exec(text) => text.clone(),
        error if is_text(error) => "`range` takes a list, and this is a text".to_owned(),
        other => other.to_string(),
    }
}

/// A diagnostic whose caret stands below the word at `at`.
fn told(source: &str, at: usize, message: String, help: Option<String>) -> Failure {
    let mut sources = Sources::new();
    let file = sources.add("--format", source);
    let at = (0..=at.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
    let rest = &source[at..];
    let ends = |letter: char| letter.is_whitespace() || "}|)".contains(letter);
    let length = rest.find(ends).unwrap_or(rest.len());
    let length = if length == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { length };
    let mut diagnostic = Diagnostic::error("bad-template", message).at(Span::new(file, at, at + length), "");
    if let Some(help) = help {
        diagnostic = diagnostic.help(help);
    }
    Failure::Diagnosed(Box::new((sources, vec![diagnostic])), 1)
}

/// Where it goes wrong, and the fields that there are instead of one that there is not.
struct Culprit {
    at: usize,
    keys: Option<String>,
}

/// Finds the first node of `list` that goes wrong; `wrap` gives the whole template with a list in its place.
fn culprit(
    list: &ListNode,
    fill: Fill<'_>,
    missing: Option<&str>,
    wrap: &dyn Fn(ListNode) -> ListNode,
) -> Option<Culprit> {
    let filled = |nodes: Vec<Node>| fill(&wrap(ListNode { pos: list.pos, nodes }));
    let length = (1..=list.nodes.len()).find(|length| filled(list.nodes[..*length].to_vec()).is_err())?;
    let (before, last) = (&list.nodes[..length - 1], &list.nodes[length - 1]);
    let with = |node: Node| -> Vec<Node> { before.iter().cloned().chain([node]).collect() };
    let found = |pipe: &PipeNode| {
        let first = pipe.commands.first().and_then(|command| command.args.first());
        let at = first.map_or(pipe.pos, Expr::pos).offset;
        let Some((expression, parent)) = missing.and_then(|key| naming(pipe, key)) else {
            return Culprit { at, keys: None };
        };
        let keys = match filled(with(asking(pipe.pos, parent))) {
            Err(TemplateError::Exec(keys)) => Some(keys),
            _ => None,
        };
        Culprit { at: expression.offset, keys }
    };
    match last {
        Node::Action(action) => Some(found(&action.pipe)),
        Node::Template(call) => call.pipe.as_ref().map(found),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
            let again = |body: ListNode, else_body: Option<ListNode>| {
                let branch = BranchNode { body, else_body, ..branch.clone() };
                match last {
                    Node::If(_) => Node::If(branch),
                    Node::With(_) => Node::With(branch),
                    _ => Node::Range(branch),
                }
            };
            let none = || ListNode { pos: branch.pos, nodes: vec![] };
            if filled(with(again(none(), None))).is_err() {
                return Some(found(&branch.pipe));
            }
            let in_body = |inner: ListNode| wrap(ListNode { pos: list.pos, nodes: with(again(inner, None)) });
            let in_else =
                |inner: ListNode| wrap(ListNode { pos: list.pos, nodes: with(again(none(), Some(inner))) });
            culprit(&branch.body, fill, missing, &in_body)
                .or_else(|| culprit(branch.else_body.as_ref()?, fill, missing, &in_else))
        }
        _ => None,
    }
}

/// The expression of a pipeline that names this field: its place, and what has no such field.
fn naming(pipe: &PipeNode, key: &str) -> Option<(Pos, Expr)> {
    let expressions = pipe.commands.iter().flat_map(|command| &command.args);
    expressions.into_iter().find_map(|expression| {
        let before = |path: &[SmolStr]| {
            let at = path.iter().position(|part| part == key)?;
            Some(path[..at].to_vec())
        };
        let pos = expression.pos();
        match expression {
            Expr::Field(_, path) => match before(path)? {
                path if path.is_empty() => Some((pos, Expr::Dot(pos))),
                path => Some((pos, Expr::Field(pos, path))),
            },
            Expr::Variable(_, name, path) => Some((pos, Expr::Variable(pos, name.clone(), before(path)?))),
            Expr::Pipe(_, pipe) => naming(pipe, key),
            Expr::Chain(_, inner, path) => match before(path) {
                Some(path) => Some((pos, Expr::Chain(pos, inner.clone(), path))),
                None => {
                    let commands = vec![CommandNode { pos, args: vec![(**inner).clone()] }];
                    naming(&PipeNode { pos, decl: vec![], commands, is_assign: false }, key)
                }
            },
            _ => None,
        }
    })
}

/// An action that fails with the keys of what `expression` gives.
fn asking(pos: Pos, expression: Expr) -> Node {
    let args = vec![Expr::Identifier(pos, SmolStr::new_static(functions::KEYS)), expression];
    let commands = vec![CommandNode { pos, args }];
    Node::Action(ActionNode { pos, pipe: PipeNode { pos, decl: vec![], commands, is_assign: false } })
}
