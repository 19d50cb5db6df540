//! Scenarios about `compose lock` and `--frozen`.

use scenarios::{
    MovingRegistry, World, architecture, image_index as index, scenario, telling_image as telling,
};
use serde_json::Value;

const APP: &str = "team/app:1";
const BASE: &str = "team/base:1";

/// A registry that this world's project takes its images from.
fn registry(world: &World) -> MovingRegistry {
    let registry = MovingRegistry::new();
    world.write(".env", &format!("REGISTRY={}\n", registry.address()));
    registry
}

/// Moves both tags to images that tell a text.
fn publish(registry: &MovingRegistry, text: &str) {
    let foreign = if architecture() == "amd64" { "arm64" } else { "amd64" };
    let (own, other) = (telling("", text, None), telling("", text, Some(foreign)));
    registry.put(index(APP, &[(architecture(), &own), (foreign, &other)]));
    registry.put(own);
    registry.put(other);
    registry.put(telling(BASE, text, None));
}

fn told(world: &World) -> String {
    world.compose("exec -T web cat /told").ok().stdout
}

fn lock(world: &World) -> String {
    std::fs::read_to_string(world.project().join("compose.lock")).unwrap()
}

scenario! {
    /// The lock has the digest of every image for every platform, also of what builds stand on and of services
    /// that are not enabled. With `--frozen` these images are used whatever their tags mean meanwhile, and no
    /// container is made anew because of the flag alone; what is in no lock is refused with both places,
    /// before anything is done; a lock is renewed where that is asked for.
    images_are_held_to_the_lock, |world| {
        let registry = registry(world);
        publish(&registry, "one\n");
        world.compose("up -d --frozen").exits(1).says("there is no lock").says("compose lock");
        world.compose("lock --check").exits(1).says("there is no `compose.lock`");
        world.compose("--dry-run lock").ok().says("added");
        assert!(!world.project().join("compose.lock").exists());
        world.compose("lock").ok().says("compose.lock holds 2 images");
        let first = lock(world);
        assert_eq!(first.matches("linux/amd64: sha256:").count() + first.matches("linux/arm64: sha256:").count(), 3);
        assert!(first.contains(BASE), "{first}");
        world.compose("lock").ok().says("up to date");
        world.compose("lock --check").ok();

        world.compose("up -d --frozen").ok();
        let id = world.id("web");
        assert_eq!(told(world), "one\n");
        assert_eq!(world.compose("--profile extra run --rm --frozen -T made").ok().stdout, "one\nstep\n");
        publish(&registry, "two\n");
        for line in ["up -d --frozen", "up -d --frozen --pull always", "pull --frozen", "create --frozen"] {
            world.compose(line).ok();
        }
        assert_eq!((world.id("web"), lock(world)), (id, first.clone()));

        // The flag alone makes no container anew, another image does.
        world.compose("pull").ok();
        world.compose("up -d").ok();
        assert_eq!(told(world), "two\n");
        world.compose("up -d --frozen").ok();
        assert_eq!(told(world), "one\n");
        world.compose("down").ok();
        world.compose("system prune --all --force").ok();
        world.write(".env", &format!("REGISTRY={}\nCOMPOSE_FROZEN=1\n", registry.address()));
        world.compose("up -d").ok();
        assert_eq!(told(world), "one\n");
        world.compose("--profile extra build").ok();
        assert_eq!(world.compose("--profile extra run --rm -T made").ok().stdout, "one\nstep\n");

        world.compose("lock --update nobody").exits(1).says("no such service: nobody");
        let renewed = world.compose("lock --update web --format json").ok().stdout;
        let renewed: Value = serde_json::from_str(&renewed).unwrap();
        let states: Vec<_> = renewed["images"].as_array().unwrap().iter().map(|image| image["state"].clone()).collect();
        assert_eq!(states, ["updated", "kept"], "{renewed}");
        world.compose("up -d").ok();
        assert_eq!(told(world), "two\n");
        let id = world.id("web");
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        world.compose("up -d").ok();
        world.compose("pull").ok();
        world.compose("up -d").ok();
        assert_eq!(world.id("web"), id, "it is the same image, with its digest written or not");
        world.compose("lock --update").ok().says("updated");

        refuse(world, &registry, &id);
    }
}

