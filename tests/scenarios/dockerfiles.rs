//! Scenarios about what the instructions of a Dockerfile make.

use super::process::Cards;
use scenarios::{World, scenario};
use serde_json::Value;
use std::os::unix::net::UnixListener;

/// The number of the capability to administrate the system, capabilities(7).
const CAP_SYS_ADMIN: u32 = 21;

scenario! {
    /// Every instruction of a Dockerfile does what is documented for it: what a base image put off is done
    /// once, in the stage that starts from it, with what that stage has; files come with the owners, modes
    /// and parents that are asked for, and without those that are excluded; words are expanded with what is
    /// known at their place; a step has no more rights than the build was given.
    every_instruction_does_what_it_says, |world| {
        let agent = UnixListener::bind(world.project().join("agent")).unwrap();
        world.compose("build base").ok();
        world.compose("build").ok();
        world.compose("up -d --no-build").ok();
        what_is_put_off(world);
        what_is_copied(world);
        what_is_configured(world);
        what_is_allowed(world);
        drop(agent);
        world.compose("build rights").ok().says("CACHED");

        world.edit("compose.yaml", "[security.insecure, network.host] # ENTITLED", "[network.host] # ENTITLED");
        world.compose("build rights").exits(1).says("rights.Dockerfile:5").says("security.insecure");
        world.edit("compose.yaml", "[network.host] # ENTITLED", "[security.insecure] # ENTITLED");
        world.compose("build rights").exits(1).says("rights.Dockerfile:6").says("network.host");
        // Instructions that could not do what they say are refused, not passed over.
        let refused = |from: &str, to: &str, line: &str, why: &str| {
            world.edit("words.Dockerfile", from, to);
            world.compose("build words").exits(1).says(&format!("words.Dockerfile:{line}")).says(why);
        };
        refused("MAINTAINER somebody", "ADD --checksum=sha256:0 base.Dockerfile /x", "22", "a web server");
        refused("STOPSIGNAL SIGINT", "STOPSIGNAL SIGNONE", "13", "`SIGNONE` is no signal");
        refused("53/udp", "53/upd", "11", "`53/upd` is no port");
        world.edit("child.Dockerfile", "/word\n", "/other\n");
        world.compose("build child").exits(1).says("child.Dockerfile:4").says("an `ONBUILD` of this image");
    }
}

fn inside(world: &World, service: &str, script: &str) -> String {
    world.run(&["exec", "-T", service, "sh", "-c", script], "").ok().stdout
}

fn configuration(world: &World, image: &str) -> Value {
    let output = world.run(&["image", "inspect", image], "").ok().stdout;
    serde_json::from_str::<Value>(&output).unwrap()[0]["Config"].clone()
}

fn what_is_put_off(world: &World) {
    let made = "cat /onbuild/word /onbuild/text /tmp/onbuild; stat -c %U:%G /onbuild/word";
    assert_eq!(inside(world, "child", made), "word\nof base and \nweb base\nweb:extra\n");
    assert_eq!(inside(world, "base", "ls /onbuild 2>&1 | wc -l; ls /tmp"), "1\n");
    let base = configuration(world, "example.com/base");
    assert_eq!(base["OnBuild"].as_array().map(Vec::len), Some(3), "{base:#}");
    let child = configuration(world, "project-child");
    assert!(child["OnBuild"].as_array().is_none_or(Vec::is_empty), "{child:#}");
    // The rest of the base's configuration is the child's, too.
    for key in ["User", "StopSignal", "Healthcheck", "Env", "Shell"] {
        assert_eq!(child[key], base[key], "{key}");
    }
    assert_eq!(child["Cmd"], serde_json::json!(["/bin/sh", "-c", "--", "echo in the shell"]));
}

