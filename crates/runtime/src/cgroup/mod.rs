//! Cgroups: `BASE/POD/CONTAINER` in every hierarchy, v1 and v2, or where a user was given room, or none; or in
//! the parent that a service names.
//!
//! On a hybrid machine limits go to v1, while freezing, killing and listing use the unified
//! hierarchy, where the kernel does them whole. A process is born in the unified one and attaches
//! itself to the others. Everything is found again by its name; nothing is held open.

mod bus;
mod devices;
mod hierarchy;
mod limits;
mod parent;
mod placement;
mod protection;
mod settle;
mod shortage;
mod supervisors;
mod totals;
mod tree;

pub(crate) use hierarchy::Hierarchies;
pub use placement::Placement;
pub use settle::{settle, shortcoming};
pub use shortage::Shortage;

use crate::StartError;
use oci_spec::runtime::Spec;
use resource::{ContainerId, ContainerSpec, Part, PodName, Resources, Roots};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The cgroup of a container or a pod: names only, nothing is held open. Where the engine has no
/// cgroups ([`Placement::Nowhere`]) it is none: see [`Self::is_kept`].
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// `BASE/POD/CONTAINER` below the root of a hierarchy; `None` without cgroups.
    path: Option<PathBuf>,
    /// What it lies in when that is not the pod's.
    parent: Option<parent::Parent>,
}

/// A limit that this kernel cannot enforce; the container runs without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

/// What could not be done to a cgroup.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} cgroup {path}")]
pub struct CgroupError {
    /// `create`, `freeze`, …
    pub action: &'static str,
    /// The file or folder.
    pub path: String,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

impl CgroupError {
    fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self { action, path, source }
    }

    /// What of a container's specification asks for what failed, where that is known.
    pub fn part(&self) -> Option<Part> {
        self.path.ends_with("/cpuset.cpus").then_some(Part::Cpuset)
    }
}

/// What a container uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory, without the page cache that can be dropped at once.
    pub memory: u64,
    /// Bytes of memory it may use; `None` without a limit.
    pub memory_limit: Option<u64>,
    /// CPU time so far, ns.
    pub cpu: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes read from block devices so far.
    pub read: u64,
    /// Bytes written to block devices so far.
    pub written: u64,
}

/// The cgroup of a container: in its pod's, or in the parent it asks for. Nothing is touched.
pub fn open(roots: &Roots, spec: &ContainerSpec, container: &ContainerId) -> Cgroup {
    match &spec.resources.parent {
        Some(parent) => parent::within(roots, parent, &spec.pod, container),
        None => Placement::of(roots, &spec.pod).container(&spec.pod, container),
    }
}

/// The cgroups that a container of which no more is known can have.
pub fn open_lost(roots: &Roots, pod: &PodName, container: &ContainerId) -> Vec<Cgroup> {
    let mut all = parent::find(roots, pod, Some(container));
    all.push(Placement::of(roots, pod).container(pod, container));
    all
}

/// Removes what containers of a pod have in parents of their own, killing what runs there.
///
/// # Errors
/// [`CgroupError`] when something cannot be removed.
pub fn remove_elsewhere(roots: &Roots, pod: &PodName) -> Result<(), CgroupError> {
    parent::find(roots, pod, None).iter().try_for_each(|cgroup| cgroup.kill(9).and_then(|()| cgroup.end()))
}

/// The cgroup of a pod, which counts all of its containers together; nothing is touched.
pub fn open_pod(roots: &Roots, pod: &PodName) -> Cgroup {
    Placement::of(roots, pod).pod(pod)
}

/// Removes a pod's cgroup and what is left below it, killing what runs there, and its supervisor's.
///
/// # Errors
/// [`CgroupError`] when something cannot be removed.
pub fn remove_pod(roots: &Roots, pod: &PodName) -> Result<(), CgroupError> {
    if !roots.mapping.is_rootless() {
        // It has said goodbye, and may take a moment to be gone.
        supervisors::of(roots, pod).end()?;
    }
    let pod = open_pod(roots, pod);
    pod.kill(9)?;
    pod.end()
}

