//! Scenarios about where the cgroups of containers lie.

use scenarios::{Who, scenario, until};
use std::fs;
use std::path::{Path, PathBuf};

scenario! {
    /// A container lies in the cgroup that its service names, in every hierarchy, with its own limits; one that
    /// was there stays and counts it, one that was not goes with the last container; `down` finds containers
    /// there without a document.
    containers_lie_in_the_cgroup_that_is_asked_for, |world| {
        let team = world.cgroup_beside("team");
        world.write(".env", &format!("TEAM={team}\n"));
        world.compose("--profile bad up -d bad").exits(1).says("no path of a cgroup").says("compose.yaml:15:");
        let started = world.compose("up -d made beside").ok();
        if !world.has_limits() {
            started.says("limits are not enforced");
            return;
        }
        let parts = |service: &str| parts_of(world.first_process(&world.id(service)).unwrap());
        let (made, apps) = (parts("made"), format!("/{team}/apps"));
        assert!(made.iter().all(|(_, path)| path.parent().unwrap().ends_with(apps.trim_start_matches('/'))), "{made:?}");
        if world.who() == Who::Root {
            assert!(made.iter().all(|(_, path)| path.starts_with(&apps)), "{made:?}");
        }
        let (memory, limit) = made.iter().find_map(limit_of).unwrap();
        assert_eq!(limit, "33554432", "{}", memory.display());
        world.compose("top made").ok().says("sleep 1000");
        world.compose("pause made").ok();
        assert_eq!(world.state("made"), "paused");
        world.compose("unpause made").ok();

        // The last one in it takes it away, in the middle of the pod's life, too.
        let folders = || made.iter().map(|(mount, path)| mount.join(path.parent().unwrap().strip_prefix("/").unwrap()));
        assert!(folders().all(|folder| folder.exists()));
        world.compose("stop made").ok();
        assert!(folders().all(|folder| folder.exists()), "another container is in it");
        world.compose("stop beside").ok();
        until("it is gone", || folders().all(|folder| !folder.exists()).then_some(()));
        if world.who() == Who::User {
            return;
        }

        let given: Vec<_> = made.iter().map(|(mount, _)| mount.join(format!("{team}-given"))).collect();
        given.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        world.compose("up -d").ok();
        let process = world.first_process(&world.id("given")).unwrap();
        assert!(parts_of(process).iter().all(|(_, path)| path.starts_with(format!("/{team}-given"))));
        // Nothing but the kernel knows of it any more.
        crate::faults::kill_supervisor(world);
        for folder in [&world.roots().data, &world.roots().run] {
            fs::remove_dir_all(folder.join("pods")).unwrap();
        }
        world.compose("down -t 0").ok();
        until("the container has ended", || (!Path::new(&format!("/proc/{process}")).exists()).then_some(()));
        assert!(folders().all(|folder| !folder.exists()));
        given.iter().for_each(|folder| fs::remove_dir(folder).expect("it stays, with nothing in it"));
    }
}

/// Where each hierarchy that can be written to is mounted, and a process's cgroup there.
fn parts_of(pid: i32) -> Vec<(PathBuf, PathBuf)> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let root = Path::new("/sys/fs/cgroup");
    let is_v2 = root.join("cgroup.controllers").exists();
    let part = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, PathBuf::from(fields.next()?));
        let mount = match (names, is_v2) {
            ("", true) => root.to_owned(),
            ("", false) => root.join("unified"),
            (names, _) => root.join(names.trim_start_matches("name=")),
        };
        mount.exists().then_some((mount, path))
    };
    text.lines().filter_map(part).collect()
}

/// The memory limit in a hierarchy that has it, and its file.
fn limit_of((mount, path): &(PathBuf, PathBuf)) -> Option<(PathBuf, String)> {
    let folder = mount.join(path.strip_prefix("/").ok()?);
    let file = ["memory.max", "memory.limit_in_bytes"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|file| file.exists())?;
    Some((file.clone(), fs::read_to_string(file).ok()?.trim().to_owned()))
}
