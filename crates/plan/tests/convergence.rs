//! Plans of `up` and `create`, as text: the rules of convergence one by one.

mod model;

use model::{World, at, digest, endpoint, up, wish};
use plan::{Consent, Orphans, Policy, Recreate, Verb};
use resource::{
    Condition, Dependency, INFRA, ImageNeed, MountSpec, NetworkMode, PortSpec, Protocol, Reference, Status,
    label,
};

fn text(world: &World, wish: &model::Wish) -> String {
    world.plan(wish, &up(world.now + 100)).to_string()
}

#[test]
fn a_first_up_makes_everything_and_waits_for_health() {
    let wish =
        wish(&["db", "web"]).healthy("db").volume("db", "data").depends("web", "db", Condition::Healthy);
    assert_eq!(
        text(&World::default(), &wish),
        "1 create pod shop because it does not exist\n\
         2 create network shop_default [after 1] because it does not exist\n\
         3 create volume shop_data [after 1] because it does not exist\n\
         4 create shop-db-1 [after 2, 3] because it does not exist\n\
         5 create shop-web-1 [after 2] because it does not exist\n\
         6 start shop-db-1 [after 4] because it is new\n\
         7 await shop-db-1 healthy [after 6] because web depends on db\n\
         8 start shop-web-1 [after 5, 7] because it is new\n"
    );
}

#[test]
fn a_container_is_made_anew_when_an_image_it_mounts_is_another() {
    let mounting = |number| {
        let mut wish = wish(&["web"]);
        let web = &mut wish.0.services[0];
        let need = ImageNeed { reference: Reference::parse("pages:1").unwrap(), ..web.image.clone() };
        let (source, target) = (need.reference.clone(), "/pages".to_owned());
        web.container.mounts = vec![MountSpec::Image { source, target, subpath: None }];
        web.mounted_images = vec![ImageNeed { resolved: Some(digest(number)), ..need }];
        wish
    };
    let mut world = World::default();
    world.converge(&mounting(2), Verb::Up);
    assert_eq!(text(&world, &mounting(2)), "");
    let text = text(&world, &mounting(3));
    let why = "because mounted image of `web` changed: /pages is now sha256:000000000000\n";
    assert!(text.contains(why) && text.contains("remove shop-web-1"), "{text}");
}

#[test]
fn a_second_up_does_nothing() {
    let wish =
        wish(&["db", "web"]).healthy("db").volume("db", "data").depends("web", "db", Condition::Healthy);
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    assert_eq!(text(&world, &wish), "");
}

#[test]
fn only_the_changed_service_is_recreated_and_the_plan_says_because_of_what() {
    let old = wish(&["db", "web"]);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let new = old.with("db", |db| {
        db.container.process.environment.insert("FOO".to_owned(), Some("secret".to_owned()));
    });
    assert_eq!(
        text(&world, &new),
        "1 create 000000000002_shop-db-1 because environment of `db` changed: FOO\n\
         2 stop shop-db-1 [after 1] because it is replaced\n\
         3 remove shop-db-1 [after 1, 2] because it is replaced\n\
         4 rename 000000000002_shop-db-1 to shop-db-1 [after 3] because it takes the place of shop-db-1\n\
         5 start shop-db-1 [after 4] because environment of `db` changed: FOO\n"
    );
}

#[test]
fn another_image_is_another_container() {
    let old = wish(&["db"]);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let new = old.with("db", |db| db.image.resolved = Some(digest(2)));
    let text = text(&world, &new);
    assert!(text.contains("because image of `db` changed: db:1 is now sha256:000000000000\n"), "{text}");
}

