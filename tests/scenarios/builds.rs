//! Scenarios about building images.

use scenarios::{Ending, World, kill_points, scenario};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

scenario! {
    /// An image is built of stages, the unneeded one left out; what has not changed is not done again and
    /// gives the same image; a changed file does again what comes after it and nothing else; `.dockerignore`
    /// and arguments count; a label changes no step; the containers of a changed image are made anew.
    images_are_built_and_run_of_earlier_results, |world| {
        world.compose("build").ok().says("[web base 3/3] RUN").says("Image").says("Built");
        let first = made(world);
        world.compose("build").ok().says("CACHED");
        world.compose("up -d --wait").ok();
        assert_eq!(shown(world), format!("{first}one\nfixed\ndefault\nhi\n"));
        assert_eq!(inside(world, "ls /app /context"), "/app:\nmain\n\n/context:\nDockerfile\ncompose.yaml\nkept.log\nmain\n");
        assert_eq!(inside(world, "stat -c %u:%g:%a /app/main /app"), "7:8:640\n0:0:755\n");
        let image = image_of(world);
        let labels = world.run(&["image", "inspect", &image], "").stdout;
        assert!(labels.contains("com.docker.compose.service") || labels.is_empty(), "{labels}");

        // Nothing changes by looking: the same image, no container anew.
        let container = world.id("web");
        world.compose("up -d --build").ok();
        assert_eq!((world.id("web"), image_of(world)), (container.clone(), image.clone()));

        // An ignored file counts for nothing, a label for no step.
        world.write("junk.log", "other\n");
        world.edit("compose.yaml", "# LABELS", "labels: {of: us}");
        world.compose("up -d --build").ok().says("[web base 3/3] RUN");
        assert_eq!(made(world), first);
        assert_ne!(image_of(world), image, "it has the label");
        assert_ne!(world.id("web"), container);

        // A changed file does again what comes after it.
        world.write("main", "two\n");
        let before = world.id("web");
        world.compose("up -d --build").ok();
        assert_eq!(shown(world), format!("{first}two\nfixed\ndefault\nhi\n"));
        assert_ne!(world.id("web"), before);

        world.compose("build --build-arg GREETING=hello").ok();
        world.compose("up -d").ok();
        assert_eq!(shown(world), format!("{first}two\nfixed\ndefault\nhello\n"));
        world.compose("build --no-cache").ok();
        assert_ne!(made(world), first, "the number is drawn again");

        world.compose("down").ok();
        assert!(world.compose("run --rm --build web cat /made").ok().stdout.len() > 1);
    }
}

/// What the first step has drawn.
fn made(world: &World) -> String {
    world.compose("run --rm -T web cat /made").ok().stdout
}

fn shown(world: &World) -> String {
    inside(world, "cat /made /app/main /fixed; echo $STAGE; echo $GREETING")
}

fn inside(world: &World, script: &str) -> String {
    world.run(&["exec", "-T", "web", "sh", "-c", script], "").ok().stdout
}

fn image_of(world: &World) -> String {
    world.compose("images -q web").ok().stdout.trim().to_owned()
}