fn what_is_copied(world: &World) {
    let listed = |path: &str| {
        let script = format!("cd {path} && find . -mindepth 1 | sort | xargs stat -c '%n %u:%g:%a'");
        inside(world, "copies", &script)
    };
    // Links at the destination are followed, but not by a layer that knows of none below it.
    assert_eq!(inside(world, "copies", "test -L /place; echo $?; ls /elsewhere"), "1\nfollowed\n");
    let tree = "./a 5:6:2750\n./a/one 5:6:644\n./link 5:6:777\n";
    assert_eq!((listed("/place/linked").as_str(), listed("/other/followed").as_str()), (tree, tree));
    assert_eq!(
        listed("/named"),
        "./a 33:44:755\n./a/note.md 33:44:644\n./a/one.txt 33:44:644\n./a/two.txt 33:44:644\n./b 33:44:755\n\
         ./b/one.txt 33:44:644\n./note.md 33:44:644\n./tool 33:44:644\n"
    );
    assert_eq!(inside(world, "copies", "stat -c %u:%g:%a /numbered /tool"), "7:8:600\n0:0:755\n");
    let names = |path: &str| inside(world, "copies", &format!("cd {path} && find . -type f | sort | xargs"));
    assert_eq!(names("/parents"), "./b/one.txt ./tree/a/one.txt ./tree/a/two.txt\n");
    assert_eq!(listed("/above"), "./tree 5:6:755\n./tree/a 5:6:2750\n./tree/a/one 5:6:644\n");
    assert_eq!(names("/excluded"), "./a/note.md ./a/one.txt ./a/two.txt ./tool\n");
    assert_eq!(names("/globbed"), "./one.txt ./two.txt\n");
    assert_eq!(
        inside(world, "copies", "cd /heredocs && head -n 9 *"),
        "==> ONE <==\nexpanded\n\n==> TWO <==\n$WORD\n"
    );
    assert_eq!(inside(world, "copies", "script; cat /both"), "a script of expanded\nexpanded\nsecond\n");
}

fn what_is_configured(world: &World) {
    let seen = "given own none linux http://proxy.example.com\nenv given there\n/place/env/below 1000:44\n";
    assert_eq!(inside(world, "words", "cat /seen /tmp/place"), seen);
    let config = configuration(world, "project-words");
    assert_eq!(config["User"], "1000:44");
    assert_eq!(config["WorkingDir"], "/place/env/below");
    assert_eq!(config["StopSignal"], "SIGINT");
    assert_eq!(config["Labels"]["greeting"], "given");
    assert_eq!(config["ExposedPorts"], serde_json::json!({"53/udp": {}, "80/tcp": {}}));
    assert_eq!(config["Volumes"], serde_json::json!({"/one": {}, "/two": {}}));
    assert_eq!(config["Entrypoint"], serde_json::json!(["/bin/sh", "-ec", "exec echo"]));
    assert_eq!(config["Cmd"], serde_json::json!(["$OWN"]));
    let check = &config["Healthcheck"];
    assert_eq!((&check["Interval"], &check["Retries"]), (&3_000_000_000_u64.into(), &4.into()), "{check:#}");
    let environment = config["Env"].to_string();
    assert!(environment.contains("OWN=env") && environment.contains("NAMED=given there"), "{environment}");
    // What was only an argument is in no image; its value is told where it mattered.
    assert!(!environment.contains("GREETING") && !environment.contains("PROXY"), "{environment}");
    let history = world.compose("image history --no-trunc project-words").ok().stdout;
    assert!(history.contains("RUN |3 GREETING=given OWN=own TARGETOS=linux echo"), "{history}");
    assert!(!history.contains("proxy.example.com"), "{history}");
}

fn what_is_allowed(world: &World) {
    let agents = "socket 0:0:600\nsocket 7:8:666\n/run/buildkit/ssh_agent.0\n";
    assert_eq!(inside(world, "rights", "cat /agents"), agents);
    assert_eq!(inside(world, "rights", "ls -d /run/buildkit /other 2>&1 | grep -c 'No such'"), "2\n");
    assert_eq!(inside(world, "rights", "cat /none"), "lo\n");
    let may_mount = |file: &str| {
        let line = inside(world, "rights", &format!("cat {file}"));
        let held = line.trim().rsplit('\t').next().unwrap();
        u64::from_str_radix(held, 16).unwrap() >> CAP_SYS_ADMIN & 1 == 1
    };
    assert!(!may_mount("/usual") && may_mount("/insecure"));
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let host = inside(world, "rights", "cat /host");
    assert_eq!(host.lines().next(), own.to_str(), "{host}");
}

