//! Conditions of dependencies, and the verbs that take containers as they are.

mod model;

use model::{World, up, wish};
use plan::{Orphans, Policy, RemoveImages, Verb};
use resource::{Condition, Dependency, ExitStatus, INFRA, Status};

fn failures(plan: &plan::Plan) -> Vec<String> {
    plan.failures.iter().map(ToString::to_string).collect()
}

#[test]
fn a_dependency_that_should_be_healthy_needs_a_health_check() {
    let wish = wish(&["db", "web"]).depends("web", "db", Condition::Healthy).with("db", |db| {
        db.container.healthcheck = Some(None);
    });
    let mut world = World::default();
    let plan = world.converge(&wish, Verb::Up);
    assert_eq!(
        failures(&plan),
        ["dependency failed to start: container shop-db-1 has no healthcheck configured"]
    );
    assert!(!plan.to_string().contains("start shop-web-1"), "{plan}");
}

#[test]
fn an_unhealthy_dependency_keeps_its_dependents_from_starting() {
    let wish = wish(&["db", "web", "proxy"]).healthy("db").depends("web", "db", Condition::Healthy).depends(
        "proxy",
        "web",
        Condition::Started,
    );
    let mut world = World::default();
    world.sick.insert("db".to_owned());
    let plan = world.converge(&wish, Verb::Up);
    assert_eq!(failures(&plan), ["dependency failed to start: container shop-db-1 is unhealthy"]);
    assert_eq!(plan.failures[0].place(), Some("compose.yaml:2:3"));
    let statuses: Vec<_> = world.observed.containers.iter().map(|container| container.state.status).collect();
    assert_eq!(statuses, [Status::Running, Status::Created, Status::Created]);
}

#[test]
fn one_that_ended_is_told_with_its_code() {
    let wish = wish(&["db", "web"]).healthy("db").depends("web", "db", Condition::Healthy);
    let mut world = World::default();
    world.ends.insert("db".to_owned(), 3);
    let plan = world.converge(&wish, Verb::Up);
    assert_eq!(failures(&plan), ["dependency failed to start: container shop-db-1 exited (3)"]);
}

#[test]
fn a_failed_job_is_told_and_a_finished_one_lets_go() {
    let wish = wish(&["job", "web"]).depends("web", "job", Condition::CompletedSuccessfully);
    let mut world = World::default();
    world.ends.insert("job".to_owned(), 2);
    let plan = world.converge(&wish, Verb::Up);
    assert_eq!(failures(&plan), ["service \"job\" didn't complete successfully: exit 2"]);
    world.ends.insert("job".to_owned(), 0);
    let plan = world.converge(&wish, Verb::Up);
    assert_eq!(failures(&plan), [""; 0]);
    assert_eq!(world.container(&"shop-web-1".into()).state.status, Status::Running);
    assert_eq!(world.container(&"shop-job-1".into()).state.exit, Some(ExitStatus::Code(0)));
}

#[test]
fn an_optional_dependency_only_warns() {
    let dependency = Dependency {
        service: "db".to_owned(),
        condition: Condition::Healthy,
        restart: false,
        required: false,
    };
    let wish = wish(&["db", "web"]).healthy("db").depends_as("web", dependency);
    let mut world = World::default();
    world.sick.insert("db".to_owned());
    world.now += 100;
    let policy = up(world.now);
    let mut warned = false;
    for _ in 0..3 {
        let plan = world.plan(&wish, &policy);
        warned |= plan.to_string().contains("warning: optional dependency of web failed to start");
        world.converge_with(&wish, &policy, 0);
    }
    assert!(warned);
    assert_eq!(world.container(&"shop-web-1".into()).state.status, Status::Running);
}

#[test]
fn what_ended_under_this_command_is_not_started_again() {
    let wish = wish(&["job"]);
    let mut world = World::default();
    world.ends.insert("job".to_owned(), 0);
    world.now += 100;
    let policy = up(world.now);
    world.converge_with(&wish, &policy, 0);
    assert!(world.plan(&wish, &policy).is_empty());
    assert!(!world.plan(&wish, &up(world.now + 100)).is_empty(), "the next command starts it again");
}

