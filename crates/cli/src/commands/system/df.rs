//! `compose system df`: what takes room on the disk, and how much of it nothing uses.

mod each;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::template::{self, Format};
use crate::view::{size, table};
use engine::{Engine, bytes_below};
use resource::{Digest, Image, Labels, Mount, ObservedContainer, Status};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Flags of `system df`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table, table TEMPLATE, json, or a template
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// Each image, container, volume and layer of the build cache
    #[arg(short, long)]
    verbose: bool,
}

/// One kind of thing: how many there are and are used, and their bytes.
struct Row {
    kind: &'static str,
    count: usize,
    active: usize,
    bytes: u64,
    reclaimable: u64,
}

/// The columns' titles where they are not the names of template fields.
const TITLES: [(&str, &str); 1] = [("TotalCount", "TOTAL")];

/// Prints a line for each kind, or for each thing.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse(&args.format)?;
    let engine = session.engine()?;
    if args.verbose {
        output::result(&each::text(engine, &format)?)?;
        return Ok(Exit::Success);
    }
    let rows = rows(engine)?;
    let none = Labels::new();
    let fields = || rows.iter().map(|row| (fields(row), &none)).collect::<Vec<_>>();
    let text = match &format {
        Format::Table => {
            let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
            table::table(&["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], &cells)
        }
        Format::Json => format!("{}\n", Value::Array(rows.iter().map(object).collect())),
        Format::TableOf(template) => template::titled(template, &TITLES, true, &fields())?,
        Format::Lines(template) => template::rows(template, false, &fields())?,
    };
    output::result(&text)?;
    Ok(Exit::Success)
}

fn rows(engine: &Engine) -> Result<[Row; 4], Failure> {
    let pods = engine.pods().map_err(|error| Failure::because("cannot list the projects", error))?;
    let containers: Vec<&ObservedContainer> = pods.iter().flat_map(|pod| &pod.containers).collect();
    let usage = engine.store().usage();
    let images = engine.store().images();
    let used: BTreeSet<&Digest> = containers.iter().map(|container| &container.record.image).collect();
    let bytes =
        |layers: &BTreeSet<&Digest>| layers.iter().filter_map(|layer| usage.layers.get(*layer)).sum::<u64>();
    let ids: BTreeSet<&Digest> = images.iter().map(|image| &image.id).collect();
    let in_images: BTreeSet<&Digest> = images.iter().flat_map(|image| &image.layers).collect();
    let in_use: BTreeSet<&Digest> =
        images.iter().filter(|image| used.contains(&image.id)).flat_map(|image| &image.layers).collect();
    let kept = |images: &mut dyn Iterator<Item = &Image>| -> u64 {
        let blobs: BTreeMap<Digest, u64> =
            images.flat_map(|image| engine.store().kept_blobs(image)).collect();
        blobs.values().sum()
    };
    let total: u64 = bytes(&in_images) + kept(&mut images.iter());
    let needed = bytes(&in_use) + kept(&mut images.iter().filter(|image| used.contains(&image.id)));
    let builds = usage.build_layers.iter().filter(|layer| !in_images.contains(layer)).collect();
    let build_bytes = usage.build_bytes + bytes(&builds);
    Ok([
        Row {
            kind: "Images",
            count: ids.len(),
            active: ids.intersection(&used).count(),
            bytes: total,
            reclaimable: total - needed,
        },
        of_containers(engine, &containers),
        of_volumes(engine, &containers),
        Row {
            kind: "Build Cache",
            count: usage.build_steps,
            active: 0,
            bytes: build_bytes,
            reclaimable: build_bytes,
        },
    ])
}

fn of_containers(engine: &Engine, containers: &[&ObservedContainer]) -> Row {
    let mut row = Row { kind: "Containers", count: containers.len(), active: 0, bytes: 0, reclaimable: 0 };
    for container in containers {
        let folder = engine.roots().container(&container.record.spec.pod, &container.record.id);
        let bytes = bytes_below(&folder.join("upper"));
        row.bytes += bytes;
        if container.state.status == Status::Running {
            row.active += 1;
        } else {
            row.reclaimable += bytes;
        }
    }
    row
}

fn of_volumes(engine: &Engine, containers: &[&ObservedContainer]) -> Row {
    let mounts = containers.iter().flat_map(|container| &container.record.mounts);
    let used: BTreeSet<&str> = mounts.filter_map(Mount::volume).map(|(volume, _)| volume.as_str()).collect();
    let volumes = engine.volumes();
    let mut row = Row { kind: "Local Volumes", count: volumes.len(), active: 0, bytes: 0, reclaimable: 0 };
    for volume in &volumes {
        let bytes = bytes_below(&engine.roots().volume(&volume.spec.name).join("_data"));
        row.bytes += bytes;
        if used.contains(volume.spec.name.as_str()) {
            row.active += 1;
        } else {
            row.reclaimable += bytes;
        }
    }
    row
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.kind.to_owned(),
        row.count.to_string(),
        row.active.to_string(),
        size::human(row.bytes),
        reclaimable(row),
    ]
}

/// Bytes, and how much of all that is.
fn reclaimable(row: &Row) -> String {
    let percent = (row.reclaimable * 100).checked_div(row.bytes).unwrap_or(0);
    format!("{} ({percent}%)", size::human(row.reclaimable))
}

/// What templates may name.
fn fields(row: &Row) -> Map<String, Value> {
    let fields = [
        ("Type", row.kind.to_owned()),
        ("TotalCount", row.count.to_string()),
        ("Active", row.active.to_string()),
        ("Size", size::human(row.bytes)),
        ("Reclaimable", reclaimable(row)),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn object(row: &Row) -> Value {
    json!({
        "Type": row.kind,
        "TotalCount": row.count,
        "Active": row.active,
        "Size": row.bytes,
        "Reclaimable": row.reclaimable,
    })
}
