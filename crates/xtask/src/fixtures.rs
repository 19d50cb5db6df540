//! Complete stacks with real images, made and served by a folder outside the repository.
//!
//! The folder holds `make-images DIR`, `serve-registry DIR --daemon`, `stop-registry DIR` and
//! `stacks/NAME/check COMMAND…`. The images are kept in the user's cache between runs.

use crate::{Failure, packages, root, run};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The stacks that need nothing this program cannot do yet.
const STACKS: [&str; 6] = ["redis", "nginx-static", "postgres-python", "services", "unpack", "wordpress"];

/// Why a stack is not among [`STACKS`].
const LEFT_OUT: [(&str, &str); 1] = [("flask-redis-build", "building images is not supported yet")];

/// Makes the images, serves them, and runs every stack's check with the release program.
pub(crate) fn check_stacks(folder: &Path) -> Result<(), Failure> {
    packages::require(&[
        packages::CURL,
        packages::REGISTRY,
        packages::MMDEBSTRAP,
        packages::ZSTD,
        packages::OPENSSL,
    ])?;
    every_stack_is_listed(folder)?;
    let images = cache();
    run(Command::new(folder.join("make-images")).arg(&images))?;
    run(Command::new(folder.join("serve-registry")).arg(&images).args([PORT, "--daemon"]))?;
    let outcome = STACKS.iter().try_for_each(|stack| check(folder, stack));
    let stopped = run(Command::new(folder.join("stop-registry")).arg(&images).arg(PORT));
    outcome.and(stopped)
}

/// Not the port a person's own registry would be on.
const PORT: &str = "5557";

fn check(folder: &Path, stack: &str) -> Result<(), Failure> {
    let scratch = root().join("target/stacks");
    std::fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let mirror = scratch.join("registries.conf");
    let text = format!(
        "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:{PORT}\"\ninsecure = true\n"
    );
    std::fs::write(&mirror, text).map_err(|error| format!("{}: {error}", mirror.display()))?;
    let this = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    run(Command::new(folder.join("stacks").join(stack).join("check"))
        .arg(this)
        .arg("through")
        .arg(root().join("target/release/compose"))
        .env("CONTAINERS_REGISTRIES_CONF", &mirror)
        .env("COMPOSE_ENGINE_ROOT", scratch.join("engine")))
}

/// Runs `compose` for a check and ends as it ends, but for one command: the check of `unpack` runs an
/// image that has nothing for this machine's processor, looks at the output, and does not expect the
/// failure that it must be. Here the refusal is what is asked for; anything else fails.
pub(crate) fn through(program: &str, arguments: &[&str]) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let mut command = Command::new(program);
    command.args(arguments);
    let foreign = arguments.contains(&"run") && arguments.last() == Some(&"arm64only");
    if !foreign || std::env::consts::ARCH == "aarch64" {
        return Err(failed(command.exec()));
    }
    let output = command.output().map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stderr);
    eprint!("{said}");
    let refused = output.status.code() == Some(1) && said.contains("linux/arm64") && output.stdout.is_empty();
    Ok(if refused { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A stack added to the folder must be run here or left out with a reason.
fn every_stack_is_listed(folder: &Path) -> Result<(), Failure> {
    let stacks = folder.join("stacks");
    let entries = std::fs::read_dir(&stacks).map_err(|error| format!("{}: {error}", stacks.display()))?;
    for entry in entries.flatten().filter(|entry| entry.path().join("check").exists()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some((_, why)) = LEFT_OUT.iter().find(|(left_out, _)| *left_out == name) {
            eprintln!("left out: {name}: {why}");
        } else if !STACKS.contains(&name.as_str()) {
            return Err(format!("the stack `{name}` is neither run nor left out with a reason"));
        }
    }
    Ok(())
}

fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache");
    base.unwrap_or_else(home).join("compose-test-images")
}
