//! Scenarios about what helps who types: completion, and lists whose columns are known.

use scenarios::{World, scenario};
use std::process::Command;

scenario! {
    /// Names of services, profiles, projects and images of the line that is being written are completed, in the
    /// shell itself too; a line that makes no sense has none, and nothing is said of it.
    names_are_completed, |world| {
        let names = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let output = world.run(&[&["__complete", "--"], &words[..]].concat(), "").ok();
            output.stdout.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names("logs w"), ["web", "worker"]);
        assert_eq!(names("up -d web "), ["db", "web", "worker"]);
        assert_eq!(names("up --scale w"), ["web=", "worker="]);
        assert_eq!(names("--profile "), ["debug", "jobs"]);
        assert_eq!(names("-f other.yaml exec "), ["shop"]);
        assert_eq!(names("exec web w"), Vec::<String>::new());
        assert_eq!(names("-f missing.yaml logs "), Vec::<String>::new());
        assert_eq!(names("-p "), Vec::<String>::new());
        world.compose("up -d").ok();
        assert_eq!(names("-p pro"), ["project"]);
        assert_eq!(names("pod rm "), ["project"]);
        assert_eq!(names("image rm "), ["busybox:latest"]);
        // Without the file, what runs tells the names.
        assert_eq!(names("-f missing.yaml -p project stop "), ["web"]);

        world.write("completion.bash", &world.compose("completion bash").ok().stdout);
        assert_eq!(in_bash(world, &["compose", "logs", "w"]), ["web", "worker"]);
        assert_eq!(in_bash(world, &["compose", "-f", "other.yaml", "start", ""]).last().unwrap(), "shop");
        assert_eq!(in_bash(world, &["compose", "logs", "--foll"]), ["--follow"]);
        assert_eq!(in_bash(world, &["compose", "resta"]), ["restart"]);
        for shell in ["zsh", "fish"] {
            world.compose(&format!("completion {shell}")).ok().says("__complete");
        }
    }
}

/// What bash makes of the last of these words with our script.
fn in_bash(world: &World, words: &[&str]) -> Vec<String> {
    let program = world.program();
    let started: Vec<_> = std::iter::once(program.get_program()).chain(program.get_args()).collect();
    let started =
        started.iter().map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>().join(" ");
    let typed = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let last = words.len() - 1;
    let lines = format!(
        "compose() {{ {started} \"$@\"; }}\n. ./completion.bash\nCOMP_WORDS=({typed}) COMP_CWORD={last}\n\
         _compose_with_names compose '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        words[last],
        words[last - 1]
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &lines]).current_dir(world.project()).env_clear();
    bash.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = bash.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

scenario! {
    /// Words that can mean nothing are refused before anything is made, and what was probably meant is named.
    words_that_mean_nothing_are_refused, |world| {
        for (line, said) in [
            ("up wbe", "error[unknown-service]: no such service: wbe\n  = help: a service with a similar name exists: `web`\n"),
            ("up --exit-code-from wbe", "similar name exists: `web`"),
            ("up --attach wbe", "did you mean `web`?"),
            ("up -d --scale wbe=2", "similar name exists: `web`"),
            ("run --cap-add NET_ADMN web", "`NET_ADMN` of `--cap-add` is no capability"),
            ("run -e =x web", "a name is missing before the `=`"),
            ("exec -e =x web env", "a name is missing before the `=`"),
            ("build --build-arg =x", "a name is missing before the `=`"),
            ("down -t soon", "a whole number is expected"),
            ("ls --filter name=[a", "a `[` is not closed"),
            ("exec web true", "`compose up -d web` starts it"),
            ("image rm busybx", "there is no image `busybx`"),
            ("apply compose.yaml", "`compose plan -o FILE` makes one"),
        ] {
            world.compose(line).exits(1).says(said);
        }
        for (name, value) in [("COMPOSE_ANSI", "sometimes"), ("COMPOSE_PROGRESS", "fancy")] {
            let mut program = world.program();
            program.arg("ps").env(name, value);
            world.finish(program, "").exits(1).says(&format!("the environment variable {name} is `{value}`"));
        }
        assert!(world.rows().is_empty());

        // What a `run` leaves is no service that is gone.
        world.compose("run web true").ok();
        world.compose("up -d --remove-orphans").ok().says("because a `run` left it behind");
        for (line, said) in [
            ("image inspect busybx", "a similar name exists: `busybox`"),
            ("pod stop projct", "a similar name exists: `project`"),
            ("exec --index 9 web true", "`compose ps web` lists those that run"),
        ] {
            let told = world.compose(line);
            assert!(!told.stderr.is_empty() && told.stderr.contains(said), "{line}: {}", told.stderr);
        }
    }
}

