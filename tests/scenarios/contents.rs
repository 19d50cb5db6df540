//! Scenarios about what is in containers and what they use: commit, export, cp, stats.

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
        // An image that has lost its name to another can be built upon as long as a container is of it.
        world.run(&["image", "tag", "localhost/kept:1", "busybox"], "").ok();
        world.compose("image prune --force").ok();
        world.run(&["commit", "-c", "ENV SHADE=light", "web", "localhost/kept:1"], "").ok();
        let seen = world.run(&["run", "--rm", "-T", "later", "sh", "-c", "cat /made; echo $COLOUR $SHADE"], "").ok().stdout;
        assert_eq!(seen, "text\nred light\n");
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

scenario! {
    /// `cp` copies files and folders into every replica and out of one, running or not, into volumes too;
    /// links stay inside, nothing is replaced by something of another kind, and owners are as documented.
    files_are_copied_both_ways, |world| {
        let project = world.project();
        world.compose("up -d").ok();
        let exec = |index: &str, script: &str| {
            world.run(&["exec", "-T", "--index", index, "web", "sh", "-c", script], "").ok().stdout
        };
        let read = |path: &str| std::fs::read_to_string(project.join(path)).unwrap();

        for state in ["running", "stopped"] {
            if state == "stopped" {
                world.compose("stop -t 0").ok();
            }
            world.run(&["cp", "site", &format!("web:/srv/{state}")], "").ok();
            world.run(&["cp", "site", &format!("web:/srv/{state}")], "").ok();
            world.run(&["cp", "site/.", &format!("web:srv/pages/../{state}")], "").ok();
            world.run(&["cp", "site/page", &format!("web:/srv/pages/{state}")], "").ok();
            world.run(&["cp", "site/page", "web:/srv/fixed/new"], "").exits(1).says("Read-only");
            world.run(&["cp", "site", &format!("web:/srv/{state}/page")], "").exits(1).says("no folder");
            world.run(&["cp", "site/page", &format!("web:/srv/{state}/")], "").ok();
            world.run(&["cp", "site/page", &format!("web:/srv/{state}/deep")], "").ok();
            world.run(&["cp", "site/deep/page", "web:/nowhere/deep/page"], "").exits(1).says("/nowhere/deep");
            world.run(&["cp", "--index", "2", "site/page", &format!("web:/only-{state}")], "").ok();

            world.run(&["cp", &format!("web:/srv/{state}/."), &format!("out-{state}")], "").ok();
            assert_eq!(read(&format!("out-{state}/deep/page")), "one\n");
            assert_eq!(read(&format!("out-{state}/site/deep/page")), "two\n");
            world.run(&["cp", &format!("web:/srv/pages/{state}"), "copy"], "").ok();
            assert_eq!(read("copy"), "one\n");
            let owner = std::fs::metadata(project.join("copy")).unwrap().uid();
            assert_eq!(owner, std::fs::metadata(&project).unwrap().uid(), "it belongs to who copied it");
            std::fs::remove_file(project.join("copy")).unwrap();
        }
        world.compose("start").ok();
        for (index, only) in [("1", ""), ("2", "/only-running\n/only-stopped\n")] {
            let script = "cat /srv/running/page /srv/stopped/site/deep/page /srv/pages/running";
            assert_eq!(exec(index, script), "one\ntwo\none\n");
            assert_eq!(exec(index, "ls /only-* 2>/dev/null; true"), only);
            assert_eq!(exec(index, "stat -c %u:%g /srv/running/page /srv/stopped"), "0:0\n0:0\n");
        }

        // Links are copied as such, followed where asked for, and lead nowhere outside.
        exec("1", "ln -s /etc/passwd /srv/link; ln -s /../../../../../etc /srv/up; echo inside > /etc/marker");
        world.compose("cp web:/srv/link link").ok();
        assert_eq!(std::fs::read_link(project.join("link")).unwrap().to_str(), Some("/etc/passwd"));
        world.compose("cp -L web:/srv/link followed").ok();
        assert!(read("followed").contains("web:"), "the container's own file");
        world.compose("cp web:/srv/up/marker marker").ok();
        assert_eq!(read("marker"), "inside\n");
        world.run(&["cp", "--index", "1", "site/page", "web:/srv/up/placed"], "").ok();
        assert_eq!(exec("1", "cat /etc/placed"), "one\n");
        assert!(!std::path::Path::new("/etc/placed").exists());

        // What a link names is written, not the link; a slash means a folder, which is made for one alone.
        exec("1", "ln -s /etc/named /srv/to; ln -s round /srv/round");
        let first = |words: &[&str]| world.run(&[&["cp", "--index", "1"], words].concat(), "");
        first(&["site/page", "web:/srv/to"]).ok();
        assert_eq!(exec("1", "readlink /srv/to; cat /etc/named"), "/etc/named\none\n");
        first(&["site/page", "web:/srv/round"]).exits(1).says("symbolic links");
        first(&["site/.", "web:/srv/slashed/"]).ok();
        assert_eq!(exec("1", "cat /srv/slashed/page"), "one\n");
        first(&["site/page", "web:/srv/absent/"]).exits(1).says("/srv/absent/");
        first(&["site/page", "web:/etc/passwd/"]).exits(1).says("/etc/passwd/");
        std::os::unix::fs::symlink("named", project.join("to")).unwrap();
        first(&["web:/srv/to", "to"]).ok();
        assert_eq!(std::fs::read_link(project.join("named")).unwrap().to_str(), Some("/etc/named"));
        first(&["web:/srv/slashed", "outside/"]).ok();
        assert_eq!(read("outside/page"), "one\n");

        // Archives on the standard streams.
        let packed = world.program().args(["cp", "web:/srv/running", "-"]).output().unwrap();
        assert!(packed.status.success(), "{packed:?}");
        std::fs::write(project.join("packed.tar"), &packed.stdout).unwrap();
        let names = listed(world, "packed.tar");
        assert!(names.lines().any(|line| line == "running/deep/page"), "{names}");
        let mut unpack = world.program();
        unpack.args(["cp", "--index", "1", "-", "web:/tmp"]);
        unpack.stdin(std::fs::File::open(project.join("packed.tar")).unwrap());
        assert!(unpack.status().unwrap().success());
        assert_eq!(exec("1", "cat /tmp/running/site/page"), "one\n");

        world.compose("cp web:/no/such/file x").exits(1).says("/no/such/file");
        world.compose("cp site other:/x").exits(1).says("no such service");
        world.compose("cp site copy").exits(1).says("SERVICE:PATH");
        world.compose("cp web:/a web:/b").exits(1);
        world.compose("down -v -t 0").ok();
    }
}
