//! `deploy.update_config`: containers take the places of others, a few at a time.

mod model;

use model::{World, up, wish};
use plan::{Plan, Verb};
use resource::{AfterFailure, PortSpec, Protocol, Status, Update, UpdateOrder};
use std::time::Duration;

fn rule(order: UpdateOrder, at_once: u32, after_failure: AfterFailure) -> Update {
    Update { order, at_once, delay: Duration::ZERO, monitor: Duration::ZERO, tolerated: 0, after_failure }
}

/// Two replicas without a check or ports.
fn plain(rule: Update) -> model::Wish {
    wish(&["web"]).with("web", |web| {
        web.replicas = 2;
        web.update = Some(rule);
    })
}

fn shop(at_once: u32, after_failure: AfterFailure) -> model::Wish {
    let port = PortSpec { host_ip: None, published: Some((80, 81)), target: 80, protocol: Protocol::Tcp };
    wish(&["web"]).healthy("web").with("web", |web| {
        web.replicas = 2;
        web.container.ports.push(port);
        web.update = Some(rule(UpdateOrder::StartFirst, at_once, after_failure));
    })
}

fn changed(old: model::Wish) -> model::Wish {
    old.with("web", |web| web.container.hostname = Some("x".to_owned()))
}

fn failures(plan: &Plan) -> Vec<String> {
    plan.failures.iter().map(ToString::to_string).collect()
}

#[test]
fn one_replica_after_the_other_starts_is_healthy_and_takes_the_place() {
    let old = shop(1, AfterFailure::Pause);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let new = changed(old);
    world.now += 100;
    let policy = up(world.now);
    assert_eq!(
        world.plan(&new, &policy).to_string(),
        "1 create 000000000002_shop-web-1 because hostname of `web` changed\n\
         2 create 000000000003_shop-web-2 because hostname of `web` changed\n\
         3 start 000000000002_shop-web-1 [after 1] because hostname of `web` changed\n\
         4 await 000000000002_shop-web-1 healthy [after 3] because it takes the place of shop-web-1\n\
         5 hand ports over to 000000000002_shop-web-1 [after 4] because it takes the place of shop-web-1\n\
         6 stop shop-web-1 [after 5] because 000000000002_shop-web-1 has taken its place\n\
         7 remove shop-web-1 [after 6] because 000000000002_shop-web-1 has taken its place\n\
         8 rename 000000000002_shop-web-1 to shop-web-1 [after 7] because it takes the place of shop-web-1\n\
         9 start 000000000003_shop-web-2 [after 2, 3, 8] because hostname of `web` changed\n\
         10 await 000000000003_shop-web-2 healthy [after 9] because it takes the place of shop-web-2\n\
         11 hand ports over to 000000000003_shop-web-2 [after 10] because it takes the place of shop-web-2\n\
         12 stop shop-web-2 [after 11] because 000000000003_shop-web-2 has taken its place\n\
         13 remove shop-web-2 [after 12] because 000000000003_shop-web-2 has taken its place\n\
         14 rename 000000000003_shop-web-2 to shop-web-2 [after 13] because it takes the place of shop-web-2\n"
    );
    world.converge_with(&new, &policy, 0);
    assert_eq!(world.names(), ["shop-web-1", "shop-web-2"]);
    assert!(world.plan(&new, &up(world.now + 100)).is_empty());
}

#[test]
fn the_old_one_goes_on_when_the_new_one_is_sick() {
    for (rule, left) in [(AfterFailure::Pause, 4), (AfterFailure::RollBack, 2)] {
        let old = shop(1, rule);
        let mut world = World::default();
        world.converge(&old, Verb::Up);
        let new = changed(old);
        world.sick.insert("web".to_owned());
        world.now += 100;
        let policy = up(world.now);
        let plan = world.converge_with(&new, &policy, 0);
        let why = failures(&plan);
        assert!(
            why[0].starts_with("container shop-web-1 is not replaced: the new one is unhealthy"),
            "{why:?}"
        );
        let running = |name: &str| {
            let same = |one: &&resource::ObservedContainer| one.record.spec.name.as_str() == name;
            world.observed.containers.iter().find(same).is_some_and(|one| one.state.status == Status::Running)
        };
        assert!(running("shop-web-1") && running("shop-web-2"));
        assert_eq!(world.names().len(), left, "{rule:?}");
    }
}