#[test]
fn dependents_with_restart_stop_first_and_start_again() {
    let dependency =
        Dependency { service: "db".to_owned(), condition: Condition::Healthy, restart: true, required: true };
    let old = wish(&["db", "web"]).healthy("db").depends_as("web", dependency);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let new = old.with("db", |db| db.container.hostname = Some("other".to_owned()));
    assert_eq!(
        text(&world, &new),
        "1 stop shop-web-1 because web restarts with db\n\
         2 create 000000000002_shop-db-1 because hostname of `db` changed\n\
         3 stop shop-db-1 [after 1, 2] because it is replaced\n\
         4 remove shop-db-1 [after 2, 3] because it is replaced\n\
         5 rename 000000000002_shop-db-1 to shop-db-1 [after 4] because it takes the place of shop-db-1\n\
         6 start shop-db-1 [after 5] because hostname of `db` changed\n\
         7 await shop-db-1 healthy [after 6] because web depends on db\n\
         8 start shop-web-1 [after 1, 7] because web restarts with db\n"
    );
    world.converge(&new, Verb::Up);
    assert!(world.observed.containers.iter().all(|container| container.state.status == Status::Running));
}

#[test]
fn who_shares_a_namespace_is_recreated_with_it() {
    let old = wish(&["vpn", "app"]).depends("app", "vpn", Condition::Started).with("app", |app| {
        app.container.network_mode = NetworkMode::Container("shop-vpn-1".into());
        app.container.endpoints.clear();
        app.bound_to = vec!["vpn".to_owned()];
    });
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let new = old.with("vpn", |vpn| vpn.container.hostname = Some("x".to_owned()));
    let text = text(&world, &new);
    assert!(text.contains("because app shares with vpn, which is made anew\n"), "{text}");
    world.converge(&new, Verb::Up);
    assert_eq!(world.names(), ["shop-app-1", "shop-vpn-1"]);
}

/// `app` in the namespaces of an infra.
fn pod() -> model::Wish {
    let started = Dependency {
        service: INFRA.to_owned(),
        condition: Condition::Started,
        restart: false,
        required: true,
    };
    let infra = |infra: &mut resource::DesiredService| {
        infra.fixed_name = true;
        infra.container.name = "shop-infra".into();
    };
    wish(&[INFRA, "app"]).with(INFRA, infra).depends_as("app", started).with("app", |app| {
        app.container.network_mode = NetworkMode::Container("shop-infra".into());
        app.container.endpoints.clear();
        app.bound_to = vec![INFRA.to_owned()];
    })
}

#[test]
fn a_port_of_a_service_in_a_pod_remakes_only_this_service() {
    let old = pod();
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let port = PortSpec { host_ip: None, published: Some((80, 80)), target: 80, protocol: Protocol::Tcp };
    let mut new = old.clone().with("app", |app| app.container.ports.push(port));
    // The hash of an infra leaves its ports out.
    new.service(INFRA).container.ports.push(port);
    assert_eq!(
        text(&world, &new),
        "1 update shop-infra because ports of `@infra` changed\n\
         2 create 000000000003_shop-app-1 [after 1] because ports of `app` changed\n\
         3 stop shop-app-1 [after 2] because it is replaced\n\
         4 remove shop-app-1 [after 2, 3] because it is replaced\n\
         5 rename 000000000003_shop-app-1 to shop-app-1 [after 4] because it takes the place of shop-app-1\n\
         6 start shop-app-1 [after 1, 5] because ports of `app` changed\n"
    );
    world.converge(&new, Verb::Up);
    assert_eq!(text(&world, &new), "");
}

#[test]
fn without_shared_namespaces_the_infra_goes() {
    let mut world = World::default();
    world.converge(&pod(), Verb::Up);
    let alone = wish(&["app"]);
    world.converge(&alone, Verb::Up);
    assert_eq!(world.names(), ["shop-app-1"]);
}

#[test]
fn replicas_are_added_above_the_highest_number_and_taken_from_the_top() {
    let one = wish(&["web"]);
    let three = one.clone().with("web", |web| web.replicas = 3);
    let mut world = World::default();
    world.converge(&one, Verb::Up);
    assert_eq!(
        text(&world, &three),
        "1 create shop-web-2 because web wants 3 replicas\n\
         2 create shop-web-3 because web wants 3 replicas\n\
         3 start shop-web-2 [after 1] because it is new\n\
         4 start shop-web-3 [after 2] because it is new\n"
    );
    world.converge(&three, Verb::Up);
    assert_eq!(
        text(&world, &one),
        "1 stop shop-web-3 because web wants only 1 replica\n\
         2 remove shop-web-3 [after 1] because web wants only 1 replica\n\
         3 stop shop-web-2 because web wants only 1 replica\n\
         4 remove shop-web-2 [after 3] because web wants only 1 replica\n"
    );
}

