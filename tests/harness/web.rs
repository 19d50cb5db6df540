//! A web server on loopback, inside the test process: the files of a folder.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// When every file was last changed, as a server says it.
const MODIFIED: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

/// A server. It serves until the process ends.
#[derive(Debug)]
pub struct Web {
    /// Its port.
    pub port: u16,
    folder: PathBuf,
    /// Method, path and status of each answer so far.
    log: Arc<Mutex<Vec<String>>>,
    /// Paths that lead elsewhere.
    redirects: Arc<Mutex<BTreeMap<String, String>>>,
    /// Beginnings of paths that want this `Authorization`.
    guarded: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Web {
    /// Serves the files of a folder, as they are when they are asked for.
    pub fn serve(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let web = Self {
            port,
            folder: folder.to_owned(),
            log: Arc::default(),
            redirects: Arc::default(),
            guarded: Arc::default(),
        };
        let server = Self {
            folder: web.folder.clone(),
            log: web.log.clone(),
            redirects: web.redirects.clone(),
            guarded: web.guarded.clone(),
            ..web
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                server.answer(stream);
            }
        });
        web
    }

    /// Has a path lead to another address.
    pub fn redirect(&self, from: &str, to: &str) {
        self.redirects.lock().unwrap().insert(from.to_owned(), to.to_owned());
    }

    /// Has everything below a path want this `Authorization`.
    pub fn guard(&self, below: &str, authorization: &str) {
        self.guarded.lock().unwrap().insert(below.to_owned(), authorization.to_owned());
    }

    /// Method, path and status of each answer since this was asked last.
    pub fn answers(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// Answers one request and hangs up.
    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        let (mut request, mut line) = (String::new(), String::new());
        let (mut known, mut authorization) = (String::new(), String::new());
        if reader.read_line(&mut request).is_err() {
            return;
        }
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => {
                    value.trim().clone_into(&mut known);
                }
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    value.trim().clone_into(&mut authorization);
                }
                _ => {}
            }
            line.clear();
        }
        let mut words = request.split(' ');
        let (method, whole) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let path = whole.split('?').next().unwrap_or("");
        let redirect = self.redirects.lock().unwrap().get(path).cloned();
        let body = std::fs::read(self.folder.join(path.trim_start_matches('/')));
        let guarded = self.guarded.lock().unwrap();
        let may = guarded.iter().all(|(below, wanted)| !path.starts_with(below) || authorization == *wanted);
        drop(guarded);
        let (status, header, body) = match (redirect, body) {
            _ if !may => ("401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n".to_owned(), vec![]),
            (Some(to), _) => ("302 Found", format!("Location: {to}\r\n"), vec![]),
            (None, Err(_)) => ("404 Not Found", String::new(), vec![]),
            (None, Ok(body)) => {
                let tag = format!("\"{}\"", crate::images::digest(&body));
                let header = format!("ETag: {tag}\r\nLast-Modified: {MODIFIED}\r\n");
                if known == tag { ("304 Not Modified", header, vec![]) } else { ("200 OK", header, body) }
            }
        };
        self.log.lock().unwrap().push(format!("{method} {whole} {}", &status[..3]));
        let head = format!(
            "HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // A client that has seen enough may be gone.
        drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
    }
}