/// What is in no lock, or there otherwise, is refused by every command, and nothing is done.
fn refuse(world: &World, registry: &MovingRegistry, id: &str) {
    registry.put(telling("team/other:1", "other\n", None));
    world.edit("compose.yaml", APP, "team/other:1");
    for line in
        ["up -d --frozen", "create --frozen", "pull --frozen", "run --rm --frozen web true", "plan --frozen"]
    {
        world
            .compose(line)
            .exits(1)
            .says("is not in the lock")
            .says("compose.yaml:4:12")
            .says("compose.lock:4:1");
    }
    world
        .compose("lock --check")
        .exits(1)
        .says("is not in the lock")
        .says("stale-lock")
        .says("compose.lock:5:3");
    assert_eq!(world.id("web"), id);
    world.edit("compose.yaml", "team/other:1", APP);
    world.edit("built/Dockerfile", "FROM ${REGISTRY}/team/base:1\n", "FROM ${REGISTRY}/team/other:1\n");
    let line = "--profile extra build --frozen";
    world.compose(line).exits(1).says("is not in the lock").says("Dockerfile:3:6").says("compose.lock:4:1");
    world.compose("up -d --frozen").ok();

    let digest = telling("", "one\n", None).digest;
    world.edit("compose.yaml", APP, &format!("{APP}@{digest}"));
    world
        .compose("up -d --frozen")
        .exits(1)
        .says("lock-differs")
        .says("compose.yaml:4:12")
        .says("compose.lock:5:3");
    world.edit("compose.yaml", &format!("@{digest}"), "");
    world.edit("compose.yaml", "# PLATFORM", "platform: linux/s390x");
    world.compose("up -d --frozen").exits(1).says("has no digest of").says("linux/s390x");
    world.compose("lock").exits(1).says("the registry has no").says("compose.yaml:4:12");
    world.edit("compose.yaml", "platform: linux/s390x", "# PLATFORM");
    assert_eq!(world.id("web"), id);
}

scenario! {
    /// A lock that is damaged, of a newer program or of another project is shown at its line and obeyed by
    /// nobody; it is not overwritten either.
    a_lock_that_makes_no_sense_is_shown, |world| {
        let registry = registry(world);
        publish(&registry, "one\n");
        world.compose("lock").ok();
        let good = lock(world);
        let conflict = good.replace("  127.0.0.1", "<<<<<<< HEAD\n=======\n>>>>>>> theirs\n  127.0.0.1");
        let bad = [
            (String::new(), "the lock is empty"),
            (good[..good.len() - 20].to_owned(), "compose.lock:9:5"),
            (good[..good.find("project").unwrap() + 4].to_owned(), "compose.lock:3:1"),
            ("\0\u{1}garbage".to_owned(), "compose.lock:1:1"),
            (conflict, "two sides of a merge"),
            (good.replace("version: 1", "version: 7"), "version 7"),
            (good.replace("project: held", "project: else"), "of project `else`, not of `held`"),
        ];
        for (text, says) in bad {
            world.write("compose.lock", &text);
            for line in ["up -d --frozen", "lock", "lock --check", "lock --update"] {
                world.compose(line).exits(1).says(says);
            }
            assert_eq!(lock(world), text);
        }
        assert_eq!(world.rows().len(), 0, "nothing was made");
        // Under another name for once it is the same project.
        world.write("compose.lock", &good);
        world.compose("-p once lock").ok().says("up to date");
        world.compose("-p once pull --frozen").ok();
        registry.go_away();
        world.compose("lock --update").exits(1).says("service `web` (compose.yaml:4:12): cannot lock the image");
        assert_eq!(lock(world), good);
    }
}
