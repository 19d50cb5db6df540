//! Scenarios about services that a program provides, and about models that are served elsewhere.

use scenarios::{World, scenario, until};

scenario! {
    /// A provider is run in its place in the order, with its options, the project's folder and environment; what
    /// it answers is in the environment of those that depend on it, and makes them anew when it is another answer,
    /// and only then. It is told of everywhere, and run by `up`, `stop` and `down` alone.
    a_provider_has_a_service, |world| {
        for line in ["--dry-run up -d", "plan", "why db"] {
            world.compose(line).ok().says(if line == "why db" { "its provider asked" } else { "run provider ./cloud: up db" });
        }
        world.compose("graph").ok().says("db  [provided by ./cloud]");
        assert!(calls(world).is_empty(), "looking runs nothing");

        let up = world.compose("up -d").ok().says("Provider db Starting").says("Provider db Started");
        let up = up.says("preparing a database").says("a provider sets the variable TOKEN of service web");
        assert!(!up.stderr.contains("with care"), "{up:?}");
        let folder = world.project();
        let asked = format!("compose --project-name=project up --size=256 --tag=a --tag=b db in {} for dark", folder.display());
        assert_eq!(calls(world), [format!("compose metadata in {} for dark", folder.display()), asked]);
        assert_eq!(told(world), "cloud://first, of the provider\n");
        let definition = std::fs::read_to_string(folder.join("definition")).unwrap();
        assert!(definition.contains("\"size\":[\"256\"]"), "{definition}");

        // The same answers change nothing, others make the container anew, and only that.
        let before = (world.id("web"), world.id("base"));
        world.compose("--verbose up -d").ok().says("with care").says("nothing to do");
        assert_eq!((world.id("web"), world.id("base")), before);
        world.compose("why web").ok().says("web: nothing would be done");
        world.edit("on-up", "first", "second");
        world.compose("up -d db").ok();
        assert_eq!(told(world), "cloud://first, of the provider\n");
        let why = world.compose("why web").ok();
        let why = why.says("web: recreated, because environment of `web` changed: DB_URL");
        why.says("services.web.environment.DB_URL from the provider of db");
        let plan = world.compose("plan -o kept").ok();
        plan.says("run provider ./cloud: up db").says("create ").says("because environment of `web` changed: DB_URL");
        world.compose("apply kept").ok();
        assert_eq!(told(world), "cloud://second, of the provider\n");
        assert_eq!(world.id("base"), before.1);
        assert_ne!(world.id("web"), before.0);

        // Where it is not asked, what it answered last holds; nothing but `up` asks it.
        let asked = calls(world).len();
        let web = world.id("web");
        world.compose("up -d --no-deps web").ok();
        assert_eq!(world.id("web"), web);
        world.compose("up -d --no-deps --force-recreate web").ok();
        assert_ne!(world.id("web"), web);
        for line in ["restart -t 0", "stop -t 0 web", "start", "pull", "ps -a", "config -q", "images", "up -d base"] {
            world.compose(line).ok();
        }
        assert_eq!(told(world), "cloud://second, of the provider\n");
        assert_eq!(calls(world).len(), asked, "{:?}", calls(world));
        let variables = world.run(&["run", "--rm", "-T", "-e", "TOKEN=mine", "web", "sh", "-c", "echo $DB_URL, $TOKEN"], "").ok();
        assert_eq!(variables.stdout, "cloud://second, mine\n");
        world.compose("up -d --scale db=2").exits(1).says("no containers to scale").says("compose.yaml:5:7");
        world.compose("run --rm db true").exits(1).says("no container to run anything in");

        // Only one that says so can stop, and one that names its options gets no others.
        let asked = calls(world).len();
        world.compose("stop -t 0").ok();
        assert_eq!(calls(world)[asked..].len(), 1, "only its metadata: {:?}", calls(world));
        world.write("metadata", r#"{"description": "d", "stop": {"parameters": [{"name": "tag"}]},
            "up": {"parameters": [{"name": "size", "required": true}]}, "down": {"parameters": []}}"#);
        let stop = world.compose("stop -t 0").ok();
        stop.says("Provider db Stopping").says("Provider db Stopped");
        assert!(calls(world).iter().any(|call| call.contains("stop --tag=a --tag=b db")), "{:?}", calls(world));
        assert_eq!(calls(world).last().map(String::as_str), Some("resting"));
        world.compose("up -d").ok();
        assert!(calls(world).last().unwrap().contains("up --size=256 db"), "{:?}", calls(world));
        world.edit("metadata", "size", "colour");
        let lacking = world.compose("up -d").exits(1);
        lacking.says("needs the option `colour`").says("compose.yaml:7:9").says("provider.options.colour");
        world.edit("metadata", "colour", "size");

        // With `create`, who waits for it is not made yet; in the foreground it is, and started.
        world.compose("rm -s -f").ok();
        let asked = calls(world).len();
        world.compose("up --no-start").ok().says("service web is not created");
        assert_eq!(calls(world).len(), asked);
        assert_eq!(world.rows().len(), 1);
        let mut up = world.background("up");
        up.line("at cloud://second");
        up.signal("INT");
        assert_eq!(up.end(), 130);
        assert_eq!(calls(world).last().map(String::as_str), Some("resting"));
        world.compose("down -t 0").ok().says("Provider db Removed");
        assert!(calls(world).iter().any(|call| call.contains("down db in")), "{:?}", calls(world));
        assert_eq!(calls(world).last().map(String::as_str), Some("gone"));
        assert!(world.rows().is_empty());

        // A plugin of Docker's comes before a program in PATH; who is neither is looked for in vain.
        let plugins = folder.parent().unwrap().join(".docker/cli-plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        world.edit("compose.yaml", "type: ./cloud", "type: cloud");
        world.compose("up -d db").exits(1).says("there is no provider `cloud`").says("compose.yaml:5:13");
        std::fs::copy(folder.join("cloud"), plugins.join("docker-cloud")).unwrap();
        world.compose("up -d db").ok().says("Provider db Started");
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// A provider that fails, prints what nobody expects or hangs is told with its line; it keeps nothing else from
    /// ending, and an interrupt ends it with all it has started.
    a_provider_that_fails_is_told, |world| {
        world.compose("up -d base").ok();
        for (act, why) in [
            (r#"echo '{"type": "error", "message": "no such plan"}'; exec sleep 1000"#, "no such plan"),
            ("echo lost >&2; echo no route >&2; exit 3", "exited with status 3: lost\nno route"),
            ("kill -9 $$", "was ended by signal 9"),
            ("echo hello", "printed what is no message: hello"),
            (r#"echo '{"type": "later"}'"#, "unknown type `later`"),
            (r#"printf '{"type": "setenv", "message": "=x"}'"#, "set no variable"),
            ("tr '\\0' x < /dev/zero | head -c 10000000; exec sleep 1000", "a line of more than 1 MiB"),
        ] {
            world.write("on-up", act);
            world.compose("up -d").exits(1).says(why).says("provider `./cloud`").says("compose.yaml:4:22");
        }
        assert!(world.rows().iter().all(|row| row["Service"] != "web"), "it waits for its provider");
        world.edit("compose.yaml", "type: ./cloud", "type: compose");
        world.compose("up -d").exits(1).says("cannot be a provider").says("compose.yaml:4:22");
        world.edit("compose.yaml", "type: compose", "type: ./cloud");
        // Who can do without it is started.
        world.edit("compose.yaml", "depends_on: [db]", "depends_on: {db: {condition: service_started, required: false}}");
        world.compose("up -d web").ok().says("optional dependency of web failed to start");
        assert_eq!(world.state("web"), "running");
        world.compose("rm -s -f web").ok();
        world.edit("compose.yaml", "depends_on: {db: {condition: service_started, required: false}}", "depends_on: [db]");

        // What it leaves running is not waited for, though that has its output open.
        world.write("on-up", "sleep 1000 & echo $! > left\nexit 0");
        world.compose("up -d").ok();
        end(world, "left");
        world.write("on-up", "while :; do echo '{\"type\": \"info\", \"message\": \"busy\"}'; done & echo $! > left\nexit 0");
        world.compose("up -d").ok();
        // Nobody reads that any more.
        until("it is gone", || (!lives(&pid(world, "left"))).then_some(()));

        for (signal, code) in [("INT", 130), ("TERM", 130)] {
            world.write("on-up", "sleep 1000 & echo $! > child\necho $$ > parent\necho '{\"type\": \"info\", \"message\": \"at work\"}'\nwait");
            let mut up = world.background("up -d");
            up.line("at work");
            // Others get through meanwhile.
            world.compose("down -t 0 base").ok();
            up.signal(signal);
            assert_eq!(up.end(), code);
            for file in ["parent", "child"] {
                assert!(!lives(&pid(world, file)), "{file} is not ended by {signal}");
            }
        }

        world.write("on-up", ":");
        world.compose("up -d").ok();
        world.write("on-down", "echo 'still in use' >&2; exit 1");
        world.compose("down -t 0").exits(1).says("still in use").says("compose.yaml:4:22");
        assert!(world.rows().is_empty(), "it keeps no container from being removed");
    }
}

scenario! {
    /// A service that uses a model is told where that is and what it is called, as its own words allow; where
    /// nobody says that, it is not started, and everything else goes on.
    a_model_is_told_where_it_is, |world| {
        let refused = world.compose("up -d").exits(1);
        refused.says("uses the model `my-llm`").says("compose.yaml:5:").says("x-endpoint");
        for line in ["ps", "config -q", "down", "up -d other"] {
            world.compose(line).ok();
        }
        world.compose("run --rm web true").exits(1).says("no-model-endpoint");
        world.write(".env", "LLM=elsewhere");
        world.compose("up -d").exits(1).says("unusable-value").says("compose.yaml:15:17");
        world.write(".env", "LLM=http://10.0.0.1:8000/v1");
        let up = world.compose("up -d").ok();
        assert!(up.stderr.contains("`context_size` has no effect"), "{up:?}");
        let told = "echo $MY_LLM_URL, $MY_LLM_MODEL";
        assert_eq!(asked(world, "web", told), "http://10.0.0.1:8000/v1, ai/clever\n");
        assert_eq!(asked(world, "named", "echo $AT, $CALLED"), "http://10.0.0.1:8000/v1, ai/clever\n");
        assert_eq!(asked(world, "own", told), "http://mine/v1, ai/clever\n");
        let once = world.run(&["run", "--rm", "-T", "web", "sh", "-c", told], "").ok().stdout;
        assert_eq!(once, "http://10.0.0.1:8000/v1, ai/clever\n");
        let before = (world.id("web"), world.id("other"));
        world.write(".env", "LLM=http://10.0.0.2:8000/v1");
        world.compose("up -d").ok();
        assert_eq!(asked(world, "web", told), "http://10.0.0.2:8000/v1, ai/clever\n");
        assert!(world.id("web") != before.0 && world.id("other") == before.1);
        world.write(".env", "");
        world.compose("stop -t 0").ok();
        world.compose("down -t 0").ok();
        assert!(world.rows().is_empty());
    }
}

/// The lines that the provider has noted.
fn calls(world: &World) -> Vec<String> {
    let text = std::fs::read_to_string(world.project().join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What `web` has of its provider.
fn told(world: &World) -> String {
    asked(world, "web", "echo $DB_URL, $TOKEN")
}

fn asked(world: &World, service: &str, script: &str) -> String {
    world.run(&["exec", "-T", service, "sh", "-c", script], "").ok().stdout
}

fn pid(world: &World, file: &str) -> String {
    std::fs::read_to_string(world.project().join(file)).unwrap().trim().to_owned()
}

fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Ends what a provider has left running.
fn end(world: &World, file: &str) {
    let pid = pid(world, file);
    assert!(lives(&pid), "it was not ours to end");
    let killed = std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    assert!(killed.success());
    until("it is gone", || (!lives(&pid)).then_some(()));
}
