//! `compose build`: with nothing to do, with one changed file, with a large context; and steps that do
//! nothing, beside buildah and podman where they are installed.

use super::{Times, with_program};
use scenarios::{Who, World};
use std::io::{self, ErrorKind};
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
    println!("| build | ours | buildah | podman |");
    println!("|---|---:|---:|---:|");
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
        println!("| {what}, nothing to do | {} | | |", quiet.shown());
        println!("| {what}, one file of a `COPY` changed | {} | | |", changed.shown());
    }
    five(program, runs);
}

fn five(program: &str, runs: usize) {
    let world = World::of(Who::Root, &[("compose.yaml", STACK), ("Dockerfile", FIVE)]);
    build(&world, program, &[]);
    let registries = world.project().join("../registries.conf");
    let peers = ["buildah", "podman"].map(|program| Peer::new(program, &registries));
    let manners = [("a layer for each step", true), ("one layer for all", false)];
    for (what, layers) in manners {
        // The first one pulls, too, and is not counted.
        let first = peers.each_ref().map(|peer| peer.build(&world, layers));
        let (mut ours, mut theirs) = (Times(vec![]), [Times(vec![]), Times(vec![])]);
        for _ in 0..runs {
            ours.0.push(build(&world, program, &["--no-cache"]));
            for ((peer, first), times) in peers.iter().zip(&first).zip(&mut theirs) {
                if let Ok(Some(_)) = first {
                    times.0.extend(peer.build(&world, layers).ok().flatten());
                }
            }
        }
        let shown: Vec<String> = (first.iter().zip(theirs))
            .map(|(first, times)| match first {
                Ok(Some(_)) => times.shown(),
                Ok(None) => "not installed".to_owned(),
                Err(why) => format!("does not run here: {}", why.lines().last().unwrap_or_default()),
            })
            .collect();
        println!(
            "| five `RUN true`, none cached; the others with {what} | {} | {} |",
            ours.shown(),
            shown.join(" | ")
        );
    }
}

fn build(world: &World, program: &str, more: &[&str]) -> f64 {
    let mut command = with_program(world, program);
    timed(command.args(["build", "--quiet"]).args(more)).unwrap()
}

/// Another builder, with a store of its own in memory, as ours is. Its steps are isolated by chroot(2) alone,
/// which is the least that it does, and runs where its usual ways do not.
struct Peer<'a> {
    program: &'static str,
    root: tempfile::TempDir,
    registries: &'a Path,
}

impl<'a> Peer<'a> {
    fn new(program: &'static str, registries: &'a Path) -> Self {
        Self { program, root: tempfile::tempdir_in("/dev/shm").unwrap(), registries }
    }

    /// Milliseconds of the same build, on the image that it has pulled before; `None` where it is not installed.
    ///
    /// # Errors
    /// What it says.
    fn build(&self, world: &World, layers: bool) -> Result<Option<f64>, String> {
        let mut command = Command::new(self.program);
        command
            .arg("--root")
            .arg(self.root.path().join("root"))
            .arg("--runroot")
            .arg(self.root.path().join("run"));
        command.args(["--storage-driver=overlay", "build", "--quiet", "--isolation=chroot", "--no-cache"]);
        command.arg(format!("--layers={layers}"));
        command.args(["--tls-verify=false", "--pull=missing", "-t", "five"]).arg(world.project());
        command.env("CONTAINERS_REGISTRIES_CONF", self.registries);
        match timed(&mut command) {
            Ok(time) => Ok(Some(time)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Milliseconds of a command that goes well.
///
/// # Errors
/// Why it could not be started, or what it said.
fn timed(command: &mut Command) -> io::Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.output()?;
    let elapsed = start.elapsed().as_secs_f64() * 1000.0;
    match output.status.success() {
        true => Ok(elapsed),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// Small files, a hundred in a folder.
fn write_files(folder: &Path, count: usize) {
    for number in 0..count {
        let inner = folder.join((number / 100).to_string());
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join((number % 100).to_string()), format!("file {number}\n")).unwrap();
    }
}
