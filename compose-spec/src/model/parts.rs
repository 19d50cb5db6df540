//! What else services are made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use diagnostic::Span;

use super::FileMount;
use crate::tree::Node;

/// A soft and a hard limit; −1: unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// Soft.
    pub soft: i64,
    /// Hard.
    pub hard: i64,
}

/// Log driver and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// `None`: the engine's.
    pub driver: Option<String>,
    /// Options.
    pub options: BTreeMap<String, String>,
}

/// An environment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Path, absolute.
    pub path: PathBuf,
    /// Whether it must exist.
    pub required: bool,
    /// Lines are taken literally.
    pub raw: bool,
    /// Where it is said.
    pub span: Span,
}

/// A program that provides a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub kind: String,
    /// Its options.
    pub options: BTreeMap<String, Vec<String>>,
}

/// The two variables a model is told through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelUse {
    /// Variable for the address.
    pub endpoint_var: Option<String>,
    /// Variable for the name.
    pub model_var: Option<String>,
}

/// Block I/O settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blkio {
    /// 10 to 1000.
    pub weight: Option<u16>,
    /// `(path, weight)`
    pub weight_device: Vec<(String, u16)>,
    /// `(path, bytes per second)`
    pub device_read_bps: Vec<(String, i64)>,
    /// `(path, bytes per second)`
    pub device_write_bps: Vec<(String, i64)>,
    /// `(path, operations per second)`
    pub device_read_iops: Vec<(String, i64)>,
    /// `(path, operations per second)`
    pub device_write_iops: Vec<(String, i64)>,
}

/// `build`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Build {
    /// Folder (absolute) or address.
    pub context: String,
    /// Relative to the context.
    pub dockerfile: Option<String>,
    /// Its text instead.
    pub dockerfile_inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Named contexts.
    pub additional_contexts: BTreeMap<String, String>,
    /// Cache sources.
    pub cache_from: Vec<String>,
    /// Cache targets.
    pub cache_to: Vec<String>,
    /// Extra rights.
    pub entitlements: Vec<String>,
    /// As at the service.
    pub extra_hosts: Vec<(String, String)>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Network of the build.
    pub network: Option<String>,
    /// No cache.
    pub no_cache: bool,
    /// Stages without cache.
    pub no_cache_filter: Vec<String>,
    /// Platforms.
    pub platforms: Vec<String>,
    /// Privileged build.
    pub privileged: bool,
    /// Attestation.
    pub provenance: Option<String>,
    /// Attestation.
    pub sbom: Option<String>,
    /// Refresh base images.
    pub pull: bool,
    /// Secrets; `target` is the id.
    pub secrets: Vec<FileMount>,
    /// Size of `/dev/shm`, bytes.
    pub shm_size: Option<i64>,
    /// `id` → path; `default` may be empty.
    pub ssh: BTreeMap<String, String>,
    /// Extra tags.
    pub tags: Vec<String>,
    /// Stage.
    pub target: Option<String>,
    /// Limits.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Where it is said.
    pub span: Option<Span>,
}

/// A model of the top level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Real name.
    pub name: String,
    /// Reference.
    pub model: String,
    /// Size of the context.
    pub context_size: Option<i64>,
    /// Flags for the runner.
    pub runtime_flags: Vec<String>,
    /// The `x-…` values.
    pub extensions: BTreeMap<String, Node>,
    /// Where it is said.
    pub span: Option<Span>,
}
