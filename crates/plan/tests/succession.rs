//! `order: start-first`: a container takes the place of one that still runs.

mod model;

use model::{World, up, wish};
use plan::{Plan, Verb};
use resource::{AfterFailure, PortSpec, Protocol, StartFirst, Status};

fn shop(at_once: u32, after_failure: AfterFailure) -> model::Wish {
    let port = PortSpec { host_ip: None, published: Some((80, 81)), target: 80, protocol: Protocol::Tcp };
    wish(&["web"]).healthy("web").with("web", |web| {
        web.replicas = 2;
        web.container.ports.push(port);
        web.start_first = Some(StartFirst { at_once, after_failure });
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
    for (rule, left) in [(AfterFailure::Pause, 4), (AfterFailure::RollBack, 3)] {
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
