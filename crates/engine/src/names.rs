//! Claims: symbolic links that say which container has a name or an address. A link is made in one
//! step or not at all, and it says whose it is: it points at the container's folder.
//!
//! ```text
//! DATA/names/NAME -> ../pods/POD/containers/ID
//! DATA/networks/NETWORK/leases/ADDRESS -> ../../../pods/POD/containers/ID
//! DATA/volumes/VOLUME/users/ID -> ../../../pods/POD/containers/ID
//! ```
//!
//! A claim is stale when neither that folder nor the one in which it is being made
//! (`DATA/pods/POD/making/ID`) exists, or when nobody holds the lock under which it would be made.

use crate::EngineError;
use resource::{ContainerId, PodName, Roots};
use std::io;
use std::path::{Path, PathBuf};

/// Refuses a name that is no plain file name: it would lead out of its folder.
pub fn check(name: &str) -> Result<(), EngineError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() < 256 && name.bytes().all(good) {
        Ok(())
    } else {
        Err(EngineError::BadName(name.to_owned()))
    }
}

/// Whose a claim is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pod: PodName,
    pub(crate) id: ContainerId,
}

impl Owner {
    /// The owner written in the link at `path`; `None` when there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let target = std::fs::read_link(path).ok()?;
        let mut parts = target.to_str()?.rsplit('/');
        let (id, containers, pod) = (parts.next()?, parts.next()?, parts.next()?);
        (containers == "containers").then(|| Self { pod: pod.into(), id: id.into() })
    }

    /// Whether the container exists or is being made.
    pub(crate) fn lives(&self, roots: &Roots) -> bool {
        roots.container(&self.pod, &self.id).exists()
            || (making(roots, &self.pod).join(&self.id.0).exists()
                && crate::lock::is_held(&roots.pod_run(&self.pod)))
    }

    /// What a link `depth` folders below DATA holds.
    fn target(&self, depth: usize) -> PathBuf {
        PathBuf::from(format!("{}pods/{}/containers/{}", "../".repeat(depth), self.pod, self.id))
    }

    /// Claims `path`, which lies `depth` folders below DATA. A stale claim is taken over.
    ///
    /// # Errors
    /// `Ok(Err(other))` when somebody else has it.
    pub(crate) fn claim(
        &self,
        roots: &Roots,
        path: &Path,
        depth: usize,
    ) -> Result<Result<(), Self>, EngineError> {
        loop {
            match std::os::unix::fs::symlink(self.target(depth), path) {
                Ok(()) => return Ok(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let parent = path.parent().ok_or(error).map_err(EngineError::file("claim", path))?;
                    crate::disk::make_folder(parent)?;
                    continue;
                }
                Err(error) => return Err(EngineError::file("claim", path)(error)),
            }
            match Self::of(path) {
                Some(other) if other == *self => return Ok(Ok(())),
                Some(other) if other.lives(roots) => return Ok(Err(other)),
                _ => remove_stale(roots, path)?,
            }
        }
    }

    /// Puts this owner's claim in place of whatever is at `path`, in one step.
    pub(crate) fn take_over(&self, path: &Path, depth: usize) -> Result<(), EngineError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", self.id.short()));
        let temporary = path.with_file_name(name);
        std::os::unix::fs::symlink(self.target(depth), &temporary)
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(EngineError::file("claim", path))
    }

    /// Gives the claim at `path` up, if it is this owner's.
    pub(crate) fn release(&self, path: &Path) -> Result<(), EngineError> {
        if Self::of(path).as_ref() == Some(self) { crate::disk::remove_file(path) } else { Ok(()) }
    }
}

/// Where containers of a pod are put together before the rename that makes them exist.
pub(crate) fn making(roots: &Roots, pod: &PodName) -> PathBuf {
    roots.pod(pod).join("making")
}

/// Removes a claim that was seen to be stale, unless it was replaced by a living one since: two
/// processes may see the same stale claim, and the second must not remove what the first just made.
fn remove_stale(roots: &Roots, path: &Path) -> Result<(), EngineError> {
    let guard = roots.run.join("names.lock");
    crate::disk::make_folder(&roots.run)?;
    let _lock = sys::file::Lock::exclusive(&guard).map_err(EngineError::file("lock", &guard))?;
    match Owner::of(path) {
        Some(other) if other.lives(roots) => Ok(()),
        _ => crate::disk::remove_file(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(id: char) -> Owner {
        Owner { pod: "pod".into(), id: ContainerId(id.to_string().repeat(64)) }
    }

    #[test]
    fn one_has_the_name_until_it_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        let path = roots.data.join("names/web");
        let (one, two) = (owner('a'), owner('b'));
        std::fs::create_dir_all(roots.container(&one.pod, &one.id)).unwrap();
        assert_eq!(one.claim(&roots, &path, 1).unwrap(), Ok(()));
        assert_eq!(one.claim(&roots, &path, 1).unwrap(), Ok(()), "twice is once");
        assert_eq!(two.claim(&roots, &path, 1).unwrap(), Err(one.clone()));
        assert!(path.exists(), "the link leads to the folder");
        two.release(&path).unwrap();
        assert_eq!(Owner::of(&path), Some(one.clone()));
        std::fs::remove_dir(roots.container(&one.pod, &one.id)).unwrap();
        assert_eq!(two.claim(&roots, &path, 1).unwrap(), Ok(()), "a stale claim is taken over");
        one.take_over(&path, 1).unwrap();
        assert_eq!(Owner::of(&path), Some(one));
    }

    #[test]
    fn a_container_that_is_being_made_counts_while_its_maker_lives() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        let one = owner('a');
        std::fs::create_dir_all(making(&roots, &one.pod).join(&one.id.0)).unwrap();
        assert!(!one.lives(&roots), "left by a crash");
        std::fs::create_dir_all(roots.pod_run(&one.pod)).unwrap();
        let lock = sys::file::Lock::exclusive(&roots.pod_run(&one.pod).join("project.lock")).unwrap();
        assert!(one.lives(&roots));
        drop(lock);
        assert!(!one.lives(&roots));
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert!(check("shop-db_1.a").is_ok());
        for bad in ["", ".", "..", "a/b", "-a", ".hidden", "a b", "ä"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
