//! Scenarios about giving images to registries, and about who one is there.

use scenarios::{Depot, Output, World, scenario};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

/// `user:secret`, as HTTP has it.
const LOGIN: &str = "dXNlcjpzZWNyZXQ=";

scenario! {
    /// What is built is pushed under all its names, layer by layer, by who may; a dry run asks nobody. An image
    /// that was pulled has the same digest where it is pushed to; what a registry has is not sent again, and what
    /// another of its repositories has is taken over from there. Who pulls it gets what was pushed.
    images_are_pushed_and_keep_their_digests, |world| {
        let depot = Depot::start(Some(LOGIN));
        let compose = |line: &str| run(world, &depot, line);
        compose("push --dry-run").ok().says(&format!("push {}/team/app:1", depot.host()));
        assert_eq!(depot.asked(), [""; 0]);
        assert!(!world.roots().data.exists(), "a dry run keeps nothing");
        compose("push").exits(1).says("there is no image").says("compose build");
        compose("push --ignore-push-failures").ok().says("there is no image");

        compose("build").ok();
        compose("push").exits(1).says("cannot push").says("the registry");
        assert_eq!(depot.manifest("team/app", "1"), None);
        let password = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{LOGIN}\"}}}}}}", depot.host());
        world.write("auth.json", &password);
        compose("push").ok().says("busybox Skipped").says("Pushed digest: sha256:");
        let manifest = depot.manifest("team/app", "1").unwrap();
        assert_eq!(Some(&manifest), depot.manifest("team/app", "newest").as_ref());
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 3);
        assert!(layers.iter().all(|layer| layer["mediaType"].as_str().unwrap().ends_with("tar+gzip")));

        depot.asked();
        compose("push app").ok().says("Layer already exists");
        assert!(!depot.asked().iter().any(|line| line.starts_with("PATCH")), "it is all there");

        // Pulled and pushed as it is: the same digest, and what team/app has is not sent.
        compose("up -d plain").ok();
        let theirs = digest(&compose("image inspect --remote busybox").ok());
        let name = format!("{}/copies/busybox:1", depot.host());
        let pushed = compose(&format!("image push busybox {name}")).ok();
        assert_eq!(pushed.stdout.trim(), theirs);
        let asked = depot.asked();
        assert!(asked.contains(&"POST /v2/copies/busybox/blobs/uploads/?mount".to_owned()), "{asked:#?}");
        assert_eq!(asked.iter().filter(|line| line.starts_with("PATCH")).count(), 1, "the configuration: {asked:#?}");

        // Whoever pulls gets what was pushed.
        compose("down -t 0").ok();
        compose("system prune --all --force").ok();
        compose("pull app").ok();
        assert_eq!(compose("run --rm -T app").ok().stdout, "hello\nmade\n");

        world.write("greeting", "servus\n");
        compose("build --push app").ok();
        assert_ne!(depot.manifest("team/app", "1"), Some(manifest));
        assert_eq!(depot.manifest("team/app", "1"), depot.manifest("team/app", "newest"));
        compose("image push nothing").exits(1).says("there is no image");
    }
}

scenario! {
    /// A login is proved before it is kept, in a file that only its owner may read or with the credential helper
    /// that is configured; a password is never asked for where it could be seen; logging out forgets it, and says
    /// who else has it.
    a_login_is_proved_kept_and_forgotten, |world| {
        let depot = Depot::start(Some(LOGIN));
        let kept = world.project().join("kept/auth.json");
        let compose = |arguments: &[&str], input: &str| {
            let path = format!("{}:/usr/bin:/bin", world.project().display());
            let mut command = world.program();
            command.env("REGISTRY_AUTH_FILE", &kept).env("DOCKER_CONFIG", world.project()).env("PATH", path);
            command.args(arguments);
            world.finish(command, input)
        };
        let host = depot.host();
        let login = |password: &str| compose(&["login", "-u", "user", "--password-stdin", &host], password);
        let push = || compose(&["image", "push", "busybox", &format!("{host}/copies/busybox:1")], "");
        compose(&["up", "-d"], "").ok();

        compose(&["login", "-u", "user", &host], "secret\n").exits(1).says("--password-stdin");
        login("wrong\n").exits(1).says("does not accept this name and password");
        assert!(!kept.exists(), "nothing is kept of what was refused");
        push().exits(1).says(&format!("compose login {host}"));
        login("secret\n").ok().says("Login Succeeded");
        let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        push().ok();
        compose(&["logout", &host], "").ok().says("Removed login credentials");
        assert!(!std::fs::read_to_string(&kept).unwrap().contains(&host));
        push().exits(1).says("compose login");
        compose(&["logout", &host], "").ok().says("Not logged in");

        // With a helper nothing secret is in a file of ours.
        world.write("config.json", &format!("{{\"credHelpers\":{{\"{host}\":\"drawer\"}}}}"));
        login("secret").ok().says("docker-credential-drawer");
        assert!(!std::fs::read_to_string(&kept).unwrap().contains(&host));
        push().ok();
        compose(&["logout", &host], "").ok().says("Removed");
        let asked = std::fs::read_to_string(world.project().join("drawer.asked")).unwrap();
        assert!(asked.starts_with("store\n") && asked.ends_with("erase\n"), "{asked}");
        push().exits(1);
        // One that does not do its part is named where it was needed, and what it said is not repeated.
        world.write("drawer", "{hushed");
        let refused = push().exits(1).says("docker-credential-drawer get failed: its answer is no credential");
        assert!(!refused.stderr.contains("hushed"), "{}", refused.stderr);
        compose(&["logout", &host], "").exits(1).says("docker-credential-drawer get failed");
        world.write("config.json", "{\"credsStore\":\"lost\"}");
        push().exits(1).says("the registry wants a login; docker-credential-lost get failed: No such file");

        // What Docker keeps is used, and left to Docker.
        world.write("config.json", &format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"{LOGIN}\"}}}}}}"));
        push().ok();
        compose(&["logout", &host], "").ok().says("config.json still has credentials");
        push().ok();
    }
}

/// Runs `compose` beside a depot, with the credentials that the project has.
pub(crate) fn run(world: &World, depot: &Depot, line: &str) -> Output {
    let auth = world.project().join("auth.json");
    let mut command = world.program();
    command.env("DEPOT", depot.host()).args(line.split_whitespace());
    if auth.exists() {
        command.env("REGISTRY_AUTH_FILE", auth);
    }
    world.finish(command, "")
}

/// The digest of what `image inspect` has shown.
fn digest(shown: &Output) -> String {
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    shown[0]["RepoDigests"][0].as_str().unwrap().split_once('@').unwrap().1.to_owned()
}
