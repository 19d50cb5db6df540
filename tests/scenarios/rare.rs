//! Scenarios about flags that decide who gets a terminal, what is said, and what is asked.

use scenarios::{Depot, Output, World, scenario, until};
use std::process::Command;

scenario! {
    /// Who gets a terminal and who does not, which keys leave it, and what is drawn on ours.
    terminals_are_given_as_the_flags_say, |world| {
        world.compose("up -d web").ok();
        let mut attached = world.terminal("attach --detach-keys ctrl-x,q web", 24, 80);
        // It is said twice, by the terminal and by the program, once both ends are joined.
        attached.keys("hello\r");
        attached.shows("hello\nhello");
        attached.keys("\x10\x11\x18q");
        assert_eq!(attached.end(), 0);
        attached.assert_given_back();
        assert_eq!(world.state("web"), "running");

        let run = |words: &[&str]| world.run(&[&["run", "--rm"], words, &["--no-deps", "web", "cat"]].concat(), "typed\n");
        assert_eq!(run(&["-T", "-i"]).ok().stdout, "typed\n");
        assert_eq!(run(&["-T", "--interactive=false"]).ok().stdout, "");
        let mut exec = world.terminal("exec -i -t web tty", 24, 80);
        exec.shows("/dev/");
        assert_eq!(exec.end(), 0);
        // With something else than a terminal in front of it, `run` wants to be told.
        assert!(piped(world, "run --rm web tty").contains("not a tty"));
        assert!(piped(world, "run --rm --tty web tty").contains("/dev/pts/"));
        world.compose("run --rm -t -T web tty").exits(1).says("--tty");

        for (flag, coloured) in [("--no-color", false), ("", true)] {
            let line = format!("--progress plain up -t 0 --abort-on-container-exit {flag} brief");
            let mut up = world.terminal(&line, 24, 80);
            up.shows("brief-1  | said");
            assert_eq!((up.end(), up.is_coloured()), (0, coloured), "{flag}");
        }

        let mut up = world.terminal_with("up --menu web", 24, 80, &[("COMPOSE_MENU", "false")]);
        up.shows("d Detach");
        up.keys("d");
        assert_eq!(up.end(), 0);
        let mut up = world.terminal("up --menu=false web", 24, 80);
        up.shows("Attaching to web-1");
        up.keys("\x03");
        assert_eq!(up.end(), 130);
        assert!(!up.whole().contains("Detach"), "{}", up.whole());
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// What is said of pulls, builds and pushes, what is asked before something is lost, whose owners are kept,
    /// and which images of former builds stay.
    what_is_said_and_asked_is_as_the_flags_say, |world| {
        let depot = Depot::start(None);
        world.write(".env", &format!("DEPOT={}\n", depot.host()));
        let compose = |line: &str| world.compose(line);
        compose("create --pull never web").exits(1).says("busybox");
        let quiet = compose("run --rm --quiet-pull -T web true").ok();
        assert!(!quiet.stderr.contains("Pulling"), "{}", quiet.stderr);
        compose("create --pull always web").ok().says("busybox Pulled");
        compose("pull --parallel web").ok().says("Pulled");
        compose("pull --no-parallel web").ok().says("Pulled");

        compose("up -d web").ok();
        inside(world, "echo 1 > /kept/mine; echo text > /owned; chown 7:8 /owned");
        assert!(!compose("ps").ok().stdout.contains(&world.id("web")));
        compose("ps --no-trunc --format json").ok().says(&world.id("web"));
        compose("cp -a web:/owned owned").ok();
        compose("cp --archive owned web:/kept/archived").ok();
        compose("cp owned web:/kept/plain").ok();
        assert_eq!(inside(world, "stat -c %u:%g /kept/archived /kept/plain"), "7:8\n0:0\n");

        // Without a word nothing is lost; each of the two flags is one.
        for (flag, from, to) in [("--yes", "red", "green"), ("--y", "green", "blue")] {
            world.edit("compose.yaml", &format!("colour: {from}"), &format!("colour: {to}"));
            inside(world, "touch /kept/mine");
            compose("up -d -t 0 web").ok().says("data will be lost");
            assert_eq!(inside(world, "ls /kept/mine"), "/kept/mine\n");
            let agreed = compose(&format!("up -d -t 0 {flag} web")).ok();
            assert!(!agreed.stderr.contains("data will be lost"), "{}", agreed.stderr);
            assert_eq!(inside(world, "ls /kept"), "");
        }

        let told = |output: &Output| output.stderr.contains("RUN echo step");
        assert!(!told(&compose("run --rm -T --quiet-build made true").ok()));
        again(world, "one", "two");
        assert!(told(&compose("run --rm -T --build made true").ok()));
        again(world, "two", "three");
        assert!(!told(&compose("up -d --build --quiet-build made").ok()));
        again(world, "three", "four");
        assert!(told(&compose("up -d --build made").ok()));

        compose("--profile front build").ok();
        compose("push front").ok().says("team/front:1 Pushed");
        assert_eq!(depot.manifest("team/made", "1"), None);
        assert_eq!(compose("push -q --include-deps front").ok().stderr, "");
        assert!(depot.manifest("team/made", "1").is_some());

        // Of an image that a rebuild replaces its layer is left, where no result of a step is kept.
        for (line, from, to, stays, shown) in [
            ("watch --no-up --prune=false --quiet", "four", "five", 1, false),
            ("watch --no-up --prune", "five", "six", 0, true),
        ] {
            compose("system prune --force").ok();
            let former = layers(world);
            let mut watch = world.background(line);
            watch.line("Watch enabled");
            again(world, from, to);
            watch.line("successfully built");
            until("what is of no image is gone, or stays", || (layers(world) == former + stays).then_some(()));
            watch.signal("INT");
            watch.end();
            assert_eq!(layers(world), former + stays);
            assert_eq!(watch.lines().iter().any(|line| line.contains("RUN echo step")), shown, "{:?}", watch.lines());
        }
        compose("down -t 0 --volume").ok();
        assert_eq!(std::fs::read_dir(world.roots().data.join("volumes")).unwrap().count(), 0);
    }
}

/// Changes the step that the build of `made` has.
fn again(world: &World, from: &str, to: &str) {
    world.edit("src/Dockerfile", &format!("step {from}"), &format!("step {to}"));
}

/// How many layers are kept.
fn layers(world: &World) -> usize {
    std::fs::read_dir(world.roots().data.join("layers")).unwrap().count()
}

/// What a command in the service `web` prints.
fn inside(world: &World, command: &str) -> String {
    world.run(&["exec", "-T", "web", "sh", "-c", command], "").ok().stdout
}

/// What a command prints whose output is a terminal, and whose input is not.
fn piped(world: &World, line: &str) -> String {
    let program = world.program();
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &format!("echo | {} {line}", words.join(" ")), "/dev/null"]);
    script.current_dir(world.project()).stdin(std::process::Stdio::null());
    script.envs(program.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    let output = script.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
