//! Services that a program provides: when it is asked, and what waits for it.

mod model;

use model::{Wish, World, up, wish};
use plan::{Policy, Provided, RemoveImages, Verb};
use resource::{Answers, Condition, ProviderSpec, label};

/// `web` needs `db`, which is provided and needs `base` healthy; `other` needs nothing.
fn shop() -> Wish {
    let wish = wish(&["base", "other", "db", "web"]).healthy("base");
    wish.depends("db", "base", Condition::Healthy).depends("web", "db", Condition::Healthy).with("db", |db| {
        db.replicas = 0;
        db.container.endpoints.clear();
        db.provider = Some(ProviderSpec {
            kind: "cloud".to_owned(),
            options: [].into(),
            place: "compose.yaml:7:9".to_owned(),
            options_place: "compose.yaml:8:9".to_owned(),
            definition: "{}".to_owned(),
        });
    })
}

fn provided(policy: Policy, provided: Provided) -> Policy {
    Policy { provided: [("db".to_owned(), provided)].into(), ..policy }
}

fn done() -> Provided {
    Provided::Done(Answers::default())
}

fn failed() -> Provided {
    Provided::Failed { said: "no".to_owned(), help: None, place: "compose.yaml:7:9".to_owned() }
}

/// The steps of a plan that are about these, without the others' numbers.
fn about(plan: &plan::Plan, words: &[&str]) -> Vec<String> {
    let steps = plan.steps().map(|(_, planned)| planned.step.to_string());
    steps.filter(|step| words.iter().any(|word| step.contains(word))).collect()
}

fn running(wish: &Wish) -> World {
    let mut world = World::default();
    let policy = provided(up(world.now), done());
    world.converge_with(wish, &policy, 0);
    world.now += 100;
    world
}

#[test]
fn a_provider_is_asked_after_what_it_needs_and_before_what_needs_it_is_made() {
    let plan = World::default().plan(&shop(), &up(0)).to_string();
    let line = |start: &str| {
        let line =
            plan.lines().find(|line| line.split_once(' ').is_some_and(|(_, rest)| rest.starts_with(start)));
        line.unwrap_or_else(|| panic!("no {start:?} in\n{plan}")).split(' ').next().unwrap().to_owned()
    };
    let (healthy, ask) = (line("await shop-base-1 healthy"), line("run provider cloud: up db"));
    let (create, start) = (line("create shop-web-1"), line("start shop-web-1"));
    assert!(plan.contains(&format!("{ask} run provider cloud: up db [after {healthy}] because")), "{plan}");
    assert!(plan.contains(&format!(", {ask}] because it does not exist")), "{plan}");
    assert!(plan.contains(&format!("{start} start shop-web-1 [after {ask}, {create}]")), "{plan}");
}

#[test]
fn one_that_has_answered_is_not_asked_again_and_what_needs_it_is_made() {
    let wish = shop();
    let world = running(&wish);
    assert_eq!(world.observed.containers.len(), 3);
    let plan = world.plan(&wish, &provided(up(world.now), done()));
    assert!(plan.is_empty(), "{plan}");
    // Asked again, nobody is touched before it has answered.
    assert_eq!(about(&world.plan(&wish, &up(world.now)), &[""]), ["run provider cloud: up db"]);
}

#[test]
fn other_answers_make_what_depends_on_them_anew_and_are_compared_when_they_are_known() {
    let world = running(&shop());
    let mut other = shop();
    // The definition in the file is the same.
    let web = other.service("web");
    web.container.labels.insert(label::PROVIDED.to_owned(), "other".to_owned());
    web.container.process.environment.insert("DB_URL".to_owned(), Some("new".to_owned()));
    let because = "because environment of `web` changed: DB_URL";
    let plan = world.plan(&other, &provided(up(world.now), done())).to_string();
    assert!(plan.contains(because) && !plan.contains("base"), "{plan}");
    let assumed = Provided::Assumed(Answers::default());
    let plan = world.plan(&other, &provided(up(world.now), assumed)).to_string();
    assert!(plan.contains(because) && plan.contains("run provider"), "{plan}");
    let plan = world.plan(&other, &up(world.now));
    assert_eq!(about(&plan, &[""]), ["run provider cloud: up db"], "{plan}");
}

#[test]
fn one_that_fails_keeps_from_starting_who_needs_it_and_nobody_else() {
    let world = World::default();
    let plan = world.plan(&shop(), &provided(up(0), failed()));
    assert_eq!(plan.failures.iter().map(ToString::to_string).collect::<Vec<_>>(), ["service \"db\": no"]);
    assert_eq!(plan.failures[0].place(), Some("compose.yaml:7:9"));
    assert_eq!(about(&plan, &["web"]), [] as [&str; 0]);
    assert_eq!(about(&plan, &["other"]), ["create shop-other-1", "start shop-other-1"]);

    let optional =
        shop().with("web", |web| web.depends_on[0].required = false).with("db", |db| db.selected = false);
    let plan = world.plan(&optional, &provided(up(0), failed()));
    assert!(plan.failures.is_empty(), "{plan}");
    assert_eq!(about(&plan, &["web"]), ["create shop-web-1", "start shop-web-1"]);
    assert_eq!(plan.warnings.len(), 1, "{plan}");
}

#[test]
fn where_nothing_is_started_one_that_needs_a_container_is_not_asked() {
    let create = Policy::new(Verb::Create, model::at(0));
    let plan = World::default().plan(&shop(), &create);
    assert_eq!(about(&plan, &["provider", "web"]), [] as [&str; 0]);
    assert!(plan.to_string().contains("warning: service web is not created"), "{plan}");
    let free = shop().with("db", |db| db.depends_on.clear());
    let plan = World::default().plan(&free, &create);
    assert_eq!(about(&plan, &["provider", "web"]), ["run provider cloud: up db", "create shop-web-1"]);
}

#[test]
fn it_ends_its_service_after_what_needs_it_and_before_what_it_needs() {
    let world = running(&shop());
    for (verb, act) in [
        (Verb::Stop, "stop"),
        (Verb::Down { whole: true, volumes: false, images: RemoveImages::None }, "down"),
    ] {
        let policy = Policy::new(verb, model::at(world.now));
        let plan = world.plan(&shop(), &policy);
        let number = |start: &str| {
            let found = plan.steps().find(|(_, planned)| planned.step.to_string() == start);
            found.map(|(id, _)| id).unwrap_or_else(|| panic!("no {start:?} in\n{plan}"))
        };
        let ask = number(&format!("run provider cloud: {act} db"));
        assert!(plan.before(ask).contains(&number("stop shop-web-1")), "{plan}");
        assert!(plan.before(number("stop shop-base-1")).contains(&ask), "{plan}");
        // A failure keeps nothing else from ending.
        let plan = world.plan(&shop(), &provided(policy, failed()));
        assert_eq!(about(&plan, &["provider"]), [] as [&str; 0]);
        assert!(plan.to_string().contains("stop shop-base-1") && plan.failures.len() == 1, "{plan}");
    }
    for verb in [Verb::Start, Verb::Restart { no_deps: false }, Verb::Remove { stop: true, volumes: false }] {
        let plan = world.plan(&shop(), &Policy::new(verb, model::at(world.now)));
        assert_eq!(about(&plan, &["provider"]), [] as [&str; 0], "{plan}");
    }
}
