//! The folders of a cgroup: making, removing, freezing and reading them.

use super::{CgroupError, Hierarchies, Usage};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::{Duration, Instant};

/// The controllers that limits and numbers need.
pub(super) const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// Makes the folder in every hierarchy.
pub(super) fn make(hierarchies: &Hierarchies, path: &Path) -> Result<(), CgroupError> {
    for hierarchy in &hierarchies.v1 {
        let folder = hierarchy.path.join(path);
        fs::create_dir_all(&folder).map_err(CgroupError::new("create", &folder))?;
        if hierarchy.has("cpuset") {
            inherit_cpuset(&hierarchy.path, path)?;
        }
    }
    if let Some(mount) = &hierarchies.v2 {
        let folder = mount.join(path);
        fs::create_dir_all(&folder).map_err(CgroupError::new("create", &folder))?;
        if hierarchies.is_v2() {
            enable_controllers(mount, path);
        }
    }
    Ok(())
}

/// Fills `cpuset.cpus` and `cpuset.mems` of each folder of `path` from the one above: v1 leaves them
/// empty, and a process cannot enter then. Folders that are made later get them from the kernel.
pub(super) fn inherit_cpuset(mount: &Path, path: &Path) -> Result<(), CgroupError> {
    let is_empty = |file: &Path| Ok::<_, io::Error>(fs::read_to_string(file)?.trim().is_empty());
    let last = mount.join(path);
    // Both are given or neither.
    if is_empty(&last.join("cpuset.mems")).is_ok_and(|empty| !empty) {
        return Ok(());
    }
    let mut above = mount.to_owned();
    for part in path {
        let folder = above.join(part);
        let copy = || -> io::Result<()> {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let (from, to) = (above.join(file), folder.join(file));
                if is_empty(&to)? {
                    fs::write(&to, fs::read_to_string(&from)?.trim())?;
                }
            }
            if folder != last {
                fs::write(folder.join("cgroup.clone_children"), "1")?;
            }
            Ok(())
        };
        copy().map_err(CgroupError::new("set the processors of", &folder))?;
        above = folder;
    }
    Ok(())
}

/// Lets every folder of `path` but the last hand its controllers down. What cannot be handed down is
/// missed, and warned about, where a limit needs it.
pub(super) fn enable_controllers(mount: &Path, path: &Path) {
    let mut folder = mount.to_owned();
    for part in path {
        let file = folder.join("cgroup.subtree_control");
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let (offered, enabled) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
        let has = |list: &str, name: &str| list.split_ascii_whitespace().any(|each| each == name);
        for name in CONTROLLERS.iter().filter(|name| has(&offered, name) && !has(&enabled, name)) {
            let _warned_about_later = fs::write(&file, format!("+{name}"));
        }
        folder.push(part);
    }
}

/// Removes a folder and those below it; cgroup files need no removal.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    for below in folders_in(folder) {
        remove(&below)?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The folders in a folder.
