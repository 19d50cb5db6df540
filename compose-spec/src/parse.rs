//! YAML text → spanned trees, one per document.
//!
//! saphyr-parser gives events; what Compose adds is here: anchors resolved (with a limit against alias
//! bombs), merge keys, string keys only, duplicate keys told with both places, the two tags.

pub(crate) mod damage;
mod repair;
mod syntax;

use std::borrow::Cow;
use std::collections::HashMap;

use diagnostic::{Diagnostic, FileId, Sources, Span};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use self::repair::{Failure, Mended};
use crate::number;
use crate::scope::is_enough;
use crate::tree::{Entry, Map, Mark, Node, Spare, Value};

/// Nodes a file may have with its aliases written out.
const MOST_NODES: usize = 400_000;
/// Mappings and lists within each other.
const DEEPEST: usize = 200;

/// Reads every document of `file`. Documents that hold nothing are left out.
/// `None` if the text is not YAML; then there is an error among `diagnostics`.
pub fn documents(sources: &Sources, file: FileId, diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<Node>> {
    let text = sources.shared_text(file);
    let told = diagnostics.len();
    let failure = match read(&text, &text, file, None, diagnostics) {
        Ok(documents) => return Some(documents),
        Err(Fault::Told(fault)) => {
            diagnostics.push(*fault);
            return None;
        }
        Err(Fault::Syntax(failure)) => failure,
    };
    let outcome = repair::repair(file, &text, &failure);
    let explained = !outcome.told.is_empty();
    // How wide a tab was meant nobody knows, so what comes of another width says nothing.
    let is_certain = outcome.told.iter().all(|told| told.code != "tab-indentation");
    let documents = outcome.mended.filter(|_| is_certain).and_then(|mended| {
        diagnostics.truncate(told);
        match read(&mended.text, &text, file, Some(&mended), diagnostics) {
            Ok(documents) => return Some(documents),
            Err(Fault::Told(fault)) => diagnostics.push(*fault),
            Err(Fault::Syntax(_)) => {}
        }
        None
    });
    diagnostics.extend(outcome.told);
    if documents.is_none() && !explained {
        diagnostics.push(syntax::tell(file, &text, &failure));
    }
    documents
}

/// Reads `text`, which is `written` or came of mending it.
fn read(
    text: &str,
    written: &str,
    file: FileId,
    mended: Option<&Mended>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Vec<Node>, Fault> {
    let mut reader = Reader {
        file,
        offsets: Offsets::of(text),
        mended,
        text: written,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        depth: 0,
        spare: Vec::new(),
        spare_lists: Vec::new(),
        diagnostics,
    };
    reader.stream()
}

/// Why reading stopped.
enum Fault {
    Told(Box<Diagnostic>),
    Syntax(Failure),
}

impl From<Diagnostic> for Fault {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Told(Box::new(diagnostic))
    }
}

/// Character positions, which saphyr counts, as byte offsets.
enum Offsets<'t> {
    Ascii,
    /// The offset of every sixteenth character.
    Table(&'t str, Vec<u32>),
}

/// Characters from one offset of the table to the next.
const STRIDE: usize = 16;

impl<'t> Offsets<'t> {
    fn of(text: &'t str) -> Self {
        if text.is_ascii() {
            return Self::Ascii;
        }
        let starts = text.char_indices().step_by(STRIDE).map(|(at, _)| at);
        Self::Table(text, starts.map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect())
    }

    fn byte(&self, marker: Marker) -> usize {
        match self {
            Self::Ascii => marker.index(),
            Self::Table(text, table) => {
                let Some(&start) = table.get(marker.index() / STRIDE) else { return text.len() };
                let rest = text.get(start as usize..).unwrap_or("");
                let mut characters = rest.char_indices().skip(marker.index() % STRIDE);
                characters.next().map_or(text.len(), |(at, _)| start as usize + at)
            }
        }
    }
}

struct Reader<'t, 'd> {
    file: FileId,
    /// The text as written; what is parsed may be a mended one.
    text: &'d str,
    offsets: Offsets<'t>,
    mended: Option<&'d Mended>,
    parser: Parser<'t, StrInput<'t>>,
    /// By saphyr's id; `None` while the anchored node is still being read.
    anchors: HashMap<usize, Option<(Node, usize)>>,
    nodes: usize,
    depth: usize,
    /// Room to read mappings into, for as many as there are within each other. What is read gets the room it
    /// needs when its length is known.
    spare: Vec<Spare>,
    /// The same for lists.
    spare_lists: Vec<Vec<Node>>,
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
                let (start, end) = (self.offset(span.start), self.offset(span.end));
                Ok((event, Span::new(self.file, start, end)))
            }
            Some(Err(error)) => Err(self.failed(&error)),
            None => Ok((Event::StreamEnd, Span::new(self.file, self.text.len(), self.text.len()))),
        }
    }

    fn offset(&self, marker: Marker) -> usize {
        let at = self.offsets.byte(marker);
        self.mended.map_or(at, |mended| mended.written(at))
    }

    fn failed(&self, error: &ScanError) -> Fault {
        let at = self.offset(*error.marker()).min(self.text.len());
        Fault::Syntax(Failure { at, info: error.info().to_owned() })
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes <= MOST_NODES {
            return Ok(());
        }
        let message = format!("this file has more than {MOST_NODES} values when its aliases are written out");
        Err(Diagnostic::error("too-many-values", message).at(span, "the limit is reached here").into())
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Fault> {
        let before = self.nodes;
        self.count(1, span)?;
        let (mut node, anchor, tag) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.look_at(&text, style, span);
                let value = scalar(text, style, tag.as_deref());
                (Node::new(value, span), anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(anchor);
                (self.nested(span, Self::sequence)?, anchor, tag)
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(anchor);
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

    /// Keeps that the value of an anchor is being read; 0 is none.
    fn begin(&mut self, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
    }

    /// Warns of an unquoted value that looks damaged.
    fn look_at(&mut self, text: &str, style: ScalarStyle, span: Span) {
        let is_odd = !text.is_ascii() || text.ends_with(['"', '\'']);
        if is_odd && style == ScalarStyle::Plain {
            self.diagnostics.extend(damage::of_value(text, span));
        }
        if text.contains(" - ") {
            match style {
                ScalarStyle::Plain => self.diagnostics.extend(damage::of_folded(self.text, span)),
                ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                    self.diagnostics.extend(damage::of_quoted(self.text, span));
                }
                _ => {}
            }
        }
    }

    fn nested(
        &mut self,
        span: Span,
        read: fn(&mut Self, Span) -> Result<Node, Fault>,
    ) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let message = format!("this is nested more than {DEEPEST} levels deep");
            return Err(Diagnostic::error("too-deep", message).at(span, "").into());
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
                Err(Diagnostic::error("alias-cycle", message).at(span, "this would have no end").into())
            }
            None => {
                let message = "an alias names an anchor of another document";
                let diagnostic = Diagnostic::error("unknown-anchor", message);
                Err(diagnostic.at(span, "no anchor of this document has this name").into())
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
        let mut items = self.spare_lists.pop().unwrap_or_default();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let mut fitted = Vec::with_capacity(items.len());
                fitted.append(&mut items);
                self.spare_lists.push(items);
                let span = Span::new(self.file, start.start as usize, span.end as usize);
                return Ok(Node::new(Value::List(fitted), span));
            }
            let mut item = self.node(event, span)?;
            if item.mark != Some(Mark::Reset) {
                item.mark = None;
                items.push(item);
            }
        }
    }

    fn mapping(&mut self, start: Span) -> Result<Node, Fault> {
        let mut map = Map::with_room(self.spare.pop().unwrap_or_default());
        let mut merged: Option<(Span, Node)> = None;
        let told = self.diagnostics.len();
        loop {
            let (event, key_span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                if let Some((span, node)) = merged {
                    self.merge(&mut map, span, node);
                }
                let span = Span::new(self.file, start.start as usize, key_span.end as usize);
                let (map, room) = map.fitted();
                self.spare.push(room);
                let is_bad = map.is_empty() && self.diagnostics.len() > told;
                return Ok(Node::new(if is_bad { Value::Bad } else { Value::Map(map) }, span));
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
            if let Err((key, _)) = map.insert_first(key, Entry { key_span, node }) {
                let earlier = map[&key].key_span;
                self.duplicate(&key, earlier, key_span);
            }
        }
    }

    fn duplicate(&mut self, key: &str, earlier: Span, span: Span) {
        let diagnostic = Diagnostic::error("duplicate-key", format!("the key `{key}` is written twice"))
            .at(span, "written again here")
            .at(earlier, "first written here");
        if is_enough(self.diagnostics) {
            return;
        }
        self.diagnostics.push(match key {
            "<<" => diagnostic.help("give the anchors as one list: `<<: [*first, *second]`"),
            _ => diagnostic.help("keep one of the two"),
        });
    }

    /// The key, or `None` if it is none (that is told).
    fn key(&mut self, event: Event<'t>, span: Span) -> Result<Option<String>, Fault> {
        if let Event::Scalar(text, ScalarStyle::Plain, ..) = &event
            && !text.is_ascii()
            && damage::is_odd_key(text)
            && self.mended.is_none()
        {
            let info = "a key holds typographic characters".to_owned();
            return Err(Fault::Syntax(Failure { at: span.start as usize, info }));
        }
        let node = self.node(event, span)?;
        if matches!(node.value, Value::Map(_)) && self.text.as_bytes()[..span.start as usize].ends_with(b"{")
        {
            self.diagnostics.push(
                Diagnostic::error("unquoted-brace", "a text that begins with `{{` must be quoted")
                    .at(span, "YAML takes this for a mapping in a mapping")
                    .help("put the whole value in quotes; a variable is written `${NAME}`"),
            );
            return Ok(None);
        }
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
                    map.or_insert_with(key, || entry);
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
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return Value::String(fitted(text));
    }
    plain(&text).unwrap_or_else(|| Value::String(fitted(text)))
}

/// The text in no more room than it needs. The scanner's has a hundred bytes to spare, which together were a
/// fifth of the memory of a large project, and stands where the next one can be read.
fn fitted(text: Cow<'_, str>) -> String {
    match text {
        Cow::Owned(text) if text.capacity() - text.len() < ROOM_TO_SPARE => text,
        text => String::from(&*text),
    }
}

/// Bytes that a text may have to spare: the allocator rounds up to these.
const ROOM_TO_SPARE: usize = 16;

/// What an unquoted scalar is, unless it is the text it is written as.
pub(crate) fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        _ => {}
    }
    let first = text.as_bytes()[0];
    if !first.is_ascii_digit() && !matches!(first, b'-' | b'+' | b'.') {
        return None;
    }
    let whole = number::int(text).map(Value::Int).or_else(|| number::big(text).map(Value::Big));
    let number = whole.or_else(|| number::float(text).map(Value::Float));
    number.or_else(|| number::timestamp_text(text).map(Value::String))
}
