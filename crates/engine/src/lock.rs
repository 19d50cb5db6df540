//! stub
use crate::{Engine, EngineError};
use resource::PodName;

/// The exclusive right to change a pod; given up when dropped or when the process dies.
#[derive(Debug)]
pub struct ProjectLock {}

impl Engine {
    /// Takes the pod's lock. When another process holds it, `waiting` is called once, and the wait
    /// blocks no thread of the runtime.
    ///
    /// # Errors
    /// [`EngineError::Lock`].
    pub async fn lock(&self, pod: &PodName, waiting: impl FnOnce()) -> Result<ProjectLock, EngineError> {
        todo!()
    }
}
