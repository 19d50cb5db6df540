//! Scenarios about flags that no other scenario shows.

use scenarios::{World, scenario, until};

scenario! {
    /// What `create` makes and leaves alone; which replica, which containers and whose rights commands mean;
    /// what is waited for, shown, passed on and not.
    flags_that_are_seldom_used_count, |world| {
        let count = |service: &str| world.rows().iter().filter(|row| row["Service"] == service).count();
        world.compose("create --no-build made").exits(1).says("made");
        let quiet = world.compose("create --build --quiet-build -y made").ok();
        assert!(!quiet.stderr.contains("RUN echo"), "{}", quiet.stderr);
        let made = world.id("made");
        world.edit("Dockerfile", "first", "second");
        world.compose("create made").ok();
        assert_eq!(world.id("made"), made);
        world.compose("create --build made").ok().says("RUN echo second");
        assert_ne!(world.id("made"), made);
        let quiet = world.compose("create --quiet-pull --scale web=1 web").ok();
        assert!(!quiet.stderr.contains("Pulling"), "{}", quiet.stderr);
        assert_eq!((count("web"), world.state("web").as_str()), (1, "created"));
        let web = world.id("web");
        world.edit("compose.yaml", "COLOUR: red", "COLOUR: blue");
        world.compose("create --no-recreate --scale web=1 web").ok();
        assert_eq!(world.id("web"), web);
        world.compose("-f compose.yaml -f more.yaml create orphan").ok();
        world.compose("create --remove-orphans --y").ok();
        assert_eq!((count("orphan"), count("web"), count("other")), (0, 2, 1));

        world.compose("start --wait --wait-timeout 60 web").ok();
        assert!(world.rows().iter().filter(|row| row["Service"] == "web").all(|row| row["Health"] == "healthy"));
        world.compose("kill -s KILL web").ok();
        world.compose("scale --no-deps other=2").ok();
        assert_eq!((count("other"), world.state("web").as_str()), (2, "exited"), "what it depends on is left alone");
        world.compose("stop -t 0 other").ok();
        assert_eq!(world.compose("ps -q other").ok().stdout, "");
        assert_eq!(world.compose("ps -a -q other").ok().stdout.lines().count(), 2);
        world.compose("up -d --wait web").ok();

        let exec = |words: &[&str]| world.run(&[&["exec"], words].concat(), "typed\n");
        let two = exec(&["--no-TTY", "--index", "2", "web", "hostname"]).ok().stdout;
        assert_ne!(two, exec(&["-T", "--index", "1", "web", "hostname"]).ok().stdout);
        exec(&["--no-TTY", "web", "tty"]).exits(1).says("not a tty");
        exec(&["-T", "web", "tty"]).exits(1).says("not a tty");
        assert_eq!(exec(&["-i", "-T", "web", "cat"]).ok().stdout, "typed\n");
        assert_eq!(exec(&["-T", "-w", "/etc", "web", "pwd"]).ok().stdout, "/etc\n");
        let rights = |words: &[&str]| {
            let status = ["web", "sed", "-n", "s/^CapEff:\\t//p", "/proc/self/status"];
            let text = exec(&[&["-T"], words, &status].concat()).ok().stdout;
            u64::from_str_radix(text.trim(), 16).unwrap().count_ones()
        };
        assert!(rights(&["--privileged"]) > rights(&[]));
        exec(&["-d", "--index", "2", "web", "sh", "-c", "echo 2 > /only"]).ok();
        until("it was done meanwhile", || (exec(&["-T", "--index", "2", "web", "cat", "/only"]).stdout == "2\n").then_some(()));
        let mut terminal = world.terminal("exec web tty", 24, 80);
        terminal.shows("/dev/");
        assert_eq!(terminal.end(), 0);

        let port = |words: &str| world.compose(&format!("port {words} web 80")).ok().stdout;
        assert_ne!(port("--index 1"), port("--index 2"));
        world.compose("export --index 2 -o two.tar web").ok();
        world.compose("export --index 1 -o one.tar web").ok();
        assert!(holds(world, "two.tar", "only") && !holds(world, "one.tar", "only"));
        world.compose("commit --index 2 --pause=false web localhost/two:1").ok();
        assert_eq!(world.compose("run --rm --no-TTY kept cat /only").ok().stdout, "2\n");

        world.write("page", "copied");
        world.compose("run -d --name extra --no-deps web sleep 1000").ok();
        world.compose("cp page web:/plain").ok();
        world.compose("cp --all page web:/everywhere").ok();
        let inside = format!("/proc/{}/root", world.processes(&extra(world))[0]);
        assert!(!std::path::Path::new(&format!("{inside}/plain")).exists());
        assert_eq!(std::fs::read_to_string(format!("{inside}/everywhere")).unwrap(), "copied");

        let mut attached = world.background("attach --index 2 --no-stdin --sig-proxy=false web");
        attached.line(two.trim());
        attached.signal("INT");
        attached.end();
        assert_eq!(world.state("web"), "running");
        let mut proxied = world.background("attach --index 2 web");
        proxied.line(two.trim());
        proxied.signal("INT");
        assert_eq!(proxied.end(), 7);

        let coloured = |line: &str| {
            let mut terminal = world.terminal(line, 24, 80);
            terminal.end();
            terminal.is_coloured()
        };
        assert!(coloured("logs --tail 3 web") && !coloured("logs --no-color --tail 3 web"));
        assert_eq!(world.compose("pull -q web").ok().stderr, "");
        world.compose("-f pulled.yaml pull top").ok();
        world.compose("-f pulled.yaml pull --include-deps top").exits(1).says("nobody-has-this");
        world.compose("pull made").exits(1);
        world.compose("pull --ignore-buildable made other").ok();
        world.compose("rm -f -s --all other").ok();
        assert_eq!(count("other"), 0);
        world.compose("-f compose.yaml -f more.yaml up -d orphan").ok();
        world.compose("run --rm -T --remove-orphans --no-deps made true").ok();
        assert_eq!(count("orphan"), 0);
        world.compose("-f compose.yaml -f more.yaml up -d orphan").ok();
        world.compose("down -t 0 -v --remove-orphans").ok();
        assert!(world.rows().is_empty());
    }
}

/// The id of the container called `extra`.
fn extra(world: &World) -> String {
    let row = world.rows().into_iter().find(|row| row["Name"] == "extra").unwrap();
    row["ID"].as_str().unwrap().to_owned()
}

/// Whether an archive in the project's folder has a file at its top.
fn holds(world: &World, archive: &str, name: &str) -> bool {
    let output =
        std::process::Command::new("tar").arg("tf").arg(world.project().join(archive)).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().any(|line| line.trim_start_matches("./") == name)
}