scenario! {
    /// What a step mounts is there while it runs and in no image: a secret, a cache that lasts, memory, files
    /// of the context and of another stage; neither are the engine's own files. A step has the network of
    /// its build, and none where it says so; a script of a heredoc runs; what the build was not given or
    /// not allowed is refused with its line.
    what_a_step_mounts_is_in_no_image, |world| {
        world.compose("build").ok();
        world.compose("up -d").ok();
        let layers = inside(world, "find / -xdev -path /proc -prune -o -path /sys -prune -o -type f -print | sort");
        assert!(!layers.contains("secret"), "{layers}");
        assert_eq!(
            inside(world, "cat /result"),
            "s3cret s3cret\n1\nfrom the context\nfrom a stage\nlo\neth0 lo\nscript hi\n"
        );
        let places = "ls -d /cache /memory /given /stage /run/deep /dev/pipes 2>&1 | grep -c 'No such'";
        assert_eq!(inside(world, places), "6\n");

        // The cache mount lasts, the steps do not depend on the secret's content.
        world.write("token", "other");
        world.compose("build").ok();
        world.compose("up -d").ok();
        assert!(inside(world, "cat /result").starts_with("s3cret s3cret\n1\n"));
        world.compose("build --no-cache").ok();
        world.compose("up -d").ok();
        assert!(inside(world, "cat /result").starts_with("other other\n2\n"));

        for (stage, line, cause) in [
            ("ungiven", "Dockerfile:21", "the secret `missing` is not given to this build"),
            ("privileged", "Dockerfile:24", "needs the entitlement `security.insecure`"),
            ("absent", "Dockerfile:27", "`nowhere` is not there"),
            ("fails", "Dockerfile:30", "ended with exit code 7"),
        ] {
            world.edit("compose.yaml", "# TARGET", &format!("target: {stage}"));
            world.compose("build").exits(1).says(line).says(cause);
            world.edit("compose.yaml", &format!("target: {stage}"), "# TARGET");
        }
        world.compose("build --check").ok();
        world.edit("Dockerfile", "FROM wanted AS absent", "from wanted AS absent");
        world.compose("build --check").exits(1).says("Dockerfile:26:1").says("ConsistentInstructionCasing");
        world.edit("compose.yaml", "# TARGET", "target: fails");
        world.compose("up -d --build").exits(1).says("the last word");
        world.edit("compose.yaml", "target: fails", "target: nothing");
        world.compose("build").exits(1).says("there is no stage `nothing`");
    }
}

scenario! {
    /// Builds of several services are one: what they have in common is done once, one takes files from the
    /// other, named contexts are folders and images, to begin with, too; a service that is not wanted is built when its files
    /// are; services that cannot be built are told.
    services_are_built_together, |world| {
        let built = world.compose("build").ok();
        let done = built.stderr.lines().filter(|line| line.ends_with(" common step")).count();
        assert_eq!(done, 1, "{}", built.stderr);
        world.compose("up -d").ok();
        let of = |service: &str, script: &str| {
            world.run(&["exec", "-T", service, "sh", "-c", script], "").ok().stdout
        };
        assert_eq!(of("one", "cat /common"), of("two", "cat /common"));
        assert_eq!(of("two", "cat /from-one /from-folder /from-based; ls /from-image"), "one\nin the folder\nin the folder\nbin\n");
        let print = world.compose("build --print").ok().stdout;
        assert!(print.contains("\"one\": \"target:one\""), "{print}");
        world.compose("build plain").ok().says("No services to build");
        world.edit("compose.yaml", "# CIRCLE", "additional_contexts: {two: \"service:two\"}");
        world.edit("one/Dockerfile", "# CIRCLE", "COPY --from=two /common /again");
        world.compose("build").exits(1).says("takes files from itself");
    }
}

