//! A service as canonical JSON: the text its configuration hash is made of.

use crate::model::{Project, Service};
use crate::tree::{Map, Node, Value};

/// Keys that do not change what a container is.
const NOT_HASHED: [&str; 5] = ["build", "pull_policy", "scale", "depends_on", "profiles"];

impl Project {
    /// The canonical JSON of a service, enabled or not, for its configuration hash: keys sorted, no blanks,
    /// without `build`, `pull_policy`, `scale`, `deploy.replicas`, `depends_on` and `profiles`.
    /// `None` if there is no such service.
    pub fn service_canonical_json(&self, name: &str) -> Option<String> {
        let service = self.services.get(name).or_else(|| self.disabled_services.get(name))?;
        Some(service.canonical_json())
    }
}

impl Service {
    /// See [`Project::service_canonical_json`].
    pub fn canonical_json(&self) -> String {
        let mut text = String::with_capacity(512);
        let Some(map) = self.tree.as_map() else { return "{}".to_owned() };
        write_map(&mut text, map, &NOT_HASHED, |key, node, text| {
            if key == "deploy"
                && let Some(deploy) = node.as_map()
            {
                write_map(text, deploy, &["replicas"], |_, node, text| write(text, node));
            } else {
                write(text, node);
            }
        });
        text
    }
}

fn write_map(text: &mut String, map: &Map, without: &[&str], each: impl Fn(&str, &Node, &mut String)) {
    text.push('{');
    let mut first = true;
    for (key, entry) in map.iter().filter(|(key, _)| !without.contains(&key.as_str())) {
        if !std::mem::take(&mut first) {
            text.push(',');
        }
        write_string(text, key);
        text.push(':');
        each(key, &entry.node, text);
    }
    text.push('}');
}

fn write(text: &mut String, node: &Node) {
    match &node.value {
        Value::Null | Value::Bad => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Int(_) | Value::Big(_) | Value::Float(_) => {
            text.push_str(&node.scalar_text().unwrap_or_default())
        }
        Value::String(value) => write_string(text, value),
        Value::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(text, item);
            }
            text.push(']');
        }
        Value::Map(map) => write_map(text, map, &[], |_, node, text| write(text, node)),
    }
}

/// Writes `value` as a JSON string.
pub(crate) fn write_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control < ' ' => text.push_str(&format!("\\u{:04x}", control as u32)),
            other => text.push(other),
        }
    }
    text.push('"');
}
