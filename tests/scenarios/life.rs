//! Scenarios about the life of a project: up, down, stop, start, restart policies, conditions, health.

use scenarios::{World, http, scenario, until};

scenario! {
    /// `up -d` starts everything, `down` removes everything but volumes, `down -v` those too.
    a_project_goes_up_and_down, |world| {
        world.compose("up -d").ok();
        assert_eq!(world.state("web"), "running");
        world.run(&["exec", "-T", "web", "sh", "-c", "echo kept > /srv/page"], "").ok();
        let address = format!("127.0.0.1:{}", world.port());
        until("the page is served", || http(&address, "page").filter(|body| body == "kept\n"));
        world.compose("stop").ok();
        assert_eq!((world.state("web"), world.state("db")), ("exited".to_owned(), "exited".to_owned()));
        assert_eq!(http(&address, "page"), None);
        world.compose("start").ok();
        until("the page is served after start", || http(&address, "page"));
        let before = world.id("web");
        world.compose("restart -t 1 web").ok();
        assert_eq!(world.id("web"), before);
        until("the page is served after restart", || http(&address, "page"));
        world.compose("down").ok();
        assert!(world.rows().is_empty());
        assert_eq!(http(&address, "page"), None);
        world.compose("up -d").ok();
        until("the page survives down", || http(&address, "page").filter(|body| body == "kept\n"));
        world.compose("down -v").ok();
        world.compose("up -d").ok();
        world.run(&["exec", "-T", "web", "test", "-e", "/srv/page"], "").exits(1);
    }
}

