//! What was set of a pod's cgroup is taken back before something else is set.

use super::{Hierarchies, Warning, tree};
use resource::Resources;
use std::fs;
use std::path::Path;

/// Whether a pod's memory is limited anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// As it is wanted.
    AsWanted,
    /// It stays as it is, since this many bytes are in use, more than it would have. The kernel of v1
    /// refuses that, and that of v2 kills processes until the rest fits.
    Stays(u64),
}

impl Memory {
    /// What becomes of it when so much is in use.
    pub(super) fn decide(wanted: &Resources, used: u64) -> Self {
        if wanted.memory.is_some_and(|most| most < used) { Self::Stays(used) } else { Self::AsWanted }
    }

    /// What is left to set, and what to say of the rest.
    pub(super) fn left(self, wanted: &Resources) -> (Resources, Option<Warning>) {
        let Self::Stays(used) = self else { return (wanted.clone(), None) };
        let text = format!(
            "memory limit: {used} bytes are in use, more than that; what was said before holds until all \
             containers have stopped"
        );
        (Resources { memory: None, memory_swap: None, ..wanted.clone() }, Some(Warning(text)))
    }

    /// Whether a file is left alone.
    fn spares(self, file: &str) -> bool {
        let limits =
            ["memory.max", "memory.swap.max", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"];
        self != Self::AsWanted && limits.contains(&file)
    }
}

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
pub(super) fn clear(hierarchies: &Hierarchies, path: &Path, memory: Memory) {
    let write = |mount: &Path, file: &str, value: &str| {
        let spared = memory.spares(file);
        let file = mount.join(path).join(file);
        if !spared && file.exists() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_not_taken_away() {
        let wanted =
            Resources { memory: Some(10), memory_swap: Some(20), pids: Some(5), ..Resources::default() };
        assert_eq!(Memory::decide(&wanted, 10), Memory::AsWanted);
        assert_eq!(Memory::AsWanted.left(&wanted), (wanted.clone(), None));
        let stays = Memory::decide(&wanted, 11);
        assert_eq!(stays, Memory::Stays(11));
        let (left, said) = stays.left(&wanted);
        assert_eq!((left.memory, left.memory_swap, left.pids), (None, None, Some(5)));
        assert!(said.unwrap().0.starts_with("memory limit: 11 bytes are in use"));
        assert!(stays.spares("memory.max") && !stays.spares("memory.low") && !stays.spares("pids.max"));
        assert_eq!(Memory::decide(&Resources::default(), 1 << 40), Memory::AsWanted, "no limit");
    }

    #[test]
    fn what_is_not_spared_is_cleared() {
        let mount = tempfile::tempdir().unwrap();
        let pod = mount.path().join("pod");
        let set = |file: &str| fs::write(pod.join(file), "7").unwrap();
        fs::create_dir(&pod).unwrap();
        ["memory.max", "memory.low", "pids.max", "cpu.max"].into_iter().for_each(set);
        let hierarchies = Hierarchies { v1: vec![], v2: Some(mount.path().to_owned()) };
        let read = || {
            ["memory.max", "memory.low", "pids.max", "cpu.max"]
                .map(|file| fs::read_to_string(pod.join(file)).unwrap())
        };
        clear(&hierarchies, Path::new("pod"), Memory::Stays(1));
        assert_eq!(read(), ["7", "0", "max", "max"]);
        clear(&hierarchies, Path::new("pod"), Memory::AsWanted);
        assert_eq!(read(), ["max", "0", "max", "max"]);
        assert!(!pod.join("memory.swap.max").exists(), "what the kernel does not have is not made");
    }
}
