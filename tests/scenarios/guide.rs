//! Scenarios about the guide and the README: what they have their reader type is typed.

use scenarios::{World, scenario, until};

const README: &str = include_str!("../../README.md");
const GUIDE: &str = include_str!("../../examples/README.md");

/// Chapters of the guide whose lines of `compose` are typed by a scenario here, beside all of the README's.
const TYPED: [&str; 6] =
    ["The first ten minutes", "Moving from Docker Compose", "Watch", "Copies", "Builds", "Troubleshooting"];

/// Lines that are not typed, and why.
const UNTYPED: [(&str, &str); 6] = [
    ("cd examples/wordpress", "the scenario's project has services of the same names"),
    ("cd examples/watch", "the scenario's project has its files"),
    ("cd examples/build", "the scenario's project has its file, and Dockerfiles that need no package"),
    ("docker run --rm -v shop_data:/from busybox tar -C /from -c . > data.tar", "there is no Docker"),
    ("cargo xtask demo", "builds the program, which is built when scenarios run"),
    ("cargo xtask test", "runs this"),
];

scenario! {
    /// The commands of the guide's first ten minutes, of its first help, of the way from Docker Compose and of
    /// copies, in their order, do in a project with services of those names what is said beside them.
    the_guide_does_what_it_says, |world| {
        let mut ups = vec![];
        for line in typed("The first ten minutes") {
            match line.as_str() {
                "logs -f" => follows(world),
                "up -d" => ups.push(world.compose(&line).ok()),
                "exec db bash" => assert_eq!(world.run(&["exec", "db", "bash"], "hostname -i\n").ok().stdout.lines().count(), 1),
                "plan" => drop(world.compose(&line).ok().says("create network shop_default")),
                "graph" => drop(world.compose(&line).ok().says("wordpress  [not created]")),
                "config --explain services.wordpress.ports" => drop(world.compose(&line).ok().says("compose.yaml:8:")),
                other => drop(world.compose(other).ok()),
            }
        }
        assert!(ups.len() == 2 && ups[1].stderr.contains("nothing to do"), "{ups:?}");

        let archive = world.project().join("data.tar");
        let mut tar = tar::Builder::new(std::fs::File::create(&archive).unwrap());
        tar.append_path_with_name(world.project().join("compose.yaml"), "table").unwrap();
        drop(tar);
        for line in typed("Moving from Docker Compose") {
            let mut command = world.program();
            let words = line.split(" < ").next().unwrap();
            command.args(words.split(' ')).stdin(std::fs::File::open(&archive).unwrap());
            assert!(command.status().unwrap().success(), "{line}");
        }
        world.compose("run -T --rm --no-deps db cat /var/lib/mysql/table").ok().says("name: shop");

        let mut moved = String::new();
        for line in typed("Copies") {
            let output = world.compose(&line).ok();
            match line.as_str() {
                "up -d --as review" => {
                    let port = format!("Port wordpress {} Moved to ", world.port());
                    let told = output.stderr.lines().find_map(|line| line.trim().strip_prefix(&port));
                    moved = told.unwrap_or_else(|| panic!("{}", output.stderr)).to_owned();
                    let number: u16 = moved.rsplit(':').next().unwrap().parse().unwrap();
                    assert!((20000..32768).contains(&number), "{moved}");
                }
                "--as review port wordpress 80" => drop(output.says(&moved)),
                "ls" => drop(output.says("shop-review").says(&moved)),
                _ => {}
            }
        }
        world.compose("ls -a -q").ok().says("shop");
        world.compose("down -v").ok();

        for line in commands(README).filter_map(|line| line.strip_prefix("compose ")) {
            match line {
                "logs -f" => follows(world),
                other => drop(world.compose(other).ok()),
            }
        }
        assert!(world.rows().is_empty());
    }
}

scenario! {
    /// The guide's chapter about builds, on the example's Compose file and on Dockerfiles of the same services that
    /// need no package; then what it has its reader look at when something is wrong.
    the_builds_of_the_guide_do_what_they_say, |world| {
        world.write("compose.yaml", include_str!("../../examples/build/compose.yaml"));
        world.write(".env", &format!("SITE_PORT=127.0.0.1:{}\n", world.port()));
        let mut builds = vec![];
        for line in typed("Builds") {
            match line.as_str() {
                "build" => builds.push(world.compose("--progress plain build").ok().stderr),
                "up -d --build" => {
                    world.write("site/pages/index.html", "another page\n");
                    world.compose(&line).ok();
                    let page = || scenarios::http(&format!("127.0.0.1:{}", world.port()), "index.html");
                    until("the page that was edited", || page().filter(|page| page.contains("another page")));
                }
                "run --rm tool you" => drop(world.compose(&line).ok().says("you")),
                "lock" => {
                    world.compose(&line).ok();
                    assert!(std::fs::read_to_string(world.project().join("compose.lock")).unwrap().contains("sha256:"));
                }
                "bundle -o site.tar" => {
                    world.compose(&line).ok();
                    assert!(world.project().join("site.tar").is_file());
                }
                other => drop(world.compose(other).ok()),
            }
        }
        assert!(builds.len() == 2 && !builds[0].contains("CACHED") && builds[1].matches("CACHED").count() == 2, "{builds:?}");

        std::fs::remove_file(world.project().join("compose.override.yaml")).unwrap();
        world.write("compose.yaml", "services: {db: {image: busybox, command: sh -c \"echo db is up; sleep 1000\", stop_grace_period: 0s}}\n");
        world.compose("up -d").ok();
        until("a first line", || world.compose("logs").stdout.contains("db is up").then_some(()));
        for line in typed("Troubleshooting") {
            let output = world.compose(&line).ok();
            let said = match line.split(' ').next().unwrap() {
                "explain" => "unknown-service",
                "ps" => "project-db-1",
                "logs" => "db is up",
                "events" => "container start",
                "top" => "sleep 1000",
                "config" => "command:",
                _ => "Images",
            };
            output.says(said);
        }
    }
}

