//! stub
use crate::{Engine, EngineError};
use resource::*;

impl Engine {
    /// Finds what is left of a pod by name, even when its documents are gone, and removes it:
    /// processes in its cgroups, cgroups, firewall chains, half-made containers. For `down`, under
    /// the pod's lock, when no container of it is meant to live.
    ///
    /// # Errors
    /// The first thing that could not be removed; the others are tried all the same.
    pub async fn sweep(&self, pod: &PodName) -> Result<(), EngineError> {
        todo!()
    }
}
