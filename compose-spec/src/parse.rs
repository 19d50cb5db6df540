//! YAML text → spanned trees, one per document.
//!
//! saphyr-parser gives events; what Compose adds is here: anchors resolved (with a limit against alias
//! bombs), merge keys, string keys only, duplicate keys told with both places, the two tags.

use std::collections::HashMap;

use diagnostic::{Diagnostic, FileId, Sources, Span};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use crate::number;
use crate::tree::{Entry, Map, Mark, Node, Value};

/// Nodes a file may have with its aliases written out.
const MOST_NODES: usize = 100_000;
/// Mappings and lists within each other.
const DEEPEST: usize = 200;

/// Reads every document of `file`. Documents that hold nothing are left out.
/// `None` if the text is not YAML; then there is an error among `diagnostics`.
pub fn documents(sources: &Sources, file: FileId, diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<Node>> {
    let text = sources.shared_text(file);
    let mut reader = Reader {
        file,
        offsets: Offsets::of(&text),
        text: &text,
        parser: Parser::new_from_str(&text),
        anchors: HashMap::new(),
        nodes: 0,
        depth: 0,
        diagnostics,
    };
    match reader.stream() {
        Ok(documents) => Some(documents),
        Err(fault) => {
            reader.diagnostics.push(*fault);
            None
        }
    }
}

type Fault = Box<Diagnostic>;

/// Character positions, which saphyr counts, as byte offsets.
enum Offsets {
    Ascii,
    Table(Vec<u32>),
}

impl Offsets {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self::Ascii;
        }
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        Self::Table(starts.map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect())
    }

    fn byte(&self, marker: Marker) -> usize {
        match self {
            Self::Ascii => marker.index(),
            Self::Table(table) => {
                table.get(marker.index()).or(table.last()).map_or(0, |&offset| offset as usize)
            }
        }
    }
}

struct Reader<'t, 'd> {
    file: FileId,
    text: &'t str,
    offsets: Offsets,
    parser: Parser<'t, StrInput<'t>>,
    /// By saphyr's id; `None` while the anchored node is still being read.
    anchors: HashMap<usize, Option<(Node, usize)>>,
    nodes: usize,
    depth: usize,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl<'t> Reader<'t, '_> {
    fn stream(&mut self) -> Result<Vec<Node>, Fault> {
        let mut documents = Vec::new();
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(documents),
                (Event::DocumentStart(_), _) => {
                    self.anchors.clear();
                    let (event, span) = self.next()?;
                    let node = self.node(event, span)?;
                    if !node.is_null() {
                        documents.push(node);
                    }
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let (start, end) = (self.offsets.byte(span.start), self.offsets.byte(span.end));
                Ok((event, Span::new(self.file, start, end)))
            }
            Some(Err(error)) => Err(Box::new(self.syntax(&error))),
            None => Ok((Event::StreamEnd, Span::new(self.file, self.text.len(), self.text.len()))),
        }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let at = self.offsets.byte(*error.marker()).min(self.text.len());
        let line_start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = &self.text[line_start..];
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        let span = Span::new(self.file, at, at + 1);
        let diagnostic =
            Diagnostic::error("yaml-syntax", format!("this is not valid YAML: {}", error.info()));
        if let Some(tab) = indent.find('\t') {
            let tab = Span::new(self.file, line_start + tab, line_start + tab + 1);
            return diagnostic.at(tab, "a tab").help("YAML is indented with spaces only");
        }
        let info = error.info();
        let diagnostic = diagnostic.at(span, "");
        if info.contains("mapping values are not allowed") {
            diagnostic
                .help("a value that holds `: ` must be quoted, and the keys of a mapping start in one column")
        } else if info.contains("simple key expected") || info.contains("could not find expected ':'") {
            diagnostic.help("a key is followed by a colon and a blank: `key: value`")
        } else if info.contains("illegal placement") || info.contains("flow") {
            diagnostic.help("is every `[`, `{` and quote before this place closed?")
        } else {
            diagnostic
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes <= MOST_NODES {
            return Ok(());
        }
        let message = format!("this file has more than {MOST_NODES} values when its aliases are written out");
        Err(Box::new(Diagnostic::error("too-many-values", message).at(span, "the limit is reached here")))
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Fault> {
        let before = self.nodes;
        self.count(1, span)?;
        let (mut node, anchor, tag) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref());
                (Node::new(value, span), anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => {
                self.anchors.insert(anchor, None);
                (self.nested(span, Self::sequence)?, anchor, tag)
            }
            Event::MappingStart(anchor, tag) => {
                self.anchors.insert(anchor, None);
                (self.nested(span, Self::mapping)?, anchor, tag)
            }
            _ => (Node::new(Value::Null, span), 0, None),
        };
        node.mark = tag.and_then(|tag| self.mark(&tag, span));
        if anchor != 0 {
            self.anchors.insert(anchor, Some((node.clone(), self.nodes - before)));
        }
        Ok(node)
    }