#[test]
fn the_old_one_stops_first_and_goes_when_the_new_one_was_watched() {
    let seconds = Duration::from_secs;
    let rule = Update {
        delay: seconds(7),
        monitor: seconds(5),
        ..rule(UpdateOrder::StopFirst, 1, AfterFailure::RollBack)
    };
    let old = plain(rule);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let new = changed(old);
    world.now += 100;
    let policy = up(world.now);
    let first = world.plan(&new, &policy);
    assert_eq!(
        first.to_string(),
        "1 create 000000000002_shop-web-1 because hostname of `web` changed\n\
         2 create 000000000003_shop-web-2 because hostname of `web` changed\n\
         3 stop shop-web-1 [after 1] because it is replaced\n\
         4 start 000000000002_shop-web-1 [after 1, 3] because hostname of `web` changed\n\
         5 await 000000000002_shop-web-1 exited within 5 s [after 4] because it takes the place of shop-web-1\n\
         6 remove shop-web-1 [after 5] because 000000000002_shop-web-1 has taken its place\n\
         7 rename 000000000002_shop-web-1 to shop-web-1 [after 6] because it takes the place of shop-web-1\n\
         8 await shop-web-1 exited within 7 s [after 7] because the next has to wait\n\
         9 stop shop-web-2 [after 2, 8] because it is replaced\n\
         10 start 000000000003_shop-web-2 [after 2, 8, 9] because hostname of `web` changed\n\
         11 await 000000000003_shop-web-2 exited within 5 s [after 10] because it takes the place of shop-web-2\n\
         12 remove shop-web-2 [after 11] because 000000000003_shop-web-2 has taken its place\n\
         13 rename 000000000003_shop-web-2 to shop-web-2 [after 12] because it takes the place of shop-web-2\n"
    );
    world.converge_with(&new, &policy, 0);
    assert_eq!(world.names(), ["shop-web-1", "shop-web-2"]);
    assert!(world.plan(&new, &up(world.now + 100)).is_empty());
}

#[test]
fn what_ends_while_it_is_watched_is_rolled_back_tolerated_or_left() {
    let watched = |after_failure, tolerated| Update {
        monitor: Duration::from_secs(5),
        tolerated,
        ..rule(UpdateOrder::StopFirst, 1, after_failure)
    };
    let tried = |rule: Update| {
        let old = plain(rule);
        let mut world = World::default();
        world.converge(&old, Verb::Up);
        world.ends.insert("web".to_owned(), 3);
        world.now += 100;
        let policy = up(world.now);
        let plan = world.converge_with(&changed(old), &policy, 0);
        (failures(&plan), world)
    };
    let running = |world: &World| {
        let runs = |one: &&resource::ObservedContainer| one.state.status == Status::Running;
        world
            .observed
            .containers
            .iter()
            .filter(runs)
            .map(|one| one.record.spec.name.to_string())
            .collect::<Vec<_>>()
    };
    let (why, world) = tried(watched(AfterFailure::Pause, 0));
    assert_eq!(
        why[0],
        "container shop-web-1 is not replaced: the new one has ended; the old one is stopped, and kept"
    );
    assert_eq!((running(&world), world.names().len()), (vec!["shop-web-2".to_owned()], 4));
    let (why, world) = tried(watched(AfterFailure::RollBack, 0));
    assert_eq!(why[0], "container shop-web-1 is not replaced: the new one has ended and is removed");
    assert_eq!(world.names(), ["shop-web-1", "shop-web-2"]);
    // One of two may fail, and the second is one too many.
    let (why, world) = tried(watched(AfterFailure::Pause, 500_000));
    assert!(why[0].starts_with("container shop-web-2 is not replaced"), "{why:?}");
    assert_eq!(world.names().len(), 3);
    for rule in [watched(AfterFailure::Pause, 1_000_000), watched(AfterFailure::Continue, 0)] {
        let (why, world) = tried(rule);
        assert_eq!((why, world.names().len()), (vec![], 2));
    }
}
