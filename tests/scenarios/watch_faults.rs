//! A scenario about `compose watch` where something cannot be done.

use scenarios::{World, scenario, until};

scenario! {
    /// A build that fails, a root that cannot be written, a path that is somebody else's and a command that fails
    /// are told, each once a container, and nobody else misses a file or a command for it.
    what_fails_for_one_service_is_not_missed_by_others, |world| {
        let mut watch = world.background("watch");
        watch.line("Watch enabled");
        let (fixed, made) = (world.id("fixed"), world.id("made"));

        // One batch: `own` cannot be written in the container, what comes behind it can.
        std::fs::rename(world.project().join("batch"), world.project().join("src/batch")).unwrap();
        watch.line("ended with exit code 1");
        watch.line("cannot sync container `project-fixed-1`");
        watch.line("cannot sync container `project-web-");
        for index in ["1", "2"] {
            appears(world, index, "/app/batch/zoo", "whole\n");
            appears(world, index, "/app/batch/broken", "yes\n");
        }
        assert_eq!((world.id("fixed"), world.id("made")), (fixed, made.clone()));

        // Once nothing is in their way, builds and commands are done again.
        std::fs::remove_file(world.project().join("src/batch/broken")).unwrap();
        watch.line("service(s) [\"made\"] successfully built");
        for index in ["1", "2"] {
            watch.line(&format!("in `project-web-{index}` ended with exit code 3"));
            appears(world, index, "/ran", "ran\n");
        }
        until("another container", || (world.id("made") != made).then_some(()));
        watch.signal("INT");
        assert_eq!(watch.end(), 130);
    }
}

/// Waits until a file of a replica of `web` says so.
fn appears(world: &World, index: &str, path: &str, content: &str) {
    let read = || world.run(&["exec", "-T", "--index", index, "web", "cat", path], "");
    until(path, || Some(read()).filter(|read| read.code == 0 && read.stdout == content).map(drop));
}
