//! The cgroup that a service wants its containers' in, `cgroup_parent`, instead of its pod's. Who has made it
//! keeps it; one that nobody had made is made, and goes with the last container in it.
//!
//! A container's cgroup bears its engine's name and its pod's there, so that it is found without a document.
//! That we made a parent is written down before it is made: RUN/cgroups/NAME, with the first part that was new.

use super::{Cgroup, CgroupError, Hierarchies, Placement, tree};
use resource::{ContainerId, PodName, Roots};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Digits of a container's id.
const ID_LENGTH: usize = 64;

/// A parent that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    /// Below the root of a hierarchy.
    path: PathBuf,
    /// The file that says that it is ours.
    marker: PathBuf,
    /// The pod's own cgroup, which is there as long as a container is: who finds it knows that there is more.
    pod: PathBuf,
}

/// What a container's cgroup is called in a parent.
fn leaf(roots: &Roots, pod: &PodName, id: &str) -> String {
    format!("{}-{pod}-{id}", roots.cgroup)
}

/// The cgroup of a container in a parent: from the root of the hierarchies for root, from where room was given
/// for an ordinary user, who cannot leave that.
pub(super) fn within(roots: &Roots, parent: &str, pod: &PodName, id: &ContainerId) -> Cgroup {
    let path = match Placement::of(roots, pod) {
        Placement::Named(_) => PathBuf::from(parent),
        Placement::Delegated(base) => base.join(parent),
        Placement::Nowhere => return Cgroup { path: None, parent: None },
    };
    at(roots, pod, path.join(leaf(roots, pod, id.as_str())))
}

/// The cgroup of a container whose path is known.
fn at(roots: &Roots, pod: &PodName, path: PathBuf) -> Cgroup {
    let above = path.parent().unwrap_or(Path::new("")).to_owned();
    let name = above.to_string_lossy().replace('%', "%25").replace('/', "%2f");
    let marker = roots.run.join("cgroups").join(name);
    let pod = Placement::of(roots, pod).base().map(|base| base.join(pod.as_str())).unwrap_or_default();
    Cgroup { path: Some(path), parent: Some(Parent { path: above, marker, pod }) }
}

/// Cgroups of containers of a pod that lie in parents, or of the one with this id, with nothing else known.
pub(super) fn find(roots: &Roots, pod: &PodName, id: Option<&ContainerId>) -> Vec<Cgroup> {
    let hierarchies = Hierarchies::get();
    let v1 = hierarchies.v1.first().map(|hierarchy| &hierarchy.path);
    let Some(mount) = hierarchies.v2.as_ref().or(v1) else { return vec![] };
    let prefix = leaf(roots, pod, id.map_or("", ContainerId::as_str));
    let is_digits = |rest: &str| rest.len() == ID_LENGTH && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wanted = |name: &str| match name.strip_prefix(&prefix) {
        Some(rest) => {
            if id.is_some() {
                rest.is_empty()
            } else {
                is_digits(rest)
            }
        }
        None => false,
    };
    let mut found = vec![];
    let mut folders = vec![mount.clone()];
    while let Some(folder) = folders.pop() {
        for below in tree::folders_in(&folder) {
            let name = below.file_name().unwrap_or_default().to_string_lossy();
            match below.strip_prefix(mount) {
                Ok(path) if wanted(&name) => {
                    found.push(at(roots, pod, path.to_owned()));
                }
                _ => folders.push(below),
            }
        }
    }
    found
}

impl Parent {
    /// Writes down that it is about to be made, unless it is there in any hierarchy.
    pub(super) fn claim(&self, hierarchies: &Hierarchies) -> Result<(), CgroupError> {
        tree::make(hierarchies, &self.pod)?;
        let is_there = |path: &Path| mounts(hierarchies).any(|mount| mount.join(path).exists());
        if self.marker.exists() || is_there(&self.path) {
            return Ok(());
        }
        let above = self.path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !is_there(path));
        let first = above.last().unwrap_or(&self.path);
        let failed = CgroupError::new("write down who made", &self.path);
        let write = || {
            fs::create_dir_all(self.marker.parent().unwrap_or(Path::new("/")))?;
            sys::file::replace(&self.marker, first.as_os_str().as_encoded_bytes())
        };
        write().map_err(failed)
    }

    /// Removes it if we have made it and nothing is in it.
    pub(super) fn leave(&self, hierarchies: &Hierarchies) {
        let Ok(first) = fs::read_to_string(&self.marker) else { return };
        let ours = self.path.ancestors().take_while(|path| path.starts_with(&first));
        let gone = |folder: &Path| match fs::remove_dir(folder) {
            Err(error) => error.kind() == io::ErrorKind::NotFound,
            Ok(()) => true,
        };
        let folders = ours.flat_map(|path| mounts(hierarchies).map(move |mount| mount.join(path)));
        // One that somebody else is in stays, and those above it.
        if folders.filter(|folder| !gone(folder)).count() == 0 {
            drop(fs::remove_file(&self.marker));
            drop(self.marker.parent().map(fs::remove_dir));
        }
    }
}

/// Where the hierarchies are mounted.
fn mounts(hierarchies: &Hierarchies) -> impl Iterator<Item = &PathBuf> {
    hierarchies.v1.iter().map(|hierarchy| &hierarchy.path).chain(&hierarchies.v2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_nobody_made_goes_with_the_last_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mount, run) = (folder.path().join("cgroup"), folder.path().join("run"));
        let hierarchies = Hierarchies { v1: vec![], v2: Some(mount.clone()) };
        let parent = |path: &str| {
            let marker = run.join("cgroups").join(path.replace('/', "%2f"));
            Parent { path: path.into(), marker, pod: "engine/pod".into() }
        };
        fs::create_dir_all(mount.join("admins")).unwrap();
        for path in ["admins", "admins/team/apps", "new"] {
            parent(path).claim(&hierarchies).unwrap();
            fs::create_dir_all(mount.join(path).join("one")).unwrap();
            parent(path).claim(&hierarchies).unwrap();
            parent(path).leave(&hierarchies);
            assert!(mount.join(path).exists(), "{path}: somebody is in it");
            fs::remove_dir(mount.join(path).join("one")).unwrap();
            parent(path).leave(&hierarchies);
            assert_eq!(mount.join(path).exists(), path == "admins", "{path}");
        }
        assert!(mount.join("admins").exists() && !mount.join("admins/team").exists());
        assert!(!run.join("cgroups").exists());
    }
}
