//! The attributes: those of `compose.schema.json`, and which of them files have.

use crate::root;
use compose_spec::documents;
use compose_spec::tree::{Node, Value};
use diagnostic::Sources;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(crate) fn schema() -> Json {
    let text = std::fs::read_to_string(root().join("compose-spec/compose.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The schema and what it is asked.
pub(crate) struct Model(pub(crate) Json);

/// A step from a value to one in it, as paths write it: `.key`, `.*`, `[]`.
type Inside<'a> = Vec<(String, &'a Json)>;

impl Model {
    /// A schema without references and alternatives.
    pub(crate) fn resolved<'a>(&'a self, schema: &'a Json) -> Vec<&'a Json> {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
            return self.resolved(self.0.pointer(name).unwrap());
        }
        match schema["anyOf"].as_array() {
            Some(all) => all.iter().flat_map(|schema| self.resolved(schema)).collect(),
            None => vec![schema],
        }
    }

    pub(crate) fn inside<'a>(&'a self, schema: &'a Json) -> Inside<'a> {
        let mut inside = vec![];
        for schema in self.resolved(schema) {
            let properties = schema["properties"].as_object().into_iter().flatten();
            inside.extend(properties.map(|(key, schema)| (format!(".{key}"), schema)));
            let others =
                ["additionalProperties", "items"].map(|key| schema.get(key).filter(|it| it.is_object()));
            let steps = [".*", "[]"].into_iter().zip(others);
            inside.extend(steps.filter_map(|(step, schema)| Some((step.to_owned(), schema?))));
        }
        inside
    }

    /// Whether a value is a mapping with keys of its own, or of such.
    pub(crate) fn holds_others(&self, schema: &Json) -> bool {
        let steps = self.inside(schema).into_iter();
        steps.into_iter().any(|(step, inner)| match step.as_str() {
            ".*" | "[]" => self.holds_others(inner),
            _ => true,
        })
    }

    /// Every attribute, by path, in the order of the alphabet.
    pub(crate) fn attributes(&self) -> BTreeMap<String, &Json> {
        let mut found = BTreeMap::new();
        self.attributes_in("", &self.0, &mut found);
        found
    }

    fn attributes_in<'a>(&'a self, path: &str, schema: &'a Json, found: &mut BTreeMap<String, &'a Json>) {
        for (step, inner) in self.inside(schema) {
            let path = format!("{path}{step}");
            if !step.ends_with('*') && step != "[]" {
                found.insert(path.trim_start_matches('.').to_owned(), inner);
            }
            self.attributes_in(&path, inner, found);
        }
    }

    /// The attributes that a tree has.
    fn used(&self, path: &str, schema: &Json, node: &Node, found: &mut BTreeSet<String>) {
        for (step, inner) in self.inside(schema) {
            let path = format!("{path}{step}");
            match (&node.value, step.as_str()) {
                (Value::Map(map), ".*") => {
                    map.values().for_each(|entry| self.used(&path, inner, &entry.node, found));
                }
                (Value::List(items), "[]") => {
                    items.iter().for_each(|item| self.used(&path, inner, item, found));
                }
                (Value::Map(map), key) => {
                    if let Some(entry) = map.get(&key[1..]) {
                        found.insert(path.trim_start_matches('.').to_owned());
                        self.used(&path, inner, &entry.node, found);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The attributes that the YAML files below a folder have.
pub(crate) fn used_below(model: &Model, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            used_below(model, &path, found);
        } else if name.ends_with(".yaml") && name != "expect.yaml" {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let mut sources = Sources::new();
            let file = sources.add("", text);
            for document in documents(&sources, file, &mut vec![]).unwrap_or_default() {
                model.used("", &model.0, &document, found);
            }
        }
    }
}
