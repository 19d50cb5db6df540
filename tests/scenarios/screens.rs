//! Scenarios about what commands draw on a terminal, and about output that nobody reads.

use scenarios::{World, scenario, until};
use std::process::Stdio;

scenario! {
    /// The menu of an attached `up` turns watch on and off, leaves the containers running or stops them, never
    /// stays among the lines, and gives the terminal back.
    the_menu_of_up_watches_and_detaches, |world| {
        let mut up = world.terminal("up", 24, 80);
        up.shows("web-1  | web is up");
        up.shows("w Enable Watch   d Detach");
        // Broken into two lines it is still the menu, and goes as a whole.
        up.reflow(20);
        up.keys("w");
        up.shows("Watch enabled");
        up.shows("w Disable Watch");
        assert!(!up.screen().contains("Detach"), "{}", up.screen());
        up.reflow(80);
        world.write("src/page", "two");
        up.shows("Syncing service");
        let page = || world.run(&["exec", "-T", "web", "cat", "/app/page"], "").stdout;
        until("the edited page", || (page() == "two").then_some(()));
        up.keys("w");
        up.shows("Watch disabled");
        up.shows("w Enable Watch");
        up.keys("d");
        assert_eq!(up.end(), 0);
        up.assert_given_back();
        let whole = up.whole();
        assert!(whole.contains("web is up") && !whole.contains("Detach"), "{whole}");
        assert_eq!(world.state("web"), "running");

        let mut up = world.terminal("up", 10, 40);
        up.shows("d Detach");
        up.signal("HUP");
        assert_eq!(up.end(), 129);
        up.assert_given_back();
        assert_eq!(world.state("web"), "running");

        let mut up = world.terminal("up", 24, 80);
        up.shows("d Detach");
        up.keys("\x03");
        up.shows("Gracefully Stopping");
        assert_eq!(up.end(), 0);
        up.assert_given_back();
        assert_eq!(world.state("web"), "exited");

        let mut up = world.terminal_with("up", 24, 80, &[("COMPOSE_MENU", "false")]);
        up.shows("web-1  | web is up");
        up.keys("\x03");
        up.shows("Gracefully Stopping");
        assert_eq!(up.end(), 130);
        assert!(!up.screen().contains("Detach"), "{}", up.screen());
    }
}

scenario! {
    /// Progress is drawn in place in terminals of any size: in the end every line is there once, cut to the
    /// terminal's width as that is then, and nothing of former drawings, also where a terminal that became narrower
    /// broke its lines anew; what stood above is there. Colours only where they are wanted; in a pipe, and in a terminal that can do no better, there is a line an event and no escape.
    progress_is_drawn_in_place, |world| {
        for (rows, columns) in [(24, 200), (24, 80), (8, 40)] {
            let mut up = world.terminal("up -d", rows, columns);
            assert_eq!(up.end(), 0);
            up.assert_given_back();
            let whole = up.whole();
            let count = |text: &str| whole.matches(text).count();
            assert_eq!((count("[+] up"), count("more")), (1, 0), "{whole}");
            for number in 1..=9 {
                assert_eq!(count(&format!("✔ Container project-s{number}-1")), 1, "{whole}");
            }
            // Seconds stand at the right of every line, which would be longer than the terminal is wide.
            let lines = whole.lines().filter(|line| line.contains("Container"));
            let width = usize::from(columns) - 1;
            assert!(lines.clone().all(|line| line.ends_with('s') && line.chars().count() == width), "{whole}");
            assert!(up.is_coloured());
            world.compose("down -t 0").ok();
        }
        // Another width while something is waited for.
        std::fs::remove_file(world.project().join("gate/open")).unwrap();
        let mut up = world.terminal_with("up -d", 24, 120, &[("NO_COLOR", "1")]);
        let former: Vec<String> = (1..=30).map(|line| format!("former line {line}")).collect();
        up.begins_with(&format!("{}\r\n", former.join("\r\n")));
        up.is_wide("Container project-s1-1", 119);
        up.shows("Waiting");
        for columns in [60, 40, 100, 80] {
            up.reflow(columns);
            up.is_wide("Container project-s1-1", usize::from(columns) - 1);
            assert_eq!(up.screen().matches("[+] up").count(), 1, "{}", up.screen());
        }
        up.narrow(50, "Container project-s1-1");
        world.write("gate/open", "");
        assert_eq!(up.end(), 0);
        assert!(!up.is_coloured());
        let whole = up.whole();
        let lines: Vec<&str> = whole.lines().filter(|line| line.contains("Container")).collect();
        assert!(lines.len() == 9 && lines.iter().all(|line| line.chars().count() == 49), "{whole}");
        let others: Vec<&str> = whole.lines().take_while(|line| !line.starts_with("[+] up")).collect();
        assert_eq!(others, former, "{whole}");
        let mut dumb = world.terminal_with("up -d", 24, 80, &[("TERM", "dumb")]);
        assert_eq!(dumb.end(), 0);
        assert!(dumb.whole().lines().any(|line| line == " Container project-s1-1 Running"), "{}", dumb.whole());
        let mut quiet = world.terminal("--progress quiet up -d", 24, 80);
        assert_eq!((quiet.end(), quiet.whole().trim()), (0, ""));
        let mut plain = world.terminal("--ansi never down -t 0", 24, 80);
        assert_eq!(plain.end(), 0);
        assert!(plain.whole().lines().any(|line| line == " Container project-s1-1 Removed"), "{}", plain.whole());
        let output = world.compose("up -d").ok();
        assert!(output.stderr.contains(" Container project-s1-1 Waiting until it is healthy, for s2\n"), "{}", output.stderr);
        assert!(!output.stderr.contains('\x1b'), "{}", output.stderr);
        let json = world.compose("--progress json up -d --force-recreate -t 0").ok();
        let is_object = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object());
        assert!(json.stderr.lines().all(is_object), "{}", json.stderr);
    }
}

scenario! {
    /// Output that nobody reads any more ends a command quietly, with the code of a program that SIGPIPE
    /// ended, and undoes nothing.
    what_nobody_reads_ends_quietly, |world| {
        world.compose("up -d").ok();
        for line in ["ps", "config", "logs", "logs -f", "ls", "images", "graph", "--help", "up --help", "version", "stats --no-stream", "--progress quiet export web", "--progress quiet cp web:/bin -", "image save busybox"] {
            let (code, errors) = unread(world, line);
            assert_eq!((code, errors.as_str()), (Some(141), ""), "{line}");
        }
        assert_eq!(world.state("web"), "running");
    }
}

/// The exit code and the messages of a command whose output has no reader.
fn unread(world: &World, line: &str) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = world.program();
    command.args(line.split_whitespace()).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
