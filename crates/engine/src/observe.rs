//! stub
use crate::{Engine, EngineError};
use resource::{NetworkName, Observed, Platform, PodName, Reference, VolumeName};

/// What a question about a pod is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// The pod: all its containers.
    pub pod: PodName,
    /// Networks and volumes that carry this label (key, value) belong to the pod and are reported too.
    pub label: Option<(String, String)>,
    /// Networks to report, whoever made them.
    pub networks: Vec<NetworkName>,
    /// Volumes to report, whoever made them.
    pub volumes: Vec<VolumeName>,
    /// Images to report.
    pub images: Vec<(Reference, Option<Platform>)>,
}

impl Engine {
    /// What is there, checked against the kernel. Takes no lock and writes nothing.
    ///
    /// # Errors
    /// [`EngineError::File`] when a folder cannot be read (for want of privilege, say).
    pub fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        todo!()
    }
}
