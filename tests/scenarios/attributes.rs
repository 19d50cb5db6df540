//! Scenarios about attributes that take from beside the file: other Compose files, files of variables and
//! labels, images for another platform, networks and volumes of another project.

use scenarios::{
    MovingRegistry, World, architecture, image_index as index, scenario, telling_image as telling,
};

scenario! {
    /// What is included, extended, listed in files of variables and labels, made for a platform or external
    /// is in the containers, each path being relative to whom it belongs to; an edit of such a file is an
    /// edit of the services that use it, and of no other.
    what_other_files_say_counts, |world| {
        let registry = MovingRegistry::new();
        let (own, foreign) = (telling("", "for this machine\n", None), telling("", "for another\n", Some("s390x")));
        registry.put(index("team/app:1", &[(architecture(), &own), ("s390x", &foreign)]));
        registry.put(own);
        registry.put(foreign);
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        world.compose("up -d").ok();
        assert_eq!(inside(world, "foreign", "cat /told"), "for another\n");

        let variables = environment(world, "store");
        assert!(variables.contains("\nPART=second\n") && variables.contains("\nWORD=of the include\n"), "{variables}");
        assert_eq!(inside(world, "store", "cat /note"), "in the included folder\n");
        for (service, over) in [("web", "of the file"), ("near", "of near")] {
            let variables = environment(world, service);
            for expected in [
                "FIRST=in quotes", "RAW=\"in quotes\" # no comment", "LATER=of the raw", "OF_BASE=inherited",
                &format!("OVER={over}"),
            ] {
                assert!(variables.lines().any(|line| line == expected), "{expected} of {service} in {variables}");
            }
            let labels = world.row(service)["Labels"].to_string();
            let given = ["com.example.file=of the label file", "com.example.over=of the file"];
            assert!(given.iter().all(|label| labels.contains(label)), "{labels}");
            assert_eq!(inside(world, service, "cat /note"), "beside the base\n");
            assert!(annotations(world, service).contains("{\"com.example.note\":\"first\"}"));
        }
        let volumes = world.compose("volumes --format json").ok().stdout;
        assert!(volumes.contains("com.example.volume=labelled"), "{volumes}");

        let ids = || ["store", "foreign", "web", "near"].map(|service| world.id(service));
        let recreates = |what: &str, why: &str| {
            let before = ids();
            world.compose("up -d -t 0").ok().says(why);
            let same: Vec<_> = before.iter().zip(ids()).map(|(before, now)| *before == now).collect();
            assert_eq!(same, [true, true, false, false], "{what}");
        };
        world.edit("first.env", "of the first", "edited");
        world.edit("first.env", "in quotes", "edited");
        recreates("first.env", "FIRST");
        assert!(environment(world, "near").contains("\nFIRST=edited\n"));
        world.edit("more.labels", "com.example.file=of the label file", "com.example.file=edited");
        recreates("more.labels", "com.example.file");
        assert!(world.row("web")["Labels"].to_string().contains("com.example.file=edited"));
        world.edit("compose.yaml", "com.example.note: first", "com.example.note: second");
        recreates("an annotation", "com.example.note");
        assert!(annotations(world, "near").contains("{\"com.example.note\":\"second\"}"));
        world.edit("bases/base.yaml", "inherited", "changed");
        recreates("the base", "OF_BASE");

        // The old way to name what another project has made.
        inside(world, "store", "echo kept > /kept/file");
        let ask = "cat /theirs/file; nslookup store | grep -c Name:";
        let client = ["-f", "outside/compose.yaml", "run", "--rm", "-T", "client", "sh", "-c", ask];
        assert_eq!(world.run(&client, "").ok().stdout, "kept\n1\n");
        world.compose("-f outside/compose.yaml create").ok();
        assert!(world.compose("ls -a").ok().stdout.lines().any(|line| line.starts_with("other ")));
        world.compose("-f outside/compose.yaml down").ok();

        // An image is asked for anew when the file says so.
        let foreign = telling("", "for another, anew\n", Some("s390x"));
        registry.put(index("team/app:1", &[("s390x", &foreign)]));
        registry.put(foreign);
        world.compose("up -d --dry-run").ok().says("nothing to do");
        world.edit("compose.yaml", "# PULL", "pull_policy: always");
        world.compose("up -d -t 0").ok();
        assert_eq!(inside(world, "foreign", "cat /told"), "for another, anew\n");

        for (path, text, edited, said) in [
            ("compose.yaml", "required: false", "required: true", "missing.env"),
            ("compose.yaml", "more.labels", "no.labels", "no.labels"),
            ("compose.yaml", "parts/store.env", "parts/no.env", "no.env"),
            ("compose.yaml", "service: base", "service: ground", "ground"),
        ] {
            world.edit(path, text, edited);
            world.compose("up -d").exits(1).says(said).says("compose.yaml:");
            world.edit(path, edited, text);
        }
        assert!(environment(world, "web").contains("\nFIRST=edited\n"), "it was let alone");
    }
}

/// What is kept of the annotations of a service's first container.
fn annotations(world: &World, service: &str) -> String {
    let folder = world.roots().data.join("pods/project/containers").join(world.id(service));
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.filter_map(|path| std::fs::read_to_string(path).ok());
    texts.filter(|text| text.contains("\"annotations\":")).collect()
}

/// The variables of a container's first process, a line each, with an empty line before them.
fn environment(world: &World, service: &str) -> String {
    inside(world, service, "echo; tr '\\0' '\\n' < /proc/1/environ")
}

fn inside(world: &World, service: &str, script: &str) -> String {
    world.run(&["exec", "-T", service, "sh", "-c", script], "").ok().stdout
}
