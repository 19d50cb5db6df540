//! `compose pod stats`: shows what the containers of pods use, once or again and again.

use super::choose::{self, Which};
use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::view::size;
use crate::view::template::Format;
use crate::view::usage::{self, Before, Cells, Row};
use crate::{output, terminal};
use engine::{Engine, PodSummary, Sample};
use resource::Status;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Flags of `pod stats`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// All pods, and containers that do not run
    #[arg(short, long)]
    all: bool,
    /// json, table TEMPLATE, or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The pod that was made last
    #[arg(short, long, conflicts_with_all = ["all", "pods"])]
    latest: bool,
    /// Do not clear the screen
    #[arg(long)]
    no_reset: bool,
    /// Only once
    #[arg(long)]
    no_stream: bool,
    /// One row a pod, from the counters of its own cgroup
    #[arg(long)]
    total: bool,
    /// Names, ids or beginnings of ids; all pods where something runs by default
    #[arg(value_name = "POD", conflicts_with = "all")]
    pods: Vec<String>,
}

/// Time from one showing to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// The columns: title and field.
const COLUMNS: [(&str, &str); 9] = [
    ("Pod", "POD"),
    ("CID", "CID"),
    ("Name", "NAME"),
    ("CPU", "CPU %"),
    ("MemUsage", "MEM USAGE/ LIMIT"),
    ("Mem", "MEM %"),
    ("NetIO", "NET IO"),
    ("BlockIO", "BLOCK IO"),
    ("PIDS", "PIDS"),
];

/// Shows what is used, every second until interrupted.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse(args.format.as_deref().unwrap_or_default())?;
    let mut before = Before::default();
    if args.no_stream {
        let rows = rows(args, session, &mut before)?;
        output::result(&text(&rows, &format)?)?;
        return Ok(Exit::Success);
    }
    let clear = !args.no_reset && format != Format::Json && terminal::stdout();
    runtime::interruptible(Size::One, async {
        let mut ticks = tokio::time::interval(PERIOD);
        loop {
            ticks.tick().await;
            let shown = text(&rows(args, session, &mut before)?, &format)?;
            output::result(&if clear { format!("\x1b[2J\x1b[H{shown}") } else { shown })?;
        }
    })
}

fn rows(args: &Args, session: &Session, before: &mut Before) -> Result<Vec<Row>, Failure> {
    let engine = session.engine()?;
    let which = Which { all: args.all || args.pods.is_empty(), latest: false, pods: args.pods.clone() };
    let pods =
        if args.latest { vec![choose::latest(choose::every(session)?)?] } else { which.of(session)? };
    let host = usage::host_memory();
    let mut rows = vec![];
    for pod in &pods {
        if args.total {
            rows.extend(total(engine, pod, host, before).filter(|_| args.all || runs(pod)));
            continue;
        }
        for container in &pod.containers {
            let state = &container.state;
            if !args.all && !matches!(state.status, Status::Running | Status::Paused) {
                continue;
            }
            let sample = engine.sample(container);
            let started = state.started.unwrap_or(container.record.created);
            let id = container.record.id.as_str();
            let used = sample.usage.map(|usage| usage.cpu);
            let shown = Shown { pod, id, name: container.record.spec.name.as_str() };
            rows.push(row(&shown, &sample, host, usage::percent(before, id, used, started)));
        }
    }
    Ok(rows)
}

fn runs(pod: &PodSummary) -> bool {
    pod.containers.iter().any(|container| matches!(container.state.status, Status::Running | Status::Paused))
}

/// The row of a whole pod.
fn total(engine: &Engine, pod: &PodSummary, host: u64, before: &mut Before) -> Option<Row> {
    let counted = engine.pod_usage(&pod.record.name);
    let sample = Sample { usage: counted, traffic: None };
    let percent = usage::percent(before, &pod.record.id, counted.map(|usage| usage.cpu), pod.record.created);
    let shown = Shown { pod, id: "", name: pod.record.name.as_str() };
    Some(row(&shown, &sample, host, percent))
}

/// What a row is about.
struct Shown<'a> {
    pod: &'a PodSummary,
    id: &'a str,
    name: &'a str,
}

/// A row; what is not counted is `--`.
fn row(shown: &Shown<'_>, sample: &Sample, host: u64, percent: Option<f64>) -> Row {
    let short = |id: &str| id.chars().take(12).collect::<String>();
    let cells = Cells::of(sample, host, percent);
    let row = json!({
        "Pod": short(&shown.pod.record.id),
        "CID": short(shown.id),
        "Name": shown.name,
        "CPU": cells.processor,
        "MemUsage": cells.memory(size::human_finely),
        "MemUsageBytes": cells.memory(size::binary),
        "Mem": cells.memory_share,
        "NetIO": cells.network(size::human_finely),
        "BlockIO": cells.blocks(size::human_finely),
        "PIDS": cells.processes,
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

fn text(rows: &[Row], format: &Format) -> Result<String, Failure> {
    usage::text(rows, &COLUMNS, format, |rows| {
        format!("{:#}\n", Value::Array(rows.iter().cloned().map(Value::Object).collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Usage;
    use resource::{Labels, PodName, PodRecord, Timestamp};

    #[test]
    fn what_is_not_counted_is_not_shown_as_nothing() {
        let record = PodRecord {
            id: "0123456789abcdef".to_owned(),
            name: PodName("shop".to_owned()),
            labels: Labels::new(),
            created: Timestamp::UNIX_EPOCH,
            command: vec![],
            resources: resource::Resources::default(),
        };
        let pod = PodSummary { record, containers: vec![], damage: vec![] };
        let shown = Shown { pod: &pod, id: "fedcba9876543210", name: "shop-web-1" };
        let none = row(&shown, &Sample::default(), 1000, None);
        let cell = |row: &Row, field: &str| row[field].as_str().unwrap().to_owned();
        assert_eq!((cell(&none, "Pod"), cell(&none, "CID")), ("0123456789ab".into(), "fedcba987654".into()));
        for (field, text) in [("CPU", "--"), ("MemUsage", "-- / --"), ("NetIO", "-- / --"), ("PIDS", "--")] {
            assert_eq!(cell(&none, field), text);
        }
        let usage = Usage { memory: 250, memory_limit: Some(500), pids: 3, ..Usage::default() };
        let some = row(&shown, &Sample { usage: Some(usage), traffic: None }, 1000, Some(12.345));
        for (field, text) in
            [("CPU", "12.35%"), ("MemUsage", "250B / 500B"), ("Mem", "50.00%"), ("PIDS", "3")]
        {
            assert_eq!(cell(&some, field), text);
        }
    }
}
