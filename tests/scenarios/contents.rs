//! Scenarios about what is in containers and what they use: commit, export, stats.

use scenarios::scenario;
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// What `tar` lists of an archive in the project folder.
fn listed(world: &scenarios::World, archive: &str) -> String {
    let output = Command::new("tar").arg("tf").arg(world.project().join(archive)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

scenario! {
    /// `commit` keeps what a container has changed as an image that runs, with what `--change` adds, and
    /// the container runs on; `export` writes all its files, of a stopped one too, and nothing of its volumes.
    what_a_container_made_of_its_files_is_kept, |world| {
        world.compose("up -d").ok();
        let change = "echo text > /made; ln /made /srv/link; echo kept > /srv/pages/page; rm /etc/not-executable";
        world.run(&["exec", "-T", "web", "sh", "-c", change], "").ok();
        let commit = ["commit", "-a", "Ada", "-m", "first", "-c", "ENV SHADE=dark", "web", "localhost/kept:1"];
        world.run(&commit, "").ok().says("Committed as sha256:");
        assert_eq!(world.state("web"), "running");
        assert_eq!(world.compose("run --rm -T later").ok().stdout, "text\n");
        let look = "cat /srv/link; ls /srv/pages; test -e /etc/not-executable; echo $? $COLOUR $SHADE";
        let seen = world.run(&["run", "--rm", "-T", "later", "sh", "-c", look], "").ok().stdout;
        assert_eq!(seen, "text\n1 red dark\n");
        world.compose("commit web").ok().says("localhost/project-web-1:committed");
        world.compose("commit no-such-service").exits(1).says("no such service");
        world.run(&["commit", "-c", "FROM other", "web"], "").exits(1).says("--change `FROM other`");

        for state in ["running", "stopped"] {
            if state == "stopped" {
                world.compose("stop -t 0").ok();
            }
            world.compose("export -o files.tar web").ok();
            let mode = std::fs::metadata(world.project().join("files.tar")).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600);
            let names = listed(world, "files.tar");
            for name in ["made", "srv/link", "srv/pages/", "bin/busybox"] {
                assert!(names.lines().any(|line| line == name), "{name}, {state}: {names}");
            }
            for name in ["etc/not-executable", "srv/pages/page", "proc/1/"] {
                assert!(!names.lines().any(|line| line == name), "{name}, {state}: {names}");
            }
        }
        world.compose("export -o /no-such-folder/files.tar web").exits(1).says("/no-such-folder");
        world.compose("down -v --remove-orphans").ok();
    }
}

scenario! {
    /// `stats` has a row for each running container, with what the kernel counts, as a table, as JSON a
    /// line each, or as a template says.
    use_is_shown_as_the_kernel_counts_it, |world| {
        world.compose("up -d").ok();
        world.compose("stop -t 0 db").ok();
        let table = world.compose("stats --no-stream").ok().stdout;
        let mut lines = table.lines();
        let titles = ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];
        let header = lines.next().unwrap();
        assert!(titles.iter().all(|title| header.contains(title)), "{header}");
        assert!(lines.next().unwrap().contains("project-web-1") && lines.next().is_none(), "{table}");

        let objects = world.compose("stats --no-stream --all --format json").ok().stdout;
        let objects: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 2);
        let row = |service: &str| {
            let name = format!("project-{service}-1");
            objects.iter().find(|row| row["Name"] == name.as_str()).unwrap()
        };
        assert_eq!(row("db")["PIDs"], "--");
        let counted = match world.has_limits() {
            true => "2", // the init and its child
            false => "--",
        };
        assert_eq!(row("web")["PIDs"], counted);
        assert_eq!(row("web")["ID"], &world.id("web")[..12]);
        let whole = ["stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.Name}}", "web"];
        assert_eq!(world.run(&whole, "").ok().stdout, format!("{} project-web-1\n", world.id("web")));

        let mut shown = world.background("stats --format {{.Name}}");
        assert_eq!((shown.line("web"), shown.line("web")), ("project-web-1".to_owned(), "project-web-1".to_owned()));
        shown.signal("INT");
        assert_eq!(shown.end(), 130);
        world.compose("stats no-such-service").exits(1);
    }
}
