//! `compose image history`: how an image was made, the newest step first.

use super::find;
use super::ls::shown;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::template::{self, Format};
use crate::view::{duration, size, table};
use resource::{Digest, Image, Timestamp};
use serde_json::{Map, Value, json};

/// Flags of `image history`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// table, table TEMPLATE, json, or a template
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// Times and sizes for people; `--human=false` has them exact
    #[arg(short = 'H', long, default_value_t = true, hide_default_value = true, hide_possible_values = true,
        action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_name = "HUMAN", value_parser = crate::arguments::boolean)]
    human: bool,
    /// Whole commands and ids
    #[arg(long)]
    no_trunc: bool,
    /// Only the id of the image, and `<missing>` for each step below it
    #[arg(short, long)]
    quiet: bool,
    /// The image, or its id or the beginning of it
    image: String,
}

/// The characters of a command that a table shows.
const SHOWN: usize = 45;

/// The columns' titles where they are not the names of template fields.
const TITLES: [(&str, &str); 2] = [("ID", "IMAGE"), ("CreatedSince", "CREATED")];
/// What there is in place of an id below the newest step: nothing keeps images of the steps before.
const MISSING: &str = "<missing>";

/// Prints a line for each step.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse(&args.format)?;
    let store = session.engine()?.store();
    let known = store.images();
    let image = find::one(&known, &args.image)?;
    let config: Value =
        store.blob(&image.id).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let layer_size = |index: usize| {
        image.layers.get(index).and_then(|layer| store.layer(layer)).map_or(0, |info| info.size)
    };
    let steps = steps(&config, image, layer_size);
    let now = Timestamp::now();
    let none = resource::Labels::new();
    let fields = || steps.iter().map(|step| (fields(step, args, now), &none)).collect::<Vec<_>>();
    let text = match &format {
        _ if args.quiet => steps.iter().map(|step| format!("{}\n", id(step, args.no_trunc))).collect(),
        Format::Json => format!("{}\n", Value::Array(steps)),
        Format::Table => {
            let rows: Vec<Vec<String>> = steps.iter().map(|step| cells(step, args, now)).collect();
            let created = if args.human { "CREATED" } else { "CREATED AT" };
            table::table(&["IMAGE", created, "CREATED BY", "SIZE", "COMMENT"], &rows)
        }
        Format::TableOf(template) => template::titled(template, &TITLES, true, &fields())?,
        Format::Lines(template) => template::rows(template, false, &fields())?,
    };
    output::result(&text)?;
    Ok(Exit::Success)
}

/// The steps, newest first, each with the bytes of its layer. Layers that no step speaks of come last.
fn steps(config: &Value, image: &Image, layer_size: impl Fn(usize) -> u64) -> Vec<Value> {
    let mut index = 0;
    let mut steps: Vec<Value> = Vec::new();
    for step in config["history"].as_array().into_iter().flatten() {
        let empty = step["empty_layer"].as_bool().unwrap_or(false);
        steps.push(json!({
            "ID": MISSING,
            "CreatedAt": step["created"].as_str().unwrap_or_default(),
            "CreatedBy": step["created_by"].as_str().unwrap_or_default(),
            "Comment": step["comment"].as_str().unwrap_or_default(),
            "Size": if empty { 0 } else { layer_size(index) },
        }));
        index += usize::from(!empty);
    }
    for index in index..image.layers.len() {
        steps.push(json!({
            "ID": MISSING,
            "CreatedAt": "",
            "CreatedBy": "",
            "Comment": "",
            "Size": layer_size(index),
        }));
    }
    steps.reverse();
    if let Some(newest) = steps.first_mut() {
        newest["ID"] = image.id.as_str().into();
    }
    steps
}

/// The id of a step's image as it is shown.
fn id(step: &Value, whole: bool) -> String {
    let id = step["ID"].as_str().unwrap_or_default();
    Digest::parse(id).map_or_else(|_| id.to_owned(), |id| shown(&id, whole).to_owned())
}

fn cells(step: &Value, args: &Args, now: Timestamp) -> Vec<String> {
    let whole = args.no_trunc;
    let text = |key: &str| step[key].as_str().unwrap_or_default();
    let by = text("CreatedBy").split_whitespace().collect::<Vec<_>>().join(" ");
    let by = if whole || by.chars().count() <= SHOWN {
        by
    } else {
        by.chars().take(SHOWN - 1).chain(['…']).collect()
    };
    let (created, bytes) = (text("CreatedAt"), step["Size"].as_u64().unwrap_or(0));
    let (created, size) = match args.human {
        true => {
            let since = created.parse().map_or_else(|_| "N/A".to_owned(), |time| duration::ago(time, now));
            (since, size::human(bytes))
        }
        false => (created.to_owned(), bytes.to_string()),
    };
    vec![id(step, whole), created, by, size, text("Comment").to_owned()]
}

/// What templates may name: Docker's words, for people.
fn fields(step: &Value, args: &Args, now: Timestamp) -> Map<String, Value> {
    let names = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];
    let cells = cells(step, args, now);
    let mut fields: Map<String, Value> =
        names.into_iter().map(str::to_owned).zip(cells.into_iter().map(Value::from)).collect();
    fields.insert("CreatedAt".to_owned(), step["CreatedAt"].clone());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_belong_to_the_steps_that_made_some() {
        let layer = Image::empty().id;
        let image = Image { layers: vec![layer; 3], ..Image::empty() };
        let config = json!({ "history": [
            { "created_by": "ADD" }, { "created_by": "ENV", "empty_layer": true }, { "created_by": "RUN" }
        ] });
        let sizes: Vec<_> = steps(&config, &image, |index| index as u64 + 10)
            .iter()
            .map(|step| (step["CreatedBy"].as_str().unwrap().to_owned(), step["Size"].as_u64().unwrap()))
            .collect();
        let expected = [("", 12), ("RUN", 11), ("ENV", 0), ("ADD", 10)];
        assert_eq!(sizes, expected.map(|(by, size)| (by.to_owned(), size)));
        let steps = steps(&config, &image, |_| 0);
        let ids: Vec<_> = steps.iter().map(|step| id(step, true)).collect();
        assert_eq!(ids, [image.id.as_str(), MISSING, MISSING, MISSING]);
        assert_eq!(id(&steps[0], false), image.id.hex()[..12]);
    }
}
