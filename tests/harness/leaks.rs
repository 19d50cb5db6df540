//! What a world may leave behind once everything is down: nothing. Each kind of kernel object is
//! looked for by what ties it to the world: the path of its folder or the name of its cgroup.

use resource::Roots;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that is left of a world, a line each.
pub(crate) fn find(roots: &Roots, folder: &Path) -> Vec<String> {
    let mut left = vec![];
    let own = std::process::id();
    for pid in supervisors(folder).into_iter().filter(|pid| *pid != own.cast_signed()) {
        left.push(format!("process {pid}: a supervisor"));
    }
    for cgroup in cgroups(roots) {
        left.push(format!("cgroup {}", cgroup.display()));
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let path = folder.to_string_lossy();
    left.extend(mounts.lines().filter(|line| line.contains(&*path)).map(|line| format!("mount {line}")));
    left.extend(bridges(roots).into_iter().map(|bridge| format!("bridge {bridge}")));
    left.extend(chains(roots).into_iter().map(|chain| format!("firewall chain {chain}")));
    for below in ["pods", "names"] {
        for root in [&roots.data, &roots.run] {
            let entries = std::fs::read_dir(root.join(below)).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| format!("file {}", entry.path().display())));
        }
    }
    left
}

/// Removes what is left, so that a failed scenario does not disturb the next.
pub(crate) fn remove(roots: &Roots, folder: &Path) {
    for pid in supervisors(folder) {
        signal(pid);
    }
    for pid in cgroups(roots).iter().flat_map(|cgroup| processes_in(cgroup)) {
        signal(pid);
    }
    // A cgroup can be removed once the kernel has taken its processes out, deepest first.
    for _ in 0..100 {
        let mut cgroups = cgroups(roots);
        if cgroups.is_empty() {
            break;
        }
        cgroups.sort_by_key(|cgroup| std::cmp::Reverse(cgroup.components().count()));
        cgroups.iter().for_each(|cgroup| drop(std::fs::remove_dir(cgroup)));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for bridge in bridges(roots) {
        drop(Command::new("/usr/sbin/ip").args(["link", "del", &bridge]).status());
    }
}

/// Host process ids of a container's processes.
pub(crate) fn processes_of(roots: &Roots, id: &str) -> Vec<i32> {
    let mut found: Vec<i32> = cgroups(roots)
        .iter()
        .filter(|cgroup| cgroup.file_name().is_some_and(|name| name.to_string_lossy().contains(id)))
        .flat_map(|cgroup| processes_in(cgroup))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Supervisors whose command line names the world's folder.
pub(crate) fn supervisors(folder: &Path) -> Vec<i32> {
    let needle = folder.as_os_str().as_encoded_bytes();
    let mut found = vec![];
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_string_lossy().parse::<i32>().ok() else { continue };
        // A container's own process 1 is a copy of the supervisor with another name.
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_ours = line.windows(needle.len()).any(|window| window == needle);
        if is_ours && name.trim() != "init" && line.windows(11).any(|window| window == b"__supervise") {
            found.push(pid);
        }
    }
    found
}

/// Bridges of the kernel's that bear the world's mark in their alias, or that its network documents
/// name.
fn bridges(roots: &Roots) -> Vec<String> {
    let networks = std::fs::read_dir(roots.data.join("networks")).into_iter().flatten().flatten();
    let records = networks.filter_map(|network| std::fs::read(network.path().join("network.json")).ok());
    let named: Vec<String> = records
        .filter_map(|bytes| resource::document::decode::<resource::NetworkRecord>(&bytes))
        .map(|record| record.bridge)
        .collect();
    let mark = format!("alias {}", mark(roots));
    links()
        .into_iter()
        .filter(|(name, line)| line.contains(&mark) || named.contains(name))
        .map(|(name, _)| name)
        .collect()
}

/// How the alias of a bridge and the comment of a chain begin that belong to the world.
fn mark(roots: &Roots) -> String {
    format!("compose:{}:", roots.cgroup)
}

/// Every link of the kernel: its name and all that `ip` says of it.
fn links() -> Vec<(String, String)> {
    let output = Command::new("/usr/sbin/ip").args(["-o", "link"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let name =
        |line: &str| line.split(": ").nth(1).and_then(|name| name.split('@').next()).map(str::to_owned);
    text.lines().filter_map(|line| Some((name(line)?, line.to_owned()))).collect()
}

/// Chains of the packet filter that bear the world's mark: of its networks by their comment, of its
/// pods by their name.
fn chains(roots: &Roots) -> Vec<String> {
    let output = Command::new("/usr/sbin/nft").args(["list", "table", "inet", "compose"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (mark, pod) = (format!("comment \"{}", mark(roots)), format!("pod-{}-", roots.cgroup));
    let mut found = vec![];
    let mut chain = "";
    for line in text.lines().map(str::trim) {
        chain = line.strip_prefix("chain ").and_then(|rest| rest.split(' ').next()).unwrap_or(chain);
        if (line.starts_with(&mark) || chain.starts_with(&pod)) && !found.iter().any(|known| known == chain) {
            found.push(chain.to_owned());
        }
    }
    found
}

/// The world's cgroup, those beside it whose names begin with its name ([`World::cgroup_beside`]), and what is
/// below them.
///
/// [`World::cgroup_beside`]: crate::World::cgroup_beside
fn cgroups(roots: &Roots) -> Vec<PathBuf> {
    let below = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let base = Path::new("/sys/fs/cgroup");
    let hierarchies = below(base).map(|entry| entry.path());
    let mut found = vec![];
    for hierarchy in hierarchies.chain([base.to_owned()]) {
        let is_own = |name: &str| name == roots.cgroup || name.starts_with(&format!("{}-", roots.cgroup));
        for entry in below(&hierarchy).filter(|entry| entry.file_name().to_str().is_some_and(is_own)) {
            walk(&entry.path(), &mut found);
        }
    }
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    found.push(folder.to_owned());
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        walk(&entry.path(), found);
    }
}

fn processes_in(cgroup: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn signal(pid: i32) {
    drop(Command::new("/bin/kill").args(["-KILL", &pid.to_string()]).status());
}
