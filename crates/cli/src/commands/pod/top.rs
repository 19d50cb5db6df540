//! `compose pod top`: shows the processes of a pod.

use super::choose;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::{table, time};
use engine::ProcessRow;
use resource::{Status, Timestamp};
use std::collections::BTreeMap;

/// Flags of `pod top`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pod that was made last; every word is a column then
    #[arg(short, long)]
    latest: bool,
    /// The pod, and the columns: user, pid, ppid, hpid, pcpu, etime, tty, time, stime, args
    #[arg(value_name = "POD [COLUMN]", num_args = 0..)]
    words: Vec<String>,
}

/// A column: the names it has in ps(1), its title, and its text in a row.
struct Column {
    names: &'static [&'static str],
    title: &'static str,
    cell: fn(&Process<'_>) -> String,
}

/// What a row is made of.
struct Process<'a> {
    row: &'a ProcessRow,
    /// Its parent's id in the container; 0 for one outside.
    parent: i32,
    now: Timestamp,
}

const COLUMNS: [Column; 10] = [
    Column { names: &["user", "%U"], title: "USER", cell: |process| process.row.user.clone() },
    Column { names: &["pid", "%p"], title: "PID", cell: |process| process.row.inner.to_string() },
    Column { names: &["ppid", "%P"], title: "PPID", cell: |process| process.parent.to_string() },
    Column { names: &["hpid"], title: "HPID", cell: |process| process.row.pid.to_string() },
    Column { names: &["pcpu", "%C"], title: "%CPU", cell: |process| format!("{}.000", process.row.cpu) },
    Column {
        names: &["etime", "%t"],
        title: "ELAPSED",
        cell: |process| clock(process.now.duration_since(process.row.started).as_secs().unsigned_abs()),
    },
    Column { names: &["tty", "%y"], title: "TTY", cell: |process| process.row.terminal.clone() },
    Column { names: &["time", "%x"], title: "TIME", cell: |process| clock(process.row.time.as_secs()) },
    Column {
        names: &["stime"],
        title: "STIME",
        cell: |process| time::clock(process.row.started, &time::zone()),
    },
    Column {
        names: &["args", "%a", "comm", "%c"],
        title: "COMMAND",
        cell: |process| process.row.command.clone(),
    },
];

/// The columns without any named.
const DEFAULT: [&str; 8] = ["user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"];

/// Shows processes, containers sorted by name.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let pods = choose::every(session)?;
    let (pod, named) = match args.words.split_first() {
        _ if args.latest => (choose::latest(pods)?, args.words.as_slice()),
        Some((word, columns)) => (choose::one(&pods, word)?.clone(), columns),
        None => return Err(Failure::new("no pod is named").hint("name one, or say --latest")),
    };
    let columns = columns(named)?;
    let now = Timestamp::now();
    let mut rows = vec![];
    for container in &pod.containers {
        if !matches!(container.state.status, Status::Running | Status::Paused) {
            continue;
        }
        let name = &container.record.spec.name;
        let processes = session.engine()?.top(&pod.record.name, &container.record.id);
        let processes = processes
            .map_err(|error| Failure::because(format!("cannot list the processes of `{name}`"), error))?
            .processes;
        let inner: BTreeMap<i32, i32> = processes.iter().map(|row| (row.pid, row.inner)).collect();
        rows.extend(processes.iter().map(|row| {
            let process = Process { row, parent: inner.get(&row.parent).copied().unwrap_or(0), now };
            columns.iter().map(|column| (column.cell)(&process)).collect::<Vec<String>>()
        }));
    }
    let header: Vec<&str> = columns.iter().map(|column| column.title).collect();
    output::result(&table::table(&header, &rows))?;
    Ok(Exit::Success)
}

/// The columns with these names, each word one or several with commas between them.
fn columns(words: &[String]) -> Result<Vec<&'static Column>, Failure> {
    let find = |name: &str| {
        COLUMNS.iter().find(|column| column.names.contains(&name)).ok_or_else(|| {
            let known: Vec<&str> = COLUMNS.iter().map(|column| column.names[0]).collect();
            Failure::new(format!("`{name}` is no column")).hint(format!("known are {}", known.join(", ")))
        })
    };
    let named: Vec<&str> = words.iter().flat_map(|word| word.split(',')).collect();
    if named.is_empty() {
        DEFAULT.iter().map(|name| find(name)).collect()
    } else {
        named.into_iter().map(find).collect()
    }
}

/// `2h5m38s`, without what is nought in front.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_in_ps() {
        let titles = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            columns(&words).map(|columns| columns.iter().map(|column| column.title).collect::<Vec<_>>())
        };
        let default = ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"];
        assert_eq!(titles(&[]).unwrap(), default);
        assert_eq!(titles(&["pid,hpid", "%C"]).unwrap(), ["PID", "HPID", "%CPU"]);
        assert!(titles(&["colour"]).unwrap_err().line().contains("colour"));
    }

    #[test]
    fn a_span_of_time_starts_with_what_is_not_nought() {
        assert_eq!([clock(0), clock(61), clock(7538)], ["0s", "1m1s", "2h5m38s"]);
    }
}
