//! `compose build`: with nothing to do, with one changed file, with a large context; and steps that do
//! nothing, beside buildah where it is installed.

use super::{Times, with_program};
use scenarios::{Who, World};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const STACK: &str = "services: {web: {build: .}}\n";

/// Twelve steps, the last of which take files of the context.
const TWELVE: &str = "FROM busybox
WORKDIR /app
RUN echo 1 > /1
RUN echo 2 > /2
RUN echo 3 > /3
RUN echo 4 > /4
RUN echo 5 > /5
COPY lib lib
RUN echo 6 > /6
RUN echo 7 > /7
COPY src src
COPY Dockerfile .
";

/// Five steps that only begin and end.
const FIVE: &str = "FROM busybox\nRUN true 1\nRUN true 2\nRUN true 3\nRUN true 4\nRUN true 5\n";

/// Measures and prints.
pub(crate) fn run(program: &str, runs: usize) {
    println!("| build | ours | buildah |");
    println!("|---|---:|---:|");
    for (files, what) in [(1000, "of 12 steps"), (20_000, "of 12 steps, 20 000 files")] {
        let world = World::of(Who::Root, &[("compose.yaml", STACK), ("Dockerfile", TWELVE)]);
        write_files(&world.project().join("lib"), files / 2);
        write_files(&world.project().join("src"), files / 2);
        build(&world, program, &[]);
        // What was written a moment ago is not trusted to stay: once more, and it is known.
        build(&world, program, &[]);
        let (mut quiet, mut changed) = (Times(vec![]), Times(vec![]));
        for round in 0..runs {
            quiet.0.push(build(&world, program, &[]));
            std::fs::write(world.project().join("src/0/0"), format!("changed {round}")).unwrap();
            changed.0.push(build(&world, program, &[]));
        }
        println!("| {what}, nothing to do | {} | |", quiet.shown());
        println!("| {what}, one file of a `COPY` changed | {} | |", changed.shown());
    }
    five(program, runs);
}

fn five(program: &str, runs: usize) {
    let world = World::of(Who::Root, &[("compose.yaml", STACK), ("Dockerfile", FIVE)]);
    build(&world, program, &[]);
    let has_buildah = Command::new("buildah").arg("--version").stdout(Stdio::null()).status().is_ok();
    let root = tempfile::tempdir_in("/dev/shm").unwrap();
    if has_buildah {
        buildah(&world, root.path());
    }
    let (mut ours, mut theirs) = (Times(vec![]), Times(vec![]));
    for _ in 0..runs {
        ours.0.push(build(&world, program, &["--no-cache"]));
        if has_buildah {
            theirs.0.push(buildah(&world, root.path()));
        }
    }
    let theirs = if has_buildah { theirs.shown() } else { "not installed".to_owned() };
    println!("| five `RUN true`, none cached | {} | {theirs} |", ours.shown());
}

fn build(world: &World, program: &str, more: &[&str]) -> f64 {
    let mut command = with_program(world, program);
    timed(command.args(["build", "--quiet"]).args(more))
}

/// The same with buildah, on the image that it has pulled before, layers as ours.
fn buildah(world: &World, root: &Path) -> f64 {
    let registries = world.project().join("../registries.conf");
    let mut command = Command::new("buildah");
    command.arg("--root").arg(root.join("root")).arg("--runroot").arg(root.join("run"));
    command.args(["--storage-driver=vfs", "bud", "--quiet", "--isolation=chroot", "--layers", "--no-cache"]);
    command.args(["--tls-verify=false", "--pull=missing", "-t", "five"]).arg(world.project());
    timed(command.env("CONTAINERS_REGISTRIES_CONF", registries))
}

/// Milliseconds of a command that goes well.
fn timed(command: &mut Command) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.output().unwrap();
    let elapsed = start.elapsed().as_secs_f64() * 1000.0;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    elapsed
}

/// Small files, a hundred in a folder.
fn write_files(folder: &Path, count: usize) {
    for number in 0..count {
        let inner = folder.join((number / 100).to_string());
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join((number % 100).to_string()), format!("file {number}\n")).unwrap();
    }
}
