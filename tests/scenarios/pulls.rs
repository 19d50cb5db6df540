//! Scenarios about when images are pulled: policies, platforms, and how often a registry is asked.

use scenarios::{
    MovingRegistry, World, architecture, image_index as index, scenario, telling_image as telling, until,
};

const APP: &str = "team/app:1";
const BASE: &str = "team/base:1";

/// Moves the tags to images that tell a text, and a text of its own on another architecture.
fn publish(registry: &MovingRegistry, text: &str) {
    let foreign = foreign();
    let elsewhere = format!("{text} elsewhere");
    let (own, other) = (telling("", text, None), telling("", &elsewhere, Some(foreign)));
    registry.put(index(APP, &[(architecture(), &own), (foreign, &other)]));
    registry.put(own);
    registry.put(other);
    registry.put(telling(BASE, text, None));
}

/// An architecture that is not this machine's.
fn foreign() -> &'static str {
    if architecture() == "amd64" { "arm64" } else { "amd64" }
}

/// The settings of the project: where the registry is, and the policy of `app`.
fn set(world: &World, registry: &MovingRegistry, policy: &str) {
    world.write(".env", &format!("REGISTRY={}\nPOLICY={policy}\n", registry.address()));
}

fn told(world: &World) -> String {
    world.compose("exec -T app cat /told").ok().stdout
}

scenario! {
    /// An image of several services is fetched once, and images are fetched side by side. A policy decides
    /// whether a registry is asked again; a flag is stronger; an image for another platform counts as none, and
    /// `DOCKER_DEFAULT_PLATFORM` says which one is meant where the file does not.
    images_are_pulled_as_the_policy_says, |world| {
        let registry = MovingRegistry::new();
        publish(&registry, "one");
        set(world, &registry, "missing");
        registry.gather(2);
        world.compose("up -d").ok().says("Pulled");
        assert!(registry.gathered(), "one image waited for the other");
        let (asked, image) = (registry.asked(), telling("", "one", None));
        let (_, layers) = image.blobs.split_last().unwrap();
        for (layer, _) in layers {
            assert_eq!(asked.iter().filter(|path| path.ends_with(layer.as_str())).count(), 1, "{asked:?}");
        }
        assert_eq!(told(world), "one");

        let asks = |line: &str| {
            drop(registry.asked());
            world.compose(line).ok();
            !registry.asked().is_empty()
        };
        publish(&registry, "two");
        assert!(!asks("up -d"));
        set(world, &registry, "always");
        assert!(asks("up -d"));
        assert_eq!(told(world), "two");
        publish(&registry, "three");
        for policy in ["never", "weekly", "if_not_present"] {
            set(world, &registry, policy);
            assert!(!asks("up -d"), "{policy}");
        }
        assert!(!asks("pull --policy missing"));
        assert_eq!(told(world), "two");
        let quiet = world.compose("up -d --pull always --quiet-pull").ok();
        assert!(!quiet.stderr.contains("Pulled"), "{}", quiet.stderr);
        assert_eq!(told(world), "three");
        publish(&registry, "four");
        set(world, &registry, "every_1s");
        until("a second has gone by", || asks("up -d").then_some(()));
        assert_eq!(told(world), "four");
        set(world, &registry, "daily");

        world.edit("compose.yaml", "# PLATFORM", &format!("platform: linux/{}", foreign()));
        assert!(asks("pull app"));
        world.compose("create app").ok();
        let copied = world.project().join("told");
        world.run(&["cp", "app:/told", copied.to_str().unwrap()], "").ok();
        assert_eq!(std::fs::read_to_string(&copied).unwrap(), "four elsewhere");
        world.edit("compose.yaml", &format!("platform: linux/{}", foreign()), "platform: linux/s390x");
        world.compose("up -d").exits(1).says("s390x").says("compose.yaml:4:");
        world.edit("compose.yaml", "platform: linux/s390x", "# PLATFORM");
        let by_default = |platform: &str| {
            let settings = format!("REGISTRY={}\nPOLICY=daily\nDOCKER_DEFAULT_PLATFORM={platform}\n", registry.address());
            world.write(".env", &settings);
        };
        by_default("");
        world.compose("up -d app").ok();
        assert_eq!(told(world), "four");
        by_default(&format!("linux/{}", foreign()));
        world.compose("create app").ok();
        world.run(&["cp", "app:/told", copied.to_str().unwrap()], "").ok();
        assert_eq!(std::fs::read_to_string(&copied).unwrap(), "four elsewhere");
        by_default("linux/arm/v7/more");
        world.compose("create app").exits(1).says("DOCKER_DEFAULT_PLATFORM is `linux/arm/v7/more`, which is no platform");

        // What can be built is asked for first.
        drop(registry.asked());
        set(world, &registry, "missing");
        world.compose("up -d built").ok().says("team/built:1 Not pulled").says("it is built");
        assert!(registry.asked().iter().any(|path| path.contains("team/built")));
        assert_eq!(world.compose("exec -T built cat /told").ok().stdout, "built");
        registry.put(telling("team/built:1", "published", None));
        world.compose("up -d -t 0 built").ok();
        assert_eq!(world.compose("exec -T built cat /told").ok().stdout, "built");
        world.compose("up -d -t 0 --pull always built").ok().says("team/built:1 Pulled");
        assert_eq!(world.compose("exec -T built cat /told").ok().stdout, "published");
        world.compose("rm -s -f built").ok();

        set(world, &registry, "never");
        world.compose("down -t 0").ok();
        world.compose("image prune --all --force").ok();
        world.compose("up -d").exits(1).says("pull policy").says("compose.yaml:4:");
        registry.go_away();
        set(world, &registry, "missing");
        world.compose("pull").exits(1);
        world.compose("pull --ignore-pull-failures").ok();
    }
}