scenario! {
    /// A build that is killed, wherever it is, leaves nothing that the next one does not put right, and that
    /// one goes on with the results that were whole.
    a_killed_build_is_gone_on_with, |world| {
        world.compose("pull base").ok();
        let Ending::Finished(steps) = world.killed_at("build --no-cache web", usize::MAX) else {
            panic!("it was not killed")
        };
        for step in kill_points(steps) {
            world.killed_at("build --no-cache web", step);
            world.compose("build web").ok();
            assert_eq!(world.compose("run --rm -T web cat /one /two").ok().stdout, "one\ntwo\n");
        }
        // A step that was running when its build was killed is ended by the next build.
        world.edit("Dockerfile", "echo two > /two", "echo be''gun; sleep 1000; echo two > /two");
        let mut build = world.background("--progress plain build web");
        build.line("begun");
        build.signal("KILL");
        build.end();
        // Killed while it removed the container of an earlier step, it would have left its name.
        let names = world.roots().data.join("names");
        let claims = || std::fs::read_dir(&names).unwrap().map(|entry| entry.unwrap().path());
        let of_build = |claim: &PathBuf| claim.file_name().unwrap().to_string_lossy().starts_with("build-");
        let claim = claims().find(of_build).unwrap();
        let gone = std::fs::read_link(&claim).unwrap().with_file_name("0".repeat(64));
        symlink(gone, claim.with_extension("9")).unwrap();
        world.edit("Dockerfile", "echo be''gun; sleep 1000; echo two > /two", "echo two > /two");
        world.compose("build web").ok().says("CACHED");
        assert_eq!(claims().filter(of_build).count(), 0);
        let pods = world.compose("pod ps").ok().stdout;
        assert!(!pods.contains("build-"), "{pods}");
        // So is one whose build is interrupted, by that build: while the step is being made, of which its
        // line tells, and when it runs.
        world.edit("Dockerfile", "echo two > /two", "echo be''gun; sleep 1000; echo two > /two");
        for sign in ["be''gun", "begun"] {
            let mut build = world.background("--progress plain build web");
            build.line(sign);
            build.signal("INT");
            assert_eq!(build.end(), 130);
            let networks = std::fs::read_dir(world.roots().data.join("networks")).unwrap().flatten();
            let networks: Vec<_> = networks.map(|network| network.file_name()).collect();
            assert_eq!(networks, ["project_default"], "{sign}");
        }
    }
}

scenario! {
    /// What copies or mounts files of another stage is kept as long as these are the same, however that stage has come
    /// to them; another content, mode, owner, name or link makes it anew, and so does another choice of files.
    what_is_taken_from_a_stage_counts_by_its_content, |world| {
        let build = |wanted: &str| {
            let built = world.compose("--progress plain build").ok();
            let step = built.stderr.lines().find(|line| line.contains("[web stage-1 2/4] COPY")).unwrap();
            let number = step.split(' ').next().unwrap().to_owned();
            assert_eq!(built.stderr.contains(&format!("{number} CACHED")), wanted == "kept", "{}", built.stderr);
            let id = world.compose("image inspect --format {{.Id}} project-web").ok().stdout;
            let drawn = world.compose("run --rm -T web cat /drawn").ok().stdout;
            (id, drawn)
        };
        let first = build("made");
        assert_eq!(build("kept"), first);
        // The stage is done again, and nothing that takes from it.
        world.edit("Dockerfile", "RUN mkdir -p", "RUN true; mkdir -p");
        assert_eq!(build("kept"), first);
        assert_eq!(build("kept"), first);
        // What nobody takes does not count.
        world.edit("Dockerfile", "echo x > /beside", "echo other > /beside");
        assert_eq!(build("kept"), first);
        let mut last = first;
        for (from, to) in [
            ("echo text >", "echo other >"),
            ("> /made/file &&", "> /made/file && chmod 600 /made/file &&"),
            ("chown 5:6", "chown 5:7"),
            ("/made/inner", "/made/outer"),
            ("ln -s file", "ln -s outer"),
        ] {
            world.edit("Dockerfile", from, to);
            // The copy is without the link, the mount has it.
            let now = build(if from == "ln -s file" { "kept" } else { "made" });
            assert!(now.1 != last.1, "{from}");
            last = now;
            // So is a cache that begins with them.
            assert_eq!(world.compose("run --rm -T web cat /begun").ok().stdout, "other\n");
        }
        // Of the same stage others are taken.
        world.edit("Dockerfile", "--exclude=link", "--exclude=file");
        build("made");
        assert_eq!(world.compose("run --rm -T web ls /copied").ok().stdout, "link\nouter\n");
        world.edit("Dockerfile", "--exclude=file", "--exclude=link");
        build("kept");
        // Where nothing is to be kept, nothing is.
        let again = world.compose("--progress plain build --no-cache").ok();
        assert!(!again.stderr.contains("CACHED"), "{}", again.stderr);
    }
}
