//! Scenarios about containers that another OCI runtime runs.

use crate::faults::kill_supervisor;
use crate::life::signal;
use scenarios::{World, http, scenario, until};
use std::path::PathBuf;

scenario! {
    /// What a runtime named by its path runs is a container as any other: process, limits, mounts, network,
    /// names, log, health, commands in it, restarts, signals and exit code; it outlives the supervisor, and
    /// nothing stays of it. What that runtime cannot do is said with its own words.
    a_runtime_named_by_path_runs_the_container, |world| {
        world.compose("up -d").ok();
        let id = world.id("web");
        assert!(state_folder(world, &id).join(&id).exists(), "the runtime has not run it");
        assert_eq!(parent(world, &id), world.supervisor());
        let bundle = world.roots().container_run(&"project".into(), &id.as_str().into()).join("bundle/config.json");
        let given: serde_json::Value = serde_json::from_slice(&std::fs::read(&bundle).unwrap()).unwrap();
        assert_eq!(given["annotations"], serde_json::json!({"com.example.note": "for the runtime"}));
        is_as_asked(world);
        is_reached(world);
        ends_are_told(world, &id);
        a_lost_supervisor_is_replaced(world, &id);
        what_cannot_be_is_said(world);
        world.compose("down -v -t 0").ok();
        world.assert_nothing_left();
    }
}

/// The process, as the kernel tells it.
fn is_as_asked(world: &World) {
    let status = |field: &str| {
        let text = inside(world, "web", "cat /proc/1/status");
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!((status("Uid"), status("Gid")), ("33 33 33 33".to_owned(), "44 44 44 44".to_owned()));
    assert!(status("Groups").split(' ').any(|group| group == "77"));
    let bounding = u64::from_str_radix(&status("CapBnd"), 16).unwrap();
    assert_eq!(bounding, 0xa804_25fb | 1 << 12, "Docker's default set and what is added");
    assert_eq!((status("CapEff"), status("Seccomp")), ("0000000000000000".to_owned(), "2".to_owned()));
    let answers = [
        ("readlink /proc/1/cwd", "/made/for/it"),
        ("cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname", "boxed\nexample.com"),
        ("cat /proc/sys/net/ipv4/ip_default_ttl", "42"),
        ("ulimit -n", "512"),
        ("tr '\\0' '\\n' < /proc/1/environ | grep COLOUR", "COLOUR=red"),
        ("stat -c %a /scratch", "1777"),
        ("test $(readlink /proc/self/ns/mnt) = $(readlink /proc/1/ns/mnt) && echo same", "same"),
    ];
    for (script, said) in answers {
        assert_eq!(inside(world, "web", script).trim_end(), said, "{script}");
    }
    if world.has_limits() {
        let limit =
            "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || :";
        assert_eq!(inside(world, "web", limit).trim_end(), "67108864");
    }
    let said = |service: &str| world.compose(&format!("logs --no-log-prefix {service}")).ok().stdout;
    until("the terminal's name", || (said("terminal").trim_end() == "/dev/pts/0").then_some(()));
    world.run(&["exec", "-T", "terminal", "touch", "/here"], "").exits(1).says("Read-only file system");
    until("the shared name", || (said("brief") == "boxed\n").then_some(()));
    until("its exit code", || (world.row("brief")["ExitCode"] == 3).then_some(()));
}

/// From the host, by name from another container, and by its health check.
fn is_reached(world: &World) {
    world.run(&["exec", "-T", "own", "sh", "-c", "echo kept > /srv/page"], "").ok();
    let address = format!("127.0.0.1:{}", world.port());
    until("the page is served", || http(&address, "page").filter(|body| body == "kept\n"));
    assert_eq!(inside(world, "own", "wget -q -O - http://web/page"), "kept\n");
    assert_eq!(inside(world, "web", "nslookup own > /dev/null && echo found"), "found\n");
    assert_eq!(world.row("web")["Health"], "starting");
    world.run(&["exec", "-T", "own", "touch", "/srv/well"], "").ok();
    until("it is healthy", || (world.row("web")["Health"] == "healthy").then_some(()));
}

/// A killed process comes back, and its exit code is that of its own answer to the stop signal.
fn ends_are_told(world: &World, id: &str) {
    let first = world.first_process(id).unwrap();
    signal(first, "KILL");
    until("another process runs", || world.first_process(id).filter(|pid| *pid != first));
    until("ps says so", || (world.state("web") == "running").then_some(()));
    assert_eq!(world.id("web"), id);
    let log = || world.compose("logs --no-log-prefix web").ok().stdout;
    until("both runs are in the log", || (log() == "started\nstarted\n").then_some(()));
    world.compose("stop web").ok();
    assert_eq!(world.row("web")["ExitCode"], 7);
    assert!(!state_folder(world, id).exists(), "the runtime knows of it still");
    world.compose("start web").ok();
}

/// A container outlives the supervisor, and the next one stops it.
fn a_lost_supervisor_is_replaced(world: &World, id: &str) {
    let process = world.first_process(id).unwrap();
    kill_supervisor(world);
    assert_eq!(world.state("web"), "running");
    let address = format!("127.0.0.1:{}", world.port());
    world.run(&["exec", "-T", "web", "true"], "").ok();
    until("the page is served again", || http(&address, "page"));
    assert_eq!(world.first_process(id), Some(process));
    world.compose("restart -t 5 web").ok();
    assert_ne!(world.first_process(id), Some(process));
    until("the page is served anew", || http(&address, "page"));
}

/// A runtime that is not there, one that is none, and a program that is not there.
fn what_cannot_be_is_said(world: &World) {
    let command = "[\"sh\", \"-c\", \"hostname; exit 3\"]";
    let cases = [
        (
            "/usr/bin/crun\n    network_mode: service",
            "/no/such/runtime\n    network_mode: service",
            "`/no/such/runtime` cannot be executed",
        ),
        (
            "/usr/bin/crun\n    network_mode: service",
            "/bin/true\n    network_mode: service",
            "`/bin/true` has created nothing",
        ),
        (
            "/usr/bin/crun\n    network_mode: service",
            "/usr/bin/crun\n    init: true\n    network_mode: service",
            "`init` needs the engine's own runtime",
        ),
        (command, "[\"no-such-program\"]", "no-such-program"),
    ];
    for (from, to, said) in cases {
        world.edit("compose.yaml", from, to);
        world.compose("up -d brief").exits(1).says(said).says("service `brief`").says("compose.yaml:");
        world.edit("compose.yaml", to, from);
    }
    world.compose("up -d brief").ok();
    until("its exit code", || (world.row("brief")["ExitCode"] == 3).then_some(()));
}

/// Where the runtime keeps what it knows of a container.
fn state_folder(world: &World, id: &str) -> PathBuf {
    let pods = std::fs::read_dir(world.roots().run.join("pods")).unwrap().flatten();
    let mut folders = pods.map(|pod| pod.path().join("containers").join(id));
    folders.find(|folder| folder.exists()).unwrap().join("bundle/state")
}

/// The parent of a container's first process.
fn parent(world: &World, id: &str) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.first_process(id)?)).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn inside(world: &World, service: &str, script: &str) -> String {
    world.run(&["exec", "-T", service, "sh", "-c", script], "").ok().stdout
}
