//! Scenarios about images for several platforms.

use scenarios::{Depot, World, scenario};
use serde_json::Value;
use std::collections::BTreeSet;

scenario! {
    /// An image is built for each platform of `build.platforms`, steps for this machine's own run on it,
    /// builds that take files from it get those for their platform, and a push makes one name of all of them.
    /// What is built to be run here is built for one. Results of all go into the cache together.
    an_image_is_built_for_several_platforms, |world| {
        let depot = Depot::start(None);
        world.write(".env", &format!("HOST={}\n", depot.host()));
        let name = format!("{}/web", depot.host());
        world.compose("build").ok().says("[web linux/arm64").says("[web linux/amd64").says("[reader");
        assert_eq!(world.compose("run --rm -T reader").ok().stdout, "for arm64\nfor amd64\n");
        for architecture in ["arm64", "amd64"] {
            assert_eq!(inspected(world, &name, architecture)["Architecture"], architecture);
        }
        let listed = world.compose("image ls --format json").ok().stdout;
        assert!(listed.contains("linux/arm64") && listed.contains("linux/amd64"), "{listed}");

        world.compose("push web").ok();
        let index = depot.manifest("web", "latest").unwrap();
        let named = |at: usize| {
            let entry = &index["manifests"][at];
            assert!(depot.manifest("web", entry["digest"].as_str().unwrap()).is_some(), "{index:#}");
            format!("{} {}", entry["platform"]["os"].as_str().unwrap(), entry["platform"]["architecture"].as_str().unwrap())
        };
        let mut platforms = [named(0), named(1)];
        platforms.sort();
        assert_eq!(platforms, ["linux amd64", "linux arm64"], "{index:#}");
        assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2), "{index:#}");

        // A name stands for all that it has here, unless one is asked for.
        world.compose(&format!("image push {name} {name}:all")).ok();
        let digests = |index: &Value| {
            let entries = index["manifests"].as_array().unwrap().iter();
            entries.map(|entry| entry["digest"].to_string()).collect::<BTreeSet<_>>()
        };
        assert_eq!(digests(&depot.manifest("web", "all").unwrap()), digests(&index));
        world.compose(&format!("image push --platform linux/arm64 {name} {name}:one")).ok();
        assert!(depot.manifest("web", "one").unwrap()["config"].is_object());
        world.compose(&format!("image push --platform linux/s390x {name}")).exits(1).says("for linux/s390x");

        world.compose("system prune --all --force").ok();
        let built = world.compose("build --push web").ok();
        assert_eq!(built.stderr.matches("CACHED").count(), 4, "{}", built.stderr);
        assert_eq!(depot.manifest("web", "latest").unwrap()["manifests"].as_array().map(Vec::len), Some(2));
        world.compose("system prune --all --force").ok();
        world.compose("create --build reader").ok();
        let listed = world.compose("image ls --format json").ok().stdout;
        assert!(listed.contains("linux/arm64") != listed.contains("linux/amd64"), "{listed}");
        world.compose("push web").ok().says("is pushed without linux/");
    }
}

fn inspected(world: &World, name: &str, architecture: &str) -> Value {
    let output = world.compose(&format!("image inspect --platform linux/{architecture} {name}")).ok().stdout;
    serde_json::from_str::<Value>(&output).unwrap()[0].clone()
}
