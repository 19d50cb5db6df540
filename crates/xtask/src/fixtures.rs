//! Complete stacks with real images, made and served by a folder outside the repository.
//!
//! The folder holds `make-images DIR`, `serve-registry DIR --daemon`, `stop-registry DIR` and
//! `stacks/NAME/check COMMAND…`. The images are kept in the user's cache between runs.

use crate::ordinary::{self, Ordinary};
use crate::test::Who;
use crate::{Failure, packages, registries, root, run};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The stacks, each with its check.
const STACKS: [&str; 7] =
    ["redis", "nginx-static", "postgres-python", "services", "unpack", "flask-redis-build", "wordpress"];

/// Makes the images, serves them, and runs every stack's check with the release program, as root and as
/// an ordinary user or as one of them.
pub(crate) fn check_stacks(folder: &Path, only: Option<Who>) -> Result<(), Failure> {
    packages::require(&[
        packages::CURL,
        packages::REGISTRY,
        packages::MMDEBSTRAP,
        packages::ZSTD,
        packages::OPENSSL,
        packages::UIDMAP,
        packages::PASST,
    ])?;
    every_stack_is_listed(folder)?;
    let images = cache();
    run(Command::new(folder.join("make-images")).arg(&images))?;
    run(Command::new(folder.join("serve-registry")).arg(&images).args([PORT, "--daemon"]))?;
    let wanted = [Who::Root, Who::User].into_iter().filter(|who| only.is_none_or(|only| only == *who));
    let outcome = wanted.map(|who| check_all(folder, &images, who)).find(Result::is_err).unwrap_or(Ok(()));
    let stopped = run(Command::new(folder.join("stop-registry")).arg(&images).arg(PORT));
    outcome.and(stopped)
}

/// Not the port a person's own registry would be on.
const PORT: &str = "5557";

fn check_all(fixtures: &Path, images: &Path, who: Who) -> Result<(), Failure> {
    let place = match who {
        Who::Root => {
            let (folder, stacks) = (root().join("target/stacks"), fixtures.join("stacks"));
            Place { command: vec![], user: None, folder, stacks, programs: programs()? }
        }
        Who::User => ordinary(fixtures)?,
    };
    let mirror = format!(
        "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:{PORT}\"\ninsecure = true\n"
    );
    place.write("registries.conf", mirror.as_bytes())?;
    STACKS.iter().try_for_each(|stack| check(stack, &place))?;
    check_example(&place)?;
    registries::check(fixtures, images, &place)
}

/// Builds the images of `examples/build`, and again, when nothing is left to do; then the page is there and the
/// program runs.
fn check_example(place: &Place) -> Result<(), Failure> {
    let folder = place.folder.join("build");
    let run = |arguments: &[&str]| {
        let mut words = place.command.clone();
        words.push(place.programs[1].clone());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments).current_dir(&folder).env("SITE_PORT", SITE_PORT);
        place.surround(&mut command);
        let output = command.output().map_err(|error| format!("{arguments:?}: {error}"))?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        match output.status.success() {
            true => Ok(said),
            false => Err(format!("examples/build: {arguments:?} failed:\n{said}")),
        }
    };
    let holds = |what: &str, holds: bool, said: &str| match holds {
        true => {
            eprintln!("ok   examples/build: {what}");
            Ok(())
        }
        false => Err(format!("examples/build: {what} does not hold:\n{said}")),
    };
    drop(std::fs::remove_dir_all(&folder));
    crate::run(Command::new("cp").arg("-r").arg(root().join("examples/build")).arg(&folder))?;
    if !place.command.is_empty() {
        crate::run(Command::new("chmod").arg("-R").arg("a+rX").arg(&folder))?;
    }
    let checked = || {
        run(&["--profile", "tools", "build"])?;
        let again = run(&["--progress", "plain", "--profile", "tools", "build"])?;
        let steps = again.lines().filter(|line| line.starts_with('#') && line.contains(" DONE "));
        // Only the bases are looked up again.
        holds("a second build does nothing", steps.count() == 2, &again)?;
        let said = run(&["run", "--rm", "-T", "tool", "there"])?;
        holds("the program runs", said.contains("hello there\n"), &said)?;
        run(&["up", "-d", "--wait"])?;
        let address = format!("http://127.0.0.1:{SITE_PORT}/");
        let page = Command::new("curl").args(["--noproxy", "*", "-fsS", &address]).output();
        let page = page.map_err(|error| format!("curl: {error}"))?;
        let text = String::from_utf8_lossy(&page.stdout);
        holds("the page is there", text.starts_with("PHP 8, started "), &text)
    };
    let outcome = checked();
    outcome.and(run(&["--profile", "tools", "down"]).map(drop))
}

/// Where the example's page is.
const SITE_PORT: &str = "18091";

/// Who runs the checks, and where.
pub(crate) struct Place {
    /// What comes before every command: nothing, or the launcher and the user.
    pub(crate) command: Vec<PathBuf>,
    /// The ordinary user's name.
    pub(crate) user: Option<String>,
    /// For the engine and everything else.
    pub(crate) folder: PathBuf,
    /// The checks; they write beside themselves.
    stacks: PathBuf,
    /// This program and `compose`.
    pub(crate) programs: [PathBuf; 2],
}

impl Place {
    /// Has a command work here and nowhere else.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .env("CONTAINERS_REGISTRIES_CONF", self.folder.join("registries.conf"))
            .env("COMPOSE_ENGINE_ROOT", self.folder.join("engine"));
        if !self.command.is_empty() {
            command
                .env("HOME", &self.folder)
                .env("XDG_RUNTIME_DIR", &self.folder)
                .env_remove("XDG_DATA_HOME");
        }
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let write = || std::fs::create_dir_all(&self.folder).and_then(|()| std::fs::write(&path, content));
        write().map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// The ordinary user of the scenarios, with a fresh folder that is a home and a session at once and
/// has a copy of the stacks.
fn ordinary(fixtures: &Path) -> Result<Place, Failure> {
    let Ordinary { launcher, name: user } = ordinary::find()?;
    let folder = Path::new("/var/tmp").join(&user);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let stacks = folder.join("stacks");
    run(Command::new("cp").arg("-r").arg(fixtures.join("stacks")).arg(&stacks))?;
    run(Command::new("chmod").args(["-R", "u+w,go-w"]).arg(&stacks))?;
    // The checkout may be where the user may not look.
    let mut programs = programs()?;
    for program in &mut programs {
        run(Command::new("cp").arg(&*program).arg(&folder))?;
        *program = folder.join(program.file_name().unwrap_or_default());
    }
    run(Command::new("chown").args(["-R", &user]).arg(&folder))?;
    run(Command::new("chmod").arg("0700").arg(&folder))?;
    let command = vec![launcher, PathBuf::from(&user)];
    Ok(Place { command, user: Some(user), folder, stacks, programs })
}

/// This program and `compose`, where cargo built them.
fn programs() -> Result<[PathBuf; 2], Failure> {
    let this = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    Ok([this, root().join("target/release/compose")])
}

fn check(stack: &str, place: &Place) -> Result<(), Failure> {
    let mut words = place.command.clone();
    words.push(place.stacks.join(stack).join("check"));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(&place.programs[0]).arg("through").arg(&place.programs[1]);
    place.surround(&mut command);
    run(&mut command)
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
        if !STACKS.contains(&name.as_str()) {
            return Err(format!("nobody runs the stack `{name}`"));
        }
    }
    Ok(())
}

fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache");
    base.unwrap_or_else(home).join("compose-test-images")
}
