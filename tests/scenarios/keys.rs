//! Scenarios about what a build is given by name: a key, and the stages that its steps take files from.

use scenarios::{World, scenario};
use std::path::Path;
use std::process::Command;

scenario! {
    /// The file of a key may stand in an ssh agent's place: a step is shown an agent that has it and signs with
    /// it, and neither the image nor another step has anything of it. One that cannot be used is named with the
    /// line that wants it, and with what to do.
    a_key_is_given_to_steps_and_stays_outside, |world| {
        take_along(&world.project().join("tools"), &["/usr/bin/ssh-add", "/usr/bin/ssh-keygen"]);
        world.write("data", "to be signed\n");
        for (kind, shown) in [("ed25519", "(ED25519)"), ("rsa", "(RSA)"), ("ecdsa", "(ECDSA)")] {
            make_key(world, kind, "");
            world.compose("build").ok();
            let listed = world.compose("run --rm -T web cat /listed").ok().stdout;
            assert!(listed.trim_end().ends_with(&format!("a key {shown}")) && listed.lines().count() == 1, "{listed}");
            world.compose("run --rm -T web grep Good /checked").ok();
            let key = std::fs::read_to_string(world.project().join("key")).unwrap();
            let piece = key.lines().nth(3).unwrap();
            world.run(&["run", "--rm", "-T", "web", "grep", "-rqF", piece, "/data", "/data.sig", "/listed", "/tmp"], "").exits(1);
        }
        make_key(world, "ed25519", "passphrase");
        let refused = world.compose("build --no-cache").exits(1).says("type=ssh").says("protected by a passphrase");
        refused.says("ssh-add");
        world.write("key", "no key at all\n");
        world.compose("build --no-cache").exits(1).says("neither the socket of an agent nor a private key");
    }
}

scenario! {
    /// A name that is no image's and is almost that of a stage, or of a named context, is taken for a slip; one of
    /// a stage that comes later is told apart.
    what_was_meant_is_guessed, |world| {
        let slips = [
            ("--from=biulder", "a stage with a similar name exists: `builder`"),
            ("--from=sharde", "a context with a similar name exists: `shared`"),
            ("--from=final", "the stage `final` comes later"),
        ];
        let mut written = slips[0].0;
        for (slip, told) in slips {
            world.edit("compose.yaml", written, slip);
            written = slip;
            world.compose("build").exits(1).says("no such image").says(told).says("compose.yaml:11:");
        }
        world.edit("compose.yaml", written, "--from=shared");
        world.edit("compose.yaml", " /made /", " made /");
        world.compose("build").ok();
    }
}

/// A key at `key`, and its public half beside it.
fn make_key(world: &World, kind: &str, passphrase: &str) {
    let key = world.project().join("key");
    drop(std::fs::remove_file(&key));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", "a key", "-f"]).arg(&key);
    assert!(command.status().expect("the package openssh-client is installed").success());
    // Whoever runs the scenario owns what is in the project.
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(world.project()).unwrap());
    std::os::unix::fs::chown(&key, Some(owner), Some(owner)).unwrap();
}

/// Puts programs of this machine into a folder, with the libraries that they need, where they are here.
fn take_along(folder: &Path, programs: &[&str]) {
    let take = |path: &str| {
        let to = folder.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(path, to).unwrap();
    };
    for program in programs {
        // By its name alone it is found in the image.
        let name = Path::new(program).file_name().unwrap().to_str().unwrap();
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        std::fs::copy(program, folder.join("bin").join(name)).unwrap();
        let listed = Command::new("ldd").arg(program).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        listed.split_ascii_whitespace().filter(|word| word.starts_with('/')).for_each(take);
    }
}