    fn nested(
        &mut self,
        span: Span,
        read: fn(&mut Self, Span) -> Result<Node, Fault>,
    ) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let message = format!("this is nested more than {DEEPEST} levels deep");
            return Err(Box::new(Diagnostic::error("too-deep", message).at(span, "")));
        }
        let node = read(self, span);
        self.depth -= 1;
        node
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Fault> {
        match self.anchors.get(&id) {
            Some(Some((node, size))) => {
                let (node, size) = (node.clone(), *size);
                self.count(size, span)?;
                Ok(node)
            }
            Some(None) => {
                let message = "an alias stands inside the value it names: cycle detected";
                Err(Box::new(Diagnostic::error("alias-cycle", message).at(span, "this would have no end")))
            }
            None => {
                let message = "an alias names an anchor of another document";
                let diagnostic = Diagnostic::error("unknown-anchor", message);
                Err(Box::new(diagnostic.at(span, "no anchor of this document has this name")))
            }
        }
    }

    fn mark(&mut self, tag: &Tag, span: Span) -> Option<Mark> {
        match (tag.handle.as_str(), tag.suffix.as_str()) {
            ("!", "reset") => Some(Mark::Reset),
            ("!", "override") => Some(Mark::Override),
            _ if tag.is_yaml_core_schema() => None,
            _ => {
                self.diagnostics.push(
                    Diagnostic::warning(
                        "unknown-tag",
                        format!("the tag `{tag}` means nothing here and is ignored"),
                    )
                    .at(span, "")
                    .help("Compose knows `!reset` and `!override`"),
                );
                None
            }
        }
    }

    fn sequence(&mut self, start: Span) -> Result<Node, Fault> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let span = Span::new(self.file, start.start as usize, span.end as usize);
                return Ok(Node::new(Value::List(items), span));
            }
            let mut item = self.node(event, span)?;
            if item.mark != Some(Mark::Reset) {
                item.mark = None;
                items.push(item);
            }
        }
    }

    fn mapping(&mut self, start: Span) -> Result<Node, Fault> {
        let mut map = Map::new();
        let mut merged: Option<(Span, Node)> = None;
        loop {
            let (event, key_span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                if let Some((span, node)) = merged {
                    self.merge(&mut map, span, node);
                }
                let span = Span::new(self.file, start.start as usize, key_span.end as usize);
                return Ok(Node::new(Value::Map(map), span));
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text.as_ref() == "<<");
            let key = self.key(event, key_span)?;
            let (event, span) = self.next()?;
            let mut node = self.node(event, span)?;
            if node.is_null() && node.span.start == node.span.end {
                node.span = key_span;
            }
            let Some(key) = key else { continue };
            if is_merge {
                match &merged {
                    Some((earlier, _)) => self.duplicate("<<", *earlier, key_span),
                    None => merged = Some((key_span, node)),
                }
                continue;
            }
            match map.get(&key) {
                Some(earlier) => {
                    let earlier = earlier.key_span;
                    self.duplicate(&key, earlier, key_span);
                }
                None => {
                    map.insert(key, Entry { key_span, node });
                }
            }
        }
    }

    fn duplicate(&mut self, key: &str, earlier: Span, span: Span) {
        let diagnostic = Diagnostic::error("duplicate-key", format!("the key `{key}` is written twice"))
            .at(span, "written again here")
            .at(earlier, "first written here");
        self.diagnostics.push(match key {
            "<<" => diagnostic.help("give the anchors as one list: `<<: [*first, *second]`"),
            _ => diagnostic.help("keep one of the two"),
        });
    }

    /// The key, or `None` if it is none (that is told).
    fn key(&mut self, event: Event<'t>, span: Span) -> Result<Option<String>, Fault> {
        let node = self.node(event, span)?;
        let shown = match node.value {
            Value::String(text) => return Ok(Some(text)),
            Value::List(_) | Value::Map(_) => None,
            _ => Some(self.text.get(span.start as usize..span.end as usize).unwrap_or("").trim()),
        };
        let diagnostic = Diagnostic::error("key-not-string", "every key of a mapping must be a string");
        let kind = node_kind(shown);
        let diagnostic = diagnostic.at(span, format!("this is {kind}"));
        self.diagnostics.push(match shown {
            Some(text) if !text.is_empty() => diagnostic.help(format!("quote it: `\"{text}\"`")),
            _ => diagnostic,
        });
        Ok(None)
    }

    /// Adds what `<<` brings: explicit keys win, and of several mappings the earlier.
    fn merge(&mut self, map: &mut Map, span: Span, node: Node) {
        match node.value {
            Value::Map(other) => {
                for (key, entry) in other {
                    map.entry(key).or_insert(entry);
                }
            }
            Value::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
                for item in items {
                    self.merge(map, span, item);
                }
            }
            _ => self.diagnostics.push(
                Diagnostic::error("bad-merge-key", "`<<` needs a mapping or a list of mappings")
                    .at(span, format!("this is {}", node.kind()))
                    .help("name an anchor: `<<: *name`"),
            ),
        }
    }
}

fn node_kind(shown: Option<&str>) -> &'static str {
    match shown {
        None => "a mapping or a list",
        Some("" | "~" | "null" | "Null" | "NULL") => "null",
        Some(text) if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => "a boolean",
        Some(_) => "a number",
    }
}

/// What a scalar is: quoted ones and those under `!!str` are text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return Value::String(text.to_owned());
    }
    plain(text)
}

/// What an unquoted scalar is.
pub(crate) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let first = text.as_bytes()[0];
    if first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.') {
        if let Some(value) = number::int(text) {
            return Value::Int(value);
        }
        if let Some(value) = number::float(text) {
            return Value::Float(value);
        }
        if let Some(text) = number::timestamp_text(text) {
            return Value::String(text);
        }
    }
    Value::String(text.to_owned())
}
