//! A registry that is pushed to: it keeps what it is given, wants a login to write when it was told one, and
//! remembers what it was asked. What is pushed has to be whole: blobs have their digests, manifests name
//! blobs that are there. It may speak TLS, and not let everybody read either.

use crate::images::digest;
use crate::secure::{self, secured};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Whom a registry lets in, and how it is spoken to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate {
    /// `user:password` in base64, when writing needs it.
    pub login: Option<&'static str>,
    /// Reading needs it, too.
    pub reading: bool,
    /// The login goes to the registry itself, not to a token service.
    pub basic: bool,
    /// What the token service takes in the place of a login.
    pub refresh: Option<&'static str>,
    /// It speaks TLS with this certificate of `crates/tls/tests/certificates`.
    pub certificate: Option<&'static str>,
    /// It wants to see a certificate of its own authority.
    pub wants_certificate: bool,
}

/// The registry; it ends with the test program.
#[derive(Clone, Debug)]
pub struct Depot {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    gate: Gate,
    /// Where its token service is.
    realm: String,
    blobs: BTreeMap<String, Vec<u8>>,
    /// Repository and digest of each blob that is in it.
    there: BTreeSet<(String, String)>,
    /// Manifests by repository and by tag or digest.
    manifests: BTreeMap<(String, String), Vec<u8>>,
    /// Bytes of uploads by number.
    uploads: BTreeMap<usize, Vec<u8>>,
    log: Vec<String>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    authorization: String,
    body: Vec<u8>,
}

/// Status, headers, body.
type Answer = (&'static str, Vec<(&'static str, String)>, Vec<u8>);

impl Depot {
    /// One that anybody may read and that `login`, a `user:password` in base64, may write.
    pub fn start(login: Option<&'static str>) -> Self {
        Self::behind(Gate { login, ..Gate::default() })
    }

    /// One that lets in whom the gate says.
    pub fn behind(gate: Gate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let realm = match gate.certificate {
            Some(_) => format!("https://0.0.0.0:{port}/token"),
            None => format!("http://127.0.0.1:{port}/token"),
        };
        let depot = Self { port, state: Arc::new(Mutex::new(State { gate, realm, ..State::default() })) };
        let served = depot.clone();
        let config =
            gate.certificate.map(|name| secure::config(name, rustls::ALL_VERSIONS, gate.wants_certificate));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (depot, config) = (served.clone(), config.clone());
                std::thread::spawn(move || match config {
                    Some(config) => depot.serve(secured(config, stream)),
                    None => depot.serve(stream),
                });
            }
        });
        depot
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The same place under a name that is not loopback's: what is there has to prove who it is.
    pub fn distant(&self) -> String {
        format!("0.0.0.0:{}", self.port)
    }

    /// The manifest under a tag or digest of a repository.
    pub fn manifest(&self, repository: &str, name: &str) -> Option<Value> {
        let state = self.state.lock().unwrap();
        let bytes = state.manifests.get(&(repository.to_owned(), name.to_owned()))?;
        Some(serde_json::from_slice(bytes).unwrap())
    }

    /// Method and path of the requests since this was asked last.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }

    fn serve(&self, stream: impl Read + Write) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let Some(request) = read(&mut reader) else {
                // What servers say to a greeting of TLS where they do not speak it.
                return reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
            };
            let (status, headers, body) = self.answer(&request);
            let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            let stream = reader.get_mut();
            stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
            if request.method != "HEAD" {
                stream.write_all(&body).ok()?;
            }
            stream.flush().ok()?;
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        let mut state = self.state.lock().unwrap();
        if request.path == "/token" {
            return state.token(request);
        }
        let line = match request.query.get("mount") {
            Some(_) => format!("{} {}?mount", request.method, request.path),
            None => format!("{} {}", request.method, request.path),
        };
        state.log.push(line);
        let path = request.path.trim_start_matches("/v2/").to_owned();
        if let Some(challenge) = state.refused(request, &path) {
            return ("401 Unauthorized", vec![("WWW-Authenticate", challenge)], vec![]);
        }
        if let Some((repository, rest)) = path.split_once("/blobs/uploads/") {
            return state.upload(request, repository, rest);
        }
        if let Some((repository, name)) = path.split_once("/blobs/") {
            return match state.blobs.get(name) {
                Some(bytes) if state.there.contains(&(repository.to_owned(), name.to_owned())) => {
                    ("200 OK", vec![], bytes.clone())
                }
                _ => ("404 Not Found", vec![], vec![]),
            };
        }
        let Some((repository, name)) = path.split_once("/manifests/") else {
            return ("200 OK", vec![], b"{}".to_vec());
        };
        if request.method == "PUT" {
            return state.put_manifest(repository, name, &request.body);
        }
        match state.manifests.get(&(repository.to_owned(), name.to_owned())) {
            Some(bytes) => {
                let kind: Value = serde_json::from_slice(bytes).unwrap();
                let kind = kind["mediaType"].as_str().unwrap_or_default().to_owned();
                let headers = vec![("Content-Type", kind), ("Docker-Content-Digest", digest(bytes))];
                ("200 OK", headers, bytes.clone())
            }
            None => ("404 Not Found", vec![], vec![]),
        }
    }
}

