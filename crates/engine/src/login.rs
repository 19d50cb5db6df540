//! Logging in to registries and out of them. The engine's own files are not touched.

use crate::Engine;
use registry::{Kept, LoggedOut, LoginError, Registry, registry_name};

impl Engine {
    /// Proves a name and a password at a registry and keeps them for later pulls and pushes, of other programs
    /// too.
    ///
    /// # Errors
    /// [`LoginError`]; nothing is kept then.
    pub async fn log_in(registry: &str, user: &str, password: &str) -> Result<Kept, LoginError> {
        Registry::configured()?.log_in(&registry_name(registry)?, user, password).await
    }

    /// Forgets what was kept for a registry.
    ///
    /// # Errors
    /// [`LoginError`]
    pub async fn log_out(registry: &str) -> Result<LoggedOut, LoginError> {
        Registry::configured()?.log_out(&registry_name(registry)?).await
    }
}
