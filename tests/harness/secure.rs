//! TLS for the servers of scenarios: certificates that the client's own tests have, too.

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file of the certificates: see the page beside them for who they are of.
pub fn certificate(name: &str) -> PathBuf {
    // Of another machine's, when the scenarios run there.
    let elsewhere = std::env::var_os("COMPOSE_TEST_CERTIFICATES").map(PathBuf::from);
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tls/tests/certificates");
    elsewhere.unwrap_or_else(here).join(name)
}

/// Speaks with this certificate in these versions, to everybody or to who has one of the authority's.
pub(crate) fn config(
    name: &str,
    versions: &[&'static SupportedProtocolVersion],
    wants_one: bool,
) -> Arc<ServerConfig> {
    let chain = |name: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(certificate(name)).unwrap().map(Result::unwrap).collect()
    };
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain("ca.crt"));
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = match wants_one {
        true => builder.with_client_cert_verifier(clients.build().unwrap()),
        false => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    Arc::new(builder.with_single_cert(chain(name), key).unwrap())
}

/// The connection under TLS; who does not speak it is not understood.
pub(crate) fn secured(
    config: Arc<ServerConfig>,
    stream: TcpStream,
) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(config).unwrap(), stream)
}
