//! Processes started in running containers: by clients, and as health probes.

use crate::container::Caller;
use crate::core::{Slot, Source, Supervisor, Timer, Watched, complain};
use crate::health;
use crate::oci::check_visible;
use crate::protocol::{EventKind, ExecRequest, Failure, FailureKind, Reply, Streams};
use crate::reactor::EventFlags;
use crate::start::{Opened, cannot, nothing};
use crate::stop::not_running;
use resource::{ContainerId, HealthProbe, HealthStatus, OnUnhealthy, Process, Status, Timestamp};
use runtime::ExecLaunch;
use rustix::fs::{Mode, OFlags};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Of how many probes that have ended the pipes are kept open for who may still print to them.
const REMAINS: usize = 64;

/// A process in a container that is not its first.
pub(crate) struct Running {
    slot: Slot,
    /// The run of the container it belongs to.
    run: u64,
    purpose: Purpose,
    starting: Option<Watched<runtime::Starting>>,
    pidfd: Option<Watched<OwnedFd>>,
}

enum Purpose {
    Client { caller: Caller, detach: bool, id: String, argv: Vec<String> },
    Probe(Probe),
}

struct Probe {
    started: Timestamp,
    /// How long the container had run.
    age: Duration,
    /// What it prints; `None` once that is closed.
    pipe: Option<Watched<OwnedFd>>,
    output: Vec<u8>,
    timed_out: bool,
}

impl Supervisor {
    /// Starts a process for a client. The first answer comes when it runs, the second when it ends.
    pub(crate) fn begin_exec(
        &mut self,
        caller: Caller,
        id: &ContainerId,
        request: &ExecRequest,
        streams: Streams,
        files: Vec<OwnedFd>,
    ) -> Result<Option<Reply>, Failure> {
        let slot = self.slot(id)?;
        let Some(container) = self.containers.get(&slot) else { return Ok(None) };
        let name = &container.record.spec.name;
        match container.state.status {
            Status::Running => {}
            Status::Paused => {
                let text = format!("container {name} is paused; unpause it first");
                return Err(Failure::new(FailureKind::Paused, text));
            }
            Status::Restarting => {
                let text = format!("container {name} is restarting; wait until it runs");
                return Err(Failure::new(FailureKind::NotRunning, text));
            }
            _ => return Err(not_running(name)),
        }
        if request.argv.is_empty() {
            return Err(Failure::new(FailureKind::Refused, "no command to execute"));
        }
        let pid = container.state.process.map(|process| process.pid).unwrap_or_default();
        let terminal = matches!(streams, Streams::Terminal { .. });
        let process = process(&container.record.process, request, terminal, pid)?;
        let streams = match streams {
            Streams::Terminal { rows, columns } => Opened::Terminal { rows, columns },
            Streams::Files => Opened::Files(files.try_into().map_err(|_| {
                Failure::new(FailureKind::Refused, "three descriptors belong to this request")
            })?),
            Streams::Log => Opened::Files(nothings()?),
        };
        let id = sys::random::id().map_err(|error| cannot("name it", &error))?;
        let purpose = Purpose::Client { caller, detach: request.detach, id, argv: request.argv.clone() };
        self.exec(slot, &process, request.privileged, &streams, purpose)?;
        Ok(None)
    }

    fn exec(
        &mut self,
        slot: Slot,
        process: &Process,
        privileged: bool,
        streams: &Opened,
        purpose: Purpose,
    ) -> Result<u64, Failure> {
        let spec = self.spec(slot)?;
        let Some(container) = self.containers.get(&slot) else { return Ok(0) };
        let (Some(target), Some(identity)) = (&container.pidfd, container.state.process) else {
            return Err(not_running(&container.record.spec.name));
        };
        check_visible(container, identity.pid)?;
        let security = &container.record.spec.security;
        let seccomp = self.seccomp.get(security).map_err(|error| cannot("filter its calls", &error))?;
        let launch = ExecLaunch {
            target: target.as_fd(),
            pid: identity.pid,
            spec: &spec,
            process,
            privileged,
            stdio: streams.as_stdio(),
            cgroup: &container.cgroup,
            seccomp: seccomp.as_deref().filter(|_| !privileged),
            mapping: self.roots.mapping,
        };
        let starting =
            self.outside.run(|| runtime::exec(&launch)).map_err(|error| cannot("run", &error))??;
        let run = container.run;
        self.next_exec += 1;
        let exec = self.next_exec;
        let starting = self
            .listen(starting, EventFlags::IN, Source::ExecStarted(exec))
            .map_err(|error| cannot("watch its start", &error))?;
        self.execs.insert(exec, Running { slot, run, purpose, starting: Some(starting), pidfd: None });
        Ok(exec)
    }

