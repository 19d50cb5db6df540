//! `config --explain`: where every value comes from.

use super::{Args, options, unknown_format};
use crate::exit::Failure;
use crate::session::Session;
use compose_spec::{Explanation, Options, Used};
use serde_json::{Value, json};

/// The values at `path` (empty: all) and their origins, a line each, or as JSON.
pub(super) fn text(
    args: &Args,
    session: &Session,
    services: &[String],
    path: &str,
) -> Result<String, Failure> {
    let options = Options { trace: true, ..options(args, session) };
    let (project, loaded) = session.load_chosen(services, options)?;
    let environment = session.environment();
    let found = compose_spec::explain(&project, &loaded, path, &|name| environment.origin(name));
    if found.is_empty() && !path.is_empty() {
        let all = compose_spec::explain(&project, &loaded, "", &|_| None);
        let paths: Vec<&str> = all.iter().map(|it| it.path.as_str()).collect();
        let failure = Failure::new(format!("the project has nothing at `{path}`"));
        return Err(match near(path, &paths) {
            Some(near) => failure.hint(format!("there is something at `{near}`")),
            None => failure.hint("a path is made of keys and positions: `services.web.ports[0]`"),
        });
    }
    match args.format.as_deref() {
        None | Some("" | "yaml" | "text") => Ok(found.iter().map(line).collect()),
        Some("json") => {
            let values: Vec<Value> = found.iter().map(object).collect();
            Ok(format!("{:#}\n", Value::Array(values)))
        }
        Some(other) => Err(unknown_format(other)),
    }
}

/// What was probably meant by a path: as far as it is right, and the key that looks like the first wrong one.
fn near(path: &str, known: &[&str]) -> Option<String> {
    let is_known = |begun: &str| {
        let rests = known.iter().filter_map(|path| path.strip_prefix(begun));
        rests.into_iter().any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let mut ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
    let wrong = &path[..ends.find(|&end| !is_known(&path[..end]))?];
    let before = wrong.rfind('.').map_or("", |dot| &wrong[..=dot]);
    let key = |rest: &'_ str| rest.find(['.', '[']).unwrap_or(rest.len());
    let word = &wrong[before.len()..];
    let beside = known.iter().filter_map(|path| path.strip_prefix(before)).map(|rest| &rest[..key(rest)]);
    diagnostic::nearest(&word[..key(word)], beside).map(|near| format!("{before}{near}"))
}

/// `PATH: VALUE <- TEXT in PLACE, NAME=VALUE from PLACE, overrides TEXT in PLACE, by way of PLACE`.
fn line(explanation: &Explanation) -> String {
    let mut line = format!("{}: {} <- ", explanation.path, shown(&explanation.value));
    match &explanation.written {
        None => line.push_str("implied"),
        Some(written) if explanation.is_default => line.push_str(&format!("default at {}", written.place)),
        Some(written) if written.text.trim_matches(['"', '\'']) == explanation.value => {
            line.push_str(&written.place);
        }
        Some(written) => line.push_str(&format!("{} in {}", written.text, written.place)),
    }
    for used in &explanation.variables {
        line.push_str(&format!(", {}", variable(used)));
    }
    for written in &explanation.overrides {
        line.push_str(&format!(", overrides {} in {}", written.text, written.place));
    }
    for place in &explanation.through {
        line.push_str(&format!(", by way of {place}"));
    }
    line.push('\n');
    line
}

fn variable(used: &Used) -> String {
    match (&used.value, &used.from) {
        (Some(value), Some(from)) => format!("{}={} from {from}", used.name, shown(value)),
        (Some(value), None) => format!("{}={}", used.name, shown(value)),
        (None, Some(from)) => format!("{} from {from}", used.name),
        (None, None) => format!("{} is not set", used.name),
    }
}

/// A value on one line, without what a terminal would act on.
fn shown(value: &str) -> String {
    if value.is_empty() || value.chars().any(char::is_control) {
        json!(value).to_string()
    } else {
        value.to_owned()
    }
}

fn object(explanation: &Explanation) -> Value {
    let written = |written: &compose_spec::Written| json!({"place": written.place, "text": written.text});
    let variables = explanation.variables.iter();
    let variables = variables.map(|used| json!({"name": used.name, "value": used.value, "from": used.from}));
    json!({
        "path": explanation.path,
        "value": explanation.value,
        "written": explanation.written.as_ref().map(written),
        "default": explanation.is_default,
        "variables": variables.collect::<Vec<_>>(),
        "overrides": explanation.overrides.iter().map(written).collect::<Vec<_>>(),
        "through": explanation.through,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_looks_like_another_is_named() {
        let known = ["name", "services.web.image", "services.web.ports[0].target", "volumes.data.name"];
        let meant = |path| near(path, &known);
        assert_eq!(meant("services.wbe").as_deref(), Some("services.web"));
        assert_eq!(meant("services.web.prots[0].target").as_deref(), Some("services.web.ports"));
        assert_eq!(meant("services.web.ports[9]").as_deref(), Some("services.web.ports"));
        assert_eq!(meant("service.web").as_deref(), Some("services"));
        assert_eq!(meant("services.web.healthcheck"), None);
    }
}
