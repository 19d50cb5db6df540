//! Makes a container. Everything is decided first, then claimed and made, and one rename commits:
//!
//! ```text
//! resolve            process, mounts, health check: pure, nothing to undo
//! making/ID          the folder, private to its maker while the pod's lock is held
//! claims             name, addresses, volumes: links that others respect from now on
//! sources            volumes made and filled, bind sources, files of secrets
//! making/ID -> containers/ID    the container exists
//! ```
//!
//! A [`Draft`] that is dropped before the rename takes back all it did, the last thing first.

use crate::names::{self, Owner};
use crate::{Engine, EngineError, cdi, disk, resolve};
use resource::{
    ContainerId, ContainerName, ContainerRecord, ContainerSpec, IdentityShare, Image, LogServer, Mount,
    NetworkMode, PodName, Predecessor, Reference, SyslogAddress, VolumeName,
};
use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

mod endpoints;
mod sources;

impl Engine {
    /// Makes a container: resolves image and wishes to its document, leases its addresses, makes its
    /// anonymous volumes and fills fresh ones. One rename commits; a failure undoes everything.
    ///
    /// `replaces` is the container whose place it takes: fixed addresses and, unless they are to be new, anonymous
    /// volumes at the same targets come over from it.
    ///
    /// # Errors
    /// [`EngineError::NoImage`], [`EngineError::NameTaken`], [`EngineError::Resolve`], …
    pub fn create_container(
        &self,
        spec: &ContainerSpec,
        replaces: Option<&Predecessor>,
    ) -> Result<ContainerId, EngineError> {
        self.store().prepare()?;
        // No layer is collected before the document that needs it is there.
        let _shared = self.store().share()?;
        let image = self.image_of(spec)?;
        self.create_container_of(spec, &image, &[], replaces)
    }

    /// As [`Engine::create_container`], of an image that need not be in the store; the caller keeps its
    /// layers. `below` is laid under them all: what shows only where the image has nothing.
    pub(crate) fn create_container_of(
        &self,
        spec: &ContainerSpec,
        image: &Image,
        below: &[Stub],
        replaces: Option<&Predecessor>,
    ) -> Result<ContainerId, EngineError> {
        names::check(&spec.name.0)?;
        names::check(&spec.pod.0)?;
        let replaced = replaces.and_then(|one| self.record(&spec.pod, &one.id));
        let mounted = replaced.as_ref().filter(|_| replaces.is_some_and(|one| !one.renew_anonymous));
        let mut planned = self.planned(spec, image, mounted.map_or(&[], |record| &record.mounts))?;
        if self.pod(&spec.pod).is_none() {
            self.create_pod(&spec.pod, &resource::Labels::new())?;
        }

        let mut draft = Draft::begin(self, spec, replaced.as_ref())?;
        draft.claim_name()?;
        let edits = cdi::find(&spec.security.cdi_devices).map_err(EngineError::Cdi)?;
        let (mut process, mounts) = planned.take(&draft.owner.id)?;
        edits.adorn(&mut process);
        let mounts = draft.sources(mounts, image)?;
        let record = ContainerRecord {
            id: draft.owner.id.clone(),
            created: jiff::Timestamp::now(),
            image: image.id.clone(),
            manifest: image.manifest.clone(),
            layers: draft.layers(image, below)?,
            process,
            endpoints: draft.endpoints()?,
            mounts: edits.mounts.into_iter().chain(mounts).collect(),
            healthcheck: resolve::healthcheck(spec, &image.config),
            stop_signal: planned.stop_signal,
            log_server: log_server(spec)?,
            injected: edits.injected,
            spec: ContainerSpec { labels: resolve::labels(spec, &image.config), ..spec.clone() },
        };
        draft.commit(&record)
    }

    fn image_of(&self, spec: &ContainerSpec) -> Result<Image, EngineError> {
        if spec.is_infra() {
            return Ok(Image::empty());
        }
        self.image_for(&spec.image, spec)
    }

    /// The image of this name for a container's platform.
    fn image_for(&self, reference: &Reference, spec: &ContainerSpec) -> Result<Image, EngineError> {
        let here = self.store().image(reference, spec.platform.as_ref());
        // An image of another platform, when that is the only one of this name.
        let other = || self.store().images().into_iter().find(|image| image.reference == *reference);
        here.or_else(other).ok_or_else(|| EngineError::NoImage { reference: reference.clone() })
    }

