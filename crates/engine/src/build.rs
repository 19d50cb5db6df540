//! Builds: the machine that `builder` runs its steps on.
//!
//! The steps of one build are containers of a pod of their own, `build-…`, which is locked for as long as
//! the build runs any: a pod of a build that nobody holds is what a killed one left, and the next build
//! removes it. The pod's network is made when a step first needs it.

use crate::create::Stub;
use crate::fetch::{Fetch, Pieces, WAITING};
use crate::{Engine, EngineError, disk, lock, process};
use builder::{Cause, GivenUp, Job, Machine, Ran, Remote, Version};
use resource::{
    BuildNetwork, BuildSpec, Condition, ContainerId, ContainerName, ContainerSpec, Digest, EndpointSpec,
    ExitStatus, Image, ImageConfig, ImageNeed, Labels, LogConfig, NetworkMode, NetworkName, NetworkSpec,
    OciLayout, Platform, PodName, Reference, SecuritySpec,
};
use std::io::{BufRead, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use store::Pin;
use supervisor::Stdio;
use tokio::runtime::Handle;

/// The exit code of a process that was killed.
const KILLED: i32 = 137;

/// What names of pods of builds begin with; so many hexadecimal digits follow.
const PREFIX: &str = "build-";
const DIGITS: usize = 12;

/// Label of a pod that belongs to a build.
const LABEL: &str = "compose.build";

impl Engine {
    /// Builds images, whatever is here: stages that none of them needs are left out, what can go on side
    /// by side does, `width` steps at a time, and results of earlier builds are used as each
    /// specification says. `tell` is told of every step, and `remedy` knows what a person can do about an error: a
    /// base image that cannot be had, a network that is not there.
    ///
    /// Dropped before its end, it kills what runs for it.
    ///
    /// # Errors
    /// [`EngineError::Build`].
    pub async fn build(
        &self,
        specs: Vec<BuildSpec>,
        width: std::num::NonZeroUsize,
        tell: impl Fn(builder::Event) + Send + Sync + 'static,
        remedy: fn(&EngineError) -> Option<String>,
    ) -> Result<Vec<Image>, EngineError> {
        self.clear_dead_builds().await?;
        let workshop = Arc::new(Workshop {
            engine: self.clone(),
            pod: PodName(format!("{PREFIX}{}", &disk::random_id()?[..DIGITS])),
            handle: Handle::current(),
            lock: Mutex::default(),
            has_network: Mutex::new(false),
            remedy,
            given_up: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            making: RwLock::default(),
            count: AtomicU32::new(0),
        });
        let guard = Guard { workshop: workshop.clone() };
        let building = tokio::task::spawn_blocking(move || {
            let store = workshop.engine.store().clone();
            builder::build(&store, &specs, width, &*workshop, &tell)
        });
        let built = building.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        if guard.workshop.is_open() {
            self.disconnect(&guard.workshop.pod).await;
            let cleared = tokio::task::spawn_blocking(move || drop(guard)).await;
            cleared.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        }
        built.map_err(|error| EngineError::Build(Box::new(error)))
    }

    /// Removes the pods of builds that were killed, and locks of those that were killed before they had one.
    async fn clear_dead_builds(&self) -> Result<(), EngineError> {
        let mut names = disk::entries(&self.roots().data.join("pods"))?;
        names.extend(disk::entries(&self.roots().run.join("pods"))?);
        for pod in names.into_iter().filter(|name| is_of_build(name)).map(PodName) {
            let ours = self.pod(&pod).is_none_or(|record| record.labels.contains_key(LABEL));
            if ours && !lock::is_held(&self.roots().pod_run(&pod)) {
                let lock = self.lock(&pod, || ()).await?;
                // While the pod tells that there is something: a container may have been half removed.
                self.release_stale(&pod)?;
                self.clear_build(&pod)?;
                drop(lock);
            }
        }
        Ok(())
    }

    /// Removes a build's pod with all that is in it.
    fn clear_build(&self, pod: &PodName) -> Result<(), EngineError> {
        let containers = self.containers(pod)?;
        for container in &containers {
            if let Some(process) = container.state.process {
                process::kill(process);
            }
        }
        // Names and other claims of what was being made, too.
        self.end_supervisors(pod);
        self.clear_half_made(pod)?;
        for container in containers {
            self.remove_files(pod, &container.record.id, true, false)?;
        }
        self.remove_network(&network_of(pod))?;
        let failed = |source| EngineError::Cgroup { pod: pod.clone(), source };
        runtime::cgroup::remove_pod(self.roots(), pod).map_err(failed)?;
        drop(runtime::cgroup::remove_base(self.roots()));
        disk::retire_folder(&self.roots().pod(pod), &self.roots().data.join("tmp"))?;
        self.clear_run_folder(pod)
    }
}

fn is_of_build(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX);
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn network_of(pod: &PodName) -> NetworkName {
    NetworkName(pod.0.clone())
}

/// Where one build runs its steps.
struct Workshop {
    engine: Engine,
    pod: PodName,
    handle: Handle,
    /// The pod's lock, once there is a pod.
    lock: Mutex<Option<crate::ProjectLock>>,
    has_network: Mutex<bool>,
    remedy: fn(&EngineError) -> Option<String>,
    /// What runs is killed: something has failed, or nobody waits for the build any more.
    given_up: AtomicBool,
    /// It is being cleared away.
    closing: AtomicBool,
    /// Held together by those who make things in the pod, alone by who clears it away.
    making: RwLock<()>,
    /// Containers so far, for their names.
    count: AtomicU32,
}

/// Clears the workshop away, however the build ends, before it gives up the pod's lock.
struct Guard {
    workshop: Arc<Workshop>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.workshop.closing.store(true, Ordering::Relaxed);
        self.workshop.given_up.store(true, Ordering::Relaxed);
        // A step that is being made is there when this is had, and none is made any more.
        let _alone = self.workshop.making.write().unwrap_or_else(PoisonError::into_inner);
        if self.workshop.is_open() {
            // What stays is removed by the next build.
            drop(self.workshop.engine.clear_build(&self.workshop.pod));
        }
        drop(self.workshop.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Machine for Workshop {
    fn pull(&self, need: &ImageNeed, tell: &(dyn Fn(String) + Sync)) -> Result<(), Cause> {
        let told = |event| {
            if let crate::PullEvent::Done(layer) = event {
                tell(format!("layer {} done", layer.hex().get(..12).unwrap_or_default()));
            }
        };
        Ok(self.handle.block_on(self.engine.pull(need, &told)).map(drop)?)
    }

    fn take_in(&self, layout: &OciLayout, platform: &Platform) -> Result<(Image, Pin), Cause> {
        Ok(self.engine.take_in(layout, platform)?)
    }

    fn remedy(&self, error: &(dyn std::error::Error + 'static)) -> Option<String> {
        error.downcast_ref().and_then(self.remedy)
    }

    fn run(&self, job: &Job, output: &mut dyn FnMut(&[u8])) -> Result<Ran, Cause> {
        let (id, reader) = self.start(job)?;
        let code = self.follow(&id, reader, output)?;
        let making = self.making();
        if code != 0 {
            // What failed has failed, whoever clears it away.
            if making.is_ok() {
                self.handle.block_on(self.engine.remove_container(&self.pod, &id, true))?;
            }
            return Ok(Ran::Badly(code));
        }
        let _making = making?;
        let changes = self.engine.store().scratch("step")?;
        let upper = self.engine.roots().container(&self.pod, &id).join("upper");
        std::fs::rename(&upper, &changes).map_err(EngineError::file("move", &upper))?;
        self.handle.block_on(self.engine.remove_container(&self.pod, &id, true))?;
        Ok(Ran::Well(changes))
    }

    fn fetch(
        &self,
        address: &str,
        known: Option<&Version>,
        authorization: Option<&str>,
        output: &mut dyn Write,
    ) -> Result<Option<Version>, Cause> {
        let known =
            known.map(|known| registry::Version { tag: known.tag.clone(), modified: known.modified.clone() });
        self.handle.block_on(async {
            let registry = self.engine.registry().await?;
            let (version, mut content) = match registry.fetch(address, known.as_ref(), authorization).await? {
                registry::Fetched::Unchanged => return Ok(None),
                registry::Fetched::File(version, content) => (version, content),
            };
            while let Some(bytes) = content.chunk().await? {
                if self.given_up.load(Ordering::Relaxed) {
                    return Err(GivenUp.into());
                }
                output.write_all(&bytes)?;
            }
            Ok(Some(Version { tag: version.tag, modified: version.modified }))
        })
    }

    fn look_at(&self, reference: &Reference) -> Result<Option<Remote>, Cause> {
        self.handle.block_on(async {
            let registry = self.engine.registry().await?;
            let found = match registry.find(reference, None).await {
                Err(error) if matches!(*error.source, registry::Failure::NotFound { .. }) => return Ok(None),
                other => other?,
            };
            let config = registry.config(&found).await?.to_vec();
            let layers = found.layers.into_iter().map(|layer| (layer.digest, layer.size));
            Ok(Some(Remote { config, layers: layers.collect() }))
        })
    }

    fn read_blob(
        &self,
        reference: &Reference,
        blob: &(Digest, u64),
    ) -> Result<Box<dyn BufRead + Send>, Cause> {
        let (digest, size) = blob.clone();
        let layer = registry::Layer { digest, size, media_type: String::new() };
        let from = [crate::blobs::repository(reference)];
        let place = self.handle.block_on(async {
            let registry = self.engine.registry().await?;
            Ok::<_, Cause>(self.engine.place_of(registry, &layer, &from).await?)
        })?;
        let (sender, receiver) = tokio::sync::mpsc::channel(WAITING);
        let engine = self.engine.clone();
        self.handle.spawn(async move {
            if let Ok(registry) = engine.registry().await {
                // Who reads is told of what is missing.
                drop(Fetch { registry, place: &place, tell: &|_| () }.download(&layer, sender).await);
            }
        });
        Ok(Box::new(Pieces::new(receiver)))
    }

    fn push(&self, reference: &Reference, config: Vec<u8>, layers: &[(Digest, u64)]) -> Result<(), Cause> {
        Ok(self.handle.block_on(self.engine.push_made(reference, config, layers)).map(drop)?)
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        for container in self.engine.containers(&self.pod).unwrap_or_default() {
            container.state.process.into_iter().for_each(process::kill);
        }
    }
}

impl Workshop {
    fn is_open(&self) -> bool {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Makes the pod, once. A build that finds all its results never does.
    fn open(&self) -> Result<(), EngineError> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            *lock = Some(self.handle.block_on(self.engine.lock(&self.pod, || ()))?);
            self.engine.create_pod(&self.pod, &Labels::from([(LABEL.to_owned(), String::new())]))?;
        }
        Ok(())
    }

    /// The right to make things in the pod, unless the build was given up.
    fn making(&self) -> Result<RwLockReadGuard<'_, ()>, Cause> {
        let making = self.making.read().unwrap_or_else(PoisonError::into_inner);
        if self.given_up.load(Ordering::Relaxed) {
            return Err(GivenUp.into());
        }
        Ok(making)
    }

    /// Starts the container of a step; what it writes is read from the pipe.
    fn start(&self, job: &Job) -> Result<(ContainerId, PipeReader), Cause> {
        let _making = self.making()?;
        self.open()?;
        let (spec, image) = (self.container(job)?, image(job));
        let stubs: Vec<Stub> = surroundings()
            .into_iter()
            .chain(job.places.iter().map(|(path, file)| Stub { path: path.clone(), file: *file }))
            .collect();
        let id = self.engine.create_container_of(&spec, &image, &stubs, None)?;
        let null = std::path::Path::new("/dev/null");
        let stdin = std::fs::File::open(null).map_err(EngineError::file("open", null))?;
        let (reader, writer) = std::io::pipe().map_err(EngineError::file("read", null))?;
        let again = writer.try_clone().map_err(EngineError::file("read", null))?;
        let stdio = Stdio::Files {
            stdin: OwnedFd::from(stdin),
            stdout: OwnedFd::from(writer),
            stderr: OwnedFd::from(again),
        };
        self.handle.block_on(self.engine.run_attached(&self.pod, &id, stdio))?;
        if self.given_up.load(Ordering::Relaxed) {
            self.give_up();
        }
        Ok((id, reader))
    }

    /// Hands on what a container writes, until nobody has the other end any more, and waits for its end. One
    /// that was killed because the build is over has not failed.
    fn follow(
        &self,
        id: &ContainerId,
        mut reader: PipeReader,
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<i32, Cause> {
        let null = std::path::Path::new("/dev/null");
        let mut piece = vec![0; 1 << 16];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => output(&piece[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(EngineError::file("read", null)(error).into()),
            }
        }
        if self.closing.load(Ordering::Relaxed) {
            // Who killed it clears everything away, the runtime that would wait, too.
            return Err(GivenUp.into());
        }
        let state = self.handle.block_on(self.engine.wait(&self.pod, id, Condition::Exited))?;
        // An end that nobody saw was a kill.
        let code = state.exit.and_then(ExitStatus::code).unwrap_or(KILLED);
        match code == KILLED && self.given_up.load(Ordering::Relaxed) {
            true => Err(GivenUp.into()),
            false => Ok(code),
        }
    }

    fn container(&self, job: &Job) -> Result<ContainerSpec, EngineError> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let (network_mode, network) = match &job.network {
            BuildNetwork::None => (NetworkMode::None, None),
            BuildNetwork::Host => (NetworkMode::Host, None),
            BuildNetwork::Network(name) => (NetworkMode::Networks, Some(name.clone())),
            BuildNetwork::Default => (NetworkMode::Networks, Some(self.network()?)),
        };
        let name = ContainerName(format!("{}-{number}", self.pod));
        Ok(ContainerSpec {
            number: None,
            process: job.process.clone(),
            hostname: Some(job.hostname.clone()),
            network_mode,
            endpoints: network.into_iter().map(EndpointSpec::new).collect(),
            extra_hosts: job.extra_hosts.clone(),
            mounts: job.mounts.clone(),
            security: SecuritySpec {
                privileged: job.insecure,
                cdi_devices: crate::cdi::asked(&job.devices).map_err(EngineError::Cdi)?,
                ..SecuritySpec::default()
            },
            rlimits: job.rlimits.clone(),
            shm_size: job.shm_size,
            log: LogConfig { none: true, ..LogConfig::default() },
            // A layer counts as there only once all of it has been put on the disk.
            volatile: true,
            ..ContainerSpec::new(name, &self.pod, "build", Image::empty().reference)
        })
    }

    /// The network of this build, made when it is first asked for.
    fn network(&self) -> Result<NetworkName, EngineError> {
        let name = network_of(&self.pod);
        let mut has_network = self.has_network.lock().unwrap_or_else(PoisonError::into_inner);
        if !*has_network {
            self.engine.create_network(&NetworkSpec::new(name.clone()))?;
            *has_network = true;
        }
        Ok(name)
    }
}

/// Layers and users; all that is wished for is in the specification.
fn image(job: &Job) -> Image {
    // To overlayfs a layer that is there twice is one: the upper of the two.
    let mut layers: Vec<Digest> = vec![];
    for layer in job.layers.iter().rev() {
        if !layers.contains(layer) {
            layers.push(layer.clone());
        }
    }
    layers.reverse();
    Image {
        layers,
        passwd: job.passwd.clone(),
        group: job.group.clone(),
        config: ImageConfig::default(),
        reference: Reference { repository: "build".to_owned(), ..Image::empty().reference },
        ..Image::empty()
    }
}

/// Where the runtime mounts something in every container.
fn surroundings() -> Vec<Stub> {
    let folders = ["/proc", "/sys", "/dev"].map(|path| Stub { path: path.to_owned(), file: false });
    let files = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    let files = files.map(|path| Stub { path: path.to_owned(), file: true });
    folders.into_iter().chain(files).collect()
}
