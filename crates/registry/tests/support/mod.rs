//! A registry in a thread: answers what the test tells it to, and remembers what it was asked.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test program uses a part of it"
)]

use super::digest_of;
use resource::Digest;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names are lower-case.
    pub headers: HashMap<String, String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte asked for.
    pub fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer.
#[derive(Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection is closed after so many bytes of the body.
    pub cut: Option<usize>,
    /// The body is repeated until nobody takes it any more.
    pub endless: bool,
    /// The body comes a byte at a time, with such a pause before each.
    pub drip: Option<Duration>,
}

impl Answer {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn cut(self, after: usize) -> Self {
        Self { cut: Some(after), ..self }
    }

    /// The whole content, or the part of it that was asked for.
    pub fn range(request: &Request, content: &[u8]) -> Self {
        match request.from() {
            None => Self::ok(content),
            Some(from) if from >= content.len() => Self::status(416),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
                Self { status: 206, ..Self::ok(&content[from..]) }.header("Content-Range", range)
            }
        }
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// The server; it ends with the test program.
pub struct Server {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::wrapped(handler, Some)
    }

    /// One that speaks by way of something on top of the connection; `None` ends it.
    pub fn wrapped<S: Read + Write>(
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> Option<S> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(vec![]));
        let (handler, wrap, kept): (Arc<Handler>, _, _) = (Arc::new(handler), Arc::new(wrap), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (handler, wrap, log) = (handler.clone(), wrap.clone(), kept.clone());
                // What cannot be read (a TLS greeting) ends the connection.
                std::thread::spawn(move || serve(wrap(stream.unwrap())?, &*handler, &log));
            }
        });
        Self { address, log }
    }

    /// The requests so far whose path begins so.
    pub fn asked(&self, path: &str) -> Vec<Request> {
        self.log.lock().unwrap().iter().filter(|request| request.path.starts_with(path)).cloned().collect()
    }
}

fn serve(stream: impl Read + Write, handler: &Handler, log: &Mutex<Vec<Request>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let mut words = line.split_ascii_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let request = Request { method, path, headers };
        log.lock().unwrap().push(request.clone());
        let answer = handler(&request);
        let length = match answer.endless {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {}", answer.body.len()),
        };
        let mut head = format!("HTTP/1.1 {} X\r\n{length}\r\n", answer.status);
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let writer = reader.get_mut();
        let body = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
        writer.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        if answer.endless {
            // Until the client has had enough.
            loop {
                write!(writer, "{:x}\r\n", body.len()).ok()?;
                writer.write_all(body).ok()?;
                writer.write_all(b"\r\n").ok()?;
            }
        }
        match answer.drip {
            None => writer.write_all(body).ok()?,
            Some(pause) => {
                for byte in body {
                    std::thread::sleep(pause);
                    writer.write_all(&[*byte]).ok()?;
                }
            }
        }
        writer.flush().ok()?;
        if answer.cut.is_some() {
            return None;
        }
    }
}

/// An image with its blobs by digest.
#[derive(Clone, Default)]
pub struct Image {
    pub blobs: HashMap<String, Vec<u8>>,
    pub manifest: String,
}

impl Image {
    /// Of uncompressed layers, for this platform.
    pub fn of(layers: &[Vec<u8>], architecture: &str) -> Self {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| digest_of(layer)).collect();
        let config = serde_json::json!({
            "os": "linux", "architecture": architecture, "config": {"Cmd": ["/run"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string();
        let descriptors: Vec<_> = layers.iter().zip(&diff_ids).map(|(layer, digest)| {
            serde_json::json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": layer.len()})
        }).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_of(config.as_bytes()), "size": config.len(),
            },
            "layers": descriptors,
        });
        let mut blobs: HashMap<_, _> =
            layers.iter().map(|layer| (digest_of(layer).to_string(), layer.clone())).collect();
        blobs.insert(digest_of(config.as_bytes()).to_string(), config.into_bytes());
        Self { blobs, manifest: manifest.to_string() }
    }

    pub fn digest(&self) -> Digest {
        digest_of(self.manifest.as_bytes())
    }

    /// What an honest registry answers for the repository `app`.
    pub fn answer(&self, request: &Request) -> Answer {
        let digest = self.digest();
        if let Some(name) = request.path.strip_prefix("/v2/app/manifests/") {
            return if name == "latest" || name == digest.as_str() {
                Answer::ok(self.manifest.as_str()).header("Docker-Content-Digest", digest.as_str())
            } else {
                Answer::status(404)
            };
        }
        let blob = request.path.strip_prefix("/v2/app/blobs/").and_then(|name| self.blobs.get(name));
        blob.map_or_else(|| Answer::status(404), |blob| Answer::range(request, blob))
    }
}
