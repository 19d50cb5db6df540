//! Scenarios in which a command is killed at any of its steps: whatever was done by then, `ps` tells
//! the truth, the same command again succeeds, and `down -v` leaves nothing.

use scenarios::{Ending, World, kill_points, scenario, until};

scenario! {
    /// An `up` that is killed at any step is repaired by the next.
    an_up_killed_at_any_step_is_repaired, |world| {
        world.compose("pull").ok();
        at_every_step(world, "up -d", |_| {}, all_run);
        at_every_step(world, "up -d --force-recreate -t 0", bring_up, all_run);
    }
}

scenario! {
    /// A `down` that is killed at any step is finished by the next, with and without volumes.
    a_down_killed_at_any_step_is_repaired, |world| {
        at_every_step(world, "down -t 0", bring_up, |world| assert!(world.rows().is_empty()));
        at_every_step(world, "down -v -t 0", bring_up, |world| assert!(world.rows().is_empty()));
    }
}

scenario! {
    /// A `restart` that is killed at any step is finished by the next.
    a_restart_killed_at_any_step_is_repaired, |world| {
        at_every_step(world, "restart -t 0", bring_up, all_run);
    }
}

scenario! {
    /// A `pull` that is killed at any step is repaired by the next, and leaves nothing of its own.
    a_pull_killed_at_any_step_is_repaired, |world| {
        at_every_step(world, "pull", |_| {}, |world| {
            world.compose("up -d").ok();
            world.compose("down -v -t 0 --rmi all").ok();
        });
    }
}

/// Kills the command at its steps, one after the other, each time after `before`.
fn at_every_step(world: &World, command: &str, before: impl Fn(&World), repaired: impl Fn(&World)) {
    before(world);
    let Ending::Finished(steps) = world.killed_at(command, usize::MAX) else { unreachable!() };
    repaired(world);
    world.compose("down -v -t 0").ok();
    for step in kill_points(steps) {
        before(world);
        let ending = world.killed_at(command, step);
        eprintln!("`{command}` at step {step} of {steps}: {ending:?}");
        until("the truth about every container", || told_truly(world).then_some(()));
        world.compose(command).ok();
        repaired(world);
        world.compose("down -v -t 0").ok();
        nothing_is_left(world);
    }
}

fn bring_up(world: &World) {
    world.compose("up -d").ok();
}

/// There is one container of each service, and it runs.
fn all_run(world: &World) {
    let rows = world.rows();
    let mut states: Vec<_> =
        rows.iter().map(|row| (row["Service"].as_str(), row["State"].as_str())).collect();
    states.sort_unstable();
    assert_eq!(states, [(Some("db"), Some("running")), (Some("web"), Some("running"))]);
}

/// Whether exactly those containers are said to run that have processes.
fn told_truly(world: &World) -> bool {
    world.rows().iter().all(|row| {
        let lives = !world.processes(row["ID"].as_str().unwrap()).is_empty();
        lives == (row["State"] == "running")
    })
}

/// Nothing is left but images: no pod, no network, no volume, nothing half-made.
fn nothing_is_left(world: &World) {
    let data = &world.roots().data;
    for folder in ["pods", "networks", "volumes", "names", "tmp"] {
        let entries = std::fs::read_dir(data.join(folder)).into_iter().flatten().flatten();
        // An empty layer is kept there for those containers that need one.
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let left: Vec<_> = names.filter(|name| !name.starts_with("empty")).collect();
        assert!(left.is_empty(), "left in {folder}: {left:?}");
    }
    world.assert_nothing_left();
}
