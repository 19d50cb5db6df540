//! `config --variables`: the variables that the files refer to, neither replaced nor checked.

use super::{Args, unknown_format};
use crate::exit::Failure;
use crate::files::Disk;
use crate::session::Session;
use crate::view::table::table;
use compose_spec::{Options, Variable};
use serde_json::{Map, json};

/// The variables as a table, or as YAML or JSON.
pub(super) fn text(args: &Args, session: &Session) -> Result<String, Failure> {
    let input = session.input(&[], Options { interpolate: false, ..Options::default() })?;
    let (variables, loaded) = compose_spec::variables(&input, &Disk);
    if diagnostic::has_errors(&loaded.diagnostics) {
        return Err(session.diagnostics(&loaded, &loaded.diagnostics));
    }
    match args.format.as_deref() {
        None | Some("" | "table") => Ok(as_table(&variables)),
        Some("json") => Ok(as_json(&variables)),
        Some("yaml") => Ok(as_yaml(&variables)),
        Some(other) => Err(unknown_format(other)),
    }
}

fn as_table(variables: &[Variable]) -> String {
    let rows: Vec<Vec<String>> = variables
        .iter()
        .map(|variable| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let required = variable.required.to_string();
            vec![variable.name.clone(), required, text(&variable.default), text(&variable.alternate)]
        })
        .collect();
    table(&["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"], &rows)
}

fn as_json(variables: &[Variable]) -> String {
    let entries = variables.iter().map(|variable| {
        let value = json!({
            "Name": variable.name,
            "DefaultValue": variable.default.as_deref().unwrap_or_default(),
            "PresenceValue": variable.alternate.as_deref().unwrap_or_default(),
            "Required": variable.required,
        });
        (variable.name.clone(), value)
    });
    format!("{}\n", serde_json::Value::Object(entries.collect::<Map<_, _>>()))
}

fn as_yaml(variables: &[Variable]) -> String {
    // A text in JSON is one in YAML.
    let quoted = |text: &Option<String>| json!(text.as_deref().unwrap_or_default()).to_string();
    let entry = |variable: &Variable| {
        format!(
            "{}:\n    name: {}\n    defaultvalue: {}\n    presencevalue: {}\n    required: {}\n",
            json!(variable.name),
            json!(variable.name),
            quoted(&variable.default),
            quoted(&variable.alternate),
            variable.required
        )
    };
    if variables.is_empty() { "{}\n".to_owned() } else { variables.iter().map(entry).collect() }
}
