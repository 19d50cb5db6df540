//! Scenarios about environment variables that stand for flags.

use scenarios::{Output, World, scenario};

/// A command with these variables.
fn with(world: &World, variables: &[(&str, &str)], line: &str) -> Output {
    let mut command = world.program();
    command.args(line.split_whitespace()).envs(variables.iter().copied());
    world.finish(command, "")
}

scenario! {
    /// What is read, which services there are and what they are called: the variables that choose it, the flags
    /// that stand over them, and what is said of values that make no sense.
    variables_choose_files_and_names, |world| {
        let word = |variables: &[(&str, &str)], flags: &str| {
            let shown = with(world, variables, &format!("{flags} config --format json")).ok().stdout;
            let model: serde_json::Value = serde_json::from_str(&shown).unwrap();
            model["services"]["web"]["environment"]["WORD"].as_str().unwrap().to_owned()
        };
        for (file, value) in [("one.env", "one"), ("two.env", "two"), (".env", "default")] {
            world.write(file, &format!("WORD={value}\n"));
        }
        let both = ("COMPOSE_ENV_FILES", "one.env, two.env");
        assert_eq!(word(&[], ""), "default");
        assert_eq!(word(&[both], ""), "two", "the later wins");
        assert_eq!(word(&[both, ("WORD", "process")], ""), "process");
        assert_eq!(word(&[both], "--env-file one.env"), "one", "the flag replaces the variable");
        assert_eq!(word(&[("COMPOSE_DISABLE_ENV_FILE", "true")], ""), "none");
        with(world, &[("COMPOSE_ENV_FILES", "lost.env")], "config").exits(1).says("lost.env");
        std::fs::write(world.project().join("one.env"), b"A=1\nNAME=Andr\xe9\n").unwrap();
        let told = with(world, &[], "--env-file one.env config").exits(1);
        told.says("`one.env`: it is not UTF-8 text: byte 0xe9 in line 2");
        with(world, &[("COMPOSE_DISABLE_ENV_FILE", "perhaps")], "config").exits(1).says("expected true or false");

        let services = |variables: &[(&str, &str)], flags: &str| {
            with(world, variables, &format!("{flags} config --services")).ok().stdout
        };
        assert_eq!(services(&[("COMPOSE_PROFILES", "some, more")], "").lines().count(), 2);
        assert_eq!(services(&[("COMPOSE_PROFILES", "more")], "--profile none"), "web\n");
        assert_eq!(services(&[("COMPOSE_FILE", "other.yaml")], ""), "orphan\n");
        assert_eq!(services(&[("COMPOSE_FILE", "other.yaml:compose.yaml")], "").lines().count(), 2);
        let parted = [("COMPOSE_FILE", "other.yaml;compose.yaml"), ("COMPOSE_PATH_SEPARATOR", ";")];
        assert_eq!(services(&parted, "").lines().count(), 2);
        assert_eq!(services(&parted, "-f compose.yaml"), "web\n");
        with(world, &[("COMPOSE_FILE", "lost.yaml")], "config").exits(1).says("lost.yaml");
        let told = with(world, &[("COMPOSE_FILE", "compose.yaml:")], "config").exits(1);
        told.says("COMPOSE_FILE is `compose.yaml:`, which has an empty name");
        with(world, &[], "--file= config").exits(1).says("empty name of a Compose file");

        let renamed = |value| with(world, &[("COMPOSE_PROJECT_NAME", value)], "config");
        renamed("renamed").ok().says("name: renamed\n");
        renamed("Not Normal").exits(1).says("project name");
        let joined = |yes| with(world, &[("COMPOSE_COMPATIBILITY", yes)], "up -d --dry-run").ok();
        joined("true").says("project_web_1");
        joined("0").says("project-web-1");
        world.write(".env", "COMPOSE_COMPATIBILITY=1\n");
        world.compose("up -d").ok();
        assert_eq!(world.compose("ps --format {{.Name}}").ok().stdout, "project_web_1\n");
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// How a command tells what it does, and what it does with orphans: the variables that say it, and what is
    /// said of values that make no sense.
    variables_count_as_flags_do, |world| {
        let told = with(world, &[("COMPOSE_PROGRESS", "json")], "up -d").ok().stderr;
        let lines = told.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        assert!(lines.filter(|line| line["id"] == "Container project-web-1").count() > 0, "{told}");
        assert_eq!(with(world, &[("COMPOSE_PROGRESS", "quiet")], "up -d --force-recreate -t 0").ok().stderr, "");
        let flag = with(world, &[("COMPOSE_PROGRESS", "quiet")], "--progress plain up -d --force-recreate -t 0");
        flag.ok().says("Container project-web-1 Started");
        with(world, &[("COMPOSE_PROGRESS", "loud")], "ps").exits(1).says("`loud`");

        let coloured = |variables: &[(&str, &str)], line: &str| {
            let output = with(world, variables, line);
            format!("{}{}", output.stdout, output.stderr).contains('\x1b')
        };
        let wrong = "-f lost.yaml config";
        assert!(coloured(&[("COMPOSE_ANSI", "always")], wrong));
        assert!(!coloured(&[("COMPOSE_ANSI", "always"), ("NO_COLOR", "1")], wrong));
        assert!(!coloured(&[("COMPOSE_ANSI", "always")], &format!("--ansi never {wrong}")));
        assert!(!coloured(&[("COMPOSE_ANSI", "never")], wrong));
        with(world, &[("COMPOSE_ANSI", "green")], "ps").exits(1).says("`green`");

        with(world, &[("COMPOSE_PARALLEL_LIMIT", "1")], "pull").ok();
        // What means nothing is refused by every command, also by those that would not ask for it.
        for line in ["pull", "ps", "config", "ls", "image ls", "up -d"] {
            let told = with(world, &[("COMPOSE_PARALLEL_LIMIT", "many")], line).exits(1);
            told.says("COMPOSE_PARALLEL_LIMIT is `many`; expected an integer");
        }
        with(world, &[("COMPOSE_PARALLEL_LIMIT", "many")], "--parallel 2 pull").ok();
        for name in ["COMPATIBILITY", "CONVERT_WINDOWS_PATHS", "DISABLE_ENV_FILE", "FROZEN", "IGNORE_ORPHANS", "MENU",
            "REMOVE_ORPHANS", "STATUS_STDOUT"] {
            let name = format!("COMPOSE_{name}");
            let told = with(world, &[(&name, "ture")], "ps").exits(1);
            told.says(&format!("{name} is `ture`; expected true or false"));
            with(world, &[(&name, "Off")], "ps").ok();
        }
        world.write(".env", "A=1\nCOMPOSE_FROZEN=ture\n");
        with(world, &[], "up -d").exits(1).says(".env:2").says("COMPOSE_FROZEN is `ture`");
        with(world, &[("COMPOSE_FROZEN", "no")], "ps").ok();
        world.write(".env", "");

        world.compose("-f compose.yaml -f other.yaml up -d").ok();
        with(world, &[], "up -d").ok().says("orphan");
        let silent = with(world, &[("COMPOSE_IGNORE_ORPHANS", "1")], "up -d").ok();
        assert!(!silent.stderr.contains("orphan"), "{silent:?}");
        let both = [("COMPOSE_IGNORE_ORPHANS", "1"), ("COMPOSE_REMOVE_ORPHANS", "1")];
        with(world, &both, "up -d").exits(1).says("COMPOSE_IGNORE_ORPHANS");
        assert_eq!(world.state("orphan"), "running");
        with(world, &[("COMPOSE_REMOVE_ORPHANS", "0")], "up -d").ok();
        assert_eq!(world.state("orphan"), "running");
        with(world, &[("COMPOSE_REMOVE_ORPHANS", "1")], "up -d -t 0").ok();
        assert_eq!(world.rows().len(), 1);
        world.compose("-f compose.yaml -f other.yaml up -d").ok();
        with(world, &[("COMPOSE_REMOVE_ORPHANS", "true")], "down -t 0").ok();
        assert!(world.rows().is_empty());

        let none = with(world, &[], "kill").ok();
        assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "No container to kill\n"));
        let none = with(world, &[("COMPOSE_STATUS_STDOUT", "1")], "kill").ok();
        assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("No container to kill\n", ""));
        let none = with(world, &[("COMPOSE_STATUS_STDOUT", "1")], "rm -f").ok();
        assert_eq!(none.stdout, "No stopped containers\n");
    }
}
