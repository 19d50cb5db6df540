//! Scenarios about `watch`: what changes in the sources is in the containers.

use scenarios::{World, scenario, until};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

scenario! {
    /// Files, folders, links and modes follow the sources, however they are changed; what is ignored stays
    /// away; restarts and commands follow where they are asked for.
    watch_keeps_containers_to_the_sources, |world| {
        save(world, "src/a", "one");
        save(world, "conf/app.conf", "one");
        let mut watch = world.background("watch");
        watch.line("is mounted into service `bound` already");
        watch.line("Watch enabled");
        let src = world.project().join("src");

        save(world, "src/a", "two");
        appears(world, "/app/a", "two");
        // An editor's way: written beside, then renamed over; its temporary file is nobody's business.
        save(world, "src/.a.swp", "no");
        save(world, "src/b.new", "three");
        std::fs::rename(src.join("b.new"), src.join("b")).unwrap();
        appears(world, "/app/b", "three");
        std::fs::set_permissions(src.join("b"), PermissionsExt::from_mode(0o751)).unwrap();
        until("the mode", || (inside(world, "stat -c %a /app/b") == "751").then_some(()));
        // A folder's mode counts when it is changed; what the container made of its own stays otherwise.
        std::fs::create_dir(src.join("own")).unwrap();
        until("a folder", || (inside(world, "stat -c %a /app/own") == "755").then_some(()));
        assert_eq!(inside(world, "chmod 777 /app/own && stat -c %a /app/own"), "777");
        save(world, "src/own/x", "in a folder of the container's mode");
        appears(world, "/app/own/x", "in a folder of the container's mode");
        assert_eq!(inside(world, "stat -c %a /app/own"), "777");
        std::fs::set_permissions(src.join("own"), PermissionsExt::from_mode(0o750)).unwrap();
        until("the folder's mode", || (inside(world, "stat -c %a /app/own") == "750").then_some(()));
        std::fs::remove_dir_all(src.join("own")).unwrap();
        until("the folder's end", || (inside(world, "ls -d /app/own || echo gone") == "gone").then_some(()));
        symlink("b", src.join("link")).unwrap();
        until("the link", || (inside(world, "readlink /app/link") == "b").then_some(()));
        // A folder takes the place of a link to one: what comes into it does not go to where the link led.
        std::fs::create_dir(src.join("led")).unwrap();
        symlink("led", src.join("kind")).unwrap();
        until("a link to a folder", || (inside(world, "readlink /app/kind") == "led").then_some(()));
        std::fs::remove_file(src.join("kind")).unwrap();
        save(world, "src/kind/x", "in a folder");
        appears(world, "/app/kind/x", "in a folder");
        assert_eq!(inside(world, "ls -A /app/led; readlink /app/kind || echo none"), "none");
        for folder in ["kind", "led"] {
            std::fs::remove_dir_all(src.join(folder)).unwrap();
            until("its end", || (inside(world, &format!("ls -d /app/{folder} || echo gone")) == "gone").then_some(()));
        }
        // What comes all at once comes whole, and what is ignored does not.
        let batch = world.project().join("batch");
        for number in 0..300 {
            save(world, &format!("batch/sub{}/file{number}", number % 7), &number.to_string());
        }
        save(world, "src/skip/x", "no");
        save(world, "src/x.tmp", "no");
        std::fs::rename(&batch, src.join("batch")).unwrap();
        until("300 files", || (inside(world, "find /app/batch -type f | wc -l") == "300").then_some(()));
        std::fs::rename(src.join("batch"), src.join("moved")).unwrap();
        until("the move", || (inside(world, "find /app/moved -type f | wc -l") == "300").then_some(()));
        until("the old name", || (inside(world, "ls -d /app/batch || echo gone") == "gone").then_some(()));
        save(world, "src/moved/sub1/file1", "below a folder that was moved");
        appears(world, "/app/moved/sub1/file1", "below a folder that was moved");
        std::fs::remove_dir_all(src.join("moved")).unwrap();
        until("the removal", || (inside(world, "ls /app") == "a\nb\nlink").then_some(()));

        let started = inside(world, "cat /started");
        save(world, "conf/app.conf", "two");
        watch.line("service(s) [\"web\"] restarted");
        until("a restart", || Some(inside(world, "cat /started")).filter(|now| !now.is_empty() && *now != started));
        // Who saves truncates first, and may be seen doing so.
        appears(world, "/etc/app.conf", "two");
        save(world, "tables/one", "1\n");
        appears(world, "/seen", "1");
        save(world, "words/one", "1\n");
        let line = until("the command as somebody", || Some(inside(world, "cat /tmp/as")).filter(|line| !line.is_empty()));
        let (as_asked, held) = line.rsplit_once(' ').unwrap();
        assert_eq!(as_asked, "web /etc dark");
        assert_ne!(u64::from_str_radix(held.trim(), 16).unwrap() & (1 << 12), 0, "NET_ADMIN is not in the default set");
        // A path that was not there is waited for, and `include` picks from it.
        save(world, "not/yet/deep/skipped.md", "no");
        save(world, "not/yet/deep/note.txt", "yes");
        appears(world, "/later/deep/note.txt", "yes");
        assert_eq!(inside(world, "ls /later/deep"), "note.txt");

        // A container that does not run gets its files when it does.
        world.compose("stop -t 0 web").ok();
        save(world, "src/a", "while it was stopped");
        watch.line("Syncing service \"web\"");
        world.compose("start web").ok();
        appears(world, "/app/a", "while it was stopped");
        // A second watch is refused; a new container gets what the image does not have.
        world.compose("watch --no-up").exits(1).says("is watched by another");
        world.compose("up -d --force-recreate -t 0 web").ok();
        appears(world, "/app/b", "three");
        appears(world, "/etc/app.conf", "two");
        watch.signal("INT");
        assert_eq!(watch.end(), 130);
        assert!(!watch.lines().iter().any(|line| line.contains("swp")));
    }
}

