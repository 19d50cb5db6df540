//! Scenarios about the words of the command line: exec, run, logs, and the small commands.

use scenarios::{scenario, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

scenario! {
    /// Exit codes, standard input, environment, user, working directory and a terminal reach `exec`.
    exec_passes_everything_on, |world| {
        world.compose("up -d").ok();
        world.run(&["exec", "-T", "web", "sh", "-c", "exit 42"], "").exits(42);
        world.compose("exec -T web no-such-program").exits(127);
        world.compose("exec -T web /etc/not-executable").exits(126);
        assert_eq!(world.run(&["exec", "-T", "web", "cat"], "through\n").ok().stdout, "through\n");
        let shades = ["exec", "-T", "-e", "SHADE=dark", "web", "sh", "-c", "echo $COLOUR $SHADE"];
        assert_eq!(world.run(&shades, "").ok().stdout, "red dark
");
        assert_eq!(world.compose("exec -T -u web web id").ok().stdout, "uid=33(web) gid=33(web) groups=33(web),44(extra)\n");
        assert_eq!(world.compose("exec -T -w /etc web pwd").ok().stdout, "/etc\n");
        world.compose("exec -T web sh -c exec_missing").exits(127);
        let mut script = Command::new("script");
        let program = world.program();
        let words = std::iter::once(program.get_program()).chain(program.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        script.args(["-qec", &format!("{} exec web sh -c 'tty; exit 9'", words.join(" ")), "/dev/null"]);
        script.current_dir(world.project()).stdin(std::process::Stdio::null());
        script.envs(program.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        let output = script.output().unwrap();
        assert_eq!(output.status.code(), Some(9), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("/dev/pts/"), "{output:?}");
        world.compose("exec -T nobody true").exits(1).says("nobody");
    }
}

scenario! {
    /// `logs` has both streams of every service behind aligned prefixes, and `-f` ends on an interrupt.
    logs_follow_and_end_on_interrupt, |world| {
        world.compose("up -d").ok();
        let mut follower = world.background("logs -f");
        let lines = [follower.line("one"), follower.line("two")];
        assert!(lines[0].starts_with("talker-1  | "), "{lines:?}");
        world.run(&["exec", "-T", "other", "sh", "-c", "echo later > /proc/1/fd/1"], "").ok();
        let later = follower.line("later");
        assert!(later.starts_with("other-1   | "), "{later}");
        follower.signal("INT");
        assert_eq!(follower.end(), 130);
        assert_eq!(world.compose("logs --tail 1 --no-log-prefix other").ok().stdout, "later\n");
        let mut follower = world.background("logs -f other");
        follower.line("later");
        world.compose("down -t 0").ok();
        assert_eq!(follower.end(), 0);
    }
}

scenario! {
    /// `up` shows every line behind its prefix and stops everything on an interrupt.
    up_in_the_foreground_stops_on_interrupt, |world| {
        let mut up = world.background("up");
        up.line("web is up");
        assert!(up.lines().iter().any(|line| line.starts_with("db-1   | ") && line.contains("db is up")));
        up.signal("INT");
        assert_eq!(up.end(), 130);
        assert_eq!((world.state("web"), world.state("db")), ("exited".to_owned(), "exited".to_owned()));
    }
}

scenario! {
    /// `run` makes one more container with the service's settings, passes everything through, and leaves
    /// nothing with `--rm`.
    run_makes_a_container_of_its_own, |world| {
        let colour = ["run", "--rm", "-T", "tool", "sh", "-c", "echo $COLOUR"];
        assert_eq!(world.run(&colour, "").ok().stdout, "red\n");
        assert_eq!(world.state("db"), "running");
        world.run(&["run", "--rm", "-T", "tool", "sh", "-c", "exit 5"], "").exits(5);
        let path = world.project().join("output");
        let mut command = world.program();
        command.args(["run", "--rm", "-T", "--no-deps", "-u", "33", "tool", "id", "-u"]);
        let owner = std::fs::metadata(world.project()).unwrap().uid();
        let file = std::fs::File::create(&path).unwrap();
        std::os::unix::fs::fchown(&file, Some(owner), None).unwrap();
        assert!(command.stdout(file).status().unwrap().success());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "33\n");
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), owner, "a file stays its owner's");
        assert_eq!(world.run(&["run", "--rm", "-T", "--no-deps", "tool", "cat"], "in\n").ok().stdout, "in\n");
        let mut listener = world.background("run --rm -T listener");
        listener.line("ready");
        listener.signal("USR1");
        assert_eq!(listener.end(), 9, "signals reach the program");
        assert_eq!(world.rows().len(), 1);
        world.compose("run -T --name kept tool true").ok();
        assert!(world.rows().iter().any(|row| row["Name"] == "kept" && row["State"] == "exited"));
        let id = world.compose("run -d tool sleep 1000").ok().stdout;
        assert_eq!(id.trim().len(), 64);
        world.compose("down --remove-orphans -t 0").ok();
        assert!(world.rows().is_empty());
    }
}

scenario! {
    /// `config`, `images`, `pull`, `port`, `top`, `kill`, `rm`, `ls`, `version` answer as documented.
    the_small_commands_tell_the_truth, |world| {
        world.compose("version --short").ok();
        world.compose("pull").ok();
        world.compose("up -d").ok();
        world.compose("config").ok().says("name: project").says("published:");
        assert_eq!(world.compose("config --services").ok().stdout, "db\nweb\n");
        world.compose("images").ok().says("busybox").says("project-web-1");
        assert_eq!(world.compose("port web 80").ok().stdout.trim(), format!("0.0.0.0:{}", world.port()));
        world.compose("port web 81").exits(1).says("it publishes 80/tcp\n");
        world.compose("top").ok().says("httpd").says("sleep 1000");
        world.compose("ls").ok().says("running(2)");
        world.compose("ps").ok().says("project-web-1").says("->80/tcp");
        world.compose("kill web").ok();
        until("web is gone", || (world.state("web") == "exited").then_some(()));
        assert!(!world.compose("ps").ok().stdout.contains("project-web-1"));
        world.compose("rm -f web").ok();
        assert_eq!(world.rows().len(), 1);
        world.compose("ls").ok().says("running(1)");
        world.compose("no-such-command").exits(1);
    }
}

scenario! {
    /// `config` tells of a value where it is written, what its variables are and what it overrides; it lists
    /// variables; and a lock file pins images to what the registry has.
    config_says_where_values_come_from, |world| {
        assert_eq!(
            world.compose("config --explain services.web.hostname").ok().stdout,
            "services.web.hostname: from-file <- \"${NAME}\" in compose.override.yaml:3:15, NAME=from-file from \
             .env:2:1, overrides ${NAME:-none} in compose.yaml:4:15\n"
        );
        world.compose("config --explain services.web.hostname --format json").ok().says("\"from\": \".env:2:1\"");
        world.compose("config --explain services.gone").exits(1);
        world.compose("config --explain services.wbe.hostname").exits(1).says("there is something at `services.web`");
        assert_eq!(
            world.compose("config --variables").ok().stdout,
            "NAME   REQUIRED   DEFAULT VALUE   ALTERNATE VALUE\nNAME   false      none\n"
        );
        let lock = world.compose("config --lock-image-digests").ok().stdout;
        assert!(lock.starts_with("services:\n  web:\n    image: docker.io/library/busybox:latest@sha256:"), "{lock}");
        std::fs::write(world.project().join("lock.yaml"), &lock).unwrap();
        let locked = world.compose("-f compose.yaml -f lock.yaml config --images").ok().stdout;
        assert!(lock.contains(locked.trim()), "{locked}");
    }
}

scenario! {
    /// With `-p` alone, `ps` and `down` work where no Compose file is.
    down_by_name_needs_no_file, |world| {
        world.compose("up -d").ok();
        std::fs::remove_file(world.project().join("compose.yaml")).unwrap();
        world.compose("-p project ps").ok().says("project-web-1");
        world.compose("-p project down -t 0").ok();
        assert!(world.run(&["-p", "project", "ps", "-a", "-q"], "").ok().stdout.is_empty());
    }
}

scenario! {
    /// `attach` joins the streams of a container that runs, on a terminal or not; signals reach its process,
    /// keys detach and leave it running, and its exit code is passed on.
    a_container_is_attached_to, |world| {
        world.compose("up -d").ok();
        let mut plain = world.program();
        plain.args(["attach", "plain"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut plain = plain.spawn().unwrap();
        let mut output = BufReader::new(plain.stdout.take().unwrap());
        let mut line = String::new();
        plain.stdin.as_mut().unwrap().write_all(b"one\n").unwrap();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "got one\n");
        let kill = Command::new("kill").args(["-TERM", &plain.id().to_string()]).status().unwrap();
        assert!(kill.success());
        // The shell looks at its signals when it has read a line.
        plain.stdin.as_mut().unwrap().write_all(b"two\n").unwrap();
        assert_eq!(plain.wait().unwrap().code(), Some(7));
        assert_eq!(world.state("plain"), "exited");
        world.compose("attach plain").exits(1).says("is not running");
        world.compose("attach --detach-keys ctrl-1 screen").exits(1).says("ctrl-1");

        // The answer to the first line tells that the terminal is joined.
        let on_terminal = |typed: &[u8]| {
            let mut script = Command::new("script");
            let program = world.program();
            let words = std::iter::once(program.get_program()).chain(program.get_args());
            let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
            script.args(["-qec", &format!("{} attach screen", words.join(" ")), "/dev/null"]);
            script.current_dir(world.project());
            script.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            script.envs(program.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
            let mut script = script.spawn().unwrap();
            let mut input = script.stdin.take().unwrap();
            input.write_all(b"hello\r").unwrap();
            let mut output = BufReader::new(script.stdout.take().unwrap());
            let mut text = String::new();
            while !text.contains("got hello") {
                assert_ne!(output.read_line(&mut text).unwrap(), 0, "{text}");
            }
            input.write_all(typed).unwrap();
            output.read_to_string(&mut text).unwrap();
            (script.wait().unwrap().code(), text)
        };
        let (code, text) = on_terminal(b"\x10\x11");
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(world.state("screen"), "running");
        let (code, text) = on_terminal(b"end\r");
        assert_eq!(code, Some(5), "{text}");
        assert!(text.contains("got end"), "{text}");
    }
}

scenario! {
    /// Called `docker-compose`, or as a plugin of the Docker CLI with Docker's own flags in front, the program does
    /// the same; it says what it is when it is asked, and that there is no daemon to choose.
    the_program_goes_by_dockers_names, |world| {
        let run = |line: &str| {
            let output = world.program_named("docker-compose").args(line.split(' ')).output().unwrap();
            let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            (output.status.code(), out, err)
        };
        let (code, told, _) = run("docker-cli-plugin-metadata");
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((code, &told["SchemaVersion"]), (Some(0), &"0.1.0".into()));
        let (code, _, said) = run("compose --progress plain up -d");
        assert_eq!(code, Some(0), "{said}");
        let id = world.id("web");
        assert_eq!(run("--config /nowhere -D compose ps -q").1.trim(), id);
        assert_eq!(run("ps -q").1.trim(), id);
        let (code, _, said) = run("--host tcp://example.com compose ps");
        assert!(code == Some(1) && said.contains("`--host`"), "{said}");
        assert_eq!(run("compose down -t 0").0, Some(0));
    }
}
