//! Requests to one repository: who we are, redirects, and what a refusal means.

use crate::Failure;
use crate::body::Body;
use crate::challenge::{self, Challenge};
use crate::conf::{Endpoint, is_loopback};
use crate::credentials::{Credential, Credentials};
use crate::http::{Http, Origin};
use crate::pace::collect;
use base64::Engine as _;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Redirects followed for one request.
const REDIRECT_LIMIT: usize = 6;
/// Bytes that the answer of a token service may have.
const TOKEN_LIMIT: usize = 256 * 1024;
/// How `Authorization` begins with a token.
const BEARER: &[u8] = b"Bearer ";
/// Bytes of an error's body that are looked at.
const ERROR_LIMIT: usize = 64 * 1024;

/// What is known of registries by now.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) http: Http,
    credentials: Credentials,
    /// Whether an insecure registry speaks TLS.
    tls: Mutex<HashMap<String, bool>>,
    /// `Authorization` for a repository, and until when.
    tokens: Mutex<HashMap<Endpoint, (HeaderValue, Instant)>>,
}

/// A GET.
#[derive(Clone, Debug)]
pub(crate) struct Get<'a> {
    pub(crate) path: String,
    pub(crate) accept: &'a str,
    /// The first byte wanted.
    pub(crate) from: u64,
}

/// Any request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: String,
    /// The first byte wanted.
    pub(crate) from: u64,
    /// The media type of the body.
    pub(crate) kind: Option<String>,
    pub(crate) body: Body,
    /// Another repository that has to be readable for this.
    pub(crate) also_from: Option<String>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: String) -> Self {
        let (accept, body) = ("*/*".to_owned(), Body::whole(Bytes::new()));
        Self { method, path, accept, from: 0, kind: None, body, also_from: None }
    }

    /// The head of the request for this path, which a redirect may have changed.
    fn request(&self, path: &str) -> hyper::http::request::Builder {
        let mut request =
            Request::builder().method(self.method.clone()).uri(path).header(ACCEPT, &self.accept);
        if self.from > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.from));
        }
        if let Some(kind) = &self.kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        request
    }

    fn changes(&self) -> bool {
        self.method != Method::GET && self.method != Method::HEAD
    }

    /// What a token is asked to allow where the registry does not say.
    fn scope(&self, repository: &str) -> String {
        let actions = if self.changes() { "pull,push" } else { "pull" };
        let also = self.also_from.as_ref().map(|from| format!(" repository:{from}:pull"));
        format!("repository:{repository}:{actions}{}", also.unwrap_or_default())
    }
}

/// What a token service answers.
#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

