//! A registry that is pushed to: it keeps what it is given, wants a login to write when it was told one, and
//! remembers what it was asked. What is pushed has to be whole: blobs have their digests, manifests name
//! blobs that are there.

use crate::images::digest;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The registry; it ends with the test program.
#[derive(Clone, Debug)]
pub struct Depot {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// `user:password` in base64, when writing needs it.
    login: Option<String>,
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
    pub fn start(login: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { login: login.map(str::to_owned), ..State::default() };
        let depot = Self { port, state: Arc::new(Mutex::new(state)) };
        let served = depot.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let depot = served.clone();
                std::thread::spawn(move || depot.serve(stream));
            }
        });
        depot
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        loop {
            let request = read(&mut reader)?;
            let (status, headers, body) = self.answer(&request);
            let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                head += &format!("{name}: {value}\r\n");
            }
            stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
            if request.method != "HEAD" {
                stream.write_all(&body).ok()?;
            }
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
        if path.is_empty() && state.login.is_some() && request.authorization != "Bearer known" {
            let realm = format!("http://127.0.0.1:{}/token", self.port);
            let challenge = format!("Bearer realm=\"{realm}\",service=\"depot\"");
            return ("401 Unauthorized", vec![("WWW-Authenticate", challenge)], vec![]);
        }
        if let Some(scope) = state.refused(request, &path) {
            let realm = format!("http://127.0.0.1:{}/token", self.port);
            let challenge = format!("Bearer realm=\"{realm}\",service=\"depot\",scope=\"{scope}\"");
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
        let known =
            self.login.as_ref().is_some_and(|login| request.authorization == format!("Basic {login}"));
        if !known && !request.authorization.is_empty() {
            return ("401 Unauthorized", vec![], vec![]);
        }
        let scopes = request.query.get("scope").cloned().unwrap_or_default();
        let token = match (known, scopes.is_empty()) {
            (true, true) => "known".to_owned(),
            (true, false) => scopes.replace(' ', "+"),
            (false, _) => "nobody".to_owned(),
        };
        ("200 OK", vec![], format!("{{\"token\":\"{token}\"}}").into_bytes())
    }

    /// The scope that a request lacks.
    fn refused(&self, request: &Request, path: &str) -> Option<String> {
        self.login.as_ref()?;
        if matches!(request.method.as_str(), "GET" | "HEAD") {
            return None;
        }
        let repository = path.split("/blobs/").next()?.split("/manifests/").next()?;
        let mut scope = format!("repository:{repository}:pull,push");
        if let Some(from) = request.query.get("from") {
            scope += &format!(" repository:{from}:pull");
        }
        let granted = request.authorization.trim_start_matches("Bearer ").to_owned();
        let granted: Vec<&str> = granted.split('+').collect();
        (!scope.split(' ').all(|wanted| granted.contains(&wanted))).then_some(scope)
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
fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut pairs = BTreeMap::<String, String>::new();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = value.replace("%2C", ",").replace("%20", " ");
        let known = pairs.entry(name.to_owned()).or_default();
        *known = format!("{known} {value}").trim().to_owned();
    }
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
    Some(Request { method, path: path.to_owned(), query: pairs, authorization, body })
}
