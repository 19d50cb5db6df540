//! The first round: which images are fetched.

mod model;

use model::{World, at, digest, wish};
use resource::{Image, ImageConfig, Observed, Platform, PullPolicy, Reference};

fn image(reference: &str, tagged: i64) -> Image {
    Image {
        id: digest(5),
        manifest: digest(6),
        reference: Reference::parse(reference).expect("a reference"),
        platform: Platform::host(),
        layers: vec![],
        size: 0,
        created: None,
        tagged: at(tagged),
        config: ImageConfig::default(),
        passwd: String::new(),
        group: String::new(),
    }
}

fn text(policy: PullPolicy, observed: &Observed) -> String {
    let wish = wish(&["a"]).with("a", |a| a.image.policy = policy);
    plan::plan_images(&wish.0, observed, at(100)).to_string()
}

#[test]
fn each_policy_asks_when_it_should() {
    let none = World::default().observed;
    let here = Observed { images: vec![image("a:1", 0)], ..Observed::default() };
    let pull = "1 pull a:1 because it does not exist\n";
    assert_eq!(text(PullPolicy::Missing, &none), pull);
    assert_eq!(text(PullPolicy::Missing, &here), "");
    assert_eq!(text(PullPolicy::Always, &here), "1 pull a:1 because its pull policy is always\n");
    assert_eq!(
        text(PullPolicy::Every(60), &here),
        "1 pull a:1 because it is older than its pull policy allows\n"
    );
    assert_eq!(text(PullPolicy::Every(200), &here), "");
    assert_eq!(text(PullPolicy::Never, &here), "");
    assert_eq!(
        text(PullPolicy::Never, &none),
        "error: image a:1 of service \"a\" is not here, and its pull policy is `never`\n"
    );
    assert!(text(PullPolicy::Build, &none).starts_with("error: image a:1 of service \"a\" has to be built"));
}

#[test]
fn an_image_of_several_services_is_fetched_once_and_one_of_another_platform_does_not_count() {
    let reference = Reference::parse("same:1").expect("a reference");
    let wish = wish(&["a", "b"])
        .with("a", |a| a.image.reference = reference.clone())
        .with("b", |b| b.image.reference = reference.clone());
    let plan = plan::plan_images(&wish.0, &Observed::default(), at(0));
    assert_eq!(plan.to_string(), "1 pull same:1 because it does not exist\n");
    let other = Platform::parse("linux/riscv64").expect("a platform");
    let wish = wish.with("b", |b| b.image.platform = Some(other));
    let here = Observed { images: vec![image("same:1", 0)], ..Observed::default() };
    assert_eq!(plan::plan_images(&wish.0, &here, at(0)).len(), 1);
}
