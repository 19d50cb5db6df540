//! Scenarios about two users of one machine.

use scenarios::{World, http, scenario, until};
use std::os::unix::fs::MetadataExt;

scenario! {
    /// Two users have projects of one name, with the same networks, addresses and names, side by side:
    /// neither sees or touches anything of the other's, and a port of the other's is told to be taken.
    users_do_not_see_each_other, |world| {
        world.write(".env", "OWNER=one\n");
        let other = world.neighbour();
        other.write(".env", "OWNER=two\n");
        world.compose("up -d").ok();
        other.compose("up -d").ok();
        let worlds = [(world, "one\n"), (&other, "two\n")];
        for (world, page) in worlds {
            let address = format!("127.0.0.1:{}", world.port());
            until("each port leads to its own container", || http(&address, "page").filter(|said| said == page));
            for host in ["web", "10.214.9.7"] {
                let ask = format!("printf 'GET /page HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {host} 80");
                let said = world.run(&["exec", "-T", "client", "sh", "-c", &ask], "").ok().stdout;
                assert!(said.ends_with(page), "{host} is {said:?}");
            }
            let listed = world.compose("ls --format json").ok().stdout;
            let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
            assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
            assert!(listed.to_string().contains(&*world.project().to_string_lossy()), "{listed}");
        }
        assert_ne!(world.id("web"), other.id("web"));

        let roots = world.roots();
        for folder in [&roots.data, &roots.run] {
            assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700, "{}", folder.display());
        }
        let named = roots.data.parent().unwrap().to_string_lossy().into_owned();
        for command in ["ps", "up", "down"] {
            other.run(&["--root", &named, command], "").exits(1).says("--root");
        }

        other.compose("down -t 0").ok();
        other.write(".env", &format!("OWNER=two\nTAKEN={}\n", world.port()));
        other.edit("compose.yaml", "${PORT}", "${TAKEN}");
        other.compose("up -d").exits(1).says("already allocated").says("a process of another user").says("compose.yaml:7");
        assert_eq!(other.state("web"), "created");

        // What one takes down is the one's alone.
        other.compose("down -v -t 0").ok();
        let address = format!("127.0.0.1:{}", world.port());
        assert_eq!(http(&address, "page").as_deref(), Some("one\n"));
        assert_eq!(running(world), ["client", "web"]);
        world.compose("down -v -t 0").ok();
        other.compose("up -d").ok();
        until("the port is the other's now", || http(&address, "page").filter(|said| said == "two\n"));
        other.compose("down -v -t 0").ok();
    }
}

/// Services that run.
fn running(world: &World) -> Vec<String> {
    let rows = world.rows();
    let rows = rows.iter().filter(|row| row["State"] == "running");
    let mut services: Vec<_> = rows.map(|row| row["Service"].as_str().unwrap().to_owned()).collect();
    services.sort();
    services
}
