//! Where the supervisors of root's pods are: `BASE/.supervisors/POD`, so that none ends with what it was
//! started from. When a unit ends, systemd kills what is left in its cgroup; where it is told to, that
//! of a login session as well (systemd.kill(5), `KillUserProcesses=` in logind.conf(5)).

use super::{Cgroup, CgroupError, Hierarchies};
use resource::{PodName, Roots};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder for all of them: no pod has a name that begins so.
const FOLDER: &str = ".supervisors";

/// That of a pod's supervisor; nothing is touched.
pub(super) fn of(roots: &Roots, pod: &PodName) -> Cgroup {
    Cgroup { path: Some(all(roots).join(pod.as_str())), parent: None }
}

/// That of all of them.
pub(super) fn all(roots: &Roots) -> PathBuf {
    Path::new(&roots.cgroup).join(FOLDER)
}

/// Takes this process there, out of the cgroups by which somebody else would end it.
///
/// # Errors
/// [`CgroupError`]: it stays where it is.
pub(super) fn enter(roots: &Roots, pod: &PodName) -> Result<(), CgroupError> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = all(roots).join(pod.as_str());
    for mount in somebodys(&text, Hierarchies::get()) {
        let folder = mount.join(&path);
        fs::create_dir_all(&folder).map_err(CgroupError::new("create", &folder))?;
        let entered = fs::write(folder.join("cgroup.procs"), std::process::id().to_string());
        entered.map_err(CgroupError::new("enter", &folder))?;
    }
    Ok(())
}

/// Where the hierarchies are mounted by which units and sessions are known, as far as a process with this
/// `/proc/PID/cgroup` is in one of those: what is in the root is nobody's.
fn somebodys<'h>(text: &str, hierarchies: &'h Hierarchies) -> Vec<&'h Path> {
    let is_in = |controllers: &str| {
        text.lines().any(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            fields.next() == Some(controllers) && fields.next().is_some_and(|path| path != "/")
        })
    };
    let named = hierarchies.v1.iter().filter(|each| each.options == "name=systemd" && is_in(&each.options));
    let unified = hierarchies.v2.iter().filter(|_| is_in(""));
    named.map(|each| each.path.as_path()).chain(unified.map(PathBuf::as_path)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::hierarchy::V1;
    use super::*;

    #[test]
    fn only_what_is_in_a_unit_or_session_is_taken_out_and_only_there() {
        let v1 = |options: &str| V1 {
            path: Path::new("/c").join(options),
            folder: options.to_owned(),
            options: options.to_owned(),
        };
        let v2 = Some(PathBuf::from("/c/unified"));
        let hybrid = Hierarchies { v1: vec![v1("memory"), v1("name=systemd")], v2: v2.clone() };
        let session = "2:memory:/user.slice\n1:name=systemd:/user.slice/session-1.scope\n0::/user.slice/s\n";
        let both = [Path::new("/c/name=systemd"), Path::new("/c/unified")];
        assert_eq!(somebodys(session, &hybrid), both);
        let unit = "0::/system.slice/shop.service\n";
        assert_eq!(somebodys(unit, &Hierarchies { v1: vec![], v2 }), [Path::new("/c/unified")]);
        assert!(somebodys("2:memory:/x\n1:name=systemd:/\n0::/\n", &hybrid).is_empty());
        assert!(somebodys(session, &Hierarchies::default()).is_empty());
    }

    #[test]
    fn a_pods_supervisor_has_a_cgroup_beside_the_pods() {
        let roots = Roots::at("/d".into(), "/r".into(), "compose".into());
        let expected = Path::new("compose/.supervisors/shop");
        assert_eq!(of(&roots, &"shop".into()).path(), Some(expected));
    }
}
