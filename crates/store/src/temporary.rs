//! Names of what is half-made below `DATA/tmp`, and whose it is.
//!
//! ```text
//! DATA/tmp/KIND-OWNER-COUNT   being made by whoever holds the lock
//! RUN/locks/owner-OWNER       the lock, taken with the first name and held as long as the store is open
//! ```
//! The kernel releases a lock with its owner's death, and no later process is taken for that owner: process ids
//! come again, these names do not.

use crate::lock::{Claim, is_held};
use crate::{Store, StoreError};
use resource::Roots;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Hexadecimal digits of an owner's name.
const DIGITS: usize = 16;

/// What an open store has half-made.
#[derive(Debug, Default)]
pub(crate) struct Making {
    owner: OnceLock<String>,
    claim: Mutex<Option<Claim>>,
    count: AtomicU32,
    /// What the dead have left was looked for.
    pub(crate) swept: OnceLock<()>,
}

impl Store {
    /// A path below `DATA/tmp` that nobody else uses. What is there is swept when this process has died.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub(crate) fn temporary(&self, kind: &str) -> Result<PathBuf, StoreError> {
        let mut claim = self.making.claim.lock().unwrap_or_else(PoisonError::into_inner);
        if claim.is_none() {
            self.prepare()?;
            let path = lock_of(&self.roots, self.owner());
            let taken = Claim::take(&path).map_err(|source| StoreError::io("lock", &path, source))?;
            *claim = Some(taken);
        }
        drop(claim);
        Ok(self.unused(kind))
    }

    /// The same for what belongs to nobody: it is moved there to be deleted, or kept until it can be.
    pub(crate) fn unused(&self, kind: &str) -> PathBuf {
        let count = self.making.count.fetch_add(1, Ordering::Relaxed);
        self.roots.data.join("tmp").join(format!("{kind}-{}-{count}", self.owner()))
    }

    fn owner(&self) -> &str {
        let new = || format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        self.making.owner.get_or_init(new)
    }
}

/// Whether what has this name below `DATA/tmp` was being made by somebody who is no more. A name of another
/// form belongs to nobody we know.
pub(crate) fn is_abandoned(roots: &Roots, name: &str) -> bool {
    let mut parts = name.rsplit('-').skip(1);
    let Some(owner) = parts.next().filter(|_| parts.next().is_some()) else { return false };
    // Before there were owners, a process id was in that place.
    let known = (owner.len() == DIGITS && owner.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || owner.bytes().all(|byte| byte.is_ascii_digit());
    known && !is_held(&lock_of(roots, owner))
}

fn lock_of(roots: &Roots, owner: &str) -> PathBuf {
    roots.run.join("locks").join(format!("owner-{owner}"))
}
