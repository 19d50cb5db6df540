//! `compose.schema.json` is what the model gives, and judges as the loader does.
//!
//! A schema sees one tree and no more. So it judges a case wholly, as accepted or rejected, when its project is
//! one file with one document that nothing is merged with, and variables are replaced (a text with a `$` is let
//! through). Of the errors that the loader tells of such a file, those with the codes of [`STRUCTURE`] are a
//! schema's to find, unless they are about a text whose grammar is a short form's, where the schema takes any
//! text, or that held a variable. What every case prints when it is loaded is accepted.
//!
//! Where documents are merged (several files, `---`, `include`, `extends`, `!reset`), each one that a project
//! which loads is made of is accepted, but for keys that another brings; of a project that does not load, what
//! the loader says of a document's own structure is found there, and nothing else. What it cannot judge by
//! design: what
//! is wrong only with the whole of what is merged, texts that are no YAML, files that are not there, and
//! services of a file extended from that nobody extends, as the loader does not look at them.
//!
//! `BLESS=1` rewrites the file.

#![expect(clippy::disallowed_methods, reason = "the texts are those of the case folders")]

mod case;

use std::collections::BTreeMap;

use case::{Folder, request};
use compose_spec::discovery::find;
use compose_spec::tree::{Node, Value};
use compose_spec::{Loaded, documents, json_schema, load, render_yaml};
use diagnostic::{Sources, Span};
use jsonschema::Validator;
use serde_json::Value as Json;

const FILE: &str = "compose.schema.json";

/// Codes of errors about keys, shapes and scalars.
const STRUCTURE: [&str; 6] =
    ["unknown-key", "wrong-type", "missing-key", "bad-name", "bad-value", "unknown-value"];

/// Codes of slips of writing that the loader names in place of the wrong shape they make.
const SLIPS: [&str; 10] = [
    "missing-blank",
    "missing-colon",
    "mixed-list",
    "odd-blank",
    "odd-colon",
    "odd-dash",
    "odd-quotes",
    "unquoted-brace",
    "unquoted-colon",
    "wrong-indentation",
];

#[test]
fn the_file_is_what_the_model_gives() {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(FILE, json_schema()).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(kept == json_schema(), "{FILE} is not current; BLESS=1 rewrites it");
}

