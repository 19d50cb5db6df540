//! Scenarios about images: their names, what is known of them, and clearing them away.

use scenarios::{MovingRegistry, layered_image, scenario};
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
        assert_eq!(here[0]["Digest"], there[0]["Digest"]);
        assert!(there[0]["RepoDigests"][0].as_str().unwrap().ends_with(there[0]["Digest"].as_str().unwrap()));
        assert_eq!(here[0]["RootFS"], there[0]["RootFS"]);
        assert_eq!(here[0]["RepoTags"].as_array().unwrap().len(), 3);
        // What it is told to have is what it can be named by.
        let digests = here[0]["RepoDigests"].as_array().unwrap();
        assert_eq!(digests.len(), 2, "each repository once: {digests:?}");
        for digest in digests.iter().chain([&here[0]["Id"]]) {
            let named = parsed(&image(&["inspect", digest.as_str().unwrap()]).ok().stdout);
            assert_eq!(named[0]["Id"], here[0]["Id"]);
        }
        let steps = parsed(&image(&["history", "--format", "json", name]).ok().stdout);
        let sizes: u64 = steps.as_array().unwrap().iter().map(|step| step["Size"].as_u64().unwrap()).sum();
        assert_eq!(Some(sizes), here[0]["Size"].as_u64());
        // The newest step is the image; nothing keeps those before.
        let ids = |flags: &[&str]| image(&[&["history"], flags, &[name]].concat()).ok().stdout;
        let id = here[0]["Id"].as_str().unwrap();
        let below = "<missing>\n".repeat(steps.as_array().unwrap().len() - 1);
        assert_eq!(ids(&["-q", "--no-trunc"]), format!("{id}\n{below}"));
        assert_eq!(ids(&["--format", "{{.ID}}"]), format!("{}\n{below}", &id["sha256:".len()..][..12]));
        assert_eq!(steps[0]["ID"], here[0]["Id"]);
        let exact: u64 = ids(&["--human=false", "--format", "{{.Size}}"]).lines().map(|size| size.parse::<u64>().unwrap()).sum();
        assert_eq!(exact, sizes);
        image(&["history", "--human=false", name]).ok().says("CREATED AT");
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
        let id = here[0]["Id"].as_str().unwrap();
        image(&["rm", id]).exits(1).says("`busybox:latest`").says("`localhost/mine:2`").says("--force");
        image(&["rm", "localhost/mine:1"]).ok();
        image(&["inspect", "localhost/mine:2"]).ok();
        world.compose("system prune --all --force").ok().says("Total reclaimed space");
        assert_eq!(image(&["ls", "--quiet"]).ok().stdout, "");
        assert_eq!(std::fs::read_dir(world.roots().data.join("layers")).unwrap().count(), 0);
    }
}

