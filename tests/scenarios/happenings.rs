//! Scenarios about what happens to containers: events, and what follows from bad health.

use scenarios::{World, scenario, until};
use serde_json::Value;

/// What `events --json` has noted since the beginning, as `service action`.
fn noted(world: &World) -> Vec<String> {
    let text = world.compose("events --json --since 2000-01-01 --until 0s").ok().stdout;
    let line = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", event["service"].as_str().unwrap(), event["action"].as_str().unwrap())
    };
    text.lines().map(line).collect()
}

scenario! {
    /// `events` follows what happens, from before the first `up` to after `down`, with labels and image;
    /// `--since` and `--until` give what was noted, also with no supervisor there.
    events_are_kept_and_followed, |world| {
        let mut all = world.background("events --json --since 1h");
        let mut web = world.background("events --since 1h web");
        world.compose("up -d").ok();
        for action in ["create", "start"] {
            let event: Value = serde_json::from_str(&all.line(&format!("\"action\":\"{action}\""))).unwrap();
            assert_eq!(event["type"], "container");
            assert_eq!(event["attributes"]["image"], "busybox");
            assert!(event["time"].as_str().unwrap().ends_with('Z'), "{event}");
        }
        let line = web.line("container create");
        assert!(line.contains(&world.id("web")) && line.contains("tier=front"), "{line}");
        assert!(line.contains("name=project-web-1") && !line.contains("com.docker"), "{line}");
        world.run(&["exec", "-T", "web", "sh", "-c", "exit 3"], "").exits(3);
        let begun = ["exec_create: sh -c exit 3", "exec_start: sh -c exit 3"].map(|action| web.line(action));
        let ended = web.line("exec_die");
        let exec = |line: &str| line.split_once("execID=").unwrap().1[..64].to_owned();
        assert!(ended.contains("exitCode=3") && begun.iter().all(|line| exec(line) == exec(&ended)), "{begun:?} {ended}");
        world.compose("kill -s SIGTERM web").ok();
        assert!(web.line("container die").contains("exitCode=143"), "{:?}", web.lines());
        until("web has ended", || (world.state("web") == "exited").then_some(()));
        world.compose("stop -t 5 db").ok();
        all.line("\"action\":\"stop\"");

        let events = noted(world);
        let of = |service: &str| -> Vec<&str> {
            events.iter().filter_map(|event| event.strip_prefix(service)).map(str::trim).collect()
        };
        assert_eq!(of("db"), ["create", "start", "kill", "die", "stop"]);
        let executed = ["exec_create: sh -c exit 3", "exec_start: sh -c exit 3", "exec_die"];
        assert_eq!(of("web"), [&["create", "start"], &executed[..], &["kill", "die"]].concat(), "a signal is no stop");
        let late = world.compose("events --json --since 0s --until 0s").ok().stdout;
        assert_eq!(late, "");
        world.compose("events --since yesterday-or-so").exits(1).says("--since");

        world.compose("down").ok();
        assert!(web.line("container destroy").contains("project-web-1"));
        world.compose("up -d db").ok();
        all.line("\"action\":\"create\"");
        for mut follower in [all, web] {
            follower.signal("INT");
            assert_eq!(follower.end(), 130);
        }
    }
}

