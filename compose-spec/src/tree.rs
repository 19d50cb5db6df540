//! The spanned tree: YAML after parsing, before it means anything.
//!
//! Every node and every key knows its place. Mappings are ordered by key, as their order means nothing.

mod map;

use diagnostic::Span;

pub use map::Map;
pub(crate) use map::Spare;

/// A value of the tree and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands; of a value that stands nowhere, the place of what caused it.
    pub span: Span,
    /// `!reset` or `!override`.
    pub(crate) mark: Option<Mark>,
}

/// A value under a key.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The place of the key.
    pub key_span: Span,
    /// The value.
    pub node: Node,
}

/// What a node can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number from 2^63 to 2^64 − 1: an identifier, as no attribute takes one.
    Big(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping.
    Map(Map),
    /// Something that has been reported as wrong; it is skipped from then on.
    Bad,
}

impl PartialEq for Node {
    /// Nodes are equal when their values are, wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

/// The two tags of Compose: what a node does to the same place in earlier files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Removes it and contributes nothing.
    Reset,
    /// Takes its place instead of being merged.
    Override,
}

impl Node {
    /// A node at `span`.
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span, mark: None }
    }

    /// A text node at `span`.
    pub fn string(text: impl Into<String>, span: Span) -> Self {
        Self::new(Value::String(text.into()), span)
    }

    /// An empty mapping at `span`.
    pub fn map(span: Span) -> Self {
        Self::new(Value::Map(Map::new()), span)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self.value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self.value {
            Value::Int(value) => Some(value as f64),
            Value::Big(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The mapping, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The value under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key).map(|entry| &entry.node)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_map_mut()?.get_mut(key).map(|entry| &mut entry.node)
    }

    /// The text under `key`, if this is a mapping that has one there.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Puts `node` under `key`; on anything but a mapping it does nothing.
    pub(crate) fn set(&mut self, key: &str, node: Node) {
        if let Value::Map(map) = &mut self.value {
            let key_span = map.get(key).map_or(node.span, |entry| entry.key_span);
            map.insert(key.to_owned(), Entry { key_span, node });
        }
    }

    /// The place of what `path` names (keys and list positions, joined by dots; a key may itself hold
    /// dots), or of the deepest part of it that exists.
    pub fn place(&self, path: &str) -> Span {
        let mut node = self;
        let mut rest = path;
        'walk: while !rest.is_empty() {
            match &node.value {
                Value::Map(map) => {
                    let ends = rest.match_indices('.').map(|(at, _)| at).chain([rest.len()]);
                    for end in ends.collect::<Vec<_>>().into_iter().rev() {
                        if let Some(entry) = map.get(&rest[..end]) {
                            node = &entry.node;
                            rest = rest.get(end + 1..).unwrap_or("");
                            continue 'walk;
                        }
                    }
                    return node.span;
                }
                Value::List(items) => {
                    let (head, tail) = rest.split_once('.').unwrap_or((rest, ""));
                    let Some(item) = head.parse().ok().and_then(|at: usize| items.get(at)) else {
                        return node.span;
                    };
                    (node, rest) = (item, tail);
                }
                _ => return node.span,
            }
        }
        node.span
    }

    /// The place of the first text in it that is `wanted`.
    pub(crate) fn find(&self, wanted: &str) -> Option<Span> {
        match &self.value {
            Value::String(text) => (text == wanted).then_some(self.span),
            Value::List(items) => items.iter().find_map(|item| item.find(wanted)),
            Value::Map(map) => map.values().find_map(|entry| entry.node.find(wanted)),
            _ => None,
        }
    }

    /// How many values it is made of, itself included.
    pub(crate) fn size(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(map) => map.values().map(|entry| entry.node.size()).sum(),
            _ => 0,
        }
    }

    /// The kind of value in the words of messages: "a mapping", "a number".
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "empty",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Big(_) | Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Bad => "unusable",
        }
    }

    /// A scalar as the text it becomes where a string is wanted: `true`, `8`, `1.5`; `None` for the rest.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            Value::Big(value) => Some(value.to_string()),
            Value::Float(value) => Some(crate::number::float_text(*value)),
            Value::String(text) => Some(text.clone()),
            _ => None,
        }
    }
}
