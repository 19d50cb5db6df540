//! Scenarios about what the Compose file and the command line say of a build.

use scenarios::{World, scenario};
use serde_json::Value;

scenario! {
    /// Every key of `build` counts: the instructions in the file, arguments, labels, tags, the stage wanted,
    /// network, hosts, memory and limits of steps, rights, secrets of variables, stages that are always done
    /// again, fresh base images, platforms; what has no effect is said.
    every_key_of_a_build_counts, |world| {
        world.write(".env", "WORD_OF_SECRET=whispered\n");
        world.compose("build server").ok();
        world.compose("up -d server").ok();
        let built = world.compose("build keys").ok().says("of the file");
        for (key, why) in [("isolation", "Windows"), ("provenance", "no attestations"), ("sbom", "no attestations")] {
            assert!(built.stderr.contains(&format!("build.{key}")) && built.stderr.contains(why), "{}", built.stderr);
        }
        assert!(!built.stderr.contains("unwanted"), "{}", built.stderr);
        world.compose("up -d").ok();
        assert_eq!(
            inside(world, "cat /secret /shm /limits /page; echo; cat /hosts"),
            "whispered32768\n123\n456\na page\n\n192.0.2.7\tthere\n"
        );
        let images = world.compose("image ls --format json").ok().stdout;
        let image = &inspected(world, "example.com/keys:1")["Id"];
        for name in ["example.com/keys:2", "other.example.com/keys"] {
            assert_eq!(&inspected(world, name)["Id"], image, "{images}");
        }
        assert_eq!(inspected(world, "example.com/keys:1")["Config"]["Labels"]["own"], "label");

        // One stage is done again each time, the other is not; `--no-cache` does all of it again.
        let drawn = |world: &World| {
            let output = world.compose("run --rm --no-deps -T keys cat /drawn /kept").ok().stdout;
            let mut lines = output.lines().map(str::to_owned);
            (lines.next().unwrap(), lines.next().unwrap())
        };
        let first = drawn(world);
        world.compose("build keys").ok();
        let second = drawn(world);
        assert!(first.0 != second.0 && first.1 == second.1, "{first:?} {second:?}");
        world.compose("build --no-cache keys").ok();
        let third = drawn(world);
        assert_ne!(third.1, first.1);
        world.edit("compose.yaml", "no_cache_filter: drawn", "no_cache: true");
        world.compose("build keys").ok();
        assert_ne!(drawn(world).1, third.1);
        world.edit("compose.yaml", "no_cache: true", "no_cache_filter: drawn");
        flags(world);
        wrong_values(world);

        // What is here is taken, unless a fresh one is asked for.
        world.compose("image tag busybox 127.0.0.1:1/own").ok();
        world.compose("build pulled").ok();
        world.compose("build --pull pulled").exits(1).says("127.0.0.1:1");
        world.edit("compose.yaml", "# PULL", "pull: true");
        world.compose("build pulled").exits(1).says("127.0.0.1:1");
        // What cannot be executed is said before anything is fetched.
        world.compose("build foreign").exits(1).says("cannot be executed on this machine").says("linux/made-up");
        world.compose("build local").ok();
        assert_eq!(inspected(world, "--platform linux/made-up project-local")["Architecture"], "made-up");
    }
}

scenario! {
    /// Results of steps go to a folder, those of all stages where it is asked for, and are taken from there
    /// by an engine that has none, which then does nothing again; what is damaged there is made anew. The
    /// folder keeps what the last build had, and nothing else.
    results_of_steps_travel, |world| {
        world.compose("build").ok();
        let drawn = |world: &World| world.compose("run --rm -T web cat /one /two").ok().stdout;
        let first = drawn(world);
        let blobs = || {
            let entries = std::fs::read_dir(world.project().join("cache/blobs/sha256")).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
        };
        let count = blobs().len();
        world.compose("build").ok();
        assert_eq!(blobs().len(), count);
        forget(world);
        let built = world.compose("build").ok();
        assert!(!built.stderr.contains("drawing"), "{}", built.stderr);
        assert_eq!(drawn(world), first);

        // What was taken from a folder can be given on.
        std::fs::remove_dir_all(world.project().join("cache")).unwrap();
        world.compose("build").ok();
        forget(world);
        let built = world.compose("build").ok();
        assert!(!built.stderr.contains("drawing"), "{}", built.stderr);
        assert_eq!(drawn(world), first);

        // The layers are not what they should be: their steps are done again, and given again.
        let layers: Vec<_> = blobs().into_iter().filter(|path| !std::fs::read(path).unwrap().starts_with(b"{")).collect();
        assert_eq!(layers.len(), 3, "two that were drawn and one that was copied");
        for layer in &layers {
            std::fs::write(layer, "damaged").unwrap();
        }
        forget(world);
        world.compose("build").ok().says("the result in the cache cannot be used").says("drawing");
        assert_ne!(drawn(world), first);
        assert_eq!(blobs().len(), count);

        // Without the other stage's results it is done again, but for what was copied from it.
        world.edit("compose.yaml", "mode=max", "mode=min");
        world.compose("build").ok();
        assert_eq!(blobs().len(), count - 1);
        world.edit("compose.yaml", "type=local,dest", "type=s3,dest");
        world.compose("build").ok().says("build.cache_to").says("is no folder");
        world.edit("compose.yaml", "type=s3,dest=./cache,mode=min", "type=local");
        world.compose("build").exits(1).says("names no folder");
    }
}

