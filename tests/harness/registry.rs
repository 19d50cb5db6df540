//! A registry on loopback, inside the test process: enough of the distribution protocol to pull from.

use crate::images::{self, Image};
use crate::world::patience;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

/// The port of the registry, started with the first scenario that asks.
pub(crate) fn port() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| start(images::all()))
}

/// Serves one image on a port of its own until the process ends; returns the port.
pub fn serve_image(image: Image) -> u16 {
    start(vec![image])
}

/// A registry whose tags move, and that can go away.
#[derive(Debug)]
pub struct MovingRegistry {
    port: u16,
    images: Arc<Mutex<Vec<Image>>>,
    gone: Arc<AtomicBool>,
    counter: Arc<Counter>,
}

/// What a registry was asked for, and who waits for whom.
#[derive(Debug, Default)]
struct Counter {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Asked {
    /// Paths of the requests since somebody looked last.
    paths: Vec<String>,
    /// Repositories whose manifests were asked for since the gathering was called.
    repositories: BTreeSet<String>,
    /// How many of them have to be asked for before the first is answered.
    gathering: usize,
    /// One was answered without the others, after long waiting.
    alone: bool,
}

impl Counter {
    /// Notes a request, and keeps it waiting for the others of a gathering.
    fn note(&self, path: &str) {
        let mut asked = self.asked.lock().unwrap();
        asked.paths.push(path.to_owned());
        let Some((repository, _)) = path.split_once("/manifests/") else { return };
        asked.repositories.insert(repository.to_owned());
        self.changed.notify_all();
        let few = |asked: &mut Asked| asked.repositories.len() < asked.gathering;
        let (mut asked, waited) = self.changed.wait_timeout_while(asked, patience(), few).unwrap();
        asked.alone |= waited.timed_out();
    }
}

impl MovingRegistry {
    /// One that has nothing yet.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (images, gone) = (Arc::new(Mutex::new(vec![])), Arc::new(AtomicBool::new(false)));
        let counter = Arc::<Counter>::default();
        let (served, ended, counting) = (images.clone(), gone.clone(), counter.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (served, counting) = (served.clone(), counting.clone());
                std::thread::spawn(move || {
                    serve(stream, |path| counting.note(path), || served.lock().unwrap());
                });
            }
        });
        Self { port, images, gone, counter }
    }

    /// The paths that were asked for since this was asked last.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.counter.asked.lock().unwrap().paths)
    }

    /// From now on no manifest is sent before those of so many repositories have been asked for.
    pub fn gather(&self, repositories: usize) {
        let mut asked = self.counter.asked.lock().unwrap();
        *asked = Asked { gathering: repositories, ..Asked::default() };
    }

    /// Ends a gathering; tells whether all came to it.
    pub fn gathered(&self) -> bool {
        let mut asked = self.counter.asked.lock().unwrap();
        asked.repositories.len() >= std::mem::take(&mut asked.gathering) && !asked.alone
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Has this image from now on. One that had its name stays under its digest.
    pub fn put(&self, image: Image) {
        let mut images = self.images.lock().unwrap();
        images.iter_mut().filter(|known| known.name == image.name).for_each(|known| known.name = "");
        images.push(image);
    }

    /// Goes away: whoever connects is refused.
    pub fn go_away(&self) {
        self.gone.store(true, Ordering::Relaxed);
        // It is woken up to see that, and nobody is heard any more.
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            std::thread::yield_now();
        }
    }
}

impl Default for MovingRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MovingRegistry {
    fn drop(&mut self) {
        self.go_away();
    }
}

/// How a registry misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers every question about an image with this status.
    Status(&'static str),
    /// It sends other manifests than those whose digest was asked for.
    WrongManifest,
    /// It sends other layers than those whose digest was asked for.
    WrongLayer,
    /// Every digest of what it sends is right, but the image is made of other layers than its
    /// configuration says.
    Misdescribed,
    /// It hangs up in the middle of the first layer that is asked for, once.
    CutOnce,
}

