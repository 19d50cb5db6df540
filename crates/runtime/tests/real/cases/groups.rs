//! Namespaces and cgroups: own ones, shared ones, the host's.

use crate::bed::Bed;
use resource::Resources;
use runtime::Share;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

pub(super) fn namespaces_are_its_own() {
    let bed = Bed::new("namespaces");
    let script = "hostname; echo $$; ls /proc | grep -c '^[0-9]'; for n in net ipc uts mnt pid cgroup; do \
                  readlink /proc/self/ns/$n; done; cat /proc/self/cgroup";
    let text = bed.shell(script).output();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("bed"));
    assert_eq!(lines.next(), Some("1"));
    for name in ["net", "ipc", "uts", "mnt", "pid", "cgroup"] {
        let host = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert!(!text.contains(host.to_str().unwrap()), "{name} is the host's");
    }
    // It is at the root of every cgroup hierarchy that it sees.
    let cgroups: Vec<_> = text.lines().filter(|line| line.contains(":/")).collect();
    assert!(!cgroups.is_empty() && cgroups.iter().all(|line| line.ends_with(":/")), "{text}");
}

pub(super) fn cgroup_limits() {
    let bed = Bed::new("limits");
    let hybrid = Path::new("/sys/fs/cgroup/memory").exists();
    let script = if hybrid {
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.shares"
    } else {
        "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max cpu.weight"
    };
    let case = bed.shell(script).with(|record| {
        record.spec.resources = Resources {
            memory: Some(64 << 20),
            pids: Some(50),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            cpu_shares: Some(512),
            cpuset: Some("0".to_owned()),
            ..Resources::default()
        };
    });
    let expected = if hybrid { "67108864\n50\n50000\n512\n" } else { "67108864\n50\n50000 100000\n20\n" };
    assert_eq!(case.output(), expected);
    // The limit of processes holds.
    let case = bed.shell("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; echo all; exec sleep 1000");
    let mut running = case.with(|record| record.spec.resources.pids = Some(5)).start().unwrap();
    assert!(running.line().contains("fork"), "it cannot make them all");
    let usage = running.cgroup.usage().unwrap();
    assert!(usage.pids <= 5 && usage.pids > 0 && usage.memory > 0 && usage.cpu > 0, "{usage:?}");
    running.kill();
}

pub(super) fn out_of_memory() {
    let bed = Bed::new("oom");
    let case = bed.case(&["tail", "/dev/zero"]).with(|record| {
        record.spec.resources.memory = Some(8 << 20);
    });
    let mut running = case.start().unwrap();
    let mut text = String::new();
    running.output.read_to_string(&mut text).unwrap();
    let code = sys::process::wait(running.started.pidfd.as_fd()).unwrap();
    assert_eq!((code, running.cgroup.oom_kills()), (137, 1), "{text}");
    running.cgroup.remove().unwrap();
}