/// The errors in a registry's answer.
#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Client {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, ..Self::default() }
    }

    /// Gets something of a repository.
    pub(crate) async fn get(
        &self,
        endpoint: &Endpoint,
        get: &Get<'_>,
    ) -> Result<Response<Incoming>, Failure> {
        let ask = Ask::new(Method::GET, get.path.clone());
        self.ask(endpoint, Ask { accept: get.accept.to_owned(), from: get.from, ..ask }).await
    }

    /// Asks a repository for something, or gives it something; proves who we are when asked to, once. A
    /// stream is sent once: who sends one has been let in by then.
    pub(crate) async fn ask(&self, endpoint: &Endpoint, mut ask: Ask) -> Result<Response<Incoming>, Failure> {
        let origin = self.origin(endpoint).await?;
        let kept = self.kept_token(endpoint);
        let again = ask.body.again();
        let answer = self.follow(&origin, &mut ask, kept.as_ref()).await?;
        let (StatusCode::UNAUTHORIZED, Some(body)) = (answer.status(), again) else {
            return self.judge(&origin, &ask, answer, None).await;
        };
        ask.body = body;
        let challenges = challenges(&answer);
        self.drain(answer).await;
        let (credential, fault) = self.credentials.find(&endpoint.registry, &endpoint.repository).await;
        let answer = self.prove_and_ask(endpoint, &origin, &mut ask, &challenges, credential).await;
        let refused = |failure: &Failure| {
            matches!(
                failure,
                Failure::Unauthorised { .. }
                    | Failure::Forbidden { .. }
                    | Failure::NotFound { denied: true, .. }
            )
        };
        match (answer, fault) {
            (Err(failure), Some(fault)) if refused(&failure) => {
                Err(Failure::Unauthorised { given: false, remark: Some(fault.to_string()) })
            }
            (answer, _) => answer,
        }
    }

    /// Asks once more, having met a challenge.
    async fn prove_and_ask(
        &self,
        endpoint: &Endpoint,
        origin: &Origin,
        ask: &mut Ask,
        challenges: &[Challenge],
        credential: Option<Credential>,
    ) -> Result<Response<Incoming>, Failure> {
        let given = credential.is_some();
        let scope = ask.scope(&endpoint.repository);
        let Some(authorization) = self.authorize(endpoint, origin, challenges, credential, &scope).await?
        else {
            return Err(Failure::Unauthorised { given, remark: None });
        };
        let answer = self.follow(origin, ask, Some(&authorization)).await?;
        let judged = self.judge(origin, ask, answer, Some(given)).await;
        match judged {
            // Its token service accepted the credentials: it is what they allow that does not do.
            Err(Failure::Unauthorised { given: true, .. })
                if authorization.as_bytes().starts_with(BEARER) =>
            {
                Err(denied(ask, true, String::new()))
            }
            judged => judged,
        }
    }

    /// Asks a registry whether it knows who has this credential.
    pub(crate) async fn prove(&self, endpoint: &Endpoint, credential: Credential) -> Result<(), Failure> {
        let origin = self.origin(endpoint).await?;
        let mut ask = Ask::new(Method::GET, "/v2/".to_owned());
        let answer = self.follow(&origin, &mut ask, None).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.judge_login(&origin, &ask, answer, None).await;
        }
        let challenges = challenges(&answer);
        self.drain(answer).await;
        let authorization = self.authorize(endpoint, &origin, &challenges, Some(credential), "").await?;
        let authorization = authorization.ok_or_else(|| {
            let reason = "it does not say that it takes a name and a password, nor a token".to_owned();
            Failure::Protocol { url: origin.url(), reason }
        })?;
        let answer = self.follow(&origin, &mut ask, Some(&authorization)).await?;
        self.judge_login(&origin, &ask, answer, Some(true)).await
    }

    /// What the answer to a login means: no image was asked for.
    async fn judge_login(
        &self,
        origin: &Origin,
        ask: &Ask,
        answer: Response<Incoming>,
        given: Option<bool>,
    ) -> Result<(), Failure> {
        let status = answer.status();
        if !status.is_success() && status != StatusCode::FORBIDDEN && status != StatusCode::NOT_FOUND {
            return self.judge(origin, ask, answer, given).await.map(drop);
        }
        let url = format!("{}{}", origin.url(), ask.path);
        let body = self.collect(answer, ERROR_LIMIT).await.map_err(|source| unreachable(origin, source))?;
        let body = body.unwrap_or_default();
        match status.is_success() {
            true if is_page(&body) => Err(Failure::Page { what: "answer" }),
            true => Ok(()),
            false => {
                let errors: Errors = serde_json::from_slice(&body).unwrap_or_default();
                Err(Failure::Status { url, status: status.as_u16(), detail: detail(&errors, &body) })
            }
        }
    }

    /// Reads a whole answer of at most `limit` bytes; `None` when it has more.
    pub(crate) async fn collect(
        &self,
        answer: Response<Incoming>,
        limit: usize,
    ) -> std::io::Result<Option<Bytes>> {
        collect(answer.into_body(), limit, self.http.patience).await
    }

    /// Reads the rest of an answer so that its connection can be used again; gives up on long ones.
    async fn drain(&self, answer: Response<Incoming>) {
        // Whatever happens here, the answer was not wanted.
        let _ = self.collect(answer, ERROR_LIMIT).await;
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// How a registry is spoken to. Plain HTTP only where its configuration allows it.
    async fn origin(&self, endpoint: &Endpoint) -> Result<Origin, Failure> {
        let host = endpoint.host();
        let named = |secure| {
            Origin::named(host, secure, endpoint.insecure).ok_or_else(|| Failure::Protocol {
                url: host.to_owned(),
                reason: "this is no name of a registry".to_owned(),
            })
        };
        let secure = named(true)?;
        if !endpoint.insecure {
            return Ok(secure);
        }
        let known = self.tls.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied();
        let speaks = match known {
            Some(speaks) => speaks,
            None => {
                // Without a port the two have different ones.
                let speaks = self.http.speaks_tls(&secure).await;
                let plain = named(false)?;
                let speaks = match speaks {
                    Err(_) if plain.port != secure.port => false,
                    other => other.map_err(|source| unreachable(&secure, source))?,
                };
                self.tls.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), speaks);
                speaks
            }
        };
        named(speaks)
    }

    /// Sends the request and follows redirects. Credentials stay with the first host.
    async fn follow(
        &self,
        origin: &Origin,
        ask: &mut Ask,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Failure> {
        let (mut at, mut path) = (origin.clone(), ask.path.clone());
        for _ in 0..REDIRECT_LIMIT {
            let mut request = ask.request(&path);
            if let Some(value) = authorization.filter(|_| at == *origin) {
                request = request.header(AUTHORIZATION, value);
            }
            let protocol = |reason: String| Failure::Protocol { url: format!("{}{path}", at.url()), reason };
            let body = ask.body.again();
            let body = std::mem::replace(&mut ask.body, body.unwrap_or(Body::Whole(None)));
            let request = request.body(body).map_err(|error| protocol(error.to_string()))?;
            let answer = self.http.send(&at, request).await.map_err(|source| unreachable(&at, source))?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            if ask.changes() {
                return Err(protocol("it redirects what it is sent".to_owned()));
            }
            let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.ok_or_else(|| protocol("it redirects to nowhere".to_owned()))?;
            let (next, next_path) =
                target(&at, location).ok_or_else(|| protocol(format!("it redirects to `{location}`")))?;
            self.drain(answer).await;
            (at, path) = (next, next_path);
        }
        Err(Failure::Protocol {
            url: format!("{}{}", at.url(), ask.path),
            reason: "it redirects in circles".to_owned(),
        })
    }

    /// What an answer means. `given`: we proved who we are with this request, with credentials or not.
    async fn judge(
        &self,
        origin: &Origin,
        ask: &Ask,
        answer: Response<Incoming>,
        given: Option<bool>,
    ) -> Result<Response<Incoming>, Failure> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let url = format!("{}{}", origin.url(), ask.path);
        let after = retry_after(&answer);
        let body = self.collect(answer, ERROR_LIMIT).await.ok().flatten().unwrap_or_default();
        let errors: Errors = serde_json::from_slice(&body).unwrap_or_default();
        Err(match (status.as_u16(), given) {
            (404, _) if ask.changes() => Failure::NoRepository { said: detail(&errors, &body) },
            (404, _) => Failure::NotFound { denied: false, said: String::new() },
            // A token that the service gave anybody is not enough: it may not even exist.
            (401, Some(false)) | (403, None | Some(false)) => denied(ask, false, detail(&errors, &body)),
            (401 | 403, given) if errors.errors.iter().any(|error| error.code == "DENIED") => {
                denied(ask, given == Some(true), detail(&errors, &body))
            }
            (401 | 403, given) => Failure::Unauthorised { given: given == Some(true), remark: None },
            (429, _) => Failure::RateLimited { after },
            (status, _) => Failure::Status { url, status, detail: detail(&errors, &body) },
        })
    }

    fn kept_token(&self, endpoint: &Endpoint) -> Option<HeaderValue> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, until) = tokens.get(endpoint)?;
        (*until > Instant::now()).then(|| value.clone())
    }

    /// The value of `Authorization` that answers one of the challenges; `None` when we have none.
    async fn authorize(
        &self,
        endpoint: &Endpoint,
        origin: &Origin,
        challenges: &[Challenge],
        credential: Option<Credential>,
        scope: &str,
    ) -> Result<Option<HeaderValue>, Failure> {
        let of = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        let (value, seconds) = if let Some(challenge) = of("bearer") {
            let token = self.token(endpoint, origin, challenge, credential.as_ref(), scope).await?;
            let value = if token.token.is_empty() { token.access_token } else { token.token };
            (format!("Bearer {value}"), token.expires_in.unwrap_or(60).clamp(10, 3600))
        } else if let (Some(_), Some(Credential::Password { user, password })) = (of("basic"), &credential) {
            (basic(user, password), 3600)
        } else {
            return Ok(None);
        };
        let protocol =
            |_| Failure::Protocol { url: origin.url(), reason: "its token is no header".to_owned() };
        let mut value = HeaderValue::from_str(&value).map_err(protocol)?;
        value.set_sensitive(true);
        let until = Instant::now() + Duration::from_secs(seconds * 9 / 10);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(endpoint.clone(), (value.clone(), until));
        Ok(Some(value))
    }

    /// Asks the token service that a challenge names.
    async fn token(
        &self,
        endpoint: &Endpoint,
        origin: &Origin,
        challenge: &Challenge,
        credential: Option<&Credential>,
        scope: &str,
    ) -> Result<Token, Failure> {
        let parameter = |name: &str| challenge.parameters.get(name).map(String::as_str);
        let realm = parameter("realm").unwrap_or_default();
        let protocol = |reason: &str| Failure::Protocol { url: origin.url(), reason: reason.to_owned() };
        let uri: Uri = realm.parse().map_err(|_| protocol("its token service has no address"))?;
        let mut service =
            Origin::of(&uri, false).ok_or_else(|| protocol("its token service has no address"))?;
        // What answers on this machine need not prove that it does, whatever name the registry has here.
        let both_here = is_loopback(&origin.host) && is_loopback(&service.host);
        service.insecure = endpoint.insecure && (service.host == origin.host || both_here);
        if origin.secure && !service.secure {
            return Err(protocol("its token service would send secrets in the clear"));
        }
        let scopes = parameter("scope").unwrap_or(scope).split_ascii_whitespace();
        let mut query = vec![("service", parameter("service"))];
        query.extend(scopes.map(|scope| ("scope", Some(scope))));
        let mut query = form(&query);
        let path = uri.path();
        let request = match credential {
            Some(Credential::Refresh(token)) => {
                let refresh = [
                    ("grant_type", Some("refresh_token")),
                    ("client_id", Some("compose")),
                    ("refresh_token", Some(token.as_str())),
                ];
                let body = format!("{query}&{}", form(&refresh));
                let kind = "application/x-www-form-urlencoded";
                Request::post(path).header(CONTENT_TYPE, kind).body(Body::whole(body))
            }
            other => {
                if let Some(before) = uri.query() {
                    query = format!("{before}&{query}");
                }
                let mut request = Request::get(format!("{path}?{query}"));
                if let Some(Credential::Password { user, password }) = other {
                    request = request.header(AUTHORIZATION, basic(user, password));
                }
                request.body(Body::whole(Bytes::new()))
            }
        };
        let request = request.map_err(|_| protocol("its token service has no address"))?;
        let answer =
            self.http.send(&service, request).await.map_err(|source| unreachable(&service, source))?;
        let (status, after) = (answer.status(), retry_after(&answer));
        let body = self.collect(answer, TOKEN_LIMIT).await.map_err(|source| unreachable(&service, source))?;
        let body = body.ok_or(Failure::TooBig { what: "token", limit: TOKEN_LIMIT as u64 })?;
        match status.as_u16() {
            200..=299 if is_page(&body) => Err(Failure::Page { what: "token" }),
            200..=299 => {
                let token: Option<Token> = serde_json::from_slice(&body).ok();
                let token = token.filter(|token| !token.token.is_empty() || !token.access_token.is_empty());
                token.ok_or_else(|| protocol("its token service gives no token"))
            }
            401 | 403 => {
                let said = detail(&serde_json::from_slice(&body).unwrap_or_default(), &body);
                let remark = (!said.is_empty()).then(|| format!("it says: {said}"));
                Err(Failure::Unauthorised { given: credential.is_some(), remark })
            }
            429 => Err(Failure::RateLimited { after }),
            status => {
                let errors: Errors = serde_json::from_slice(&body).unwrap_or_default();
                Err(Failure::Status {
                    url: format!("{}{path}", service.url()),
                    status,
                    detail: detail(&errors, &body),
                })
            }
        }
    }
}

