//! What something uses, in the words of a table.

use super::table;
use super::template::{self, Format};
use crate::exit::Failure;
use engine::{Sample, Usage, processor_percent};
use resource::Timestamp;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Processor time of each thing when it was looked at last.
pub(crate) type Before = HashMap<String, (Instant, u64)>;

/// Processor use since the last look, or since the start at the first.
pub(crate) fn percent(before: &mut Before, key: &str, used: Option<u64>, started: Timestamp) -> Option<f64> {
    let (used, now) = (used?, Instant::now());
    let last = before.insert(key.to_owned(), (now, used));
    Some(match last {
        Some((at, then)) => processor_percent(used.saturating_sub(then), now.duration_since(at)),
        None => {
            let age = Timestamp::now().duration_since(started);
            processor_percent(used, Duration::try_from(age).unwrap_or_default())
        }
    })
}

/// Bytes of memory that the machine has.
pub(crate) fn host_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// The cells of one row; what is not counted is `--`.
pub(crate) struct Cells {
    /// Percent of one processor.
    pub(crate) processor: String,
    /// Percent of the memory that it may have.
    pub(crate) memory_share: String,
    /// Processes and threads.
    pub(crate) processes: String,
    /// Bytes used and the limit.
    memory: Option<(u64, u64)>,
    /// Bytes received and sent.
    network: Option<(u64, u64)>,
    /// Bytes read from and written to block devices.
    blocks: Option<(u64, u64)>,
}

impl Cells {
    /// Of a sample on a machine with so many bytes of memory.
    pub(crate) fn of(sample: &Sample, host: u64, percent: Option<f64>) -> Self {
        let memory = |usage: &Usage| (usage.memory, usage.memory_limit.unwrap_or(host).min(host));
        let memory = sample.usage.as_ref().map(memory);
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
        let share =
            memory.filter(|(_, limit)| *limit > 0).map(|(used, limit)| used as f64 * 100.0 / limit as f64);
        let percents = |value: Option<f64>| value.map_or_else(missing, |value| format!("{value:.2}%"));
        Self {
            processor: percents(percent),
            memory_share: percents(share),
            processes: sample.usage.map_or_else(missing, |usage| usage.pids.to_string()),
            memory,
            network: sample.traffic.map(|traffic| (traffic.received, traffic.sent)),
            blocks: sample.usage.map(|usage| (usage.read, usage.written)),
        }
    }

    /// Memory used and its limit.
    pub(crate) fn memory(&self, unit: fn(u64) -> String) -> String {
        pair(self.memory, unit)
    }

    /// What was received and sent.
    pub(crate) fn network(&self, unit: fn(u64) -> String) -> String {
        pair(self.network, unit)
    }

    /// What was read from block devices and written to them.
    pub(crate) fn blocks(&self, unit: fn(u64) -> String) -> String {
        pair(self.blocks, unit)
    }
}

/// Fields by name.
pub(crate) type Row = Map<String, Value>;

/// Rows in the form that was asked for; `columns` are fields and titles, `json` is how that form is written.
pub(crate) fn text(
    rows: &[Row],
    columns: &[(&str, &str)],
    format: &Format,
    json: impl Fn(&[Row]) -> String,
) -> Result<String, Failure> {
    let labels = resource::Labels::new();
    let labelled = || rows.iter().map(|row| (row.clone(), &labels)).collect::<Vec<_>>();
    match format {
        Format::Table => {
            let header: Vec<&str> = columns.iter().map(|(_, title)| *title).collect();
            let cells = |row: &Row| columns.iter().map(|(field, _)| template::plain(&row[*field])).collect();
            Ok(table::table(&header, &rows.iter().map(cells).collect::<Vec<_>>()))
        }
        Format::Json => Ok(json(rows)),
        Format::TableOf(template) => template::titled(template, columns, true, &labelled()),
        Format::Lines(template) => template::rows(template, false, &labelled()),
    }
}

fn missing() -> String {
    "--".to_owned()
}

fn pair(pair: Option<(u64, u64)>, unit: fn(u64) -> String) -> String {
    let [one, other] = pair.map_or([missing(), missing()], |(one, other)| [unit(one), unit(other)]);
    format!("{one} / {other}")
}
