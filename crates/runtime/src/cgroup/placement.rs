//! Where the cgroups of a pod lie: an engine of root names them itself, one of an ordinary user has
//! them where it was given room, and otherwise there are none.

use super::Cgroup;
use resource::{ContainerId, PodName, Roots};
use std::path::{Path, PathBuf};

/// Where the cgroups of a pod lie. A pod's is `PLACE/POD`, a container's `PLACE/POD/CONTAINER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Below a folder of this name in every hierarchy.
    Named(String),
    /// Below this folder of the unified hierarchy, which was delegated to the user.
    Delegated(PathBuf),
    /// Nowhere: containers run in the cgroup of whoever starts them, and nothing is limited or counted.
    Nowhere,
}

impl Placement {
    /// That of a pod; for an ordinary user it is what the pod's supervisor wrote down.
    pub fn of(roots: &Roots, pod: &PodName) -> Self {
        if !roots.mapping.is_rootless() {
            return Self::Named(roots.cgroup.clone());
        }
        let text = std::fs::read_to_string(roots.pod_cgroup(pod)).unwrap_or_default();
        Self::read(&text)
    }

    /// A placement as it is written down: the folder below the hierarchy's root.
    fn read(text: &str) -> Self {
        let path = Path::new(text.trim_end_matches('\n'));
        let plain = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if path.as_os_str().is_empty() || !plain { Self::Nowhere } else { Self::Delegated(path.to_owned()) }
    }

    /// Writes it down for a pod of an ordinary user.
    pub(super) fn write(&self, roots: &Roots, pod: &PodName) -> std::io::Result<()> {
        let text = self.base().map_or_else(String::new, |base| format!("{}\n", base.display()));
        sys::file::replace(&roots.pod_cgroup(pod), text.as_bytes())
    }

    /// The folder in which those of pods lie.
    pub(super) fn base(&self) -> Option<&Path> {
        match self {
            Self::Named(name) => Some(Path::new(name)),
            Self::Delegated(path) => Some(path),
            Self::Nowhere => None,
        }
    }

    /// The cgroup of a container; nothing is touched.
    pub fn container(&self, pod: &PodName, id: &ContainerId) -> Cgroup {
        Cgroup { path: self.base().map(|base| base.join(pod.as_str()).join(id.as_str())), parent: None }
    }

    /// The cgroup of a pod; nothing is touched.
    pub fn pod(&self, pod: &PodName) -> Cgroup {
        Cgroup { path: self.base().map(|base| base.join(pod.as_str())), parent: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_a_plain_path_or_nothing() {
        let scope = "user.slice/user@1000.service/app.slice/compose-shop.scope";
        assert_eq!(Placement::read(&format!("{scope}\n")), Placement::Delegated(scope.into()));
        for nothing in ["", "\n", "/etc", "../x", "a/../b"] {
            assert_eq!(Placement::read(nothing), Placement::Nowhere, "{nothing}");
        }
    }

    #[test]
    fn a_container_is_below_its_pod() {
        let id = ContainerId("7".repeat(64));
        let path = |place: Placement| place.container(&"shop".into(), &id).path;
        assert_eq!(path(Placement::Nowhere), None);
        let expected = PathBuf::from("compose/shop").join(id.as_str());
        assert_eq!(path(Placement::Named("compose".to_owned())), Some(expected));
    }
}
