//! `compose watch`: from a saved file to the container, many files at once, and what it costs to watch.

use super::{Times, with_program};
use scenarios::{Who, World, until};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const STACK: &str = "services:
  web:
    image: busybox
    init: true
    command: sleep 10000
    develop:
      watch: [{action: sync, path: ./src, target: /app, ignore: [ignored/]}]
";

/// How many files come at once, and how many are there in all.
const MANY: usize = 1000;
const ALL: usize = 100_000;

/// Measures and prints.
pub(crate) fn run(program: &str, runs: usize) {
    let world = World::of(Who::Root, &[("compose.yaml", STACK)]);
    let src = world.project().join("src");
    std::fs::create_dir(&src).unwrap();
    let watching = Watching::begin(&world, program);
    let inside = inside(&world);
    std::fs::write(src.join("first"), "").unwrap();
    spin(|| inside.join("first").exists());

    let (mut one, mut many, mut plain) = (Times(vec![]), Times(vec![]), Times(vec![]));
    for round in 0..runs {
        let text = format!("round {round}");
        let start = Instant::now();
        std::fs::write(src.join("one"), &text).unwrap();
        spin(|| std::fs::read_to_string(inside.join("one")).is_ok_and(|found| found == text));
        one.0.push(milliseconds(start));

        let batch = world.project().join("batch");
        write_files(&batch, MANY, 10);
        let copy = world.project().join("copy");
        let start = Instant::now();
        copy_files(&batch, &copy);
        plain.0.push(milliseconds(start));
        let name = format!("batch{round}");
        let start = Instant::now();
        std::fs::rename(&batch, src.join(&name)).unwrap();
        spin(|| count(&inside.join(&name)) == MANY);
        many.0.push(milliseconds(start));
        for folder in [copy, src.join(&name)] {
            std::fs::remove_dir_all(folder).unwrap();
        }
        spin(|| !inside.join(&name).exists());
    }
    drop(watching);
    println!("| watch | plain copy | ours |");
    println!("|---|---:|---:|");
    println!("| one saved file, 10 ms of quiet included | | {} |", one.shown());
    println!("| {MANY} files at once, 10 ms of quiet included | {} | {} |", plain.shown(), many.shown());

    write_files(&src.join("all"), ALL, 1000);
    write_files(&src.join("ignored"), MANY, 1);
    let watching = Watching::begin(&world, program);
    let before = watching.processor_ticks();
    // Time has to pass for it to be idle in; nothing is waited for.
    std::thread::sleep(Duration::from_secs(5));
    println!(
        "\nidle watch of {ALL} files: {} ticks of processor in 5 s, {} kB\n",
        watching.processor_ticks() - before,
        watching.proportional_size()
    );
    drop(watching);
    assert!(with_program(&world, program).args(["down", "-t", "0"]).status().unwrap().success());
}

/// A `watch` in the background; ended when dropped.
struct Watching(Child);

impl Watching {
    fn begin(world: &World, program: &str) -> Self {
        let mut command: Command = with_program(world, program);
        command.arg("watch").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("Watch enabled")), "it does not watch");
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    /// Hundredths of a second.
    fn processor_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// PSS in kB.
    fn proportional_size(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(Command::new("/bin/kill").args(["-INT", &self.0.id().to_string()]).status());
        drop(self.0.wait());
    }
}

/// The folder that the files go to, as the host sees it.
fn inside(world: &World) -> PathBuf {
    let pid = until("a process", || world.processes(&world.id("web")).first().copied());
    PathBuf::from(format!("/proc/{pid}/root/app"))
}

/// Looks again and again: a sleep would be measured.
fn spin(is_there: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(Instant::now() < end, "not within 30 s");
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn write_files(folder: &Path, files: usize, folders: usize) {
    for number in 0..files {
        let sub = folder.join(format!("sub{}", number % folders));
        if number < folders {
            std::fs::create_dir_all(&sub).unwrap();
        }
        std::fs::write(sub.join(format!("file{number}")), format!("number {number}")).unwrap();
    }
}

fn copy_files(from: &Path, to: &Path) {
    for sub in std::fs::read_dir(from).unwrap() {
        let sub = sub.unwrap();
        let folder = to.join(sub.file_name());
        std::fs::create_dir_all(&folder).unwrap();
        for file in std::fs::read_dir(sub.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    }
}

/// Files in the folders of a folder; those on their way have names of their own.
fn count(folder: &Path) -> usize {
    let Ok(folders) = std::fs::read_dir(folder) else { return 0 };
    let files = folders.flatten().filter_map(|sub| std::fs::read_dir(sub.path()).ok());
    files.flatten().flatten().filter(|file| file.file_name().to_string_lossy().starts_with("file")).count()
}