    /// All that needs no id and makes nothing. Anonymous volumes of `replaced` are mounted again.
    fn planned<'a>(
        &self,
        spec: &'a ContainerSpec,
        image: &'a Image,
        replaced: &[Mount],
    ) -> Result<Planned<'a>, EngineError> {
        let mut taken_over = vec![];
        for (name, read_only) in &spec.volumes_from {
            let record = self.record_of(name).ok_or_else(|| EngineError::NoContainer(name.clone()))?;
            taken_over.extend(
                record
                    .mounts
                    .iter()
                    .filter(|mount| self.outlives(mount))
                    .map(|mount| (mount.clone(), *read_only)),
            );
        }
        let failed = |source| EngineError::Resolve { container: spec.name.clone(), source };
        let planned = Planned {
            spec,
            image,
            hostname: self.hostname(spec),
            mounts: resolve::mounts(&spec.mounts, &image.config, &taken_over, replaced).map_err(failed)?,
            stop_signal: resolve::stop_signal(spec, &image.config).map_err(failed)?,
        };
        // Whatever cannot be resolved is found before anything is made; the id changes only a name.
        planned.process("").map(|_| planned)
    }

    /// Whether a mount is there without its container: a volume or a path of the host, and no file
    /// that we made for it.
    fn outlives(&self, mount: &Mount) -> bool {
        match mount {
            Mount::Bind { source, .. } => !source.starts_with(&self.roots().run),
            Mount::FileSystem { .. } | Mount::Image { .. } => true,
            Mount::Tmpfs { .. } => false,
        }
    }

    /// The host name that the container has of itself, unless it is its own short id.
    fn hostname(&self, spec: &ContainerSpec) -> Option<String> {
        let host =
            || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        match (&spec.hostname, &spec.network_mode) {
            (Some(name), _) => Some(name.clone()),
            (None, NetworkMode::Container(name)) => {
                let record = self.record_of(name)?;
                Some(record.spec.hostname.clone().unwrap_or_else(|| record.id.short().to_owned()))
            }
            (None, NetworkMode::Host) => host(),
            _ if spec.uts == IdentityShare::Host => host(),
            _ => None,
        }
    }

    /// The document of the container with this name.
    pub(crate) fn record_of(&self, name: &ContainerName) -> Option<ContainerRecord> {
        let (pod, id) = self.find_container(name)?;
        self.record(&pod, &id)
    }

    /// Removes what makers of containers left when they died. Only under the pod's lock, and with no
    /// container in the making.
    pub(crate) fn clear_half_made(&self, pod: &PodName) -> Result<(), EngineError> {
        let making = names::making(self.roots(), pod);
        for id in disk::entries(&making)? {
            let owner = Owner { pod: pod.clone(), id: ContainerId(id) };
            self.release_everywhere(&owner)?;
            disk::retire_folder(&making.join(&owner.id.0), &self.roots().data.join("tmp"))?;
        }
        Ok(())
    }
}

/// Where the server is that the container's lines are sent to, if it is on no socket of this machine's.
fn log_server(spec: &ContainerSpec) -> Result<Option<SocketAddr>, EngineError> {
    let Some(LogServer::Syslog(syslog)) = &spec.log.server else { return Ok(None) };
    let (host, port) = match &syslog.address {
        SyslogAddress::Udp(host, port)
        | SyslogAddress::Tcp(host, port)
        | SyslogAddress::Tls(host, port, _) => (host.as_str(), *port),
        SyslogAddress::Local | SyslogAddress::Unix(_) => return Ok(None),
    };
    let found =
        (host, port).to_socket_addrs().and_then(|mut all| all.next().ok_or(ErrorKind::NotFound.into()));
    let failed =
        |source| EngineError::LogServer { container: spec.name.clone(), host: host.to_owned(), source };
    found.map(Some).map_err(failed)
}

/// A place to mount something on, where the image has none.
pub(crate) struct Stub {
    /// Absolute path in the container, without `..`.
    pub(crate) path: String,
    /// An empty file, rather than a folder.
    pub(crate) file: bool,
}

/// What is decided before anything is made.
struct Planned<'a> {
    spec: &'a ContainerSpec,
    image: &'a Image,
    hostname: Option<String>,
    mounts: Vec<resolve::PlannedMount>,
    stop_signal: i32,
}

impl Planned<'_> {
    fn process(&self, short_id: &str) -> Result<resource::Process, EngineError> {
        let hostname = self.hostname.as_deref().unwrap_or(short_id);
        if self.spec.is_infra() {
            return Ok(resolve::no_program(&self.spec.process));
        }
        resolve::process(&self.spec.process, self.image, hostname)
            .map_err(|source| EngineError::Resolve { container: self.spec.name.clone(), source })
    }

    fn take(
        &mut self,
        id: &ContainerId,
    ) -> Result<(resource::Process, Vec<resolve::PlannedMount>), EngineError> {
        Ok((self.process(id.short())?, std::mem::take(&mut self.mounts)))
    }
}

/// What a draft takes back.
enum Undo {
    /// Give a claim up.
    Release(PathBuf),
    /// Give a claim back to the container that had it; so many folders below DATA.
    GiveBack(PathBuf, Owner, usize),
    /// Remove a volume that was made.
    Volume(VolumeName),
    /// Remove a folder that was made on the host, if it is still empty.
    EmptyFolder(PathBuf),
}