#[test]
fn waiting_for_all_takes_health_completion_or_life() {
    let wish =
        wish(&["job", "db", "web"]).healthy("db").depends("web", "job", Condition::CompletedSuccessfully);
    let mut world = World::default();
    world.now += 100;
    let policy = Policy { wait: true, ..up(world.now) };
    let plan = world.plan(&wish, &policy);
    let waits: Vec<_> = plan.awaits().map(|wait| (wait.service.as_str(), wait.condition)).collect();
    assert_eq!(waits, [("job", Condition::CompletedSuccessfully), ("db", Condition::Healthy)]);
    assert!(world.converge_with(&wish, &policy, 0).failures.is_empty());

    let mut world = World::default();
    world.now = 100;
    world.ends.insert("web".to_owned(), 0);
    let plan = world.converge_with(&wish, &policy, 0);
    assert_eq!(failures(&plan), ["container shop-web-1 exited (0)"]);
}

fn chain() -> (World, model::Wish) {
    let wish = wish(&["db", "api", "web"])
        .depends("api", "db", Condition::Started)
        .depends("web", "api", Condition::Started)
        .volume("db", "data");
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    (world, wish)
}

fn text(world: &World, wish: &model::Wish, verb: Verb) -> String {
    world.plan(wish, &Policy::new(verb, model::at(world.now + 100))).to_string()
}

#[test]
fn stop_goes_from_dependents_to_dependencies_and_start_the_other_way() {
    let (mut world, wish) = chain();
    assert_eq!(
        text(&world, &wish, Verb::Stop),
        "1 stop shop-web-1 because it was asked for\n\
         2 stop shop-api-1 [after 1] because it was asked for\n\
         3 stop shop-db-1 [after 2] because it was asked for\n"
    );
    world.converge(&wish, Verb::Stop);
    assert_eq!(text(&world, &wish, Verb::Stop), "");
    assert_eq!(
        text(&world, &wish, Verb::Start),
        "1 start shop-db-1 because it is exited\n\
         2 start shop-api-1 [after 1] because it is exited\n\
         3 start shop-web-1 [after 2] because it is exited\n"
    );
}

#[test]
fn stopping_skips_what_is_not_selected_but_keeps_the_order() {
    let (world, wish) = chain();
    let wish = wish.with("api", |api| api.selected = false);
    assert_eq!(
        text(&world, &wish, Verb::Stop),
        "1 stop shop-web-1 because it was asked for\n\
         2 stop shop-db-1 [after 1] because it was asked for\n"
    );
}

#[test]
fn start_starts_what_is_selected_and_what_that_depends_on() {
    let (mut world, wish) = chain();
    world.converge(&wish, Verb::Stop);
    let only = |selected: &str| {
        let mut wish = wish.clone();
        wish.0.services.iter_mut().for_each(|service| service.selected = service.name == selected);
        text(&world, &wish, Verb::Start)
    };
    assert_eq!(only("db"), "1 start shop-db-1 because it is exited\n");
    assert_eq!(
        only("api"),
        "1 start shop-db-1 because it is exited\n\
         2 start shop-api-1 [after 1] because it is exited\n"
    );
}

#[test]
fn start_needs_something_to_start() {
    let plan = World::default().plan(&wish(&["db"]), &Policy::new(Verb::Start, model::at(0)));
    assert_eq!(failures(&plan), ["service \"db\" has no container to start"]);
}

#[test]
fn restart_leaves_an_infra_that_runs_and_starts_one_that_has_ended_first() {
    let (started, required) = (Condition::Started, true);
    let on_infra = Dependency { service: INFRA.to_owned(), condition: started, restart: false, required };
    let wish = wish(&[INFRA, "web"]).depends_as("web", on_infra).with(INFRA, |infra| {
        infra.container.name = "shop-infra".into();
        infra.fixed_name = true;
    });
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    assert_eq!(
        text(&world, &wish, Verb::Restart { no_deps: false }),
        "1 stop shop-web-1 because it was asked for\n\
         2 start shop-web-1 [after 1] because it was asked for\n"
    );
    world.converge(&wish, Verb::Stop);
    let plan = text(&world, &wish, Verb::Restart { no_deps: true });
    assert_eq!(
        plan,
        "1 start shop-infra because it is exited\n\
         2 start shop-web-1 [after 1] because it is exited\n"
    );
}

#[test]
fn restart_takes_along_those_who_say_so() {
    let restart = |on: &str| Dependency {
        service: on.to_owned(),
        condition: Condition::Healthy,
        restart: true,
        required: true,
    };
    let wish = wish(&["db", "web", "other"])
        .healthy("db")
        .depends_as("web", restart("db"))
        .depends("other", "db", Condition::Started)
        .with("web", |web| web.selected = false)
        .with("other", |other| other.selected = false);
    let mut world = World::default();
    world.converge(&wish, Verb::Up);
    assert_eq!(
        text(&world, &wish, Verb::Restart { no_deps: false }),
        "1 stop shop-web-1 because web restarts with db\n\
         2 stop shop-db-1 [after 1] because it was asked for\n\
         3 start shop-db-1 [after 2] because it was asked for\n\
         4 await shop-db-1 healthy [after 3] because web depends on db\n\
         5 start shop-web-1 [after 1, 4] because web restarts with db\n"
    );
    assert_eq!(
        text(&world, &wish, Verb::Restart { no_deps: true }),
        "1 stop shop-db-1 because it was asked for\n\
         2 start shop-db-1 [after 1] because it was asked for\n"
    );
    world.converge(&wish, Verb::Restart { no_deps: false });
    assert!(world.observed.containers.iter().all(|container| container.state.status == Status::Running));
}