impl State {
    /// A token says what it is good for.
    fn token(&self, request: &Request) -> Answer {
        let form = if request.method == "POST" {
            pairs(&String::from_utf8_lossy(&request.body))
        } else {
            request.query.clone()
        };
        let refresh = form.get("refresh_token");
        let known =
            self.is_login(request) || (refresh.is_some() && refresh.map(String::as_str) == self.gate.refresh);
        if !known && (refresh.is_some() || !request.authorization.is_empty()) {
            return ("401 Unauthorized", vec![], vec![]);
        }
        let scopes = form.get("scope").cloned().unwrap_or_default();
        let token = match (known, scopes.is_empty()) {
            (true, true) => "known".to_owned(),
            (true, false) => scopes.replace(' ', "+"),
            (false, _) => "nobody".to_owned(),
        };
        ("200 OK", vec![], format!("{{\"token\":\"{token}\"}}").into_bytes())
    }

    fn is_login(&self, request: &Request) -> bool {
        self.gate.login.is_some_and(|login| request.authorization == format!("Basic {login}"))
    }

    /// The challenge to a request that lacks something.
    fn refused(&self, request: &Request, path: &str) -> Option<String> {
        self.gate.login.or(self.gate.refresh)?;
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        if self.gate.basic {
            let free = reads && !path.is_empty() && !self.gate.reading;
            return (!free && !self.is_login(request)).then(|| "Basic realm=\"depot\"".to_owned());
        }
        let challenge = format!("Bearer realm=\"{}\",service=\"depot\"", self.realm);
        if path.is_empty() {
            return (request.authorization != "Bearer known").then_some(challenge);
        }
        if reads && !self.gate.reading {
            return None;
        }
        let repository = path.split("/blobs/").next()?.split("/manifests/").next()?;
        let mut scope = format!("repository:{repository}:{}", if reads { "pull" } else { "pull,push" });
        if let Some(from) = request.query.get("from") {
            scope += &format!(" repository:{from}:pull");
        }
        let granted = request.authorization.trim_start_matches("Bearer ").to_owned();
        let granted: Vec<&str> = granted.split('+').collect();
        let may = |wanted: &str| {
            granted.iter().any(|given| *given == wanted || given.strip_suffix(",push") == Some(wanted))
        };
        (!scope.split(' ').all(may)).then(|| format!("{challenge},scope=\"{scope}\""))
    }

    fn upload(&mut self, request: &Request, repository: &str, rest: &str) -> Answer {
        let place = |number: usize| vec![("Location", format!("/v2/{repository}/blobs/uploads/{number}"))];
        if request.method == "POST" {
            let mounted = request.query.get("mount").zip(request.query.get("from"));
            if let Some((blob, from)) = mounted
                && self.there.contains(&(from.clone(), blob.clone()))
            {
                self.there.insert((repository.to_owned(), blob.clone()));
                return ("201 Created", vec![], vec![]);
            }
            let number = self.uploads.len();
            self.uploads.insert(number, vec![]);
            return ("202 Accepted", place(number), vec![]);
        }
        let number: usize = rest.parse().unwrap();
        let Some(bytes) = self.uploads.get_mut(&number) else { return ("404 Not Found", vec![], vec![]) };
        bytes.extend_from_slice(&request.body);
        if request.method == "PATCH" {
            return ("202 Accepted", place(number), vec![]);
        }
        let found = digest(bytes);
        if request.query.get("digest") != Some(&found) {
            return ("400 Bad Request", vec![], br#"{"errors":[{"code":"DIGEST_INVALID"}]}"#.to_vec());
        }
        self.blobs.insert(found.clone(), bytes.clone());
        self.there.insert((repository.to_owned(), found));
        ("201 Created", vec![], vec![])
    }

    fn put_manifest(&mut self, repository: &str, name: &str, bytes: &[u8]) -> Answer {
        let manifest: Value = serde_json::from_slice(bytes).unwrap();
        let layers = manifest["layers"].as_array().into_iter().flatten();
        let whole = layers.chain([&manifest["config"]]).filter(|part| !part.is_null()).all(|part| {
            let digest = part["digest"].as_str().unwrap().to_owned();
            self.blobs.get(&digest).is_some_and(|blob| part["size"] == blob.len())
                && self.there.contains(&(repository.to_owned(), digest))
        });
        if !whole {
            let body = br#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#.to_vec();
            return ("400 Bad Request", vec![], body);
        }
        let digest = digest(bytes);
        for name in [name, digest.as_str()] {
            self.manifests.insert((repository.to_owned(), name.to_owned()), bytes.to_vec());
        }
        ("201 Created", vec![("Docker-Content-Digest", digest)], vec![])
    }
}

/// Reads a request; `None` at the end, or when it is no text: the first words of TLS.
fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = pairs(query);
    let (mut length, mut chunked, mut authorization) = (0, false, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "transfer-encoding" => chunked = value.trim() == "chunked",
            "authorization" => authorization = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![];
    if chunked {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut piece = vec![0; size + 2];
            reader.read_exact(&mut piece).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&piece[..size]);
        }
    } else {
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
    }
    Some(Request { method, path: path.to_owned(), query, authorization, body })
}

/// The pairs of a query or form; values of one name are joined by blanks.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::<String, String>::new();
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = value.replace("%2C", ",").replace("%20", " ");
        let known = pairs.entry(name.to_owned()).or_default();
        *known = format!("{known} {value}").trim().to_owned();
    }
    pairs
}
