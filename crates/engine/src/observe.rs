//! What is there: one pass over a pod's documents, checked against the kernel. Takes no lock and
//! writes nothing, so it may run at any time beside anything.

use crate::names::Owner;
use crate::process::lives;
use crate::{Engine, EngineError, disk};
use resource::{
    ContainerId, ContainerName, ContainerRecord, ContainerState, ExitStatus, Mount, NetworkName,
    NetworkRecord, Observed, ObservedContainer, ObservedNetwork, ObservedVolume, Platform, PodName,
    Reference, Roots, Status, VolumeName, VolumeRecord,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use sys::file::Lock;

/// What a question about a pod is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// The pod: all its containers.
    pub pod: PodName,
    /// Networks and volumes that carry this label (key, value) belong to the pod and are reported too.
    pub label: Option<(String, String)>,
    /// Networks to report, whoever made them.
    pub networks: Vec<NetworkName>,
    /// Volumes to report, whoever made them.
    pub volumes: Vec<VolumeName>,
    /// Images to report.
    pub images: Vec<(Reference, Option<Platform>)>,
}

impl Scope {
    /// The pod and what carries the label.
    pub fn of(pod: PodName, label: Option<(String, String)>) -> Self {
        Self { pod, label, networks: vec![], volumes: vec![], images: vec![] }
    }
}

impl Engine {
    /// What is there, checked against the kernel. Takes no lock and writes nothing.
    ///
    /// # Errors
    /// [`EngineError::File`] when a folder cannot be read (for want of privilege, say).
    pub fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        let containers = self.containers(&scope.pod)?;
        let find = |(reference, platform): &(Reference, Option<Platform>)| {
            self.store().image(reference, platform.as_ref())
        };
        Ok(Observed {
            pod: self.pod(&scope.pod),
            networks: self.networks_in(scope)?,
            volumes: self.volumes_in(scope)?,
            images: scope.images.iter().filter_map(find).collect(),
            containers,
        })
    }

    /// The containers of a pod, sorted by name.
    ///
    /// # Errors
    /// [`EngineError::File`] when the folder cannot be read.
    pub fn containers(&self, pod: &PodName) -> Result<Vec<ObservedContainer>, EngineError> {
        let mut containers: Vec<_> = disk::entries(&self.roots().pod(pod).join("containers"))?
            .into_iter()
            .filter_map(|id| self.observe_container(pod, &ContainerId(id)))
            .collect();
        containers.sort_by(|one, other| one.record.spec.name.cmp(&other.record.spec.name));
        Ok(containers)
    }

    /// A container and its checked state; `None` when its document is absent or torn.
    pub(crate) fn observe_container(&self, pod: &PodName, id: &ContainerId) -> Option<ObservedContainer> {
        let record = self.record(pod, id)?;
        let state = checked_state(self.roots(), &record);
        Some(ObservedContainer { record, state })
    }

    /// Whether a supervisor has something to do in this pod; the first such container will do.
    pub(crate) fn is_busy(&self, pod: &PodName) -> Result<bool, EngineError> {
        let ids = disk::entries(&self.roots().pod(pod).join("containers"))?;
        Ok(ids.into_iter().any(|id| {
            let status =
                self.observe_container(pod, &ContainerId(id)).map(|container| container.state.status);
            matches!(status, Some(Status::Running | Status::Paused | Status::Restarting))
        }))
    }

    /// The document of the container with this id.
    pub(crate) fn record(&self, pod: &PodName, id: &ContainerId) -> Option<ContainerRecord> {
        self.inner.records.read(&self.roots().container(pod, id).join("container.json"))
    }

    fn networks_in(&self, scope: &Scope) -> Result<Vec<ObservedNetwork>, EngineError> {
        let roots = self.roots();
        let named: BTreeSet<_> = scope.networks.iter().map(|name| name.0.as_str()).collect();
        let mut networks = vec![];
        for name in disk::entries(&roots.data.join("networks"))? {
            let folder = roots.data.join("networks").join(&name);
            let Some(record) = disk::read::<NetworkRecord>(&folder.join("network.json")) else { continue };
            if !named.contains(name.as_str()) && !carries(&record.spec.labels, scope.label.as_ref()) {
                continue;
            }
            let used_by_others = self.claimants(&folder.join("leases"), Some(&scope.pod))?;
            networks.push(ObservedNetwork { up: false, record, used_by_others });
        }
        if !networks.is_empty() {
            self.in_router(|| {
                networks.iter_mut().for_each(|one| one.up = network::bridge_exists(&one.record.bridge));
                Ok(())
            })?;
        }
        networks.sort_by(|one, other| one.record.spec.name.cmp(&other.record.spec.name));
        Ok(networks)
    }

    fn volumes_in(&self, scope: &Scope) -> Result<Vec<ObservedVolume>, EngineError> {
        let roots = self.roots();
        let named: BTreeSet<_> = scope.volumes.iter().map(|name| name.0.as_str()).collect();
        let mut volumes = vec![];
        for name in disk::entries(&roots.data.join("volumes"))? {
            let wanted = named.contains(name.as_str());
            // Volumes without a name carry no labels; there may be very many.
            if !wanted && (scope.label.is_none() || is_anonymous(&name)) {
                continue;
            }
            let folder = roots.data.join("volumes").join(&name);
            let Some(record) = disk::read::<VolumeRecord>(&folder.join("volume.json")) else { continue };
            if wanted || carries(&record.spec.labels, scope.label.as_ref()) {
                volumes
                    .push(ObservedVolume { record, used_by: self.claimants(&folder.join("users"), None)? });
            }
        }
        volumes.sort_by(|one, other| one.record.spec.name.cmp(&other.record.spec.name));
        Ok(volumes)
    }

    /// Names of the containers whose claims are in this folder, but those of one pod, sorted.
    pub(crate) fn claimants(
        &self,
        folder: &std::path::Path,
        except: Option<&PodName>,
    ) -> Result<Vec<ContainerName>, EngineError> {
        let mut names = BTreeSet::new();
        for entry in disk::entries(folder)? {
            let Some(owner) = Owner::of(&folder.join(entry)) else { continue };
            if Some(&owner.pod) == except {
                continue;
            }
            names.extend(self.record(&owner.pod, &owner.id).map(|record| record.spec.name));
        }
        Ok(names.into_iter().collect())
    }
}

