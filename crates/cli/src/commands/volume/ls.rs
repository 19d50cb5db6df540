//! `compose volume ls`: lists the volumes of the engine.

use super::find;
use crate::commands::owned::Filters;
use crate::commands::{pods, volumes};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::template::{self, Format};
use resource::{Timestamp, VolumeRecord};

/// What `--filter` takes.
const WORDS: [&str; 7] = ["dangling", "driver", "label", "label!", "name", "scope", "until"];

/// Flags of `volume ls`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// dangling=BOOL, driver=DRIVER, label=KEY[=VALUE], label!=KEY[=VALUE], name=TEXT, scope=local, until=TIME
    #[arg(short, long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// table, table TEMPLATE, json, or a template
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// Only names
    #[arg(short, long)]
    quiet: bool,
}

/// Lists volumes, one line each.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse_or_raw(&args.format, template::RAW_VOLUME)?;
    let filters = Filters::read(&args.filters, &WORDS, Timestamp::now())?;
    let pods = pods(session)?;
    let engine = session.viewer()?;
    let known = find::every(engine, &pods);
    let records: Vec<&VolumeRecord> =
        known.iter().filter(|one| filters.takes(&one.seen())).map(|one| &one.record).collect();
    volumes::list(engine, &records, &format, args.quiet)
}
