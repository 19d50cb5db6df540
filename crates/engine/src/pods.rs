//! stub
use crate::{Engine, EngineError};
use resource::*;

/// A pod and its containers, for a list of all.
#[derive(Clone, Debug, PartialEq)]
pub struct PodSummary {
    /// What it is.
    pub record: PodRecord,
    /// Its containers, sorted by name.
    pub containers: Vec<ObservedContainer>,
}

impl Engine {
    /// Makes the pod; one that is there gets these labels.
    ///
    /// # Errors
    /// [`EngineError::File`].
    pub fn create_pod(&self, name: &PodName, labels: &Labels) -> Result<PodRecord, EngineError> {
        todo!()
    }

    /// Removes the pod with everything that is left of it: logs, run-time folder, cgroups. Its
    /// containers have to be gone. One that is gone is no error.
    ///
    /// # Errors
    /// [`EngineError::File`].
    pub async fn remove_pod(&self, name: &PodName) -> Result<(), EngineError> {
        todo!()
    }

    /// The pod with this name.
    pub fn pod(&self, name: &PodName) -> Option<PodRecord> {
        todo!()
    }

    /// All pods, sorted by name.
    ///
    /// # Errors
    /// [`EngineError::File`] when the folder of the pods cannot be read.
    pub fn pods(&self) -> Result<Vec<PodSummary>, EngineError> {
        todo!()
    }
}
