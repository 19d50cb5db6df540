//! Keys as `ssh-keygen` writes them, and signatures that others can check.

use super::*;
use crate::agent::wire::Reader;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use std::path::PathBuf;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

/// The strings in something that was made for ssh.
fn strings(bytes: &[u8]) -> Vec<&[u8]> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(|| reader.string()).collect()
}

#[test]
fn a_key_is_read_in_every_form_and_shows_its_public_half() {
    for (name, public) in [
        ("ed25519", "ed25519.pub"),
        ("rsa", "rsa.pub"),
        ("rsa.pkcs1", "rsa.pub"),
        ("rsa.pkcs8", "rsa.pub"),
        ("ecdsa", "ecdsa.pub"),
        ("ecdsa.pkcs8", "ecdsa.pub"),
        ("ecdsa384", "ecdsa384.pub"),
    ] {
        let key = Key::read(&file(name)).unwrap();
        let line = std::fs::read_to_string(file(public)).unwrap();
        let mut words = line.trim().splitn(3, ' ').skip(1);
        assert_eq!(BASE64_STANDARD.encode(key.public()), words.next().unwrap(), "{name}");
        // The other forms have no comment: the file is named instead.
        let comment = if name.contains('.') {
            file(name).display().to_string()
        } else {
            words.next().unwrap().to_owned()
        };
        assert_eq!(key.comment(), comment);
    }
    Key::read(&file("ed25519.pkcs8")).unwrap();
}

#[test]
fn what_is_signed_can_be_checked() {
    let cases: [(&str, u32, &str, &dyn VerificationAlgorithm); 5] = [
        ("ed25519", 0, "ssh-ed25519", &ED25519),
        ("ecdsa", 0, "ecdsa-sha2-nistp256", &ECDSA_P256_SHA256_FIXED),
        ("ecdsa384", 0, "ecdsa-sha2-nistp384", &ECDSA_P384_SHA384_FIXED),
        ("rsa", WITH_SHA256, "rsa-sha2-256", &RSA_PKCS1_2048_8192_SHA256),
        ("rsa", WITH_SHA512, "rsa-sha2-512", &RSA_PKCS1_2048_8192_SHA512),
    ];
    for (name, flags, kind, algorithm) in cases {
        let key = Key::read(&file(name)).unwrap();
        let told = key.sign(b"data", flags).unwrap();
        let [told_kind, signature] = strings(&told)[..] else { panic!("{told:?}") };
        assert_eq!(told_kind, kind.as_bytes());
        let (public, signature) = match &key.signer {
            Signer::Ed25519(pair) => (pair.public_key().as_ref().to_vec(), signature.to_vec()),
            Signer::Rsa(pair) => (pair.public().as_ref().to_vec(), signature.to_vec()),
            Signer::Ecdsa(curve, pair) => {
                let mut numbers = Reader::new(signature);
                let padded = |number: &[u8]| [&vec![0; curve.length - number.len()], number].concat();
                let both = [(); 2].map(|()| padded(numbers.positive().unwrap())).concat();
                (pair.public_key().as_ref().to_vec(), both)
            }
        };
        UnparsedPublicKey::new(algorithm, public).verify(b"data", &signature).unwrap();
    }
    // Nobody takes a signature with SHA-1 any more.
    assert_eq!(Key::read(&file("rsa")).unwrap().sign(b"data", 0), None);
}

#[test]
fn what_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read_to_string(file("ed25519")).unwrap();
    let written = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    for (path, said) in [
        (file("protected"), "protected by a passphrase"),
        (file("rsa.protected"), "protected by a passphrase"),
        (file("ecdsa521"), "kind `ecdsa-sha2-nistp521`"),
        (file("ed25519.pub"), "neither the socket of an agent nor a private key"),
        (written("long", &" ".repeat(200 << 10)), "neither the socket"),
        (written("short", &whole.replacen("\nb3B", "\n", 1)), "it is damaged"),
        (written("cut", &whole[..whole.len() / 2]), "it is damaged"),
        (written("empty", ""), "neither the socket"),
        (folder.path().to_owned(), "neither the socket"),
    ] {
        let error = Key::read(&path).unwrap_err().to_string();
        assert!(error.contains(said), "{}: {error}", path.display());
    }
}

#[test]
fn no_damage_to_a_key_is_more_than_an_error() {
    // What is computed of an RSA key takes its time.
    for (name, step) in [("ed25519", 1), ("ecdsa", 1), ("rsa", 101)] {
        let text = std::fs::read_to_string(file(name)).unwrap();
        let (_, bytes) = armoured(&text).unwrap();
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            drop(openssh::read(&damaged));
            drop(openssh::read(&bytes[..at]));
        }
    }
}
