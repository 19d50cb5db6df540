//! A scenario about the guide: what it has its reader type is typed.

use scenarios::{World, scenario};

const GUIDE: &str = include_str!("../../examples/README.md");

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
                "graph" => drop(world.compose(&line).ok().says("web  [not created]")),
                "config --explain services.web.ports" => drop(world.compose(&line).ok().says("compose.yaml:8:")),
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
                    let port = format!("Port web {} Moved to ", world.port());
                    let told = output.stderr.lines().find_map(|line| line.trim().strip_prefix(&port));
                    moved = told.unwrap_or_else(|| panic!("{}", output.stderr)).to_owned();
                    let number: u16 = moved.rsplit(':').next().unwrap().parse().unwrap();
                    assert!((20000..32768).contains(&number), "{moved}");
                }
                "--as review port web 80" => drop(output.says(&moved)),
                "ls" => drop(output.says("shop-review").says(&moved)),
                _ => {}
            }
        }
        world.compose("ls -a -q").ok().says("shop");
        world.compose("down -v").ok();
    }
}

/// The lines of `compose` that a chapter has its reader type, without the program's name and the remark.
fn typed(chapter: &str) -> Vec<String> {
    let (_, chapter) = GUIDE.split_once(&format!("## {chapter}\n")).unwrap();
    let chapter = chapter.split("\n## ").next().unwrap();
    let lines = chapter.lines().filter_map(|line| line.strip_prefix("$ compose "));
    let lines: Vec<_> = lines.map(|line| line.split(" #").next().unwrap().trim().to_owned()).collect();
    assert!(lines.len() > 1, "{chapter}");
    lines
}

/// Lines come, and Ctrl-C ends that and nothing else.
fn follows(world: &World) {
    let mut logs = world.background("logs -f");
    logs.line("web is up");
    logs.signal("INT");
    assert_eq!(logs.end(), 130);
    assert_eq!(world.state("web"), "running");
}
