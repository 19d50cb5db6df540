//! TLS configurations, made when the first secure connection is: reading a machine's authorities takes
//! longer than everything else a program that only speaks to itself does.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Which certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// The machine's authorities, and those given for this host and port.
    Authorities { host: String },
    /// Every certificate: the registry is configured as insecure.
    Everyone,
}

/// Configurations made so far.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    configs: Mutex<HashMap<Trust, Arc<ClientConfig>>>,
}

impl Tls {
    /// The configuration for this trust. Blocks for some milliseconds the first time.
    pub(crate) fn config(&self, trust: &Trust) -> io::Result<Arc<ClientConfig>> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(trust) {
            return Ok(config.clone());
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let mut config = match trust {
            Trust::Everyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
                .with_no_client_auth(),
            Trust::Authorities { host } => builder.with_root_certificates(roots(host)).with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        configs.insert(trust.clone(), config.clone());
        Ok(config)
    }
}

/// The machine's authorities (Mozilla's where it has none), and those in `certs.d/HOST:PORT/*.crt`.
fn roots(host: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let user = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config/containers/certs.d"));
    let system = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    for folder in system.into_iter().chain(user).map(|folder| folder.join(host)) {
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|end| end == "crt") {
                roots.add_parsable_certificates(certificates(&file));
            }
        }
    }
    roots
}

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file).into_iter().flatten().flatten().collect()
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
