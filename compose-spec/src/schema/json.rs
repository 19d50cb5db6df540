//! The model as a JSON Schema (draft 2020-12), for editors and other programs.
//!
//! It says what one file may hold: keys, shapes and the grammar of scalars. What it leaves to the loader is
//! what takes more than one value to see: references, exclusions, ranges of ports. A text that holds a `$` is
//! let through wherever a text may stand for something else, as only the loader knows what it becomes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::about::about;
use super::{Kind, Object, TOP};
use crate::canonical::write_string;
use crate::pod;

/// A text that means a boolean.
const BOOLEAN: &str =
    "^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[yY]|[yY][eE][sS]|[oO][nN]|[nN]|[nN][oO]|[oO][fF][fF])$";
const WHOLE: &str = r"^\s*[+-]?[0-9]+\s*$";
const NUMBER: &str = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$";
const DURATION: &str = r"^(0|\+?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$";
const BYTES: &str = r"^\s*(-1|([0-9]+\.?[0-9]*|\.[0-9]+) ?([bB]|[kKmMgGtTpP]([iI]?[bB])?)?)\s*$";
const NAME: &str = "^[a-zA-Z0-9._-]+$";

/// The schema, with a final newline.
pub fn json_schema() -> String {
    let mut definitions = Definitions::default();
    let mut schema: Entries = vec![
        ("$schema".into(), text("https://json-schema.org/draft/2020-12/schema")),
        ("title".into(), text("Compose file")),
        ("description".into(), text("What `compose` accepts; generated from its model.")),
    ];
    let mut top = definitions.object(&TOP, "");
    if let Some((_, Json::Map(properties))) = top.iter_mut().find(|(key, _)| key == "properties") {
        properties.push((pod::KEY.into(), pod()));
    }
    schema.extend(top);
    let made = definitions.made.into_iter().map(|(name, (_, json))| (name.into(), json));
    schema.push(("$defs".into(), Json::Map(made.collect())));
    let mut out = String::new();
    Json::Map(schema).write(0, &mut out);
    out.push('\n');
    out
}

/// The extension that this program knows.
fn pod() -> Json {
    let words = pod::PodNamespace::words().map(text).collect();
    let share = vec![
        ("description".into(), text("Namespaces that all services of the project share.")),
        ("type".into(), Json::List(vec![text("array"), text("null")])),
        ("items".into(), map([("enum", Json::List(words))])),
    ];
    let limit = |key: &'static str| {
        let what = format!("As `{key}` of a service, for all services of the project together.");
        let types = ["number", "string", "null"].map(text).into();
        (key, Json::Map(vec![("description".into(), text(what)), ("type".into(), Json::List(types))]))
    };
    let properties = pod::limits().map(limit).chain([("share", Json::Map(share))]);
    let properties = properties.map(|(key, json)| (key.into(), json)).collect();
    Json::Map(vec![
        ("description".into(), text("What the services of the project share, as the containers of a pod.")),
        ("type".into(), Json::List(vec![text("object"), text("null")])),
        ("properties".into(), Json::Map(properties)),
        ("patternProperties".into(), map([("^x-", map([]))])),
        ("additionalProperties".into(), Json::Bool(false)),
    ])
}