/// Serves busybox on a port of its own, with a fault, until the process ends; returns the port.
pub fn faulty_registry(fault: Fault) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let images = if fault == Fault::Misdescribed { vec![images::misdescribed()] } else { images::all() };
        let cut = AtomicBool::new(false);
        for stream in listener.incoming().flatten() {
            misbehave(stream, fault, &images[0], &cut);
        }
    });
    port
}

/// Answers one request, badly, and hangs up.
fn misbehave(stream: TcpStream, fault: Fault, image: &Image, cut: &AtomicBool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut request = String::new();
    // The first words of TLS are no text: on loopback the client then asks without.
    if reader.read_line(&mut request).is_err() {
        return;
    }
    let mut from = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse().unwrap();
        }
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("");
    let answer = answer(path, std::slice::from_ref(image));
    let (manifest, layer) = (path.contains("/manifests/"), path.ends_with(&image.blobs[0].0));
    let (mut status, mut body) = (answer.status, answer.body.to_vec());
    match fault {
        Fault::Status(wanted) if manifest => {
            let code = wanted.split(' ').next().unwrap();
            (status, body) = (wanted, format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#).into());
        }
        Fault::WrongManifest if manifest => body.push(b' '),
        Fault::WrongLayer if layer => *body.last_mut().unwrap() ^= 1,
        _ => {}
    }
    let length = body.len() - from;
    let status = if from > 0 { "206 Partial Content" } else { status };
    let range = format!("Content-Range: bytes {from}-{}/{}\r\n", body.len().saturating_sub(1), body.len());
    let range = if from > 0 { range.as_str() } else { "" };
    let kind = answer.kind;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{range}Connection: close\r\n\r\n"
    );
    let hangs_up = fault == Fault::CutOnce && layer && !cut.swap(true, Ordering::Relaxed);
    let end = if hangs_up { body.len() / 2 } else { body.len() };
    // A client that has seen enough may be gone.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[from..end])));
}

fn start(images: Vec<Image>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let images: &'static [Image] = images.leak();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, |_| {}, || images));
        }
    });
    port
}

/// Answers requests on one connection until it is closed, each after its path was noted.
fn serve<Images: Deref<Target = impl AsRef<[Image]> + ?Sized>>(
    stream: TcpStream,
    note: impl Fn(&str),
    images: impl Fn() -> Images,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        note(path);
        let images = images();
        let Answer { status, kind, digest, body } = answer(path, images.as_ref());
        let length = body.len();
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
        if !digest.is_empty() {
            head += &format!("Docker-Content-Digest: {digest}\r\n");
        }
        head += "\r\n";
        let body = if method == "HEAD" { &[] } else { body };
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
            return;
        }
    }
}

/// Status, media type and body of what a registry that has this image alone answers.
pub(crate) fn honest<'a>(path: &str, image: &'a Image) -> (&'static str, &'static str, &'a [u8]) {
    let Answer { status, kind, body, .. } = answer(path, std::slice::from_ref(image));
    (status, kind, body)
}

/// An answer; the digest is empty where there is none.
struct Answer<'a> {
    status: &'static str,
    kind: &'static str,
    digest: &'a str,
    body: &'a [u8],
}

fn answer<'a>(path: &str, images: &'a [Image]) -> Answer<'a> {
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let found = |kind, digest, body| Answer { status: "200 OK", kind, digest, body };
    let path = path.trim_start_matches("/v2/");
    if path.is_empty() {
        return found("application/json", "", b"{}");
    }
    if let Some((repository, tag)) = path.split_once("/manifests/") {
        let named = format!("{repository}:{tag}");
        if let Some(image) = images.iter().find(|image| image.name == named || image.digest == tag) {
            return found(MANIFEST, &image.digest, &image.manifest);
        }
    } else if let Some((_, digest)) = path.split_once("/blobs/") {
        let blob = images.iter().flat_map(|image| &image.blobs).find(|(name, _)| name == digest);
        if let Some((digest, bytes)) = blob {
            return found("application/octet-stream", digest, bytes);
        }
    }
    let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    Answer { status: "404 Not Found", kind: "application/json", digest: "", body }
}