scenario! {
    /// What a layer has takes the place of what those below have, whatever either is; what it hides is gone with all
    /// that is in it, and comes back empty. A hard link to a file of a layer below is refused.
    layers_lie_over_each_other, |world| {
        let registry = MovingRegistry::new();
        let below: &[(&str, &str)] = &[
            ("t/", ""), ("t/folder/", ""), ("t/folder/in", "below"), ("t/file", "below"), ("t/target/", ""),
            ("t/target/in", "below"), ("t/link", "-> target"), ("t/gone/deep/", ""), ("t/gone/deep/in", "below"),
            ("t/again/", ""), ("t/again/in", "below"), ("t/opaque/", ""), ("t/opaque/in", "below"),
            ("t/late/", ""), ("t/late/in", "below"), ("t/merged/", ""), ("t/merged/in", "below"),
            ("t/kept", "below"), ("t/twin", "= t/kept"), ("t/alone", "below"), ("t/second", "= t/alone"),
        ];
        let above: &[(&str, &str)] = &[
            ("t/folder", "above"), ("t/file/", ""), ("t/file/in", "above"), ("t/link/", ""), ("t/link/in", "above"),
            ("t/.wh.gone", ""), ("t/.wh.again", ""), ("t/again/", ""), ("t/again/new", "above"),
            ("t/opaque/", ""), ("t/opaque/.wh..wh..opq", ""), ("t/opaque/new", "above"),
            ("t/late/", ""), ("t/late/new", "above"), ("t/late/.wh..wh..opq", ""),
            ("t/merged/new", "above"), ("t/kept", "above"), ("t/.wh.alone", ""),
        ];
        let top: &[(&str, &str)] = &[
            ("t/gone/", ""), ("t/gone/own", "top"), ("t/.wh.folder", ""), ("t/folder/", ""), ("t/folder/own", "top"),
            ("t/merged/.wh.in", ""), ("t/link", "-> file"),
        ];
        registry.put(layered_image("team/layers:1", &[below, above, top]));
        registry.put(layered_image("team/linked:1", &[below, &[("t/third", "= t/kept")]]));
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        let script = "cd /t; find . -type f | sort | while read -r file; do echo \"$file $(cat \"$file\")\"; done; readlink link";
        let found = world.run(&["run", "--rm", "-T", "layers", "sh", "-c", script], "").ok().stdout;
        let expected = [
            "./again/new above", "./file/in above", "./folder/own top", "./gone/own top", "./kept above", "./late/new above",
            "./merged/new above", "./opaque/new above", "./second below", "./target/in below", "./twin below", "file", "",
        ];
        assert_eq!(found, expected.join("\n"));
        let refused = world.compose("pull linked").exits(1);
        refused.says("`t/third` is refused: it is a hard link to a file that its layer does not have");
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// Lists show those images that are asked for, by age, label and name, and ids as long as asked for; what takes
    /// room is told for each thing; what is removed is what was chosen, a volume with a name never.
    images_are_chosen_and_counted, |world| {
        let image = |arguments: &[&str]| world.run(&[&["image"], arguments].concat(), "");
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        world.compose("up -d").ok();
        world.compose("pull other").ok();
        for (name, label) in [("one", "LABEL tier=front"), ("two", "LABEL tier=back")] {
            std::fs::create_dir(world.project().join(name)).unwrap();
            world.write(&format!("{name}/{name}"), name);
            image(&["import", "-c", label, name, &format!("localhost/{name}:1")]).ok();
        }
        let listed = |filters: &[&str]| -> Vec<String> {
            let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
            let words: Vec<&str> = ["ls", "--format", "{{.Repository}}"].into_iter().chain(filters).collect();
            image(&words).ok().stdout.lines().map(str::to_owned).collect()
        };
        let (one, two) = ("localhost/one", "localhost/two");
        assert_eq!(listed(&[]), ["busybox", "volume", one, two]);
        assert_eq!(listed(&["before=localhost/two:1", "until=0s"]), ["busybox", "volume", one]);
        assert_eq!(listed(&["since=localhost/one:1"]), [two]);
        assert_eq!(listed(&["label=tier=front"]), [one]);
        assert_eq!(listed(&["label!=tier"]), ["busybox", "volume"]);
        assert_eq!(listed(&["reference=localhost/*", "reference=busy*:latest"]), ["busybox", one, two]);
        assert_eq!(listed(&["dangling=false"]).len(), 4);
        assert!(listed(&["dangling=true"]).is_empty());
        image(&["ls", "--filter", "size=3"]).exits(1).says("`size=3`").says("reference=");
        image(&["ls", "--filter", "before=nobody"]).exits(1).says("there is no image `nobody`");
        let lines = image(&["ls", "--digests", "--no-trunc", "-a", one]).ok().stdout;
        assert_eq!(lines.lines().count(), 2);
        assert_eq!(lines.matches("sha256:").count(), 2, "{lines}");
        let ids = |flags: &[&str]| image(&[&["ls", "-q"], flags, &["localhost/*"]].concat()).ok().stdout;
        assert!(ids(&[]).lines().all(|id| id.len() == 12));
        assert!(ids(&["--no-trunc"]).lines().all(|id| id.len() == 71));

        let each = || parsed(&world.compose("system df -v --format json").ok().stdout);
        let whole = each();
        let sizes = |at: usize, field: &str| whole["Images"][at][field].as_u64().unwrap();
        assert_eq!(sizes(0, "SharedSize"), sizes(1, "SharedSize"), "both have the layer of busybox");
        assert!(sizes(0, "SharedSize") > 0 && sizes(0, "UniqueSize") == 0 && sizes(1, "UniqueSize") > 0);
        assert_eq!((sizes(0, "Containers"), sizes(1, "Containers")), (1, 0));
        assert_eq!(whole["Containers"].as_array().unwrap().len(), 1);
        assert!(whole["Volumes"].as_array().unwrap().iter().all(|volume| volume["Links"] == 1));
        world.compose("system df -v").ok().says("SHARED SIZE").says("VOLUME NAME").says("project_named");
        world.run(&["system", "df", "-v", "--format", "{{.Type}}"], "").exits(1).says("no template");

        image(&["rm", "busybox"]).exits(1).says("is used by container");
        image(&["rm", "--force", "busybox"]).exits(1).says("it runs");
        world.compose("stop -t 0").ok();
        image(&["rm", "nobody"]).exits(1).says("there is no image");
        image(&["rm", "--force", "busybox", "nobody"]).ok().says("Untagged: busybox:latest");
        world.compose("start").ok();
        assert_eq!(world.state("web"), "running", "a container keeps its layers");
        world.compose("system prune --volumes --force").ok();
        assert_eq!(each()["Volumes"].as_array().unwrap().len(), 2, "a container mounts them");
        world.compose("down -t 0").ok();
        world.compose("system prune --volumes --force --filter until=1h").exits(1).says("until");
        world.compose("system prune --volumes --force --filter label=nothing").ok();
        assert_eq!(each()["Volumes"].as_array().unwrap().len(), 2);
        world.compose("system prune --volumes --force").ok().says("Deleted volume");
        assert_eq!(each()["Volumes"][0]["Name"], "project_named");
        image(&["prune", "--force", "--all", "--filter", "reference=x"]).exits(1).says("label!=");
        image(&["prune", "--force", "--all", "--filter", "until=1h"]).ok();
        assert_eq!(listed(&[]), [one, two]);
        world.compose("system prune --force --all --filter label=tier=back").ok();
        assert_eq!(listed(&[]), [one]);
        world.compose("down -v").ok();
    }
}