pub(super) fn folders_in(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// Pids in a folder and those below it.
pub(super) fn processes(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process that is not visible in our pid namespace.
    let mut pids: Vec<i32> =
        text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect();
    for below in folders_in(folder) {
        pids.extend(processes(&below));
    }
    pids
}

/// How long freezing may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Freezes or thaws, and waits until it is so.
pub(super) fn set_frozen(hierarchies: &Hierarchies, path: &Path, frozen: bool) -> Result<(), CgroupError> {
    let action = if frozen { "freeze" } else { "thaw" };
    if let Some(mount) = &hierarchies.v2 {
        let folder = mount.join(path);
        return set_frozen_v2(&folder, frozen).map_err(CgroupError::new(action, &folder));
    }
    let Some(freezer) = hierarchies.v1.iter().find(|hierarchy| hierarchy.has("freezer")) else {
        let missing = io::Error::new(io::ErrorKind::Unsupported, "no freezer is mounted");
        return Err(CgroupError::new(action, path)(missing));
    };
    let folder = freezer.path.join(path);
    set_frozen_v1(&folder, frozen).map_err(CgroupError::new(action, &folder))
}

fn set_frozen_v2(folder: &Path, frozen: bool) -> io::Result<()> {
    let mut events = File::open(folder.join("cgroup.events"))?;
    fs::write(folder.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
    let (end, wanted) = (Instant::now() + PATIENCE, if frozen { "frozen 1" } else { "frozen 0" });
    loop {
        let mut text = String::new();
        events.rewind()?;
        events.read_to_string(&mut text)?;
        if text.lines().any(|line| line == wanted) {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        // The file tells of its changes.
        rustix::event::poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&left))?;
    }
}

fn set_frozen_v1(folder: &Path, frozen: bool) -> io::Result<()> {
    let (file, wanted) = (folder.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" });
    let end = Instant::now() + PATIENCE;
    loop {
        // Written each time: a process that forked meanwhile is caught by the next write only.
        fs::write(&file, wanted)?;
        if fs::read_to_string(&file)?.trim() == wanted {
            return Ok(());
        }
        if Instant::now() > end {
            let _thawed = fs::write(&file, "THAWED");
            return Err(io::ErrorKind::TimedOut.into());
        }
        // The file has no event.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A number that is all of a file.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number after a word at the start of a line.
fn field(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

/// What a container uses.
pub(super) fn usage(hierarchies: &Hierarchies, path: &Path) -> Usage {
    if let (true, Some(mount)) = (hierarchies.is_v2(), &hierarchies.v2) {
        return usage_v2(&mount.join(path));
    }
    let mut usage = Usage::default();
    for hierarchy in &hierarchies.v1 {
        let folder = hierarchy.path.join(path);
        if hierarchy.has("memory") {
            let cache = field(&folder.join("memory.stat"), "total_inactive_file").unwrap_or(0);
            let used = number(&folder.join("memory.usage_in_bytes")).unwrap_or(0);
            usage.memory = used.saturating_sub(cache);
            // Without a limit the kernel shows the largest number of whole pages.
            usage.memory_limit = number(&folder.join("memory.limit_in_bytes")).filter(|most| *most < 1 << 62);
        }
        if hierarchy.has("cpuacct") {
            usage.cpu = number(&folder.join("cpuacct.usage")).unwrap_or(0);
        }
        if hierarchy.has("pids") {
            usage.pids = number(&folder.join("pids.current")).unwrap_or(0);
        }
        if hierarchy.has("blkio") {
            let text = fs::read_to_string(folder.join("blkio.throttle.io_service_bytes")).unwrap_or_default();
            (usage.read, usage.written) = transferred_v1(&text);
        }
    }
    usage
}

fn usage_v2(folder: &Path) -> Usage {
    let cache = field(&folder.join("memory.stat"), "inactive_file").unwrap_or(0);
    let text = fs::read_to_string(folder.join("io.stat")).unwrap_or_default();
    let (read, written) = transferred_v2(&text);
    Usage {
        memory: number(&folder.join("memory.current")).unwrap_or(0).saturating_sub(cache),
        memory_limit: number(&folder.join("memory.max")),
        cpu: field(&folder.join("cpu.stat"), "usage_usec").unwrap_or(0) * 1000,
        pids: number(&folder.join("pids.current")).unwrap_or(0),
        read,
        written,
    }
}

/// Bytes read and written, of lines like `8:0 Read 4096`.
fn transferred_v1(text: &str) -> (u64, u64) {
    let sum = |word: &str| {
        let value = |line: &str| {
            let mut fields = line.split_ascii_whitespace();
            let (_device, kind, bytes) = (fields.next()?, fields.next()?, fields.next()?);
            if kind == word { bytes.parse::<u64>().ok() } else { None }
        };
        text.lines().filter_map(value).sum()
    };
    (sum("Read"), sum("Write"))
}

/// Bytes read and written, of lines like `8:0 rbytes=4096 wbytes=0 …`.
fn transferred_v2(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let value = |word: &str| word.strip_prefix(key)?.parse::<u64>().ok();
        text.split_ascii_whitespace().filter_map(value).sum()
    };
    (sum("rbytes="), sum("wbytes="))
}

/// Processes killed for want of memory.
pub(super) fn oom_kills(hierarchies: &Hierarchies, path: &Path) -> u64 {
    let file = match (hierarchies.is_v2(), &hierarchies.v2) {
        (true, Some(mount)) => Some(mount.join(path).join("memory.events")),
        _ => {
            let memory = hierarchies.v1.iter().find(|hierarchy| hierarchy.has("memory"));
            memory.map(|memory| memory.path.join(path).join("memory.oom_control"))
        }
    };
    file.and_then(|file| field(&file, "oom_kill")).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transferred_bytes_are_summed_over_devices() {
        let v1 = "8:0 Read 10\n8:0 Write 5\n8:0 Total 15\n9:0 Read 1\nTotal 16\n";
        assert_eq!(transferred_v1(v1), (11, 5));
        assert_eq!(transferred_v2("8:0 rbytes=7 wbytes=2 rios=1\n9:0 rbytes=1 wbytes=0\n"), (8, 2));
    }
}
