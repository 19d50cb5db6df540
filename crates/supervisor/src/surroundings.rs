//! What a container needs around it besides its network: the files written for it, its specification,
//! and the namespaces of others that it shares.

use crate::container::{Container, read_record};
use crate::core::{Slot, Supervisor};
use crate::files;
use crate::protocol::{Failure, FailureKind};
use crate::start::cannot;
use resource::{ContainerName, IdentityShare, NetworkMode};
use runtime::spec::Surroundings;
use runtime::{Share, Spec};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

impl Supervisor {
    /// Writes hosts, hostname and resolv.conf. They are bind-mounted, so they are written in place.
    pub(crate) fn write_files(&self, slot: Slot) -> Result<(), Failure> {
        let container = self.containers.get(&slot).ok_or_else(gone)?;
        let record = &container.record;
        if matches!(record.spec.network_mode, NetworkMode::Container(_)) {
            return Ok(());
        }
        let folder = self.roots.container_run(&self.pod, &record.id);
        let host = files::Host::parse(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
        let hostname = self.hostname(container);
        let gateway = self.outside.address().or_else(|| files::gateway(record));
        let mut hosts = files::hosts(record, &hostname, gateway);
        if record.spec.network_mode == NetworkMode::Host {
            let own = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
            hosts = files::host_hosts(record, &own);
        }
        let texts = [
            ("hosts", hosts),
            ("hostname", format!("{hostname}\n")),
            ("resolv.conf", files::resolv_conf(record, &host)),
        ];
        for (name, text) in texts {
            write_public(&folder.join(name), text.as_bytes())
                .map_err(|error| cannot(&format!("write its /etc/{name}"), &error))?;
        }
        Ok(())
    }

    /// What the container is called: in the host's UTS namespace, like the host.
    fn hostname(&self, container: &Container) -> String {
        let own = container.record.spec.uts == IdentityShare::Private;
        let mode = &container.record.spec.network_mode;
        let network = *mode == NetworkMode::Host;
        if container.record.spec.hostname.is_none() && (!own || network) {
            return rustix::system::uname().nodename().to_string_lossy().into_owned();
        }
        // In the network of another it is called as that one is: /etc/hosts says so already.
        if let (None, NetworkMode::Container(name)) = (&container.record.spec.hostname, mode)
            && let Some((pod, id)) = crate::names::find(&self.roots, name)
            && let Some(other) = read_record(&self.roots, &pod, &id)
        {
            return files::hostname(&other).to_owned();
        }
        files::hostname(&container.record).to_owned()
    }

    /// The container's specification, with the files that were written for it.
    pub(crate) fn spec(&self, slot: Slot) -> Result<Spec, Failure> {
        let container = self.containers.get(&slot).ok_or_else(gone)?;
        let record = &container.record;
        let folder = self.files_of(container)?;
        let devices = runtime::spec::devices(record)?;
        let shared = record.spec.uts != IdentityShare::Private;
        let hostname = if shared { String::new() } else { self.hostname(container) };
        let surroundings = Surroundings {
            hosts: folder.join("hosts"),
            hostname_file: folder.join("hostname"),
            resolv_conf: folder.join("resolv.conf"),
            hostname,
            devices,
            host_queues: std::path::Path::new("/dev/mqueue").is_dir(),
            apparmor: record.spec.security.apparmor.is_some() && runtime::spec::has_apparmor(),
            mapping: self.roots.mapping,
        };
        Ok(runtime::spec::generate(record, &surroundings))
    }

    /// Where its hosts file and the others are: with the container whose network it uses.
    fn files_of(&self, container: &Container) -> Result<PathBuf, Failure> {
        let record = &container.record;
        let NetworkMode::Container(name) = &record.spec.network_mode else {
            return Ok(self.roots.container_run(&self.pod, &record.id));
        };
        let (pod, id) = crate::names::find(&self.roots, name).ok_or_else(|| absent(name))?;
        Ok(self.roots.container_run(&pod, &id))
    }

    /// A namespace of the container with this name.
    fn namespace_of(&self, name: &ContainerName, kind: &str) -> Result<OwnedFd, Failure> {
        let own = self.containers.values().find(|container| container.record.spec.name == *name);
        if let Some(namespace) = own.and_then(|own| own.namespace.as_ref()).filter(|_| kind == "net") {
            return namespace.try_clone().map_err(|error| cannot("share a namespace", &error));
        }
        let (pod, id) = crate::names::find(&self.roots, name).ok_or_else(|| absent(name))?;
        let other = Container::read(&self.roots, &pod, &id).ok_or_else(|| absent(name))?;
        let process = own.map_or(other.state.process, |own| own.state.process).ok_or_else(|| absent(name))?;
        let path = format!("/proc/{}/ns/{kind}", process.pid);
        let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        if sys::pidfd::start_time(process.pid) != Some(process.start_time) {
            return Err(absent(name));
        }
        opened.map_err(|error| cannot("share a namespace", &error))
    }

    /// Network, pid, IPC and UTS namespace of a container.
    pub(crate) fn shares(&self, container: &Container) -> Result<[Shared; 4], Failure> {
        let spec = &container.record.spec;
        let network = match (&container.namespace, &spec.network_mode) {
            (_, NetworkMode::Host) => Shared::Host,
            (_, NetworkMode::Container(name)) => Shared::Join(self.namespace_of(name, "net")?),
            (Some(own), _) => {
                Shared::Join(own.try_clone().map_err(|error| cannot("use its namespace", &error))?)
            }
            (None, _) => Shared::Private,
        };
        Ok([
            network,
            self.share(&spec.pid, "pid")?,
            self.share(&spec.ipc, "ipc")?,
            self.share(&spec.uts, "uts")?,
        ])
    }

    fn share(&self, share: &IdentityShare, kind: &str) -> Result<Shared, Failure> {
        Ok(match share {
            IdentityShare::Private => Shared::Private,
            IdentityShare::Host => Shared::Host,
            IdentityShare::Container(name) => Shared::Join(self.namespace_of(name, kind)?),
        })
    }
}

pub(crate) fn gone() -> Failure {
    Failure::new(FailureKind::NoSuchContainer, "the container is gone")
}

fn absent(name: &ContainerName) -> Failure {
    Failure::new(
        FailureKind::Dependency,
        format!("container {name}, whose namespace it shares, does not run"),
    )
}

/// A namespace and who keeps it open meanwhile.
pub(crate) enum Shared {
    Private,
    Host,
    Join(OwnedFd),
}

impl Shared {
    pub(crate) fn as_share(&self) -> Share<'_> {
        match self {
            Self::Private => Share::Private,
            Self::Host => Share::Host,
            Self::Join(namespace) => Share::Join(namespace.as_fd()),
        }
    }
}

/// Writes a file that everybody in the container may read, in place, so that a bind mount of it stays.
fn write_public(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}
