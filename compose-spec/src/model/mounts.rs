//! What containers are given of files and devices.

use std::collections::BTreeMap;

use diagnostic::Span;

/// A config or secret in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMount {
    /// Key under `configs` or `secrets`.
    pub source: String,
    /// Path in the container (`/<source>` for a config without one); for a build secret its id.
    pub target: Option<String>,
    /// Owner as written.
    pub uid: Option<String>,
    /// Group as written.
    pub gid: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Where it is said.
    pub span: Span,
}

/// A device given to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Path on the host, or a CDI name (`vendor/class=name`).
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Of `rwm`.
    pub permissions: String,
    /// Where it is said.
    pub span: Span,
}

impl Device {
    /// Whether `source` is a CDI name.
    pub fn is_cdi(&self) -> bool {
        !self.source.starts_with('/') && self.source.contains('=') && self.source.contains('/')
    }
}

/// A request for devices by their capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Capabilities, such as `gpu`.
    pub capabilities: Vec<String>,
    /// −1: all.
    pub count: Option<i64>,
    /// Ids instead of a count.
    pub device_ids: Vec<String>,
    /// Driver.
    pub driver: Option<String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

/// What a mount is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume; without source an anonymous one.
    Volume,
    /// Memory.
    Tmpfs,
    /// The content of an image.
    Image,
    /// A Windows pipe.
    Npipe,
    /// A cluster volume.
    Cluster,
}

/// One entry of `volumes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What it is of.
    pub kind: MountKind,
    /// Host path (absolute), key under `volumes`, or image or service name.
    pub source: Option<String>,
    /// Path in the container, clean.
    pub target: String,
    /// No writing.
    pub read_only: bool,
    /// `bind:`
    pub bind: BindOptions,
    /// `volume:`
    pub volume: VolumeOptions,
    /// `tmpfs:`
    pub tmpfs: TmpfsOptions,
    /// `image.subpath`
    pub image_subpath: Option<String>,
    /// Where it is said.
    pub span: Span,
}

/// Options of a bind mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// `rprivate`, …; `None`: the default.
    pub propagation: Option<String>,
    /// Whether a missing source is made.
    pub create_host_path: bool,
    /// `enabled`, `disabled`, `writable`, `readonly`.
    pub recursive: Option<String>,
    /// `z` or `Z`.
    pub selinux: Option<String>,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self { propagation: None, create_host_path: true, recursive: None, selinux: None }
    }
}

/// Options of a volume mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// No copy of the image's content.
    pub nocopy: bool,
    /// A folder inside the volume.
    pub subpath: Option<String>,
    /// Labels of a volume made for this mount.
    pub labels: BTreeMap<String, String>,
}

/// Options of a tmpfs mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// Bytes.
    pub size: Option<i64>,
    /// Permission bits.
    pub mode: Option<u32>,
}

/// A volume of the top level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Real name.
    pub name: String,
    /// Driver; `None`: `local`.
    pub driver: Option<String>,
    /// Driver options: `type`, `o`, `device`.
    pub driver_opts: BTreeMap<String, String>,
    /// Not ours to make or remove.
    pub external: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is said.
    pub span: Option<Span>,
}

/// A secret or config of the top level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileObject {
    /// Real name.
    pub name: String,
    /// Where that name is written; `None`: it is the one made of the project's name and the key.
    pub name_span: Option<Span>,
    /// Host path, absolute.
    pub file: Option<String>,
    /// Name of a variable.
    pub environment: Option<String>,
    /// That variable's value, or the inline `content`; `None`: unset, found out when it is used.
    pub content: Option<String>,
    /// Not ours.
    pub external: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver of a secret store.
    pub driver: Option<String>,
    /// Template driver.
    pub template_driver: Option<String>,
    /// Where it is said.
    pub span: Option<Span>,
}
