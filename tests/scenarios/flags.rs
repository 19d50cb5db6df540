//! Scenarios about flags: of `up`, of `run`, and of the commands about what runs.

use scenarios::{World, http, scenario, until};

scenario! {
    /// Whose lines are shown, and how; which exit ends an attached `up`, and with what code.
    up_shows_and_ends_as_its_flags_say, |world| {
        let up = |words: &str| world.compose(&format!("up -t 0 {words}"));
        let all = up("--exit-code-from failing").exits(3).says("Aborting on container exit");
        assert!(all.stdout.contains("base-1     | from-base\n"), "{}", all.stdout);
        assert!(!all.stdout.contains("from-hidden"), "{}", all.stdout);
        assert!(world.rows().iter().all(|row| row["State"] == "exited"));

        let alone = up("--abort-on-container-exit late").ok();
        assert!(alone.stdout.contains("late-1  | from-late\n"), "{}", alone.stdout);
        assert!(!alone.stdout.contains("from-base"), "{}", alone.stdout);
        assert!(alone.stdout.contains("late-1 exited with code 0"), "{}", alone.stdout);
        up("--abort-on-container-exit --attach-dependencies late").ok().says("base-1  | from-base\n");
        let other = up("--abort-on-container-exit --attach base late").ok();
        assert!(other.stdout.contains("from-base") && !other.stdout.contains("from-late"), "{}", other.stdout);
        let hidden = up("--abort-on-container-exit --no-attach base late base").ok();
        assert!(hidden.stdout.contains("from-late") && !hidden.stdout.contains("from-base"), "{}", hidden.stdout);
        let bare = up("--abort-on-container-exit --no-log-prefix --timestamps late").ok().stdout;
        let line = bare.lines().find(|line| line.contains("from-late")).unwrap();
        let (time, text) = line.split_once(' ').unwrap();
        assert!(time.parse::<resource::Timestamp>().is_ok() && text == "from-late", "{line}");

        let failed = up("--abort-on-container-failure late failing").exits(3);
        assert!(failed.stdout.contains("failing-1 exited with code 3"), "{}", failed.stdout);
        up("--abort-on-container-failure --exit-code-from late late failing").exits(0);
        up("--exit-code-from nobody").exits(1).says("no such service: nobody");
        up("--attach hidden late").exits(1).says("no such service: hidden");
        up("-d --abort-on-container-exit").exits(1).says("cannot be combined");
    }
}

scenario! {
    /// What is made, recreated, left alone, scaled, waited for and removed by `up`, `create` and `scale`.
    up_makes_what_its_flags_say, |world| {
        world.compose("up -d -t 0 --no-deps web").ok();
        assert_eq!(services(world), ["web running"]);
        world.compose("up --no-start db").ok();
        assert_eq!(services(world), ["db created", "web running"]);
        world.compose("up -d -t 0").ok();
        let ids = || (world.id("db"), world.id("web"));
        let (db, web) = ids();
        world.edit("compose.yaml", "COLOUR: red", "COLOUR: blue");
        world.compose("up -d -t 0 --no-recreate").ok();
        world.compose("up -d -t 0 --no-deps web").ok();
        assert_eq!(ids(), (db.clone(), web.clone()));
        world.compose("up -d -t 0 web").ok();
        let recreated = world.id("db");
        assert!(recreated != db && world.id("web") == web);
        world.compose("up -d -t 0 --force-recreate --no-deps web").ok();
        let forced = world.id("web");
        assert!(forced != web && world.id("db") == recreated);
        world.compose("up -d -t 0 --always-recreate-deps web").ok();
        assert!(world.id("db") != recreated && world.id("web") == forced);
        world.compose("create --force-recreate db").ok();
        assert_eq!(world.state("db"), "created");

        world.compose("up -d -t 0 --scale web=3").ok();
        assert_eq!(services(world), ["db running", "web running", "web running", "web running"]);
        world.compose("scale web=1").ok();
        assert_eq!((world.rows().len(), world.id("web")), (2, forced));
        world.compose("scale web=many").exits(1).says("invalid scale specifier");
        world.compose("scale nobody=2").exits(1).says("no such service: nobody");

        world.compose("-f compose.yaml -f more.yaml up -d").ok();
        world.compose("up -d").ok().says("orphan");
        assert_eq!(world.state("orphan"), "running");
        world.write(".env", "COMPOSE_IGNORE_ORPHANS=1\n");
        assert!(!world.compose("up -d").ok().stderr.contains("orphan"));
        world.compose("up -d --remove-orphans").exits(1).says("COMPOSE_IGNORE_ORPHANS");
        world.write(".env", "");
        assert!(!world.compose("ps --orphans=false").ok().stdout.contains("orphan"));
        world.compose("kill --remove-orphans -s KILL web").ok();
        until("the orphan has ended", || (world.state("orphan") == "exited").then_some(()));
        world.compose("up -d -t 0 --remove-orphans").ok();
        assert_eq!(services(world), ["db running", "web running"]);

        world.compose("up --wait --wait-timeout 60 web").ok();
        world.compose("up --wait once").exits(1).says("project-once-1 exited (0)");
        world.compose("up -d --wait-timeout -1").exits(1);
        world.compose("--profile * down -t 0").ok();
    }
}

