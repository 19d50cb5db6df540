//! Scenarios about mounts: images, volumes of every kind, binds.

use scenarios::{World, scenario};

scenario! {
    /// Every kind of mount with its options is what the kernel has in the container's mount namespace; what
    /// cannot be mounted is refused with its line.
    mounts_are_as_asked, |world| {
        world.write(".env", &format!("PWD={}\n", world.project().display()));
        world.compose("up -d").exits(1).says("external volume \"made-outside\" not found");
        world.write("outside.yaml", "services: {x: {image: busybox, command: [\"true\"], volumes: [\"v:/v\"]}}\nvolumes: {v: {name: made-outside}}\n");
        world.compose("-p other -f outside.yaml up -d").ok();
        world.compose("up -d").ok();

        assert_eq!(inside(world, "images", "cat /several/data/from-image /several/data/above"), "from the image\nabove\n");
        assert_eq!(inside(world, "images", "ls /part; ls /of/service/data"), "above\nfrom-image\nfrom-image\n");
        for path in ["/several", "/part", "/of/service"] {
            assert!(options(world, "images", path).starts_with("ro,nosuid,nodev"), "{path}");
            refused(world, "images", &format!("touch {path}/x"), "Read-only");
        }

        assert_eq!(inside(world, "volumes", "ls /copied"), "from-image\n", "the other service has filled it");
        assert_eq!(inside(world, "volumes", "stat -c %u:%a /memory /scratch"), "33:711\n0:750\n");
        refused(world, "volumes", "dd if=/dev/zero of=/memory/x bs=1k count=256", "No space left");
        refused(world, "volumes", "dd if=/dev/zero of=/scratch/x bs=1k count=256", "No space left");
        assert_eq!(inside(world, "volumes", "cat /bound/file"), "device\n");
        refused(world, "volumes", "touch /bound/x", "Read-only");
        inside(world, "volumes", "echo mine > /outside/x");

        inside(world, "filled", "echo own > /anonymous/x");
        assert_eq!(inside(world, "taker", "cat /anonymous/x /outside/x"), "own\nmine\n");
        refused(world, "taker", "touch /anonymous/y", "Read-only");
        world.compose("up -d --force-recreate filled").ok();
        assert_eq!(inside(world, "filled", "cat /anonymous/x"), "own\n");
        world.compose("up -d --force-recreate -V filled").ok();
        assert_eq!(inside(world, "filled", "ls /anonymous"), "");

        assert!(world.project().join("made/here").is_dir());
        assert_eq!(inside(world, "binds", "cat /tree/file /alone/file"), "tree\ntree\n");
        assert!(options(world, "binds", "/sealed").starts_with("ro"));
        refused(world, "binds", "touch /sealed/x", "Read-only");

        // A part of a volume is there before it can be mounted.
        let part = "- {type: volume, source: copied, target: /part, volume: {subpath: below}}";
        world.edit("compose.yaml", "# MORE", part);
        world.compose("up -d volumes").exits(1).says("`below`").says("compose.yaml:");
        inside(world, "filled", "mkdir /data/below; echo part > /data/below/x");
        world.compose("up -d volumes").ok();
        assert_eq!(inside(world, "volumes", "cat /part/x"), "part\n");
        world.edit("compose.yaml", part, "# MORE");

        for (mount, said) in [
            ("{type: npipe, source: x, target: /pipe}", "Windows pipes"),
            ("{type: cluster, source: x, target: /cluster}", "cluster volumes"),
            ("{type: bind, source: ./missing, target: /x, bind: {create_host_path: false}}", "missing"),
            ("{type: bind, source: ./tree, target: /x, bind: {recursive: readonly}}", "read_only: true"),
        ] {
            let mount = format!("- {mount}");
            world.edit("compose.yaml", "# BIND", &mount);
            world.compose("up -d binds").exits(1).says(said).says("compose.yaml:");
            world.edit("compose.yaml", &mount, "# BIND");
        }
        world.edit("compose.yaml", "{driver: local, driver_opts: {type: none", "{driver: unknown, driver_opts: {type: none");
        world.compose("up -d volumes").exits(1).says("driver `unknown`").says("compose.yaml:");
        world.edit("compose.yaml", "{driver: unknown, driver_opts: {type: none", "{driver: local, driver_opts: {type: none");
        world.compose("down -v -t 0").ok();
        let kept = |name: &str| world.roots().data.join("volumes").join(name).exists();
        assert!(kept("made-outside") && !kept("project_copied"));
        assert!(world.project().join("device/file").exists());
        world.compose("-p other -f outside.yaml down -v -t 0").ok();
    }
}

/// The options of the uppermost mount at a path, as the kernel tells them of the container.
fn options(world: &World, service: &str, path: &str) -> String {
    let fields = mount(world, service, path);
    fields.split(' ').nth(5).unwrap().to_owned()
}

fn mount(world: &World, service: &str, path: &str) -> String {
    let pid = world.processes(&world.id(service))[0];
    let all = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    all.lines().rev().find(|line| line.split(' ').nth(4) == Some(path)).unwrap().to_owned()
}

fn inside(world: &World, service: &str, script: &str) -> String {
    world.run(&["exec", "-T", service, "sh", "-c", script], "").ok().stdout
}

fn refused(world: &World, service: &str, script: &str, said: &str) {
    world.run(&["exec", "-T", service, "sh", "-c", script], "").exits(1).says(said);
}
