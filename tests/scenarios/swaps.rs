//! Scenarios about replacing a container that serves while it is replaced.

use scenarios::{World, scenario, until};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Requests made at least while the container is replaced.
const REQUESTS: usize = 10_000;

scenario! {
    /// With `order: start-first` the new container is healthy before the old one goes, and the published
    /// port goes over at once: of ten thousand requests, by new and by kept connections, none is lost.
    /// One that does not become healthy is removed, and the old one goes on.
    a_swap_loses_no_request, |world| {
        world.compose("up -d --wait").ok();
        let old = world.id("web");
        let (port, traffic) = (world.port(), Traffic::default());
        std::thread::scope(|scope| {
            scope.spawn(|| traffic.run(port, true));
            scope.spawn(|| traffic.run(port, true));
            scope.spawn(|| traffic.run(port, false));
            until("requests are answered", || (traffic.count("1") > 100).then_some(()));
            world.edit("compose.yaml", "VERSION: \"1\"", "VERSION: \"2\"");
            let up = world.compose("up -d");
            until("enough was asked", || (traffic.asked.load(Ordering::SeqCst) >= REQUESTS).then_some(()));
            until("the new one answers", || (traffic.count("2") > 100).then_some(()));
            traffic.over.store(true, Ordering::SeqCst);
            up.ok();
        });
        assert_eq!(traffic.lost.into_inner().unwrap(), Vec::<String>::new());
        assert_ne!(world.id("web"), old);
        assert_eq!(world.rows().len(), 1);
        assert_eq!(world.row("web")["Name"], "project-web-1");
        world.compose("up -d --dry-run").ok();
        assert_eq!(world.compose("port web 80").ok().stdout.trim(), format!("127.0.0.1:{port}"));

        let good = world.id("web");
        world.edit("compose.yaml", "VERSION: \"2\"", "VERSION: \"3\"");
        world.edit("compose.yaml", "/serve.fails", "/serve");
        world.compose("up -d").exits(1).says("project-web-1 is not replaced").says("compose.yaml:");
        assert_eq!((world.id("web"), world.rows().len()), (good, 1));
        let mut connection = Connection::open(port).unwrap();
        assert_eq!(connection.ask().unwrap(), "2");
    }
}

scenario! {
    /// `update_config` replaces one replica after the other, with time in between, and the old ones are there
    /// until the new ones have been watched: one that ends is removed, and the old one is started again.
    replicas_are_replaced_as_the_file_says, |world| {
        world.compose("up -d").ok();
        let old = ids(world);
        world.edit("compose.yaml", "VERSION: \"1\"", "VERSION: \"2\"");
        world.compose("up -d --dry-run").ok().says("exited within 1 s").says("the next has to wait");
        world.compose("up -d").ok();
        let new = ids(world);
        assert!(new.len() == 2 && new.iter().all(|id| !old.contains(id)), "{old:?} {new:?}");
        let starts = times(world, "start");
        let apart = starts[3].duration_since(starts[2]).as_secs_f64();
        assert!(apart >= 1.5, "{apart} s between the starts {starts:?}");
        // Both at once: both new ones run before the first old one goes.
        let gone = times(world, "destroy").len();
        world.edit("compose.yaml", "parallelism: 1", "parallelism: 2");
        world.edit("compose.yaml", "VERSION: \"2\"", "VERSION: \"3\"");
        world.compose("up -d").ok();
        assert!(times(world, "start").last() < times(world, "destroy").get(gone));
        world.edit("compose.yaml", "parallelism: 2", "parallelism: 1");
        let new = ids(world);

        world.edit("compose.yaml", "[\"sleep\", \"1000\"]", "[\"sh\", \"-c\", \"exit 3\"]");
        world.compose("up -d").exits(1).says("project-web-1 is not replaced: the new one has ended and is removed");
        assert_eq!(ids(world), new);
        assert!(world.rows().iter().all(|row| row["State"] == "running"), "{:?}", world.rows());
        world.edit("compose.yaml", "failure_action: rollback", "failure_action: pause");
        world.compose("up -d").exits(1).says("the old one is stopped, and kept");
        assert!(new.iter().all(|id| ids(world).contains(id)));
        // So many may fail: what failed has the places all the same.
        world.edit("compose.yaml", "failure_action: pause", "failure_action: pause\n        max_failure_ratio: 1");
        world.compose("up -d").ok();
        assert!(ids(world).len() == 2 && ids(world).iter().all(|id| !new.contains(id)));
        world.edit("compose.yaml", "failure_action: pause", "failure_action: dance");
        world.compose("up -d").exits(1).says("`dance` is no `failure_action`").says("compose.yaml:14:");
    }
}

/// The ids of all containers, sorted.
fn ids(world: &World) -> Vec<String> {
    let mut ids: Vec<_> = world.rows().iter().map(|row| row["ID"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// When something happened to a container, in order.
fn times(world: &World, action: &str) -> Vec<resource::Timestamp> {
    let text = world.compose("events --json --since 2000-01-01 --until 0s").ok().stdout;
    let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let those = events.filter(|event| event["action"] == action);
    those.map(|event| event["time"].as_str().unwrap().parse().unwrap()).collect()
}

/// What several clients asked and heard.
#[derive(Default)]
struct Traffic {
    over: AtomicBool,
    asked: AtomicUsize,
    heard: Mutex<BTreeMap<String, usize>>,
    lost: Mutex<Vec<String>>,
}

impl Traffic {
    /// Asks until all is over, by one connection as long as the server keeps it or by one for each request.
    fn run(&self, port: u16, keep: bool) {
        let mut kept = None;
        while !self.over.load(Ordering::SeqCst) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let answer = match kept.take() {
                Some(connection) => Ok(connection),
                None => Connection::open(port),
            };
            let answer = answer.and_then(|mut connection| Ok((connection.ask()?, connection)));
            match answer {
                Ok((answer, connection)) => {
                    let (version, last) =
                        answer.split_once(' ').map_or((&*answer, false), |(it, _)| (it, true));
                    *self.heard.lock().unwrap().entry(version.to_owned()).or_default() += 1;
                    kept = (keep && !last).then_some(connection);
                }
                Err(error) => self.lost.lock().unwrap().push(format!("kept {keep}: {error}")),
            }
        }
    }

    fn count(&self, version: &str) -> usize {
        self.heard.lock().unwrap().get(version).copied().unwrap_or_default()
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// One request; an end without an answer is an error.
    fn ask(&mut self) -> std::io::Result<String> {
        self.0.get_mut().write_all(b"hello\n")?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.trim_end() {
            "" => Err(std::io::ErrorKind::UnexpectedEof.into()),
            answer => Ok(answer.to_owned()),
        }
    }
}