/// What it means that who asks may not: registries hide what they have, and nobody can hide what is sent to them.
fn denied(ask: &Ask, given: bool, said: String) -> Failure {
    if ask.changes() { Failure::Forbidden { given, said } } else { Failure::NotFound { denied: true, said } }
}

/// Whether a body is made for a browser.
pub(crate) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// The seconds for which a registry wants to be left alone.
fn retry_after(answer: &Response<Incoming>) -> Option<u64> {
    seconds_until(answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim(), Timestamp::now())
}

/// What `Retry-After` says: a number of seconds, or a date.
fn seconds_until(text: &str, now: Timestamp) -> Option<u64> {
    let date = || {
        let then = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(u64::try_from(then.as_second() - now.as_second()).unwrap_or(0))
    };
    text.parse().ok().or_else(date)
}

/// How a registry wants to be shown who asks.
fn challenges(answer: &Response<Incoming>) -> Vec<Challenge> {
    let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    headers.filter_map(|value| value.to_str().ok()).flat_map(challenge::parse).collect()
}

pub(crate) fn unreachable(origin: &Origin, source: std::io::Error) -> Failure {
    Failure::Unreachable { address: origin.address(), source }
}

/// Where a redirect leads: never from a secure connection to one that can be listened to.
pub(crate) fn target(at: &Origin, location: &str) -> Option<(Origin, String)> {
    let uri: Uri = location.parse().ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if uri.scheme().is_none() {
        return location.starts_with('/').then(|| (at.clone(), path));
    }
    let mut next = Origin::of(&uri, false)?;
    next.insecure = at.insecure && next.host == at.host;
    (next.secure || !at.secure).then_some((next, path))
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// A query or form of the pairs that have a value.
fn form(pairs: &[(&str, Option<&str>)]) -> String {
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b':' => {
                    encoded.push(char::from(byte));
                }
                other => encoded.push_str(&format!("%{other:02X}")),
            }
            encoded
        })
    };
    let pairs = pairs.iter().filter_map(|(name, value)| Some(format!("{name}={}", encode((*value)?))));
    pairs.collect::<Vec<_>>().join("&")
}