scenario! {
    /// What was edited between two watches, whether the last one ended well or was killed, is found when
    /// the next begins; `initial_sync` sends everything; nothing to watch is an error.
    what_was_edited_while_nobody_watched_is_sent, |world| {
        save(world, "src/old", "old");
        save(world, "src/gone", "");
        save(world, "all/a", "all");
        save(world, "all/node_modules/x", "");
        let mut watch = world.background("watch");
        watch.line("Watch enabled");
        assert_eq!(inside(world, "ls /app 2>/dev/null || echo nothing"), "nothing");
        assert_eq!(inside(world, "find /all -type f"), "/all/a");
        save(world, "src/gone", "x");
        appears(world, "/app/gone", "x");
        watch.signal("INT");
        assert_eq!(watch.end(), 130);

        save(world, "src/old", "edited meanwhile");
        std::fs::remove_file(world.project().join("src/gone")).unwrap();
        let mut watch = world.background("watch --no-up");
        watch.line("Watch enabled");
        assert_eq!(inside(world, "cat /app/old"), "edited meanwhile");
        assert_eq!(inside(world, "ls /app"), "old");
        save(world, "src/new", "new");
        appears(world, "/app/new", "new");
        save(world, "all/folder/b", "all");
        appears(world, "/all/folder/b", "all");
        watch.signal("INT");
        assert_eq!(watch.end(), 130);
        let mut watch = world.background("watch --no-up");
        watch.line("Watch enabled");
        watch.signal("KILL");
        assert_ne!(watch.end(), 0);

        std::fs::remove_dir_all(world.project().join("all/folder")).unwrap();
        let empty = world.project().join("src/empty");
        std::fs::create_dir(&empty).unwrap();
        let mut watch = world.background("watch --no-up");
        watch.line("Watch enabled");
        assert_eq!(inside(world, "ls /all"), "a");
        assert_eq!(inside(world, "ls /app"), "empty\nnew\nold");
        watch.signal("KILL");
        assert_ne!(watch.end(), 0);
        std::fs::set_permissions(&empty, PermissionsExt::from_mode(0o710)).unwrap();
        let mut watch = world.background("watch --no-up");
        watch.line("Watch enabled");
        assert_eq!(inside(world, "stat -c %a /app/empty"), "710");
        // What a watch sent that was killed then is known to be there.
        save(world, "src/brief", "made under one watch, removed before the next");
        appears(world, "/app/brief", "made under one watch, removed before the next");
        watch.signal("KILL");
        assert_ne!(watch.end(), 0);
        std::fs::remove_file(world.project().join("src/brief")).unwrap();
        let mut watch = world.background("watch --no-up");
        watch.line("Watch enabled");
        assert_eq!(inside(world, "ls /app"), "empty\nnew\nold");
        watch.signal("KILL");
        assert_ne!(watch.end(), 0);
        save(world, "src/old", "edited after the kill");
        world.edit("compose.yaml", "COLOUR: red", "COLOUR: blue");
        let mut watch = world.background("watch");
        watch.line("Watch enabled");
        assert_eq!(inside(world, "cat /app/old /app/new"), "edited after the killnew");
        assert_eq!(inside(world, "stat -c %a /app/empty"), "710");
        world.compose("down -t 0").ok();
        watch.line("the project was taken down");
        assert_eq!(watch.end(), 0);

        // The same beside the output of the containers.
        let mut up = world.background("up --watch");
        up.line("⦿ Watch enabled");
        until("it runs", || (world.state("web") == "running").then_some(()));
        appears(world, "/all/a", "all");
        save(world, "src/old", "edited beside up");
        up.line("⦿ Syncing service \"web\"");
        appears(world, "/app/old", "edited beside up");
        up.signal("INT");
        assert_eq!(up.end(), 130);
        assert_eq!(world.state("web"), "exited");

        world.edit("compose.yaml", "    develop:\n", "    x-develop:\n");
        world.compose("watch").exits(1).says("none of the selected services is configured for watch");
        world.edit("compose.yaml", "    x-develop:\n", "    develop:\n");
        world.edit("compose.yaml", "action: sync, path: ./src, target: /app", "action: rebuild, path: ./src");
        world.compose("watch").exits(1).says("has no `build`").says("compose.yaml:9:20");
    }
}