/// Removes the base cgroup if it is ours and no pod is in it.
///
/// # Errors
/// [`CgroupError`] when an empty one cannot be removed.
pub fn remove_base(roots: &Roots) -> Result<(), CgroupError> {
    if roots.mapping.is_rootless() {
        // Who gave it takes it away.
        return Ok(());
    }
    let supervisors = Cgroup { path: Some(supervisors::all(roots)), parent: None };
    let base = Cgroup { path: Some(roots.cgroup.clone().into()), parent: None };
    for folder in supervisors.folders().chain(base.folders()) {
        match fs::remove_dir(&folder) {
            // A pod is in it.
            Err(error) if error.raw_os_error() == Some(busy()) => {}
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(CgroupError::new("remove", &folder))?,
        }
    }
    Ok(())
}

/// `EBUSY`
fn busy() -> i32 {
    rustix::io::Errno::BUSY.raw_os_error()
}

/// Why something cannot be done without cgroups.
const NOWHERE: &str = "this account has no cgroups; that takes cgroup v2 and a systemd user session";

impl Cgroup {
    /// Whether there is such a cgroup at all. Where there is none nothing is limited or counted, nothing
    /// can be frozen, and its processes are not known by it.
    pub fn is_kept(&self) -> bool {
        self.path.is_some()
    }

    /// Where it is below the root of a hierarchy; `None` without cgroups.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether it is there now, in any hierarchy.
    pub fn exists(&self) -> bool {
        self.folders().any(|folder| folder.exists())
    }

    /// Makes the cgroup, without limits; one that is there stays as it is.
    ///
    /// # Errors
    /// [`CgroupError`] when it cannot be made.
    pub fn make(&self) -> Result<(), CgroupError> {
        self.path.as_ref().map_or(Ok(()), |path| tree::make(Hierarchies::get(), path))
    }

    /// Makes the cgroup and sets limits and device rules (those of `spec.linux.resources.devices`).
    /// What this kernel cannot do comes back as warnings.
    ///
    /// # Errors
    /// [`CgroupError`] when it cannot be made or a limit is refused for its value.
    pub fn create(&self, wanted: &Resources, spec: &Spec) -> Result<Vec<Warning>, CgroupError> {
        let hierarchies = Hierarchies::get();
        let mut warnings = vec![];
        let Some(path) = &self.path else {
            if wanted.asks_for_limits() {
                warnings.push(Warning(format!("limits are not enforced: {NOWHERE}")));
            }
            return Ok(warnings);
        };
        if let Some(parent) = &self.parent {
            parent.claim(hierarchies)?;
        }
        tree::make(hierarchies, path)?;
        if hierarchies.v1.is_empty() && hierarchies.v2.is_none() {
            warnings.push(Warning("no cgroup hierarchy is mounted: nothing is limited".to_owned()));
            return Ok(warnings);
        }
        limits::apply(hierarchies, path, wanted, &mut warnings)?;
        let rules = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
        if let Some(rules) = rules.and_then(|resources| resources.devices().as_ref()) {
            devices::apply(hierarchies, path, rules, &mut warnings)?;
        }
        Ok(warnings)
    }

    /// Makes the cgroup of a pod and sets what all its containers together may use, whatever was set before.
    /// What this kernel cannot do comes back as warnings, and so does a limit of memory that is exceeded
    /// already: it is not set then.
    ///
    /// # Errors
    /// [`CgroupError`] when it cannot be made or a limit is refused for its value.
    pub fn set_totals(&self, roots: &Roots, wanted: &Resources) -> Result<Vec<Warning>, CgroupError> {
        let hierarchies = Hierarchies::get();
        let mut warnings = vec![];
        match &self.path {
            Some(path) => {
                tree::make(hierarchies, path)?;
                let memory = totals::Memory::decide(wanted, tree::usage(hierarchies, path).memory);
                let (wanted, said) = memory.left(wanted);
                warnings.extend(said);
                totals::clear(hierarchies, path, memory);
                totals::fit_below(hierarchies, path, &wanted);
                limits::apply(hierarchies, path, &wanted, &mut warnings)?;
                self.carry_reservations(roots, wanted.memory_reservation.unwrap_or(0))?;
            }
            None if wanted.asks_for_limits() => {
                warnings.push(Warning(format!("limits are not enforced: {NOWHERE}")));
            }
            None => {}
        }
        Ok(warnings)
    }

