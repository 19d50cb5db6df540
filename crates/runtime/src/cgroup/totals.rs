//! What was set of a pod's cgroup is taken back before something else is set.

use super::{Hierarchies, tree};
use resource::Resources;
use std::fs;
use std::path::Path;

/// Controller, file and what means no limit, on v1. Memory with swap goes first: it is never less than memory.
const V1: [(&str, &str, &str); 6] = [
    ("memory", "memory.memsw.limit_in_bytes", "-1"),
    ("memory", "memory.limit_in_bytes", "-1"),
    ("memory", "memory.soft_limit_in_bytes", "-1"),
    ("cpu", "cpu.cfs_quota_us", "-1"),
    ("cpu", "cpu.shares", "1024"),
    ("pids", "pids.max", "max"),
];

/// The same on v2.
const V2: [(&str, &str); 6] = [
    ("memory.max", "max"),
    ("memory.swap.max", "max"),
    ("memory.low", "0"),
    ("cpu.max", "max"),
    ("cpu.weight", "100"),
    ("pids.max", "max"),
];

/// Leaves a cgroup without the limits that a pod can have. What cannot be written was never set.
pub(super) fn clear(hierarchies: &Hierarchies, path: &Path) {
    let write = |mount: &Path, file: &str, value: &str| {
        let file = mount.join(path).join(file);
        if file.exists() {
            drop(fs::write(file, value));
        }
    };
    match &hierarchies.v2 {
        Some(mount) if hierarchies.is_v2() => {
            V2.iter().for_each(|(file, value)| write(mount, file, value));
        }
        _ => {
            for (controller, file, value) in V1 {
                let mount = hierarchies.v1.iter().find(|each| each.has(controller));
                mount.into_iter().for_each(|mount| write(&mount.path, file, value));
            }
        }
    }
}

/// Takes from the cgroups below what is more CPU time than all of them are about to have: v1 refuses a group
/// less than one below it has, and they could not use it anyway.
pub(super) fn fit_below(hierarchies: &Hierarchies, path: &Path, wanted: &Resources) {
    let cpu = hierarchies.v1.iter().find(|each| each.has("cpu"));
    let (Some(cpu), Some(quota)) = (cpu, wanted.cpu_quota.filter(|quota| *quota > 0)) else { return };
    let period = wanted.cpu_period.and_then(|period| i64::try_from(period).ok()).unwrap_or(100_000);
    for below in tree::folders_in(&cpu.path.join(path)) {
        let number = |name: &str| fs::read_to_string(below.join(name)).ok()?.trim().parse::<i64>().ok();
        let own = number("cpu.cfs_quota_us").zip(number("cpu.cfs_period_us"));
        if let Some((own, own_period)) = own
            && own.saturating_mul(period) > quota.saturating_mul(own_period)
        {
            let fitting = quota.saturating_mul(own_period) / period.max(1);
            drop(fs::write(below.join("cpu.cfs_quota_us"), fitting.to_string()));
        }
    }
}