type Entries = Vec<(Cow<'static, str>, Json)>;

/// What the schema is written with.
enum Json {
    Bool(bool),
    Int(i64),
    Text(Cow<'static, str>),
    List(Vec<Json>),
    Map(Entries),
}

fn text(text: impl Into<Cow<'static, str>>) -> Json {
    Json::Text(text.into())
}

fn map<const N: usize>(entries: [(&'static str, Json); N]) -> Json {
    Json::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn of_type(name: &'static str) -> Json {
    map([("type", text(name))])
}

/// A text of this grammar, or one that holds a variable.
fn pattern(pattern: &str) -> Json {
    map([("type", text("string")), ("pattern", text(format!(r"{pattern}|\$")))])
}

/// Objects that others refer to, by name.
#[derive(Default)]
struct Definitions {
    made: BTreeMap<String, (*const Object, Json)>,
}

impl Definitions {
    fn object(&mut self, object: &'static Object, name: &str) -> Entries {
        let mut properties: Entries = Vec::with_capacity(object.fields.len());
        for field in object.fields.iter() {
            let mut alternatives = self.alternatives(&field.kind, name);
            if field.null || matches!(field.kind, Kind::Named(_)) {
                alternatives.push(of_type("null"));
            }
            let Json::Map(mut schema) = any_of(alternatives) else { continue };
            if let Some(words) = about(object.name, field.name) {
                schema.insert(0, ("description".into(), text(words)));
            }
            properties.push((field.name.into(), Json::Map(schema)));
        }
        let mut entries = vec![
            ("type".into(), text("object")),
            ("properties".into(), Json::Map(properties)),
            ("patternProperties".into(), map([("^x-", map([]))])),
            ("additionalProperties".into(), Json::Bool(false)),
        ];
        let all = |keys: &[&'static str]| Json::List(keys.iter().copied().map(text).collect());
        type Keys = &'static [&'static str];
        let (single, several): (Vec<Keys>, Vec<Keys>) =
            object.required.iter().partition(|keys| keys.len() == 1);
        if !single.is_empty() {
            entries.push(("required".into(), all(&single.concat())));
        }
        let one_of = |keys: Keys| {
            map([("anyOf", Json::List(keys.iter().map(|key| map([("required", all(&[key]))])).collect()))])
        };
        if !several.is_empty() {
            entries.push(("allOf".into(), Json::List(several.into_iter().map(one_of).collect())));
        }
        entries
    }

    /// Refers to an object, which is described once.
    fn refer(&mut self, object: &'static Object, parent: &str) -> Json {
        let slug = slug(object.name);
        let long = format!("{parent}-{slug}");
        let known = |name: &str| self.made.get(name).is_some_and(|(made, _)| std::ptr::eq(*made, object));
        let is_taken = self.made.contains_key(&slug) && !known(&slug);
        let name = if is_taken { long } else { slug };
        if !known(&name) {
            // The name is taken first, so that what lies below finds another.
            self.made.insert(name.clone(), (object, Json::Bool(true)));
            let json = Json::Map(self.object(object, &name));
            self.made.insert(name.clone(), (object, json));
        }
        map([("$ref", text(format!("#/$defs/{name}")))])
    }

    /// What a value of this kind can be; nothing at all stands for anything.
    fn alternatives(&mut self, kind: &'static Kind, parent: &str) -> Vec<Json> {
        match kind {
            Kind::Any | Kind::Never => vec![],
            Kind::Text => vec![of_type("string")],
            Kind::Checked(grammar) => vec![pattern(grammar.pattern)],
            Kind::Scalar => ["string", "number", "boolean"].map(of_type).into(),
            Kind::TextOrNumber => ["string", "number"].map(of_type).into(),
            Kind::Bool => vec![of_type("boolean"), pattern(BOOLEAN)],
            Kind::StrictBool => vec![of_type("boolean")],
            Kind::Int(least, most) => vec![whole(*least, *most), pattern(WHOLE)],
            Kind::Number => vec![of_type("number"), pattern(NUMBER)],
            Kind::Duration => vec![pattern(DURATION)],
            Kind::Bytes => vec![of_type("integer"), pattern(BYTES)],
            Kind::Enum(words) => {
                let words = words.iter().map(|word| text(*word)).collect();
                vec![
                    map([("enum", Json::List(words))]),
                    map([("type", text("string")), ("pattern", text(r"\$"))]),
                ]
            }
            Kind::List(inner) => {
                let items = any_of(self.alternatives(inner, parent));
                vec![map([("type", text("array")), ("items", items)])]
            }
            Kind::Map(inner) => {
                vec![map([("type", text("object")), ("additionalProperties", self.entry(inner, parent))])]
            }
            Kind::Named(inner) => vec![map([
                ("type", text("object")),
                ("propertyNames", map([("pattern", text(NAME))])),
                ("additionalProperties", self.entry(inner, parent)),
            ])],
            Kind::Object(object) => vec![self.refer(object, parent)],
            Kind::Shapes(scalar, list, map) => {
                let shapes = [scalar, list, map].into_iter();
                shapes.flat_map(|kind| self.alternatives(kind, parent)).collect()
            }
        }
    }

    /// A value under a key of the user, which may be empty unless it is an object that may not.
    fn entry(&mut self, kind: &'static Kind, parent: &str) -> Json {
        let mut alternatives = self.alternatives(kind, parent);
        if !matches!(kind, Kind::Object(object) if !object.may_be_null()) && !alternatives.is_empty() {
            alternatives.push(of_type("null"));
        }
        any_of(alternatives)
    }
}

fn whole(least: i64, most: i64) -> Json {
    let bounds = [("minimum", least, i64::MIN), ("maximum", most, i64::MAX)];
    let bounds = bounds.into_iter().filter(|(_, bound, none)| bound != none);
    let mut entries: Entries = vec![("type".into(), text("integer"))];
    entries.extend(bounds.map(|(key, bound, _)| (key.into(), Json::Int(bound))));
    Json::Map(entries)
}

/// One of several; plain types are put together.
fn any_of(mut alternatives: Vec<Json>) -> Json {
    let plain =
        |json: &Json| matches!(json, Json::Map(entries) if entries.len() == 1 && entries[0].0 == "type");
    match alternatives.len() {
        0 => map([]),
        1 => alternatives.remove(0),
        _ if alternatives.iter().all(plain) => {
            let types = alternatives.into_iter().filter_map(|json| match json {
                Json::Map(mut entries) => Some(entries.remove(0).1),
                _ => None,
            });
            map([("type", Json::List(types.collect()))])
        }
        _ => map([("anyOf", Json::List(alternatives))]),
    }
}

/// "a service's network" → "service-network".
fn slug(name: &str) -> String {
    let words = name.split(' ').filter(|word| !matches!(*word, "a" | "an" | "of"));
    words
        .map(|word| word.trim_matches('`').trim_end_matches("'s").to_lowercase())
        .collect::<Vec<_>>()
        .join("-")
}

/// Columns that a line may have.
const WIDTH: usize = 110;

impl Json {
    /// Writes it on one line where it fits.
    fn write(&self, depth: usize, out: &mut String) {
        let mut line = String::new();
        self.write_line(&mut line);
        if 2 * depth + line.chars().count() <= WIDTH {
            return out.push_str(&line);
        }
        let indent = |depth: usize, out: &mut String| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        };
        match self {
            Json::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    indent(depth + 1, out);
                    item.write(depth + 1, out);
                }
                indent(depth, out);
                out.push(']');
            }
            Json::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    indent(depth + 1, out);
                    write_string(out, key);
                    out.push_str(": ");
                    value.write(depth + 1, out);
                }
                indent(depth, out);
                out.push('}');
            }
            _ => out.push_str(&line),
        }
    }

    fn write_line(&self, out: &mut String) {
        match self {
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Int(value) => out.push_str(&value.to_string()),
            Json::Text(text) => write_string(out, text),
            Json::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    item.write_line(out);
                }
                out.push(']');
            }
            Json::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    write_string(out, key);
                    out.push_str(": ");
                    value.write_line(out);
                }
                out.push('}');
            }
        }
    }
}