#[test]
fn outdated_replicas_go_first() {
    let two = wish(&["web"]).with("web", |web| web.replicas = 2);
    let mut world = World::default();
    world.converge(&two, Verb::Up);
    world
        .container(&"shop-web-1".into())
        .record
        .spec
        .labels
        .insert(label::CONFIG_HASH.to_owned(), "old".to_owned());
    let one = two.with("web", |web| web.replicas = 1);
    let text = text(&world, &one);
    assert!(text.starts_with("1 stop shop-web-1 because web wants only 1 replica\n"), "{text}");
}

#[test]
fn force_recreates_once_and_never_does_not_at_all() {
    let wish = wish(&["web"]);
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    world.now += 100;
    let force = Policy { recreate: Recreate::Force, ..up(world.now) };
    assert!(world.plan(&wish, &force).to_string().contains("because recreation is forced"));
    world.converge_with(&wish, &force, 0);
    assert!(world.plan(&wish, &force).is_empty());
    let changed = wish.with("web", |web| web.container.hostname = Some("x".to_owned()));
    let never = Policy { recreate: Recreate::Never, ..up(world.now + 100) };
    assert!(world.plan(&changed, &never).is_empty());
}

#[test]
fn a_changed_network_is_made_anew_with_all_that_is_on_it() {
    let old = wish(&["db"]);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let mut new = old;
    new.0.networks[0].internal = true;
    new.0.networks[0].labels.insert(label::CONFIG_HASH.to_owned(), "2".to_owned());
    assert_eq!(
        text(&world, &new),
        "1 stop shop-db-1 because internal of network `shop_default` changed\n\
         2 remove shop-db-1 [after 1] because internal of network `shop_default` changed\n\
         3 remove network shop_default [after 2] because internal of network `shop_default` changed\n\
         4 create network shop_default [after 3] because internal of network `shop_default` changed\n\
         5 create shop-db-1 [after 2, 4] because internal of network `shop_default` changed\n\
         6 start shop-db-1 [after 5] because internal of network `shop_default` changed\n"
    );
    world.converge(&new, Verb::Up);
    assert_eq!(text(&world, &new), "");
}

#[test]
fn a_changed_network_keeps_anonymous_volumes_and_spares_what_is_not_ours_to_move() {
    let old = wish(&["db", "web"]);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let anonymous = resource::Mount::Bind {
        source: "/v".into(),
        target: "/cache".to_owned(),
        read_only: false,
        recursive: true,
        propagation: resource::Propagation::Rprivate,
        volume: Some("abc".into()),
        anonymous: true,
    };
    world.container(&"shop-db-1".into()).record.mounts.push(anonymous);
    let mut new = old;
    new.0.networks[0].labels.insert(label::CONFIG_HASH.to_owned(), "2".to_owned());
    let plan = world.plan(&new, &up(world.now + 100));
    let created = plan.steps().find_map(|(_, planned)| match &planned.step {
        plan::Step::CreateContainer { spec, .. } if spec.service == "db" => Some(spec.mounts.clone()),
        _ => None,
    });
    let created = created.expect("db is made anew");
    assert!(
        matches!(&created[..], [resource::MountSpec::Volume { source: Some(name), .. }] if name.0 == "abc"),
        "{created:?}"
    );
    // With only one of the two services in sight, the other holds the network.
    new.0.services.retain(|service| service.name == "web");
    let plan = world.plan(&new, &up(world.now + 100));
    assert!(plan.is_empty());
    assert!(plan.to_string().contains("network shop_default changed but is kept as it is"), "{plan}");
}

