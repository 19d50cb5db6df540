//! `compose images`: lists the images that the created containers use.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::template::{self, Format};
use crate::view::{duration, size, table};
use crate::{output, select};
use resource::{Image, ObservedContainer, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Flags of `images`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table, table TEMPLATE, json, or a template
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    pub(crate) format: String,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// The columns' titles where they are not the names of template fields.
const TITLES: [(&str, &str); 2] = [("ContainerName", "CONTAINER"), ("ID", "IMAGE ID")];

/// Lists images by container.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse(&args.format)?;
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    let chosen = select::services(&args.services, subject.known(&observed))?;
    let shown: Vec<&ObservedContainer> = observed
        .containers
        .iter()
        .filter(|container| chosen.is_empty() || chosen.contains(&container.record.spec.service))
        .collect();
    if args.quiet {
        let ids: BTreeSet<&str> = shown.iter().map(|container| container.record.image.hex()).collect();
        output::result(&ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
        return Ok(Exit::Success);
    }
    let images: BTreeMap<_, Image> =
        session.engine()?.store().images().into_iter().map(|image| (image.id.clone(), image)).collect();
    let now = Timestamp::now();
    let objects = || -> Vec<_> {
        let image = |one: &ObservedContainer| images.get(&one.record.image);
        shown.iter().map(|one| (object(one, image(one)), &one.record.spec.labels)).collect()
    };
    match &format {
        Format::Table => {
            let rows: Vec<Vec<String>> = shown
                .iter()
                .map(|container| cells(container, images.get(&container.record.image), now))
                .collect();
            let header = ["CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"];
            output::result(&table::table(&header, &rows))?;
        }
        Format::Json => {
            let all = objects().into_iter().map(|(object, _)| Value::Object(object)).collect();
            output::line(&Value::Array(all).to_string())?;
        }
        Format::TableOf(template) => {
            output::result(&template::titled(template, &TITLES, true, &objects())?)?;
        }
        Format::Lines(template) => output::result(&template::rows(template, false, &objects())?)?,
    }
    Ok(Exit::Success)
}

fn cells(container: &ObservedContainer, image: Option<&Image>, now: Timestamp) -> Vec<String> {
    let record = &container.record;
    let id = record.image.hex();
    vec![
        record.spec.name.to_string(),
        record.spec.image.familiar_repository(),
        record.spec.image.tag.clone().unwrap_or_else(|| "<none>".to_owned()),
        image.map_or_else(String::new, |image| image.platform.to_string()),
        id.get(..12).unwrap_or(id).to_owned(),
        image.map_or_else(|| "N/A".to_owned(), |image| size::human(image.size)),
        image
            .and_then(|image| image.created)
            .map_or_else(|| "N/A".to_owned(), |created| duration::ago(created, now)),
    ]
}

fn object(container: &ObservedContainer, image: Option<&Image>) -> Map<String, Value> {
    let record = &container.record;
    let object = json!({
        "ID": record.image.as_str(),
        "ContainerName": record.spec.name.as_str(),
        "Repository": record.spec.image.familiar_repository(),
        "Tag": record.spec.image.tag.clone().unwrap_or_default(),
        "Platform": image.map(|image| image.platform.to_string()).unwrap_or_default(),
        "Size": image.map_or(0, |image| image.size),
        "Created": image.and_then(|image| image.created).map(|time| time.to_string()),
        "LastTagTime": image.map(|image| image.tagged.to_string()),
    });
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
