//! `compose image ls`: lists the images of the engine.

use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::{duration, size, table};
use resource::{Image, Timestamp};
use serde_json::{Value, json};

/// Flags of `image ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table or json
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
}

/// Lists images, one line for each reference and platform.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let images = session.engine()?.store().images();
    let now = Timestamp::now();
    let text = match args.format.as_str() {
        _ if args.quiet => {
            let mut ids: Vec<&str> = images.iter().map(|image| image.id.hex()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.iter().map(|id| format!("{id}\n")).collect()
        }
        "table" => {
            let rows: Vec<Vec<String>> = images.iter().map(|image| cells(image, now)).collect();
            table::table(&["REPOSITORY", "TAG", "IMAGE ID", "PLATFORM", "CREATED", "SIZE"], &rows)
        }
        "json" => format!("{}\n", Value::Array(images.iter().map(object).collect())),
        other => return Err(Failure::new(format!("`{other}` is not a format")).hint("use `table` or `json`")),
    };
    output::result(&text)?;
    Ok(Exit::Success)
}

fn cells(image: &Image, now: Timestamp) -> Vec<String> {
    let id = image.id.hex();
    vec![
        image.reference.familiar_repository(),
        image.reference.tag.clone().unwrap_or_else(|| "<none>".to_owned()),
        id.get(..12).unwrap_or(id).to_owned(),
        image.platform.to_string(),
        image.created.map_or_else(|| "N/A".to_owned(), |created| duration::ago(created, now)),
        size::human(image.size),
    ]
}

fn object(image: &Image) -> Value {
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
    })
}