#[test]
fn a_changed_volume_is_asked_about_and_kept_without_consent() {
    let old = wish(&["db"]).volume("db", "data");
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let mut new = old;
    new.0.volumes[0].options.insert("type".to_owned(), "nfs".to_owned());
    new.0.volumes[0].labels.insert(label::CONFIG_HASH.to_owned(), "2".to_owned());
    let plan = world.plan(&new, &up(world.now + 100));
    assert!(plan.is_empty());
    assert_eq!(
        plan.to_string(),
        "1 ask whether volume shop_data may be removed, with its contents, and made anew \
         because driver_opts of volume `shop_data` changed: type\n"
    );
    let consent = Consent { all: true, ..Consent::default() };
    let policy = Policy { consent, ..up(world.now + 100) };
    assert_eq!(
        world.plan(&new, &policy).to_string(),
        "1 stop shop-db-1 because driver_opts of volume `shop_data` changed: type\n\
         2 remove shop-db-1 [after 1] because driver_opts of volume `shop_data` changed: type\n\
         3 remove volume shop_data [after 2] because driver_opts of volume `shop_data` changed: type\n\
         4 create volume shop_data [after 3] because driver_opts of volume `shop_data` changed: type\n\
         5 create shop-db-1 [after 2, 4] because driver_opts of volume `shop_data` changed: type\n\
         6 start shop-db-1 [after 5] because driver_opts of volume `shop_data` changed: type\n"
    );
    world.now += 200;
    world.converge_with(&new, &policy, 0);
    assert_eq!(text(&world, &new), "");
}

#[test]
fn orphans_are_named_ignored_or_removed() {
    let mut world = World::default();
    world.converge(&wish(&["db", "old"]), Verb::Up);
    let new = wish(&["db"]);
    let plan = world.plan(&new, &up(world.now + 100));
    assert!(plan.is_empty());
    assert!(plan.to_string().starts_with("warning: found orphan containers (shop-old-1)"), "{plan}");
    let with = |orphans| Policy { orphans, ..up(world.now + 100) };
    assert_eq!(world.plan(&new, &with(Orphans::Ignore)).to_string(), "");
    assert_eq!(
        world.plan(&new, &with(Orphans::Remove)).to_string(),
        "1 stop shop-old-1 because the project has no service old\n\
         2 remove shop-old-1 [after 1] because the project has no service old\n"
    );
}

#[test]
fn a_container_off_its_network_is_made_anew() {
    let old = wish(&["web"]);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    world.container(&"shop-web-1".into()).record.endpoints.clear();
    let text = text(&world, &old);
    assert!(text.contains("because web is not on network shop_default\n"), "{text}");
}

#[test]
fn a_network_that_vanished_takes_its_containers_along() {
    let old = wish(&["web"]);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    world.observed.networks.clear();
    world.converge(&old, Verb::Up);
    assert_eq!(text(&world, &old), "");
}

#[test]
fn after_a_reboot_networks_are_raised_before_anything_starts() {
    let wish = wish(&["web"]);
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    world.observed.networks[0].up = false;
    world.container(&"shop-web-1".into()).state.status = Status::Exited;
    assert_eq!(
        text(&world, &wish),
        "1 raise network shop_default because its bridge is gone\n\
         2 start shop-web-1 [after 1] because it is exited\n"
    );
}

#[test]
fn external_things_must_exist_and_nothing_is_done_without_them() {
    let mut wish = wish(&["web"]).volume("web", "data");
    wish.0.networks[0].external = true;
    wish.0.volumes[0].external = true;
    let (network, volume) = (wish.0.networks[0].name.clone(), wish.0.volumes[0].name.clone());
    wish.0.network_places.insert(network, "compose.yaml:8:3".to_owned());
    wish.0.volume_places.insert(volume, "compose.yaml:9:3".to_owned());
    assert_eq!(
        text(&World::default(), &wish),
        "error: network shop_default declared as external, but could not be found\n\
         error: external volume \"shop_data\" not found\n"
    );
    let plan = World::default().plan(&wish, &up(0));
    let places: Vec<_> = plan.failures.iter().map(plan::Failure::place).collect();
    assert_eq!(places, [Some("compose.yaml:8:3"), Some("compose.yaml:9:3")]);
}

#[test]
fn a_foreign_network_is_used_and_never_changed() {
    let old = wish(&["web"]);
    let mut world = World::default();
    world.converge(&old, Verb::Up);
    let network = world.network(&"shop_default".into());
    network.record.spec.labels.insert(label::PROJECT.to_owned(), "other".to_owned());
    network.record.spec.labels.insert(label::CONFIG_HASH.to_owned(), "other".to_owned());
    let plan = world.plan(&old, &up(world.now + 100));
    assert!(plan.is_empty());
    assert!(plan.to_string().contains("was not created for this project"), "{plan}");
}

