//! From a container's record to its OCI specification.

use oci_spec::runtime::{LinuxDevice, Spec};
use resource::ContainerRecord;
use std::io;
use std::path::PathBuf;

/// What the record does not say: the files the supervisor wrote and the devices the host has.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// File mounted on /etc/hosts.
    pub hosts: PathBuf,
    /// File mounted on /etc/hostname.
    pub hostname_file: PathBuf,
    /// File mounted on /etc/resolv.conf.
    pub resolv_conf: PathBuf,
    /// The host name; empty keeps the namespace's.
    pub hostname: String,
    /// Host devices the container gets, see [`devices`].
    pub devices: Vec<(LinuxDevice, String)>,
}

/// The host devices a record asks for, each with its permissions out of `rwm`: those it names, and
/// all of /dev when it is privileged.
///
/// # Errors
/// What stat(2) says of a device it names, or that it is none.
pub fn devices(_record: &ContainerRecord) -> io::Result<Vec<(LinuxDevice, String)>> {
    todo!()
}

/// The specification Docker would make of this container.
pub fn generate(_record: &ContainerRecord, _around: &Surroundings) -> Spec {
    todo!()
}