scenario! {
    /// Each command that lists something has the columns, JSON fields and template fields that
    /// `tests/COMMANDS.md` says, and refuses a field or a format that is not there.
    lists_are_as_their_page_says, |world| {
        world.compose("up -d").ok();
        let run = |command: &str, more: &[&str]| {
            let words: Vec<&str> = command.split(' ').chain(more.iter().copied()).collect();
            world.run(&words, "")
        };
        let rows = listed();
        assert!(rows.len() > 8, "{rows:?}");
        for List { command, columns, json, fields } in rows {
            let table = run(&command, &[]).ok().stdout;
            let header = table.lines().next().unwrap_or_default();
            assert_eq!(header.split("   ").map(str::trim).filter(|it| !it.is_empty()).collect::<Vec<_>>(), columns, "{command}");
            assert!(table.lines().count() > 1, "{command}: {table}");
            if let Some((form, names)) = json {
                let text = run(&command, &["--format", "json"]).ok().stdout;
                assert_eq!(keys(&form, &text), names, "{command} --format json");
                run(&command, &["--format", "no-format"]).exits(code(&command)).says("no-format");
            }
            if let Some(names) = fields {
                let template = names.iter().map(|name| format!("{{{{.{name}}}}}")).collect::<Vec<_>>().join("|");
                let lines = run(&command, &["--format", &template]).ok().stdout;
                assert_eq!(lines.lines().next().unwrap().matches('|').count(), names.len() - 1, "{command}: {lines}");
                let first = ["Name", "Repository", "Type", "CreatedSince"].into_iter().find(|name| names.iter().any(|it| it == name));
                let titled = run(&command, &["--format", &format!("table {{{{.{}}}}}", first.unwrap())]).ok().stdout;
                let word = first.unwrap().trim_end_matches("Since").to_uppercase();
                let title = columns.iter().find(|title| title.ends_with(&word)).unwrap();
                assert_eq!(titled.lines().next(), Some(title.as_str()), "{command}");
                run(&command, &["--format", "{{.Nmae}}"]).exits(code(&command)).says(".Nmae");
            }
        }
        run("ps", &["--format", "raw"]).ok().says("\nnames: project-web-1\n");
        run("volumes", &["--format", "raw"]).ok().says("name: project_kept\ndriver: local\n");
    }
}

