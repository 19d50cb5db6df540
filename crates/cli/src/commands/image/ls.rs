//! `compose image ls`: lists the images of the engine.

use super::filter::{Filters, LISTED};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::template::{self, Format};
use crate::view::{duration, row, size, table};
use resource::{Digest, Image, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Flags of `image ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// All that there are, as without it: no image here is without a name
    #[arg(short, long)]
    all: bool,
    /// Show digests of manifests
    #[arg(long)]
    digests: bool,
    /// after=IMAGE, before=IMAGE, since=IMAGE, dangling=BOOL, label=KEY[=VALUE], label!=KEY[=VALUE],
    /// reference=PATTERN, until=TIME
    #[arg(short, long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// table, table TEMPLATE, json, or a template
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// Whole ids
    #[arg(long)]
    no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Only images whose reference matches this pattern
    #[arg(value_name = "REFERENCE")]
    reference: Option<String>,
}

/// The columns' titles where they are not the names of template fields.
const TITLES: [(&str, &str); 2] = [("ID", "IMAGE ID"), ("CreatedSince", "CREATED")];

/// Lists images, one line for each reference and platform.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse(&args.format)?;
    let engine = session.engine()?;
    let now = Timestamp::now();
    let mut images = engine.store().images();
    let filters = Filters::read(&args.filters, LISTED, &images, now)?.naming(args.reference.as_deref());
    images.retain(|image| filters.takes(image));
    if args.quiet {
        let mut ids: Vec<&str> = images.iter().map(|image| shown(&image.id, args.no_trunc)).collect();
        ids.sort_unstable();
        ids.dedup();
        output::result(&ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
        return Ok(Exit::Success);
    }
    let text = match &format {
        Format::Table => listed(&images, args, now),
        Format::Json => {
            let users = users(engine)?;
            format!("{}\n", Value::Array(images.iter().map(|image| object(image, &users)).collect()))
        }
        Format::TableOf(template) | Format::Lines(template) => {
            let users = users(engine)?;
            let fields: Vec<_> = images
                .iter()
                .map(|image| (fields(image, &users, now, args.no_trunc), &image.config.labels))
                .collect();
            if matches!(format, Format::TableOf(_)) {
                template::titled(template, &TITLES, true, &fields)?
            } else {
                template::rows(template, false, &fields)?
            }
        }
    };
    output::result(&text)?;
    Ok(Exit::Success)
}

/// An id as it is shown: twelve digits, or whole with its algorithm.
pub(crate) fn shown(id: &Digest, whole: bool) -> &str {
    if whole { id.as_str() } else { id.hex().get(..12).unwrap_or(id.hex()) }
}

/// A tag as it is shown.
pub(crate) fn tag(image: &Image) -> String {
    image.reference.tag.clone().unwrap_or_else(|| "<none>".to_owned())
}

/// When an image says it was made, as people say it.
pub(crate) fn created(image: &Image, now: Timestamp) -> String {
    image.created.map_or_else(|| "N/A".to_owned(), |created| duration::ago(created, now))
}

/// How many containers are made of each image.
pub(crate) fn users(engine: &engine::Engine) -> Result<BTreeMap<Digest, usize>, Failure> {
    let pods = engine.pods().map_err(|error| Failure::because("cannot list the projects", error))?;
    let mut users = BTreeMap::new();
    for container in pods.iter().flat_map(|pod| &pod.containers) {
        *users.entry(container.record.image.clone()).or_default() += 1;
    }
    Ok(users)
}

fn listed(images: &[Image], args: &Args, now: Timestamp) -> String {
    let mut header = vec!["REPOSITORY", "TAG"];
    header.extend(args.digests.then_some("DIGEST"));
    header.extend(["IMAGE ID", "PLATFORM", "CREATED", "SIZE"]);
    let cells = |image: &Image| {
        let mut cells = vec![image.reference.familiar_repository(), tag(image)];
        cells.extend(args.digests.then(|| image.manifest.to_string()));
        cells.extend([
            shown(&image.id, args.no_trunc).to_owned(),
            image.platform.to_string(),
            created(image, now),
            size::human(image.size),
        ]);
        cells
    };
    table::table(&header, &images.iter().map(cells).collect::<Vec<_>>())
}

fn object(image: &Image, users: &BTreeMap<Digest, usize>) -> Value {
    json!({
        "ID": image.id.as_str(),
        "Reference": image.reference.familiar(),
        "Repository": image.reference.familiar_repository(),
        "Tag": image.reference.tag.clone().unwrap_or_default(),
        "Digest": image.manifest.as_str(),
        "Platform": image.platform.to_string(),
        "Size": image.size,
        "Created": image.created.map(|time| time.to_string()),
        "LastTagTime": image.tagged.to_string(),
        "Labels": image.config.labels,
        "Containers": users.get(&image.id).copied().unwrap_or(0),
    })
}

/// What templates may name: Docker's words, for people.
fn fields(image: &Image, users: &BTreeMap<Digest, usize>, now: Timestamp, whole: bool) -> Map<String, Value> {
    let object = json!({
        "ID": shown(&image.id, whole),
        "Reference": image.reference.familiar(),
        "Repository": image.reference.familiar_repository(),
        "Tag": tag(image),
        "Digest": image.manifest.as_str(),
        "Platform": image.platform.to_string(),
        "Size": size::human(image.size),
        "CreatedSince": created(image, now),
        "CreatedAt": image.created.map_or_else(|| "N/A".to_owned(), row::created_at),
        "Labels": image.config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","),
        "Containers": users.get(&image.id).copied().unwrap_or(0).to_string(),
    });
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