scenario! {
    /// Forms that are seldom written do what BuildKit does: several folders become one, several files go into a
    /// folder that is there whatever its name ends in, and are refused as one file; a pattern may match
    /// nothing; `WORKDIR` makes what is missing for the user of the stage; of a port's two numbers the
    /// container's counts. The root of a step waits for no disk.
    seldom_forms_of_instructions_are_taken, |world| {
        world.compose("build").ok();
        world.compose("up -d").ok();
        let shown = |script: &str| inside(world, "forms", script);
        assert_eq!(shown("ls /merged /there"), "/merged:\nfirst\nsecond\n\n/there:\na.conf\nb.conf\n");
        assert_eq!(shown("ls /compressed; gunzip -c /compressed/text.gz"), "text.gz\nno archive\n");
        assert_eq!(shown("ls /matched /nothing"), "/matched:\nfirst\n\n/nothing:\n");
        let owners = "0:0\n1000:44\n1000:44\n1000:44\n0:0\n";
        assert_eq!(shown("stat -c %u:%g /home /home/of /home/of/user /home/of/user/made /there"), owners);
        let root = shown("cat /home/of/user/mounted");
        assert!(root.contains("volatile"), "{root}");
        let ports = serde_json::json!({"90/tcp": {}, "8000/udp": {}, "8001/udp": {}, "8002/udp": {}});
        assert_eq!(configuration(world, "project-forms")["ExposedPorts"], ports);

        let refused = |from: &str, to: &str, line: u32, why: &str| {
            world.edit("forms.Dockerfile", from, to);
            world.compose("build").exits(1).says(&format!("forms.Dockerfile:{line}")).says(why);
            world.edit("forms.Dockerfile", to, from);
        };
        refused("*.conf /there", "*.conf /elsewhere", 5, "several things cannot be one file");
        refused("one/first none*", "one/first none", 6, "`none` is not there");
        refused("8000-8002", "8002-8000", 9, "`8002-8000/udp` is no port");
        refused("USER 1000:44", "USER nobody-here", 12, "nobody-here");
    }
}

scenario! {
    /// A build tells what its checks find, once the images are there that say which variables exist; nothing
    /// where none is wanted. Where the Dockerfile or a build argument wants findings to be errors, nothing is done.
    a_build_tells_what_its_checks_find, |world| {
        let silent = |output: &scenarios::Output, text: &str| {
            assert!(!output.stderr.contains(text), "{}", output.stderr);
        };
        let found = ["Dockerfile:3:11: `PAHT` is not set here (UndefinedVar)", "Dockerfile:7:1: "];
        let told = world.compose("build").ok().says(found[0]).says(found[1]);
        silent(&told, "StageNameCasing");
        let (steps, _) = told.stderr.split_once("Built").unwrap();
        assert!(!steps.contains("PAHT"), "{steps}");
        // What a heredoc does is told with the step, and kept in the image's history.
        told.says("RUN <<END (echo of a heredoc)");
        world.compose("image history --no-trunc project-web").ok().says("echo of a heredoc");
        silent(&world.compose("build --quiet").ok(), "PAHT");
        world.compose("--progress json build").ok().says("\"warning\":true").says("UndefinedVar");

        let argument = |value: &str| {
            world.compose(&format!("build --no-cache --build-arg BUILDKIT_DOCKERFILE_CHECK={value}"))
        };
        silent(&argument("skip=all").ok(), "PAHT");
        silent(&argument("error=true").exits(1).says("Dockerfile:7:1").says("StageNameCasing"), "#1 ");
        argument("eror=true").exits(1).says("BUILDKIT_DOCKERFILE_CHECK: `eror=true` is no option");
        world.edit("Dockerfile", "StageNameCasing", "StageNameCasing;error=true");
        silent(&world.compose("build --no-cache").exits(1).says("Dockerfile:7:1"), "#1 ");
    }
}

scenario! {
    /// A step has the devices that it asks for by their CDI names, one or all of a class, where the build may
    /// have any; one that is not there is missed only where it is needed. A build argument names its host.
    a_step_has_the_devices_it_asks_for, |world| {
        let _cards = Cards::new(world);
        world.compose("build").ok();
        world.compose("up -d").ok();
        let made = "zero all\n/dev/card0\n/dev/card1\n/dev/card2\nno cards, workshop\n";
        assert_eq!(inside(world, "web", "cat /one /all /none"), made);

        world.edit("Dockerfile", "$KIND=none", "$KIND=none,required");
        world.compose("build").exits(1).says("Dockerfile:5:1").says("describes the device");
        world.edit("Dockerfile", "$KIND=none,required", "$KIND=none,needed");
        world.compose("build").exits(1).says("Dockerfile:5").says("`needed` is no option of `--device`");
        world.edit("Dockerfile", ",needed", "");
        world.edit("compose.yaml", "[device] # ENTITLED", "[]");
        world.compose("build").exits(1).says("Dockerfile:3:1").says("needs the entitlement `device`");
    }
}