/// A container in the making.
struct Draft<'a> {
    engine: &'a Engine,
    spec: &'a ContainerSpec,
    replaced: Option<Owner>,
    owner: Owner,
    folder: PathBuf,
    undo: Vec<Undo>,
}

impl<'a> Draft<'a> {
    fn begin(
        engine: &'a Engine,
        spec: &'a ContainerSpec,
        replaced: Option<&ContainerRecord>,
    ) -> Result<Self, EngineError> {
        let owner = Owner { pod: spec.pod.clone(), id: ContainerId(disk::random_id()?) };
        let replaced = replaced.map(|record| Owner { pod: spec.pod.clone(), id: record.id.clone() });
        let folder = names::making(engine.roots(), &spec.pod).join(&owner.id.0);
        disk::make_folder(&folder)?;
        let draft = Self { engine, spec, replaced, owner, folder, undo: vec![] };
        for name in ["upper", "work"] {
            // The upper folder's mode is that of `/` in the container, whatever our umask.
            let path = draft.folder.join(name);
            let made = std::fs::DirBuilder::new().mode(0o755).create(&path);
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            made.and_then(|()| std::fs::set_permissions(&path, mode))
                .map_err(EngineError::file("make folder", &path))?;
        }
        Ok(draft)
    }

    /// The folders below its own, lowest first. An image without layers gets one of nothing, so that
    /// there is a root.
    fn layers(&self, image: &Image, below: &[Stub]) -> Result<Vec<PathBuf>, EngineError> {
        let store = self.engine.store();
        let layers = image.layers.iter().map(|layer| store.layer_path(layer));
        if !image.layers.is_empty() && below.is_empty() {
            return Ok(layers.collect());
        }
        let made = self.folder.join("empty");
        let open = |folder: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
        open(&made).map_err(EngineError::file("make folder", &made))?;
        for stub in below {
            let path = made.join(stub.path.trim_start_matches('/'));
            let make = || match stub.file {
                false => open(&path),
                true => {
                    path.parent().map_or(Ok(()), &open)?;
                    std::fs::File::create(&path).map(drop)
                }
            };
            make().map_err(EngineError::file("make", &path))?;
        }
        let lowest = self.engine.roots().container(&self.spec.pod, &self.owner.id).join("empty");
        Ok(std::iter::once(lowest).chain(layers).collect())
    }

    /// An empty folder of the container's: where it will be.
    fn nothing(&self, name: &str) -> Result<PathBuf, EngineError> {
        let made = self.folder.join(name);
        match std::fs::DirBuilder::new().mode(0o755).create(&made) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => other.map_err(EngineError::file("make folder", &made))?,
        }
        Ok(self.engine.roots().container(&self.spec.pod, &self.owner.id).join(name))
    }

    fn claim_name(&mut self) -> Result<(), EngineError> {
        let path = self.engine.roots().data.join("names").join(&self.spec.name.0);
        match self.owner.claim(self.engine.roots(), &path, 1)? {
            Ok(()) => self.undo.push(Undo::Release(path)),
            Err(other) => {
                return Err(EngineError::NameTaken { name: self.spec.name.clone(), pod: other.pod });
            }
        }
        Ok(())
    }

    fn commit(mut self, record: &ContainerRecord) -> Result<ContainerId, EngineError> {
        disk::replace(&self.folder.join("container.json"), record)?;
        let place = self.engine.roots().container(&self.spec.pod, &self.owner.id);
        let rename = || match std::fs::rename(&self.folder, &place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                sys::file::create_private_folder(place.parent().unwrap_or(&place))?;
                std::fs::rename(&self.folder, &place)
            }
            other => other,
        };
        rename().map_err(EngineError::file("commit", &place))?;
        self.undo.clear();
        self.engine.journalize(record, supervisor::EventKind::Created);
        Ok(self.owner.id.clone())
    }

    /// Takes back one thing. An error changes nothing for the caller, who has one already; what stays
    /// is stale and is reclaimed or swept later.
    fn take_back(&self, undo: Undo) {
        match undo {
            Undo::Release(path) => drop(self.owner.release(&path)),
            Undo::GiveBack(path, owner, depth) => drop(owner.take_over(&path, depth)),
            Undo::Volume(name) => drop(self.engine.store().remove_volume(&name)),
            Undo::EmptyFolder(path) => drop(std::fs::remove_dir(path)),
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let undo = std::mem::take(&mut self.undo);
        undo.into_iter().rev().for_each(|undo| self.take_back(undo));
        // After a commit neither is there any more.
        drop(disk::remove_folder(&self.folder));
        let run = self.engine.roots().container_run(&self.spec.pod, &self.owner.id);
        if !self.engine.roots().container(&self.spec.pod, &self.owner.id).exists() {
            drop(disk::remove_folder(&run));
        }
    }
}
