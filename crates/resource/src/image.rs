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

/// The systems that images are for, by Go's names.
const SYSTEMS: [&str; 7] = ["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris"];

/// The architectures that images are for, by Go's names.
const ARCHITECTURES: [&str; 15] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "sparc64", "wasm",
];

/// An architecture by its name in Go, and the variant of it that the other name implies.
fn in_gos_spelling(architecture: &str) -> (&str, Option<&'static str>) {
    match architecture {
        "x86_64" | "x86-64" => ("amd64", None),
        "i386" | "i486" | "i586" | "i686" => ("386", None),
        "aarch64" => ("arm64", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        other => (other, None),
    }
}

impl Platform {
    /// Reads `os[/architecture[/variant]]`, or an architecture alone, by any of the names that it has. What is
    /// missing is this machine's.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        match parts[..] {
            [one] if SYSTEMS.contains(&one.to_ascii_lowercase().as_str()) => {
                let host = Self::host();
                Some(Self { os: one.to_ascii_lowercase(), ..host })
            }
            [one] => Some(Self::normal(&Self::host().os, one, None))
                .filter(|platform| ARCHITECTURES.contains(&platform.architecture.as_str())),
            [os, architecture] => Some(Self::normal(os, architecture, None)),
            [os, architecture, variant] => Some(Self::normal(os, architecture, Some(variant))),
            _ => None,
        }
    }

    /// By the names that images have: those of Go.
    fn normal(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (os, architecture) = (os.to_ascii_lowercase(), architecture.to_ascii_lowercase());
        let (architecture, implied) = in_gos_spelling(&architecture);
        let variant = variant.or(implied).map(|variant| match variant.strip_prefix('v') {
            None if variant.bytes().all(|digit| digit.is_ascii_digit()) => format!("v{variant}"),
            _ => variant.to_owned(),
        });
        Self { os, architecture: architecture.to_owned(), variant }
    }

    /// How well an image for this platform does on a machine that is `wanted`, 0 being exactly; `None`
    /// when it does not run there.
    pub fn fitness(&self, wanted: &Self) -> Option<u32> {
        let number = |platform: &Self| {
            let default = match in_gos_spelling(&platform.architecture).0 {
                "arm64" => 8,
                "arm" => 7,
                _ => 1,
            };
            let digits = platform.variant.as_deref().map(|variant| variant.trim_start_matches('v'));
            digits.filter(|digits| !digits.is_empty()).map_or(Some(default), |text| text.parse::<u32>().ok())
        };
        let architecture = |platform: &Self| in_gos_spelling(&platform.architecture).0.to_owned();
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

#[cfg(test)]
mod tests {
    use super::Platform;

    #[test]
    fn platforms_are_read_by_any_name_of_theirs() {
        let read = |text: &str| Platform::parse(text).map(|platform| platform.to_string());
        for (text, platform) in [
            ("linux/amd64", "linux/amd64"),
            ("amd64", "linux/amd64"),
            ("x86_64", "linux/amd64"),
            ("Linux/aarch64", "linux/arm64"),
            ("linux/arm/7", "linux/arm/v7"),
            ("armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/other", "linux/other"),
        ] {
            assert_eq!(read(text).as_deref(), Some(platform), "{text}");
        }
        for bad in ["", "fob", "linux/", "/amd64", "linux/arm/v7/more"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let host = Platform::host();
        assert_eq!(read("linux"), Some(host.to_string()));
    }
}
