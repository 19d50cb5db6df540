//! `cargo xtask vm DIR [--part N/M] [NAME…]`: the scenarios in a virtual machine with systemd and cgroup
//! v2, as root and as the machine's own user, who has a session there. At the end it tells of each.
//!
//! DIR is a machine that `make-vm DIR` has made; `COMPOSE_TEST_VM` names the folder of `make-vm` and
//! `run-in-vm`. What runs is built here and shared with the machine, which needs no network.

use crate::tally::{Part, Tally};
use crate::{Failure, cargo, root, shown};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The machine is emulated: whatever is waited for may take this many times as long.
const SLOWNESS: &str = "20";
/// Seconds for everything.
const TIMEOUT: &str = "7200";
/// The user of the machine who has a session.
const USER: &str = "dev";

/// Builds the program and the scenarios, and runs those whose names contain one of the words, or a part
/// of them.
pub(crate) fn run_scenarios(machine: &str, only: &[&str]) -> Result<(), Failure> {
    let tools = std::env::var_os("COMPOSE_TEST_VM").map(PathBuf::from);
    let tools = tools.ok_or("COMPOSE_TEST_VM has to name the folder that holds `run-in-vm`")?;
    let (part, words) = match only {
        ["--part", part, words @ ..] => {
            (Part::parse(part).ok_or_else(|| format!("`{part}` is no part such as 1/4"))?, words)
        }
        words => (Part::WHOLE, words),
    };
    let share = stage()?;
    let asked = part.share(list(&share.join("scenarios"), words)?);
    if asked.is_empty() {
        return Err("no scenario has such a name".to_owned());
    }
    std::fs::write(share.join("asked"), asked.join("\n"))
        .map_err(|error| format!("{}: {error}", share.display()))?;
    let mut command = Command::new(tools.join("run-in-vm"));
    command.arg(machine).args(["--user", "root", "--timeout", TIMEOUT]);
    command.arg("--share").arg(share);
    for (name, value) in [
        ("COMPOSE_TEST_PROGRAM", "/root/tests/compose"),
        ("COMPOSE_TEST_LAUNCHER", "/root/tests/as-user"),
        ("COMPOSE_TEST_CASES", "/root/tests/cases"),
        ("COMPOSE_TEST_CERTIFICATES", "/root/tests/certificates"),
        ("COMPOSE_TEST_USER", USER),
        ("COMPOSE_TEST_SLOWNESS", SLOWNESS),
    ] {
        command.args(["--env", &format!("{name}={value}")]);
    }
    // From the machine's own disk: a program that is mapped from the share is slow. In a folder that
    // the user may look into. What failed is said at once: the machine may not get to the end.
    let copy = "chmod 711 /root && cp -r /share /root/tests && \
                exec /root/tests/scenarios --nocapture --exact $(cat /root/tests/asked)";
    tell(command.args(["--", "sh", "-c", copy]), &asked)
}

/// Runs the machine, passes on what the scenarios say and tells of each at the end, also when the
/// machine did not get so far.
fn tell(command: &mut Command, asked: &[String]) -> Result<(), Failure> {
    let line = shown(command);
    eprintln!("+ {line}");
    let (start, mut tally) = (Instant::now(), Tally::of(asked));
    let cannot = |error: std::io::Error| format!("{line}: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')) {
        let line = line.map_err(cannot)?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    let status = child.wait().map_err(cannot)?;
    println!("{}", tally.summary(start.elapsed()));
    if status.success() && tally.all_passed() { Ok(()) } else { Err(format!("{line}: {status}")) }
}

/// The names of all scenarios that contain one of the words; without words of all.
fn list(program: &Path, words: &[&str]) -> Result<Vec<String>, Failure> {
    let cannot = |error| format!("{}: {error}", program.display());
    let output = Command::new(program).arg("--list").args(words).output().map_err(cannot)?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// A folder with all that the machine needs.
fn stage() -> Result<PathBuf, Failure> {
    cargo(&["build", "--quiet", "--package", "cli"])?;
    cargo(&["build", "--quiet", "--package", "scenarios", "--bins"])?;
    let folder = root().join("target/vm");
    let debug = root().join("target/debug");
    let copy = || -> std::io::Result<()> {
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(debug.join("compose"), folder.join("compose"))?;
        std::fs::copy(debug.join("as-user"), folder.join("as-user"))?;
        copy_folder(&root().join("crates/tls/tests/certificates"), &folder.join("certificates"))?;
        copy_folder(&root().join("tests/cases"), &folder.join("cases"))
    };
    copy().map_err(|error| format!("{}: {error}", folder.display()))?;
    let tests = scenarios()?;
    std::fs::copy(&tests, folder.join("scenarios"))
        .map_err(|error| format!("{}: {error}", tests.display()))?;
    Ok(folder)
}

/// The test program of the scenarios, as cargo names it once it is built.
fn scenarios() -> Result<PathBuf, Failure> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(["test", "--package", "scenarios", "--test", "scenarios", "--no-run"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("cargo test --no-run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let named = said.lines().find_map(|line| line.trim().strip_prefix("Executable "));
    let path = named.and_then(|line| line.split_once('(')?.1.strip_suffix(')'));
    path.map(|path| root().join(path)).ok_or_else(|| format!("the scenarios were not built:\n{said}"))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
