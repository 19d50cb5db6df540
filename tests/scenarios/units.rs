//! A scenario about being started from a cgroup of somebody else's, as from a unit of systemd or a session.

use scenarios::{World, scenario, until};
use std::path::{Path, PathBuf};
use std::process::Command;

scenario! {
    /// What a unit leaves behind is killed when the unit ends: the supervisor is not in it, and goes on
    /// restarting what ends.
    a_supervisor_outlives_the_unit_it_was_started_from, root_only = "a user's supervisor is in a scope of systemd's", |world| {
        let unit = Unit::new(1);
        unit.run(world, "up -d");
        let supervisor = world.supervisor().unwrap();
        let cgroups = std::fs::read_to_string(format!("/proc/{supervisor}/cgroup")).unwrap();
        assert!(!cgroups.contains(&unit.name()), "{cgroups}");
        unit.end();
        assert_eq!(world.supervisor(), Some(supervisor));

        let id = world.id("web");
        let first = world.processes(&id)[0];
        assert!(Command::new("/bin/kill").args(["-KILL", &first.to_string()]).status().unwrap().success());
        until("it is started again", || world.processes(&id).first().filter(|process| **process != first).copied());

        // One that takes over from a command of a unit is not in that one either.
        assert!(Command::new("/bin/kill").args(["-KILL", &supervisor.to_string()]).status().unwrap().success());
        until("the supervisor is gone", || (world.supervisor() != Some(supervisor)).then_some(()));
        let unit = Unit::new(2);
        unit.run(world, "up -d");
        let next = world.supervisor().unwrap();
        unit.end();
        assert_eq!(world.supervisor(), Some(next));
        world.compose("down -t 0").ok();
        world.assert_nothing_left();
    }
}

/// A cgroup as systemd makes one for a unit; gone when dropped.
struct Unit(PathBuf);

impl Unit {
    fn new(number: u8) -> Self {
        let beside = Path::new("/sys/fs/cgroup/unified");
        let mount = if beside.exists() { beside } else { Path::new("/sys/fs/cgroup") };
        let folder = mount.join(format!("compose-test-unit-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn name(&self) -> String {
        self.0.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// Runs `compose` in it.
    fn run(&self, world: &World, line: &str) {
        let program = world.program();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "echo 0 >\"$0\"/cgroup.procs && exec \"$@\""]).arg(&self.0);
        shell.arg(program.get_program()).args(line.split(' ')).current_dir(world.project());
        shell.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        world.finish(shell, "").ok();
    }

    /// Kills what is left in it, and waits until nothing is.
    fn end(&self) {
        std::fs::write(self.0.join("cgroup.kill"), "1").unwrap();
        let events = || std::fs::read_to_string(self.0.join("cgroup.events")).unwrap();
        until("the unit has ended", || events().contains("populated 0").then_some(()));
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        drop(std::fs::remove_dir(&self.0));
    }
}
