//! `compose network ls`: lists the networks of the engine.

use super::find::{self, Known};
use crate::commands::owned::{Filters, Seen, label_text};
use crate::commands::pods;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::template::{self, Format};
use crate::view::{row, table};
use resource::{NetworkRecord, Timestamp};
use serde_json::{Map, Value, json};

/// What `--filter` takes.
const WORDS: [&str; 8] = ["dangling", "driver", "id", "label", "label!", "name", "scope", "until"];

/// Flags of `network ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// dangling=BOOL, driver=DRIVER, id=ID, label=KEY[=VALUE], label!=KEY[=VALUE], name=TEXT, scope=local,
    /// until=TIME
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
}

/// The columns' titles where they are not the names of template fields.
const TITLES: [(&str, &str); 3] = [("ID", "NETWORK ID"), ("IPv4", "IPV4"), ("IPv6", "IPV6")];

/// What `raw` means for networks, as Docker has it.
const RAW: &str = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n";

/// Lists networks, one line each.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse_or_raw(&args.format, RAW)?;
    let filters = Filters::read(&args.filters, &WORDS, Timestamp::now())?;
    let pods = pods(session)?;
    let known = find::every(session.viewer()?, &pods);
    let records: Vec<&NetworkRecord> =
        known.iter().filter(|one| filters.takes(&seen(one))).map(|one| &one.record).collect();
    if args.quiet {
        let ids = records.iter().map(|record| format!("{}\n", id(record, args.no_trunc)));
        output::result(&ids.collect::<String>())?;
        return Ok(Exit::Success);
    }
    let fields = || {
        let fields = records.iter().map(|record| (object(record, args.no_trunc), &record.spec.labels));
        fields.collect::<Vec<_>>()
    };
    let text = match &format {
        Format::Table => {
            let cells = records.iter().map(|record| {
                let (id, driver) = (id(record, args.no_trunc), record.spec.driver.as_str());
                [id, record.spec.name.as_str(), driver, "local"].map(str::to_owned).to_vec()
            });
            table::table(&["NETWORK ID", "NAME", "DRIVER", "SCOPE"], &cells.collect::<Vec<_>>())
        }
        Format::Json => {
            fields().into_iter().map(|(fields, _)| format!("{}\n", Value::Object(fields))).collect()
        }
        Format::TableOf(template) => template::titled(template, &TITLES, true, &fields())?,
        Format::Lines(template) => template::rows(template, false, &fields())?,
    };
    output::result(&text)?;
    Ok(Exit::Success)
}

/// What filters look at.
pub(super) fn seen<'a>(known: &'a Known<'_>) -> Seen<'a> {
    let NetworkRecord { id, spec, created, .. } = &known.record;
    let (name, driver, labels) = (spec.name.as_str(), spec.driver.as_str(), &spec.labels);
    Seen { name, id, driver, labels, created: *created, is_used: !known.users.is_empty() }
}

/// An id as it is shown: twelve digits, or whole.
fn id(record: &NetworkRecord, whole: bool) -> &str {
    if whole { &record.id } else { record.id.get(..12).unwrap_or(&record.id) }
}

fn object(record: &NetworkRecord, whole: bool) -> Map<String, Value> {
    let spec = &record.spec;
    let object = json!({
        "CreatedAt": row::created_at(record.created),
        "Driver": spec.driver.as_str(),
        "ID": id(record, whole),
        "IPv4": spec.ipv4.to_string(),
        "IPv6": spec.ipv6.to_string(),
        "Internal": spec.internal.to_string(),
        "Labels": label_text(&spec.labels),
        "Name": spec.name.as_str(),
        "Scope": "local",
    });
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
