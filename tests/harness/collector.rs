//! A syslog server by TLS on loopback, inside the test process. Its certificate is for 0.0.0.0, which is this machine.

use crate::secure;
use rustls::{ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long something may be on its way on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A message with its length before it.
    Counted(String),
    /// A message that a newline ended.
    Line(String),
    /// A connection that came to nothing, and why.
    Refused(String),
}

impl Told {
    /// The text of a message.
    pub fn text(&self) -> &str {
        match self {
            Self::Counted(text) | Self::Line(text) => text,
            Self::Refused(why) => panic!("a connection came to nothing: {why}"),
        }
    }
}

/// A server; it is gone, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Collector {
    port: u16,
    stopping: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    told: Receiver<Told>,
    server: Option<JoinHandle<()>>,
}

impl Collector {
    /// Serves at a port with a certificate of the tests; it speaks this version of TLS alone, and wants a certificate
    /// of the tests' authority from its clients or none.
    pub fn serve(port: u16, own: &str, version: &'static SupportedProtocolVersion, wants_one: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let config = secure::config(own, &[version], wants_one);
        let (say, told) = channel();
        let (stopping, streams) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (stops, kept) = (stopping.clone(), streams.clone());
        let server = std::thread::spawn(move || {
            let mut readers = vec![];
            for stream in listener.incoming().flatten() {
                if stops.load(Ordering::Acquire) {
                    break;
                }
                kept.lock().unwrap().push(stream.try_clone().unwrap());
                let connection = ServerConnection::new(config.clone()).unwrap();
                let say = say.clone();
                readers.push(std::thread::spawn(move || read(StreamOwned::new(connection, stream), &say)));
            }
            drop(listener);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
        Self { port, stopping, streams, told, server: Some(server) }
    }

    /// What it is told next.
    pub fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("it is told something")
    }

    /// The port, free again: the server and its connections are gone.
    pub fn end(self) -> u16 {
        self.port
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// Reads messages until the connection ends.
fn read(stream: StreamOwned<ServerConnection, TcpStream>, say: &Sender<Told>) {
    let mut reader = BufReader::new(stream);
    loop {
        let first = match reader.fill_buf() {
            Ok([]) => return,
            Ok(bytes) => bytes[0],
            // Nobody asked it to end.
            Err(error) => return drop(say.send(Told::Refused(error.to_string()))),
        };
        let told = if first.is_ascii_digit() {
            let mut count = vec![];
            let _ = reader.read_until(b' ', &mut count);
            let count: usize = String::from_utf8(count).unwrap().trim_end().parse().unwrap();
            let mut bytes = vec![0; count];
            reader.read_exact(&mut bytes).map(|()| Told::Counted(String::from_utf8(bytes).unwrap()))
        } else {
            let mut line = String::new();
            reader.read_line(&mut line).map(|_| Told::Line(line))
        };
        let Ok(told) = told else { return };
        let _ = say.send(told);
    }
}