pub(super) fn freeze_and_kill() {
    let bed = Bed::new("freeze");
    let mut running = bed.shell("while :; do echo x; done").start().unwrap();
    running.line();
    running.cgroup.freeze().unwrap();
    let state = |pid: i32| {
        let before = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let used = |text: &str| text.rsplit(')').next().unwrap().split(' ').nth(12).map(str::to_owned);
        used(&before)
    };
    let pid = running.started.identity.pid;
    let before = state(pid);
    // Whatever the pipe held is read; nothing new comes.
    let flags = rustix::fs::fcntl_getfl(&running.output).unwrap();
    rustix::fs::fcntl_setfl(&running.output, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    let mut buffer = [0; 65536];
    while matches!(running.output.read(&mut buffer), Ok(1..)) {}
    assert_eq!(running.output.read(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(state(pid), before);
    rustix::fs::fcntl_setfl(&running.output, flags).unwrap();
    running.cgroup.thaw().unwrap();
    assert_eq!(running.line(), "x");
    running.cgroup.freeze().unwrap();
    assert_eq!(running.kill().0, 137, "a frozen one can be killed");
}

pub(super) fn shared_namespaces() {
    let bed = Bed::new("shared");
    let first = bed.case(&["sleep", "1000"]).start().unwrap();
    let open = |name| File::open(format!("/proc/{}/ns/{name}", first.started.identity.pid)).unwrap();
    let (pid, network) = (open("pid"), open("net"));
    let mut second =
        bed.shell("readlink /proc/self/ns/net; test $$ -ne 1; readlink /proc/1/exe; ps | grep -c sleep");
    (second.pid, second.network) = (Share::Join(pid.as_fd()), Share::Join(network.as_fd()));
    second.record.process.init = true;
    let text = second.output();
    let name = fs::read_link(format!("/proc/{}/ns/net", first.started.identity.pid)).unwrap();
    assert!(text.starts_with(name.to_str().unwrap()) && text.contains("busybox"), "{text}");
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(fs::read_link("/proc/self/ns/pid_for_children").unwrap(), own);
    first.kill();
}

/// In every namespace of the host but the mount namespace, started and executed in.
pub(super) fn namespaces_of_the_host() {
    use resource::{IdentityShare, NetworkMode};
    let bed = Bed::new("host");
    // The host's network alone, with a cgroup namespace of its own.
    let mut alone = bed.shell("readlink /proc/self/ns/net; ls /sys/fs/cgroup | wc -l");
    alone = alone.with(|record| record.spec.network_mode = NetworkMode::Host);
    alone.network = Share::Host;
    let (text, host) = (alone.output(), fs::read_link("/proc/self/ns/net").unwrap());
    assert!(text.starts_with(host.to_str().unwrap()) && !text.ends_with("\n0\n"), "{text}");
    let script = "for n in net pid ipc uts cgroup; do readlink /proc/self/ns/$n; done";
    let mqueue = Path::new("/dev/mqueue").exists();
    let mut case = bed
        .shell(&format!("{script}; touch /sys/x; echo 1 > /proc/sys/kernel/panic; echo up; exec sleep 1000"));
    case = case.with(|record| {
        let spec = &mut record.spec;
        (spec.network_mode, spec.pid) = (NetworkMode::Host, IdentityShare::Host);
        (spec.uts, spec.cgroup) = (IdentityShare::Host, IdentityShare::Host);
        if mqueue {
            spec.ipc = IdentityShare::Host;
        }
    });
    (case.network, case.pid, case.uts) = (Share::Host, Share::Host, Share::Host);
    (case.ipc, case.cgroup_namespace) = (if mqueue { Share::Host } else { Share::Private }, false);
    let mut running = case.start().unwrap();
    let mut text = String::new();
    while !text.ends_with("up\n") {
        text = text + &running.line() + "\n";
    }
    let (code, executed) = running.exec(script).unwrap();
    assert_eq!(code, 0, "{executed}");
    for name in ["net", "pid", "uts", "cgroup"].into_iter().chain(mqueue.then_some("ipc")) {
        let host = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        let host = host.to_str().unwrap();
        assert!(text.contains(host) && executed.contains(host), "{name} is not the host's: {text}{executed}");
    }
    assert_eq!(text.to_lowercase().matches("read-only file system").count(), 2, "{text}");
    assert_eq!(running.processes(), [running.started.identity.pid]);
    // Without a pid namespace of its own nothing ends with the first process.
    running.exec("sleep 1000 > /dev/null 2>&1 &").unwrap();
    let first = running.started.identity.pid;
    let mounts = runtime::processes::MountNamespace::of(first).unwrap();
    let others: Vec<_> = mounts.processes().into_iter().filter(|pid| *pid != first).collect();
    let [other] = others[..] else { panic!("{others:?}") };
    let other = sys::pidfd::open(other).unwrap();
    mounts.kill();
    let mut ended = [rustix::event::PollFd::new(&other, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ended, None).unwrap();
    assert_eq!(running.end().0, 137);
    assert!(mounts.processes().is_empty());
}
