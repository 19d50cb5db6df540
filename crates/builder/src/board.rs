//! What the threads of a build share: results of stages, slots for work, and whether it goes on.

use crate::error::BuildError;
use crate::graph::Node;
use crate::state::State;
use resource::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The shared part of a build.
pub(crate) struct Board {
    inner: Mutex<Inner>,
    /// Something in it has changed.
    changed: Condvar,
}

struct Inner {
    results: BTreeMap<Node, State>,
    /// Steps that may still begin their work.
    slots: usize,
    /// The first failure; nothing begins after it.
    failure: Option<BuildError>,
    /// Keys of steps made by this build.
    made: BTreeSet<Digest>,
    /// The number of the last step.
    steps: u32,
}

/// The right to work, given back when dropped.
pub(crate) struct Slot<'a>(&'a Board);

/// The build is over: something else failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over;

impl Board {
    pub(crate) fn new(slots: usize) -> Self {
        let (results, made) = (BTreeMap::new(), BTreeSet::new());
        Self {
            inner: Mutex::new(Inner { results, slots, failure: None, made, steps: 0 }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a step that begins.
    pub(crate) fn number(&self) -> Result<u32, Over> {
        let mut inner = self.lock();
        if inner.failure.is_some() {
            return Err(Over);
        }
        inner.steps += 1;
        Ok(inner.steps)
    }

    /// Waits for a stage.
    pub(crate) fn result(&self, node: Node) -> Result<State, Over> {
        let mut inner = self.lock();
        loop {
            match inner.results.get(&node) {
                _ if inner.failure.is_some() => return Err(Over),
                Some(state) => return Ok(state.clone()),
                None => inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// A stage is done.
    pub(crate) fn done(&self, node: Node, state: State) {
        self.lock().results.insert(node, state);
        self.changed.notify_all();
    }

    /// Something failed; whether it was the first.
    pub(crate) fn fail(&self, error: BuildError) -> bool {
        let mut inner = self.lock();
        let is_first = inner.failure.is_none();
        inner.failure.get_or_insert(error);
        drop(inner);
        self.changed.notify_all();
        is_first
    }

    /// Waits for the right to work.
    pub(crate) fn slot(&self) -> Result<Slot<'_>, Over> {
        let mut inner = self.lock();
        loop {
            if inner.failure.is_some() {
                return Err(Over);
            }
            if inner.slots > 0 {
                inner.slots -= 1;
                return Ok(Slot(self));
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether this build has made the result of a step.
    pub(crate) fn has_made(&self, key: &Digest) -> bool {
        self.lock().made.contains(key)
    }

    /// This build has made the result of a step.
    pub(crate) fn made(&self, key: &Digest) {
        self.lock().made.insert(key.clone());
    }

    /// How the build has ended.
    pub(crate) fn end(self) -> Result<BTreeMap<Node, State>, BuildError> {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        inner.failure.map_or(Ok(inner.results), Err)
    }

    /// Whether this build has made any result.
    pub(crate) fn has_made_something(&self) -> bool {
        !self.lock().made.is_empty()
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().slots += 1;
        self.0.changed.notify_all();
    }
}