scenario! {
    /// Times are told, and read, in the zone of who asks: `TZ`, whatever the container's is. Times of log lines are
    /// UTC, as with Docker.
    times_are_those_of_who_asks, |world| {
        world.compose("up -d").ok();
        // Five hours and three quarters before UTC, a zone that needs no table of zones.
        let there = |line: &str| {
            let mut program = world.program();
            program.args(line.split(' ')).env("TZ", "NPT-5:45");
            world.finish(program, "").ok().stdout
        };
        let events = |text: String| -> Vec<Value> {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let asked = "events --json --since 2000-01-01 --until 0s web";
        let (here, ahead) = (events(world.compose(asked).ok().stdout), events(there(asked)));
        let time = |event: &Value| event["time"].as_str().unwrap().to_owned();
        let (utc, local) = (time(&here[0]), time(&ahead[0]));
        assert!(utc.ends_with('Z') && local.ends_with("+05:45"), "{utc} {local}");
        let moment = |text: &str| text.parse::<resource::Timestamp>().unwrap();
        assert_eq!(moment(&utc), moment(&local));
        let (date, clock) = local.split_once('T').unwrap();
        let shown = format!("{date} {}", &clock[..15]);
        assert!(there("events --since 2000-01-01 --until 0s web").starts_with(&shown), "{shown}");

        let created = "ps -a --format {{.CreatedAt}} web";
        let parsed = |text: &str, zone: &str, offset: &str| {
            let time = text.trim().strip_suffix(zone).unwrap_or_else(|| panic!("{text}"));
            moment(&format!("{}{offset}", time.trim().replace(' ', "T")))
        };
        let made = parsed(&there(created), "+0545 NPT", "+05:45");
        assert_eq!(made, parsed(&world.compose(created).ok().stdout, "+0000 UTC", "Z"));
        let started = there("top web").lines().nth(1).unwrap().split_whitespace().nth(6).unwrap().to_owned();
        let utc_clock = world.compose("top web").ok().stdout;
        let utc_clock = utc_clock.lines().nth(1).unwrap().split_whitespace().nth(6).unwrap();
        assert_ne!(started, utc_clock);

        // What has no zone is of that zone: the minute in which it began there is long over here.
        let minute = &local[..16];
        assert_eq!(events(there(&format!("events --json --since {minute} --until 0s web"))), ahead);
        assert_eq!(world.compose(&format!("events --json --since {minute} --until 0s web")).ok().stdout, "");
        let logs = || Some(there("logs -t --no-log-prefix web")).filter(|text| !text.is_empty());
        let stamped = until("a line", logs);
        assert_eq!(stamped, world.compose("logs -t --no-log-prefix web").ok().stdout);
        assert!(stamped.split(' ').next().unwrap().ends_with('Z'), "{stamped}");
    }
}

scenario! {
    /// What each command does to a container is told in Docker's words and order: a recreation with the names of
    /// both containers, a restart, a pause, a kill.
    what_commands_do_is_told_as_docker_does, |world| {
        world.compose("up -d").ok();
        let mut told = 0;
        let mut news = || {
            let text = world.compose("events --json --since 2000-01-01 --until 0s web").ok().stdout;
            let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let new = all[told..].to_vec();
            told = all.len();
            new
        };
        let actions = |events: &[Value]| -> Vec<String> {
            events.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(actions(&news()), ["create", "start"]);
        let old = world.id("web");
        world.edit("compose.yaml", "COLOUR: red", "COLOUR: blue");
        world.compose("up -d -t 0").ok();
        let (new, events) = (world.id("web"), news());
        assert_eq!(actions(&events), ["create", "kill", "die", "stop", "destroy", "rename", "start"]);
        let ids: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [&new, &old, &old, &old, &old, &new, &new].map(String::as_str));
        let (first, last) = (format!("{}_project-web-1", &old[..12]), "project-web-1");
        let names: Vec<_> = events.iter().map(|event| event["attributes"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, [&first, last, last, last, last, last, last]);
        assert_eq!(events[5]["attributes"]["oldName"], format!("/{first}"));
        assert_eq!((&events[1]["attributes"]["signal"], &events[2]["attributes"]["exitCode"]), (&"9".into(), &"137".into()));
        assert!(events[2]["attributes"]["execDuration"].as_str().unwrap().parse::<u32>().is_ok());

        world.compose("restart -t 0 web").ok();
        assert_eq!(actions(&news()), ["kill", "die", "stop", "start", "restart"]);
        if world.has_limits() {
            world.compose("pause web").ok();
            world.compose("unpause web").ok();
            assert_eq!(actions(&news()), ["pause", "unpause"]);
        }
        world.compose("kill -s USR1 web").ok();
        let events = news();
        assert_eq!((actions(&events), &events[0]["attributes"]["signal"]), (vec!["kill".to_owned()], &"10".into()));
        world.compose("stop -t 0 web").ok();
        world.compose("restart web").ok();
        assert_eq!(actions(&news()), ["kill", "die", "stop", "start", "restart"], "of one that did not run");
        world.compose("run --rm -T web true").ok();
        assert_eq!(actions(&news()), [""; 0], "one-offs are nobody's service");
    }
}

scenario! {
    /// A container with `x-on-unhealthy: restart` is stopped and started again when its check fails, any
    /// number of times; another stays unhealthy, and what is stopped by hand stays stopped.
    an_unhealthy_container_is_healed_when_asked, |world| {
        world.compose("up -d --wait").ok();
        let count = |action: &str| noted(world).iter().filter(|event| *event == action).count();
        for round in 1..=2 {
            world.run(&["exec", "-T", "web", "rm", "/tmp/well"], "").ok();
            until("web was started again", || (count("web start") == round + 1).then_some(()));
            until("web is healthy", || (world.row("web")["Health"] == "healthy").then_some(()));
        }
        world.run(&["exec", "-T", "other", "rm", "/tmp/well"], "").ok();
        until("other is unhealthy", || (world.row("other")["Health"] == "unhealthy").then_some(()));
        let told = world.compose("up -d").ok();
        told.says("other-1 Running unhealthy").says("not all is well: see `compose logs other`");
        assert_eq!((count("other start"), count("other die")), (1, 0));
        assert_eq!((count("web health_status: unhealthy"), count("web die")), (2, 2));
        world.compose("stop -t 0").ok();
        assert_eq!(world.state("web"), "exited");

        world.edit("compose.yaml", "x-on-unhealthy: restart", "x-on-unhealthy: dance");
        world.compose("up -d").exits(1).says("compose.yaml:6:21").says("`restart` or `none`");
    }
}

scenario! {
    /// The pause before each restart is twice the one before it.
    pauses_between_restarts_grow, |world| {
        world.compose("up -d").ok();
        let time = |event: &Value| event["time"].as_str().unwrap().parse::<resource::Timestamp>().unwrap();
        let events = until("five starts", || {
            let text = world.compose("events --json --since 2000-01-01 --until 0s").ok().stdout;
            let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (events.iter().filter(|event| event["action"] == "start").count() == 5).then_some(events)
        });
        let of = |action: &str| -> Vec<_> {
            events.iter().filter(|event| event["action"] == action).map(time).collect()
        };
        // While it waits, `up` does not call that running.
        let told = until("a pause that `up` falls into", || {
            Some(world.compose("up -d").ok()).filter(|told| told.stderr.contains("Restarting"))
        });
        told.says("Restarting (1)").says(" restarted ").says("not all is well: see `compose logs web`");
        let (ends, starts) = (of("die"), of("start"));
        for (number, (end, start)) in ends.iter().zip(&starts[1..]).enumerate() {
            let pause = start.as_nanosecond() - end.as_nanosecond();
            assert!(pause >= 100_000_000 << number, "restart {number} after {pause} ns");
        }
    }
}
