//! Files at any address, as `ADD` takes them: no credentials, redirects followed, never from a secure
//! connection into the clear. A file that has not changed since is not sent again.

use crate::body::Body;
use crate::client::{target, unreachable};
use crate::http::Origin;
use crate::pace::Paced;
use crate::{Failure, PAUSES, Registry};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION,
};
use hyper::{Request, Response, Uri};

/// Redirects followed for one file.
const REDIRECT_LIMIT: usize = 10;

/// What a server says of a file, to ask it later whether the file has changed. Empty is unsaid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// `ETag`.
    pub tag: String,
    /// `Last-Modified`.
    pub modified: String,
}

/// The answer to a question for a file.
#[derive(Debug)]
pub enum Fetched {
    /// It is as it was in the version asked about.
    Unchanged,
    /// It, and which version.
    File(Version, Content),
}

/// The bytes of a file, as they come.
#[derive(Debug)]
pub struct Content(Paced);

impl Content {
    /// The next bytes; `None` at the end. An error is a cut connection.
    ///
    /// # Errors
    /// What cut it.
    pub async fn chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        self.0.next().await
    }
}

impl Registry {
    /// Asks for the file at an `http` or `https` address, or whether it is still as it was. `authorization` is for that
    /// host alone, not for those it sends us to.
    ///
    /// # Errors
    /// [`Failure`], after some attempts when the network falters.
    pub async fn fetch(
        &self,
        address: &str,
        known: Option<&Version>,
        authorization: Option<&str>,
    ) -> Result<Fetched, Failure> {
        let mut pauses = PAUSES.into_iter();
        loop {
            match self.fetch_once(address, known, authorization).await {
                // A host that refuses or has no name does not change its mind in a second.
                Err(Failure::Status { status, .. })
                    if matches!(status, 408 | 429 | 500..=504) && pauses.len() > 0 =>
                {
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                }
                other => return other,
            }
        }
    }

    async fn fetch_once(
        &self,
        address: &str,
        known: Option<&Version>,
        authorization: Option<&str>,
    ) -> Result<Fetched, Failure> {
        let protocol =
            |reason: &str| Failure::Protocol { url: address.to_owned(), reason: reason.to_owned() };
        let (address, _) = address.split_once('#').unwrap_or((address, ""));
        let uri: Uri = address.parse().map_err(|_| protocol("this is no address"))?;
        let mut at = Origin::of(&uri, false).ok_or_else(|| protocol("this is no address of a web server"))?;
        let mut path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let asked = at.clone();
        for _ in 0..REDIRECT_LIMIT {
            let answer = self.ask(&at, &path, known, authorization.filter(|_| at == asked)).await?;
            let url = format!("{}{path}", at.url());
            match answer.status().as_u16() {
                200 => {
                    let (head, body) = answer.into_parts();
                    return Ok(Fetched::File(
                        version(&head.headers),
                        Content(Paced::new(body, self.client.http.patience)),
                    ));
                }
                304 if known.is_some() => return Ok(Fetched::Unchanged),
                301 | 302 | 303 | 307 | 308 => {
                    let location = text(answer.headers(), &LOCATION);
                    let leads = || protocol(&format!("it redirects to `{location}`"));
                    (at, path) = target(&at, &location).ok_or_else(leads)?;
                }
                status => return Err(Failure::Status { url, status, detail: String::new() }),
            }
        }
        Err(protocol("it redirects in circles"))
    }

    async fn ask(
        &self,
        at: &Origin,
        path: &str,
        known: Option<&Version>,
        authorization: Option<&str>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::get(path).header(ACCEPT, "*/*").header(ACCEPT_ENCODING, "identity");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(known) = known {
            let conditions = [(IF_NONE_MATCH, &known.tag), (IF_MODIFIED_SINCE, &known.modified)];
            // A date says less than a tag.
            if let Some((name, value)) = conditions.into_iter().find(|(_, value)| !value.is_empty()) {
                request = request.header(name, value);
            }
        }
        let request = request.body(Body::whole(Bytes::new())).map_err(|error| Failure::Protocol {
            url: format!("{}{path}", at.url()),
            reason: error.to_string(),
        })?;
        self.client.http.send(at, request).await.map_err(|source| unreachable(at, source))
    }
}

fn version(headers: &HeaderMap) -> Version {
    Version { tag: text(headers, &ETAG), modified: text(headers, &LAST_MODIFIED) }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
