//! TLS as a client: whom a connection believes, what it proves itself with, and what is wrong with a peer, in words.
//!
//! Nothing is read before it is asked for: reading a machine's authorities takes longer than everything else that
//! a program does which only speaks to itself.

mod fault;
mod files;
mod unchecked;

pub use fault::PeerFault;
pub use files::{Fault, Identity, Unusable, authorities, certificates};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Whom a connection believes to be who was asked for.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Whoever one of the machine's authorities vouches for (Mozilla's where it has none), or one of these.
    Authorities(Vec<CertificateDer<'static>>),
    /// Whoever answers, as long as it has the key of the certificate that it shows.
    Anybody,
}

/// The configuration of connections of one kind. Takes some milliseconds where authorities are to be read.
pub fn client(trust: Trust, identity: Option<Identity>) -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().expect("ring speaks both versions");
    let builder = match trust {
        Trust::Authorities(given) => builder.with_root_certificates(roots(given)),
        Trust::Anybody => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(unchecked::Unchecked(provider)))
        }
    };
    match identity {
        Some(Identity(own)) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
        None => builder.with_no_client_auth(),
    }
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