scenario! {
    /// A reboot takes all run-time documents along: what ran has ended, what did not was never started, and
    /// `up` goes on with what the disk has. (Here everything is stopped and the folder of these documents removed.)
    what_ran_before_a_reboot_goes_on, |world| {
        world.compose("up -d web").ok();
        world.compose("create idle").ok();
        let id = world.id("web");
        world.run(&["exec", "-T", "web", "sh", "-c", "echo kept > /root/page"], "").ok();
        until("it is logged", || world.compose("logs web").ok().stdout.contains("hello").then_some(()));
        world.compose("stop -t 0").ok();
        until("nothing of it runs", || world.supervisor().is_none().then_some(()));
        let lives = |pid: i32| std::path::Path::new(&format!("/proc/{pid}")).exists();
        until("no infra runs", || (!world.recorded("infra.json").is_some_and(lives)).then_some(()));
        std::fs::remove_dir_all(&world.roots().run).unwrap();

        let told = |service| {
            let state = world.row(service);
            (state["State"].clone(), state["Status"].clone())
        };
        assert_eq!(told("web"), ("exited".into(), "Exited (?)".into()));
        assert_eq!(told("idle"), ("created".into(), "Created".into()));
        assert!(world.compose("logs web").ok().stdout.contains("hello"));
        world.compose("up -d web").ok();
        assert_eq!((world.id("web"), world.state("web")), (id, "running".to_owned()));
        world.run(&["exec", "-T", "web", "cat", "/root/page"], "").ok().says("kept");
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// `up -d` of what is up already touches nothing.
    a_second_up_changes_nothing, |world| {
        world.compose("up -d").ok();
        let before = pids(world);
        world.compose("up -d").ok().says("Running");
        assert_eq!(pids(world), before);
    }
}

scenario! {
    /// After an edit only the service it concerns is made again, and the reason is said.
    only_the_edited_service_is_recreated, |world| {
        world.compose("up -d").ok();
        let (web, db) = (world.id("web"), world.id("db"));
        world.edit("compose.yaml", "COLOUR: red", "COLOUR: blue");
        world.compose("up -d --dry-run").ok().says("COLOUR");
        assert_eq!(world.id("web"), web);
        world.compose("up -d").ok().says("COLOUR");
        assert_ne!(world.id("web"), web);
        assert_eq!(world.id("db"), db);
        assert_eq!(world.run(&["exec", "-T", "web", "sh", "-c", "echo $COLOUR"], "").ok().stdout, "blue\n");
        assert_eq!(world.row("web")["Name"], "project-web-1");
    }
}

scenario! {
    /// With `restart: always` a killed process is back, in the same container, while no command runs.
    a_killed_process_comes_back_in_the_same_container, |world| {
        world.compose("up -d").ok();
        let id = world.id("db");
        let first = world.processes(&id);
        signal(first[0], "KILL");
        until("another process runs", || {
            let now = world.processes(&id);
            (!now.is_empty() && now != first).then_some(())
        });
        // The process is there before it has become the program.
        until("ps says so", || (world.state("db") == "running").then_some(()));
        assert_eq!(world.id("db"), id);
        until("both runs are in the log", || {
            (world.compose("logs --no-log-prefix db").stdout == "started\nstarted\n").then_some(())
        });
    }
}

scenario! {
    /// `no`, `on-failure:N` and `unless-stopped` restart exactly when they should.
    restart_policies_do_what_they_say, |world| {
        world.compose("up -d").ok();
        until("`failing` has given up", || (world.state("failing") == "exited").then_some(()));
        assert_eq!(world.row("failing")["ExitCode"], 4);
        assert_eq!(world.compose("logs --no-log-prefix failing").stdout, "run\nrun\nrun\n");
        assert_eq!((world.state("never"), world.row("never")["ExitCode"].clone()), ("exited".to_owned(), 3.into()));
        assert_eq!(world.state("succeeding"), "exited");
        until("`stubborn` has run three times", || {
            (world.compose("logs --no-log-prefix stubborn").stdout.lines().count() >= 3).then_some(())
        });
        world.compose("stop stubborn").ok();
        let runs = world.compose("logs --no-log-prefix stubborn").stdout;
        assert_eq!(world.state("stubborn"), "exited");
        until("nobody is left who could start it", || world.supervisor().is_none().then_some(()));
        assert_eq!(world.compose("logs --no-log-prefix stubborn").stdout, runs);
    }
}

scenario! {
    /// What a person stopped stays stopped, whatever the restart policy, until it is started again.
    a_stop_is_not_undone, |world| {
        world.compose("up -d").ok();
        world.compose("stop").ok();
        assert_eq!(world.state("db"), "exited");
        assert!(world.supervisor().is_none_or(|_| world.processes(&world.id("db")).is_empty()));
        world.compose("kill").ok();
        assert_eq!(world.state("db"), "exited");
        world.compose("start").ok();
        assert_eq!(world.state("db"), "running");
        world.compose("kill db").ok();
        until("the kill has been noticed", || (world.state("db") == "exited").then_some(()));
        assert_eq!(world.row("db")["ExitCode"], 137);
    }
}

scenario! {
    /// A stop goes on when the command that asked for it was interrupted; the next one does not take for running
    /// what is about to end, and starts it when it has.
    a_stop_that_was_interrupted_ends_before_the_next_start, |world| {
        world.compose("up -d").ok();
        let wrote = |word: &str| {
            until(word, || world.compose("logs").stdout.contains(word).then_some(()));
        };
        wrote("ready");
        let id = world.id("web");
        let mut stop = world.background("stop");
        wrote("asked");
        stop.signal("INT");
        assert_eq!(stop.end(), 130);
        let mut up = world.background("up -d");
        up.line("Starting");
        assert_eq!(world.state("web"), "running", "until its time is over");
        world.compose("exec -T web touch /tmp/go").ok();
        up.line("Started");
        assert_eq!(up.end(), 0);
        let words = world.compose("logs --no-log-prefix").ok().stdout;
        assert_eq!(words, "ready\nasked\nready\n");
        assert_eq!((world.state("web").as_str(), world.id("web")), ("running", id));

        // A signal that means the same, and is not heeded, is forgotten with the next `up`.
        world.compose("kill -s TERM").ok();
        world.compose("up -d").ok().says("Started");
        world.compose("up -d").ok().says("nothing to do");
    }
}

scenario! {
    /// A service starts when its dependencies are healthy, or completed, and not before.
    conditions_order_the_start, |world| {
        world.compose("up -d").ok();
        until("web has found both files", || {
            (world.compose("logs --no-log-prefix web").stdout == "yes\nyes\n").then_some(())
        });
        assert_eq!(world.row("db")["Health"], "healthy");
        assert_eq!(world.state("prepare"), "exited");
    }
}

scenario! {
    /// A dependency that fails, becomes unhealthy, ends before it is healthy or has no check keeps its dependents
    /// from starting, and the error names it. One of which there are to be no containers is not waited for.
    a_failed_dependency_stops_the_start, |world| {
        for (dependent, why) in [
            ("web", "\"prepare\" didn't complete successfully: exit 7"),
            ("on-sick", "container project-sick-1 is unhealthy"),
            ("on-ended", "container project-ended-1 exited (5)"),
            ("on-unchecked", "container project-unchecked-1 has no healthcheck configured"),
        ] {
            world.compose(&format!("up -d {dependent}")).exits(1).says(why);
            assert_eq!(world.state(dependent), "created");
        }
        world.compose("up -d --scale sick=0 on-sick").ok();
        assert_eq!(world.state("on-sick"), "running");
    }
}

scenario! {
    /// Probes run with no command there, and their verdict is in `ps`.
    health_is_watched_with_nobody_there, |world| {
        world.compose("up -d").ok();
        until("three failures", || (world.row("db")["Health"] == "unhealthy").then_some(()));
        assert_eq!(world.state("db"), "running");
        world.compose("exec -T db touch /tmp/healthy").ok();
        until("one success", || (world.row("db")["Health"] == "healthy").then_some(()));
        world.compose("up -d --wait").ok();
    }
}

fn pids(world: &World) -> Vec<Vec<i32>> {
    ["web", "db"].iter().map(|service| world.processes(&world.id(service))).collect()
}

/// Sends a signal to a process of a container, from outside.
pub(crate) fn signal(pid: i32, name: &str) {
    let status = std::process::Command::new("/bin/kill").args([format!("-{name}"), pid.to_string()]).status();
    assert!(status.unwrap().success());
}