    /// Has the cgroup of a pod reserve as much memory as its containers do together, and no less than `own`
    /// bytes: the kernel of v2 heeds theirs that far only. To be called when one that reserves some has come
    /// or gone. Comes back with what holds all the same.
    ///
    /// # Errors
    /// [`CgroupError`] when it cannot be written.
    pub fn carry_reservations(&self, roots: &Roots, own: u64) -> Result<Option<Warning>, CgroupError> {
        let Some(path) = &self.path else { return Ok(None) };
        let hierarchies = Hierarchies::get();
        // An ordinary user's was given by somebody else, who has not handed this file over.
        let base = path.parent().filter(|_| !roots.mapping.is_rootless());
        protection::carry(hierarchies, base, path, own)?;
        Ok(protection::shortcoming(hierarchies, path))
    }

    /// Removes it and what the container made below it; no error when it is not there.
    ///
    /// # Errors
    /// [`CgroupError`], with `EBUSY` while a process is in it.
    pub fn remove(&self) -> Result<(), CgroupError> {
        for folder in self.folders() {
            tree::remove(&folder).map_err(CgroupError::new("remove", &folder))?;
        }
        if let Some(parent) = &self.parent {
            parent.leave(Hierarchies::get());
        }
        Ok(())
    }

    /// Ends every process in it and removes it; no error when it is not there.
    ///
    /// # Errors
    /// [`CgroupError`], with `EBUSY` when a process has not left after two seconds.
    pub fn end(&self) -> Result<(), CgroupError> {
        self.remove_within(Duration::from_secs(2))
    }

    /// As [`Self::remove`], killing and trying again for a while as long as processes are leaving.
    fn remove_within(&self, time: Duration) -> Result<(), CgroupError> {
        let end = Instant::now() + time;
        loop {
            match self.remove() {
                Err(error) if error.source.raw_os_error() == Some(busy()) && Instant::now() < end => {
                    self.kill(9)?;
                    // Neither version tells when the last process has left a whole tree.
                    std::thread::sleep(Duration::from_millis(1));
                }
                other => return other,
            }
        }
    }