#[test]
fn down_removes_in_reverse_and_leaves_volumes() {
    let (mut world, wish) = chain();
    let down = |volumes| Verb::Down { whole: true, volumes, images: RemoveImages::None };
    assert_eq!(
        text(&world, &wish, down(true)),
        "1 stop shop-web-1 because it was asked for\n\
         2 stop shop-api-1 [after 1] because it was asked for\n\
         3 stop shop-db-1 [after 2] because it was asked for\n\
         4 remove shop-api-1 and its anonymous volumes [after 2] because it was asked for\n\
         5 remove shop-db-1 and its anonymous volumes [after 3] because it was asked for\n\
         6 remove shop-web-1 and its anonymous volumes [after 1] because it was asked for\n\
         7 lower network shop_default [after 1, 2, 3] because it was asked for\n\
         8 remove network shop_default [after 4, 5, 6, 7] because it was asked for\n\
         9 remove volume shop_data [after 5] because it was asked for\n\
         10 remove pod shop [after 4, 5, 6, 8, 9] because it was asked for\n"
    );
    world.converge(&wish, down(false));
    assert!(world.observed.containers.is_empty() && world.observed.networks.is_empty());
    assert_eq!(world.observed.volumes.len(), 1);
    assert_eq!(text(&world, &wish, down(false)), "warning: no resource found\n");
    world.converge(&wish, down(true));
    assert!(world.observed.volumes.is_empty());
}

#[test]
fn down_of_one_service_leaves_the_others_and_their_network() {
    let (mut world, wish) = chain();
    let wish = wish.with("db", |db| db.selected = false).with("api", |api| api.selected = false);
    let plan = world.converge(&wish, Verb::Down { whole: false, volumes: false, images: RemoveImages::None });
    assert_eq!(world.names(), ["shop-api-1", "shop-db-1"]);
    assert_eq!(world.observed.networks.len(), 1);
    assert!(plan.to_string().contains("resource is still in use (shop-api-1, shop-db-1)"), "{plan}");
}

#[test]
fn down_cleans_up_wherever_an_up_was_cut_off() {
    let (_, wish) = chain();
    let fresh = World::default();
    let plan = fresh.plan(&wish, &up(0));
    for count in 0..=plan.len() {
        let mut world = fresh.clone();
        world.apply_some(&plan, count);
        world.converge(&wish, Verb::Down { whole: true, volumes: true, images: RemoveImages::None });
        assert_eq!(world.observed, resource::Observed::default(), "after {count} steps");
    }
}

#[test]
fn down_leaves_orphans_unless_told() {
    let (mut world, _) = chain();
    let wish = wish(&["db"]).volume("db", "data");
    let verb = Verb::Down { whole: true, volumes: false, images: RemoveImages::None };
    let plan = world.plan(&wish, &Policy::new(verb.clone(), model::at(world.now + 100)));
    assert!(!plan.to_string().contains("remove pod"), "{plan}");
    let policy = Policy { orphans: Orphans::Remove, ..Policy::new(verb, model::at(world.now + 100)) };
    world.converge_with(&wish, &policy, 0);
    assert!(world.observed.containers.is_empty() && world.observed.pod.is_none());
}

#[test]
fn kill_pause_and_remove_take_what_they_can() {
    let (mut world, wish) = chain();
    assert!(
        text(&world, &wish, Verb::Kill { signal: 9 }).starts_with("1 kill shop-db-1 with signal 9 because")
    );
    world.converge(&wish, Verb::Pause);
    assert_eq!(text(&world, &wish, Verb::Pause), "");
    assert!(text(&world, &wish, Verb::Up).starts_with("1 unpause shop-db-1 because it is paused\n"));
    world.converge(&wish, Verb::Unpause);
    let remove = |stop| Verb::Remove { stop, volumes: false };
    assert_eq!(text(&world, &wish, remove(false)), "warning: no resource found\n");
    world.converge(&wish, remove(true));
    assert!(world.observed.containers.is_empty());
}
