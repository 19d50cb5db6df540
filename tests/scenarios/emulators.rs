//! Scenarios about images whose programs this machine executes by an emulator alone.

use scenarios::{Emulator, MovingRegistry, architecture, scenario, telling_image};

scenario! {
    /// Steps for another machine are executed by the emulator that the kernel has for their programs, and so are
    /// containers of the image. Where it has none, or does not use it, a build is refused before anything is done,
    /// a container says what its image is for, and both say what to do.
    programs_for_another_machine_are_run_by_an_emulator, |world| {
        let Some(emulator) = Emulator::register(world.who()) else {
            world.write(".env", &format!("HOST={}\nFOREIGN=loong64\n", architecture()));
            world.compose("build").exits(1).says("qemu-user-static");
            return;
        };
        let foreign = emulator.architecture();
        world.write(".env", &format!("HOST={}\nFOREIGN={foreign}\n", architecture()));
        let script = "if [ \"$1\" = shown ]; then read word < /arch; echo $word; else echo emulated > /arch; fi\n";
        world.write("told", &emulator.program(script));
        world.compose("build").ok();
        assert_eq!(world.compose("run --rm -T web").ok().stdout, "native\n");
        assert_eq!(world.compose("run --rm -T foreign").ok().stdout, "emulated\n");
        if !emulator.is_alone() {
            return;
        }

        emulator.switch_off();
        let refused = world.compose("build --no-cache").exits(1).says("RUN [\"/told\"]").says("is switched off");
        assert!(!refused.stderr.contains("DONE"), "{}", refused.stderr);
        let of = format!("its image is for linux/{foreign}");
        world.compose("run --rm -T foreign").exits(126).says(&of).says("is switched off");
        world.compose("up foreign").exits(1).says(&of).says("is switched off");
        drop(emulator);
        world.compose("build --no-cache").exits(1).says("qemu-user-static");
        world.compose("run --rm -T foreign").exits(126).says(&of).says("qemu-user-static");
    }
}

scenario! {
    /// A build that starts from an image for another machine alone says so, with the line.
    a_base_for_another_machine_is_told, |world| {
        let registry = MovingRegistry::new();
        registry.put(telling_image("team/app:1", "elsewhere", Some("made-up")));
        world.write("Dockerfile", &format!("FROM {}/team/app:1\nLABEL a=b\n", registry.address()));
        let told = format!("is made for linux/made-up, and the stage is for linux/{}", architecture());
        world.compose("build").ok().says("Dockerfile:1:6").says(&told).says("(InvalidBaseImagePlatform)");
        world.write("compose.yaml", "services: {web: {build: {context: ., platforms: [linux/made-up]}}}\n");
        let asked = world.compose("build").ok();
        assert!(!asked.stderr.contains("InvalidBaseImagePlatform"), "{}", asked.stderr);
    }
}

scenario! {
    /// A bundle keeps what is for another machine, and loading it on one that cannot run that says so at once.
    a_bundle_for_another_machine_is_told, |world| {
        let registry = MovingRegistry::new();
        registry.put(telling_image("team/app:1", "elsewhere", Some("made-up")));
        world.write(".env", &format!("REGISTRY={}\n", registry.address()));
        world.compose("bundle -o whole.tar").ok();
        registry.go_away();
        world.compose("image prune --all --force").ok();
        let loaded = world.compose("load whole.tar there").ok();
        loaded.says("is for linux/made-up, and programs of that cannot be executed on this machine");
        let there = |arguments: &[&str]| {
            let mut command = world.program();
            command.current_dir(world.project().join("there")).args(arguments);
            world.finish(command, "")
        };
        there(&["up", "-d"]).exits(1).says("its image is for linux/made-up");
        there(&["down", "-t", "0"]).ok();
    }
}
