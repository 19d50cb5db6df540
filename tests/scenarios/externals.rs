//! Scenarios about networks and volumes that belong to no project: made, shown and removed by `compose network` and
//! `compose volume`, and named in files with `external: true`.

use scenarios::{Ending, Who, World, kill_points, scenario, within};
use serde_json::Value;
use std::process::Command;

scenario! {
    /// A network that was made by hand has the addresses and options asked for, is joined by two projects that
    /// reach each other by name, and stays until somebody removes it, which nobody can while it is in use.
    projects_share_a_network_of_nobody, |world| {
        let net = match world.who() { Who::Root => 120, Who::User => 121 };
        let create = format!(
            "network create --subnet 10.221.{net}.0/24 --gateway 10.221.{net}.9 --ip-range 10.221.{net}.128/25 \
             --aux-address printer=10.221.{net}.129 -o com.docker.network.bridge.name=own{net} \
             -o com.docker.network.driver.mtu=1400 --ipv6 --label tier=front proxy"
        );
        world.compose(&format!("--dry-run {create}")).ok().says("make network proxy");
        assert_eq!(world.compose("network ls -q").ok().stdout, "");
        let id = world.compose(&create).ok().stdout;
        assert_eq!(id.trim().len(), 64, "{id}");
        world.compose(&create).exits(1).says("network `proxy` already exists").says("--ignore");
        assert_eq!(world.compose("network create --ignore proxy").ok().stdout, id);

        world.compose("up -d").ok();
        world.compose("-p other -f other/compose.yaml up -d").ok();
        world.run(&["-p", "other", "exec", "-T", "client", "ping", "-c", "1", "-w", "5", "web"], "").ok();
        world.compose("exec -T web ping -c 1 -w 5 client").ok();

        let shown = inspected(world, "network inspect proxy");
        let pools = shown["IPAM"]["Config"].as_array().unwrap();
        let pool = &pools[0];
        assert_eq!(pool["Subnet"], format!("10.221.{net}.0/24"));
        assert_eq!(pool["Gateway"], format!("10.221.{net}.9"));
        assert_eq!(pool["IPRange"], format!("10.221.{net}.128/25"));
        assert_eq!(pool["AuxiliaryAddresses"]["printer"], format!("10.221.{net}.129"));
        assert_eq!((&shown["EnableIPv4"], &shown["EnableIPv6"]), (&true.into(), &true.into()));
        assert_eq!((&shown["Id"], &shown["Labels"]["tier"]), (&id.trim().into(), &"front".into()));
        // As the kernel has it.
        let links = in_router(world, &format!("ip -j addr show own{net}"));
        let addresses: Vec<_> = links[0]["addr_info"].as_array().unwrap().iter().map(|one| {
            format!("{}/{}", one["local"].as_str().unwrap(), one["prefixlen"])
        }).collect();
        assert!(addresses.contains(&format!("10.221.{net}.9/24")), "{addresses:?}");
        let six = pools[1]["Gateway"].as_str().unwrap();
        assert!(addresses.iter().any(|address| address.starts_with(&format!("{six}/"))), "{six} in {addresses:?}");
        assert_eq!(links[0]["mtu"], 1400);
        let web = &shown["Containers"][world.id("web")];
        let inside = world.compose("exec -T web ip -o addr show eth0").ok().stdout;
        assert_eq!(web["Name"], "project-web-1");
        for address in ["IPv4Address", "IPv6Address"] {
            assert!(inside.contains(web[address].as_str().unwrap()), "{web} in {inside}");
        }
        let mac = world.compose("exec -T web cat /sys/class/net/eth0/address").ok().stdout;
        assert_eq!(web["MacAddress"], mac.trim());
        assert!(!inside.contains(&format!("10.221.{net}.129/")), "that is the printer's: {inside}");

        world.compose("network rm proxy").exits(1).says("`project-web-1`").says("`other-client-1`");
        assert_eq!(world.compose("network prune -f").ok().stdout, "");
        world.compose("stop").ok();
        world.compose("network rm proxy").exits(1).says("`project-web-1`");
        assert_eq!(world.compose("network prune -f").ok().stdout, "");
        world.compose("down -v").ok();
        world.compose("-p other -f other/compose.yaml down -v").ok();
        assert_eq!(world.compose("network ls --no-trunc -q").ok().stdout, id, "no project takes it away");
        world.compose("up -d").ok();
        assert_eq!(in_router(world, &format!("ip -j link show own{net}"))[0]["mtu"], 1400);
        world.compose("down -v").ok();
        world.compose("--dry-run network rm proxy").ok().says("remove network proxy");
        world.compose("--dry-run network prune").ok().says("remove network proxy");
        assert_eq!(world.compose("network rm proxy").ok().stdout, "proxy\n");
        world.assert_nothing_left();
    }
}