scenario! {
    /// A one-off has what the flags of `run` say over what its service has.
    one_offs_are_as_their_flags_say, |world| {
        let run = |words: &[&str]| world.run(&[&["run", "--rm", "-T"], words].concat(), "");
        let shell = "echo $COLOUR $SHAPE $SIZE; pwd; id -u; cat /data/variables | head -1";
        let output = run(&[
            "-e", "COLOUR=blue", "--env-from-file", "variables", "-w", "/tmp", "-u", "7", "-v", "./:/data:ro",
            "--entrypoint", "sh -c", "--no-deps", "web", shell,
        ]);
        assert_eq!(output.ok().stdout, "blue square big\n/tmp\n7\nSHAPE=square\n");
        assert!(world.rows().is_empty());
        let caps = |words: &[&str]| {
            let status = ["--no-deps", "web", "sed", "-n", "s/^CapBnd:\\t//p", "/proc/self/status"];
            let text = run(&[words, &status].concat()).ok().stdout;
            u64::from_str_radix(text.trim(), 16).unwrap()
        };
        let (plain, chown, admin) = (caps(&[]), 1, 1 << 12);
        assert_eq!(caps(&["--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN"]), (plain | admin) & !chown);
        run(&["-l", "tier", "web", "true"]).exits(1).says("KEY=VALUE");
        run(&["web", "sh", "-c", "exit 9"]).exits(9);
        run(&["--no-deps", "web", "no-such-program"]).exits(127);
        run(&["--pull", "never", "--quiet", "web", "true"]).ok();
        run(&["--pull", "sometimes", "web", "true"]).exits(1).says("sometimes");
        assert_eq!(services(world), ["db running"]);

        let address = format!("127.0.0.1:{}", world.port());
        world.compose("run -d --name bare web").ok();
        assert_eq!(http(&address, "compose.yaml"), None);
        let rows = world.compose("ps --format json").ok().stdout;
        assert!(!rows.contains("\"bare\""), "a one-off is shown with -a only");
        world.compose("run -d --name served -P --use-aliases -l tier=front web").ok();
        until("the service's port is published", || http(&address, "variables"));
        let found = |name: &str| world.compose(&format!("exec -T db nslookup {name}")).stdout.contains("Name:");
        until("aliases are answered", || found("pages").then_some(()));
        let labels = world.rows().into_iter().find(|row| row["Name"] == "served").unwrap()["Labels"].to_string();
        assert!(labels.contains("tier=front") && labels.contains("com.docker.compose.oneoff=True"), "{labels}");
        let port = scenarios::free_port();
        world.compose(&format!("run -d -p 127.0.0.1:{port}:80 web")).ok();
        until("a port of its own is published", || http(&format!("127.0.0.1:{port}"), "variables"));
        world.compose("run -P -p 80 web").exits(1).says("cannot be used with");

        // Volumes that no service has: one that the file declares, and one that has the name as written.
        let keep = |script: &str| {
            run(&["--no-deps", "-v", "own:/own", "-v", "shared:/all/:nocopy", "web", "sh", "-c", script])
        };
        keep("echo own >/own/file; echo all >/all/file").ok();
        assert_eq!(keep("cat /own/file /all/file").ok().stdout, "own\nall\n");
        let made = || {
            let folder = std::fs::read_dir(world.roots().data.join("volumes")).unwrap();
            let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(made(), ["project_own", "shared"]);
        // A relative source counts from where the command line is written.
        let below = world.project().join("below");
        std::fs::create_dir(&below).unwrap();
        world.write("below/here", "below\n");
        let mut program = world.program();
        program.current_dir(&below).args(["run", "--rm", "-T", "--no-deps", "-v", "./:/data:ro,rslave", "web"]);
        program.args(["cat", "/data/here", "/proc/self/mountinfo"]);
        let told = world.finish(program, "").ok().stdout;
        let is_mount = |line: &&str| line.split(' ').nth(4) == Some("/data");
        let mount: Vec<&str> = told.lines().find(is_mount).unwrap().split(' ').collect();
        assert!(told.starts_with("below\n") && mount[5].starts_with("ro,"), "{mount:?}");
        assert!(mount[6].starts_with("master:") || mount[6] == "-", "a slave of what the host mounts: {mount:?}");
        for (wrong, said) in [("own:/own:or", "`or`"), ("a/b:/own", "`a/b`"), ("own:own", "absolute")] {
            run(&["-v", wrong, "web", "true"]).exits(1).says(said);
        }

        world.compose("down -t 0 -v --remove-orphans").ok();
        assert!(world.rows().is_empty());
        assert_eq!(made(), ["shared"], "the file does not declare it");
        // It is the project's as soon as the file says so, and what is in it stays.
        world.edit("compose.yaml", "volumes: {own: {}}", "volumes: {own: {}, shared: {name: shared}}");
        world.edit("compose.yaml", "volumes: [\"./:/srv:ro\"]", "volumes: [\"./:/srv:ro\", \"own:/own\", \"shared:/all\"]");
        world.compose("up -d").ok();
        assert_eq!(world.compose("exec -T web cat /all/file").ok().stdout, "all\n");
        world.compose("down -t 0 -v").ok();
        assert_eq!(made(), [""; 0]);
    }
}

scenario! {
    /// `ps`, `ls`, `port`, `top`, `stats`, `volumes` and `images` with their filters and formats; `kill`, `wait`
    /// and `rm` with their flags.
    what_runs_is_told_and_ended_as_asked, |world| {
        world.compose("up -d --wait").ok();
        let id = world.id("web");
        assert_eq!(world.compose("ps -q web").ok().stdout, format!("{id}\n"));
        assert_eq!(world.compose("ps --services").ok().stdout, "db\nweb\n");
        assert_eq!(world.run(&["ps", "--format", "{{.Service}} {{.State}} {{.Health}}"], "").ok().stdout, "db running healthy\nweb running healthy\n");
        assert_eq!(world.compose("ps -q --status exited").ok().stdout, "");
        assert_eq!(world.compose("ps -q --filter status=running web").ok().stdout, format!("{id}\n"));
        world.compose("ps --filter name=web").exits(1);
        world.compose("ps --status nowhere").exits(1).says("nowhere");
        assert_eq!(world.compose("ls -q --filter name=^proj").ok().stdout, "project\n");
        assert_eq!(world.compose("ls -q --filter name=other").ok().stdout, "");
        world.compose("ls --format json").ok().says("\"Status\":\"running(2)\"");
        assert_eq!(world.compose("port --protocol udp web 80").ok().stdout, format!("127.0.0.1:{}\n", world.port()));
        world.compose("port web 80").exits(1).says("9000/tcp");
        world.compose("top web").ok().says("sleep 0.1").says("CMD");
        world.compose("stats --no-stream --format json web").ok().says("\"Name\":\"project-web-1\"");
        assert_eq!(world.compose("volumes -q web").ok().stdout.lines().next(), Some("project_kept"));
        world.run(&["volumes", "--format", "{{.Name}} {{.Driver}}"], "").ok().says("project_kept local");
        world.compose("images --format json web").ok().says("\"ContainerName\":\"project-web-1\"");
        assert_eq!(world.compose("images -q web").ok().stdout.trim().len(), 64);

        let mut waiter = world.background("wait db web");
        waiter.has_asked();
        world.compose("kill -s USR1 db").ok();
        assert!(waiter.line("exited with status code 7").contains("container"));
        world.compose("kill -s NOSIG web").exits(1).says("NOSIG");
        world.compose("stop web").ok();
        waiter.line(&format!("container \"{id}\" exited with status code 5"));
        waiter.end();
        world.compose("wait web").exits(1);
        world.compose("kill").ok().says("No container to kill");
        let volumes = || std::fs::read_dir(world.roots().data.join("volumes")).unwrap().count();
        assert_eq!(volumes(), 2);
        world.compose("start web").ok();
        world.compose("rm -f web").ok().says("No stopped containers");
        world.compose("rm -sfv web").ok();
        assert_eq!(services(world), ["db exited"]);
        assert_eq!(volumes(), 1);
        world.compose("start web").exits(1).says("has no container to start");
        world.compose("up -d --wait").ok();
        let mut waiter = world.background("wait --down-project web");
        waiter.has_asked();
        world.compose("kill -s TERM web").ok();
        assert_eq!(waiter.end(), 5);
        assert!(world.rows().is_empty());
    }
}

/// Services and states of all containers, sorted.
fn services(world: &World) -> Vec<String> {
    let row = |row: serde_json::Value| {
        format!("{} {}", row["Service"].as_str().unwrap(), row["State"].as_str().unwrap())
    };
    let mut all: Vec<_> = world.rows().into_iter().map(row).collect();
    all.sort();
    all
}
