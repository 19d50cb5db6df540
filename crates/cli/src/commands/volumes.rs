//! `compose volumes`: lists volumes.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::table;
use crate::view::template::{self, Format};
use crate::{output, select};
use engine::Engine;
use resource::{Mount, Status, VolumeRecord};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Flags of `volumes`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table, table TEMPLATE, json, or a template
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    pub(crate) format: String,
    /// Only names
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Lists the volumes of the project.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse_or_raw(&args.format, template::RAW_VOLUME)?;
    let subject = session.subject(&[])?;
    let observed = session.observe(&subject.pod)?;
    let chosen = select::services(&args.services, subject.known(&observed))?;
    let mounted: BTreeSet<&str> = observed
        .containers
        .iter()
        .filter(|container| chosen.contains(&container.record.spec.service))
        .filter(|container| container.state.status == Status::Running)
        .flat_map(|container| container.record.mounts.iter())
        .filter_map(Mount::volume)
        .map(|(volume, _)| volume.as_str())
        .collect();
    let records: Vec<&VolumeRecord> = observed
        .volumes
        .iter()
        .map(|volume| &volume.record)
        .filter(|record| chosen.is_empty() || mounted.contains(record.spec.name.as_str()))
        .collect();
    list(session.engine()?, &records, &format, args.quiet)
}

/// Lists these volumes, by their names alone when `quiet`.
pub(crate) fn list(
    engine: &Engine,
    records: &[&VolumeRecord],
    format: &Format,
    quiet: bool,
) -> Result<Exit, Failure> {
    if quiet {
        output::result(&records.iter().map(|record| format!("{}\n", record.spec.name)).collect::<String>())?;
        return Ok(Exit::Success);
    }
    let fields: Vec<_> = records
        .iter()
        .map(|record| {
            (object(record, &engine.roots().volume(&record.spec.name).join("_data")), &record.spec.labels)
        })
        .collect();
    let text = match format {
        Format::Table => {
            let rows: Vec<Vec<String>> = records
                .iter()
                .map(|record| vec![record.spec.driver.clone(), record.spec.name.to_string()])
                .collect();
            table::table(&["DRIVER", "VOLUME NAME"], &rows)
        }
        Format::Json => {
            fields.into_iter().map(|(fields, _)| format!("{}\n", Value::Object(fields))).collect()
        }
        Format::TableOf(template) => template::titled(template, &[("Name", "VOLUME NAME")], true, &fields)?,
        Format::Lines(template) => template::rows(template, false, &fields)?,
    };
    output::result(&text)?;
    Ok(Exit::Success)
}

fn object(record: &VolumeRecord, mountpoint: &std::path::Path) -> Map<String, Value> {
    let labels: Vec<String> =
        record.spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let object = json!({
        "Availability": "N/A", "Driver": record.spec.driver, "Group": "N/A", "Labels": labels.join(","),
        "Links": "N/A", "Mountpoint": mountpoint.display().to_string(), "Name": record.spec.name.as_str(),
        "Scope": "local", "Size": "N/A", "Status": "N/A",
    });
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