scenario! {
    /// A change of what an image is built from builds it and replaces the container, and nothing else; a build
    /// that fails leaves what runs, and the next save tries again.
    watch_rebuilds_what_has_a_build, |world| {
        save(world, "app/Dockerfile", "FROM busybox\nCOPY . /app\nRUN cat /app/requirements > /made\n");
        save(world, "app/.dockerignore", "*.log\n");
        save(world, "app/requirements", "one");
        save(world, "app/src/a", "a");
        let mut watch = world.background("watch");
        watch.line("Watch enabled");
        assert_eq!(inside(world, "cat /made /app/src/a"), "onea");
        let (first, db) = (world.id("web"), world.id("db"));
        save(world, "app/src/a", "synced");
        appears(world, "/app/src/a", "synced");
        assert_eq!(world.id("web"), first);

        save(world, "app/requirements", "two");
        watch.line("Rebuilding service(s) [\"web\"]");
        watch.line("successfully built");
        appears(world, "/made", "two");
        assert_ne!(world.id("web"), first);
        assert_eq!(inside(world, "cat /app/src/a"), "synced");

        let second = world.id("web");
        save(world, "app/Dockerfile", "FROM busybox\nCOPY . /app\nRUN echo so it goes; exit 7\n");
        watch.line("so it goes");
        watch.line("exit code 7");
        assert_eq!((world.id("web"), world.state("web")), (second, "running".to_owned()));
        save(world, "app/Dockerfile", "FROM busybox\nCOPY . /app\nRUN echo three > /made\n");
        appears(world, "/made", "three");
        assert_eq!(world.id("db"), db);
        watch.signal("INT");
        assert_eq!(watch.end(), 130);
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// Where the kernel has no watches left, or no watcher at all, the setting is named once, and what is
    /// made, changed and removed is found by looking.
    what_the_kernel_does_not_watch_is_polled, user_only = "root's limits are the machine's", |world| {
        for number in 0..40 {
            save(world, &format!("src/d{number}/e/a"), "one");
            save(world, &format!("src/skip/d{number}/a"), "one");
        }
        world.compose("up -d").ok();
        for (setting, limit) in [("watches", "20"), ("instances", "0")] {
            set_limit(world, setting, limit);
            let mut watch = world.background("watch --no-up");
            watch.line("Watch enabled");
            watch.line(&format!("fs.inotify.max_user_{setting}="));
            let change = format!("lacking {setting}");
            for number in 0..40 {
                save(world, &format!("src/d{number}/e/a"), &change);
                save(world, &format!("src/skip/d{number}/a"), &change);
            }
            save(world, "not/yet/b", &change);
            let src = world.project().join("src");
            std::fs::rename(src.join("d7"), src.join("moved")).unwrap();
            let count = format!("grep -l '{change}' */e/a /later/b | wc -l");
            let all = |expected: &str| {
                let look = format!("cd /app; {count}; ls -d d7 d8 moved/e skip /later/b 2>/dev/null");
                until("all changes", || (inside(world, &look) == expected).then_some(()));
            };
            all("41\n/later/b\nd8\nmoved/e");
            std::fs::remove_dir_all(src.join("d8")).unwrap();
            std::fs::rename(src.join("moved"), src.join("d7")).unwrap();
            std::fs::remove_dir_all(world.project().join("not")).unwrap();
            all("39\nd7");
            save(world, "src/d8/e/a", "one");
            watch.signal("INT");
            assert_eq!(watch.end(), 130);
            let told = watch.lines().iter().filter(|line| line.contains("sysctl")).count();
            assert_eq!(told, 1, "{:?}", watch.lines());
        }
    }
}

/// Sets what processes in the user's namespace may have of inotify's things.
fn set_limit(world: &World, setting: &str, limit: &str) {
    let infra = world.recorded("infra.json").unwrap().to_string();
    let write = format!("echo {limit} > /proc/sys/user/max_inotify_{setting}");
    let mut command = Command::new("nsenter");
    command.args(["--user", "--target", &infra, "sh", "-c", &write]);
    assert!(command.status().unwrap().success(), "{write}");
}

/// Waits until a file of the service `web` has this content.
fn appears(world: &World, path: &str, content: &str) {
    until(path, || (inside(world, &format!("cat {path}")) == content.trim()).then_some(()));
}

/// What a command in the service `web` prints; nothing while it does not run.
fn inside(world: &World, command: &str) -> String {
    world.run(&["exec", "-T", "web", "sh", "-c", command], "").stdout.trim().to_owned()
}

/// Writes a file of the project, with the folders above it.
fn save(world: &World, path: &str, content: &str) {
    std::fs::create_dir_all(world.project().join(path).parent().unwrap()).unwrap();
    world.write(path, content);
}