scenario! {
    /// What a container writes into a volume that was made by hand is there after the project is gone with its
    /// volumes, and in its next run; the volume is removed by its name alone, and by nobody while it is mounted.
    a_volume_of_nobody_keeps_its_content, |world| {
        assert_eq!(world.compose("volume create --label kept=yes data").ok().stdout, "data\n");
        assert_eq!(world.compose("volume create -d local data").ok().stdout, "data\n");
        world.compose("volume create -o type=tmpfs -o device=tmpfs data").exits(1).says("with other options");
        assert_eq!(world.compose("volume create --ignore -o type=tmpfs -o device=tmpfs data").ok().stdout, "data\n");
        world.compose("up -d").ok();
        world.compose("exec -T web cp /etc/passwd /data/here").ok();
        world.compose("volume rm data").exits(1).says("`project-web-1`");
        world.compose("volume prune -af").ok().says("Total reclaimed space: 0B");
        let shown = inspected(world, "volume inspect data");
        let place = std::path::Path::new(shown["Mountpoint"].as_str().unwrap());
        assert_eq!(place, world.roots().volume(&"data".into()).join("_data"));
        let passwd = world.compose("exec -T web cat /etc/passwd").ok().stdout;
        assert_eq!(std::fs::read_to_string(place.join("here")).unwrap(), passwd);
        world.compose("down -v").ok();
        assert_eq!(world.compose("volume ls -q").ok().stdout, "data\n");
        world.compose("up -d").ok();
        assert_eq!(world.compose("exec -T web cat /data/here").ok().stdout, passwd);
        world.compose("down").ok();

        // The project's own is there, one without a name that its container has left, and one made by hand.
        let unnamed = world.compose("volume create").ok().stdout;
        assert_eq!((unnamed.trim().len(), unnamed.trim().chars().all(|it| it.is_ascii_hexdigit())), (64, true));
        let mut left: Vec<String> = world.compose("volume ls -q").ok().stdout.lines().map(str::to_owned).collect();
        left.retain(|name| name.len() < 64);
        assert_eq!(left, ["data", "project_own"]);
        world.compose("--dry-run volume prune -a").ok().says("remove volume data").says("remove volume project_own");
        let pruned = world.compose("volume prune -f").ok().stdout;
        assert_eq!(pruned.matches("Deleted volume: ").count(), 2, "{pruned}");
        assert!(pruned.contains(unnamed.trim()) && pruned.ends_with("Total reclaimed space: 0B\n"), "{pruned}");
        world.run(&["volume", "prune", "-a"], "n\n").ok().says("`data`, `project_own`");
        assert_eq!(world.compose("volume ls -q").ok().stdout, "data\nproject_own\n");
        let pruned = world.run(&["volume", "prune", "-a", "--filter", "label!=kept=yes"], "y\n").ok().stdout;
        assert!(pruned.starts_with("Deleted volume: project_own\nTotal"), "{pruned}");
        let pruned = world.compose("volume prune -af").ok().stdout;
        let size = passwd.len();
        assert!(pruned.contains("Deleted volume: data\n") && pruned.contains(&format!(": {size}B")), "{pruned}");
        world.assert_nothing_left();
    }
}

scenario! {
    /// An external network or volume that is missing is told with its line and with the command that makes it, and
    /// that command is all that was missing.
    what_is_external_and_missing_says_how_it_is_made, |world| {
        for (what, place, command) in [
            ("network proxy", "compose.yaml:9:3", "network create proxy"),
            ("volume \"data\"", "compose.yaml:13:3", "volume create data"),
        ] {
            let missing = world.compose("up -d").exits(1);
            for text in [what, place, &format!("`compose {command}`")] {
                assert!(missing.stderr.contains(text), "no {text} in\n{}", missing.stderr);
            }
            world.compose(command).ok();
        }
        world.compose("up -d").ok();
        world.compose("down").ok();
        world.compose("network rm proxy").ok();
        world.compose("volume rm data").ok();
    }
}

