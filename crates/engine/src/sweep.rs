//! Finds by name what is left of a pod, with nothing else known of it: the kernel's objects are named
//! after what they belong to, so no journal is needed.

use crate::names::Owner;
use crate::process::PATIENCE;
use crate::{Engine, EngineError, disk};
use resource::{NetworkName, PodName};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl Engine {
    /// Finds what is left of a pod by name, even when its documents are gone, and removes it: its
    /// supervisor, processes in its cgroups, cgroups, firewall chains, half-made containers, stale
    /// claims; bridges of those of `networks` whose documents are gone. For `down`, under the pod's
    /// lock, when no container of it is meant to live.
    ///
    /// # Errors
    /// The first thing that could not be removed.
    pub async fn sweep(&self, pod: &PodName, networks: &[NetworkName]) -> Result<(), EngineError> {
        crate::names::check(&pod.0)?;
        self.disconnect(pod).await;
        let (engine, pod, networks) = (self.clone(), pod.clone(), networks.to_vec());
        let sweep = move || engine.sweep_blocking(&pod, &networks);
        tokio::task::spawn_blocking(sweep)
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn sweep_blocking(&self, pod: &PodName, networks: &[NetworkName]) -> Result<(), EngineError> {
        let failed = |source| EngineError::Cgroup { pod: pod.clone(), source };
        if runtime::cgroup::open_pod(self.roots(), pod).exists() {
            // First who would start things again, then the things.
            self.end_supervisors(pod);
            runtime::cgroup::remove_elsewhere(self.roots(), pod).map_err(failed)?;
            runtime::cgroup::remove_pod(self.roots(), pod).map_err(failed)?;
        }
        drop(runtime::cgroup::remove_base(self.roots()));
        let orphans: Vec<_> = networks.iter().filter(|name| self.network(name).is_none()).cloned().collect();
        for name in &orphans {
            self.remove_lost_network(name)?;
        }
        let key = format!("{}-{pod}", self.roots().cgroup);
        let named = |source| EngineError::Network {
            attempt: "remove what is left of",
            network: networks.first().cloned().unwrap_or_else(|| pod.0.as_str().into()),
            source,
        };
        let swept = || self.netlink().and_then(|netlink| network::sweep(netlink, &orphans, &[&key]));
        self.in_router(|| swept().map_err(named))?;
        self.clear_half_made(pod)?;
        self.release_stale(pod)?;
        self.store().sweep()?;
        self.store().clear_aside(|| self.layers_in_use())?;
        if !self.roots().pod(pod).exists() {
            self.clear_run_folder(pod)?;
        }
        Ok(())
    }

    /// Ends the supervisors of this pod and waits for their end. Nothing they care for is stopped by
    /// that. They are found by their command line, so a missing run-time folder does not hide them.
    pub(crate) fn end_supervisors(&self, pod: &PodName) {
        let processes: Vec<OwnedFd> =
            self.supervisors(pod).into_iter().filter_map(|pid| self.handle(pod, pid)).collect();
        for process in &processes {
            // One that ended meanwhile is what is wanted.
            rustix::process::pidfd_send_signal(process, Signal::TERM).ok();
        }
        for process in &processes {
            if sys::pidfd::wait_for_end(process, PATIENCE).is_ok_and(|ended| !ended) {
                rustix::process::pidfd_send_signal(process, Signal::KILL).ok();
            }
        }
    }

    fn supervisors(&self, pod: &PodName) -> Vec<i32> {
        let numbers = disk::entries(Path::new("/proc")).unwrap_or_default().into_iter();
        numbers.filter_map(|name| name.parse().ok()).filter(|pid| self.supervises(pod, *pid)).collect()
    }

    /// A container's own process 1 is a copy of the supervisor, command line and all; what tells them
    /// apart is the pid namespace.
    fn supervises(&self, pod: &PodName, pid: i32) -> bool {
        let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let roots = self.roots();
        let words: [&OsStr; 5] = [
            supervisor::ROLE.as_ref(),
            roots.data.as_os_str(),
            roots.run.as_os_str(),
            roots.cgroup.as_ref(),
            pod.0.as_ref(),
        ];
        line.split(|byte| *byte == 0).skip(1).take(5).eq(words.iter().map(|word| word.as_bytes()))
            && namespace(&pid.to_string()) == namespace("self")
    }

    /// A handle on the process, which stays this process: looked at again once it is open.
    fn handle(&self, pod: &PodName, pid: i32) -> Option<OwnedFd> {
        let handle = rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        self.supervises(pod, pid).then_some(handle)
    }

    /// Claims of containers of this pod that are neither there nor being made.
    pub(crate) fn release_stale(&self, pod: &PodName) -> Result<(), EngineError> {
        let data = &self.roots().data;
        let mut folders = vec![data.join("names")];
        folders.extend(
            disk::entries(&data.join("networks"))?
                .iter()
                .map(|name| data.join("networks").join(name).join("leases")),
        );
        folders.extend(
            disk::entries(&data.join("volumes"))?
                .iter()
                .map(|name| data.join("volumes").join(name).join("users")),
        );
        for folder in folders {
            for name in disk::entries(&folder)? {
                let path = folder.join(name);
                if let Some(owner) = Owner::of(&path)
                    && owner.pod == *pod
                    && !self.roots().container(pod, &owner.id).exists()
                {
                    owner.release(&path)?;
                }
            }
        }
        Ok(())
    }
}