    /// Waits for every exec that is being started, but for those in frozen containers; whether there
    /// was one.
    pub(crate) fn settle_execs(&mut self) -> bool {
        let frozen = |slot: &Slot| {
            self.containers.get(slot).is_some_and(|container| container.state.status == Status::Paused)
        };
        let starting = self.execs.iter().filter(|(_, exec)| exec.starting.is_some() && !frozen(&exec.slot));
        let execs: Vec<u64> = starting.map(|(exec, _)| *exec).collect();
        execs.iter().for_each(|exec| self.exec_reported(*exec));
        !execs.is_empty()
    }

    /// An exec's start has gone well or failed.
    pub(crate) fn exec_reported(&mut self, exec: u64) {
        let Some(running) = self.execs.get_mut(&exec) else { return };
        let Some(starting) = running.starting.take() else { return };
        match starting.into_inner().finish() {
            Ok(started) => {
                let slot = running.slot;
                let caller = match &mut running.purpose {
                    Purpose::Client { caller, id, argv, .. } => {
                        Some((*caller, id.clone(), std::mem::take(argv)))
                    }
                    Purpose::Probe(_) => None,
                };
                let pidfd = self.listen(started.pidfd, EventFlags::IN, Source::ExecEnded(exec));
                if let Some(running) = self.execs.get_mut(&exec) {
                    running.pidfd = pidfd.map_err(|error| complain(&error)).ok();
                }
                if let Some((caller, id, argv)) = caller {
                    self.tell(slot, EventKind::ExecStarted { id, argv });
                    let reply = Reply::Executing { pid: started.identity.pid };
                    self.reply(caller, reply, started.console);
                }
            }
            Err(error) => {
                let Some(running) = self.execs.remove(&exec) else { return };
                let failure = Failure::from(error);
                match running.purpose {
                    Purpose::Client { caller, .. } => self.reply(caller, Reply::Failed(failure), None),
                    Purpose::Probe(mut probe) => {
                        probe.output = failure.message.into_bytes();
                        self.probed(running.slot, running.run, probe, -1);
                    }
                }
            }
        }
    }

    /// An exec has ended.
    pub(crate) fn exec_ended(&mut self, exec: u64) {
        self.probe_output(exec);
        let Some(running) = self.execs.remove(&exec) else { return };
        let code = running.pidfd.and_then(|pidfd| sys::process::wait(pidfd.as_fd()));
        match running.purpose {
            Purpose::Client { caller, detach, id, .. } => {
                self.tell(running.slot, EventKind::ExecDied { id, code: code.unwrap_or(137) });
                if !detach {
                    self.reply(caller, Reply::Executed { code: code.unwrap_or(137) }, None);
                }
            }
            Purpose::Probe(mut probe) => {
                let code = if probe.timed_out { -1 } else { code.unwrap_or(-1) };
                if let Some(pipe) = probe.pipe.take() {
                    self.probe_remains(exec, pipe);
                }
                self.probed(running.slot, running.run, probe, code);
            }
        }
    }

    /// Somebody may print to the pipe of a probe that has ended: what a shell had started when its time was over.
    /// That one is the container's first process's child from now on, which must not see it die of SIGPIPE:
    /// PostgreSQL, for one, takes any such death for the crash of a process of its own, and restarts.
    fn probe_remains(&mut self, exec: u64, pipe: Watched<OwnedFd>) {
        self.probe_remains.insert(exec, pipe);
        if self.probe_remains.len() > REMAINS {
            self.probe_remains.pop_first();
        }
        self.drain_remains(exec);
    }

