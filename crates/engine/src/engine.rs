//! The engine as a value: its roots, what it keeps open, and the role of the supervisor.

use crate::damage::Subject;
use crate::observe::Scope;
use crate::pull::PullEvent;
use crate::{EngineError, disk};
use futures_util::FutureExt as _;
use registry::Registry;
use resource::document::Fault;
use resource::{
    ContainerRecord, Digest, Image, ImageConfig, ImageNeed, Platform, PodName, Reference, Roots, Status,
};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use store::{Collected, InUse, Store};
use sys::file::Lock;

/// Plays the supervisor, or the process that holds a user's namespaces, when this process was started
/// as one, and returns its exit code; `None` in every other process. To be called first in `main`,
/// before any thread exists.
pub fn hidden_role() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next()?.to_str()? {
        supervisor::ROLE => Some(supervisor::serve(arguments, crate::user::succeed)),
        crate::user::ROLE => Some(crate::user::serve(arguments)),
        _ => None,
    }
}

/// An open engine. Cloning is cheap; clones share what is open.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").field("roots", &self.inner.roots).finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) roots: Roots,
    store: Store,
    /// Read from its files by the first pull.
    registry: tokio::sync::OnceCell<Registry>,
    /// One conversation with the kernel, opened by the first act on a network.
    netlink: OnceLock<network::Netlink>,
    /// Documents of containers, read once.
    pub(crate) records: disk::Cache<ContainerRecord>,
    /// One connection per pod, kept while it is good.
    pub(crate) clients: tokio::sync::Mutex<HashMap<PodName, Arc<supervisor::Client>>>,
    /// The locks of pods that are held.
    pub(crate) locks: Mutex<HashMap<PodName, Weak<OwnedFd>>>,
}

/// An image in its registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteImage {
    /// Digest of its configuration.
    pub id: Digest,
    /// Digest of the platform's manifest.
    pub manifest: Digest,
    /// Digest and compressed bytes of each layer, lowest first.
    pub layers: Vec<(Digest, u64)>,
    /// The configuration, as it came.
    pub config: Vec<u8>,
}