/// Has the engine forget images and results.
fn forget(world: &World) {
    world.compose("system prune --all --force").ok();
}

fn inside(world: &World, script: &str) -> String {
    world.run(&["exec", "-T", "keys", "sh", "-c", script], "").ok().stdout
}

fn inspected(world: &World, image: &str) -> Value {
    let output = world.compose(&format!("image inspect {image}")).ok().stdout;
    serde_json::from_str::<Value>(&output).unwrap()[0].clone()
}

/// What is said of values that keys of `build` cannot have.
fn wrong_values(world: &World) {
    for (right, wrong, said) in [
        ("nofile: {soft: 123, hard: 456}", "nofiles: 5", "no limit `nofiles`"),
        (
            "nofile: {soft: 123, hard: 456}",
            "nofile: {soft: 5, hard: 4}",
            "the soft limit of `nofile` is above",
        ),
        ("shm_size: 32m", "shm_size: -5", "shm_size"),
        ("privileged: true", "entitlements: [security]", "no entitlement `security`; "),
    ] {
        world.edit("compose.yaml", right, wrong);
        world.compose("build keys").exits(1).says("--> compose.yaml:2").says(said);
        world.edit("compose.yaml", wrong, right);
    }
    world.edit("compose.yaml", "no_cache_filter: drawn", "no_cache_filter: [drawn, nostage]");
    world.compose("build keys").ok().says("compose.yaml:5:7: there is no stage `nostage` (no_cache_filter)");
    world.edit("compose.yaml", "no_cache_filter: [drawn, nostage]", "no_cache_filter: drawn");
    // A step may see the names of hosts: with others it is done again.
    world.edit("compose.yaml", "there=192.0.2.7", "nobody=192.0.2.7");
    world.compose("build keys").ok();
    assert_eq!(world.compose("run --rm --no-deps -T keys cat /hosts").ok().stdout, "");
    world.edit("compose.yaml", "nobody=192.0.2.7", "there=192.0.2.7");
    world.edit("compose.yaml", "network: inner", "network: outer");
    world.compose("build keys").exits(1).says("--> compose.yaml:1").says("compose network create outer");
    world.edit("compose.yaml", "network: outer", "network: inner");
    world.compose("build --ssh default=./nothing keys").ok();
    world.edit("compose.yaml", "RUN mkdir /web", "RUN --mount=type=ssh mkdir /web");
    world
        .compose("build --ssh default=./nothing server")
        .exits(1)
        .says("`default` of this build is not there");
    world.edit("compose.yaml", "RUN --mount=type=ssh mkdir /web", "RUN mkdir /web");
}

/// What flags of `build` do.
fn flags(world: &World) {
    world.compose("build --build-arg WORD=flag keys").ok().says("flag");
    // One that no build asks for is told.
    world
        .compose("build --build-arg WROD=flag keys server")
        .ok()
        .says("--build-arg: no `ARG` asks for `WROD`");
    let asked = world.compose("build --build-arg WORD=flag --build-arg BUILDKIT_X=1 keys server").ok();
    assert!(!asked.stderr.contains("asks for"), "{}", asked.stderr);
    let quiet = world.compose("build --quiet --no-cache server").ok();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let both = world.compose("build --with-dependencies keys").ok();
    assert!(both.stderr.contains("[server 2/2]") && both.stderr.contains("[keys wanted"), "{}", both.stderr);
    let alone = world.compose("build keys").ok();
    assert!(!alone.stderr.contains("[server"), "{}", alone.stderr);
    world.compose("build --memory 1g server").ok().says("--memory has no effect");
    for (flag, wrong) in
        [("--memory", "nonsense"), ("--provenance", "maximal"), ("--sbom", "nonsense"), ("--ssh", "own")]
    {
        world.compose(&format!("build {flag} {wrong} server")).exits(1).says(&format!("--> {flag}:1:1"));
    }
    world
        .compose("build --progress nonsense server")
        .exits(1)
        .says("--progress value `nonsense`")
        .says("plain, json");
    world.compose("build --provenance max --sbom true server").ok().says("--sbom has no effect");
    world.compose("build --builder other server").exits(1).says("there is one builder");
    world.compose("build --builder default server").ok();

    let events = world.compose("--progress json build --no-cache server").ok().stderr;
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let run = |event: &&Value| event["id"].as_str().is_some_and(|id| id.contains("[server 2/2] RUN mkdir"));
    let texts: Vec<&str> = events.iter().filter(run).map(|event| event["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Building", "Built"], "{events:#?}");

    let bake: Value = serde_json::from_str(&world.compose("build --print keys").ok().stdout).unwrap();
    let target = &bake["target"]["keys"];
    for (key, value) in [
        ("target", "wanted".into()),
        ("args", serde_json::json!({"WORD": "of the file"})),
        ("network", "inner".into()),
        ("shm-size", "33554432".into()),
        ("ulimits", serde_json::json!(["nofile=123:456"])),
        ("no-cache-filter", serde_json::json!(["drawn"])),
        ("entitlements", serde_json::json!(["security.insecure"])),
        ("secret", serde_json::json!(["id=given,type=env"])),
    ] {
        assert_eq!(target[key], value, "{key} of {bake:#}");
    }
    assert!(!bake.to_string().contains("whispered"), "{bake:#}");
}