#[test]
fn a_fixed_name_cannot_be_scaled() {
    let wish = wish(&["web"]).with("web", |web| {
        web.fixed_name = true;
        web.container.name = "only".into();
        web.replicas = 2;
    });
    let plan = World::default().plan(&wish, &up(0));
    assert_eq!(plan.len(), 0);
    assert_eq!(plan.failures[0].place(), Some("compose.yaml:2:3"));
}

#[test]
fn ports_from_a_range_are_given_out_in_order() {
    let wish = wish(&["web"]).with("web", |web| {
        web.replicas = 2;
        web.container.ports = vec![resource::PortSpec {
            host_ip: None,
            published: Some((8080, 8090)),
            target: 80,
            protocol: resource::Protocol::Tcp,
        }];
    });
    let text = text(&World::default(), &wish);
    assert!(
        text.contains("5 start shop-web-1 [after 3] because it is new\n6 start shop-web-2 [after 4, 5]"),
        "{text}"
    );
}

#[test]
fn wherever_a_replacement_is_cut_off_the_next_up_finishes_it() {
    let old = wish(&["db", "web"]).depends("web", "db", Condition::Started);
    let new = old.clone().with("db", |db| db.container.endpoints.push(endpoint("shop_back"))).network("back");
    let mut before = World::default();
    before.converge(&old, Verb::Up);
    before.now += 100;
    let plan = before.plan(&new, &up(before.now));
    for count in 0..=plan.len() {
        let mut world = before.clone();
        world.apply_some(&plan, count);
        world.converge(&new, Verb::Up);
        assert_eq!(world.names(), ["shop-db-1", "shop-web-1"], "after {count} steps of\n{plan}");
        assert_eq!(text(&world, &new), "");
    }
}

#[test]
fn a_forced_replacement_that_was_cut_off_gives_its_name_to_the_next() {
    let wish = wish(&["web"]);
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    world.now += 100;
    let forced = Policy { recreate: Recreate::Force, ..up(world.now) };
    world.apply_some(&world.plan(&wish, &forced), 1);
    assert_eq!(
        world.plan(&wish, &Policy { since: at(world.now + 1), ..forced }).to_string(),
        "1 remove 000000000002_shop-web-1 because a replacement was left unfinished\n\
         2 create 000000000002_shop-web-1 [after 1] because recreation is forced\n\
         3 stop shop-web-1 [after 2] because it is replaced\n\
         4 remove shop-web-1 [after 2, 3] because it is replaced\n\
         5 rename 000000000002_shop-web-1 to shop-web-1 [after 4] because it takes the place of shop-web-1\n\
         6 start shop-web-1 [after 5] because recreation is forced\n"
    );
}

#[test]
fn what_another_command_made_meanwhile_of_an_older_image_is_replaced() {
    let old = wish(&["web"]);
    let new = old.clone().with("web", |web| web.image.resolved = Some(digest(2)));
    let mut world = World::default();
    // This command begins, builds, and waits for the lock; the other one holds it and knows the older image.
    let begun = up(world.now);
    world.now += 1;
    world.converge_with(&old, &Policy { recreate: Recreate::Force, ..up(world.now) }, 1);
    let plan = world.plan(&new, &begun).to_string();
    assert!(plan.contains("create 000000000002_shop-web-1"), "{plan}");
    assert_eq!(world.plan(&old, &begun).to_string(), "", "the same is as good as its own");
}

#[test]
fn a_user_s_name_may_look_temporary() {
    let wish = wish(&["web"]).with("web", |web| {
        web.fixed_name = true;
        web.container.name = "0123456789ab_web".into();
    });
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    assert_eq!(text(&world, &wish), "");
}

#[test]
fn create_starts_nothing() {
    let mut world = World::default();
    world.converge(&wish(&["db"]), Verb::Create);
    assert_eq!(world.observed.containers[0].state.status, Status::Created);
    let created = world.observed.containers[0].record.created;
    assert!(created > at(0));
}
