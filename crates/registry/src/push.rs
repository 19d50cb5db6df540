//! Gives a registry what it lacks: blobs, then the manifest that names them.
//!
//! ```text
//! HEAD blob ──there──▶ nothing to do
//!    └─▶ POST uploads ?mount= ──201──▶ taken over from another repository
//!             └──202──▶ PATCH, all bytes as one stream ─▶ PUT ?digest=
//! ```
//! One stream rather than pieces with ranges: every registry takes it, and the digest may be known last.

use crate::body::Body;
use crate::client::Ask;
use crate::conf::Endpoint;
use crate::error::Act;
use crate::{Failure, Place, Registry, RegistryError, manifest};
use bytes::Bytes;
use hyper::header::LOCATION;
use hyper::{Method, StatusCode};
use resource::{Digest, Reference};
use std::io;
use tokio::sync::mpsc::Receiver;

/// Media type of a manifest that does not say its own.
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A blob on its way.
#[derive(Debug)]
pub struct Upload {
    /// Where what follows goes; without the host: nothing leaves the registry.
    location: String,
}

impl Registry {
    /// Where an image is pushed to: the registry itself, never a mirror, and where a name has no registry
    /// Docker's, whatever else it may be found under.
    ///
    /// # Errors
    /// [`Failure::Blocked`]
    pub fn target(&self, reference: &Reference) -> Result<Place, RegistryError> {
        let endpoint = self.registries.endpoints(reference).unwrap_or_default().pop();
        let endpoint = endpoint.ok_or_else(|| blocked(Act::Put, reference))?;
        Ok(Place { reference: reference.clone(), endpoint, act: Act::Put })
    }

    /// Where the blobs of an image can be had: mirrors first.
    ///
    /// # Errors
    /// [`Failure::Blocked`]
    pub fn sources(&self, reference: &Reference) -> Result<Vec<Place>, RegistryError> {
        let place = |endpoint| Place { reference: reference.clone(), endpoint, act: Act::Get };
        let endpoints = self.registries.endpoints(reference).ok_or_else(|| blocked(Act::Get, reference))?;
        Ok(endpoints.into_iter().map(place).collect())
    }

    /// Whether a repository has this blob. One that hides what it has is taken to lack it.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn has_blob(&self, place: &Place, digest: &Digest) -> Result<bool, RegistryError> {
        let path = format!("/v2/{}/blobs/{digest}", place.endpoint.repository);
        match self.client.ask(&place.endpoint, Ask::new(Method::HEAD, path)).await {
            Ok(_) => Ok(true),
            Err(Failure::NotFound { .. } | Failure::Unauthorised { .. }) => Ok(false),
            Err(failure) => Err(place.error(failure)),
        }
    }

    /// Begins to give a repository a blob. `from` is a repository of the same registry that may have it;
    /// `None` is returned where it was taken over from there.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn begin_upload(
        &self,
        place: &Place,
        from: Option<(&Digest, &Place)>,
    ) -> Result<Option<Upload>, RegistryError> {
        let mut path = format!("/v2/{}/blobs/uploads/", place.endpoint.repository);
        let mut ask = Ask::new(Method::POST, String::new());
        if let Some((digest, from)) = from.filter(|(_, from)| from.is_beside(place)) {
            path += &format!("?mount={digest}&from={}", from.endpoint.repository);
            ask.also_from = Some(from.endpoint.repository.clone());
        }
        ask.path = path;
        let begin = async {
            let answer = self.client.ask(&place.endpoint, ask).await?;
            if answer.status() == StatusCode::CREATED {
                return Ok(None);
            }
            Ok(Some(Upload { location: location(&place.endpoint, &answer)? }))
        };
        begin.await.map_err(|failure| place.error(failure))
    }

    /// Sends a blob's bytes: the pieces of a channel until it is closed. `length` is how many there are, when
    /// known. An error among the pieces breaks the upload off.
    ///
    /// # Errors
    /// [`RegistryError`]; whether beginning anew may help is [`Failure::is_passing`].
    pub async fn upload(
        &self,
        place: &Place,
        upload: Upload,
        pieces: Receiver<io::Result<Bytes>>,
        length: Option<u64>,
    ) -> Result<Upload, RegistryError> {
        let send = async {
            let mut ask = Ask::new(Method::PATCH, upload.location);
            ask.kind = Some("application/octet-stream".to_owned());
            ask.body = Body::stream(pieces, length);
            location(&place.endpoint, &self.client.ask(&place.endpoint, ask).await?)
        };
        send.await.map(|location| Upload { location }).map_err(|failure| place.error(failure))
    }

    /// Ends a blob; the registry checks its digest.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn end_upload(
        &self,
        place: &Place,
        upload: Upload,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let Upload { location } = upload;
        let separator = if location.contains('?') { '&' } else { '?' };
        let ask = Ask::new(Method::PUT, format!("{location}{separator}digest={digest}"));
        self.client.ask(&place.endpoint, ask).await.map(drop).map_err(|failure| place.error(failure))
    }

    /// Puts a manifest under a tag or, when that is not given, its digest. The repository has all it names.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn put_manifest(
        &self,
        place: &Place,
        tag: Option<&str>,
        manifest: Bytes,
    ) -> Result<Digest, RegistryError> {
        let digest = crate::digest_of(&manifest);
        let name = tag.unwrap_or(digest.as_str());
        let mut ask = Ask::new(Method::PUT, format!("/v2/{}/manifests/{name}", place.endpoint.repository));
        ask.kind = Some(manifest::media_type(&manifest).unwrap_or_else(|| OCI_MANIFEST.to_owned()));
        ask.body = Body::whole(manifest);
        let put = self.client.ask(&place.endpoint, ask).await.map_err(|failure| place.error(failure))?;
        let said = put.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        match said.and_then(|text| Digest::parse(text).ok()).filter(|said| *said != digest) {
            Some(found) => {
                Err(place.error(Failure::WrongDigest { what: "manifest", expected: digest, found }))
            }
            None => Ok(digest),
        }
    }
}

/// Where a registry wants what follows. Another host is refused: it would be sent an image that may be
/// secret. Registries behind a proxy get their own scheme wrong, so that is not looked at.
fn location(endpoint: &Endpoint, answer: &hyper::Response<hyper::body::Incoming>) -> Result<String, Failure> {
    let protocol =
        |reason: &str| Failure::Protocol { url: endpoint.host().to_owned(), reason: reason.to_owned() };
    let text = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let text = text.ok_or_else(|| protocol("it does not say where uploads go"))?;
    let uri: hyper::Uri = text.parse().map_err(|_| protocol("it names no place for uploads"))?;
    let usual = |host: &str| {
        let host = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host);
        host.to_ascii_lowercase()
    };
    if uri.authority().is_some_and(|there| usual(there.as_str()) != usual(endpoint.host())) {
        return Err(protocol("it wants uploads to go to another host"));
    }
    let path = uri.path_and_query().map(|path| path.as_str()).filter(|path| path.starts_with('/'));
    path.map(str::to_owned).ok_or_else(|| protocol("it names no place for uploads"))
}

fn blocked(act: Act, reference: &Reference) -> RegistryError {
    let (image, registry) = (reference.familiar(), reference.registry.clone());
    let (endpoint, source) = (registry.clone(), Box::new(Failure::Blocked));
    RegistryError { act, image, endpoint, registry, source, before: vec![] }
}
