//! stub
use crate::{Engine, EngineError};
use resource::*;

impl Engine {
    /// Makes a network with its bridge. One that is there is made sure to be up.
    ///
    /// # Errors
    /// [`EngineError::NoNetwork`] for a missing external one, [`EngineError::SubnetTaken`],
    /// [`EngineError::Network`].
    pub fn create_network(&self, spec: &NetworkSpec) -> Result<NetworkRecord, EngineError> {
        todo!()
    }

    /// Removes a network and its bridge. One that is gone is no error.
    ///
    /// # Errors
    /// [`EngineError::NetworkInUse`] while containers are on it.
    pub fn remove_network(&self, name: &NetworkName) -> Result<(), EngineError> {
        todo!()
    }

    /// The network with this name.
    pub fn network(&self, name: &NetworkName) -> Option<NetworkRecord> {
        todo!()
    }

    /// All networks.
    pub fn networks(&self) -> Vec<NetworkRecord> {
        todo!()
    }
}
