//! Scenarios about secrets and configs.

use scenarios::{World, scenario};

scenario! {
    /// Secrets and configs from files, variables and text are where, whose and as open as was asked for, and
    /// cannot be written to, in a read-only root, too; another content makes another container, the same
    /// does not; what cannot be had is refused with its line.
    secrets_and_configs_are_given_as_asked, |world| {
        world.compose("up -d").ok();
        let expected = [
            ("/run/secrets/token", "0:0:644", "from the file\n"),
            ("/run/secrets/deep/inner", "33:44:440", "from the environment"),
            ("/etc/owned", "33:0:400", "from the file\n"),
            ("/inline", "0:0:444", "from the content\n"),
            ("/relative", "0:0:755", "from the content\n"),
            ("/etc/site.conf", "0:0:644", "listen 80\n"),
            ("/etc/variable", "33:44:440", "from the environment"),
            // A secret beats a config, and a volume both.
            ("/both", "0:0:644", "from the file\n"),
            ("/taken", "0:0:644", "listen 80\n"),
        ];
        let pid = world.processes(&world.id("web"))[0];
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        for (path, owner, content) in expected {
            assert_eq!(inside(world, &format!("stat -c %u:%g:%a {path}; cat {path}")), format!("{owner}\n{content}"));
            world.run(&["exec", "-T", "--privileged", "web", "sh", "-c", &format!("echo no > {path}")], "").exits(1);
            let fields = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let mount = mounts.lines().map(fields).find(|fields| fields[4] == path).unwrap();
            assert!(mount[5].split(',').any(|option| option == "ro"), "{mount:?}");
        }

        // The file itself is seen, a copy is not its file.
        world.write("site.conf", "listen 81\n");
        world.write("token.txt", "from elsewhere\n");
        assert_eq!(inside(world, "cat /etc/site.conf /etc/owned"), "listen 81\nfrom the file\n");
        world.write("token.txt", "from the file\n");
        let before = world.id("web");
        world.compose("up -d").ok().says("secrets and configs changed: /etc/site.conf");
        assert_ne!(world.id("web"), before);
        let before = world.id("web");
        world.write("site.conf", "listen 81\n");
        world.compose("up -d").ok();
        assert_eq!(world.id("web"), before);
        world.write(".env", "FROM_ENV=rotated\n");
        world.compose("up -d").ok().says("secrets and configs changed: /etc/variable, /run/secrets/deep/inner");
        assert_eq!(inside(world, "cat /run/secrets/deep/inner"), "rotated");
        world.compose("restart").ok();
        assert_eq!(inside(world, "cat /run/secrets/deep/inner /etc/owned"), "rotatedfrom the file\n");

        world.edit("compose.yaml", "# SECRET", "- wanting");
        for (definition, cause) in [
            ("wanting: {external: true}", "external"),
            ("wanting: {environment: NOT_SET}", "\"NOT_SET\" required by secret \"wanting\" is not set"),
            ("wanting: {file: ./missing}", "missing: No such file"),
        ] {
            world.edit("compose.yaml", "# DEFINED", definition);
            world.compose("up -d").exits(1).says(cause).says("compose.yaml:12:9");
            world.edit("compose.yaml", definition, "# DEFINED");
        }
        world.edit("compose.yaml", "- wanting", "");
        assert_eq!(world.state("web"), "running");
    }
}

fn inside(world: &World, script: &str) -> String {
    world.run(&["exec", "-T", "web", "sh", "-c", script], "").ok().stdout
}