scenario! {
    /// The example of the guide's chapter about watch, on images that are here: each of the three files does when
    /// it is changed what is said there, and so does a build that fails.
    the_watch_of_the_guide_does_what_it_says, |world| {
        world.write("compose.yaml", include_str!("../../examples/watch/compose.yaml"));
        let dockerfile = include_str!("../../examples/watch/Dockerfile").replace("FROM python:3", "FROM busybox");
        world.write("Dockerfile", &dockerfile);
        std::fs::create_dir(world.project().join("app")).unwrap();
        world.write("app/page.html", include_str!("../../examples/watch/app/page.html"));
        world.write("app/server.py", include_str!("../../examples/watch/app/server.py"));
        let line = typed("Watch");
        assert_eq!(line, ["watch"]);
        let mut watch = world.background(&line[0]);
        watch.line("Watch enabled");
        let first = world.id("web");
        let appears = |path: &str, content: &str| {
            let read = || world.run(&["exec", "-T", "web", "cat", path], "").stdout;
            until(path, || (read() == content).then_some(()));
        };
        world.write("app/page.html", "another page");
        appears("/app/page.html", "another page");
        world.write("app/server.py", "another program");
        watch.line("service(s) [\"web\"] restarted");
        appears("/app/server.py", "another program");
        assert_eq!(world.id("web"), first);
        world.write("Dockerfile", &format!("{dockerfile}RUN exit 3\n"));
        watch.line("ended with exit code 3");
        assert_eq!((world.id("web"), world.state("web")), (first.clone(), "running".to_owned()));
        world.write("Dockerfile", &format!("{dockerfile}RUN echo made > /made\n"));
        watch.line("successfully built");
        appears("/made", "made\n");
        appears("/app/page.html", "another page");
        assert_ne!(world.id("web"), first);
        watch.signal("INT");
        assert_eq!(watch.end(), 130);
    }
}

/// Each line that the README or the guide has its reader type is typed by a scenario, or is named with why not.
#[test]
fn every_line_of_the_pages_is_typed_or_named() {
    let of_chapters: Vec<String> = TYPED.iter().flat_map(|chapter| typed(chapter)).collect();
    // All that the README has of `compose` is.
    for line in commands(GUIDE).chain(commands(README).filter(|line| !line.starts_with("compose "))) {
        let is_typed =
            line.strip_prefix("compose ").is_some_and(|line| of_chapters.iter().any(|typed| typed == line));
        assert!(is_typed || UNTYPED.iter().any(|(named, _)| *named == line), "nothing types `{line}`");
    }
    for (named, _) in UNTYPED {
        assert!(commands(GUIDE).chain(commands(README)).any(|line| line == named), "{named} is nowhere");
    }
}

/// What a page has its reader type, in order and without remarks.
fn commands(page: &str) -> impl Iterator<Item = &str> {
    let lines = page.lines().filter_map(|line| {
        let command = line.strip_prefix("    ").filter(|line| line.starts_with("cargo "));
        line.strip_prefix("$ ").or(command)
    });
    lines.map(|line| line.split(" #").next().unwrap_or(line).trim())
}

/// The lines of `compose` that a chapter has its reader type, without the program's name and the remark.
fn typed(chapter: &str) -> Vec<String> {
    let (_, chapter) = GUIDE.split_once(&format!("## {chapter}\n")).unwrap();
    let chapter = chapter.split("\n## ").next().unwrap();
    let lines: Vec<_> =
        commands(chapter).filter_map(|line| line.strip_prefix("compose ")).map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{chapter}");
    lines
}

/// Lines come, and Ctrl-C ends that and nothing else.
fn follows(world: &World) {
    let mut logs = world.background("logs -f");
    logs.line("web is up");
    logs.signal("INT");
    assert_eq!(logs.end(), 130);
    assert_eq!(world.state("wordpress"), "running");
}
