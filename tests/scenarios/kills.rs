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
    /// Whatever a killed `stop` or `down` has left, an `up` has everything run.
    an_up_follows_a_killed_end, |world| {
        then(world, "stop -t 0", World::killed_at, "up -d", bring_up, all_run);
        then(world, "down -t 0", World::killed_at, "up -d", bring_up, all_run);
    }
}

scenario! {
    /// A `restart` that is killed at any step is finished by the next.
    a_restart_killed_at_any_step_is_repaired, |world| {
        at_every_step(world, "restart -t 0", bring_up, all_run);
    }
}

scenario! {
    /// A `pull` that is killed at any step is repaired by the next; what it leaves half-made goes with that, or with
    /// whatever command makes an image next.
    a_pull_killed_at_any_step_is_repaired, |world| {
        at_every_step(world, "pull", |_| {}, |world| {
            world.assert_nothing_half_made();
            world.compose("up -d").ok();
            world.compose("down -v -t 0 --rmi all").ok();
        });
        std::fs::create_dir(world.project().join("files")).unwrap();
        world.write("files/one", "one\n");
        let import = "image import files localhost/files:1";
        let begin = |world: &World| drop(world.compose("system prune --all --force").ok());
        then(world, "pull", World::killed_at, import, begin, World::assert_nothing_half_made);
    }
}

scenario! {
    /// A supervisor that is killed at any step of a start is replaced, and the start is made good.
    a_supervisor_killed_while_it_starts_is_replaced, |world| {
        world.compose("pull").ok();
        at_every_step_of_the_supervisor(world, "up -d", |_| {}, all_run);
        at_every_step_of_the_supervisor(world, "up -d --force-recreate -t 0", bring_up, all_run);
    }
}

scenario! {
    /// A supervisor that is killed at any step of an end is replaced, and the end is made good.
    a_supervisor_killed_while_it_stops_is_replaced, |world| {
        at_every_step_of_the_supervisor(world, "restart -t 0", bring_up, all_run);
        at_every_step_of_the_supervisor(world, "stop -t 0", bring_up, none_runs);
        at_every_step_of_the_supervisor(world, "down -t 0", bring_up, |world| assert!(world.rows().is_empty()));
    }
}

scenario! {
    /// A supervisor that is killed at any step of a command in a container loses the command only.
    a_supervisor_killed_while_it_executes_is_replaced, |world| {
        at_every_step_of_the_supervisor(world, "exec -T web true", bring_up, all_run);
    }
}

scenario! {
    /// An infra that is killed at any step of its life is replaced.
    an_infra_killed_at_any_step_is_replaced, user_only = "root has no infra", |world| {
        world.compose("pull").ok();
        let ended = |world: &World| until("the end of infra", || world.recorded("infra.json").is_none().then_some(()));
        then(world, "up -d", World::infra_killed_at, "up -d", ended, all_run);
        then(world, "down -t 0", World::infra_killed_at, "down -t 0", bring_up, |world| {
            assert!(world.rows().is_empty());
        });
    }
}

/// Kills the command at its steps, one after the other, each time after `before`.
fn at_every_step(world: &World, command: &str, before: impl Fn(&World), repaired: impl Fn(&World)) {
    then(world, command, World::killed_at, command, before, repaired);
}

/// The same for the project's supervisor, at the steps of what it does for the command.
fn at_every_step_of_the_supervisor(
    world: &World,
    command: &str,
    before: impl Fn(&World),
    repaired: impl Fn(&World),
) {
    then(world, command, World::supervisor_killed_at, command, before, repaired);
}

/// Kills something at the steps of a command, one after the other, each time after `before`; all is well
/// after the `next` one.
fn then(
    world: &World,
    command: &str,
    killed_at: fn(&World, &str, usize) -> Ending,
    next: &str,
    before: impl Fn(&World),
    repaired: impl Fn(&World),
) {
    before(world);
    let Ending::Finished(steps) = killed_at(world, command, usize::MAX) else { unreachable!() };
    world.compose(next).ok();
    repaired(world);
    world.compose("down -v -t 0").ok();
    for step in kill_points(steps) {
        before(world);
        let ending = killed_at(world, command, step);
        eprintln!("`{command}` at step {step} of {steps}: {ending:?}");
        until("the truth about every container", || told_truly(world).then_some(()));
        world.compose(next).ok();
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

/// Both are there and rest.
fn none_runs(world: &World) {
    let states: Vec<_> = world.rows().iter().map(|row| row["State"].as_str().map(str::to_owned)).collect();
    assert_eq!(states, [Some("exited".to_owned()), Some("exited".to_owned())]);
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
