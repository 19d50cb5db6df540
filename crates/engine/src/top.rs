//! The processes of a container, as the host sees them: out of /proc, by the cgroup's list
//! or, without cgroups, by the mount namespace.

use crate::{Engine, EngineError, disk};
use resource::{ContainerId, ContainerName, ContainerState, PodName, ProcessIdentity, Timestamp};
use runtime::cgroup::Usage;
use std::time::Duration;

/// Clock ticks in a second, as /proc counts them: fixed on every architecture we run on.
const TICKS: u64 = 100;

/// The processes of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerProcesses {
    /// The container.
    pub container: ContainerName,
    /// Its processes by process id.
    pub processes: Vec<ProcessRow>,
}

/// A process as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRow {
    /// User name on the host, or the number.
    pub user: String,
    /// Process id on the host.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Process id in the innermost pid namespace: that of its container.
    pub inner: i32,
    /// Percent of a processor over its life.
    pub cpu: u32,
    /// When it started.
    pub started: Timestamp,
    /// Controlling terminal, `?` for none.
    pub terminal: String,
    /// Processor time used.
    pub time: Duration,
    /// Command line.
    pub command: String,
}

impl Engine {
    /// The processes of a running container; none of one that does not run.
    ///
    /// # Errors
    /// [`EngineError::NoSuchId`].
    pub fn top(&self, pod: &PodName, id: &ContainerId) -> Result<ContainerProcesses, EngineError> {
        let record = self.record(pod, id).ok_or_else(|| EngineError::NoSuchId(id.clone()))?;
        let cgroup = runtime::cgroup::open(self.roots(), &record.spec, id);
        let mut pids = match cgroup.is_kept() {
            true => cgroup.processes(),
            false => self.first_process(pod, id).map(runtime::processes::beside).unwrap_or_default(),
        };
        pids.sort_unstable();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let boot = boot_time();
        let processes = pids.into_iter().filter_map(|pid| row(pid, &passwd, boot)).collect();
        Ok(ContainerProcesses { container: record.spec.name, processes })
    }

    /// The first process of a container that runs.
    pub(crate) fn first_process(&self, pod: &PodName, id: &ContainerId) -> Option<i32> {
        self.recorded_process(pod, id)
            .filter(|process| crate::process::lives(*process))
            .map(|process| process.pid)
    }

    /// The first process of a container by its record; it may have ended.
    pub(crate) fn recorded_process(&self, pod: &PodName, id: &ContainerId) -> Option<ProcessIdentity> {
        disk::read::<ContainerState>(&self.roots().state(pod, id))?.process
    }

    /// What a container uses now; zero of one that does not run, `None` where the engine has no cgroups.
    pub fn usage(&self, pod: &PodName, id: &ContainerId) -> Option<Usage> {
        runtime::cgroup::open(self.roots(), &self.record(pod, id)?.spec, id).usage()
    }
}

/// Seconds from the epoch to boot.
fn boot_time() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0)
}

/// One process; `None` when it has ended meanwhile.
fn row(pid: i32, passwd: &str, boot: u64) -> Option<ProcessRow> {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).ok();
    let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:")?.split_ascii_whitespace().nth(1))
        .unwrap_or("0");
    let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_ascii_whitespace().last());
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    let (program, mut row) = parse(&stat, boot, now)?;
    let command = String::from_utf8_lossy(&read("cmdline")?).replace('\0', " ").trim_end().to_owned();
    row.pid = pid;
    row.inner = inner.and_then(|text| text.parse().ok()).unwrap_or(pid);
    row.user = user_name(passwd, uid);
    row.command = if command.is_empty() { format!("[{program}]") } else { command };
    Some(row)
}

/// What /proc/PID/stat tells, and the program's name.
fn parse(stat: &str, boot: u64, now: u64) -> Option<(String, ProcessRow)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let program = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let used = number(11)? + number(12)?;
    let started = boot + number(19)? / TICKS;
    let cpu = (used * 100 / TICKS).checked_div(now.saturating_sub(started)).unwrap_or(0);
    let terminal = match number(4)? {
        0 => "?".to_owned(),
        device if (136..=143).contains(&(device >> 8 & 0xfff)) => {
            format!("pts/{}", (device & 0xff) | (device >> 12 & 0xfff00))
        }
        device => format!("tty{}", device & 0xff),
    };
    let row = ProcessRow {
        user: String::new(),
        pid: 0,
        inner: 0,
        parent: fields.get(1)?.parse().ok()?,
        cpu: u32::try_from(cpu).unwrap_or(u32::MAX),
        started: Timestamp::from_second(i64::try_from(started).ok()?).ok()?,
        terminal,
        time: Duration::from_millis(used * 1000 / TICKS),
        command: String::new(),
    };
    Some((program, row))
}

fn user_name(passwd: &str, uid: &str) -> String {
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(uid));
    line.and_then(|line| line.split(':').next()).unwrap_or(uid).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "42 (a ) b) S 7 42 42 34817 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 12345 1000 10 18446744073709551615";
        let (program, row) = parse(stat, 1000, 1000 + 123 + 20).unwrap();
        assert_eq!(program, "a ) b");
        assert_eq!((row.parent, row.cpu, row.terminal.as_str()), (7, 10, "pts/1"));
        assert_eq!(row.time, Duration::from_secs(2));
        assert_eq!(row.started.as_second(), 1123);
    }

    #[test]
    fn users_have_names_where_the_host_knows_them() {
        let passwd = "root:x:0:0::/:\nwww:x:33:33::/:\n";
        assert_eq!(user_name(passwd, "33"), "www");
        assert_eq!(user_name(passwd, "999"), "999");
    }
}
