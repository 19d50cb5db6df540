//! Where an ordinary user's engine keeps things, and whether that will do.

use super::{Request, UserError};
use resource::Roots;
use rustix::fs::XattrFlags;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The attribute by which a file system is tried out.
const ATTRIBUTE: &str = "user.overlay.compose";

/// The roots of this user's engine, or those below a folder that was named.
pub(super) fn roots(request: &Request<'_>) -> Result<Roots, UserError> {
    if let Some(root) = &request.root {
        return Ok(Roots::below(root));
    }
    let folder = |name| (request.variable)(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || folder("HOME").map(|home| home.join(".local/share"));
    let data = folder("XDG_DATA_HOME").or_else(home).ok_or(UserError::NoHome)?;
    let own = |path: &PathBuf| owner(path).is_some_and(|owner| owner == user());
    let run = folder("XDG_RUNTIME_DIR").filter(own).map(|run| run.join("compose"));
    let run = run.map_or_else(|| replacement(Path::new("/tmp")), Ok)?;
    Ok(Roots::at(data.join("compose"), run, "compose".to_owned()))
}

/// The folder that stands in for XDG_RUNTIME_DIR: `compose-UID` in a folder where everybody may make
/// some, so it counts only if it is ours alone.
fn replacement(shared: &Path) -> Result<PathBuf, UserError> {
    let path = shared.join(format!("compose-{}", user()));
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
        Err(error) => Err(UserError::folder(&path)(error)),
        Ok(found) if found.is_dir() && found.uid() == user() && found.mode() & 0o077 == 0 => Ok(path),
        Ok(_) => Err(UserError::Exposed { path }),
    }
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn owner(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.uid())
}

/// Refuses folders of somebody else, of root who worked here before, say.
pub(super) fn check_owner(roots: &Roots) -> Result<(), UserError> {
    for path in [&roots.data, &roots.run] {
        if let Some(owner) = owner(path).filter(|owner| *owner != user()) {
            return Err(UserError::Foreign { path: path.clone(), owner });
        }
    }
    Ok(())
}

/// Makes both folders, for this user's eyes only whatever the umask and whatever they were.
pub(super) fn prepare(roots: &Roots) -> Result<(), UserError> {
    check_owner(roots)?;
    for path in [&roots.data, &roots.run] {
        let private = || {
            let found = loop {
                let made = sys::file::create_private_folder(path);
                match std::fs::symlink_metadata(path) {
                    // An infra that is ending takes an empty folder away, at any moment.
                    Err(error) if error.kind() == io::ErrorKind::NotFound && was_there(&made) => {}
                    found => break made.and(found)?,
                }
            };
            let private = std::fs::Permissions::from_mode(0o700);
            if found.mode() & 0o777 == 0o700 { Ok(()) } else { std::fs::set_permissions(path, private) }
        };
        private().map_err(UserError::folder(path))?;
    }
    // Whoever was quicker in a folder that is everybody's is found out here.
    check_owner(roots)
}

/// Whether a folder was there when it was to be made, or was made.
fn was_there(made: &io::Result<()>) -> bool {
    made.as_ref().map_or_else(|error| error.kind() == io::ErrorKind::AlreadyExists, |()| true)
}

/// Whether layers can be kept in the data folder.
pub(super) fn check_file_system(roots: &Roots) -> Result<(), UserError> {
    let path = &roots.data;
    match rustix::fs::setxattr(path, ATTRIBUTE, b"y", XattrFlags::empty()) {
        Err(rustix::io::Errno::OPNOTSUPP) => Err(UserError::NoAttributes { path: path.clone() }),
        Err(error) => Err(UserError::folder(path)(error.into())),
        Ok(()) => {
            rustix::fs::removexattr(path, ATTRIBUTE).map_err(|error| UserError::folder(path)(error.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_while_somebody_takes_them_away() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(std::fs::remove_dir(&roots.run));
                }
            });
            let failed = (0..2000).find_map(|_| prepare(&roots).err());
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(failed.is_none(), "{failed:?}");
        });
    }

    #[test]
    fn a_replacement_that_others_can_use_is_refused() {
        let shared = tempfile::tempdir().unwrap();
        let path = replacement(shared.path()).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(replacement(shared.path()), Err(UserError::Exposed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(replacement(shared.path()).unwrap(), path);
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/", &path).unwrap();
        assert!(matches!(replacement(shared.path()), Err(UserError::Exposed { .. })));
    }
}
