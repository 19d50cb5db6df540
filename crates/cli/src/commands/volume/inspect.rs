//! `compose volume inspect`: all that is known of volumes, as Docker writes it.

use super::find::{self, Known};
use crate::commands::pods;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::template;
use engine::Engine;
use resource::VolumeRecord;
use serde_json::{Map, Value, json};

/// Flags of `volume inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// json, or a template
    #[arg(short, long, default_value = "json", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// Names
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

/// Prints a list with an object for each volume, or each through a template.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let pods = pods(session)?;
    let engine = session.viewer()?;
    let known = find::every(engine, &pods);
    let chosen = args.volumes.iter().map(|word| find::one(&known, word));
    let chosen: Vec<&Known> = chosen.collect::<Result<_, _>>()?;
    let rows: Vec<_> =
        chosen.iter().map(|one| (object(engine, &one.record), &one.record.spec.labels)).collect();
    output::result(&template::inspected(&args.format, rows)?)?;
    Ok(Exit::Success)
}

fn object(engine: &Engine, record: &VolumeRecord) -> Map<String, Value> {
    let spec = &record.spec;
    let object = json!({
        "CreatedAt": record.created.to_string(),
        "Driver": spec.driver,
        "Labels": spec.labels,
        "Mountpoint": engine.store().volume_path(&spec.name),
        "Name": spec.name.as_str(),
        "Options": spec.options,
        "Scope": "local",
    });
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
