//! A private key in a file that a build is given in an agent's place: read, and signed with.
//!
//! The key itself never leaves this process: a step sees an agent that has it. ring signs, as it does
//! for TLS, so neither a DSA key nor one of the curve P-521 can be used, nor a signature with SHA-1 made.

mod openssh;
#[cfg(test)]
mod tests;

use super::wire::{put, put_number};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Bytes that the file of a key may have.
const FILE_LIMIT: u64 = 100 << 10;

/// Flags of a request to sign: which hash an RSA key signs with. draft-miller-ssh-agent, 4.5.1.
const WITH_SHA256: u32 = 2;
const WITH_SHA512: u32 = 4;

/// A private key.
#[derive(Debug)]
pub(crate) struct Key {
    signer: Signer,
    /// The public half as ssh writes it: its type, and what that consists of.
    public: Vec<u8>,
    /// What people know it by.
    comment: String,
}

#[derive(Debug)]
enum Signer {
    Ed25519(Ed25519KeyPair),
    Ecdsa(&'static Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A curve that ECDSA keys are on.
#[derive(Debug)]
struct Curve {
    /// The type of its keys, and of their signatures.
    kind: &'static str,
    name: &'static str,
    algorithm: &'static EcdsaSigningAlgorithm,
    /// Bytes of a number.
    length: usize,
}

const CURVES: [Curve; 2] = [
    Curve {
        kind: "ecdsa-sha2-nistp256",
        name: "nistp256",
        algorithm: &ECDSA_P256_SHA256_FIXED_SIGNING,
        length: 32,
    },
    Curve {
        kind: "ecdsa-sha2-nistp384",
        name: "nistp384",
        algorithm: &ECDSA_P384_SHA384_FIXED_SIGNING,
        length: 48,
    },
];

/// Why a file is no key that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// It could not be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It has more bytes than a key has, or no text of a private key in it.
    #[error("it is neither the socket of an agent nor a private key")]
    NoKey,
    /// It wants a passphrase, and nobody is asked.
    #[error("it is protected by a passphrase")]
    Protected,
    /// It is one of a kind that is not known here.
    #[error("a key of the kind {0} cannot be used")]
    Kind(String),
    /// It makes no sense.
    #[error("it is damaged")]
    Damaged,
}

impl Key {
    /// Reads the key in a file: OpenSSH's own form, PKCS #8, or PKCS #1.
    pub(crate) fn read(path: &Path) -> Result<Self, KeyError> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(KeyError::NoKey);
        }
        let mut text = String::new();
        let read = file.take(FILE_LIMIT + 1).read_to_string(&mut text);
        if read.is_err() || text.len() as u64 > FILE_LIMIT {
            return Err(KeyError::NoKey);
        }
        let mut key = Self::parse(&text)?;
        if key.comment.is_empty() {
            key.comment = path.display().to_string();
        }
        Ok(key)
    }

    fn parse(text: &str) -> Result<Self, KeyError> {
        let (label, bytes) = armoured(text)?;
        match label {
            "OPENSSH PRIVATE KEY" => openssh::read(&bytes),
            "RSA PRIVATE KEY" => {
                Ok(Self::of(Signer::Rsa(RsaKeyPair::from_der(&bytes).map_err(|_| KeyError::Damaged)?)))
            }
            "PRIVATE KEY" => Self::of_pkcs8(&bytes),
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Protected),
            other => Err(KeyError::Kind(format!("`{other}`"))),
        }
    }

    /// Which of the kinds it is shows in what takes it.
    fn of_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes) {
            return Ok(Self::of(Signer::Ed25519(pair)));
        }
        if let Ok(pair) = RsaKeyPair::from_pkcs8(bytes) {
            return Ok(Self::of(Signer::Rsa(pair)));
        }
        let on = |curve: &'static Curve| {
            let pair = EcdsaKeyPair::from_pkcs8(curve.algorithm, bytes, &SystemRandom::new());
            Some(Signer::Ecdsa(curve, pair.ok()?))
        };
        CURVES.iter().find_map(on).map(Self::of).ok_or_else(|| KeyError::Kind("`PRIVATE KEY`".to_owned()))
    }

    fn of(signer: Signer) -> Self {
        let mut public = vec![];
        match &signer {
            Signer::Ed25519(pair) => {
                put(&mut public, b"ssh-ed25519");
                put(&mut public, pair.public_key().as_ref());
            }
            Signer::Ecdsa(curve, pair) => {
                put(&mut public, curve.kind.as_bytes());
                put(&mut public, curve.name.as_bytes());
                put(&mut public, pair.public_key().as_ref());
            }
            Signer::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                put(&mut public, b"ssh-rsa");
                put_number(&mut public, &e);
                put_number(&mut public, &n);
            }
        }
        Self { signer, public, comment: String::new() }
    }

    /// The public half, as it is asked for.
    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// What people know it by.
    pub(crate) fn comment(&self) -> &str {
        &self.comment
    }

    /// A signature as an agent gives it; `None` for one with SHA-1.
    pub(crate) fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let (kind, signature) = match &self.signer {
            Signer::Ed25519(pair) => ("ssh-ed25519", pair.sign(data).as_ref().to_vec()),
            Signer::Ecdsa(curve, pair) => {
                let both = pair.sign(&random, data).ok()?;
                let (r, s) = both.as_ref().split_at(curve.length);
                let mut numbers = vec![];
                put_number(&mut numbers, r);
                put_number(&mut numbers, s);
                (curve.kind, numbers)
            }
            Signer::Rsa(pair) => {
                let (kind, padding) = match flags {
                    _ if flags & WITH_SHA512 != 0 => ("rsa-sha2-512", &RSA_PKCS1_SHA512),
                    _ if flags & WITH_SHA256 != 0 => ("rsa-sha2-256", &RSA_PKCS1_SHA256),
                    _ => return None,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, data, &mut signature).ok()?;
                (kind, signature)
            }
        };
        let mut told = vec![];
        put(&mut told, kind.as_bytes());
        put(&mut told, &signature);
        Some(told)
    }
}

/// The label and the bytes of the first armoured thing in a text. RFC 7468.
fn armoured(text: &str) -> Result<(&str, Vec<u8>), KeyError> {
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(KeyError::NoKey)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyError::NoKey)?;
    if !label.ends_with("PRIVATE KEY") {
        return Err(KeyError::NoKey);
    }
    let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or(KeyError::Damaged)?;
    if body.contains("Proc-Type:") {
        return Err(KeyError::Protected);
    }
    let packed: String = body.split_ascii_whitespace().collect();
    Ok((label, BASE64_STANDARD.decode(packed).map_err(|_| KeyError::Damaged)?))
}
