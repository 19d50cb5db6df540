//! `compose image inspect`: all that is known of images, as Docker writes it.

use super::find;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::view::template::{self, Format};
use resource::{Image, Platform};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Flags of `image inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// json, or a template
    #[arg(short, long, default_value = "json", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// Ask the registry; nothing is pulled but manifest and configuration
    #[arg(long)]
    remote: bool,
    /// The platform of the image
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// References, also with a digest, or ids and beginnings of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// Prints a list with an object for each image, or each through a template.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse(&args.format)?;
    let platform = args.platform.as_deref().map(|text| {
        Platform::parse(text).ok_or_else(|| {
            Failure::new(format!("`{text}` is not a platform")).hint("write it like `linux/arm64`")
        })
    });
    let platform = platform.transpose()?;
    let shown: Vec<Value> = args
        .images
        .iter()
        .map(|text| {
            if args.remote {
                remote(text, platform.clone(), session)
            } else {
                here(text, platform.as_ref(), session)
            }
        })
        .collect::<Result<_, _>>()?;
    if let Format::Lines(template) | Format::TableOf(template) = &format {
        let labels: Vec<resource::Labels> = shown.iter().map(labels).collect();
        let rows: Vec<_> = shown
            .into_iter()
            .zip(&labels)
            .map(|(object, labels)| {
                (template::with_id(object.as_object().cloned().unwrap_or_default()), labels)
            })
            .collect();
        output::result(&template::rows(template, false, &rows)?)?;
        return Ok(Exit::Success);
    }
    let text =
        serde_json::to_string_pretty(&shown).map_err(|error| Failure::because("cannot write JSON", error))?;
    output::line(&text)?;
    Ok(Exit::Success)
}

/// The labels that an object tells.
fn labels(object: &Value) -> resource::Labels {
    let labels = object["Config"]["Labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn here(text: &str, platform: Option<&Platform>, session: &Session) -> Result<Value, Failure> {
    let store = session.engine()?.store();
    let known = store.images();
    let image = match platform {
        None => find::one(&known, text)?,
        Some(platform) => {
            let missing = || Failure::new(format!("there is no image `{text}` for {platform}"));
            find::find(&known, text)?
                .into_iter()
                .find(|image| image.platform == *platform)
                .ok_or_else(missing)?
        }
    };
    let config = store.blob(&image.id).unwrap_or_default();
    let mut object = configuration(&serde_json::from_slice(&config).unwrap_or_default());
    let same = |other: &&Image| other.id == image.id;
    let tagged = known.iter().filter(same).filter(|other| other.reference.digest.is_none());
    let names: Vec<String> = tagged.map(|other| other.reference.familiar()).collect();
    let digests: BTreeSet<String> = known
        .iter()
        .filter(same)
        .map(|other| format!("{}@{}", other.reference.familiar_repository(), other.manifest))
        .collect();
    object["Id"] = json!(image.id);
    object["RepoTags"] = json!(names);
    object["RepoDigests"] = json!(digests);
    object["Digest"] = json!(image.manifest);
    object["Size"] = json!(image.size);
    object["Metadata"] = json!({ "LastTagTime": image.tagged.to_string() });
    Ok(object)
}

fn remote(text: &str, platform: Option<Platform>, session: &Session) -> Result<Value, Failure> {
    let reference = super::import::parse(text)?;
    let engine = session.engine()?;
    let failed = |error| Failure::because(format!("cannot inspect `{}`", reference.familiar()), error);
    let found = runtime::run(Size::One, async {
        engine.look_at(&reference, platform.as_ref()).await.map_err(failed)
    })?;
    let mut object = configuration(&serde_json::from_slice(&found.config).unwrap_or_default());
    object["Id"] = json!(found.id);
    object["RepoDigests"] = json!([format!("{}@{}", reference.familiar_repository(), found.manifest)]);
    object["Digest"] = json!(found.manifest);
    object["Size"] = json!(found.layers.iter().map(|(_, size)| size).sum::<u64>());
    object["Layers"] =
        found.layers.iter().map(|(digest, size)| json!({ "Digest": digest, "Size": size })).collect();
    Ok(object)
}

/// What the image's configuration says, under Docker's names.
fn configuration(config: &Value) -> Value {
    let text = |key: &str| config[key].as_str().unwrap_or_default();
    json!({
        "Created": text("created"),
        "Author": text("author"),
        "Comment": config["history"].as_array().and_then(|steps| steps.last()?["comment"].as_str()).unwrap_or_default(),
        "Architecture": text("architecture"),
        "Variant": text("variant"),
        "Os": text("os"),
        "Config": config["config"],
        "RootFS": { "Type": config["rootfs"]["type"], "Layers": config["rootfs"]["diff_ids"] },
    })
}
