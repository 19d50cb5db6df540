//! Memory that is left to a container when memory is short. Cgroup v2 heeds what a cgroup reserves as far as
//! every one above it reserves as much, so a pod's has the sum of its members', or what is reserved for the
//! pod where that is more, and the engine's own has the sum of its pods'. V1 has no such rule.

use super::tree::folders_in;
use super::{CgroupError, Hierarchies, Warning};
use std::fs;
use std::path::{Path, PathBuf};

/// The file of v2, in bytes.
const FILE: &str = "memory.low";

/// Has a pod's cgroup, and the engine's own above it, reserve what those in them do. `base` is that cgroup
/// where it is ours, `own` what is reserved for the pod, in bytes.
pub(super) fn carry(
    hierarchies: &Hierarchies,
    base: Option<&Path>,
    pod: &Path,
    own: u64,
) -> Result<(), CgroupError> {
    let Some(mount) = hierarchies.v2.as_ref().filter(|_| hierarchies.is_v2()) else { return Ok(()) };
    reserve(&mount.join(pod), own)?;
    base.map_or(Ok(()), |base| reserve(&mount.join(base), 0))
}

/// Has a cgroup reserve what those in it do together, and no less than `least`. One without the file has
/// nothing in it that reserves.
fn reserve(folder: &Path, least: u64) -> Result<(), CgroupError> {
    let file = folder.join(FILE);
    let Some(reserved) = bytes(&file) else { return Ok(()) };
    let below = folders_in(folder).filter_map(|below| bytes(&below.join(FILE)));
    let wanted = below.fold(0, u64::saturating_add).max(least);
    if reserved == wanted {
        return Ok(());
    }
    fs::write(&file, wanted.to_string()).map_err(CgroupError::new("reserve memory in", &file))
}

/// What a file says; `max` is all there is.
fn bytes(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    if text.trim() == "max" { Some(u64::MAX) } else { text.trim().parse().ok() }
}

/// What to say where a cgroup above those of ours reserves nothing: only an ordinary user's lie there.
pub(super) fn shortcoming(hierarchies: &Hierarchies, pod: &Path) -> Option<Warning> {
    let mount = hierarchies.v2.as_ref().filter(|_| hierarchies.is_v2())?;
    let above: Vec<PathBuf> = pod.ancestors().skip(1).map(Path::to_owned).collect();
    let bare = above.iter().rev().find(|path| bytes(&mount.join(path).join(FILE)) == Some(0))?;
    Some(Warning(format!(
        "memory reservation: it holds against others of the pod only, since the cgroup /{} above reserves \
         nothing",
        bare.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_reserves_what_its_members_do_as_they_come_and_go() {
        let mount = tempfile::tempdir().unwrap();
        let hierarchies = Hierarchies { v1: vec![], v2: Some(mount.path().to_owned()) };
        let set = |path: &str, text: &str| {
            fs::create_dir_all(mount.path().join(path)).unwrap();
            fs::write(mount.path().join(path).join(FILE), text).unwrap();
        };
        let read = |path: &str| fs::read_to_string(mount.path().join(path).join(FILE)).unwrap();
        let carry = |own| carry(&hierarchies, Some(Path::new("base")), Path::new("base/pod"), own).unwrap();
        for (path, text) in
            [("base", "0\n"), ("base/other", "7\n"), ("base/pod", "0\n"), ("base/pod/a", "20\n")]
        {
            set(path, text);
        }
        assert_eq!(
            shortcoming(&hierarchies, Path::new("base/pod")).unwrap().0.split_once("cgroup ").unwrap().1,
            "/base above reserves nothing"
        );
        carry(0);
        assert_eq!((read("base/pod").as_str(), read("base").as_str()), ("20", "27"));
        assert_eq!(shortcoming(&hierarchies, Path::new("base/pod")), None);
        set("base/pod/b", "30\n");
        carry(0);
        assert_eq!((read("base/pod").as_str(), read("base").as_str()), ("50", "57"));
        carry(60);
        assert_eq!((read("base/pod").as_str(), read("base").as_str()), ("60", "67"), "the pod's own is more");
        fs::remove_dir_all(mount.path().join("base/pod/b")).unwrap();
        carry(0);
        assert_eq!((read("base/pod").as_str(), read("base").as_str()), ("20", "27"));
        set("base/pod/c", "max\n");
        carry(0);
        assert_eq!(read("base"), u64::MAX.to_string());
    }

    #[test]
    fn v1_is_left_alone() {
        let hierarchies = Hierarchies { v1: vec![], v2: None };
        carry(&hierarchies, None, Path::new("base/pod"), 5).unwrap();
        assert_eq!(shortcoming(&hierarchies, Path::new("base/pod")), None);
    }
}
