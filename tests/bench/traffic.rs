//! What the output of containers and their traffic cost, beside a plain pipe, plain loopback and a plain
//! bridge, all in the same run.

use crate::{Bench, Times, with_program};
use scenarios::{Who, World, until, within};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Bytes that a container writes to its output.
const OUTPUT: usize = 100_000_000;
/// Runs of what takes seconds.
const FEW: usize = 5;

/// What writes that many bytes, in lines of a hundred.
fn writer(program: &str) -> String {
    format!("{program} yes {} | {program} head -c {OUTPUT}", "0123456789".repeat(10).split_off(1))
}

/// A container writes 100 MB, with nobody looking and with `logs -f`.
pub(crate) fn logs(bench: &Bench) {
    let mut plain = Times(vec![]);
    let mut worlds = [Who::Root, Who::User].map(|who| {
        let world = World::of(who, &[("compose.yaml", &talker())]);
        bench.run(&world, &["pull", "--quiet"]);
        (who, world, [const { Times(vec![]) }; 3])
    });
    for _ in 0..bench.runs.min(FEW) {
        plain.0.push(through_a_pipe());
        for (_, world, times) in &mut worlds {
            times[0].0.push(through_a_container(bench, world));
            let (written, seen) = followed(bench, world);
            times[1].0.push(written);
            times[2].0.push(seen);
        }
    }
    println!("| {} MB in lines of 100 bytes, MB/s | written | ratio |\n|---|---:|---:|", OUTPUT / 1_000_000);
    let reference = plain.median();
    println!("| to a plain pipe | {} | 1 |", plain.shown_rate());
    for (who, _, times) in &worlds {
        let what = ["its log", "its log, `logs -f` beside it", "seen by `logs -f`"];
        for (what, times) in what.into_iter().zip(times) {
            println!("| {who:?}: {what} | {} | {:.2} |", times.shown_rate(), times.median() / reference);
        }
    }
    println!();
}

impl Times {
    /// Rates: the best is the highest.
    fn shown_rate(&self) -> String {
        let best = self.0.iter().copied().fold(0.0, f64::max);
        format!("{:.0} ({best:.0})", self.median())
    }
}

fn talker() -> String {
    let script = format!(
        "echo ready; until [ -e /out/go ]; do sleep 0.01; done; cut -d ' ' -f 1 /proc/uptime > /out/start; \
         {}; cut -d ' ' -f 1 /proc/uptime > /out/now; mv /out/now /out/end; exec sleep 1000",
        writer("busybox")
    );
    format!(
        "services:\n  web:\n    image: busybox\n    command: [sh, -c, \"{script}\"]\n    volumes: [.:/out]\n"
    )
}

/// MB/s of the same program whose output this one reads.
fn through_a_pipe() -> f64 {
    let mut command = Command::new("sh");
    command.args(["-c", &writer("/bin/busybox")]).stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    assert_eq!(drain(&mut child.stdout.take().unwrap()), OUTPUT);
    child.wait().unwrap();
    rate(OUTPUT, start.elapsed().as_secs_f64())
}

/// MB/s at which a container writes its log.
fn through_a_container(bench: &Bench, world: &World) -> f64 {
    bench.run(world, &["up", "-d"]);
    world.write("go", "");
    let written = written(world);
    bench.run(world, &["down", "-t", "0"]);
    written
}

