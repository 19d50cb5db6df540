//! Where everything lies on disk. Pure: it makes paths and touches none.
//!
//! ```text
//! DATA/  format  tmp/
//!        blobs/sha256/HEX                 manifests and configurations, as they came
//!        layers/HEX/{layer.json,tree/}    unpacked layers by diff id
//!        images/HEX.json                  Image documents by digest of reference and platform
//!        volumes/NAME/{volume.json,_data/,users/ID}
//!        networks/NAME/{network.json,leases/ADDRESS}
//!        names/CONTAINER-NAME             symbolic link to ../pods/POD/containers/ID, as are users and leases
//!        pods/POD/{pod.json,logs/SERVICE-NUMBER.log,containers/ID/{container.json,upper/,work/}}
//!        pods/POD/making/ID               a container before the rename that makes it exist
//! RUN/   store.lock  networks.lock  volumes.lock  names.lock
//!        pods/POD/{project.lock,supervisor.lock,supervisor.sock,containers/ID/…}
//! RUN/pods/POD/containers/ID/
//!        state.json  hosts  hostname  resolv.conf  stdin stdout stderr (FIFOs)  content/N
//! ```

use crate::{ContainerId, NetworkName, PodName, VolumeName};
use std::path::{Path, PathBuf};

/// The two roots of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// What survives a reboot: `/var/lib/compose`.
    pub data: PathBuf,
    /// What does not: `/run/compose`.
    pub run: PathBuf,
    /// Name of our folder in every cgroup hierarchy: `compose`; tests have their own.
    pub cgroup: String,
}

impl Roots {
    /// The roots of the machine's engine.
    pub fn system() -> Self {
        Self { data: "/var/lib/compose".into(), run: "/run/compose".into(), cgroup: "compose".to_owned() }
    }

    /// Both roots below one folder, and a cgroup of their own named after it (`--root`).
    pub fn below(folder: &Path) -> Self {
        let name = format!("{:08x}", crc32fast::hash(folder.as_os_str().as_encoded_bytes()));
        Self { data: folder.join("lib"), run: folder.join("run"), cgroup: format!("compose-{name}") }
    }

    /// `DATA/pods/POD`
    pub fn pod(&self, pod: &PodName) -> PathBuf {
        self.data.join("pods").join(&pod.0)
    }

    /// `DATA/pods/POD/containers/ID`
    pub fn container(&self, pod: &PodName, id: &ContainerId) -> PathBuf {
        self.pod(pod).join("containers").join(&id.0)
    }

    /// `DATA/pods/POD/logs/SERVICE-NUMBER.log`; a one-off is kept under its short id.
    pub fn log(&self, spec: &crate::ContainerSpec, id: &ContainerId) -> PathBuf {
        let file = match spec.number {
            Some(number) => format!("{}-{number}.log", spec.service),
            None => format!("{}-{}.log", spec.service, id.short()),
        };
        self.pod(&spec.pod).join("logs").join(file)
    }

    /// `RUN/pods/POD`
    pub fn pod_run(&self, pod: &PodName) -> PathBuf {
        self.run.join("pods").join(&pod.0)
    }

    /// `RUN/pods/POD/containers/ID`
    pub fn container_run(&self, pod: &PodName, id: &ContainerId) -> PathBuf {
        self.pod_run(pod).join("containers").join(&id.0)
    }

    /// `RUN/pods/POD/containers/ID/state.json`
    pub fn state(&self, pod: &PodName, id: &ContainerId) -> PathBuf {
        self.container_run(pod, id).join("state.json")
    }

    /// `DATA/volumes/NAME`
    pub fn volume(&self, name: &VolumeName) -> PathBuf {
        self.data.join("volumes").join(&name.0)
    }

    /// `DATA/networks/NAME`
    pub fn network(&self, name: &NetworkName) -> PathBuf {
        self.data.join("networks").join(&name.0)
    }
}