#[test]
fn the_schema_judges_every_case_as_the_loader_does() {
    let schema: Json = serde_json::from_str(&json_schema()).unwrap();
    let of_parts = jsonschema::validator_for(&without_required(schema.clone())).unwrap();
    let judge = Judge { validator: jsonschema::validator_for(&schema).unwrap(), of_parts, schema };
    let (mut outcomes, mut faults) = (BTreeMap::<&str, usize>::new(), vec![]);
    for chapter in std::fs::read_dir("cases").unwrap() {
        for case in std::fs::read_dir(chapter.unwrap().path()).unwrap() {
            let folder = Folder(case.unwrap().path());
            match judge.case(&folder) {
                Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
                Err(fault) => faults.push(format!("{}: {fault}", folder.0.display())),
            }
        }
    }
    eprintln!("{outcomes:#?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(outcomes["merged, rejected apart"] >= 10, "{outcomes:?}");
    assert!(outcomes["accepted"] > 20 && outcomes["rejected"] > 10, "{outcomes:?}");
}

struct Judge {
    schema: Json,
    validator: Validator,
    /// The same schema, but no key has to be there.
    of_parts: Validator,
}

impl Judge {
    fn case(&self, folder: &Folder) -> Result<&'static str, String> {
        let request = request(folder);
        let input = find(&request, folder).input;
        let loaded = load(&input, folder);
        let whole = request.options.interpolate && request.options.normalize;
        if let Some(project) = loaded.project.as_ref().filter(|_| whole) {
            let printed = render_yaml(project);
            let (tree, _) = tree(&printed).ok_or("what is printed cannot be read")?;
            let found = self.errors(&json(&tree));
            if !found.is_empty() {
                return Err(format!("what is printed is rejected at {found:?}"));
            }
        }
        // Of what is merged a file alone is not whole, but each that helps to load is accepted but for that.
        if loaded.project.is_some() && whole {
            for text in texts(folder) {
                let found = trees(&text).iter().flat_map(|tree| self.part_errors(tree)).collect::<Vec<_>>();
                if !found.is_empty() {
                    return Err(format!("a file of what loads is rejected at {found:?}"));
                }
            }
        }
        if !request.options.interpolate {
            return Ok("variables not replaced");
        }
        let [file] = &input.files[..] else { return self.parts(folder, &loaded) };
        let text = folder.real(file).and_then(|file| std::fs::read_to_string(file).ok());
        let Some(text) = text else { return Ok("no text") };
        if ["include:", "extends:", "!reset", "!override"].iter().any(|word| text.contains(word)) {
            return self.parts(folder, &loaded);
        }
        let Some((tree, told)) = tree(&text) else { return self.parts(folder, &loaded) };
        let found = self.errors(&json(&tree));
        let mut expected = vec![];
        for diagnostic in loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()) {
            let mut pointer = String::new();
            let is_here = STRUCTURE.contains(&diagnostic.code)
                && locate(&tree, diagnostic.span(), &mut pointer)
                && !told.contains(&diagnostic.code);
            if is_here && !self.takes_any_text(&tree, &pointer) {
                expected.push((pointer, diagnostic.message.to_string()));
            }
        }
        for (pointer, message) in &expected {
            if !found.iter().any(|other| near(other, pointer)) {
                return Err(format!(
                    "{pointer} is accepted, but the loader says: {message}\nfound {found:?}"
                ));
            }
        }
        // Where reading the YAML told something already, values are missing that the schema asks for; where
        // the loader names a slip, the schema sees but the wrong shape.
        let named = loaded.diagnostics.iter().any(|diagnostic| SLIPS.contains(&diagnostic.code));
        for pointer in found.iter().filter(|_| told.is_empty() && !named) {
            if !expected.iter().any(|(other, _)| near(other, pointer)) {
                return Err(format!("{pointer} is rejected, but not by the loader"));
            }
        }
        Ok(if found.is_empty() { "accepted" } else { "rejected" })
    }

    /// Judges each document that a project is made of, which lacks keys and knows of no other: what the
    /// loader says of the document's own keys, shapes and scalars is found, and what is found is said.
    fn parts(&self, folder: &Folder, loaded: &Loaded) -> Result<&'static str, String> {
        if loaded.project.is_some() {
            return Ok("merged, loads");
        }
        let errors = || loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
        let mut judged = 0;
        for error in errors().filter(|error| STRUCTURE.contains(&error.code) && error.code != "missing-key") {
            for tree in trees(loaded.sources.text(error.span().file)) {
                let mut pointer = String::new();
                if !locate(&tree, error.span(), &mut pointer) || self.takes_any_text(&tree, &pointer) {
                    continue;
                }
                judged += 1;
                if !self.part_errors(&tree).iter().any(|other| near(other, &pointer)) {
                    return Err(format!("{pointer} is accepted, but the loader says: {}", error.message));
                }
            }
        }
        let named = errors().any(|error| SLIPS.contains(&error.code));
        for text in texts(folder).iter().filter(|_| !named) {
            for tree in trees(text) {
                for found in self.part_errors(&tree) {
                    judged += 1;
                    let told = errors().any(|error| {
                        let mut pointer = String::new();
                        loaded.sources.text(error.span().file) == text.as_str()
                            && locate(&tree, error.span(), &mut pointer)
                            && near(&found, &pointer)
                    });
                    if !told {
                        return Err(format!("{found} of a part is rejected, but not by the loader"));
                    }
                }
            }
        }
        Ok(if judged == 0 { "merged, accepted apart" } else { "merged, rejected apart" })
    }

    /// The places that the schema finds fault with.
    fn errors(&self, json: &Json) -> Vec<String> {
        self.validator.iter_errors(json).map(|error| error.instance_path().to_string()).collect()
    }

    /// What is wrong with a part of what is merged: it may lack keys, and what is empty takes an earlier value.
    fn part_errors(&self, tree: &Node) -> Vec<String> {
        let json = without_nulls(json(tree));
        self.of_parts.iter_errors(&json).map(|error| error.instance_path().to_string()).collect()
    }

    /// Whether the value at `pointer` is a text with a variable, or one that the schema takes whatever it is.
    fn takes_any_text(&self, tree: &Node, pointer: &str) -> bool {
        let (mut node, mut schemas) = (tree, vec![&self.schema]);
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let resolved: Vec<&Json> = schemas.iter().flat_map(|schema| self.resolved(schema)).collect();
            let inner = match &node.value {
                Value::Map(map) => {
                    let Some(entry) = map.get(&part) else { return false };
                    node = &entry.node;
                    resolved
                        .iter()
                        .filter_map(|schema| {
                            schema["properties"].get(&part).or(schema.get("additionalProperties"))
                        })
                        .collect()
                }
                Value::List(items) => {
                    let Some(item) = part.parse().ok().and_then(|at: usize| items.get(at)) else {
                        return false;
                    };
                    node = item;
                    resolved.iter().filter_map(|schema| schema.get("items")).collect()
                }
                _ => return false,
            };
            schemas = inner;
        }
        let free = |schema: &Json| {
            let types = &schema["type"];
            let is_text =
                types == "string" || types.as_array().is_some_and(|all| all.contains(&"string".into()));
            is_text && schema.get("pattern").is_none()
        };
        let Value::String(text) = &node.value else { return false };
        text.contains('$') || schemas.iter().flat_map(|schema| self.resolved(schema)).any(free)
    }

    /// A schema without references and alternatives.
    fn resolved<'a>(&'a self, schema: &'a Json) -> Vec<&'a Json> {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#")) {
            return self.schema.pointer(name).into_iter().flat_map(|schema| self.resolved(schema)).collect();
        }
        match schema["anyOf"].as_array() {
            Some(all) => all.iter().flat_map(|schema| self.resolved(schema)).collect(),
            None => vec![schema],
        }
    }
}

