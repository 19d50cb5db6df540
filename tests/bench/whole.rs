//! `cargo xtask bench`: whole commands against the bare kernel work for the same containers, both
//! measured in this run. Prints medians and ratios; asserts nothing about time.
//!
//! The options: `--runs N` (default 11), and names of parts: `up`, `quiet`, `user`, `memory`, `pull`,
//! `config`, `watch`, `build`, `logs`, `net`.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

mod build;
mod config;
mod traffic;
mod watch;

use scenarios::{Who, World, until};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mut runs = 11;
    let mut parts = vec![];
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--runs" => runs = words.next().unwrap().parse().unwrap(),
            part => parts.push(part.to_owned()),
        }
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|name| name == part);
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/compose");
    let bench = Bench { program: release.to_str().unwrap().to_owned(), runs };
    println!("medians of {runs} runs (best in parentheses), milliseconds; whole processes\n");
    if wanted("up") {
        bench.up_and_down();
    }
    if wanted("quiet") {
        bench.quiet_commands();
    }
    if wanted("user") {
        bench.user();
    }
    if wanted("memory") {
        bench.memory();
    }
    if wanted("pull") {
        bench.pull();
    }
    if wanted("config") {
        config::run(&bench.program, runs);
    }
    if wanted("watch") {
        watch::run(&bench.program, runs);
    }
    if wanted("build") {
        build::run(&bench.program, runs);
    }
    if wanted("logs") {
        traffic::logs(&bench);
    }
    if wanted("net") {
        traffic::net(&bench);
    }
}

struct Bench {
    program: String,
    runs: usize,
}

/// Milliseconds of all runs.
struct Times(Vec<f64>);

impl Times {
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn best(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn shown(&self) -> String {
        format!("{:.1} ({:.1})", self.median(), self.best())
    }
}

impl Bench {
    /// A world whose project has this many services, each with a published port.
    fn world(&self, services: usize) -> World {
        self.world_of(Who::Root, services)
    }

    fn world_of(&self, who: Who, services: usize) -> World {
        let world = World::of(who, &[("compose.yaml", &stack(services))]);
        self.run(&world, &["pull", "--quiet"]);
        world
    }

    fn run(&self, world: &World, arguments: &[&str]) -> f64 {
        self.run_traced(world, arguments).0
    }

