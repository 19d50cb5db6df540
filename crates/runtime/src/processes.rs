//! The processes of a container, for an engine that has no cgroups to ask.

use std::fs;
use std::path::PathBuf;

/// Pids of the processes that share a process's mount namespace, itself included, in order; none when it
/// has ended. A container has a mount namespace of its own, whatever else it shares, and what is
/// executed in it joins that; only what has since left for another is missed.
pub fn beside(pid: i32) -> Vec<i32> {
    let mounts = |pid: i32| -> Option<PathBuf> { fs::read_link(format!("/proc/{pid}/ns/mnt")).ok() };
    let Some(own) = mounts(pid) else { return vec![] };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<i32> = pids.filter(|other| mounts(*other).is_some_and(|other| other == own)).collect();
    found.sort_unstable();
    found
}
