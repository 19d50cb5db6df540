//! Changes a file of credentials, which other programs read and write, too.
//!
//! ```text
//! auth.json.lock   locked by whoever changes auth.json, and removed before that lock is given up
//! auth.json.new    what auth.json becomes; only who has the lock makes it
//!    |  rename
//! auth.json        the old content or the new, whole at any moment
//! ```
//! The kernel gives up the lock of a process that dies. What it leaves, both files at most and for nobody else to
//! read, is taken over by the next change. Programs that know nothing of the lock replace `auth.json` in one step,
//! too: their change and one of ours at the very same moment leave one of the two.

use crate::{ConfigError, LoginError};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Whether there is such a file, or what a change that was killed has left of one.
pub(crate) fn is_there(path: &Path) -> bool {
    path.exists() || beside(path, LOCK).exists() || beside(path, NEW).exists()
}

/// Changes `auths` of a file of credentials, all else in it stays; whether anything was changed. Waits while
/// somebody else changes it.
///
/// # Errors
/// [`LoginError::Config`] when it makes no sense, [`LoginError::Write`].
pub(crate) async fn change(
    path: PathBuf,
    edit: impl FnOnce(&mut Map<String, Value>) -> bool + Send + 'static,
) -> Result<bool, LoginError> {
    match tokio::task::spawn_blocking(move || change_now(&path, edit)).await {
        Ok(changed) => changed,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What is behind the name of the file that is locked.
const LOCK: &str = "lock";
/// What is behind the name of the new content.
const NEW: &str = "new";

fn change_now(path: &Path, edit: impl FnOnce(&mut Map<String, Value>) -> bool) -> Result<bool, LoginError> {
    // A link stays one: what it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let unwritten = |source| LoginError::Write { path: path.clone(), source };
    let _lock = Lock::take(&path).map_err(unwritten)?;
    let new = beside(&path, NEW);
    remove(&new).map_err(unwritten)?;
    let damaged = |source| ConfigError::Credentials { path: path.clone(), source };
    // Read under the lock, whatever was read before.
    let mut whole: Map<String, Value> = match std::fs::read(&path) {
        Ok(text) if text.trim_ascii().is_empty() => Map::new(),
        Ok(text) => serde_json::from_slice(&text).map_err(damaged)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
        Err(source) => return Err(ConfigError::Read { path, source }.into()),
    };
    let auths = whole.entry("auths").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(auths) = auths else {
        return Err(ConfigError::Value { path, reason: "`auths` is no object".to_owned() }.into());
    };
    if !edit(auths) {
        return Ok(false);
    }
    let text = format!("{:#}\n", Value::Object(whole));
    let write = || {
        // Never a file that is there already, or a link: it would be somebody else's.
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)
    };
    // Nothing secret is left lying about.
    write().inspect_err(|_| drop(std::fs::remove_file(&new))).map_err(unwritten)?;
    Ok(true)
}

/// The right to change a file of credentials.
struct Lock {
    path: PathBuf,
    _lock: sys::file::Lock,
}

impl Lock {
    /// Waits for it. Makes the folder when missing, for this user alone.
    fn take(of: &Path) -> io::Result<Self> {
        let folder = of.parent().ok_or(io::ErrorKind::InvalidInput)?;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = beside(of, LOCK);
        loop {
            let lock = sys::file::Lock::exclusive(&path)?;
            // Whoever had it may have removed the file meanwhile.
            if lock.is_at(&path) {
                return Ok(Self { path, _lock: lock });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked: nobody else can have taken it. Where it stays, it is the next one's.
        drop(std::fs::remove_file(&self.path));
    }
}

/// `auth.json.WHAT` beside `auth.json`.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
