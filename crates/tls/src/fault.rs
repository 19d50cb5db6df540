//! What is wrong with a peer, in the words of somebody who has to do something about it. Pure.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// What is wrong with who answers in the place of who was asked for. Found as what an [`std::io::Error`] has inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerFault {
    /// Nobody who is known here vouches for it.
    #[error("its certificate is of an authority that is not known here")]
    UnknownAuthority,
    /// Its certificate was good once.
    #[error("its certificate has expired")]
    Expired,
    /// Its certificate will be good, or this machine's clock is wrong.
    #[error("its certificate is not valid yet; is this machine's clock right?")]
    NotValidYet,
    /// Its certificate is for others.
    #[error("its certificate is for {} alone", .0.join(", "))]
    OtherNames(Vec<String>),
    /// What it says is no TLS.
    #[error("it does not speak TLS")]
    NoTls,
    /// It was shown no certificate.
    #[error("it wants a certificate from its clients")]
    WantsCertificate,
    /// It was shown one; what it says of that.
    #[error("it does not accept the certificate that it was shown ({0})")]
    RefusesCertificate(String),
    /// It ends the connection where it should prove who it is.
    #[error("it hung up instead")]
    HungUp,
}

impl PeerFault {
    /// What an error says of the peer; `None` where it has no better words than its own.
    pub fn of(error: &Error) -> Option<Self> {
        Some(match error {
            Error::InvalidCertificate(fault) => match fault {
                CertificateError::UnknownIssuer => Self::UnknownAuthority,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotValidYet
                }
                CertificateError::NotValidForNameContext { presented, .. } => {
                    // `DnsName("other.example.com")`
                    let name = |name: &String| {
                        let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner);
                        inner.trim_matches(|edge| matches!(edge, '"' | ')')).to_owned()
                    };
                    Self::OtherNames(presented.iter().map(name).collect())
                }
                _ => return None,
            },
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NoTls,
            Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired => Self::WantsCertificate,
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied => Self::RefusesCertificate(format!("{alert:?}")),
                _ => return None,
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_lacks_is_said_of_it() {
        let fault = |error: Error| PeerFault::of(&error);
        let issuer = fault(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert_eq!(issuer, Some(PeerFault::UnknownAuthority));
        let wanting = fault(Error::AlertReceived(AlertDescription::CertificateRequired));
        assert_eq!(wanting, Some(PeerFault::WantsCertificate));
        let refused = fault(Error::AlertReceived(AlertDescription::UnknownCA)).unwrap();
        assert!(refused.to_string().ends_with("(UnknownCA)"), "{refused}");
        assert_eq!(fault(Error::AlertReceived(AlertDescription::InternalError)), None);
    }
}
