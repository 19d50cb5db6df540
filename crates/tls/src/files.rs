//! Certificates and keys from files, in PEM form.

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that somebody named to be used, and that is of no use.
#[derive(Debug, thiserror::Error)]
#[error("cannot use `{}`: {fault}", path.display())]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a file of certificates or of a key.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It has nothing of what is looked for.
    #[error("it has no certificate in PEM form")]
    NoCertificate,
    /// It has no private key.
    #[error("it has no private key in PEM form")]
    NoKey,
    /// Its key can be read with a password only.
    #[error("its key is encrypted; `openssl pkey -in FILE -out OTHER` takes the password off")]
    Encrypted,
    /// What is between its marks makes no sense.
    #[error("what it has in PEM form makes no sense")]
    Garbled,
    /// Its key is of a kind that is not known.
    #[error("its key is none of RSA, ECDSA (P-256, P-384) and Ed25519")]
    OtherKind,
    /// Its key belongs to another certificate.
    #[error("its key is not that of the certificate `{}`", .0.display())]
    Mismatch(PathBuf),
}

/// The certificates of a file, one at least.
///
/// # Errors
/// What is wrong with the file.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let failed = |fault| Unusable { path: path.to_owned(), fault };
    let text = std::fs::read(path).map_err(|error| failed(Fault::Unreadable(error)))?;
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match read {
        Ok(all) if all.is_empty() => Err(failed(Fault::NoCertificate)),
        Ok(all) => Ok(all),
        Err(_) => Err(failed(Fault::Garbled)),
    }
}

/// The same of a file of authorities: one of its certificates at least can be one.
///
/// # Errors
/// What is wrong with the file.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let all = certificates(path)?;
    match RootCertStore::empty().add_parsable_certificates(all.iter().cloned()) {
        (0, _) => Err(Unusable { path: path.to_owned(), fault: Fault::Garbled }),
        _ => Ok(all),
    }
}

/// What a client proves itself with: a certificate, those that vouch for it, and its key.
#[derive(Clone, Debug)]
pub struct Identity(pub(crate) Arc<CertifiedKey>);

impl Identity {
    /// Reads a certificate, with those that vouch for it behind it, and its key.
    ///
    /// # Errors
    /// What is wrong with one of the files, or with both together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, Unusable> {
        let chain = certificates(certificate)?;
        let failed = |fault| Unusable { path: key.to_owned(), fault };
        let made = CertifiedKey::from_der(chain, private_key(key)?, &ring::default_provider());
        made.map(|own| Self(Arc::new(own))).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                failed(Fault::Mismatch(certificate.to_owned()))
            }
            Error::InvalidCertificate(_) => Unusable { path: certificate.to_owned(), fault: Fault::Garbled },
            _ => failed(Fault::OtherKind),
        })
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let failed = |fault| Unusable { path: path.to_owned(), fault };
    let text = std::fs::read(path).map_err(|error| failed(Fault::Unreadable(error)))?;
    // `ENCRYPTED PRIVATE KEY`, and `Proc-Type: 4,ENCRYPTED` of an older form.
    if text.windows(9).any(|word| word == b"ENCRYPTED") {
        return Err(failed(Fault::Encrypted));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => failed(Fault::NoKey),
        _ => failed(Fault::Garbled),
    })
}
