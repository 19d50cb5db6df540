//! Go's template language with Docker's functions: `{{range .Publishers}}`, `{{if eq .State "running"}}`,
//! `{{.Name | upper | printf "%-20s"}}`, `{{.Label "key"}}`. The language itself is the library `gotmpl`'s; here
//! a template is read, made to fit what Docker's users write, filled in, and given a header.

use super::functions::{self, Functions};
use super::{balance, fault};
use crate::exit::Failure;
use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos, SmolStr};
use gotmpl::{MissingKey, TemplateError};
use serde_json::{Map, Value};

/// A template that has been read.
#[derive(Clone)]
pub(crate) struct Template {
    /// As it was written.
    source: String,
    tree: ListNode,
    /// What `define` and `block` made, by name.
    defined: Vec<(String, ListNode)>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Template").field(&self.source).finish()
    }
}

/// The name of the whole template, beside those that it defines.
const WHOLE: &str = "--format";

impl Template {
    /// Reads a template; `\t` and `\n` outside of actions are a tab and a line's end.
    ///
    /// # Errors
    /// What is no template, or names a function that there is not, with its place.
    pub(crate) fn parse(source: &str) -> Result<Self, Failure> {
        let read =
            gotmpl::Template::new(WHOLE).parse(source).map_err(|error| fault::unread(source, &error))?;
        balance::check(source).map_err(|(at, what)| fault::alone(source, at, what))?;
        let empty = ListNode { pos: Pos::new(0, 1), nodes: vec![] };
        let mut tree = read.lookup(WHOLE).cloned().unwrap_or(empty);
        let names = read.templates().into_iter().filter(|name| *name != WHOLE);
        let defined = names.filter_map(|name| Some((name.to_owned(), read.lookup(name)?.clone())));
        let mut defined: Vec<(String, ListNode)> = defined.collect();
        for list in std::iter::once(&mut tree).chain(defined.iter_mut().map(|(_, list)| list)) {
            let mut unknown = None;
            adapt(list, &mut |pos, name| unknown = unknown.take().or_else(|| Some((pos, name.to_owned()))));
            if let Some((pos, name)) = unknown {
                return Err(fault::unknown_function(source, pos.offset, &name));
            }
        }
        Ok(Self { source: source.to_owned(), tree, defined })
    }

    /// Whether it is `{{json .}}` and nothing else.
    pub(crate) fn is_json_of_all(&self) -> bool {
        let [Node::Action(action)] = &self.tree.nodes[..] else { return false };
        let [command] = &action.pipe.commands[..] else { return false };
        matches!(&command.args[..], [Expr::Identifier(_, name), Expr::Dot(_)] if name == "json")
    }

    /// The text for one row.
    ///
    /// # Errors
    /// The place of what cannot be had of this row, such as a field it does not have.
    pub(crate) fn render(
        &self,
        row: &Map<String, Value>,
        labels: &resource::Labels,
    ) -> Result<String, Failure> {
        let row = functions::row(row);
        let own = functions::of_row(labels, row.field("Labels"));
        let fill = |tree: &ListNode| self.fill(tree, &own, &row);
        fill(&self.tree).map_err(|error| fault::unfilled(&self.source, &self.tree, &error, &fill))
    }

    fn fill(&self, tree: &ListNode, own: &Functions, row: &gotmpl::Value) -> Result<String, TemplateError> {
        let mut functions = functions::dockers();
        functions.extend(own.iter().map(|(name, function)| (name.clone(), function.clone())));
        let mut template = gotmpl::Template::new(WHOLE)
            .missing_key(MissingKey::Error)
            .funcs(functions)
            .add_parse_tree(WHOLE, tree.clone());
        for (name, list) in &self.defined {
            template = template.add_parse_tree(name, list.clone());
        }
        template.execute_template_to_string(WHOLE, row)
    }

    /// The header of a `table` template: for each action the title of the first field it names.
    pub(crate) fn header(&self, title: &dyn Fn(&str) -> String) -> String {
        let mut text = String::new();
        for node in &self.tree.nodes {
            match node {
                Node::Text(plain) => text.push_str(&plain.text),
                // A variable's value is shown where the variable is.
                Node::Action(action) if !action.pipe.decl.is_empty() => {}
                _ => {
                    text.push_str(&first_field(node).map_or_else(String::new, |field| titled(&field, title)))
                }
            }
        }
        text
    }
}

