//! Images that are built here: what a build is asked for.

use crate::{Digest, Labels, Locked, NetworkName, Platform, Reference, Rlimit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// An image to build, with everything its making depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// Who asks for it: a service. Its steps are told under this name, and other builds refer to it.
    pub name: String,
    /// The references it gets; the first is the one it is known by.
    pub references: Vec<Reference>,
    /// The file gives the image a name, so that a registry may have it.
    pub named: bool,
    /// Where its files come from.
    pub context: BuildContext,
    /// Its instructions.
    pub dockerfile: DockerfileSource,
    /// The stage wanted; the last one by default.
    pub target: Option<String>,
    /// Values of `ARG`.
    pub args: BTreeMap<String, String>,
    /// Those of them that were given by hand: one that no build asks for is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_args: Vec<String>,
    /// Contexts by name, for `FROM`, `COPY --from` and mounts.
    pub contexts: BTreeMap<String, BuildContext>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, BuildSecret>,
    /// Sockets of SSH agents by id; a path that is empty stands for an agent that is not there.
    pub ssh: BTreeMap<String, PathBuf>,
    /// Labels over those of the instructions.
    pub labels: Labels,
    /// What it is for; the host's platform by default.
    pub platform: Option<Platform>,
    /// Platforms that it is made for besides, each an image of its own under the same references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_for: Vec<Platform>,
    /// The network of steps that do not say otherwise.
    pub network: BuildNetwork,
    /// Lines for /etc/hosts of its steps: name and address; `None` is the host's own address.
    pub extra_hosts: Vec<(String, Option<IpAddr>)>,
    /// Bytes of /dev/shm in its steps.
    pub shm_size: Option<u64>,
    /// Limits of its steps' processes.
    pub rlimits: Vec<Rlimit>,
    /// `RUN --security=insecure` is allowed.
    pub allow_insecure: bool,
    /// `RUN --network=host` is allowed.
    pub allow_host_network: bool,
    /// `RUN --device` is allowed.
    #[serde(default)]
    pub allow_devices: bool,
    /// Base images are looked for in their registries, even when they are here.
    pub pull: bool,
    /// Results of earlier builds are not used.
    pub no_cache: bool,
    /// Stages whose earlier results are not used.
    pub no_cache_stages: Vec<String>,
    /// The digests that images are held to; `None` holds them to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
    /// Where there are results of steps of other machines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache_from: Vec<CacheSource>,
    /// What gets the results of its steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache_to: Vec<BuildCache>,
    /// The file and line that asked for it, for messages.
    pub place: String,
}

impl BuildSpec {
    /// The same build, once for each of its platforms; the first is for the one that is wanted here.
    pub fn for_each_platform(&self) -> Vec<Self> {
        let platforms = std::iter::once(self.platform.clone()).chain(self.also_for.iter().cloned().map(Some));
        platforms.map(|platform| Self { platform, also_for: vec![], ..self.clone() }).collect()
    }
}

/// Where results of steps are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheSource {
    /// In a folder; its path is absolute.
    Folder(PathBuf),
    /// In a registry: with an image, or alone.
    Registry(Reference),
}

/// What gets results of steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BuildCache {
    /// Where they go.
    pub target: CacheTarget,
    /// All steps, not only those of the image's own stages.
    pub all: bool,
}

/// Where results of steps go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheTarget {
    /// Into a folder; its path is absolute.
    Folder(PathBuf),
    /// Into a registry, under this reference.
    Registry(Reference),
    /// Into the image's own configuration, so that they are where it is pushed to.
    Inline,
}

/// A source of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildContext {
    /// A folder of the host.
    Folder(PathBuf),
    /// The root of an image.
    Image(#[serde(serialize_with = "crate::reference::as_written")] Reference),
    /// What another build of the same command makes, by its name.
    Build(String),
    /// A git repository `URL#REF:SUBFOLDER`, or the URL of an archive.
    Remote(String),
    /// The root of an image in files.
    Layout(OciLayout),
}

/// An image in an OCI layout: `oci-layout://FOLDER[:TAG][@DIGEST]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OciLayout {
    /// The folder, or a tar archive of one; absolute.
    pub path: PathBuf,
    /// The name that its index has for the image; without one it is `latest`, or the only image there is.
    pub tag: Option<String>,
    /// The image's manifest or index; counts more than a tag.
    pub digest: Option<Digest>,
}

impl OciLayout {
    /// What introduces one.
    pub const SCHEME: &str = "oci-layout://";

    /// Reads what follows the scheme.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (place, digest) = match text.split_once('@') {
            Some((place, digest)) => {
                let parsed = Digest::parse(digest);
                (place, Some(parsed.map_err(|_| format!("`{digest}` is no digest such as `sha256:…`"))?))
            }
            None => (text, None),
        };
        let (path, tag) = match place.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag).filter(|tag| !tag.is_empty())),
            _ => (place, None),
        };
        match path {
            "" => Err(format!("`{}{text}` names no folder", Self::SCHEME)),
            path => Ok(Self { path: path.into(), tag: tag.map(str::to_owned), digest }),
        }
    }
}

impl std::fmt::Display for OciLayout {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}{}", Self::SCHEME, self.path.display())?;
        self.tag.iter().try_for_each(|tag| write!(formatter, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(formatter, "@{digest}"))
    }
}

/// Where instructions come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DockerfileSource {
    /// A file; a relative path counts from the context.
    File(PathBuf),
    /// Their text.
    Inline {
        /// All of it.
        text: String,
        /// The file that has it, and the line and column where it begins there, every line of it in that column.
        /// Unsaid where it is written otherwise than it is read.
        place: Option<(String, usize, usize)>,
    },
}

/// A secret that steps may see and no layer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildSecret {
    /// A file of the host.
    File(PathBuf),
    /// Its content.
    Content(String),
}

/// How steps are connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildNetwork {
    /// A network of the build's own with a way out.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's network.
    Host,
    /// A network that exists.
    Network(NetworkName),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_in_files_is_named_by_its_tag_or_its_digest() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for text in ["/a/b", "/a/b:1.2", &format!("/a/b@{digest}"), &format!("/a:5/b:x@{digest}")] {
            let layout = OciLayout::parse(text).unwrap();
            assert_eq!(layout.to_string(), format!("oci-layout://{text}"));
        }
        assert_eq!(OciLayout::parse("/a:5/b").unwrap().tag, None);
        assert_eq!(OciLayout::parse("/a:5/b:x").unwrap().path, PathBuf::from("/a:5/b"));
        assert!(OciLayout::parse("").unwrap_err().contains("names no folder"));
        assert!(OciLayout::parse("/a@latest").unwrap_err().contains("no digest"));
    }
}
