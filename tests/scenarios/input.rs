//! Scenarios about bad input: a place, a cause and help, and nothing half-made.

use scenarios::{scenario, until};

scenario! {
    /// A cycle is refused with every edge of it.
    a_cycle_is_refused_and_drawn, |world| {
        world.compose("up -d").exits(1).says("cycle").says("`a` -> `b` -> `c` -> `a`").says("compose.yaml:4:");
        assert!(!world.roots().data.join("pods").exists());
    }
}

scenario! {
    /// Every independent mistake is reported at once, with its line and the nearest right word.
    bad_input_gets_a_place_and_help, |world| {
        let output = world.compose("up -d").exits(1);
        for text in ["compose.yaml:4:5", "`comand`", "`command`", "compose.yaml:5:12", "compose.yaml:6:16",
            "`front`", "compose.yaml:7:18", "`db`", "^^^"] {
            assert!(output.stderr.contains(text), "no {text:?} in\n{}", output.stderr);
        }
        world.write("compose.yaml", "services:\n  web:\n    image: [busybox\n");
        world.compose("config").exits(1).says("compose.yaml:");
        std::fs::remove_file(world.project().join("compose.yaml")).unwrap();
        world.compose("up -d").exits(1).says("compose.yaml").says(&world.project().to_string_lossy());
        let left = || [&world.roots().data, &world.roots().run].into_iter().any(|folder| folder.exists());
        // A user's folders are made before the file is read, and go with the namespaces.
        until("no folder is left", || (!left()).then_some(()));
    }
}

scenario! {
    /// A program that is missing or not executable, and an image that is missing, are named with their service.
    a_program_that_cannot_start_is_named, |world| {
        world.compose("up -d missing").exits(1).says("`missing`").says("/no/such/program").says("compose.yaml:");
        world.compose("up -d forbidden").exits(1).says("`forbidden`").says("/etc/not-executable");
        world.compose("up -d nowhere").exits(1).says("`nowhere`").says("no-such-image").says("compose.yaml:");
        world.compose("run --rm missing").exits(127);
        world.compose("run --rm forbidden").exits(126);
        assert!(world.rows().iter().all(|row| row["State"] != "running"));
    }
}

scenario! {
    /// What goes wrong when a container is made or started is told with the line that asks for it, also where
    /// another runtime runs the container.
    what_fails_at_a_start_is_told_with_its_line, |world| {
        let file = std::fs::read_to_string(world.project().join("compose.yaml")).unwrap();
        let (mut service, mut told) = ("", 0);
        for (index, line) in file.lines().enumerate() {
            if let Some(name) = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':')) {
                service = if name.starts_with(' ') { service } else { name };
            }
            let Some((_, words)) = line.split_once("# told: ") else { continue };
            let place = format!("service `{service}` (compose.yaml:{}:", index + 1);
            world.compose(&format!("up -d {service}")).exits(1).says(&place).says(words);
            told += 1;
        }
        assert_eq!(told, 12);
        world.compose("down -v -t 0").ok();
    }
}

scenario! {
    /// A fixed address that is outside of the network, the gateway's, the network's own, kept for somebody else or
    /// asked for twice is refused before anything is made, with both places.
    a_fixed_address_that_cannot_be_had_is_refused, |world| {
        let file = std::fs::read_to_string(world.project().join("compose.yaml")).unwrap();
        let line = |mark: &str| 1 + file.lines().position(|line| line.ends_with(mark)).unwrap();
        let refused = |address: &str, why: &str, marked: &str| {
            world.write("compose.yaml", &file.replace("10.219.7.9\n", &format!("{address}\n")));
            let output = world.compose("up -d").exits(1);
            output.says(why).says("compose.yaml:6:").says(&format!("{:>2} | ", line(marked)));
            assert!(!world.roots().data.join("networks").exists(), "{address}: something is made");
        };
        refused("10.219.8.9", "it lies outside of 10.219.7.0/24", "# subnet");
        refused("10.219.7.4", "it is the network's gateway", "# gateway");
        refused("10.219.7.0", "the network or broadcast address", "# subnet");
        refused("10.219.7.255", "the network or broadcast address", "# subnet");
        refused("10.219.7.5", "`aux_addresses` keeps it for `printer`", "# kept");
        world.write("compose.yaml", &file.replace("10.219.7.9\n", "10.219.7.20\n"));
        let output = world.compose("up -d").exits(1).says("cannot have the address 10.219.7.20");
        output.says("compose.yaml:").says(" 6 | ").says("11 | ");
        world.write("compose.yaml", &file.replace("10.219.7.9\n", "10.219.7.1\n").replace("gateway: 10.219.7.4", ""));
        world.compose("up -d").exits(1).says("the first address is the gateway's");
    }
}

scenario! {
    /// What is defined and used by nothing is told by commands that work by the file or look at it, and not by
    /// those about what exists.
    what_nothing_uses_is_told_by_those_who_go_by_the_file, |world| {
        let told = |line: &str| world.compose(line).ok().stderr.contains("no service uses the volume `spare`");
        for line in ["config -q", "plan", "pull", "create", "up -d", "graph"] {
            assert!(told(line), "`{line}` does not say it");
        }
        for line in ["ps -q", "logs", "exec -T web true", "top", "images", "stop -t 0", "start", "down -t 0"] {
            assert!(!told(line), "`{line}` says it");
        }
    }
}

