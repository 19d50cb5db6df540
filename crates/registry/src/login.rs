//! Logging in and out: a name and a password are proved at the registry, and kept where the next pull looks.
//!
//! A credential helper that is configured for the registry keeps them; else they go to `auth.json`, where
//! Podman keeps its own, with mode 0600. Docker's `config.json` is read, and never written.

use crate::auth_file::{self, change};
use crate::conf::Endpoint;
use crate::credentials::{Credential, HELPER_TIMEOUT, HelperFault, auth_path, plain, server};
use crate::{ConfigError, Failure, Registry, credentials};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use std::io;
use std::path::{Path, PathBuf};

/// Why somebody could not be logged in or out.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The registry does not let them in, or is not there.
    #[error("cannot log in to {registry}")]
    Refused {
        /// Its name.
        registry: String,
        /// Why.
        #[source]
        source: Box<Failure>,
    },
    /// The registry knows nobody of this name with this password.
    #[error(
        "cannot log in to {registry}: the registry does not accept this name and password{}",
        remark.as_ref().map_or_else(String::new, |remark| format!("; {remark}"))
    )]
    Wrong {
        /// The registry's name.
        registry: String,
        /// What it says of that.
        remark: Option<String>,
    },
    /// This is no name of a registry.
    #[error("`{0}` is no name of a registry")]
    Name(String),
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A credential helper did not do its part.
    #[error("docker-credential-{helper} {verb} failed: {said}")]
    Helper {
        /// Its name.
        helper: String,
        /// What it was asked to do: `get`, `store`, `erase`.
        verb: &'static str,
        /// What it said.
        said: String,
    },
    /// The file of credentials could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There is nowhere to keep credentials.
    #[error("there is no folder for credentials: neither REGISTRY_AUTH_FILE nor XDG_RUNTIME_DIR is set")]
    NoPlace,
}

/// Where credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In this file.
    File(PathBuf),
    /// With the credential helper of this name.
    Helper(String),
}

/// What logging out came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggedOut {
    /// Something was removed.
    pub removed: bool,
    /// Files of others that still have credentials for the registry.
    pub left: Vec<PathBuf>,
}

/// The name of a registry as images have it, from what a person writes: without scheme and path.
///
/// # Errors
/// [`LoginError::Name`]
pub fn registry_name(text: &str) -> Result<String, LoginError> {
    let name = plain(text).split('/').next().unwrap_or_default().to_ascii_lowercase();
    let good =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let known = !name.is_empty() && name.bytes().all(good) && name.starts_with(|first: char| first != '-');
    known.then_some(name).ok_or_else(|| LoginError::Name(text.to_owned()))
}

impl Registry {
    /// Proves a name and a password at a registry, and keeps them.
    ///
    /// # Errors
    /// [`LoginError`]; nothing is kept then.
    pub async fn log_in(&self, registry: &str, user: &str, password: &str) -> Result<Kept, LoginError> {
        let refused = |failure| match failure {
            Failure::Unauthorised { given: true, remark } => {
                LoginError::Wrong { registry: registry.to_owned(), remark }
            }
            source => LoginError::Refused { registry: registry.to_owned(), source: Box::new(source) },
        };
        let credential = Credential::Password { user: user.to_owned(), password: password.to_owned() };
        self.client.prove(&self.endpoint_of(registry), credential).await.map_err(refused)?;
        if let Some(helper) = self.client.credentials().helper(registry) {
            let secret = json!({ "ServerURL": server(registry), "Username": user, "Secret": password });
            run_helper(helper, "store", &secret.to_string()).await?;
            return Ok(Kept::Helper(helper.to_owned()));
        }
        let path = auth_path().ok_or(LoginError::NoPlace)?;
        let auth = BASE64.encode(format!("{user}:{password}"));
        let registry = registry.to_owned();
        let enter = move |auths: &mut Map<String, Value>| {
            auths.insert(registry, json!({ "auth": auth }));
            true
        };
        change(path.clone(), enter).await?;
        Ok(Kept::File(path))
    }

    /// Forgets the credentials for a registry; Docker's own file is left alone.
    ///
    /// # Errors
    /// [`LoginError`]
    pub async fn log_out(&self, registry: &str) -> Result<LoggedOut, LoginError> {
        let mut out = LoggedOut::default();
        let credentials = self.client.credentials();
        if let Some(helper) = credentials.helper(registry) {
            let (found, fault) = credentials.find(registry, "").await;
            if let Some(HelperFault { helper, said }) = fault {
                return Err(LoginError::Helper { helper, verb: "get", said });
            }
            out.removed = found.is_some();
            if out.removed {
                run_helper(helper, "erase", server(registry)).await?;
            }
        }
        let own = auth_path();
        if let Some(path) = own.clone().filter(|path| auth_file::is_there(path)) {
            let registry = registry.to_owned();
            let strike = move |auths: &mut Map<String, Value>| {
                let before = auths.len();
                auths.retain(|key, _| plain(key) != registry);
                auths.len() != before
            };
            out.removed |= change(path, strike).await?;
        }
        out.left = credentials
            .files_with(registry)
            .filter(|path| Some(*path) != own.as_deref())
            .map(Path::to_owned)
            .collect();
        Ok(out)
    }

    fn endpoint_of(&self, registry: &str) -> Endpoint {
        self.registries.registry(registry)
    }
}

/// Has a credential helper do something with what it is given on its standard input.
async fn run_helper(helper: &str, verb: &'static str, input: &str) -> Result<(), LoginError> {
    let failed = |said: String| LoginError::Helper { helper: helper.to_owned(), verb, said };
    let output = tokio::time::timeout(HELPER_TIMEOUT, credentials::run(helper, verb, input)).await;
    let output = output.map_err(|_| failed("it took too long".to_owned()))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(()) } else { Err(failed(credentials::said(&output))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_named_as_images_name_it() {
        let name = |text| registry_name(text).ok();
        assert_eq!(name("https://index.docker.io/v1/").unwrap(), "docker.io");
        assert_eq!(name("registry-1.docker.io").unwrap(), "docker.io");
        assert_eq!(name("https://R.test:5000/team/").unwrap(), "r.test:5000");
        assert_eq!(name("[::1]:5000").unwrap(), "[::1]:5000");
        assert_eq!(name(""), None);
        assert_eq!(name("-x"), None);
        assert_eq!(name("a b"), None);
    }
}
