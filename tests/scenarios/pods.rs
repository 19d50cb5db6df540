//! Scenarios about projects as pods: found by name or id without their files, acted on whole.

use scenarios::{Output, World, scenario, until};
use serde_json::Value;

scenario! {
    /// A pod has a state made of its containers', is found by name and id, and goes whole.
    a_project_is_a_pod, |world| {
        pod(world, "ps -q").ok();
        pod(world, "exists project").exits(1);
        world.compose("create").ok();
        let created = one(world);
        let id = created["Id"].as_str().unwrap();
        assert_eq!((id.len(), &created["Name"], &created["InfraId"]), (64, &"project".into(), &"".into()));
        assert_eq!(state(world), "Created");
        pod(world, &format!("start {}", &id[..6])).ok().says(id);
        assert_eq!(state(world), "Running");
        pod(world, "exists project").ok();
        pod(world, &format!("exists {id}")).ok();
        lines(world, "logs --names project", &["project-db-1 from db", "project-web-1 from web"]);
        let web = world.id("web");
        lines(world, "logs -c project-web-1 -l", &[&format!("{} from web", &web[..12])]);

        world.compose("stop -t 0 web").ok();
        assert_eq!(state(world), "Degraded");
        pod(world, "inspect --format {{.State}} project").ok().says("Degraded");
        assert_eq!(pod(world, "ps -q --filter status=degraded --filter name=^pro").ok().stdout.trim(), id);
        assert_eq!(pod(world, "ps -q --filter ctr-status=paused").ok().stdout, "");
        pod(world, "stop -t 0 --all").ok();
        assert_eq!(state(world), "Exited");
        pod(world, "restart project").ok();
        assert_eq!((state(world).as_str(), world.id("web")), ("Running", web));

        pod(world, "rm project").exits(125).says("project-web-1");
        assert_eq!(state(world), "Running");
        pod(world, "rm unknown").exits(1).says("unknown");
        pod(world, "rm --ignore unknown").ok();
        pod(world, "stop unknown").exits(125).says("unknown");
        let volumes = || std::fs::read_dir(world.roots().data.join("volumes")).unwrap().count();
        assert_eq!(volumes(), 2);
        let inspected = json(&pod(world, "inspect project").ok());
        assert_eq!((&inspected[0]["Id"], &inspected[0]["NumContainers"]), (&id.into(), &2.into()));
        assert_eq!(inspected[0]["CgroupPath"], one(world)["Cgroup"]);
        // The command that made it, whatever came later.
        let words = inspected[0]["CreateCommand"].as_array().unwrap();
        assert!(words[0].as_str().unwrap().ends_with("compose") && words[1..] == ["create"], "{words:?}");
        pod(world, "rm -f -t 0 project").ok().says(id);
        pod(world, "exists project").exits(1);
        // What has a name stays.
        assert_eq!(volumes(), 1);
        assert!(world.roots().data.join("volumes/project_pages").exists());
        assert_eq!(std::fs::read_dir(world.roots().data.join("networks")).unwrap().count(), 0);
    }
}

scenario! {
    /// A pod's numbers are those of its cgroup, and freezing and killing it reach every process.
    a_pod_is_counted_and_frozen_whole, |world| {
        world.compose("up -d").ok();
        if !world.has_limits() {
            pod(world, "pause project").exits(125).says("this account has no cgroups");
            assert_eq!(state(world), "Running");
            let total = json(&pod(world, "stats --no-stream --total --format json project"));
            assert_eq!(total[0]["PIDS"], "--");
            return;
        }
        world.compose("run -d --name extra web").ok();
        let ids: Vec<String> = world.rows().iter().map(|row| row["ID"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 3);
        let all = || -> Vec<i32> { ids.iter().flat_map(|id| world.processes(id)).collect() };
        // `init` and `sleep` of each, once the last `sleep` is there.
        let processes = until("six processes", || Some(all()).filter(|pids| pids.len() == 6));

        let rows = json(&pod(world, "stats --no-stream --format json project"));
        assert_eq!(rows.as_array().unwrap().len(), 3);
        assert!(rows.as_array().unwrap().iter().all(|row| row["PIDS"] == "2"), "{rows}");
        let web = rows.as_array().unwrap().iter().find(|row| row["Name"] == "project-web-1").unwrap();
        assert!(web["MemUsageBytes"].as_str().unwrap().ends_with(" / 64MiB"), "{web}");
        let total = json(&pod(world, "stats --no-stream --total --format json project"));
        assert_eq!((&total[0]["Name"], &total[0]["PIDS"]), (&"project".into(), &"6".into()));
        let seen = pod(world, "top project hpid").ok().stdout;
        let mut seen: Vec<i32> = seen.lines().skip(1).map(|line| line.parse().unwrap()).collect();
        seen.sort_unstable();
        let mut expected = processes.clone();
        expected.sort_unstable();
        assert_eq!(seen, expected);

        pod(world, "pause project").ok();
        assert_eq!(state(world), "Paused");
        assert!(processes.iter().all(|pid| is_frozen(*pid)));
        pod(world, "unpause project").ok();
        assert_eq!(state(world), "Running");
        assert!(!processes.iter().any(|pid| is_frozen(*pid)));
        pod(world, "kill project").ok();
        until("all have ended", || (state(world) == "Exited").then_some(()));
        assert_eq!(all(), Vec::<i32>::new());
        let rows = json(&pod(world, "stats --no-stream --all --format json"));
        assert!(rows.as_array().unwrap().iter().all(|row| row["PIDS"] == "--"), "{rows}");
    }
}

/// Runs a pod command where no Compose file can help it.
fn pod(world: &World, line: &str) -> Output {
    let file = world.project().join("compose.yaml");
    let aside = world.project().join("aside.yaml");
    std::fs::rename(&file, &aside).unwrap();
    let output = world.compose(&format!("pod {line}"));
    std::fs::rename(&aside, &file).unwrap();
    output
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The only pod, as `pod ps` shows it.
fn one(world: &World) -> Value {
    let pods = json(&pod(world, "ps --format json").ok());
    assert_eq!(pods.as_array().unwrap().len(), 1, "{pods}");
    pods[0].clone()
}

/// The state of the only pod.
fn state(world: &World) -> String {
    one(world)["Status"].as_str().unwrap().to_owned()
}

/// Waits until a command prints these lines, in any order.
fn lines(world: &World, command: &str, expected: &[&str]) {
    until(command, || {
        let output = pod(world, command).ok().stdout;
        let mut lines: Vec<&str> = output.lines().collect();
        lines.sort_unstable();
        (lines == expected).then_some(())
    });
}

/// Whether the unified cgroup of a process is frozen.
fn is_frozen(pid: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    let events = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .iter()
        .find_map(|mount| std::fs::read_to_string(format!("{mount}{path}/cgroup.events")).ok())
        .unwrap();
    events.lines().any(|line| line == "frozen 1")
}