impl Engine {
    /// Opens the engine at these roots. Nothing is made yet: a machine where nothing was ever run
    /// stays untouched by looking at it.
    ///
    /// # Errors
    /// [`EngineError::Store`] when the store was written by a newer program.
    pub fn open(roots: Roots) -> Result<Self, EngineError> {
        let store = Store::open(&roots)?;
        let inner = Inner {
            roots,
            store,
            registry: tokio::sync::OnceCell::new(),
            netlink: OnceLock::new(),
            records: disk::Cache::default(),
            clients: tokio::sync::Mutex::new(HashMap::new()),
            locks: Mutex::new(HashMap::new()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where it keeps everything.
    pub fn roots(&self) -> &Roots {
        &self.inner.roots
    }

    /// Its images, layers and volumes.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What to say of limits where this engine cannot enforce them; `None` where it can.
    pub fn limits_not_enforced(&self) -> Option<String> {
        runtime::cgroup::shortcoming(self.roots()).map(|warning| warning.0)
    }

    /// Begins to bring the pod's supervisor up, and returns when that is under way: a start that follows
    /// finds it there sooner. Must be called on a tokio runtime. A failure is the start's to tell.
    pub fn prepare(&self, pod: &PodName) {
        let (engine, pod) = (self.clone(), pod.clone());
        let mut work = Box::pin(async move { drop(engine.client(&pod).await) });
        // Its process is made here: a worker that is woken for that may have to wait for the processor that
        // the caller keeps busy with networks.
        if (&mut work).now_or_never().is_none() {
            tokio::spawn(work);
        }
    }

    /// Pulls an image, whatever is here; layers that are here are not fetched again.
    ///
    /// # Errors
    /// [`EngineError::Pull`].
    pub async fn pull(
        &self,
        need: &ImageNeed,
        tell: &(dyn Fn(PullEvent) + Sync),
    ) -> Result<Image, EngineError> {
        let failed = |error| EngineError::Pull { reference: need.reference.clone(), source: Box::new(error) };
        let registry = self.registry().await?;
        let image = crate::pull::pull(self.store(), registry, need, tell).await.map_err(failed)?;
        // What stays goes with the next collection.
        drop(self.store().clear_aside(|| self.layers_in_use()));
        Ok(image)
    }

    /// The client of registries, configured when it is first asked for.
    pub(crate) async fn registry(&self) -> Result<&Registry, EngineError> {
        Ok(self.inner.registry.get_or_try_init(async || Registry::configured()).await?)
    }

    /// The whole name of an image, with the digest that it has in its registry now: of its index, if it is one
    /// for several platforms. Nothing is fetched.
    ///
    /// # Errors
    /// [`EngineError::Digest`].
    pub async fn digest(&self, reference: &Reference) -> Result<Reference, EngineError> {
        let failed = |error| EngineError::Digest { reference: reference.clone(), source: Box::new(error) };
        let registry = self.registry().await?;
        registry.digest(reference).await.map_err(failed)
    }

    /// The platforms that an image is for in its registry now, each with the digest of its manifest.
    /// Nothing is fetched.
    ///
    /// # Errors
    /// [`EngineError::Digest`].
    pub async fn platforms(&self, reference: &Reference) -> Result<Vec<(Platform, Digest)>, EngineError> {
        let failed = |error| EngineError::Digest { reference: reference.clone(), source: Box::new(error) };
        let registry = self.inner.registry.get_or_try_init(async || Registry::configured()).await?;
        registry.platforms(reference).await.map_err(failed)
    }

    /// What a registry has for an image: manifest and configuration, no layers. Nothing is kept.
    ///
    /// # Errors
    /// [`EngineError::Registry`].
    pub async fn look_at(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<RemoteImage, EngineError> {
        let failed = |error| EngineError::Registry { reference: reference.clone(), source: Box::new(error) };
        let registry = self.registry().await?;
        let found = registry.find(reference, platform).await.map_err(failed)?;
        let config = registry.config(&found).await.map_err(failed)?;
        Ok(RemoteImage {
            id: found.config,
            manifest: found.digest,
            layers: found.layers.into_iter().map(|layer| (layer.digest, layer.size)).collect(),
            config: config.to_vec(),
        })
    }

    /// Makes an image of a root file system: a tar archive, compressed or not, or a folder. Blocks.
    ///
    /// # Errors
    /// [`EngineError::File`] when `rootfs` cannot be read, [`EngineError::Store`].
    pub fn import(
        &self,
        reference: &Reference,
        rootfs: &Path,
        config: &ImageConfig,
    ) -> Result<Image, EngineError> {
        if !rootfs.is_dir() {
            let file = std::fs::File::open(rootfs).map_err(EngineError::file("open", rootfs))?;
            return Ok(self.store().import(reference, file, config)?);
        }
        let (reader, writer) = std::io::pipe().map_err(EngineError::file("read", rootfs))?;
        let (imported, packed) = std::thread::scope(|scope| {
            let packing = scope.spawn(move || {
                let mut archive = tar::Builder::new(std::io::BufWriter::new(writer));
                archive.follow_symlinks(false);
                archive.append_dir_all(".", rootfs)?;
                archive.into_inner()?.into_inner().map_err(std::io::IntoInnerError::into_error).map(drop)
            });
            let imported = self.store().import(reference, reader, config);
            (
                imported,
                packing.join().unwrap_or_else(|_| Err(std::io::Error::other("the packing thread panicked"))),
            )
        });
        // What the store says of an archive that ended early is only the echo of why it did.
        match (imported, packed) {
            (Err(error), Err(packing)) if packing.kind() == std::io::ErrorKind::BrokenPipe => {
                Err(error.into())
            }
            (_, Err(packing)) => Err(EngineError::file("read", rootfs)(packing)),
            (imported, Ok(())) => Ok(imported?),
        }
    }

    /// Removes layers and blobs that no image, pull or container needs.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn collect_garbage(&self) -> Result<Collected, EngineError> {
        Ok(self.store().collect_garbage(|| self.layers_in_use())?)
    }

    /// What all containers need of the store.
    pub(crate) fn layers_in_use(&self) -> InUse {
        let mut in_use = InUse::default();
        let pods = disk::entries(&self.roots().data.join("pods")).unwrap_or_default();
        for pod in pods.into_iter().map(PodName) {
            // A container may be on its way up while somebody works on the pod.
            let starts = Lock::is_held(&self.roots().pod_run(&pod).join("project.lock")).unwrap_or(true);
            for container in self.containers(&pod).unwrap_or_default() {
                let layers: Vec<Digest> =
                    container.record.all_layers().filter_map(|path| digest(path)).collect();
                let rests = matches!(container.state.status, Status::Created | Status::Exited);
                if starts || !rests {
                    in_use.running.extend(layers.iter().cloned());
                }
                in_use.layers.extend(layers);
                in_use.blobs.extend([container.record.image, container.record.manifest]);
            }
            let damage = self.damage(&Scope::of(pod.clone(), None)).unwrap_or_default();
            in_use.unknown = in_use.unknown.or_else(|| {
                let mut needy = damage.into_iter().filter(|damage| match &damage.subject {
                    Subject::Container(id, _) => damage.fault == Fault::Newer || self.still_runs(&pod, id),
                    _ => false,
                });
                needy.next().map(|damage| damage.path)
            });
        }
        in_use
    }

    /// The conversation with the kernel about links and addresses.
    pub(crate) fn netlink(&self) -> Result<&network::Netlink, network::NetworkError> {
        if let Some(netlink) = self.inner.netlink.get() {
            return Ok(netlink);
        }
        let netlink = network::Netlink::open()?.owned_by(&self.roots().cgroup);
        Ok(self.inner.netlink.get_or_init(|| netlink))
    }
}

/// The layer whose tree is at this path, which ends in its digest's digits and `tree`.
fn digest(path: &Path) -> Option<Digest> {
    let hex = path.parent()?.file_name()?.to_str()?;
    Digest::parse(&format!("sha256:{hex}")).ok()
}
