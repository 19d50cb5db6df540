//! The processes of a container, for an engine that has no cgroups to ask. A container has a mount
//! namespace of its own, whatever else it shares, and what is executed in it joins that; only what has
//! since left for another is missed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;

/// Pids of the processes that share a process's mount namespace, itself included, in order; none when it
/// has ended.
pub fn beside(pid: i32) -> Vec<i32> {
    MountNamespace::of(pid).map(|own| own.processes()).unwrap_or_default()
}

/// The mount namespace of a container. It is kept as long as this is, so that no other has its number.
#[derive(Debug)]
pub struct MountNamespace(File);

impl MountNamespace {
    /// That of a process.
    ///
    /// # Errors
    /// `NotFound` when it has ended, else what open(2) says.
    pub fn of(pid: i32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/ns/mnt")).map(Self)
    }

    /// Pids of the processes in it, in order.
    pub fn processes(&self) -> Vec<i32> {
        let Ok(own) = self.0.metadata() else { return vec![] };
        let same = |pid: &i32| {
            let other = fs::metadata(format!("/proc/{pid}/ns/mnt"));
            other.is_ok_and(|other| (other.dev(), other.ino()) == (own.dev(), own.ino()))
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut found: Vec<i32> = pids.filter(same).collect();
        found.sort_unstable();
        found
    }

    /// Sends SIGKILL to every process in it, again for those that were made meanwhile.
    pub fn kill(&self) {
        for _ in 0..100 {
            let processes = self.processes();
            if processes.is_empty() {
                break;
            }
            for pid in processes {
                let _gone_already = sys::process::kill(pid, 9);
            }
        }
    }
}
