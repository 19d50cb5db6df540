//! TLS configurations for registries, made when the first secure connection is, and what folders like `certs.d`
//! have for them.

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, Error};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tls::{Identity, PeerFault, Unusable};

/// Whom a connection is to, and whether that has to be proved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Trust {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Certificates are checked: by the machine's authorities, and those given for this host and port.
    pub(crate) checked: bool,
}

/// Configurations made so far.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    configs: Mutex<HashMap<Trust, Arc<ClientConfig>>>,
    /// Folders like `/etc/containers/certs.d`, where they are not the usual ones.
    folders: Option<Vec<PathBuf>>,
}

impl Tls {
    /// With the certificates in these folders alone.
    pub(crate) fn of_folders(folders: Vec<PathBuf>) -> Self {
        Self { folders: Some(folders), ..Self::default() }
    }

    /// The configuration for this trust. Blocks for some milliseconds the first time.
    pub(crate) fn config(&self, trust: &Trust) -> io::Result<Arc<ClientConfig>> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(trust) {
            return Ok(config.clone());
        }
        let given = Given::of(trust, self.folders.clone().unwrap_or_else(usual_folders))?;
        let believed = match trust.checked {
            true => tls::Trust::Authorities(given.authorities),
            false => tls::Trust::Anybody,
        };
        let mut config = tls::client(believed, given.client);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        configs.insert(trust.clone(), config.clone());
        Ok(config)
    }
}

/// What is wrong with a peer, in the words of somebody who has to do something about it.
pub(crate) fn told(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let fault = match inner.map(PeerFault::of) {
        Some(Some(fault)) => fault,
        None if error.kind() == io::ErrorKind::UnexpectedEof => PeerFault::HungUp,
        _ => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

fn usual_folders() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let user = home.map(|home| home.join(".config/containers/certs.d"));
    user.into_iter().chain(["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from)).collect()
}

/// What folders like `certs.d` have for a host: see containers-certs.d(5).
#[derive(Default)]
struct Given {
    /// Of all `*.crt`.
    authorities: Vec<CertificateDer<'static>>,
    /// Of the first `*.cert`, and the `*.key` beside it.
    client: Option<Identity>,
}

impl Given {
    /// Looks in `HOST:PORT`, and where the port is the usual one in `HOST`; the first folder first.
    fn of(trust: &Trust, folders: Vec<PathBuf>) -> io::Result<Self> {
        let mut names = vec![format!("{}:{}", trust.host, trust.port)];
        names.extend((trust.port == 443).then(|| trust.host.clone()));
        let mut given = Self::default();
        for folder in folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name))) {
            let mut files: Vec<PathBuf> = match std::fs::read_dir(&folder) {
                Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
                // Another user's is not for us.
                Err(_) => continue,
            };
            files.sort();
            for file in files {
                given.add(&file)?;
            }
        }
        Ok(given)
    }

    fn add(&mut self, file: &Path) -> io::Result<()> {
        match file.extension().and_then(|end| end.to_str()) {
            Some("crt") => self.authorities.extend(tls::certificates(file).map_err(unusable)?),
            Some("cert") if self.client.is_none() => {
                let identity = Identity::read(file, &file.with_extension("key"));
                self.client = Some(identity.map_err(unusable)?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A file that somebody put there to be used is not passed over in silence.
fn unusable(file: Unusable) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, file)
}
