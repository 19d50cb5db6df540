//! Scenarios about results of build steps in registries.

use crate::pushing::run;
use scenarios::{Depot, scenario};

/// `user:secret`, as HTTP has it.
const LOGIN: &str = "dXNlcjpzZWNyZXQ=";

scenario! {
    /// Results of steps go to a registry by who may write there, those of all stages where it is asked for, or
    /// with the image itself; an engine that has none takes them from there and does nothing again. A registry
    /// that cannot be asked is told of, and the build goes on without.
    results_of_steps_travel_through_registries, |world| {
        let depot = Depot::start(Some(LOGIN));
        let compose = |line: &str| run(world, &depot, line);
        let forget = || compose("system prune --all --force").ok();
        compose("build web").exits(1).says("cannot write the cache").says(&depot.host());
        assert_eq!(depot.manifest("team/cache", "main"), None);
        let password = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{LOGIN}\"}}}}}}", depot.host());
        world.write("auth.json", &password);
        compose("build web").ok();
        let layers = || depot.manifest("team/cache", "main").unwrap()["layers"].as_array().unwrap().len();
        assert_eq!(layers(), 3, "two that were drawn and one that was copied");
        let first = compose("run --rm -T web").ok().stdout;
        forget();
        depot.asked();
        let built = compose("build web").ok();
        assert!(!built.stderr.contains("drawing"), "{}", built.stderr);
        assert_eq!(compose("run --rm -T web").ok().stdout, first);
        let asked = depot.asked();
        let blobs = asked.iter().filter(|line| line.starts_with("GET /v2/team/cache/blobs/"));
        assert_eq!(blobs.count(), 4, "the configuration and each layer once: {asked:#?}");
        world.edit("compose.yaml", "mode=max", "mode=min");
        compose("build web").ok();
        assert_eq!(layers(), 2);

        // With the image, for who pushes it.
        compose("build --push own").ok();
        let first = compose("run --rm -T own").ok().stdout;
        forget();
        let built = compose("build own").ok();
        assert!(!built.stderr.contains("drawing"), "{}", built.stderr);
        assert_eq!(compose("run --rm -T own").ok().stdout, first);

        forget();
        world.edit("compose.yaml", "[\"${DEPOT:-127.0.0.1:1}/team/own:1\"]", "[\"127.0.0.1:1/nobody\"]");
        let built = compose("build own").ok().says("the cache 127.0.0.1:1/nobody").says("drawing");
        assert_eq!(built.stderr.matches("the cache 127.0.0.1:1/nobody").count(), 1, "{}", built.stderr);
        world.edit("compose.yaml", "type=inline", "type=registry");
        compose("build own").exits(1).says("names no image");
    }
}
