//! Scenarios about replacing a container that serves while it is replaced.

use scenarios::{scenario, until};
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