scenario! {
    /// Lists and inspections of networks and volumes tell a project's and nobody's, choose by filters, and go through
    /// templates; words that mean nothing are answered with the nearest that does. What a project has lost that way
    /// the next `up` makes again.
    networks_and_volumes_are_listed_as_asked, |world| {
        world.compose("network create --label tier=front --internal front").ok();
        world.compose("network create -d macvlan back").ok();
        world.compose("volume create --label tier=front assets").ok();
        world.compose("up -d").ok();
        let names = |line: &str| {
            let words: Vec<&str> = line.split(' ').chain(["--format", "{{.Name}}"]).collect();
            world.run(&words, "").ok().stdout.lines().collect::<Vec<_>>().join(" ")
        };
        for (line, expected) in [
            ("network ls", "back front project_default"),
            ("network ls --filter dangling=true", "back front"),
            ("network ls -f dangling=false", "project_default"),
            ("network ls --filter driver=macvlan", "back"),
            ("network ls --filter name=ro", "front project_default"),
            ("network ls --filter label=tier", "front"),
            ("network ls --filter label!=tier --filter scope=local", "back project_default"),
            ("network ls --filter label=com.docker.compose.project=project", "project_default"),
            ("network ls --filter until=1h", ""),
            ("network list", "back front project_default"),
            ("volume ls", "assets project_kept"),
            ("volume ls --filter dangling=1", "assets"),
            ("volume ls --filter driver=local --filter name=kept", "project_kept"),
            ("volume ls -f label=tier=front", "assets"),
            ("network inspect front project_default", "front project_default"),
            ("volume inspect assets", "assets"),
        ] {
            assert_eq!(names(line), expected, "{line}");
        }
        let id = world.compose("network ls -q --no-trunc --filter name=front").ok().stdout;
        let short = world.compose("network ls -q --filter name=front").ok().stdout;
        assert_eq!(short.trim(), &id[..12]);
        assert_eq!(names(&format!("network inspect {}", short.trim())), "front");
        assert_eq!(names(&format!("network ls --filter id={}", &id[..5])), "front");
        let raw = world.compose("network ls --filter driver=macvlan --format raw").ok().stdout;
        assert!(raw.contains("\nname: back\ndriver: macvlan\nscope: local\n"), "{raw}");
        let wide = world.run(&["network", "ls", "-f", "name=front", "--format", "table {{.ID}}\\t{{.Internal}}\\t{{.Label \"tier\"}}"], "");
        assert!(wide.ok().stdout.starts_with("NETWORK ID     INTERNAL   tier\n"));
        let subnet = "{{range .IPAM.Config}}{{.Subnet}}{{end}} {{.Internal}} {{index .Labels \"tier\"}}";
        let shown = world.run(&["network", "inspect", "-f", subnet, "front"], "").ok().stdout;
        assert!(shown.ends_with("/16 true front\n") || shown.ends_with("/20 true front\n"), "{shown}");
        let line = world.compose("network ls --filter name=back --format json").ok().stdout;
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["Driver"], &line["IPv4"], &line["IPv6"]), (&"macvlan".into(), &"true".into(), &"false".into()));

        for (line, sentence) in [
            ("network inspect fron", "a network with a similar name exists: `front`"),
            ("network rm nothing", "there is no network `nothing`"),
            ("network rm front nothing", "there is no network `nothing`"),
            ("network ls --filter colour=red", "known are dangling=…"),
            ("network prune --filter name=x", "known are label=…"),
            ("volume inspect asets", "a volume with a similar name exists: `assets`"),
            ("volume rm nothing", "there is no volume `nothing`"),
            ("volume ls --filter dangling=maybe", "invalid filter `dangling=maybe`"),
            ("volume create -d nfs x", "--driver:1:1"),
            ("volume create -o colour=blue x", "--opt:1:1"),
            ("volume create -o type=none x", "these options make no mount"),
            ("volume create a/b", "`a/b` cannot be a name"),
            ("network create -d overlay x", "only `bridge`, `macvlan` and `ipvlan` are"),
            ("network create host", "`host` cannot be the name of a network"),
            ("network create --label com.docker.compose.project=project x", "only projects give it"),
        ] {
            world.compose(line).exits(1).says(sentence);
        }
        assert_eq!(names("network ls"), "back front project_default", "nothing went with what is not there");
        world.compose("network rm -f nothing").ok();
        world.compose("volume rm --force nothing").ok();
        world.compose("network connect front web").exits(1).says("change `networks` of the service");

        world.run(&["network", "prune"], "n\n").ok().says("`back`, `front`");
        assert_eq!(world.run(&["network", "prune", "--filter", "label=tier"], "y\n").ok().stdout, "Deleted network: front\n");
        assert_eq!(world.compose("network prune -f --filter until=0s").ok().stdout, "Deleted network: back\n");
        world.compose("down").ok();
        world.compose("volume rm project_kept assets").ok();
        world.compose("create").ok();
        world.compose("rm -fs").ok();
        // The project has no container any more, and its network is one that nobody uses.
        assert_eq!(world.compose("network prune --force").ok().stdout, "Deleted network: project_default\n");
        world.compose("up -d").ok();
        assert_eq!(names("network ls"), "project_default");
    }
}