/// Whether one place is in the other, as JSON pointers.
fn near(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn without_required(mut schema: Json) -> Json {
    match &mut schema {
        Json::Object(map) => {
            // A key of a Compose file may have these names, too: that is described by an object.
            map.retain(|key, value| !(["required", "allOf"].contains(&key.as_str()) && value.is_array()));
            map.values_mut().for_each(|value| *value = without_required(value.take()));
        }
        Json::Array(items) => items.iter_mut().for_each(|value| *value = without_required(value.take())),
        _ => {}
    }
    schema
}

fn without_nulls(mut json: Json) -> Json {
    match &mut json {
        Json::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(|value| *value = without_nulls(value.take()));
        }
        Json::Array(items) => items.iter_mut().for_each(|value| *value = without_nulls(value.take())),
        _ => {}
    }
    json
}

/// The texts of a case that are Compose files and not only extended from.
fn texts(folder: &Folder) -> Vec<String> {
    let (case, mut found) = (&folder.0, vec![]);
    let mut folders = vec![case.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder of a case can be read") {
            let path = entry.expect("an entry of it can be read").path();
            let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            if path.is_dir() {
                folders.push(path);
            } else if is_yaml && !path.ends_with("expect.yaml") {
                let name = path.strip_prefix(case).unwrap_or(&path).display().to_string();
                found.extend(std::fs::read_to_string(&path).ok().map(|text| (name, text)));
            }
        }
    }
    let texts: Vec<String> = found.iter().map(|(_, text)| text.clone()).collect();
    let is_base = |name: &str| texts.iter().any(|text| text.contains(&format!("file: {name}")));
    found.retain(|(name, text)| text.contains("services:") && !is_base(name));
    found.into_iter().map(|(_, text)| text).collect()
}

/// Every document of a text that can be read without fault.
fn trees(text: &str) -> Vec<Node> {
    let mut sources = Sources::new();
    let (mut told, file) = (vec![], sources.add("compose.yaml", text));
    let documents = documents(&sources, file, &mut told).unwrap_or_default();
    if diagnostic::has_errors(&told) { vec![] } else { documents }
}

/// The only document of a text, and the codes of what is wrong with its YAML.
fn tree(text: &str) -> Option<(Node, Vec<&'static str>)> {
    let mut sources = Sources::new();
    let (mut told, file) = (vec![], sources.add("compose.yaml", text));
    let mut documents = documents(&sources, file, &mut told)?;
    let codes = told.iter().filter(|diagnostic| diagnostic.is_error()).map(|diagnostic| diagnostic.code);
    (documents.len() == 1).then(|| (documents.remove(0), codes.collect()))
}

fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Bad => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Big(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => map.iter().map(|(key, entry)| (key.clone(), json(&entry.node))).collect(),
    }
}

/// Finds the node at a place, as a JSON pointer. A place of a key is that of its mapping when it is no key
/// of the schema, so both count as near.
fn locate(node: &Node, span: Span, pointer: &mut String) -> bool {
    let same = |other: Span| (other.start, other.end) == (span.start, span.end);
    let length = pointer.len();
    let step = |part: &str, inner: Option<&Node>, key: bool, pointer: &mut String| {
        pointer.push('/');
        pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
        let found = key || inner.is_some_and(|inner| locate(inner, span, pointer));
        if !found {
            pointer.truncate(length);
        }
        found
    };
    let below = match &node.value {
        Value::Map(map) => {
            map.iter().any(|(key, entry)| step(key, Some(&entry.node), same(entry.key_span), pointer))
        }
        Value::List(items) => {
            items.iter().enumerate().any(|(index, item)| step(&index.to_string(), Some(item), false, pointer))
        }
        _ => false,
    };
    below || same(node.span)
}