scenario! {
    /// `--dry-run` says what would be done and writes nothing at all.
    a_dry_run_writes_nothing, |world| {
        world.compose("--dry-run up -d").ok().says("project-web-1");
        assert!(!world.roots().data.exists() && !world.roots().run.exists());
        world.compose("up -d").ok();
        let seen = || {
            let lists = ["ps -a --format json", "volumes -q", "image ls -q", "ls -q", "pod ps --format {{.Networks}}"];
            // How long ago something was is told, too.
            let ids = |line: &str| world.compose(line).ok().stdout.lines().map(|line| line.split("RunningFor").next().unwrap().to_owned()).collect::<Vec<_>>();
            lists.map(ids)
        };
        let before = seen();
        for (line, told) in [
            ("down -v", "remove project-web-1"),
            ("stop", "stop project-web-1"), ("restart db", "start project-db-1"), ("kill", "kill project-web-1"),
            ("pause", "pause project-web-1"), ("rm -sf", "remove project-web-1"), ("scale web=0", "remove project-web-1"),
            ("up --force-recreate", "project-web-1"), ("create --force-recreate", "project-web-1"),
            ("pull", "pull busybox"), ("push", "Skipped"), ("exec web true", "exec true in project-web-1"),
            ("cp compose.yaml web:/srv", "Copied"), ("cp web:/srv here", "Copied"),
            ("export -o files.tar web", "Exported"), ("commit web localhost/made", "Committed"),
            ("attach web", "attach to project-web-1"), ("pod stop project", "stop project-web-1"),
        ] {
            world.compose(&format!("--dry-run {line}")).ok().says("DRY-RUN MODE - ").says(told);
        }
        for (line, told) in [
            ("image tag busybox localhost/other", "name busybox:latest localhost/other:latest too"),
            ("image push busybox", "push busybox:latest (linux/"), ("image save -o kept.tar busybox", "save busybox:latest to kept.tar"),
            ("image copy busybox oci:kept", "copy busybox to oci:kept"), ("image import . localhost/x", "import . as localhost/x:latest"),
            ("image prune -a", "remove the layers that nothing needs then"),
            ("system prune --volumes", "remove the build cache"), ("bundle -o kept.tar", "write kept.tar with 1 image"),
            ("logout quay.io", "forget the credentials for quay.io"),
        ] {
            let told = world.compose(&format!("--dry-run {line}")).ok().says(&format!("DRY-RUN MODE - {told}"));
            assert_eq!(told.stdout, "", "{line}");
        }
        for line in ["config -o kept.tar", "plan -o kept.tar"] {
            world.compose(&format!("--dry-run {line}")).ok().says("DRY-RUN MODE - write kept.tar");
        }
        for line in ["image load -i kept.tar", "load kept.tar", "login quay.io"] {
            world.compose(&format!("--dry-run {line}")).exits(1).says("nothing to show").says("nothing was done");
        }
        let images = world.compose("--dry-run down --rmi all").ok().stderr;
        assert_eq!(images.matches("remove image").count(), 1, "both services have the same image: {images}");
        for path in ["here", "files.tar", "kept.tar", "kept"] {
            assert!(!world.project().join(path).exists(), "{path}");
        }
        assert_eq!(seen(), before);

        // What another command waits for ends, and only then it is told what would be done next.
        let mut waiting = world.background("--dry-run wait --down-project db");
        waiting.has_asked();
        world.compose("kill db").ok();
        waiting.line("remove project-web-1");
        assert_eq!(waiting.end(), 137);
        let one_off = world.compose("--dry-run run --rm web true").ok().stderr;
        let lines: Vec<&str> = one_off.lines().collect();
        assert_eq!(lines.len(), 4, "{one_off}");
        assert!(lines[0].contains("start project-db-1") && lines[1].contains("create project-web-run-"), "{one_off}");
        assert!(lines[3].contains("remove project-web-run-"), "{one_off}");
        assert_eq!(world.state("db"), "exited");

        // What nothing uses any more is named, and what is used is not.
        let used = world.compose("--dry-run image prune -a").ok().stderr;
        assert!(!used.contains("untag"), "{used}");
        world.compose("--dry-run image rm busybox").exits(1).says("is used by container");
        world.compose("down").ok();
        let volumes = world.compose("volumes -q").ok().stdout;
        for line in ["image rm busybox", "image prune -a", "system prune -a --volumes"] {
            world.compose(&format!("--dry-run {line}")).ok().says("DRY-RUN MODE - untag busybox");
        }
        world.compose("image ls -q busybox").ok();
        assert_eq!(world.compose("volumes -q").ok().stdout, volumes);
    }
}

scenario! {
    /// What is asked for and not done here is told with its place: what changes nothing that a container
    /// would notice is a warning, the rest is refused before anything is made.
    what_is_not_done_here_is_said, |world| {
        let told = world.compose("up -d").ok().stderr;
        for place in [
            "isolation` has no effect: it is for Windows", "credential_spec`", "storage_opt`", "userns_mode`",
            "rollback_config`",
        ] {
            assert!(told.contains(place), "no {place:?} in\n{told}");
        }
        let file = std::fs::read_to_string(world.project().join("compose.yaml")).unwrap();
        let lines = file.lines().enumerate().filter(|(_, line)| line.contains("# told"));
        let lines: Vec<usize> = lines.map(|(index, _)| index + 1).collect();
        assert_eq!(lines.len(), 5);
        for line in lines {
            assert!(told.contains(&format!("compose.yaml:{line}:")), "no line {line} in\n{told}");
        }
        assert_eq!(world.state("web"), "running");
        let id = world.id("web");
        world.edit("compose.yaml", "# REFUSED", "runtime: kata");
        let refused = world.compose("up -d").exits(1);
        refused.says("the engine runs containers itself").says("compose.yaml:5:");
        world.edit("compose.yaml", "runtime: kata", "# REFUSED");
        assert_eq!(world.id("web"), id);
    }
}