/// What an action shows first.
enum Named {
    Field(String),
    Label(String),
}

fn titled(named: &Named, title: &dyn Fn(&str) -> String) -> String {
    match named {
        Named::Field(name) => title(name),
        // The last part of its name, as words.
        Named::Label(key) => key.rsplit('.').next().unwrap_or(key).replace(['-', '_'], " "),
    }
}

fn first_field(node: &Node) -> Option<Named> {
    match node {
        Node::Action(action) => in_pipe(&action.pipe),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
            in_pipe(&branch.pipe).or_else(|| branch.body.nodes.iter().find_map(first_field))
        }
        Node::List(list) => list.nodes.iter().find_map(first_field),
        Node::Template(call) => call.pipe.as_ref().and_then(in_pipe),
        Node::Text(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => None,
    }
}

fn in_pipe(pipe: &PipeNode) -> Option<Named> {
    pipe.commands.iter().find_map(|command| match &command.args[..] {
        [Expr::Identifier(_, name), Expr::String(_, key)] if name == functions::LABEL => {
            Some(Named::Label(key.to_string()))
        }
        [Expr::Identifier(_, name), Expr::Field(_, path), Expr::String(_, key)]
            if name == "index" && path.iter().eq(["Labels"]) =>
        {
            Some(Named::Label(key.to_string()))
        }
        arguments => arguments.iter().find_map(in_expression),
    })
}

fn in_expression(expression: &Expr) -> Option<Named> {
    match expression {
        Expr::Field(_, path) => path.last().map(|name| Named::Field(name.to_string())),
        Expr::Variable(_, _, path) => path.last().map(|name| Named::Field(name.to_string())),
        Expr::Pipe(_, pipe) => in_pipe(pipe),
        Expr::Chain(_, inner, path) => {
            in_expression(inner).or_else(|| path.last().map(|name| Named::Field(name.to_string())))
        }
        _ => None,
    }
}

/// Makes a tree fit: `\t` and `\n` in texts, and `.Label` with an argument, which is a function and no field.
/// Tells functions that there are not.
fn adapt(list: &mut ListNode, unknown: &mut dyn FnMut(Pos, &str)) {
    for node in &mut list.nodes {
        match node {
            Node::Text(plain) => {
                if plain.text.contains('\\') {
                    plain.text = plain.text.replace("\\t", "\t").replace("\\n", "\n").into();
                }
            }
            Node::Action(action) => adapt_pipe(&mut action.pipe, unknown),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                let BranchNode { pipe, body, else_body, .. } = branch;
                adapt_pipe(pipe, unknown);
                adapt(body, unknown);
                else_body.iter_mut().for_each(|list| adapt(list, unknown));
            }
            Node::Template(call) => call.pipe.iter_mut().for_each(|pipe| adapt_pipe(pipe, unknown)),
            Node::List(list) => adapt(list, unknown),
            Node::Define(define) => adapt(&mut define.body, unknown),
            Node::Break(_) | Node::Continue(_) => {}
        }
    }
}

fn adapt_pipe(pipe: &mut PipeNode, unknown: &mut dyn FnMut(Pos, &str)) {
    for (at, CommandNode { args, .. }) in pipe.commands.iter_mut().enumerate() {
        let has_argument = at > 0 || args.len() > 1;
        args.iter_mut().for_each(|expression| adapt_expression(expression, unknown));
        let label = match args.first() {
            Some(Expr::Field(pos, path)) if path.iter().eq(["Label"]) => Some(*pos),
            Some(Expr::Variable(pos, name, path)) if name == "$" && path.iter().eq(["Label"]) => Some(*pos),
            _ => None,
        };
        if let Some(pos) = label.filter(|_| has_argument) {
            args[0] = Expr::Identifier(pos, SmolStr::new_static(functions::LABEL));
        }
    }
}

fn adapt_expression(expression: &mut Expr, unknown: &mut dyn FnMut(Pos, &str)) {
    match expression {
        Expr::Identifier(pos, name) if !functions::is_known(name) => unknown(*pos, name),
        Expr::Pipe(_, pipe) => adapt_pipe(pipe, unknown),
        Expr::Chain(_, inner, _) => adapt_expression(inner, unknown),
        _ => {}
    }
}
