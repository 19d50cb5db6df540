//! Scenarios in which something of ours is killed: the next command tells the truth and goes on.

use crate::life::signal;
use scenarios::{World, http, scenario, until};

scenario! {
    /// Containers outlive their supervisor; the next command brings another that adopts them: names,
    /// ports, exec, logs and the restart policy work as before.
    a_killed_supervisor_is_replaced, |world| {
        world.compose("up -d").ok();
        let address = format!("127.0.0.1:{}", world.port());
        until("the port answers", || http(&address, "passwd"));
        let id = world.id("web");
        let processes = world.processes(&id);
        kill_supervisor(world);
        assert_eq!(world.processes(&id), processes);
        assert_eq!(world.state("web"), "running");
        assert_eq!(world.processes(&id), processes);
        until("the port answers again", || http(&address, "passwd"));
        until("names resolve again", || {
            (world.compose("exec -T client ping -c 1 -w 1 web").code == 0).then_some(())
        });
        signal(processes[0], "KILL");
        until("the adopted container was restarted", || {
            let now = world.processes(&id);
            (!now.is_empty() && now != processes).then_some(())
        });
        kill_supervisor(world);
        // Process 1 or its child: with either the container ends.
        signal(world.processes(&world.id("client"))[0], "KILL");
        until("the truth about what died meanwhile", || (world.state("client") == "exited").then_some(()));
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// The log of a container that writes as fast as it can has every line once, in order, although its
    /// supervisor is killed again and again.
    no_line_is_lost_when_the_supervisor_is_killed, |world| {
        world.compose("up -d").ok();
        for _ in 0..20 {
            kill_supervisor(world);
            world.compose("ps").ok();
            until("another supervisor", || world.supervisor());
        }
        world.compose("exec -T talker touch /tmp/enough").ok();
        let log = until("the last line", || {
            let log = world.compose("logs --no-log-prefix").stdout;
            log.ends_with("finished\n").then_some(log)
        });
        let mut lines = 0;
        for line in log.lines().take_while(|line| *line != "finished") {
            assert_eq!(line, format!("line {lines}"));
            lines += 1;
        }
        assert!(lines > 10_000, "the writer was too slow: {lines} lines");
    }
}

scenario! {
    /// A port whose supervisor was killed can be had by another project, which then is the one that
    /// answers: the other one's redirection, left in the kernel, gives way, and does not come back with
    /// the next supervisor, whose container lives on without the port.
    a_killed_projects_port_can_be_had, |world| {
        let answering = |project: &str| {
            let address = format!("127.0.0.1:{}", world.port());
            let greeting = format!("served by {project}");
            let write = format!("echo {greeting} > /etc/greeting");
            world.run(&["-p", project, "exec", "-T", "web", "sh", "-c", &write], "").ok();
            let answer = until("the port answers", || http(&address, "greeting"));
            assert!(answer.contains(&greeting), "{answer}");
        };
        world.compose("-p one up -d").ok();
        answering("one");
        kill_supervisor(world);
        world.compose("-p two up -d").ok();
        answering("two");
        world.compose("-p one ps").ok();
        until("a supervisor of the first again", || {
            (world.compose("-p one exec -T web true").code == 0).then_some(())
        });
        answering("two");
        assert_eq!(world.compose("-p one port web 80").code, 1);
        assert!(world.compose("-p two port web 80").ok().stdout.contains(&world.port().to_string()));
        world.compose("-p two down").ok();
        world.compose("-p one up -d").ok();
        answering("one");
        world.compose("-p one down").ok();
    }
}

pub(crate) fn kill_supervisor(world: &World) {
    let pid = world.supervisor().expect("a supervisor runs");
    signal(pid, "KILL");
    until("the supervisor is gone", || (world.supervisor() != Some(pid)).then_some(()));
}
