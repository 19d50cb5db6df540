//! The engine as a value: its roots, what it keeps open, and the role of the supervisor.

use crate::EngineError;
use resource::{PodName, Roots};
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use store::Store;

/// Plays the supervisor when this process was started as one, and returns its exit code; `None` in
/// every other process. To be called first in `main`, before any thread exists.
pub fn hidden_role() -> Option<ExitCode> {
    todo!()
}

/// An open engine. Cloning is cheap; clones share what is open.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) roots: Roots,
    pub(crate) store: OnceLock<Store>,
    pub(crate) clients: tokio::sync::Mutex<HashMap<PodName, Arc<supervisor::Client>>>,
}

impl Engine {
    /// Opens the engine at these roots. Nothing is made yet: a machine where nothing was ever run
    /// stays untouched by looking at it.
    ///
    /// # Errors
    /// [`EngineError::Format`] when the store was written by a newer program.
    pub fn open(roots: Roots) -> Result<Self, EngineError> {
        let _ = roots;
        todo!()
    }

    /// Where it keeps everything.
    pub fn roots(&self) -> &Roots {
        &self.inner.roots
    }

    /// Its images, layers and volumes; makes the store's folders when they are missing.
    ///
    /// # Errors
    /// What [`Store::open`] says.
    pub fn store(&self) -> Result<&Store, EngineError> {
        todo!()
    }
}
