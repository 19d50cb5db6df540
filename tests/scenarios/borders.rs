//! Scenarios at the borders: between projects, versions, and the user's patience.

use scenarios::{scenario, until};

scenario! {
    /// A store that a newer program has written is not touched.
    a_newer_store_is_refused, |world| {
        world.compose("create").ok();
        world.compose("down").ok();
        let format = world.roots().data.join("format");
        let text = std::fs::read_to_string(&format).unwrap();
        std::fs::write(&format, text.replacen('1', "99", 1)).unwrap();
        world.compose("up -d").exits(1).says("newer").says(&format.to_string_lossy());
        std::fs::write(&format, text).unwrap();
        world.compose("up -d").ok();
    }
}

scenario! {
    /// A project on the network of another finds its services there, under their names and aliases, and
    /// keeps the network in use.
    projects_meet_on_a_network_of_one, |world| {
        world.compose("up -d").ok();
        world.compose("-p other -f other/compose.yaml up -d").ok();
        for name in ["web", "shop", "project-web-1"] {
            let ping = ["-p", "other", "exec", "-T", "client", "ping", "-c", "1", "-w", "5", name];
            world.run(&ping, "").ok();
        }
        world.compose("exec -T web ping -c 1 -w 5 client").ok();
        world.compose("down").says("project_default").says("in use");
        world.compose("up -d").ok();
        let declared = std::fs::read_to_string(world.project().join("compose.yaml")).unwrap();
        world.write("compose.yaml", &format!("{declared}    internal: true\n"));
        world.compose("up -d").ok().says("kept as it is").says("other-client-1");
        world.run(&["-p", "other", "exec", "-T", "client", "ping", "-c", "1", "-w", "5", "shop"], "").ok();
        world.compose("-p other -f other/compose.yaml down").ok();
        // Nobody else is on it: it is made anew, with what is on it.
        world.compose("up -d --dry-run").ok().says("internal of network `project_default` changed");
        world.compose("up -d").ok();
        world.run(&["exec", "-T", "web", "ip", "route", "get", "192.0.2.1"], "").exits(2);
        world.compose("down").ok();
    }
}

scenario! {
    /// A container may listen on port 53 itself: names are answered beside it.
    a_container_can_answer_names_itself, |world| {
        world.compose("up -d").ok();
        let own = ["exec", "-T", "client", "nc", "-w", "5", "names", "53"];
        until("its own server answers", || world.run(&own, "").stdout.contains("served").then_some(()));
        world.compose("exec -T names ping -c 1 -w 5 client").ok();
        world.compose("exec -T client ping -c 1 -w 5 names").ok();
    }
}

scenario! {
    /// A first interrupt asks, a second one kills.
    a_second_interrupt_kills, |world| {
        let mut up = world.background("up");
        up.line("here");
        up.signal("INT");
        up.line("Stopping");
        assert_eq!(world.state("stubborn"), "running");
        up.signal("INT");
        assert_eq!(up.end(), 130);
        assert_eq!((world.state("stubborn"), world.row("stubborn")["ExitCode"].clone()), ("exited".to_owned(), 137.into()));
    }
}

scenario! {
    /// A port that a container of another project publishes is refused with its name and project.
    a_port_of_another_project_is_named, |world| {
        world.compose("-p one up -d").ok();
        let refused = world.compose("-p two up -d").exits(1);
        for text in ["already allocated", "one-web-1", "`one`", "service `web` (compose.yaml:6:13)"] {
            assert!(refused.stderr.contains(text), "no {text:?} in\n{}", refused.stderr);
        }
        world.compose("-p one down").ok();
        world.compose("-p two up -d").ok();
    }
}
