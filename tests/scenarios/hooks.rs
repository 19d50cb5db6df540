//! Scenarios about hooks: what runs before a service starts, after it has, and before it stops.

use scenarios::{World, scenario, until};

scenario! {
    /// `pre_start` runs in containers of its own before a service starts from nothing, `post_start` in each
    /// container that a command started, `pre_stop` before a stop; who fails is named, and what was there
    /// stays.
    hooks_run_when_they_should, |world| {
        world.compose("up -d").ok();
        let lines = logged(world, &["before", "main", "after", "CapEff:"]);
        assert_eq!(lines[0], "before red dark");
        let prepared = std::fs::read_to_string(world.project().join("out/as")).unwrap();
        as_asked(prepared.trim(), "web /etc");
        assert!(lines.contains(&"after web /etc red light".to_owned()), "{lines:?}");
        let held = lines.iter().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
        assert_ne!(u64::from_str_radix(held, 16).unwrap() & (1 << 12), 0, "NET_ADMIN is not in the default set");
        assert_eq!(containers(world), 2, "the hooks' containers are gone");

        // Neither a restart nor a replacement starts from nothing; a replacement is no stop.
        world.compose("restart -t 0 web").ok();
        let lines = logged(world, &["stop", "main", "after", "CapEff:"]);
        as_asked(lines.iter().find_map(|line| line.strip_prefix("stop ")).unwrap(), "web /etc dusky");
        world.edit("compose.yaml", "COLOUR: red", "COLOUR: blue");
        world.compose("up -d -t 0").ok().says("COLOUR");
        logged(world, &["before", "main", "after", "CapEff:"]);
        world.compose("stop -t 0").ok();
        logged(world, &["stop"]);
        world.compose("start").ok();
        logged(world, &["before", "main", "after", "CapEff:"]);
        world.compose("kill web").ok();
        logged(world, &[]);
        world.run(&["run", "--rm", "-T", "-d", "web"], "").ok();
        logged(world, &["main", "after", "CapEff:"]);
        world.compose("down --remove-orphans -t 0").ok();

        // One that fails before keeps all from starting and stays to be looked at.
        let first = "- command: sh -c \"echo wrong table >&2; exit 3\"";
        world.edit("compose.yaml", "# FIRST", &format!("command: [hello]\n      {first}"));
        let refused = world.compose("up -d").exits(1);
        let refused = refused.says("service \"web\"").says("project-web-pre_start-4").says("exited (3)");
        refused.says("compose.yaml:17:9");
        logged(world, &["before"]);
        assert_eq!((world.state("web"), world.state("dependent")), ("created".to_owned(), "created".to_owned()));
        assert_eq!(containers(world), 6);
        world.edit("compose.yaml", "exit 3", "exec sleep 1000");
        let mut up = world.background("up -d");
        up.line("pre_start-4 Started");
        up.signal("INT");
        assert_ne!(up.end(), 0);
        world.compose("down -t 0").ok();
        assert_eq!(containers(world), 0);
        world.edit("compose.yaml", first.replace("exit 3", "exec sleep 1000").as_str(), "");
        logged(world, &["before"]);

        // One that fails afterwards is told with what it said; the container runs on.
        let after = "- command: sh -c \"echo not this; echo no such index >&2; exit 4\"";
        world.edit("compose.yaml", "# AFTER", after);
        let refused = world.compose("up -d web").exits(1).says("`web`").says("status 4");
        assert!(refused.stderr.contains("no such index") && !refused.stderr.contains("not this"), "{refused:?}");
        assert_eq!(world.state("web"), "running");

        // One that fails before the stop leaves it running; a kill asks nobody.
        world.edit("compose.yaml", after, "");
        world.edit("compose.yaml", "# STOP", "- command: [\"false\"]");
        world.compose("up -d").ok();
        world.compose("stop").exits(1).says("project-web-1").says("pre_stop hook exited with status 1");
        assert_eq!(world.state("web"), "running");
        world.compose("kill web").ok();
        until("web is gone", || (world.state("web") == "exited").then_some(()));
        world.compose("down").ok();
    }
}

/// Who and where a hook said it was, before the capabilities it may have: more than the default set.
fn as_asked(said: &str, expected: &str) {
    let (who, held) = said.rsplit_once(' ').unwrap();
    assert_eq!(who, expected);
    assert_ne!(u64::from_str_radix(held.trim(), 16).unwrap() & (1 << 12), 0, "{said}");
}

/// Waits until the lines of the log begin with these words, in any order, since the container writes
/// while its hooks do; gives the lines and empties the log.
fn logged(world: &World, words: &[&str]) -> Vec<String> {
    let path = world.project().join("out/log");
    let text = until("the log", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut found: Vec<_> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let mut wanted = words.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        (found == wanted).then(|| text.clone())
    });
    if path.exists() {
        std::fs::write(&path, "").unwrap();
    }
    text.lines().map(str::to_owned).collect()
}

/// How many containers the pod has, those of hooks among them.
fn containers(world: &World) -> usize {
    std::fs::read_dir(world.roots().data.join("pods/project/containers")).map_or(0, |entries| entries.count())
}
