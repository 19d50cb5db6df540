//! Scenarios about images: their names, what is known of them, and clearing them away.

use scenarios::scenario;
use serde_json::Value;

scenario! {
    /// An image has as many names as it is given; inspect and history tell what its configuration says, also of
    /// an image that is only in its registry; what a container uses is not pruned, and what nothing uses goes.
    images_are_named_shown_and_cleared, |world| {
        let name = "busybox";
        let image = |arguments: &[&str]| world.run(&[&["image"], arguments].concat(), "");
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let there = parsed(&image(&["inspect", "--remote", name]).ok().stdout);
        assert_eq!(image(&["ls", "--quiet"]).ok().stdout, "", "looking at a registry keeps nothing");
        world.compose("up -d").ok();
        image(&["tag", name, "localhost/mine:1"]).ok();
        image(&["tag", "localhost/mine:1", "localhost/mine:2"]).ok();
        image(&["tag", "localhost/mine:1", "localhost/mine@sha256:00"]).exits(1);
        image(&["tag", "localhost/nobody", "localhost/mine:3"]).exits(1).says("there is no image");
        let here = parsed(&image(&["inspect", "localhost/mine:2"]).ok().stdout);
        assert_eq!(here[0]["Id"], there[0]["Id"]);
        assert_eq!(here[0]["Config"], there[0]["Config"]);
        assert_eq!(here[0]["RootFS"], there[0]["RootFS"]);
        assert_eq!(here[0]["RepoTags"].as_array().unwrap().len(), 3);
        let steps = parsed(&image(&["history", "--format", "json", name]).ok().stdout);
        let sizes: u64 = steps.as_array().unwrap().iter().map(|step| step["Size"].as_u64().unwrap()).sum();
        assert_eq!(Some(sizes), here[0]["Size"].as_u64());
        image(&["prune", "--all", "--force"]).ok();
        assert_eq!(image(&["ls", "--format", "json"]).ok().stdout.matches("\"ID\"").count(), 3, "a container uses it");
        let usage = |kind: &str| {
            let rows = parsed(&world.compose("system df --format json").ok().stdout);
            let row = rows.as_array().unwrap().iter().find(|row| row["Type"] == kind).unwrap().clone();
            (row["TotalCount"].as_u64().unwrap(), row["Active"].as_u64().unwrap(), row["Reclaimable"] == 0)
        };
        assert_eq!(usage("Images"), (1, 1, true));
        assert_eq!(usage("Containers").0, 1);
        world.compose("down -t 0").ok();
        assert_eq!(usage("Images"), (1, 0, false));
        let asked = world.run(&["image", "prune", "--all"], "n\n").ok();
        assert_eq!(asked.stdout, "", "a no removes nothing");
        image(&["rm", "localhost/mine:1"]).ok();
        image(&["inspect", "localhost/mine:2"]).ok();
        world.compose("system prune --all --force").ok().says("Total reclaimed space");
        assert_eq!(image(&["ls", "--quiet"]).ok().stdout, "");
        assert_eq!(std::fs::read_dir(world.roots().data.join("layers")).unwrap().count(), 0);
    }
}
