//! Scenarios about builds that fail: what is told, and where.

use scenarios::{Fault, MovingRegistry, Output, faulty_registry, free_port, scenario};

scenario! {
    /// Of several builds of one command all that fails is told, each once: Dockerfiles that make no sense, base
    /// images that are not there, steps. What is given up because of another's failure has not failed.
    all_that_fails_in_a_build_is_told, |world| {
        let built = world.compose("--progress plain build").exits(1);
        let built = built.says("one.Dockerfile:3:1").says("ended with exit code 3").says("the last of one");
        assert_eq!(built.stderr.matches("error[").count(), 1, "{}", built.stderr);
        assert_eq!(number_of(&built, "CANCELED"), number_of(&built, "[two 2/2]"), "{}", built.stderr);
        assert_eq!(number_of(&built, "ERROR"), number_of(&built, "[one 2/2]"), "{}", built.stderr);
        assert!(!built.stderr.contains("killed"), "{}", built.stderr);
        built.says("Image project-one Error").says("Image project-two Cancelled");

        // Two base images, neither of which is answered before both are asked for.
        let registry = MovingRegistry::new();
        for (service, image) in [("one", "first"), ("two", "second")] {
            world.write(&format!("{service}.Dockerfile"), &format!("FROM {}/{image}\n", registry.address()));
        }
        registry.gather(2);
        let built = world.compose("build").exits(1).says("one.Dockerfile:1:6").says("two.Dockerfile:1:6");
        assert!(registry.gathered(), "{}", built.stderr);
        built.says("Image project-one Error").says("Image project-two Error");

        // What is wrong with the files is told before anything is done, of one that several builds have once.
        world.write("one.Dockerfile", "FORM busybox\nRUN true\n");
        world.write("two.Dockerfile", "FROM busybox\nCOPY one\n");
        let built = world.compose("build").exits(1).says("one.Dockerfile:1:1").says("two.Dockerfile:2:6");
        assert!(!built.stderr.contains("#1"), "{}", built.stderr);
        world.compose("build --check").exits(1).says("one.Dockerfile:1:1").says("two.Dockerfile:2:6");
        world.edit("compose.yaml", "two.Dockerfile", "one.Dockerfile");
        let built = world.compose("build").exits(1);
        assert_eq!(built.stderr.matches("one.Dockerfile:1:1").count(), 1, "{}", built.stderr);
        world.edit("compose.yaml", "dockerfile: one.Dockerfile, args", "dockerfile: none, args");
        world.compose("build").exits(1).says("one.Dockerfile:1:1").says("build of `two` (compose.yaml:5:");
    }
}

/// The number of the step of which the first such line is told.
fn number_of(output: &Output, text: &str) -> String {
    let line = output.stderr.lines().find(|line| line.starts_with('#') && line.contains(text));
    line.and_then(|line| line.split(' ').next()).unwrap_or_default().to_owned()
}

scenario! {
    /// What is wrong with a Dockerfile in the Compose file is shown at its place there, where that is written as it is
    /// read; elsewhere the service is named.
    a_dockerfile_in_the_compose_file_is_shown_there, |world| {
        let built = world.compose("build block").exits(1).says(" --> compose.yaml:10:9").says("10 |         RUN echo the last word");
        built.says("ended with exit code 7");
        world.edit("compose.yaml", "exit $$CODE", "exit $$[");
        world.compose("build --check block").exits(1).says("compose.yaml:12:9").says("JSONArgsRecommended");
        world.compose("build line").ok().says("compose.yaml:15:42: the stage name `Upper`");
        world.edit("compose.yaml", "ARG CODE", "ARGH CODE");
        world.compose("build block").exits(1).says(" --> compose.yaml:8:9").says("`ARG`");
        world.compose("build folded").exits(1).says(" --> dockerfile_inline of folded:2:1").says("exit code 1");
    }
}

scenario! {
    /// A base image that cannot be had comes with the remedy that `pull` has for it, beside the line of the
    /// Dockerfile.
    base_images_that_cannot_be_had_come_with_a_remedy, |world| {
        let host = &resource::Platform::host().to_string();
        let cases = [
            (None, host.as_str(), "check the name of the registry"),
            (Some(Fault::Status("404 Not Found")), host, "check the name and the tag"),
            (Some(Fault::Status("401 Unauthorized")), host, "log in to the registry"),
            (Some(Fault::Status("403 Forbidden")), host, "log"),
            (Some(Fault::Status("429 Too Many Requests")), host, ""),
            (Some(Fault::CutOnce), "linux/s390x", ""),
        ];
        for (fault, platform, remedy) in cases {
            let port = fault.map_or_else(free_port, faulty_registry);
            world.write(".env", &format!("REGISTRY={port}\nPLATFORM={platform}\n"));
            let pulled = help_of(&world.compose("pull pulled").exits(1));
            let built = world.compose("build built").exits(1).says("Dockerfile:2:6");
            assert_eq!(help_of(&built), pulled, "{fault:?}\n{}", built.stderr);
            assert!(pulled.as_deref().unwrap_or_default().contains(remedy), "{fault:?}: {pulled:?}");
        }
    }
}

/// What is said to do.
fn help_of(output: &Output) -> Option<String> {
    output.stderr.lines().find_map(|line| line.trim().strip_prefix("= help: ")).map(str::to_owned)
}