    /// Takes what is printed to such a pipe, for nobody.
    fn drain_remains(&mut self, exec: u64) {
        if self.probe_remains.get(&exec).is_some_and(|pipe| read_to_end(pipe.as_fd(), |_| {})) {
            self.probe_remains.remove(&exec);
        }
    }

    /// A probe is due.
    pub(crate) fn probe_due(&mut self, slot: Slot, run: u64) {
        let Some(container) = self.containers.get(&slot) else { return };
        // A paused container is not probed; going on sets a new timer.
        if container.run != run || container.state.status != Status::Running {
            return;
        }
        let Some(check) = container.record.healthcheck.clone() else { return };
        if self.execs.values().any(|exec| exec.slot == slot && matches!(exec.purpose, Purpose::Probe(_))) {
            return;
        }
        let age = container.since.map(|since| since.elapsed()).unwrap_or_default();
        let process = Process { argv: check.test.clone(), tty: false, ..container.record.process.clone() };
        let mut probe =
            Probe { started: Timestamp::now(), age, pipe: None, output: vec![], timed_out: false };
        let opened = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| cannot("make a pipe", &error))
            .and_then(|(reader, writer)| {
                let again = writer.try_clone().map_err(|error| cannot("make a pipe", &error))?;
                let _ = rustix::io::ioctl_fionbio(&reader, true);
                let [stdin, ..] = nothings()?;
                Ok((reader, Opened::Files([stdin, writer, again])))
            });
        let begun = opened.and_then(|(reader, streams)| {
            let shell = Probe { output: vec![], pipe: Some(Watched::silent(reader)), ..probe };
            probe = Probe { started: shell.started, age, pipe: None, output: vec![], timed_out: false };
            self.exec(slot, &process, false, &streams, Purpose::Probe(shell))
        });
        match begun {
            Ok(exec) => {
                self.watch_probe(exec);
                self.reactor.after(check.timeout(), Timer::ProbeTimeout(exec));
            }
            Err(failure) => {
                probe.output = failure.message.into_bytes();
                self.probed(slot, run, probe, -1);
            }
        }
    }

    fn watch_probe(&mut self, exec: u64) {
        let Some(Running { purpose: Purpose::Probe(probe), .. }) = self.execs.get_mut(&exec) else { return };
        let Some(pipe) = &mut probe.pipe else { return };
        let listens = self.reactor.listen(pipe, EventFlags::IN, Source::ProbeOutput(exec));
        listens.map(drop).unwrap_or_else(|error| complain(&error));
    }

    /// Takes what a probe has printed and keeps the first of it.
    pub(crate) fn probe_output(&mut self, exec: u64) {
        self.drain_remains(exec);
        let Some(Running { purpose: Purpose::Probe(probe), .. }) = self.execs.get_mut(&exec) else { return };
        let Probe { pipe, output, .. } = probe;
        let keep = |bytes: &[u8]| {
            let room = health::OUTPUT - output.len();
            output.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        if pipe.as_ref().is_some_and(|pipe| read_to_end(pipe.as_fd(), keep)) {
            *pipe = None;
        }
    }

    /// A probe takes too long.
    pub(crate) fn probe_timed_out(&mut self, exec: u64) {
        let Some(running) = self.execs.get_mut(&exec) else { return };
        if let Purpose::Probe(probe) = &mut running.purpose {
            probe.timed_out = true;
            let note = b"health check exceeded its timeout";
            let room = health::OUTPUT.saturating_sub(probe.output.len());
            probe.output.extend_from_slice(&note[..note.len().min(room)]);
        }
        if let Some(pidfd) = &running.pidfd {
            drop(sys::pidfd::send_signal(pidfd.as_fd(), 9));
        } else if let Some(Running { slot, run, purpose: Purpose::Probe(probe), .. }) =
            self.execs.remove(&exec)
        {
            // Not even started; dropping it ends it.
            self.probed(slot, run, probe, -1);
        }
    }

    /// A probe has a result.
    fn probed(&mut self, slot: Slot, run: u64, probe: Probe, exit_code: i32) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let (true, Some(check), Some(report)) = (
            container.run == run && container.is_up(),
            &container.record.healthcheck,
            &mut container.state.health,
        ) else {
            return;
        };
        let result = HealthProbe {
            started: probe.started,
            ended: Timestamp::now(),
            exit_code,
            output: String::from_utf8_lossy(&probe.output).into_owned(),
        };
        let verdict = health::judge(check, report, result, probe.age);
        let heals = container.record.spec.on_unhealthy == OnUnhealthy::Restart;
        self.changed(slot);
        if let Some(status) = verdict {
            self.tell(slot, EventKind::Health(status));
        }
        if heals && verdict == Some(HealthStatus::Unhealthy) {
            return self.heal(slot);
        }
        self.schedule_probe(slot);
    }
}

