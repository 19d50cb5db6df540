//! Images as the engine keeps them.

use crate::{Digest, HealthCheck, Labels, Reference, Timestamp};
use serde::{Deserialize, Serialize};

/// What a machine must be to run an image: `linux/amd64`, `linux/arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, `linux`.
    pub os: String,
    /// Architecture in Go's spelling, `amd64`, `arm64`.
    pub architecture: String,
    /// Variant, `v7`, where the architecture has some.
    pub variant: Option<String>,
}

impl Platform {
    /// Reads `os[/architecture[/variant]]`; the architecture defaults to the host's.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let os = parts.next().filter(|part| !part.is_empty())?.to_owned();
        let architecture = parts.next().map_or_else(|| Self::host().architecture, str::to_owned);
        let variant = parts.next().map(str::to_owned);
        parts.next().is_none().then_some(Self { os, architecture, variant })
    }

    /// How well an image for this platform does on a machine that is `wanted`, 0 being exactly; `None`
    /// when it does not run there.
    pub fn fitness(&self, wanted: &Self) -> Option<u32> {
        let architecture = |platform: &Self| match platform.architecture.as_str() {
            "x86_64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            other => other.to_owned(),
        };
        let number = |platform: &Self| {
            let default = match architecture(platform).as_str() {
                "arm64" => 8,
                "arm" => 7,
                _ => 1,
            };
            let digits = platform.variant.as_deref().map(|variant| variant.trim_start_matches('v'));
            digits.filter(|digits| !digits.is_empty()).map_or(Some(default), |text| text.parse::<u32>().ok())
        };
        if self.os != wanted.os || architecture(self) != architecture(wanted) {
            return None;
        }
        match (number(self), number(wanted)) {
            // Newer machines run what was made for older ones.
            (Some(offer), Some(wanted)) => wanted.checked_sub(offer),
            _ => (self.variant == wanted.variant).then_some(0),
        }
    }

    /// The platform this program was compiled for.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

/// An image in the store, ready to be run: every layer is unpacked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Digest of the configuration: the image id that people see.
    pub id: Digest,
    /// Digest of the platform's manifest: the identity that decides about recreation.
    pub manifest: Digest,
    /// The reference it was found under. Several references may name the same image.
    pub reference: Reference,
    /// What it runs on.
    pub platform: Platform,
    /// Diff ids of the layers, lowest first; each is a folder of the store.
    pub layers: Vec<Digest>,
    /// Bytes of all unpacked layers.
    pub size: u64,
    /// When the image says it was made.
    pub created: Option<Timestamp>,
    /// When this reference was last written here.
    pub tagged: Timestamp,
    /// What it asks for when run.
    pub config: ImageConfig,
    /// Text of `/etc/passwd` in the image, empty when there is none; read once, when the image is made.
    pub passwd: String,
    /// Text of `/etc/group` in the image, likewise.
    pub group: String,
}

impl Image {
    /// What a container is made of that executes no program ([`crate::INFRA`]): no layer, no wish. It
    /// is in no store and no registry.
    pub fn empty() -> Self {
        // SHA-256 of nothing, which no manifest has.
        let digest = Digest::of_sha256(&[
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
            0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ]);
        Self {
            id: digest.clone(),
            manifest: digest,
            reference: Reference {
                registry: "localhost".to_owned(),
                repository: "compose-infra".to_owned(),
                tag: Some("latest".to_owned()),
                digest: None,
                implied: crate::Implied::default(),
            },
            platform: Platform::host(),
            layers: vec![],
            size: 0,
            created: None,
            tagged: Timestamp::UNIX_EPOCH,
            config: ImageConfig::default(),
            passwd: String::new(),
            group: String::new(),
        }
    }
}

/// The run-time part of an image's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `ENV`, in order, `NAME=value`.
    pub environment: Vec<String>,
    /// `WORKDIR`, empty for `/`.
    pub working_dir: String,
    /// `USER`, empty for root.
    pub user: String,
    /// `VOLUME`: folders that get an anonymous volume when nothing else is mounted there.
    pub volumes: Vec<String>,
    /// `EXPOSE`, as written: `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// `LABEL`.
    pub labels: Labels,
    /// `STOPSIGNAL`, as written.
    pub stop_signal: Option<String>,
    /// `HEALTHCHECK`; `None` in the image and `NONE` in it are the same here.
    pub healthcheck: Option<HealthCheck>,
    /// `SHELL`, for `CMD-SHELL` probes; empty means `/bin/sh -c`.
    pub shell: Vec<String>,
    /// `ONBUILD`: instructions for the first moment of a build that starts from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<String>,
}
