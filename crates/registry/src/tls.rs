//! TLS configurations, made when the first secure connection is: reading a machine's authorities takes
//! longer than everything else a program that only speaks to itself does.

use crate::error::PeerFault;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InvalidMessage, RootCertStore,
    SignatureScheme,
};

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
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let builder = match trust.checked {
            false => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider))),
            true => builder.with_root_certificates(roots(given.authorities)),
        };
        let mut config = match given.client {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(io::Error::other)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        configs.insert(trust.clone(), config.clone());
        Ok(config)
    }
}

/// What is wrong with a peer, in the words of somebody who has to do something about it.
pub(crate) fn told(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let fault = match inner {
        Some(Error::InvalidCertificate(fault)) => match fault {
            CertificateError::UnknownIssuer => PeerFault::UnknownAuthority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => PeerFault::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                PeerFault::NotValidYet
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                // `DnsName("other.example.com")`
                let name = |name: &String| {
                    let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner);
                    inner.trim_matches(|edge| matches!(edge, '"' | ')')).to_owned()
                };
                PeerFault::OtherNames(presented.iter().map(name).collect())
            }
            _ => return error,
        },
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => PeerFault::NoTls,
        None if error.kind() == io::ErrorKind::UnexpectedEof => PeerFault::HungUp,
        _ => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

/// The machine's authorities (Mozilla's where it has none), and those given besides.
fn roots(given: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(given);
    roots
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
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
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
            Some("crt") => self.authorities.extend(certificates(file)?),
            Some("cert") if self.client.is_none() => {
                let path = file.with_extension("key");
                let key = PrivateKeyDer::from_pem_file(&path).map_err(unusable(&path))?;
                self.client = Some((certificates(file)?, key));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The certificates of a file, one at least.
fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(unusable(file))?;
    if read.is_empty() { Err(unusable(file)(pem::Error::NoItemsFound)) } else { Ok(read) }
}

/// A file that somebody put there to be used is not passed over in silence.
fn unusable(file: &Path) -> impl Fn(pem::Error) -> io::Error {
    move |error| io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", file.display()))
}

/// Believes every certificate, but still checks that the peer has its key.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