    /// Runs a command; how long it took, and what it said on standard error.
    fn run_traced(&self, world: &World, arguments: &[&str]) -> (f64, String) {
        let mut command = with_program(world, &self.program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = Instant::now();
        let output = command.output().unwrap();
        let elapsed = start.elapsed().as_secs_f64() * 1000.0;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        (elapsed, said)
    }

    fn up_and_down(&self) {
        println!("| services | floor up | up -d | ratio | floor down | down -t 0 | ratio |");
        println!("|---:|---:|---:|---:|---:|---:|---:|");
        let mut breakdowns = [Breakdown::default(), Breakdown::default()];
        for (column, services) in [1, 10, 50].into_iter().enumerate() {
            let world = self.world(services);
            let mut times: [Times; 4] = [const { Times(vec![]) }; 4];
            // One after the other in each run, so that noise of the machine meets both.
            for _ in 0..self.runs {
                let (floor_up, down) = floor(services);
                times[0].0.push(floor_up);
                let verbs: [&[&str]; 2] = [&["up", "-d"], &["down", "-t", "0"]];
                let [up, down_of_ours] = [0, 1].map(|verb| {
                    let traced = [&["--trace-timing"], verbs[verb]].concat();
                    let (elapsed, said) = self.run_traced(&world, &traced);
                    breakdowns[verb].note(column, elapsed, &said);
                    elapsed
                });
                times[1].0.push(up);
                times[2].0.push(down);
                times[3].0.push(down_of_ours);
            }
            let [floor_up, up, floor_down, down] = &times;
            println!(
                "| {services} | {} | {} | {:.2} | {} | {} | {:.2} |",
                floor_up.shown(),
                up.shown(),
                up.median() / floor_up.median(),
                floor_down.shown(),
                down.shown(),
                down.median() / floor_down.median(),
            );
        }
        println!();
        for (verb, breakdown) in ["up -d", "down -t 0"].into_iter().zip(breakdowns) {
            breakdown.print(verb);
        }
    }

    fn quiet_commands(&self) {
        let world = self.world(10);
        self.run(&world, &["up", "-d"]);
        println!("| command, 10 services | time | target |\n|---|---:|---:|");
        let rows: [(&[&str], &str); 3] =
            [(&["up", "-d"], "< 10"), (&["ps"], "< 5"), (&["exec", "-T", "s1", "true"], "< 10")];
        for (arguments, target) in rows {
            let times = Times((0..self.runs).map(|_| self.run(&world, arguments)).collect());
            println!("| {} | {} | {target} |", arguments.join(" "), times.shown());
        }
        println!();
    }

    /// Root and an ordinary user side by side. The user's program is started by a launcher, whose own
    /// time is measured with a program that does nothing, and taken off.
    fn user(&self) {
        let (root, user) = (self.world_of(Who::Root, 10), self.world_of(Who::User, 10));
        let mut times: [Times; 4] = [const { Times(vec![]) }; 4];
        for _ in 0..self.runs {
            times[0].0.push(self.run(&root, &["up", "-d"]));
            self.run(&root, &["down", "-t", "0"]);
            let launch = time(&mut with_program(&user, "/bin/true")) - time(&mut Command::new("/bin/true"));
            times[1].0.push(self.run(&user, &["up", "-d"]) - launch);
            // The namespaces are there as long as something runs.
            self.run(&user, &["down", "-t", "0", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10"]);
            times[2].0.push(self.run(&user, &["up", "-d"]) - launch);
            self.run(&user, &["down", "-t", "0"]);
            times[3].0.push(launch);
        }
        let [of_root, cold, warm, launch] = &times;
        println!("| up -d of 10 services | time | ratio |\n|---|---:|---:|");
        println!("| root | {} | 1 |", of_root.shown());
        println!("| user, namespaces made | {} | {:.2} |", cold.shown(), cold.median() / of_root.median());
        println!(
            "| user, nine more beside one | {} | {:.2} |",
            warm.shown(),
            warm.median() / of_root.median()
        );
        println!("\n(launching the user's program took {} more and is not in these)\n", launch.shown());
        self.run(&user, &["up", "-d"]);
        println!("| helper of the user | PSS, kB | private, kB |\n|---|---:|---:|");
        for (name, pid) in helpers(&user) {
            let [pss, private] = memory_of(pid);
            println!("| {name} | {pss} | {private} |");
        }
        println!();
    }

    fn memory(&self) {
        println!(
            "| services | supervisor PSS, kB | private, kB | per container, kB |\n|---:|---:|---:|---:|"
        );
        for services in [10, 50] {
            let world = self.world(services);
            self.run(&world, &["up", "-d"]);
            let supervisor = world.supervisor().unwrap();
            let read = || memory_of(supervisor);
            let [at_work, _] = read();
            // It gives back a while after its work what it needs for work only, most of it.
            let [pss, private] =
                until("the supervisor rests", || Some(read()).filter(|[pss, _]| *pss < at_work / 2));
            println!("| {services} | {pss} | {private} | {} |", pss / services as u64);
        }
        println!();
    }

    /// Pulls a 200 MB image of five layers on tmpfs, beside `curl | tar xz` of its layers in turn.
    fn pull(&self) {
        let image = scenarios::big_image();
        let layers: Vec<String> = image.blobs.iter().rev().skip(1).rev().map(|blob| blob.0.clone()).collect();
        let packed: usize = image.blobs.iter().map(|blob| blob.1.len()).sum();
        let port = scenarios::serve_image(image);
        let compose =
            "services:\n  big:\n    image: 127.0.0.1:PORT/library/big\n".replace("PORT", &port.to_string());
        let (mut ours, mut theirs, mut peers) = (Times(vec![]), Times(vec![]), Times(vec![]));
        let is_there =
            |name: &str| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
        let has_peers = ["skopeo", "umoci"].into_iter().all(is_there);
        for _ in 0..self.runs.min(5) {
            let world = World::with_files(&[("compose.yaml", &compose)]);
            ours.0.push(self.run(&world, &["pull", "--quiet"]));
            let folder = tempfile::Builder::new().prefix("compose-bench-").tempdir_in("/dev/shm").unwrap();
            let line = layers.iter().map(|digest| {
                format!(
                    "curl -s http://127.0.0.1:{port}/v2/library/big/blobs/{digest} | tar xz -C {}",
                    folder.path().display()
                )
            });
            theirs.0.push(shell(&line.collect::<Vec<_>>().join(" && ")));
            if has_peers {
                let folder = folder.path().join("peers");
                let (image, folder) = (format!("127.0.0.1:{port}/library/big:latest"), folder.display());
                peers.0.push(shell(&format!(
                    "skopeo --insecure-policy copy --quiet --src-tls-verify=false docker://{image} oci:{folder}:big \
                     && umoci unpack --image {folder}:big {folder}/unpacked"
                )));
            }
        }
        println!(
            "| pull, 200 MB in five layers ({} MB packed) | time | ratio |\n|---|---:|---:|",
            packed / 1_000_000
        );
        println!("| curl, tar xz, one after the other | {} | 1 |", theirs.shown());
        match has_peers {
            true => println!(
                "| skopeo copy, umoci unpack | {} | {:.2} |",
                peers.shown(),
                theirs.median() / peers.median()
            ),
            false => println!("| skopeo copy, umoci unpack | not installed | |"),
        }
        println!("| compose pull | {} | {:.2} |\n", ours.shown(), theirs.median() / ours.median());
    }
}

/// Milliseconds that a line of shell takes.
fn shell(line: &str) -> f64 {
    time(Command::new("sh").args(["-c", line]))
}

/// Proportional and private memory of a process, kB.
fn memory_of(pid: i32) -> [u64; 2] {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    ["Pss:", "Private_Dirty:"].map(|name| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    })
}

/// The processes that serve a user's containers.
fn helpers(world: &World) -> Vec<(&'static str, i32)> {
    let infra = world.recorded("infra.json").map(|pid| ("infra", pid));
    let pasta = world.recorded("pasta.json").map(|pid| ("pasta", pid));
    let supervisor = world.supervisor().map(|pid| ("supervisor of 10", pid));
    infra.into_iter().chain(pasta).chain(supervisor).collect()
}

/// Milliseconds that a command takes.
fn time(command: &mut Command) -> f64 {
    let start = Instant::now();
    assert!(command.status().unwrap().success());
    start.elapsed().as_secs_f64() * 1000.0
}

/// What a command did when, by its own account: milliseconds that each stage took, of every run, for
/// three numbers of services.
#[derive(Default)]
struct Breakdown(Vec<(String, [Vec<f64>; 3])>);

impl Breakdown {
    /// Notes one run: how long the process took, and what `--trace-timing` printed.
    fn note(&mut self, column: usize, elapsed: f64, said: &str) {
        let mut before = 0.0;
        for line in said.lines().filter_map(|line| line.strip_prefix("timing:")) {
            let (at, stage) = line.trim().split_once(" ms ").unwrap();
            let at: f64 = at.trim().parse().unwrap();
            // What is told behind others may have ended before them.
            self.add(stage, column, (at - before).max(0.0));
            before = at.max(before);
        }
        self.add("process start and end", column, elapsed - before);
    }

    fn add(&mut self, stage: &str, column: usize, time: f64) {
        match self.0.iter_mut().find(|(known, _)| known == stage) {
            Some((_, columns)) => columns[column].push(time),
            None => {
                let mut columns: [Vec<f64>; 3] = Default::default();
                columns[column].push(time);
                self.0.push((stage.to_owned(), columns));
            }
        }
    }

    fn print(self, verb: &str) {
        println!("| {verb}: until | 1 | 10 | 50 |\n|---|---:|---:|---:|");
        for (stage, columns) in self.0 {
            let shown = columns.map(|times| match times.is_empty() {
                true => "–".to_owned(),
                false => format!("{:.1}", Times(times).median()),
            });
            println!("| {stage} | {} |", shown.join(" | "));
        }
        println!();
    }
}

/// Up and down of the bare kernel work, from the program `floor` beside this one.
fn floor(containers: usize) -> (f64, f64) {
    let program = env!("CARGO_BIN_EXE_floor");
    let output = Command::new(program).arg(containers.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// A world's program, with this one in its place.
fn with_program(world: &World, program: &str) -> Command {
    let of_world = world.program();
    let mut command = match world.who() {
        Who::Root => Command::new(program),
        // The launcher and the user's name come before the program.
        Who::User => {
            let mut command = Command::new(of_world.get_program());
            command.arg(of_world.get_args().next().unwrap()).arg(program);
            command
        }
    };
    command.env_clear();
    command.envs(of_world.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    command.current_dir(of_world.get_current_dir().unwrap());
    command
}

fn stack(services: usize) -> String {
    let mut text = "services:\n".to_owned();
    for number in 1..=services {
        let port = 20_000 + number;
        text += &format!(
            "  s{number}:\n    image: busybox\n    command: [\"sleep\", \"1000\"]\n    ports: [\"127.0.0.1:{port}:80\"]\n"
        );
    }
    text
}