    /// Stops every process where it is and waits until they stand.
    ///
    /// # Errors
    /// [`CgroupError`]; `TimedOut` when they do not stand after 10 s, `Unsupported` without cgroups.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        let missing = io::Error::new(io::ErrorKind::Unsupported, NOWHERE);
        let Some(path) = &self.path else {
            return Err(CgroupError::new("freeze", Path::new("of the container"))(missing));
        };
        tree::set_frozen(Hierarchies::get(), path, true)
    }

    /// Lets them go on; without cgroups nothing stands.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn thaw(&self) -> Result<(), CgroupError> {
        self.path.as_ref().map_or(Ok(()), |path| tree::set_frozen(Hierarchies::get(), path, false))
    }

    /// Sends a signal to every process in it; with SIGKILL none escapes by forking. Without a unified
    /// hierarchy a frozen cgroup must be thawed for the signal to arrive. Without cgroups it reaches
    /// nobody: what has a pid namespace of its own ends with that namespace's process 1.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn kill(&self, signal: i32) -> Result<(), CgroupError> {
        let unified = self.folders().last().filter(|_| Hierarchies::get().v2.is_some() && signal == 9);
        if unified.is_some_and(|folder| fs::write(folder.join("cgroup.kill"), "1").is_ok()) {
            return Ok(());
        }
        // One that forks while the list is read leaves a child for the next round.
        for _ in 0..if signal == 9 { 100 } else { 1 } {
            let processes = self.processes();
            if processes.is_empty() {
                break;
            }
            for pid in processes {
                let _gone_already = sys::process::kill(pid, signal);
            }
        }
        Ok(())
    }

    /// Pids of its processes, those in cgroups below it included; empty when it does not exist.
    pub fn processes(&self) -> Vec<i32> {
        self.folders().last().map(|folder| tree::processes(&folder)).unwrap_or_default()
    }

    /// What it uses now; zero where the kernel does not count, `None` without cgroups.
    pub fn usage(&self) -> Option<Usage> {
        self.path.as_ref().map(|path| tree::usage(Hierarchies::get(), path))
    }

    /// Processes the kernel killed in it for want of memory, so far; none are known without cgroups.
    pub fn oom_kills(&self) -> u64 {
        self.path.as_ref().map_or(0, |path| tree::oom_kills(Hierarchies::get(), path))
    }

    /// Word of the kernel when one of its processes may have been killed for want of memory; `None` where
    /// nobody counts.
    ///
    /// # Errors
    /// What the kernel says of opening its files.
    pub fn watch_memory(&self) -> io::Result<Option<Shortage>> {
        self.path.as_ref().map_or(Ok(None), |path| Shortage::open(Hierarchies::get(), path))
    }

    /// Its folder in every hierarchy, the unified one last.
    fn folders(&self) -> impl Iterator<Item = PathBuf> + use<'_> {
        let hierarchies = Hierarchies::get();
        let v1 = hierarchies.v1.iter().map(|hierarchy| &hierarchy.path);
        let mounts = v1.chain(&hierarchies.v2);
        self.path.iter().flat_map(move |path| mounts.clone().map(move |mount| mount.join(path)))
    }

    /// The lists of its processes in every hierarchy, open to be read and written: one is moved in by its number.
    ///
    /// # Errors
    /// What open(2) says.
    pub(crate) fn lists(&self) -> io::Result<Vec<File>> {
        let open = |folder: PathBuf| File::options().read(true).write(true).open(folder.join("cgroup.procs"));
        self.folders().map(open).collect()
    }

    /// The mount of the unified hierarchy where it is beside those of v1.
    pub(crate) fn beside_v1() -> Option<&'static Path> {
        let hierarchies = Hierarchies::get();
        hierarchies.v2.as_deref().filter(|_| !hierarchies.v1.is_empty())
    }

    /// The files a process enters its v1 cgroups by.
    pub(crate) fn tasks(&self) -> Result<Vec<CString>, StartError> {
        let Some(path) = &self.path else { return Ok(vec![]) };
        let file = |hierarchy: &hierarchy::V1| hierarchy.path.join(path).join("tasks");
        Hierarchies::get().v1.iter().map(|each| crate::prepare::c_path(&file(each))).collect()
    }

    /// The unified cgroup a process is born in.
    pub(crate) fn unified(&self) -> Result<Option<OwnedFd>, StartError> {
        let (Some(mount), Some(path)) = (&Hierarchies::get().v2, &self.path) else { return Ok(None) };
        let folder = mount.join(path);
        let opened = File::open(&folder);
        let step = StartError::step("open cgroup", folder.display().to_string());
        opened.map(|folder| Some(folder.into())).map_err(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_cgroups_a_limit_is_warned_of_and_nothing_is_frozen_or_counted() {
        let none = Placement::Nowhere.container(&"shop".into(), &ContainerId("7".repeat(64)));
        let limited = Resources { memory: Some(1 << 20), ..Resources::default() };
        let warnings = none.create(&limited, &Spec::default()).unwrap();
        assert!(matches!(&warnings[..], [Warning(text)] if text.starts_with("limits are not enforced: ")));
        let harmless = Resources { oom_score_adj: Some(5), ..Resources::default() };
        assert_eq!(none.create(&harmless, &Spec::default()).unwrap(), []);
        assert!(!none.is_kept());
        assert_eq!(none.freeze().unwrap_err().source.kind(), io::ErrorKind::Unsupported);
        assert_eq!((none.usage(), none.oom_kills(), none.processes()), (None, 0, vec![]));
        none.thaw().and_then(|()| none.kill(9)).and_then(|()| none.remove()).unwrap();
    }
}
