//! `compose watch`: from a saved file to the container, many files at once, a new image or a restart, and what it
//! costs to watch.

use super::{Times, with_program};
use scenarios::{Who, World, until};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const STACK: &str = "services:
  web:
    image: busybox
    init: true
    command: sleep 10000
    develop:
      watch: [{action: sync, path: ./src, target: /app, ignore: [ignored/]}]
";

/// An interpreted application: what it needs is in the image, its settings are sent.
const INTERPRETED: &str = "services:
  web:
    build: .
    init: true
    command: sleep 10000
    develop:
      watch:
        - {action: rebuild, path: ./requirements}
        - {action: sync+restart, path: ./conf, target: /conf}
";
const DOCKERFILE: &str = "FROM busybox\nWORKDIR /app\nCOPY requirements .\nCOPY app app\n";

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
    down(&world, program);
    new_containers(program, runs);
}

/// From a saved file to a container that runs with it, by a new image and by a restart, beside the same work as
/// one command.
fn new_containers(program: &str, runs: usize) {
    let files =
        [("compose.yaml", INTERPRETED), ("Dockerfile", DOCKERFILE), ("requirements", ""), ("app", "")];
    let world = World::of(Who::Root, &files);
    std::fs::create_dir(world.project().join("conf")).unwrap();
    let save = |path: &str, round: usize| {
        std::fs::write(world.project().join(path), format!("round {round}")).unwrap();
    };
    let mut times: [Times; 4] = [const { Times(vec![]) }; 4];
    let timed = |words: &[&str]| {
        let mut command = with_program(&world, program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        assert!(command.status().unwrap().success(), "{words:?}");
        milliseconds(start)
    };
    let watching = Watching::begin(&world, program);
    for round in 0..runs {
        for (place, path, done) in [(0, "requirements", "successfully built"), (1, "conf/app", "restarted")] {
            let start = Instant::now();
            save(path, round);
            watching.says(done);
            times[place].0.push(milliseconds(start));
        }
    }
    drop(watching);
    for round in runs..2 * runs {
        save("requirements", round);
        times[2].0.push(timed(&["up", "-d", "--build"]));
        times[3].0.push(timed(&["restart", "web"]));
    }
    let [rebuilt, restarted, built, again] = &times;
    println!("| watch, 10 ms of quiet included | the same as one command | ours |");
    println!("|---|---:|---:|");
    println!("| a changed `COPY`: image and container anew | {} | {} |", built.shown(), rebuilt.shown());
    println!("| `sync+restart` | {} | {} |\n", again.shown(), restarted.shown());
    down(&world, program);
}

fn down(world: &World, program: &str) {
    assert!(with_program(world, program).args(["down", "-t", "0"]).status().unwrap().success());
}

/// A `watch` in the background, and what it says; ended when dropped.
struct Watching(Child, mpsc::Receiver<String>);

impl Watching {
    fn begin(world: &World, program: &str) -> Self {
        let mut command: Command = with_program(world, program);
        command.arg("watch").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("Watch enabled")), "it does not watch");
        let (send, said) = mpsc::channel();
        // Nobody may be listening any more.
        std::thread::spawn(move || lines.for_each(|line| drop(send.send(line))));
        Self(child, said)
    }

    /// Waits for a line with this text.
    fn says(&self, text: &str) {
        let end = Duration::from_secs(30);
        while !self.1.recv_timeout(end).unwrap().contains(text) {}
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
