//! What can go wrong with a network, always with what was attempted.

use std::io;

/// Why a network could not be made, wired, published or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The kernel refused one step.
    #[error("cannot {attempt}{}", detail.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Kernel {
        /// The step, as it follows "cannot".
        attempt: String,
        /// The kernel's own words, where it had any.
        detail: Option<String>,
        /// Its error number.
        #[source]
        source: io::Error,
    },
    /// The kernel does not have what the step needs.
    #[error("cannot {attempt}: this kernel lacks {feature}")]
    Unsupported {
        /// The step, as it follows "cannot".
        attempt: String,
        /// What to load or build in.
        feature: &'static str,
        /// Its error number.
        #[source]
        source: io::Error,
    },
    /// Every block of the default pools overlaps a route of the host or another network.
    #[error("no address block is free: every default pool overlaps a route of the host or another network")]
    PoolExhausted,
    /// An interface of another kind has the bridge's name.
    #[error("cannot make bridge {bridge}: an interface of that name exists and is no bridge")]
    NameTaken {
        /// The name.
        bridge: String,
    },
    /// The bridge that a container is to be put on does not exist.
    #[error("cannot connect {container} to bridge {bridge}: there is no such bridge")]
    NoBridge {
        /// The bridge.
        bridge: String,
        /// Short id of the container.
        container: String,
    },
    /// The interface that a macvlan or ipvlan network is to be on does not exist.
    #[error("network {network} is to be on interface {parent}, and there is no such interface here")]
    NoParent {
        /// The interface.
        parent: String,
        /// The network.
        network: String,
    },
    /// An answer of the kernel that does not parse.
    #[error("cannot {attempt}: the kernel's answer does not make sense")]
    Answer {
        /// The step, as it follows "cannot".
        attempt: String,
    },
}

impl NetworkError {
    /// A refused step without words from the kernel.
    pub(crate) fn kernel(attempt: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Kernel { attempt: attempt.into(), detail: None, source: source.into() }
    }

    /// The kernel's error number, if one is behind this.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Kernel { source, .. } | Self::Unsupported { source, .. } => source.raw_os_error(),
            Self::PoolExhausted
            | Self::NameTaken { .. }
            | Self::NoBridge { .. }
            | Self::NoParent { .. }
            | Self::Answer { .. } => None,
        }
    }
}
