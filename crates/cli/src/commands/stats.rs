//! `compose stats`: shows what containers use, once or again and again.

use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::view::size;
use crate::view::template::Format;
use crate::view::usage::{self, Before, Cells, Row};
use crate::{output, select, terminal};
use engine::Engine;
use resource::{ObservedContainer, PodName, Status};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Flags of `stats`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stopped containers too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Only once
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// The service, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,
}

/// Time from one showing to the next, and over which processor use is measured.
const PERIOD: Duration = Duration::from_secs(1);

/// The columns: field and title.
const COLUMNS: [(&str, &str); 8] = [
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];

/// Shows what is used, every second until interrupted.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse(args.format.as_deref().unwrap_or_default())?;
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    let named: Vec<String> = args.service.iter().cloned().collect();
    let chosen = select::services(&named, subject.known(&observed))?;
    session.supervise(&subject.pod, &observed);
    let mut look = Look { args, session, pod: &subject.pod, chosen, before: Before::new() };
    // The first look is what the second is compared with.
    look.rows()?;
    let clear = !args.no_stream && format == Format::Table && terminal::stdout();
    runtime::interruptible(Size::One, async {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let shown = text(&look.rows()?, &format)?;
            output::result(&if clear { format!("\x1b[2J\x1b[H{shown}") } else { shown })?;
            if args.no_stream {
                return Ok(Exit::Success);
            }
        }
    })
}

/// What is looked at, and what was seen there last.
struct Look<'a> {
    args: &'a Args,
    session: &'a Session,
    pod: &'a PodName,
    /// Services; empty means all.
    chosen: BTreeSet<String>,
    before: Before,
}

impl Look<'_> {
    fn rows(&mut self) -> Result<Vec<Row>, Failure> {
        let engine = self.session.engine()?;
        let host = usage::host_memory();
        let observed = self.session.containers(self.pod)?;
        let wanted = |container: &&ObservedContainer| {
            let runs = matches!(container.state.status, Status::Running | Status::Paused);
            let service = &container.record.spec.service;
            (runs || self.args.all) && (self.chosen.is_empty() || self.chosen.contains(service))
        };
        let containers: Vec<_> = observed.containers.iter().filter(wanted).collect();
        Ok(containers.into_iter().map(|container| self.row(engine, container, host)).collect())
    }

    fn row(&mut self, engine: &Engine, container: &ObservedContainer, host: u64) -> Row {
        let record = &container.record;
        let sample = engine.sample(container);
        let started = container.state.started.unwrap_or(record.created);
        let used = sample.usage.map(|usage| usage.cpu);
        let percent = usage::percent(&mut self.before, record.id.as_str(), used, started);
        let cells = Cells::of(&sample, host, percent);
        let id = if self.args.no_trunc { record.id.as_str() } else { record.id.short() };
        let row = json!({
            "Container": id,
            "ID": id,
            "Name": record.spec.name.as_str(),
            "CPUPerc": cells.processor,
            "MemUsage": cells.memory(size::binary),
            "MemPerc": cells.memory_share,
            "NetIO": cells.network(size::human),
            "BlockIO": cells.blocks(size::human),
            "PIDs": cells.processes,
        });
        match row {
            Value::Object(row) => row,
            _ => Map::new(),
        }
    }
}

fn text(rows: &[Row], format: &Format) -> Result<String, Failure> {
    usage::text(rows, &COLUMNS, format, |rows| rows.iter().map(|row| format!("{}\n", json!(row))).collect())
}
