//! Scenarios about what services are to each other: optional, taken along, waited for in vain.

use resource::{ContainerState, Timestamp, document};
use scenarios::{World, scenario, until};

scenario! {
    /// An optional dependency that fails only warns; `restart: true` takes the dependent along when a command
    /// restarts or recreates what it depends on; waiting ends when its time is over; `deploy.restart_policy`
    /// goes before `restart`, and a one-off has none.
    what_is_depended_on_is_optional_or_takes_along, |world| {
        world.compose("up -d").ok().says("optional dependency of web failed to start");
        assert_eq!((world.state("web"), world.state("gone")), ("running".to_owned(), "exited".to_owned()));

        world.compose("run --rm -T web true").ok().says("optional dependency failed to start: container project-gone-1");
        assert!(world.rows().iter().all(|row| row["Service"] != "slow" && row["Service"] != "policy"), "of a profile");

        let before = [started(world, "web"), started(world, "idle")];
        world.compose("restart -t 0 db").ok();
        assert_ne!(started(world, "web"), before[0]);
        assert_eq!(started(world, "idle"), before[1]);
        let before = [started(world, "web"), started(world, "idle")];
        world.compose("restart -t 0 --no-deps db").ok();
        assert_eq!([started(world, "web"), started(world, "idle")], before);
        world.edit("compose.yaml", "COLOUR: red", "COLOUR: blue");
        world.compose("up -d -t 0").ok();
        assert_ne!(started(world, "web"), before[0]);
        assert_eq!(started(world, "idle"), before[1]);
        world.compose("restart -t 0 web").ok();
        assert_eq!(started(world, "idle"), before[1]);

        let waited = world.compose("up --wait --wait-timeout 1 slow").exits(1);
        waited.says("application not healthy after 1s").says("project-slow-1");
        assert_eq!(world.state("slow"), "running");

        world.compose("up -d policy").ok();
        let ended = || (world.row("policy")["State"] == "exited").then_some(());
        until("two more attempts", || ended().filter(|()| logged(world) == 3));
        world.compose("run --rm -T policy").exits(4);
        world.compose("--profile * down -t 0").ok();
    }
}

scenario! {
    /// A service's health check is laid over its image's, field by field, and can switch it off; probes come an
    /// interval after the start and after the end of the last one, run as the container's own process does, and the
    /// last five are remembered with the first of what they printed. In the start period failures do not count and
    /// probes come at the start interval; a restart begins anew; a paused container is not probed. What a probe whose
    /// time is over had started can print to the end, and dies of no closed pipe.
    a_health_check_is_laid_over_the_images, |world| {
        world.compose("up -d --build").ok();
        let health = |service: &str| world.row(service)["Health"].as_str().unwrap().to_owned();
        let becomes = |service: &str, wanted: &str| {
            until(&format!("{service} is {wanted}"), || (health(service) == wanted).then_some(()));
        };
        becomes("command", "healthy");
        // So many failures in a row and no fewer.
        becomes("once", "healthy");
        becomes("thrice", "healthy");
        let told = world.compose("events --json --since 2000-01-01 --until 0s once thrice").ok().stdout;
        let ill = |service: &str| {
            told.lines().filter(|line| line.contains(&format!("\"{service}\"")) && line.contains("unhealthy")).count()
        };
        assert_eq!((ill("once"), ill("thrice")), (1, 0), "{told}");
        becomes("fields", "unhealthy");
        becomes("hanging", "unhealthy");
        let said = || world.run(&["exec", "-T", "hanging", "cat", "/s/said"], "").stdout == "x\n";
        until("what it had started has printed", || said().then_some(()));
        becomes("image", "unhealthy");
        assert_eq!((health("none"), health("disabled")), (String::new(), String::new()));
        inside(world, "image", "touch /s/well");
        becomes("image", "healthy");

        let report = |service: &str| state(world, service).health.unwrap_or_else(|| panic!("no health of {service}"));
        let paced = until("five probes at their pace", || Some(report("paced").probes).filter(|probes| probes.len() == 5));
        let begun = state(world, "paced").started.unwrap();
        let free = std::iter::once(begun).chain(paced.iter().map(|probe| probe.ended));
        for (before, probe) in free.zip(&paced) {
            // The clock that tells and the one that waits are two.
            let pause = probe.started.duration_since(before).as_millis();
            assert!(pause >= 290, "a probe {pause} ms after {before}");
        }
        assert!(paced.iter().all(|probe| probe.exit_code == 3 && probe.output.len() == 4096), "{paced:?}");
        assert!(paced[0].output.starts_with("web /etc red\noops\nxxx"), "{paced:?}");
        assert_eq!(report("exact").probes[0].output, "$HOME; id\n");
        until("no more than five", || (report("command").probes[0].started > begun).then_some(()));
        assert_eq!(report("command").probes.len(), 5);

        until("probes in the start period", || (probes(world, "patient") > 8).then_some(()));
        assert_eq!(health("patient"), "starting");
        inside(world, "patient", "touch /s/well");
        becomes("patient", "healthy");
        inside(world, "patient", "rm /s/well");
        world.compose("restart -t 0 patient").ok();
        becomes("patient", "starting");

        if world.has_limits() {
            world.compose("pause image").ok();
            let before = probes_of_paused(world);
            // Two other containers are probed meanwhile, this one is not.
            let others = probes(world, "fields");
            until("others are probed", || (probes(world, "fields") > others + 3).then_some(()));
            assert_eq!(probes_of_paused(world), before);
            world.compose("unpause image").ok();
            until("it is probed again", || (probes(world, "image") > before).then_some(()));
        }
        world.compose("down -t 0").ok();
    }
}

/// How often a service was probed.
fn probes(world: &World, service: &str) -> usize {
    inside(world, service, "cat /s/probes").lines().count()
}

/// The same of one that is paused, in which nothing can be executed.
fn probes_of_paused(world: &World) -> usize {
    let pid = world.processes(&world.id("image"))[0];
    std::fs::read_to_string(format!("/proc/{pid}/root/s/probes")).unwrap().lines().count()
}

fn inside(world: &World, service: &str, command: &str) -> String {
    world.run(&["exec", "-T", service, "sh", "-c", command], "").stdout
}

/// When the first container of a service was started last.
fn started(world: &World, service: &str) -> Timestamp {
    state(world, service).started.unwrap()
}

/// What the first container of a service does, as its supervisor has written it.
fn state(world: &World, service: &str) -> ContainerState {
    let id = world.id(service);
    let state = world.roots().run.join(format!("pods/project/containers/{id}/state.json"));
    document::decode(&std::fs::read(state).unwrap()).unwrap()
}

/// How often `policy` has run.
fn logged(world: &World) -> usize {
    world.compose("logs --no-log-prefix policy").ok().stdout.matches("ran").count()
}
