//! What a model means without saying it: the default network, inferred dependencies, names.

use std::collections::BTreeMap;

use diagnostic::Span;

use crate::tree::{Entry, Map, Node, Value};

/// Makes the implicit explicit. `project` is the name of the project.
pub(crate) fn model(model: &mut Node, project: &str, environment: &BTreeMap<String, String>) {
    let mut default_used = false;
    if let Some(services) = model.get_mut("services").and_then(Node::as_map_mut) {
        for entry in services.values_mut() {
            service(&mut entry.node, environment);
            default_used |=
                entry.node.get("networks").is_some_and(|networks| networks.get("default").is_some());
        }
    }
    if default_used && model.get("networks").is_none_or(|networks| networks.get("default").is_none()) {
        let span = Span::NOWHERE;
        if model.get("networks").is_none_or(|networks| networks.as_map().is_none()) {
            model.set("networks", Node::map(span));
        }
        if let Some(networks) = model.get_mut("networks") {
            networks.set("default", Node::new(Value::Null, span));
        }
    }
    for section in ["networks", "volumes", "secrets", "configs", "models"] {
        let Some(map) = model.get_mut(section).and_then(Node::as_map_mut) else { continue };
        for (key, Entry { key_span, node }) in map {
            if node.is_null() {
                *node = Node::map(*key_span);
            }
            let is_external = node.get("external").and_then(Node::as_bool) == Some(true);
            // A variable that is not set leaves an empty one, by which nothing can be made.
            let is_named = node.get("name").is_some_and(|name| name.as_str() != Some(""));
            if section != "models" && !is_named {
                let name = if is_external { key.clone() } else { format!("{project}_{key}") };
                node.set("name", Node::string(name, *key_span));
            }
        }
    }
}

fn service(node: &mut Node, environment: &BTreeMap<String, String>) {
    if node.as_map().is_none() {
        return;
    }
    let has_mode = node.str("network_mode").is_some_and(|mode| !mode.is_empty());
    let joins = !has_mode && node.get("provider").is_none();
    let has_networks = match node.get("networks").map(|networks| &networks.value) {
        Some(Value::Map(map)) => !map.is_empty(),
        Some(Value::Bad) => true,
        _ => false,
    };
    if joins && !has_networks {
        let mut map = Map::new();
        map.insert(
            "default".to_owned(),
            Entry { key_span: Span::NOWHERE, node: Node::new(Value::Null, Span::NOWHERE) },
        );
        node.set("networks", Node::new(Value::Map(map), Span::NOWHERE));
    }
    if let Some(policy) = node.get_mut("pull_policy")
        && policy.as_str() == Some("if_not_present")
    {
        policy.value = Value::String("missing".to_owned());
    }
    if let Some(build) = node.get_mut("build")
        && build.as_map().is_some()
    {
        // An empty name, as of a variable that is not set, means the usual file as well: what is printed
        // without it would be loaded with it.
        let unnamed = build.get("dockerfile").is_none_or(|name| name.as_str() == Some(""));
        if unnamed && build.get("dockerfile_inline").is_none() {
            build.set("dockerfile", Node::string("Dockerfile", build.span));
        }
        if let Some(args) = build.get_mut("args") {
            resolve(args, environment);
            match &mut args.value {
                Value::Map(map) => map.retain(|_, entry| !entry.node.is_null()),
                Value::List(items) => {
                    items.retain(|item| item.as_str().is_none_or(|text| text.contains('=')));
                }
                _ => {}
            }
        }
    }
    infer(node);
    let image = node.get("image").cloned();
    if let (Some(image), Some(Value::List(hooks))) =
        (image, node.get_mut("pre_start").map(|hooks| &mut hooks.value))
    {
        for hook in hooks.iter_mut().filter(|hook| hook.get("image").is_none()) {
            hook.set("image", image.clone());
        }
    }
}

/// Gives entries without a value the one of the environment; what is not there stays null.
/// A list of assignments is there only where nothing is interpolated.
pub(crate) fn resolve(variables: &mut Node, environment: &BTreeMap<String, String>) {
    match &mut variables.value {
        Value::Map(map) => {
            for (name, entry) in map.iter_mut().filter(|(_, entry)| entry.node.is_null()) {
                if let Some(value) = environment.get(name) {
                    entry.node.value = Value::String(value.clone());
                }
            }
        }
        Value::List(items) => {
            for item in items {
                let named = item.as_str().and_then(|name| environment.get_key_value(name));
                if let Some((name, value)) = named {
                    item.value = Value::String(format!("{name}={value}"));
                }
            }
        }
        _ => {}
    }
}

/// The dependencies that follow from other keys. What is said explicitly wins.
fn infer(node: &mut Node) {
    let mut found: Vec<(String, Span, bool)> = Vec::new();
    let texts = |key: &str| node.get(key).and_then(Node::as_list).unwrap_or(&[]).iter();
    for link in texts("links") {
        if let Some(text) = link.as_str() {
            found.push((text.split(':').next().unwrap_or(text).to_owned(), link.span, true));
        }
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        if let Some(value) = node.get(key)
            && let Some(service) = value.as_str().and_then(|text| text.strip_prefix("service:"))
        {
            found.push((service.to_owned(), value.span, true));
        }
    }
    for from in texts("volumes_from") {
        if let Some(text) = from.as_str().filter(|text| !text.starts_with("container:")) {
            found.push((text.split(':').next().unwrap_or(text).to_owned(), from.span, false));
        }
    }
    if found.is_empty() {
        return;
    }
    if node.get("depends_on").is_none_or(Node::is_null) {
        node.set("depends_on", Node::map(Span::NOWHERE));
    }
    let Some(map) = node.get_mut("depends_on").and_then(Node::as_map_mut) else { return };
    for (service, span, restart) in found {
        map.or_insert_with(service, || {
            let mut inferred = Node::map(span);
            inferred.set("condition", Node::string("service_started", span));
            inferred.set("required", Node::new(Value::Bool(true), span));
            if restart {
                inferred.set("restart", Node::new(Value::Bool(true), span));
            }
            // A key without a place of its own marks the entry as inferred.
            Entry { key_span: Span::NOWHERE, node: inferred }
        });
    }
}