/// The same with a reader of the log beside it: MB/s written, and seen by the reader.
fn followed(bench: &Bench, world: &World) -> (f64, f64) {
    bench.run(world, &["up", "-d"]);
    let mut command = with_program(world, &bench.program);
    command.args(["logs", "-f", "--no-log-prefix", "web"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut reader = command.spawn().unwrap();
    let mut output = reader.stdout.take().unwrap();
    output.read_exact(&mut [0; "ready\n".len()]).unwrap();
    let start = Instant::now();
    world.write("go", "");
    let mut left = OUTPUT;
    let mut buffer = vec![0; 1 << 18];
    while left > 0 {
        left -= output.read(&mut buffer).unwrap().min(left);
    }
    let seen = rate(OUTPUT, start.elapsed().as_secs_f64());
    let written = written(world);
    reader.kill().unwrap();
    reader.wait().unwrap();
    bench.run(world, &["down", "-t", "0"]);
    (written, seen)
}

/// MB/s that the container has noted at its end, from clocks of 10 ms; its notes are removed.
fn written(world: &World) -> f64 {
    let time = |name: &str| -> Option<f64> {
        std::fs::read_to_string(world.project().join(name)).ok()?.trim().parse().ok()
    };
    let end = until("the container has written all", || time("end"));
    let rate = rate(OUTPUT, end - time("start").unwrap());
    ["go", "start", "end"].iter().for_each(|name| std::fs::remove_file(world.project().join(name)).unwrap());
    rate
}

fn rate(bytes: usize, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds
}

fn drain(from: &mut impl Read) -> usize {
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0);
    loop {
        match from.read(&mut buffer).unwrap() {
            0 => return bytes,
            count => bytes += count,
        }
    }
}

/// Published ports beside plain loopback, and container to container beside a plain bridge.
pub(crate) fn net(bench: &Bench) {
    println!("| TCP | MB/s | ratio | connect, send, answer: µs | ratio |\n|---|---:|---:|---:|---:|");
    let here = "/proc/self/ns/net";
    let plain = Plain::new();
    let worlds = [Who::Root, Who::User].map(|who| {
        let world = World::of(who, &[("compose.yaml", PAIR)]);
        bench.run(&world, &["pull", "--quiet"]);
        (who, world)
    });
    let mut published: [Traffic; 3] = Default::default();
    let mut between: [Traffic; 3] = Default::default();
    for _ in 0..bench.runs.min(FEW) {
        published[0].note(exchange(here, here, "127.0.0.1:20001"));
        between[0].note(exchange(&plain.space(0), &plain.space(1), "10.219.0.2:20001"));
        for (number, (_, world)) in worlds.iter().enumerate() {
            // The same port is one's after the other's.
            bench.run(world, &["up", "-d"]);
            let [one, two] =
                ["one", "two"].map(|name| format!("/proc/{}/ns/net", world.processes(&world.id(name))[0]));
            published[number + 1].note(exchange(&one, here, "127.0.0.1:20001"));
            let address = world.compose("exec -T one hostname -i").ok().stdout;
            between[number + 1].note(exchange(&one, &two, &format!("{}:20001", address.trim())));
            bench.run(world, &["down", "-t", "0"]);
        }
    }
    for (what, rows) in [("loopback", published), ("a bridge", between)] {
        let names = [format!("plain: {what}"), format!("root: {what}"), format!("user: {what}")];
        for (name, row) in names.iter().zip(&rows) {
            println!("| {name} {}", row.beside(&rows[0]));
        }
    }
    println!();
}

const PAIR: &str = "services:
  one: {image: busybox, command: sleep 1000, ports: [\"127.0.0.1:20001:20001\"]}
  two: {image: busybox, command: sleep 1000}
";

/// Throughput in MB/s and latency in µs of all runs.
struct Traffic {
    throughput: Times,
    latency: Times,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { throughput: Times(vec![]), latency: Times(vec![]) }
    }
}

impl Traffic {
    fn note(&mut self, (throughput, latency): (f64, f64)) {
        self.throughput.0.push(throughput);
        self.latency.0.push(latency);
    }

    fn beside(&self, plain: &Self) -> String {
        format!(
            "| {} | {:.2} | {} | {:.2} |",
            self.throughput.shown_rate(),
            self.throughput.median() / plain.throughput.median(),
            self.latency.shown(),
            self.latency.median() / plain.latency.median(),
        )
    }
}

/// Sends 1 GiB to a server in one network namespace from another, then asks it a thousand times for a
/// byte, each time on a connection of its own: MB/s, and the median in µs. The server has the port of the
/// address.
fn exchange(server: &str, client: &str, address: &str) -> (f64, f64) {
    const BYTES: usize = 1 << 30;
    const ASKED: usize = 1000;
    let address: SocketAddr = address.parse().unwrap();
    let server = within(server, || TcpListener::bind(("0.0.0.0", address.port())).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = server.accept().unwrap();
            let (mut buffer, mut left) = (vec![0; 1 << 18], BYTES);
            while left > 0 {
                left -= stream.read(&mut buffer).unwrap();
            }
            stream.write_all(b"!").unwrap();
            for _ in 0..ASKED {
                let (mut stream, _) = server.accept().unwrap();
                stream.read_exact(&mut [0]).unwrap();
                stream.write_all(b"!").unwrap();
            }
        });
        within(client, || {
            let connect = || TcpStream::connect(address).unwrap();
            let mut stream = connect();
            let chunk = vec![0; 1 << 18];
            let start = Instant::now();
            (0..BYTES / chunk.len()).for_each(|_| stream.write_all(&chunk).unwrap());
            stream.read_exact(&mut [0]).unwrap();
            let throughput = rate(BYTES, start.elapsed().as_secs_f64());
            let asked = (0..ASKED).map(|_| {
                let start = Instant::now();
                let mut stream = connect();
                stream.write_all(b"?").unwrap();
                stream.read_exact(&mut [0]).unwrap();
                start.elapsed().as_secs_f64() * 1e6
            });
            (throughput, Times(asked.collect()).median())
        })
    })
}

/// Two namespaces on a bridge, and nothing else; gone when dropped.
struct Plain(u32);

impl Plain {
    fn new() -> Self {
        let id = std::process::id();
        let mut script = format!("ip link add plain{id} up type bridge");
        for number in 0..2 {
            script += &format!(
                " && ip netns add plain{id}-{number} \
                  && ip link add p{id}-{number} up master plain{id} type veth peer name eth0 netns plain{id}-{number} \
                  && ip -n plain{id}-{number} addr add 10.219.0.{}/24 dev eth0 \
                  && ip -n plain{id}-{number} link set eth0 up",
                number + 2
            );
        }
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        Self(id)
    }

    fn space(&self, number: u32) -> String {
        format!("/run/netns/plain{}-{number}", self.0)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let id = self.0;
        for line in [
            format!("netns del plain{id}-0"),
            format!("netns del plain{id}-1"),
            format!("link del plain{id}"),
        ] {
            drop(Command::new("ip").args(line.split(' ')).status());
        }
    }
}
