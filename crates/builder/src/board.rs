//! What the threads of a build share: results of stages, slots for work, and whether it goes on.
//!
//! Whoever needs a stage that nobody has begun does it there and then: an `ONBUILD` of an image may name one
//! that the Dockerfile alone does not show to be needed.

use crate::error::BuildError;
use crate::graph::Node;
use crate::state::State;
use resource::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use store::StepResult;

/// The shared part of a build.
pub(crate) struct Board {
    inner: Mutex<Inner>,
    /// Something in it has changed.
    changed: Condvar,
}

struct Inner {
    results: BTreeMap<Node, State>,
    /// Stages that somebody does or has done.
    claimed: BTreeSet<Node>,
    /// Stages that wait for another.
    waiting: BTreeMap<Node, Node>,
    /// Steps that may still begin their work.
    slots: usize,
    /// What has failed; nothing begins after the first of it.
    failures: Vec<BuildError>,
    /// Keys of steps made by this build.
    made: BTreeSet<Digest>,
    /// Stage, key and result of each step, in the order in which they were had.
    used: Vec<(Node, Digest, StepResult)>,
    /// The number of the last step.
    steps: u32,
}

/// The right to work, given back when dropped.
pub(crate) struct Slot<'a>(&'a Board);

/// The build is over: something else failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over;

/// What asking for another stage comes to.
pub(crate) enum Asked {
    /// It is done.
    Done(Box<State>),
    /// Nobody does it: it is now the caller's to do.
    Yours,
    /// It waits for the caller.
    Circle,
}

impl Board {
    pub(crate) fn new(slots: usize) -> Self {
        let inner = Inner {
            results: BTreeMap::new(),
            claimed: BTreeSet::new(),
            waiting: BTreeMap::new(),
            slots,
            failures: vec![],
            made: BTreeSet::new(),
            used: vec![],
            steps: 0,
        };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a step that begins.
    pub(crate) fn number(&self) -> Result<u32, Over> {
        let mut inner = self.lock();
        if !inner.failures.is_empty() {
            return Err(Over);
        }
        inner.steps += 1;
        Ok(inner.steps)
    }

    /// Whether a stage is the caller's to do: nobody has begun it.
    pub(crate) fn claim(&self, node: Node) -> bool {
        self.lock().claimed.insert(node)
    }

    /// Waits for a stage on behalf of another.
    pub(crate) fn result(&self, node: Node, asker: Node) -> Result<Asked, Over> {
        let mut inner = self.lock();
        let asked = loop {
            if !inner.failures.is_empty() {
                return Err(Over);
            }
            if let Some(state) = inner.results.get(&node) {
                break Asked::Done(Box::new(state.clone()));
            }
            if inner.claimed.insert(node) {
                inner.waiting.insert(asker, node);
                return Ok(Asked::Yours);
            }
            if inner.waits_for(node, asker) {
                return Ok(Asked::Circle);
            }
            inner.waiting.insert(asker, node);
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        };
        inner.waiting.remove(&asker);
        Ok(asked)
    }

    /// A stage is done.
    pub(crate) fn done(&self, node: Node, state: State) {
        self.lock().results.insert(node, state);
        self.changed.notify_all();
    }

    /// Something failed; whether it was the first.
    pub(crate) fn fail(&self, error: BuildError) -> bool {
        let mut inner = self.lock();
        let is_first = inner.failures.is_empty();
        inner.failures.push(error);
        drop(inner);
        self.changed.notify_all();
        is_first
    }

    /// Waits for the right to work.
    pub(crate) fn slot(&self) -> Result<Slot<'_>, Over> {
        let mut inner = self.lock();
        loop {
            if !inner.failures.is_empty() {
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

    /// Whether anything has failed.
    pub(crate) fn has_failed(&self) -> bool {
        !self.lock().failures.is_empty()
    }

    /// A step of this stage has this result.
    pub(crate) fn used(&self, node: Node, key: &Digest, result: &StepResult) {
        self.lock().used.push((node, key.clone(), result.clone()));
    }

    /// The steps of all stages that `is_wanted`, with their results.
    pub(crate) fn steps_of(&self, is_wanted: impl Fn(Node) -> bool) -> Vec<(Digest, StepResult)> {
        let inner = self.lock();
        let wanted = inner.used.iter().filter(|(node, ..)| is_wanted(*node));
        wanted.map(|(_, key, result)| (key.clone(), result.clone())).collect()
    }

    /// How the build has ended.
    pub(crate) fn end(self) -> Result<BTreeMap<Node, State>, BuildError> {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        BuildError::all(inner.failures).map(|()| inner.results)
    }

    /// Whether this build has made any result.
    pub(crate) fn has_made_something(&self) -> bool {
        !self.lock().made.is_empty()
    }
}

impl Inner {
    /// Whether `node`, by way of others, waits for `asker`.
    fn waits_for(&self, node: Node, asker: Node) -> bool {
        let mut at = Some(&node);
        while let Some(next) = at {
            if *next == asker {
                return true;
            }
            at = self.waiting.get(next);
        }
        false
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().slots += 1;
        self.0.changed.notify_all();
    }
}
