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
        assert_eq!(inside(world, "bare", "ls /data"), "", "what the image has there is not copied");
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
        for (given, other, said) in [
            ("o: \"size=128k,mode=711,uid=33\"", "size: 128k", "`size` is not supported"),
            ("o: \"size=128k,mode=711,uid=33\"", "opts: \"size=128k\"", "has no option `opts`"),
            ("{type: none, device: \"${PWD}/device\", o: bind}", "{type: none, device: \"${PWD}/device\"}", "make no mount"),
            ("{type: none, device: \"${PWD}/device\", o: bind}", "{type: none, o: bind}", "absolute path"),
        ] {
            world.edit("compose.yaml", given, other);
            world.compose("up -d --force-recreate volumes").exits(1).says(said).says("compose.yaml:");
            world.edit("compose.yaml", other, given);
        }
        world.compose("down -v -t 0").ok();
        let kept = |name: &str| world.roots().data.join("volumes").join(name).exists();
        assert!(kept("made-outside") && !kept("project_copied"));
        assert!(world.project().join("device/file").exists());
        world.compose("-p other -f outside.yaml down -v -t 0").ok();
    }
}

scenario! {
    /// A container that mounts an image is made anew when that is another, and only then.
    a_mounted_image_that_is_another_makes_another_container, |world| {
        world.compose("up -d --build").ok();
        assert_eq!(inside(world, "reader", "cat /pages/note"), "first\n");
        let labels = world.row("pages")["Labels"].to_string();
        assert!(labels.contains("own=of the image") && labels.contains("over=of the file"), "{labels}");
        let ids = || [world.id("reader"), world.id("aside")];
        let before = ids();
        world.compose("up -d --build -t 0").ok();
        assert_eq!(ids(), before);
        world.write("note", "second\n");
        world.compose("up -d --build -t 0").ok().says("mounted image changed: /pages is now sha256:");
        assert_eq!(inside(world, "reader", "cat /pages/note"), "second\n");
        assert!(ids()[0] != before[0] && ids()[1] == before[1]);
        world.compose("up -d --dry-run").ok().says("nothing to do");
    }
}

scenario! {
    /// Mounts made later on the host or in a container are seen on the other side as the propagation of the
    /// bind says, and not beyond it.
    mounts_travel_as_asked, root_only = "a user's mounts are seen by nobody else", |world| {
        let tree = Shared::new(world, "tree");
        world.compose("up -d").ok();
        for (service, tie) in [("alone", None), ("follower", Some("master:")), ("partner", Some("shared:"))] {
            let fields = mount(world, service, "/tree");
            let ties: Vec<_> = ["shared:", "master:"].into_iter().filter(|tie| fields.contains(tie)).collect();
            assert_eq!(ties, tie.into_iter().collect::<Vec<_>>(), "{service}: {fields}");
        }
        tree.mount("later");
        std::fs::write(tree.0.join("later/file"), "of the host").unwrap();
        for service in ["follower", "partner"] {
            assert_eq!(inside(world, service, "cat /tree/later/file"), "of the host", "{service}");
        }
        assert_eq!(inside(world, "alone", "ls /tree/later"), "");
        world.compose("up -d flat").ok();
        assert_eq!(inside(world, "flat", "ls /tree/later"), "", "what is mounted below does not come along");
        world.compose("up -d -t 0 --force-recreate alone").ok();
        assert_eq!(inside(world, "alone", "ls /tree/later"), "file\n");
        world.compose("up -d sealed open").ok();
        for service in ["sealed", "open"] {
            refused(world, service, "touch /tree/file", "Read-only");
            refused(world, service, "touch /tree/later/more", "Read-only");
        }

        inside(world, "partner", "mount -t tmpfs own /tree/inside && echo own > /tree/inside/file");
        assert_eq!(std::fs::read_to_string(tree.0.join("inside/file")).unwrap(), "own\n");
        assert_eq!(inside(world, "follower", "cat /tree/inside/file"), "own\n");
        assert_eq!(inside(world, "alone", "ls /tree/inside"), "");
        world.compose("--profile later down -t 0").ok();

        // What no kernel or account can mount is said with the volume's target and its service's line.
        world.edit("compose.yaml", "volumes: [\"./tree:/tree\"]", "volumes: [\"remote:/tree\"]");
        world.compose("up -d alone").exits(1).says("cannot mount a file system of type nosuchfs").says("compose.yaml:");
        drop(tree);
    }
}

/// A folder of the project that is a shared mount of its own, until it is dropped.
struct Shared(std::path::PathBuf);

impl Shared {
    fn new(world: &World, name: &str) -> Self {
        let shared = Self(world.project().join(name));
        std::fs::create_dir(&shared.0).unwrap();
        shared.mount("");
        run("mount", &["--make-shared".as_ref(), shared.0.as_os_str()]);
        for below in ["later", "inside"] {
            std::fs::create_dir(shared.0.join(below)).unwrap();
        }
        shared
    }

    /// Mounts memory on a folder below it.
    fn mount(&self, below: &str) {
        let path = self.0.join(below);
        run("mount", &["-t".as_ref(), "tmpfs".as_ref(), "scenario".as_ref(), path.as_os_str()]);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        run("umount", &["-R".as_ref(), self.0.as_os_str()]);
    }
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    assert!(
        std::process::Command::new(program).args(arguments).status().unwrap().success(),
        "{program} {arguments:?}"
    );
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
