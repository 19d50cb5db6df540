//! What holds for every project: a plan is finite, right in every order it allows, done when it is
//! done, and touches nothing of others.

mod model;

use model::{World, at, endpoint, up, wish};
use plan::{Policy, Recreate, RemoveImages, Step, Verb};
use proptest::prelude::*;
use resource::{Condition, Dependency, NetworkMode, label};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A change of one service, by numbers that mean something only here.
type Draw = (u32, u8, u8, bool, Option<u8>);

/// Project of up to five services; the later depend on some of the earlier.
fn project() -> impl Strategy<Value = model::Wish> {
    let service = (1u32..4, any::<u8>(), any::<u8>(), any::<bool>(), proptest::option::of(0u8..4));
    proptest::collection::vec(service, 1..=NAMES.len()).prop_map(|draws| make(&draws))
}

fn make(draws: &[Draw]) -> model::Wish {
    let mut made = wish(&NAMES[..draws.len()]);
    for (place, (replicas, edges, kinds, restart, extra)) in draws.iter().enumerate() {
        let name = NAMES[place];
        made = made.with(name, |service| service.replicas = *replicas);
        if kinds & 1 == 0 {
            made = made.healthy(name);
        }
        for (bit, on) in NAMES[..place].iter().enumerate().filter(|(bit, _)| edges >> bit & 1 == 1) {
            let healthy = made.service(on).container.healthcheck.is_some();
            let condition = match kinds >> (bit + 1) & 3 {
                0 if healthy => Condition::Healthy,
                1 if !healthy => Condition::CompletedSuccessfully,
                _ => Condition::Started,
            };
            let dependency = Dependency {
                service: (*on).to_owned(),
                condition,
                restart: *restart,
                required: kinds & 64 == 0,
            };
            made = made.depends_as(name, dependency);
        }
        made = match extra {
            Some(0) => made.volume(name, "data"),
            Some(1) if place > 0 => {
                let on = NAMES[place - 1];
                made.depends(name, on, Condition::Started).with(name, |service| {
                    service.container.network_mode =
                        NetworkMode::Container(format!("shop-{on}-1").as_str().into());
                    service.container.endpoints.clear();
                    service.bound_to = vec![on.to_owned()];
                })
            }
            Some(2) => {
                let made = if made.0.networks.len() == 1 { made.network("back") } else { made };
                made.with(name, |service| service.container.endpoints.push(endpoint("shop_back")))
            }
            Some(number) => made.with(name, |service| {
                service.container.process.environment.insert("N".to_owned(), Some(number.to_string()));
            }),
            None => made,
        };
    }
    made
}

/// A world with a network and a volume of somebody else.
fn shared_world() -> World {
    let mut world = World::default();
    world.converge(&wish(&["x"]).network("foreign").volume("x", "foreign"), Verb::Create);
    world.observed.containers.clear();
    world.observed.pod = None;
    for network in &mut world.observed.networks {
        network.record.spec.labels.insert(label::PROJECT.to_owned(), "other".to_owned());
        network.record.spec.name = format!("other_{}", network.record.spec.name).as_str().into();
    }
    for volume in &mut world.observed.volumes {
        volume.record.spec.labels.insert(label::PROJECT.to_owned(), "other".to_owned());
        volume.used_by.clear();
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_an_up_there_is_nothing_to_do(first in project(), second in project(), seed: u64) {
        let mut world = World::default();
        for wish in [&first, &second] {
            world.now += 100;
            let policy = up(world.now);
            let last = world.converge_with(wish, &policy, seed);
            prop_assert!(last.failures.is_empty(), "{last}");
            prop_assert!(world.plan(wish, &policy).is_empty());
        }
    }

    #[test]
    fn forced_recreation_comes_to_an_end(wish in project(), seed: u64) {
        let mut world = World::default();
        world.converge(&wish, Verb::Up);
        world.now += 100;
        let policy = Policy { recreate: Recreate::Force, ..up(world.now) };
        let before: Vec<_> = world.observed.containers.iter().map(|one| one.record.id.clone()).collect();
        world.converge_with(&wish, &policy, seed);
        prop_assert!(world.observed.containers.iter().all(|one| !before.contains(&one.record.id)));
        prop_assert_eq!(world.observed.containers.len(), before.len());
    }

    #[test]
    fn an_interrupted_up_can_be_repeated_or_taken_down(
        first in project(), second in project(), cut in 0usize..40, repeat: bool,
    ) {
        let mut world = World::default();
        world.converge(&first, Verb::Up);
        world.now += 100;
        let plan = world.plan(&second, &up(world.now));
        world.apply_some(&plan, cut);
        if repeat {
            let last = world.converge(&second, Verb::Up);
            prop_assert!(last.failures.is_empty(), "{last}");
            let temporary = world.names().into_iter().any(|name| name.contains('_'));
            prop_assert!(!temporary, "{:?}", world.names());
        } else {
            let verb = Verb::Down { whole: true, volumes: true, images: RemoveImages::None };
            let policy = Policy { orphans: plan::Orphans::Remove, ..Policy::new(verb, at(world.now + 100)) };
            let mut both = second.clone();
            both.0.volumes = first.0.volumes.iter().chain(&second.0.volumes).cloned().collect();
            both.0.volumes.dedup();
            world.converge_with(&both, &policy, 0);
            prop_assert_eq!(world.observed, resource::Observed::default());
        }
    }

    #[test]
    fn nothing_of_others_is_touched(wish in project(), verb in 0usize..5, seed: u64) {
        let mut world = shared_world();
        let (networks, volumes) = (world.observed.networks.clone(), world.observed.volumes.clone());
        let mut wish = wish.volume("a", "foreign");
        wish.0.networks.push(resource::NetworkSpec {
            name: "other_shop_default".into(),
            ..wish.0.networks[0].clone()
        });
        world.converge(&wish, Verb::Up);
        let verb = match verb {
            0 => Verb::Down { whole: true, volumes: true, images: RemoveImages::All },
            1 => Verb::Stop,
            2 => Verb::Restart { no_deps: false },
            3 => Verb::Remove { stop: true, volumes: true },
            _ => Verb::Down { whole: false, volumes: true, images: RemoveImages::All },
        };
        world.now += 100;
        let policy = Policy::new(verb, at(world.now));
        let plan = world.plan(&wish, &policy);
        for (_, planned) in plan.steps() {
            let touched = match &planned.step {
                Step::RemoveNetwork { network } => networks.iter().any(|own| own.record.spec.name == *network),
                Step::RemoveVolume { volume } => volumes.iter().any(|own| own.record.spec.name == *volume),
                _ => false,
            };
            prop_assert!(!touched, "{}", plan);
        }
        world.apply(&plan, seed);
        for network in &networks {
            let still = world.observed.networks.iter().any(|one| one.record == network.record);
            prop_assert!(still);
        }
        for volume in &volumes {
            let still = world.observed.volumes.iter().any(|one| one.record == volume.record);
            prop_assert!(still);
        }
    }
}

/// `up` with nothing to do is on the path of everybody's day: it has to cost next to nothing.
#[test]
fn nothing_to_do_is_decided_without_waste() {
    let names: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wish = wish(&names);
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    let policy = up(world.now + 100);
    #[expect(clippy::disallowed_types, reason = "a measurement needs a clock")]
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        assert!(plan::plan(&wish.0, &world.observed, &policy).is_empty());
    }
    let each = begun.elapsed() / 100;
    println!("nothing to do for ten services: {each:?}");
    assert!(each < std::time::Duration::from_millis(5), "{each:?}");
}