/// Reads what a pipe has; whether that was all there will ever be.
fn read_to_end(pipe: BorrowedFd<'_>, mut take: impl FnMut(&[u8])) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(pipe, &mut buffer) {
            Ok(count) if count > 0 => take(&buffer[..count]),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return false,
            _ => return true,
        }
    }
}

fn nothings() -> Result<[OwnedFd; 3], Failure> {
    let open = || nothing().map_err(|error| cannot("open /dev/null", &error));
    Ok([open()?, open()?, open()?])
}

/// The container's process with what the request lays over it.
fn process(own: &Process, request: &ExecRequest, tty: bool, pid: i32) -> Result<Process, Failure> {
    let mut process = Process { argv: request.argv.clone(), tty, init: false, ..own.clone() };
    if let Some(user) = &request.user {
        let file = |name: &str| read_inside(pid, name).unwrap_or_default();
        let found = runtime::users::resolve(user, &[], &file("etc/passwd"), &file("etc/group"))
            .map_err(|error| Failure::new(FailureKind::NotExecutable, error.to_string()))?;
        (process.uid, process.gid, process.groups) = (found.uid, found.gid, found.groups);
        set(&mut process.environment, &format!("HOME={}", found.home));
    }
    if tty && !process.environment.iter().any(|entry| entry.starts_with("TERM=")) {
        process.environment.push("TERM=xterm".to_owned());
    }
    for entry in &request.environment {
        set(&mut process.environment, entry);
    }
    if let Some(folder) = &request.working_dir {
        process.working_dir.clone_from(folder);
    }
    Ok(process)
}

/// Sets a variable, in place of an earlier one of its name; a name alone takes it away.
fn set(environment: &mut Vec<String>, entry: &str) {
    let name = entry.split_once('=').map_or(entry, |(name, _)| name);
    environment.retain(|other| other.split_once('=').is_none_or(|(other, _)| other != name));
    if name != entry {
        environment.push(entry.to_owned());
    }
}

/// Reads a small file of a running container, following links only inside it.
fn read_inside(pid: i32, path: &str) -> Option<String> {
    let root = sys::file::open_folder(Path::new(&format!("/proc/{pid}/root"))).ok()?;
    // A FIFO or device in its place must not hold up this process.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = sys::file::open_in_root(root, Path::new(path), flags, Mode::empty()).ok()?;
    let file = std::fs::File::from(file);
    file.metadata().ok()?.is_file().then_some(())?;
    let mut bytes = vec![];
    file.take(1 << 20).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_laid_over_the_containers_process() {
        let own = crate::fixture::record("web").process;
        let request = ExecRequest {
            argv: vec!["env".into()],
            environment: vec!["PATH=/sbin".into(), "X=1".into()],
            working_dir: Some("/srv".into()),
            user: Some("7:8".into()),
            ..ExecRequest::default()
        };
        let process = process(&own, &request, true, 0).unwrap();
        assert_eq!(process.environment, ["HOME=/", "TERM=xterm", "PATH=/sbin", "X=1"]);
        assert_eq!((process.uid, process.gid, &process.working_dir[..]), (7, 8, "/srv"));
        assert!(process.tty && !process.init);
    }
}