scenario! {
    /// Templates are Go's with Docker's functions, on every command that takes them; what is wrong in one is
    /// shown with its place and the fields that there are, before anything is printed.
    templates_are_those_of_docker, |world| {
        world.compose("up -d web").ok();
        world.compose("run over").exits(3);
        let shown = |command: &str, template: &str| {
            let words: Vec<&str> = command.split(' ').chain(["--format", template]).collect();
            world.run(&words, "").ok().stdout
        };
        let ports = "{{range $i, $p := .Publishers}}{{if $i}},{{end}}{{$p.PublishedPort}}->{{.TargetPort}}{{end}}";
        assert_eq!(shown("ps web", ports), format!("{}->80,0->81\n", world.port()));
        let states = "{{.Service}} {{if eq .State \"running\" \"paused\"}}up{{else}}{{.ExitCode | printf \"%03d\"}}{{end}}";
        assert_eq!(shown("ps -a", states), "over 003\nweb up\n");
        let labels = "{{index .Labels \"own.word\" | title}} {{.Label \"own.word\" | upper}} {{truncate .ID 3 | len}}";
        assert_eq!(shown("ps", labels), "Label LABEL 3\n");
        let titled = shown("ps", "table {{pad .Name 0 1}}\\t{{if .Health}}{{.Health}}{{else}}none{{end}}");
        assert_eq!(titled, "NAME             HEALTH\nproject-web-1    none\n");
        assert_eq!(shown("images", "{{if eq .ContainerName \"project-web-1\"}}{{.Repository}}{{end}}").trim(), "busybox");
        assert_eq!(shown("ls", "{{.Name}}: {{index (split .Status \",\") 0}}"), "project: running(1)\n");
        assert_eq!(shown("volumes", "{{with .Name}}{{slice . 8}}{{end}}"), "kept\n");
        assert_eq!(shown("stats --no-stream", "{{range split .MemUsage \" / \"}}x{{end}}"), "xx\n");
        assert_eq!(shown("image ls", "{{join (split .Repository \"b\") \"B\"}}"), "BusyBox\n");
        assert_eq!(shown("image inspect busybox", "{{range .RepoTags}}{{.}}{{end}}"), "busybox:latest\n");
        assert!(shown("image history busybox", "{{.CreatedSince}}|{{.Size}}").contains('|'));
        assert_eq!(shown("system df", "{{if eq .Type \"Images\"}}{{.TotalCount}}{{end}}"), "1\n\n\n\n");
        assert_eq!(shown("pod ps", "{{.Name}} {{.NumberOfContainers}}"), "project 2\n");
        let inside = "{{range .Containers}}{{if eq .State \"running\"}}{{.Name}}{{end}}{{end}} {{len .Networks}}";
        assert_eq!(shown("pod inspect project", inside), "project-web-1 1\n");

        let wrong = |command: &str, template: &str| {
            let words: Vec<&str> = command.split(' ').chain(["--format", template]).collect();
            world.run(&words, "").exits(code(command))
        };
        for command in ["ps", "images", "ls", "volumes", "image ls", "system df", "pod inspect project"] {
            let told = wrong(command, "{{if true}}{{.Nmae}}{{end}}");
            assert_eq!(told.stdout, "", "{command}");
            told.says("error[bad-template]: there is no field `.Nmae`").says(" --> --format:1:14").says("the fields are ");
        }
        wrong("ps", "{{range .Publishers}}{{.Url}}{{end}}").says("`.URL`");
        wrong("ps", "{{.Name}}{{end}}").says("this `end` closes nothing").says("  |            ^^^");
        wrong("ps", "{{uper .Name}}").says("there is no function `uper`").says("`upper`");
        wrong("ps", "{{range .Ports}}{{end}}").says("`split`");
        wrong("ps", "{{index .Publishers 7}}").says("out of range: 7");
        world.compose("explain bad-template").ok().says("`truncate`");
        world.compose("down -t 0 -v").ok();
    }
}

/// A row of the page's chapter about lists.
#[derive(Debug)]
struct List {
    command: String,
    columns: Vec<String>,
    /// `lines`, `array` or `object`, and the keys of one of its objects, sorted.
    json: Option<(String, Vec<String>)>,
    fields: Option<Vec<String>>,
}

fn listed() -> Vec<List> {
    let (_, chapter) = include_str!("../COMMANDS.md").split_once("## Lists").unwrap();
    let table = chapter.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [command, columns, json, fields] = cells[..] else { panic!("not four cells: {line}") };
        let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let json = json.split_once(": ").map(|(form, names)| {
            let mut names = quoted(names);
            names.sort();
            (form.to_owned(), names)
        });
        let names = || json.clone().unwrap().1;
        let fields = match fields {
            "–" => None,
            "the same" => Some(names()),
            other => Some(quoted(other)),
        };
        List { command: quoted(command)[0].clone(), columns: quoted(columns), json, fields }
    };
    table.take_while(|line| line.starts_with('|')).map(row).collect()
}

/// Keys of the first object of a JSON text.
fn keys(form: &str, text: &str) -> Vec<String> {
    let value: serde_json::Value = match form {
        "lines" => serde_json::from_str(text.lines().next().unwrap()).unwrap(),
        _ => serde_json::from_str(text).unwrap(),
    };
    let object = match form {
        "array" => &value[0],
        _ => &value,
    };
    let mut keys: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

/// What a command that is called wrongly ends with: Podman's code for pods.
fn code(command: &str) -> i32 {
    if command.starts_with("pod ") { 125 } else { 1 }
}