fn carries(labels: &resource::Labels, wanted: Option<&(String, String)>) -> bool {
    wanted.is_some_and(|(key, value)| labels.get(key) == Some(value))
}

fn is_anonymous(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The volumes that a container mounts.
pub(crate) fn volumes_of(record: &ContainerRecord) -> impl Iterator<Item = (&VolumeName, bool)> {
    record.mounts.iter().filter_map(Mount::volume)
}

/// How long a living supervisor is given to write down an end that the kernel tells of already.
const PATIENCE: Duration = Duration::from_secs(2);

/// The state document, or what is true instead when the process it names is gone and nobody has
/// written that down: its supervisor died too.
pub(crate) fn checked_state(roots: &Roots, record: &ContainerRecord) -> ContainerState {
    let path = roots.state(&record.spec.pod, &record.id);
    let read = || disk::read::<ContainerState>(&path).unwrap_or_else(|| unwritten(roots, record));
    let state = read();
    if is_told(&state) {
        return state;
    }
    written_by_supervisor(roots, record, read).unwrap_or_else(|| orphaned(read(), record))
}

/// What is so of a container without a state document. One that was never started has none; nor has any other
/// after a reboot, which takes the folder of run-time documents along: what ran then has ended, nobody knows how.
/// Its first start has left a folder of the kernel's own where overlayfs works.
fn unwritten(roots: &Roots, record: &ContainerRecord) -> ContainerState {
    let (pod, id) = (&record.spec.pod, &record.id);
    let work = roots.container(pod, id).join("work");
    let has_run = disk::entries(&work).is_ok_and(|entries| !entries.is_empty());
    let created = ContainerState::default();
    // One that is being started for the first time has its folder there already.
    match has_run && !roots.container_run(pod, id).exists() {
        true => ContainerState { status: Status::Exited, exit: Some(ExitStatus::Unknown), ..created },
        false => created,
    }
}

/// Whether what a document says of its process is still so.
fn is_told(state: &ContainerState) -> bool {
    let runs = matches!(state.status, Status::Running | Status::Paused);
    !state.process.is_some_and(|process| runs && !lives(process))
}

/// What the supervisor is about to write, if one lives.
fn written_by_supervisor(
    roots: &Roots,
    record: &ContainerRecord,
    read: impl Fn() -> ContainerState,
) -> Option<ContainerState> {
    let lock = roots.pod_run(&record.spec.pod).join("supervisor.lock");
    let folder = roots.container_run(&record.spec.pod, &record.id);
    let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    inotify::add_watch(&changes, &folder, WatchFlags::MOVED_TO).ok()?;
    let end = Instant::now() + PATIENCE;
    // Its end has no event: it is looked at now and then.
    let glance = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    while Instant::now() < end && Lock::is_held(&lock).is_ok_and(|held| held) {
        let state = read();
        if is_told(&state) {
            return Some(state);
        }
        poll(&mut [PollFd::new(&changes, PollFlags::IN)], Some(&glance)).ok();
        // What changed is not read: the next look sees it.
        let mut names = [std::mem::MaybeUninit::uninit(); 1024];
        while inotify::Reader::new(&changes, &mut names).next().is_ok() {}
    }
    // It may have written that as its last act.
    Some(read()).filter(is_told)
}

/// What became of a container whose process ended unseen: its end counts as a failure, and the
/// supervisor that adopts it will restart it or not by that. Who looks from outside of an ordinary user's
/// namespaces does so because nobody is there: no supervisor comes before a command that works.
fn orphaned(state: ContainerState, record: &ContainerRecord) -> ContainerState {
    let adopted = rustix::process::geteuid().is_root();
    let status = if adopted && restarts(&state, record) { Status::Restarting } else { Status::Exited };
    ContainerState {
        status,
        process: None,
        exit: Some(ExitStatus::Unknown),
        health: None,
        ports: vec![],
        lost_ports: vec![],
        ..state
    }
}

/// Whether a container that ended unseen is started again by the supervisor that adopts it.
fn restarts(state: &ContainerState, record: &ContainerRecord) -> bool {
    !state.stopped_by_hand && record.spec.restart.restarts_after(None, state.restart_count)
}

/// Whether a container, by what is known of it, is ended only until a supervisor comes.
pub fn is_interrupted(container: &ObservedContainer) -> bool {
    let (state, unknown) = (&container.state, Some(ExitStatus::Unknown));
    state.status == Status::Exited && state.exit == unknown && restarts(state, &container.record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::{Digest, Process, ProcessIdentity, RestartPolicy};

    fn own_process() -> ProcessIdentity {
        let pid = i32::try_from(std::process::id()).unwrap();
        ProcessIdentity { pid, start_time: sys::pidfd::start_time(pid).unwrap() }
    }

    #[test]
    fn a_reused_number_is_not_the_process() {
        let process = own_process();
        assert!(lives(process));
        assert!(!lives(ProcessIdentity { start_time: process.start_time + 1, ..process }));
    }

    fn record(restart: RestartPolicy) -> ContainerRecord {
        let digest = Digest::of_sha256(&[1; 32]);
        let mut spec = crate::test_support::container_spec("pod", "web");
        spec.restart = restart;
        ContainerRecord {
            id: ContainerId("a".repeat(64)),
            spec,
            created: resource::Timestamp::UNIX_EPOCH,
            image: digest.clone(),
            manifest: digest,
            layers: vec![],
            process: Process {
                argv: vec!["x".to_owned()],
                environment: vec![],
                working_dir: "/".to_owned(),
                uid: 0,
                gid: 0,
                groups: vec![],
                tty: false,
                stdin_open: false,
                init: false,
            },
            mounts: vec![],
            endpoints: vec![],
            healthcheck: None,
            stop_signal: 15,
            log_server: None,
            injected: resource::Injected::default(),
        }
    }

    fn put(engine: &Engine, record: &ContainerRecord, state: &ContainerState) {
        let roots = engine.roots();
        let folder = roots.container(&record.spec.pod, &record.id);
        disk::make_folder(&folder).unwrap();
        disk::replace(&folder.join("container.json"), record).unwrap();
        disk::make_folder(&roots.container_run(&record.spec.pod, &record.id)).unwrap();
        disk::replace(&roots.state(&record.spec.pod, &record.id), state).unwrap();
    }

    #[test]
    fn a_state_whose_process_is_gone_is_corrected_but_not_rewritten() {
        let root = tempfile::tempdir().unwrap();
        let engine = Engine::open(Roots::below(root.path())).unwrap();
        let scope = Scope::of("pod".into(), None);
        assert_eq!(engine.observe(&scope).unwrap(), Observed::default());
        assert!(std::fs::read_dir(root.path()).unwrap().next().is_none(), "looking writes nothing");

        let alive = ContainerState {
            status: Status::Running,
            process: Some(own_process()),
            ..ContainerState::default()
        };
        let dead = ProcessIdentity { start_time: 1, ..own_process() };
        let dead = ContainerState { process: Some(dead), ..alive.clone() };
        let seen = |policy, state: &ContainerState| {
            let record = record(policy);
            put(&engine, &record, state);
            let observed = engine.observe(&scope).unwrap().containers.remove(0).state;
            assert_eq!(
                disk::read::<ContainerState>(&engine.roots().state(&"pod".into(), &record.id)),
                Some(state.clone())
            );
            (observed.status, observed.exit)
        };
        assert_eq!(seen(RestartPolicy::No, &alive), (Status::Running, None));
        assert_eq!(seen(RestartPolicy::No, &dead), (Status::Exited, Some(ExitStatus::Unknown)));
        let adopted = rustix::process::geteuid().is_root();
        let again = if adopted { Status::Restarting } else { Status::Exited };
        assert_eq!(seen(RestartPolicy::Always, &dead), (again, Some(ExitStatus::Unknown)));
        let by_hand = ContainerState { stopped_by_hand: true, ..dead };
        assert_eq!(seen(RestartPolicy::Always, &by_hand), (Status::Exited, Some(ExitStatus::Unknown)));
    }

    #[test]
    fn what_ran_before_a_reboot_has_ended() {
        let root = tempfile::tempdir().unwrap();
        let engine = Engine::open(Roots::below(root.path())).unwrap();
        let record = record(RestartPolicy::Always);
        put(&engine, &record, &ContainerState::default());
        let run = engine.roots().container_run(&record.spec.pod, &record.id);
        std::fs::remove_dir_all(&run).unwrap();
        let status = || checked_state(engine.roots(), &record).status;
        assert_eq!(status(), Status::Created);
        let work = engine.roots().container(&record.spec.pod, &record.id).join("work/work");
        std::fs::create_dir_all(work).unwrap();
        assert_eq!(status(), Status::Exited);
        std::fs::create_dir_all(run).unwrap();
        assert_eq!(status(), Status::Created, "it is being started");
    }
}