/// What a registry says of an error, in a line.
fn detail(errors: &Errors, body: &[u8]) -> String {
    let said = errors
        .errors
        .first()
        .map(|error| if error.message.is_empty() { error.code.clone() } else { error.message.clone() });
    let said = said.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        if text.trim_start().starts_with('<') { String::new() } else { text.trim().to_owned() }
    });
    said.chars().filter(|character| !character.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_does_not_lead_into_the_clear() {
        let secure = Origin::named("r.test", true, false).unwrap();
        let shown = |location: &str| {
            target(&secure, location).map(|(origin, path)| format!("{}{path}", origin.url()))
        };
        assert_eq!(shown("https://cdn.test/x?y=1").unwrap(), "https://cdn.test/x?y=1");
        assert_eq!(shown("/v2/x").unwrap(), "https://r.test/v2/x");
        assert_eq!(shown("http://cdn.test/x"), None);
        assert_eq!(shown("ftp://cdn.test/x"), None);
        let plain = Origin::named("r.test", false, true).unwrap();
        let (next, _) = target(&plain, "https://cdn.test/x").unwrap();
        assert!(!next.insecure);
    }

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let now = "2026-03-01T10:00:00Z".parse().unwrap();
        assert_eq!(seconds_until("120", now), Some(120));
        assert_eq!(seconds_until("Sun, 01 Mar 2026 10:01:30 GMT", now), Some(90));
        assert_eq!(seconds_until("Sun, 01 Mar 2026 09:00:00 GMT", now), Some(0));
        assert_eq!(seconds_until("soon", now), None);
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(
            form(&[("a", Some("b c&d")), ("e", None), ("s", Some("r:x/y:pull"))]),
            "a=b%20c%26d&s=r:x/y:pull"
        );
    }
}
