//! Scenarios about `compose ui`, on a terminal of the test's own.

use scenarios::scenario;

scenario! {
    /// The dashboard stops when it is told to, by a key or a signal, and leaves the terminal to the shell meanwhile;
    /// when it goes on it takes it again, also after a stop that nobody can foresee.
    the_dashboard_stops_and_goes_on, |world| {
        world.compose("up -d").ok();
        let mut ui = world.terminal("ui", 24, 80);
        ui.shows("1 of 1 running");
        for stop in ["key", "TSTP"] {
            if stop == "key" { ui.keys("\x1a") } else { ui.signal(stop) }
            ui.is_stopped();
            ui.assert_given_back();
            ui.signal("CONT");
            ui.shows("1 of 1 running");
        }
        // A shell that sees its program stopped gives the terminal its own modes back.
        ui.signal("STOP");
        ui.is_stopped();
        ui.as_a_shell_wants_it();
        ui.signal("CONT");
        ui.shows("1 of 1 running");
        ui.keys("?");
        ui.shows("leave; containers run on");
        ui.keys("qq");
        assert_eq!(ui.end(), 0);
        ui.assert_given_back();
    }
}

scenario! {
    /// The dashboard goes on while what it shows comes and goes: a project that is taken down by another command and
    /// comes back, services that do not run, and searches for what is not there.
    the_dashboard_outlives_what_it_shows, |world| {
        let mut ui = world.terminal("ui", 24, 80);
        ui.shows("no containers");
        ui.keys("jx");
        ui.shows("does not run");
        ui.keys("u");
        ui.shows("start db:");
        world.compose("up -d").ok();
        ui.shows("2 of 2 running");
        ui.keys("k/nowhere to be found\r");
        ui.shows("not found");
        ui.keys("nN\x1b");
        ui.lacks("not found");
        ui.keys("jj");
        ui.shows("log: web-1");
        world.compose("down -t 0").ok();
        ui.shows("no containers");
        ui.keys("e");
        ui.shows("does not run");
        world.compose("up -d").ok();
        ui.shows("2 of 2 running");
        ui.keys("q");
        assert_eq!(ui.end(), 0);
        ui.assert_given_back();
    }
}

scenario! {
    /// The dashboard shows what happens while it happens, does what keys ask for, and gives the terminal
    /// back however it ends.
    the_dashboard_shows_and_acts, |world| {
        world.compose("ui").exits(1).says("needs a terminal");
        world.compose("up -d").ok();
        let mut ui = world.terminal("ui", 24, 80);
        ui.shows("2 of 2 running");
        ui.shows("web-1 | web is up");
        ui.keys("/DB is\r");
        ui.shows("/db is 1 of 1");
        ui.keys("\x1b");
        ui.lacks("1 of 1");

        // What loses a service is asked first; everything else does nothing.
        ui.keys("jjs");
        ui.shows("Stop web?");
        ui.keys("n");
        ui.lacks("Stop web?");
        assert_eq!(world.state("web"), "running");
        ui.keys("s");
        ui.shows("Stop web?");
        ui.keys("y");
        ui.shows("stop web: done");
        ui.shows("1 of 2 running");
        assert_eq!(world.state("web"), "exited");
        ui.keys("u");
        ui.shows("2 of 2 running");

        // What others do is seen without a key.
        world.compose("stop -t 0 db").ok();
        ui.shows("1 of 2 running");
        world.compose("start db").ok();
        ui.shows("2 of 2 running");

        ui.keys("xecho out of $HOSTNAME 'of web'\r");
        ui.shows("out of $HOSTNAME of web");
        ui.shows("ended with 0; press a key");
        ui.keys(" ");
        ui.shows("CONTAINER");
        ui.keys("e");
        ui.lacks("CONTAINER");
        ui.keys("echo 6*7=$((6*7)); exit 3\r");
        ui.shows("ended with 3");
        ui.shows("CONTAINER");

        ui.keys("g");
        ui.shows("─ db");
        ui.keys("x");
        ui.resize(10, 40);
        ui.shows("Up ");
        ui.resize(5, 20);
        ui.shows("terminal too small");
        ui.resize(40, 120);
        ui.shows("NET IN/OUT");
        ui.keys("q");
        assert_eq!(ui.end(), 0);
        ui.assert_given_back();

        let variables = [("NO_COLOR", "1"), ("LANG", "C")];
        for (end, code) in [("TERM", 130), ("HUP", 130), ("INT", 130), ("key", 130)] {
            let mut ui = world.terminal_with("ui", 24, 80, &variables);
            ui.shows("2 of 2 running");
            assert!(ui.screen().is_ascii(), "{}", ui.screen());
            if end == "key" { ui.keys("\x03") } else { ui.signal(end) }
            assert_eq!(ui.end(), code, "{end}");
            ui.assert_given_back();
        }
        assert_eq!((world.state("web"), world.state("db")), ("running".to_owned(), "running".to_owned()));
    }
}
