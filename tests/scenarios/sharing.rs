//! Scenarios about services that share namespaces (`x-pod`).

use scenarios::{World, free_port, http, scenario, until};
use std::fs;
use std::net::TcpListener;

scenario! {
    /// Services of a pod meet on localhost, have one name and one set of processes; the pod outlives
    /// each of them, and a port added to one is published without a restart of another.
    services_share_namespaces, |world| {
        let taken = TcpListener::bind(("127.0.0.1", world.port())).unwrap();
        let asking = "error: service `web` (compose.yaml:8:13): ";
        world.compose("up -d").exits(1).says(asking).says("already allocated");
        drop(taken);
        world.compose("up -d").ok();
        let page = || http(&format!("127.0.0.1:{}", world.port()), "passwd");
        until("the port of the pod answers", page);
        let ask = "printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 80";
        world.run(&["exec", "-T", "worker", "sh", "-c", ask], "").ok().says("root:");
        assert_eq!(world.compose("exec -T web hostname").ok().stdout, "project\n");
        world.compose("exec -T worker ps").ok().says("httpd");
        let own = ["net", "ipc", "uts", "pid"].map(|kind| namespace(world, "web", kind));
        assert_eq!(own, ["net", "ipc", "uts", "pid"].map(|kind| namespace(world, "worker", kind)));
        assert_ne!(namespace(world, "web", "mnt"), namespace(world, "worker", "mnt"));
        let port = world.compose("port web 80").ok();
        assert_eq!(port.stdout, format!("127.0.0.1:{}\n", world.port()));
        assert_eq!(world.rows().len(), 2, "the infra is not a service");
        let told = world.compose("pod inspect project").ok().stdout;
        let told = &serde_json::from_str::<serde_json::Value>(&told).unwrap()[0];
        let bound = &told["InfraConfig"]["PortBindings"]["80/tcp"][0];
        assert_eq!((&bound["HostIp"], &bound["HostPort"]), (&"127.0.0.1".into(), &world.port().to_string().into()));
        assert_eq!((&told["InfraConfig"]["Networks"][0], &told["ExitPolicy"]), (&"project_default".into(), &"stop".into()));
        assert_eq!(told["RestartPolicy"], "", "they differ");
        assert_eq!((&told["InfraConfig"]["pid_ns"], &told["InfraConfig"]["StaticIP"]), (&"private".into(), &"".into()));
        assert!(told["CreateCommand"].as_array().unwrap().ends_with(&["up".into(), "-d".into()]));

        let (web, worker) = (world.processes(&world.id("web"))[0], world.processes(&world.id("worker"))[0]);
        kill(worker);
        let restarted = || Some(world.processes(&world.id("worker"))).filter(|all| !all.contains(&worker) && !all.is_empty());
        until("the worker is back", restarted);
        assert!(page().is_some());
        assert_eq!(own, ["net", "ipc", "uts", "pid"].map(|kind| namespace(world, "worker", kind)));

        let port = free_port();
        world.edit("compose.yaml", "# EDIT", &format!("ports: [\"127.0.0.1:{port}:9000\"]"));
        let output = world.compose("up -d").ok();
        assert!(!output.stderr.contains("Recreate web") && !output.stderr.contains("web-1 Start"), "{output:?}");
        assert_eq!(world.processes(&world.id("web"))[0], web);
        assert!(page().is_some());
        world.compose("up -d --dry-run").ok().says("nothing to do");
        let rows = world.row("worker")["Publishers"].to_string();
        assert!(rows.contains(&port.to_string()), "{rows}");

        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = taken.local_addr().unwrap().port();
        world.edit("compose.yaml", &format!(":{port}:9000"), &format!(":{other}:9000"));
        let asking = "error: service `worker` (compose.yaml:15:13): ";
        world.compose("up -d").exits(1).says(asking).says("already allocated");
        assert!(page().is_some());
        world.edit("compose.yaml", &format!(":{other}:9000"), &format!(":{port}:80"));
        let refused = world.compose("up -d");
        refused.exits(1).says("both listen on port 80/tcp").says("compose.yaml:15:13").says(" 8 |     ports:");
    }
}

scenario! {
    /// The end of a pid namespace's first process is that of all in it: who shares one is started again by policy
    /// after its owner, and so is who shares the network of one that ended while nobody supervised. Where the
    /// owner does not come back, that is told.
    who_shares_a_namespace_comes_back_with_its_owner, |world| {
        world.compose("up -d").ok();
        let process = |service: &str| world.first_process(&world.id(service));
        let first = |service: &str| process(service).unwrap();
        let services = ["owner", "processes", "network"];
        let back = |ended: &[(&str, i32)]| {
            until("all are back", || {
                ended.iter().all(|(service, pid)| world.state(service) == "running" && process(service).is_some_and(|now| now != *pid)).then_some(())
            });
            assert_eq!(namespace(world, "owner", "pid"), namespace(world, "processes", "pid"));
            assert_eq!(namespace(world, "owner", "net"), namespace(world, "network", "net"));
        };
        let ended = ["owner", "processes"].map(|service| (service, first(service)));
        kill(first("owner"));
        back(&ended);

        let ended = services.map(|service| (service, first(service)));
        kill(world.supervisor().unwrap());
        kill(first("owner"));
        kill(first("network"));
        world.compose("up -d").ok();
        back(&ended);

        world.edit("compose.yaml", "command: sleep 1000\n    restart: always", "command: sleep 1000\n    restart: \"no\"");
        world.compose("up -d").ok();
        kill(first("owner"));
        until("nobody waits", || (world.state("processes") == "exited").then_some(()));
        world.compose("events --since 1m --until 0s").ok().says("project-owner-1, whose namespace it shares, does not run");
    }
}

/// What the namespace of a service's first process is, as the kernel tells it.
fn namespace(world: &World, service: &str, kind: &str) -> std::path::PathBuf {
    let pid = world.processes(&world.id(service))[0];
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

fn kill(pid: i32) {
    let status = std::process::Command::new("/bin/kill").args(["-KILL", &pid.to_string()]).status();
    assert!(status.unwrap().success());
}
