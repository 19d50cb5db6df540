//! Where everything lies on disk. Pure: it makes paths and touches none.
//!
//! ```text
//! DATA/  format  tmp/  run                an ordinary user's: where RUN was last
//!        blobs/sha256/HEX                 manifests and configurations, as they came
//!        layers/HEX/{layer.json,tree/}    unpacked layers by diff id
//!        images/HEX.json                  Image documents by digest of reference and platform
//!        build/{steps,mounts,contexts}/   results of build steps, cache mounts, indexes of contexts
//!        volumes/NAME/{volume.json,_data/,users/ID}
//!        networks/NAME/{network.json,leases/ADDRESS}
//!        names/CONTAINER-NAME             symbolic link to ../pods/POD/containers/ID, as are users and leases
//!        pods/POD/{pod.json,events,events.1,logs/SERVICE-NUMBER.log,containers/ID/{container.json,upper/,work/}}
//!        pods/POD/making/ID               a container before the rename that makes it exist
//! RUN/   store.lock  networks.lock  volumes.lock  names.lock
//!        infra.json  infra.lock  infra.use  pasta.json  pasta.log      an ordinary user's namespaces
//!        pods/POD/{project.lock,supervisor.lock,supervisor.sock,cgroup,containers/ID/…}
//! RUN/pods/POD/containers/ID/
//!        state.json  hosts  hostname  resolv.conf  stdin stdout stderr (FIFOs)  content/N
//! ```

use crate::{ContainerId, NetworkName, PodName, VolumeName};
use std::path::{Path, PathBuf};

/// The roots of an engine, and the namespaces it works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// What survives a reboot: `/var/lib/compose`.
    pub data: PathBuf,
    /// What does not: `/run/compose`.
    pub run: PathBuf,
    /// Name of our folder in every cgroup hierarchy: `compose`; tests have their own.
    pub cgroup: String,
    /// Where the ids of files and processes lie.
    pub mapping: Mapping,
    /// A path that opens the network namespace in which networks are made; `None` for the host's own.
    pub router: Option<PathBuf>,
}

/// How ids in the engine's user namespace map to ids of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mapping {
    /// They are the host's own: the engine runs as root.
    #[default]
    Host,
    /// 0 is the user, the ids from 1 on are the user's subordinate ids.
    Subordinate,
    /// 0 is the user, and there is no other id.
    Single,
}

impl Mapping {
    /// Every one with the word for it.
    const WORDS: [(Self, &'static str); 3] =
        [(Self::Host, "host"), (Self::Subordinate, "subordinate"), (Self::Single, "single")];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(mapping, _)| *mapping == self).map_or("host", |(_, word)| word)
    }

    /// The mapping with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(mapping, _)| *mapping)
    }

    /// Whether the engine is an ordinary user's.
    pub fn is_rootless(self) -> bool {
        self != Self::Host
    }
}

impl Roots {
    /// The roots of the machine's engine.
    pub fn system() -> Self {
        Self::at("/var/lib/compose".into(), "/run/compose".into(), "compose".to_owned())
    }

    /// Both roots below one folder, and a cgroup of their own named after it (`--root`).
    pub fn below(folder: &Path) -> Self {
        let name = format!("{:08x}", crc32fast::hash(folder.as_os_str().as_encoded_bytes()));
        Self::at(folder.join("lib"), folder.join("run"), format!("compose-{name}"))
    }

    /// Roots of an engine that runs as root in the network namespace it is in.
    pub fn at(data: PathBuf, run: PathBuf, cgroup: String) -> Self {
        Self { data, run, cgroup, mapping: Mapping::Host, router: None }
    }

    /// `RUN/infra.use`: locked, shared with others, by every process that uses an ordinary user's
    /// namespaces, for as long as it lives.
    pub fn infra_use(&self) -> PathBuf {
        self.run.join("infra.use")
    }

    /// `RUN/infra.life`: a pipe that an ordinary user's infra and supervisors have open for writing for as
    /// long as they live. pasta is killed with the last of them.
    pub fn infra_life(&self) -> PathBuf {
        self.run.join("infra.life")
    }

    /// `RUN/networks.lock`: held alone while a network is made or removed, shared while addresses of
    /// one are leased.
    pub fn networks_lock(&self) -> PathBuf {
        self.run.join("networks.lock")
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

    /// `RUN/pods/POD/cgroup`: where an ordinary user's pod has its cgroups.
    pub fn pod_cgroup(&self, pod: &PodName) -> PathBuf {
        self.pod_run(pod).join("cgroup")
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