scenario! {
    /// Whatever step the making or the removal of a network or volume is killed at, saying it again finishes it, and
    /// removal leaves nothing; so it does where what is written about a network is damaged.
    networks_and_volumes_killed_in_the_making_leave_nothing, |world| {
        for (make, again, remove) in [
            ("network create proxy", "network create --ignore proxy", "network rm -f proxy"),
            ("volume create data", "volume create data", "volume rm -f data"),
        ] {
            let Ending::Finished(steps) = world.killed_at(make, usize::MAX) else { unreachable!() };
            let Ending::Finished(removals) = world.killed_at(remove, usize::MAX) else { unreachable!() };
            for step in kill_points(steps) {
                let ending = world.killed_at(make, step);
                eprintln!("`{make}` at step {step} of {steps}: {ending:?}");
                // It is removed at once, or made again first.
                if step % 2 == 1 {
                    world.compose(again).ok();
                }
                world.compose(remove).ok();
                nothing_is_left(world, make, remove);
            }
            for step in kill_points(removals) {
                world.compose(make).ok();
                let ending = world.killed_at(remove, step);
                eprintln!("`{remove}` at step {step} of {removals}: {ending:?}");
                world.compose(remove).ok();
                nothing_is_left(world, make, remove);
            }
        }
        world.compose("network create proxy").ok();
        let document = world.roots().network(&"proxy".into()).join("network.json");
        std::fs::write(&document, "no document").unwrap();
        world.compose("network create proxy").exits(1).says("is damaged").says("`compose network rm proxy`");
        assert_eq!(world.compose("network rm proxy").ok().stdout, "proxy\n");
        world.assert_nothing_left();
    }
}

/// The next removal clears away what one that was killed had put aside.
fn nothing_is_left(world: &World, make: &str, remove: &str) {
    world.compose(make).ok();
    world.compose(remove).ok();
    for folder in ["networks", "volumes", "tmp"] {
        let entries = std::fs::read_dir(world.roots().data.join(folder)).into_iter().flatten().flatten();
        let left: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        assert!(left.is_empty(), "left in {folder}: {left:?}");
    }
    world.assert_nothing_left();
}

/// The one object that a command shows.
fn inspected(world: &World, line: &str) -> Value {
    let mut shown: Vec<Value> = serde_json::from_str(&world.compose(line).ok().stdout).unwrap();
    assert_eq!(shown.len(), 1);
    shown.remove(0)
}

/// What `ip -j …` says where networks are made.
fn in_router(world: &World, command: &str) -> Vec<Value> {
    let pid = world.recorded("infra.json").map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let words: Vec<_> = command.split(' ').collect();
    let output = within(&format!("/proc/{pid}/ns/net"), || Command::new(words[0]).args(&words[1..]).output());
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}
