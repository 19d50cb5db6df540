//! What only merged files can be asked: is every key there that must be, is nothing null that may not be.
//! Then the defaults that the long forms have.

use diagnostic::Diagnostic;

use crate::check::wrong;
use crate::schema::{Kind, Object, TOP};
use crate::scope::{Path, Scope};
use crate::tree::{Map, Node, Value};

/// Looks for what is missing in a whole model.
pub(crate) fn model(node: &mut Node, scope: &mut Scope<'_>) {
    if let Value::Map(map) = &mut node.value {
        fields(map, &TOP, &Path::Top, scope);
    }
}

fn fields(map: &mut Map, object: &'static Object, path: &Path<'_>, scope: &mut Scope<'_>) {
    for (key, entry) in map {
        let Some(field) = object.field(key) else { continue };
        let path = Path::Key(path, key);
        if entry.node.is_null() {
            let is_section = matches!(field.kind, Kind::Named(_));
            if !field.null && !is_section && !matches!(field.kind, Kind::Any) {
                wrong(&mut entry.node, &field.kind, &path, scope);
            }
            continue;
        }
        value(&mut entry.node, &field.kind, &path, scope);
    }
}

fn value(node: &mut Node, kind: &Kind, path: &Path<'_>, scope: &mut Scope<'_>) {
    let span = node.span;
    match (kind, &mut node.value) {
        (Kind::Shapes(_, list, map), value) => {
            let inner = if matches!(value, Value::List(_)) { list } else { map };
            let long = matches!((value, inner), (Value::Map(_), Kind::Never));
            if !long {
                self::value(node, inner, path, scope);
            }
        }
        (Kind::Object(object), Value::Map(map)) => {
            for required in object.missing(map) {
                let (has, needs) = match required {
                    [only] => (format!("no `{only}`"), format!("`{only}`")),
                    several => (
                        format!("neither `{}`", several.join("` nor `")),
                        format!("`{}`", several.join("` or `")),
                    ),
                };
                let diagnostic = Diagnostic::error("missing-key", format!("`{path}` has {has}"))
                    .at(span, format!("{} needs {needs}", object.name));
                scope.tell(match (object.name, required) {
                    ("a mount", ["type"]) => diagnostic.help(
                        "`type: bind` takes a path of the host as `source`, `type: volume` the name of a volume",
                    ),
                    _ => diagnostic,
                });
            }
            fields(map, object, path, scope);
        }
        (Kind::List(inner), Value::List(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                value(item, inner, &Path::Item(path, index), scope);
            }
        }
        (Kind::Map(inner) | Kind::Named(inner), Value::Map(map)) => entries(map, inner, path, scope),
        _ => {}
    }
}

fn entries(map: &mut Map, kind: &Kind, path: &Path<'_>, scope: &mut Scope<'_>) {
    for (key, entry) in map {
        let path = Path::Key(path, key);
        match kind {
            Kind::Object(object) if entry.node.is_null() => {
                if !object.may_be_null() {
                    wrong(&mut entry.node, kind, &path, scope);
                }
            }
            _ => value(&mut entry.node, kind, &path, scope),
        }
    }
}

/// Fills the defaults of the long forms in.
pub(crate) fn defaults(model: &mut Node) {
    let Some(services) = model.get_mut("services").and_then(Node::as_map_mut) else { return };
    for entry in services.values_mut() {
        service(&mut entry.node);
    }
}

fn service(node: &mut Node) {
    if let Some(build) = node.get_mut("build") {
        default(build, "context", Value::String(".".to_owned()));
        // As an empty `dockerfile` is the usual one.
        if build.str("context") == Some("") {
            build.set("context", Node::string(".", build.span));
        }
    }
    each(node.get_mut("secrets"), |secret| {
        if let Some(source) = secret.str("source") {
            let target = format!("/run/secrets/{source}");
            default(secret, "target", Value::String(target));
        }
    });
    each(node.get_mut("volumes"), |mount| {
        if let Some(bind) = mount.get_mut("bind") {
            default(bind, "create_host_path", Value::Bool(true));
        }
    });
    if let Some(map) = node.get_mut("depends_on").and_then(Node::as_map_mut) {
        map.values_mut().for_each(|entry| default(&mut entry.node, "required", Value::Bool(true)));
    }
    each(node.get_mut("gpus"), device_request);
    let devices = node.get_mut("deploy").and_then(|deploy| deploy.get_mut("resources"));
    each(
        devices
            .and_then(|resources| resources.get_mut("reservations"))
            .and_then(|held| held.get_mut("devices")),
        device_request,
    );
}

fn device_request(node: &mut Node) {
    if node.get("count").is_none() && node.get("device_ids").is_none() {
        default(node, "count", Value::Int(-1));
    }
}

fn each(list: Option<&mut Node>, act: impl Fn(&mut Node)) {
    if let Some(Value::List(items)) = list.map(|node| &mut node.value) {
        items.iter_mut().for_each(act);
    }
}

fn default(node: &mut Node, key: &str, value: Value) {
    if node.as_map().is_some_and(|map| !map.contains_key(key)) {
        node.set(key, Node::new(value, node.span));
    }
}
