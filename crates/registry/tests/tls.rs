//! The client and a registry that speaks TLS: whom it believes, and what it proves with a certificate.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use registry::{Credentials, Failure, Registries, Registry, Remedy};
use resource::{Digest, Platform, Reference};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{Image, Server};

fn digest_of(bytes: &[u8]) -> Digest {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    Digest::of_sha256(digest.as_ref().try_into().unwrap())
}

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tls/tests/certificates").join(name)
}

/// A registry with a certificate of the tests' authority, that wants one of its clients or does not.
fn server(wants_one: bool) -> Server {
    server_with("server.crt", wants_one)
}

/// The same with another certificate.
fn server_with(certificate: &str, wants_one: bool) -> Server {
    let chain = |name: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(kept(name)).unwrap().map(Result::unwrap).collect()
    };
    let key = PrivateKeyDer::from_pem_file(kept("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain("ca.crt"));
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = match wants_one {
        true => builder.with_client_cert_verifier(clients.build().unwrap()),
        false => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain(certificate), key).unwrap();
    let image = Image::of(&[b"layer".to_vec()], &Platform::host().architecture);
    let config = Arc::new(config);
    Server::wrapped(
        move |request| image.answer(request),
        move |stream| Some(StreamOwned::new(ServerConnection::new(config.clone()).ok()?, stream)),
    )
}

/// What comes of asking with these files in a folder of `certs.d`. The server is at an address that is not
/// loopback's by name: what is there needs no certificate.
async fn asked(server: &Server, insecure: bool, folder: &str, files: &[&str]) -> Result<(), Failure> {
    let port = server.address.port().to_string();
    let certificates = tempfile::tempdir().unwrap();
    let folder = certificates.path().join(folder.replace("PORT", &port));
    std::fs::create_dir(&folder).unwrap();
    for file in files {
        std::fs::copy(kept(file), folder.join(file)).unwrap();
    }
    let mut registries = Registries::default();
    let conf = format!("[[registry]]\nlocation = '0.0.0.0:{port}'\ninsecure = {insecure}\n");
    registries.add(Path::new("registries.conf"), &conf).unwrap();
    let registry = Registry::new(registries, Credentials::default());
    let registry = registry.with_certificates(vec![certificates.path().to_owned()]);
    let reference = Reference::parse(&format!("0.0.0.0:{port}/app")).unwrap();
    registry.find(&reference, None).await.map(drop).map_err(|error| *error.source)
}

const OWN: &str = "0.0.0.0:PORT";

#[tokio::test]
async fn a_registry_is_believed_by_the_authority_that_was_given_for_it() {
    let server = server(false);
    asked(&server, false, OWN, &["ca.crt"]).await.unwrap();
    asked(&server, true, OWN, &[]).await.unwrap();
    for (folder, files) in [(OWN, &[][..]), ("0.0.0.0:1", &["ca.crt"]), ("0.0.0.0", &["ca.crt"])] {
        let failure = asked(&server, false, folder, files).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable { .. }), "{failure:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_wants_one() {
    let server = server(true);
    asked(&server, false, OWN, &["ca.crt", "client.cert", "client.key"]).await.unwrap();
    // Proving oneself is no matter of believing the registry.
    asked(&server, true, OWN, &["client.cert", "client.key"]).await.unwrap();
    let failure = asked(&server, false, OWN, &["ca.crt"]).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_certificate_without_its_key_is_named() {
    let server = server(true);
    let Failure::Unreachable { source, .. } =
        asked(&server, false, OWN, &["ca.crt", "client.cert"]).await.unwrap_err()
    else {
        panic!("it was reached");
    };
    assert!(source.to_string().contains("client.key"), "{source}");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told() {
    for (certificate, authority, told) in [
        ("server.crt", "second.crt", "is of an authority that is not known here"),
        ("expired.crt", "second.crt", "has expired"),
        ("named.crt", "second.crt", "is for other.example.com alone"),
    ] {
        let server = server_with(certificate, false);
        let failure = asked(&server, false, OWN, &[authority]).await.unwrap_err();
        let remedy = Remedy::Authority(format!("0.0.0.0:{}", server.address.port()));
        assert_eq!(failure.remedy(), told.contains("authority").then_some(remedy));
        let Failure::Unreachable { source, .. } = &failure else { panic!("{failure:?}") };
        assert_eq!(source.to_string(), format!("its certificate {told}"));
        assert!(failure.to_string().starts_with("there is no secure connection to 0.0.0.0:"), "{failure}");
    }
    let plain = Server::start(|_| support::Answer::status(404));
    let failure = asked(&plain, false, OWN, &[]).await.unwrap_err();
    assert!(failure.to_string().starts_with("there is no secure connection"), "{failure}");
}
