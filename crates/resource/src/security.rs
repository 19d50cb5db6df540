//! What a container may do.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The wishes that touch isolation; the default is Docker's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecuritySpec {
    /// All capabilities and devices, no seccomp filter, no masked paths.
    pub privileged: bool,
    /// Capabilities added to Docker's default set, without `CAP_`; `ALL` is all of them.
    pub capabilities_added: Vec<String>,
    /// Capabilities taken from it; `ALL` is all of them.
    pub capabilities_dropped: Vec<String>,
    /// `no-new-privileges`.
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: SeccompChoice,
    /// The AppArmor profile its processes are confined by, where the kernel has AppArmor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apparmor: Option<String>,
    /// `systempaths=unconfined`: nothing under /proc and /sys is masked or read-only.
    pub unconfined_paths: bool,
    /// The root file system cannot be written to.
    pub read_only_root: bool,
    /// Kernel parameters of the container's namespaces.
    pub sysctls: std::collections::BTreeMap<String, String>,
    /// Devices of the host: source, path in the container, permissions out of `rwm`.
    pub devices: Vec<(PathBuf, String, String)>,
    /// Devices by their CDI names, `vendor.com/class=name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cdi_devices: Vec<String>,
    /// Rules for the devices cgroup as written: `c 1:3 mr`.
    pub device_rules: Vec<String>,
}

/// Which system calls are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeccompChoice {
    /// Docker's default profile.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// An OCI seccomp profile, its JSON text.
    Profile(String),
}

/// Whose namespace a container uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityShare {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// That of the container with this name.
    Container(crate::ContainerName),
}
