//! Containers that run: started, watched, stopped, and gone without a trace.

use crate::world::{World, words};
use engine::{EngineError, EventKind, ExecRequest, LogQuery, Stdio};
use resource::{Condition, ExitStatus, Status};
use std::path::Path;
use std::time::Duration;

fn shell(script: &str) -> Option<Vec<String>> {
    Some(words(&["/bin/sh", "-c", script]))
}

/// Whether any cgroup hierarchy has a folder of this engine.
fn has_cgroup(world: &World) -> bool {
    let root = Path::new("/sys/fs/cgroup");
    let name = &world.engine.roots().cgroup;
    let folders = std::fs::read_dir(root).unwrap().flatten();
    root.join(name).exists() || folders.into_iter().any(|entry| entry.path().join(name).exists())
}

pub(crate) fn a_container_lives_and_leaves_nothing() {
    let world = World::with_image();
    let (engine, pod) = (&world.engine, &world.pod);
    world.wait(async {
        let lock = engine.lock(pod, || ()).await.unwrap();
        let network = engine.create_network(&world.network("net")).unwrap();
        let mut spec = world.connected("web", "net", None);
        spec.process.entrypoint =
            shell("echo one; echo two >&2; trap 'exit 9' TERM; while :; do sleep 0.1; done");
        let id = engine.create_container(&spec, None).unwrap();
        assert_eq!(world.observed(&id).state.status, Status::Created);
        let state = engine.start(pod, &id).await.unwrap();
        assert_eq!(state.status, Status::Running);
        assert_eq!(world.observed(&id).state.process, state.process);
        let running = engine.remove_container(pod, &id, true).await.unwrap_err();
        assert!(matches!(running, EngineError::Runs(_)), "{running:?}");

        let mut lines = engine.logs(pod, &[], LogQuery { follow: true, ..LogQuery::default() }).unwrap();
        for (text, stderr) in [("one\n", false), ("two\n", true)] {
            let line = lines.next().await.unwrap().unwrap();
            assert_eq!((line.text.as_str(), line.stderr, line.service.as_str()), (text, stderr, "web"));
        }
        let request = ExecRequest { argv: shell("exit 42").unwrap(), ..ExecRequest::default() };
        let mut executed = engine.exec(pod, &id, request, Stdio::Null).await.unwrap();
        assert_eq!(executed.wait().await.unwrap(), 42);
        let top = engine.top(pod, &id).unwrap();
        assert!(top.processes.iter().any(|row| row.command.contains("while :")), "{top:?}");
        engine.pause(pod, &id).await.unwrap();
        assert_eq!(world.observed(&id).state.status, Status::Paused);
        engine.unpause(pod, &id).await.unwrap();

        assert_eq!(
            engine.stop(pod, &id, Some(Duration::from_secs(10))).await.unwrap(),
            Some(ExitStatus::Code(9))
        );
        assert_eq!(lines.next().await.unwrap(), None, "nobody can write any more");
        drop(lines);
        let state = engine.wait(pod, &id, Condition::Exited).await.unwrap();
        assert_eq!((state.status, state.exit), (Status::Exited, Some(ExitStatus::Code(9))));
        engine.remove_container(pod, &id, true).await.unwrap();
        engine.remove_network(&network.spec.name).unwrap();
        engine.remove_pod(pod).await.unwrap();
        drop(lock);
        assert!(!Path::new("/sys/class/net").join(&network.bridge).exists());
    });
    assert_eq!(world.paths(), Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(engine.roots().run.join("pods")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!has_cgroup(&world));
}

pub(crate) fn a_failed_start_says_why() {
    let world = World::with_image();
    let mut spec = world.spec("web");
    spec.process.entrypoint = Some(words(&["/bin/nothing-here"]));
    spec.process.init = false;
    let id = world.engine.create_container(&spec, None).unwrap();
    let error = world.wait(world.engine.start(&world.pod, &id)).unwrap_err();
    assert_eq!(error.start_exit_code(), Some(127), "{error}");
    assert!(error.to_string().contains("`web`") && error.to_string().contains("nothing-here"), "{error}");
}

pub(crate) fn a_killed_supervisor_is_replaced() {
    let world = World::with_image();
    let (engine, pod) = (&world.engine, &world.pod);
    let id = engine.create_container(&world.spec("web"), None).unwrap();
    let started = world.wait(engine.start(pod, &id)).unwrap();
    for supervisor in supervisors(&world) {
        rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
    }
    assert_eq!(world.observed(&id).state.process, started.process, "the container lives on");
    let request = ExecRequest { argv: words(&["/bin/true"]), ..ExecRequest::default() };
    world.wait(async {
        engine.adopt(pod).await.unwrap();
        let mut executed = engine.exec(pod, &id, request, Stdio::Null).await.unwrap();
        assert_eq!(executed.wait().await.unwrap(), 0);
        // The kernel tells the code only once somebody has reaped the process, which is no child of ours.
        let exit = engine.stop(pod, &id, Some(Duration::ZERO)).await.unwrap();
        assert!(matches!(exit, Some(ExitStatus::Code(137) | ExitStatus::Unknown)), "{exit:?}");
    });
    assert_eq!(world.observed(&id).state.status, Status::Exited);
}

pub(crate) fn an_end_is_told_after_the_removal() {
    let world = World::with_image();
    let (engine, pod) = (&world.engine, &world.pod);
    let mut spec = world.spec("once");
    spec.process.entrypoint = shell("exit 3");
    spec.auto_remove = true;
    let id = engine.create_container(&spec, None).unwrap();
    world.wait(async {
        let mut events = engine.events(pod).await.unwrap();
        engine.start(pod, &id).await.unwrap();
        while events.next().await.unwrap().kind != EventKind::Removed {}
        assert!(!engine.roots().container(pod, &id).exists());
        let state = engine.wait(pod, &id, Condition::Exited).await.unwrap();
        assert_eq!((state.status, state.exit), (Status::Exited, Some(ExitStatus::Code(3))));
        let unknown = resource::ContainerId("0".repeat(64));
        let error = engine.wait(pod, &unknown, Condition::Exited).await.unwrap_err();
        assert!(matches!(error, EngineError::NoSuchId(_)), "{error:?}");
    });
}

pub(crate) fn leftovers_are_found_without_documents() {
    let world = World::with_image();
    let (engine, pod) = (&world.engine, &world.pod);
    let record = engine.create_network(&world.network("net")).unwrap();
    let id = engine.create_container(&world.connected("web", "net", None), None).unwrap();
    let process = world.wait(engine.start(pod, &id)).unwrap().process.unwrap();
    std::fs::remove_dir_all(&engine.roots().run).unwrap();
    for folder in ["pods", "networks"] {
        std::fs::remove_dir_all(engine.roots().data.join(folder)).unwrap();
    }
    world.wait(engine.sweep(pod, &["net".into()])).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    assert!(!Path::new("/sys/class/net").join(&record.bridge).exists());
    assert!(!has_cgroup(&world));
    assert_eq!(supervisors(&world), []);
}

/// Supervisors of this engine, by their command line; a container's init is a copy with its own pid
/// namespace.
fn supervisors(world: &World) -> Vec<rustix::process::Pid> {
    let root = world.folder.path().to_str().unwrap().to_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = numbers.filter(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        line.contains("__supervise")
            && line.contains(&root)
            && namespace(&pid.to_string()) == namespace("self")
    });
    ours.filter_map(rustix::process::Pid::from_raw).collect()
}
