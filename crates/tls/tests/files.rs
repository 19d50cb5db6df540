//! Files that are named to be used: what is read from them, and what is said of those that are of no use.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use tls::{Fault, Identity, Unusable, authorities, certificates};

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn identity(certificate: &Path, key: &Path) -> Unusable {
    Identity::read(certificate, key).unwrap_err()
}

#[test]
fn certificates_and_keys_are_read() {
    assert_eq!(certificates(&kept("ca.crt")).unwrap().len(), 1);
    assert_eq!(authorities(&kept("ca.crt")).unwrap().len(), 1);
    Identity::read(&kept("client.cert"), &kept("client.key")).unwrap();
}

#[test]
fn a_file_of_no_use_is_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) = (kept("client.cert"), kept("client.key"));
    let missing = folder.path().join("missing");
    assert!(matches!(authorities(&missing).unwrap_err().fault, Fault::Unreadable(_)));
    assert!(matches!(authorities(&key).unwrap_err().fault, Fault::NoCertificate));
    let garbled = write("garbled", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(matches!(authorities(&garbled).unwrap_err().fault, Fault::Garbled));
    let cut = write("cut", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    assert!(matches!(certificates(&cut).unwrap_err().fault, Fault::Garbled));

    let failed = identity(&missing, &key);
    assert!(failed.path == missing && matches!(failed.fault, Fault::Unreadable(_)), "{failed}");
    let failed = identity(&certificate, &missing);
    assert!(failed.path == missing && matches!(failed.fault, Fault::Unreadable(_)), "{failed}");
    let failed = identity(&garbled, &key);
    assert!(failed.path == garbled && matches!(failed.fault, Fault::Garbled), "{failed}");
    assert!(matches!(identity(&certificate, &certificate).fault, Fault::NoKey));
    let failed = identity(&certificate, &kept("server.key"));
    assert!(
        failed.path == kept("server.key")
            && matches!(&failed.fault, Fault::Mismatch(of) if *of == certificate)
    );
    let locked =
        write("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    assert!(matches!(identity(&certificate, &locked).fault, Fault::Encrypted));
    let other = write("other", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert!(matches!(identity(&certificate, &other).fault, Fault::OtherKind));
}
