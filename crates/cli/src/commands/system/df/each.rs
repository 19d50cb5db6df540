//! `compose system df --verbose`: each image, container, volume and layer of the build cache with its room.

use crate::commands::image::ls;
use crate::exit::Failure;
use crate::view::template::{Format, plain};
use crate::view::{row, size, table};
use engine::{Engine, PodSummary, bytes_below};
use resource::{Digest, Image, Mount, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One kind of thing: the heading above its table, the columns, and an object for each thing. Sizes are bytes.
struct Chapter {
    name: &'static str,
    heading: &'static str,
    /// Title and field.
    columns: &'static [(&'static str, &'static str)],
    things: Vec<Map<String, Value>>,
}

/// Fields that are bytes.
const SIZES: [&str; 3] = ["Size", "SharedSize", "UniqueSize"];

/// All of it, as tables or as one JSON object with a list for each kind.
///
/// # Errors
/// What cannot be listed, or that a template is asked for.
pub(super) fn text(engine: &Engine, format: &Format) -> Result<String, Failure> {
    let pods = engine.pods().map_err(|error| Failure::because("cannot list the projects", error))?;
    let images = engine.store().images();
    let chapters = [
        of_images(engine, &images)?,
        of_containers(engine, &pods),
        of_volumes(engine, &pods),
        of_builds(engine, &images),
    ];
    match format {
        Format::Table => Ok(chapters.iter().map(listed).collect::<Vec<_>>().join("\n")),
        Format::Json => {
            let lists = chapters.into_iter().map(|chapter| (chapter.name.to_owned(), chapter.things.into()));
            Ok(format!("{}\n", Value::Object(lists.collect())))
        }
        Format::TableOf(_) | Format::Lines(_) => {
            Err(Failure::new("`--verbose` takes no template").hint("use `table` or `json`"))
        }
    }
}

fn listed(chapter: &Chapter) -> String {
    let header: Vec<&str> = chapter.columns.iter().map(|(title, _)| *title).collect();
    let cell = |thing: &Map<String, Value>, field: &str| match thing.get(field) {
        Some(Value::Number(bytes)) if SIZES.contains(&field) => size::human(bytes.as_u64().unwrap_or(0)),
        Some(Value::String(id)) if field == "ID" => {
            let hex = id.strip_prefix("sha256:").unwrap_or(id);
            hex.get(..12).unwrap_or(hex).to_owned()
        }
        value => value.map(plain).unwrap_or_default(),
    };
    let rows: Vec<Vec<String>> = chapter
        .things
        .iter()
        .map(|thing| chapter.columns.iter().map(|(_, field)| cell(thing, field)).collect())
        .collect();
    format!("{}:\n\n{}", chapter.heading, table::table(&header, &rows))
}

fn of_images(engine: &Engine, images: &[Image]) -> Result<Chapter, Failure> {
    let usage = engine.store().usage();
    let users = ls::users(engine)?;
    let now = Timestamp::now();
    let mut owners: BTreeMap<&Digest, BTreeSet<&Digest>> = BTreeMap::new();
    for image in images {
        for layer in &image.layers {
            owners.entry(layer).or_default().insert(&image.id);
        }
    }
    let thing = |image: &Image| {
        let layers: BTreeSet<&Digest> = image.layers.iter().collect();
        let bytes = |of_others: bool| {
            let shared = |layer: &&&Digest| owners.get(*layer).is_some_and(|images| images.len() > 1);
            let chosen = layers.iter().filter(|layer| shared(layer) == of_others);
            chosen.filter_map(|layer| usage.layers.get(*layer)).sum::<u64>()
        };
        let kept: u64 = engine.store().kept_blobs(image).values().sum();
        object(json!({
            "Repository": image.reference.familiar_repository(),
            "Tag": ls::tag(image),
            "ID": image.id.as_str(),
            "Platform": image.platform.to_string(),
            "Created": image.created.map(|time| time.to_string()),
            "CreatedSince": ls::created(image, now),
            "Size": bytes(true) + bytes(false) + kept,
            "SharedSize": bytes(true),
            "UniqueSize": bytes(false) + kept,
            "Containers": users.get(&image.id).copied().unwrap_or(0),
        }))
    };
    Ok(Chapter {
        name: "Images",
        heading: "Images",
        columns: &[
            ("REPOSITORY", "Repository"),
            ("TAG", "Tag"),
            ("IMAGE ID", "ID"),
            ("CREATED", "CreatedSince"),
            ("SIZE", "Size"),
            ("SHARED SIZE", "SharedSize"),
            ("UNIQUE SIZE", "UniqueSize"),
            ("CONTAINERS", "Containers"),
        ],
        things: images.iter().map(thing).collect(),
    })
}

fn of_containers(engine: &Engine, pods: &[PodSummary]) -> Chapter {
    let now = Timestamp::now();
    let containers = pods.iter().flat_map(|pod| &pod.containers);
    let things = containers.map(|container| {
        let record = &container.record;
        let mut fields = row::fields(container, record.spec.image.written(), now, true);
        let folder = engine.roots().container(&record.spec.pod, &record.id);
        fields.insert("Size".to_owned(), bytes_below(&folder.join("upper")).into());
        fields
    });
    Chapter {
        name: "Containers",
        heading: "Containers",
        columns: &[
            ("CONTAINER ID", "ID"),
            ("IMAGE", "Image"),
            ("LOCAL VOLUMES", "LocalVolumes"),
            ("SIZE", "Size"),
            ("CREATED", "RunningFor"),
            ("STATUS", "Status"),
            ("NAMES", "Names"),
        ],
        things: things.collect(),
    }
}

fn of_volumes(engine: &Engine, pods: &[PodSummary]) -> Chapter {
    let containers = || pods.iter().flat_map(|pod| &pod.containers);
    let links = |name: &str| {
        let mounts = |container: &&resource::ObservedContainer| {
            container
                .record
                .mounts
                .iter()
                .filter_map(Mount::volume)
                .any(|(volume, _)| volume.as_str() == name)
        };
        containers().filter(mounts).count()
    };
    let things = engine.volumes().into_iter().map(|volume| {
        let name = volume.spec.name.as_str();
        let folder = engine.roots().volume(&volume.spec.name).join("_data");
        object(json!({
            "Name": name,
            "Links": links(name),
            "Size": bytes_below(&folder),
            "Mountpoint": folder.display().to_string(),
            "Anonymous": volume.anonymous,
        }))
    });
    Chapter {
        name: "Volumes",
        heading: "Local Volumes",
        columns: &[("VOLUME NAME", "Name"), ("LINKS", "Links"), ("SIZE", "Size")],
        things: things.collect(),
    }
}

/// Layers that images have as well count there.
fn of_builds(engine: &Engine, images: &[Image]) -> Chapter {
    let usage = engine.store().usage();
    let of_images: BTreeSet<&Digest> = images.iter().flat_map(|image| &image.layers).collect();
    let layers = usage.build_layers.iter().filter(|layer| !of_images.contains(layer)).map(|layer| {
        let bytes = usage.layers.get(layer).copied().unwrap_or(0);
        object(json!({ "ID": layer.as_str(), "CacheType": "layer", "Size": bytes }))
    });
    let rest = (usage.build_bytes > 0)
        .then(|| object(json!({ "ID": "-", "CacheType": "mounts and contexts", "Size": usage.build_bytes })));
    Chapter {
        name: "BuildCache",
        heading: "Build cache",
        columns: &[("CACHE ID", "ID"), ("CACHE TYPE", "CacheType"), ("SIZE", "Size")],
        things: layers.chain(rest).collect(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
