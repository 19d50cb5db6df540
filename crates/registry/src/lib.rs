//! Speaks the distribution protocol: finds the manifest of an image for a platform, streams blobs, and pushes.
//!
//! Where a registry is and how it is spoken to is what registries.conf says; mirrors are asked first.
//! Manifests and configurations are checked against their digests here; layers are the caller's to
//! check, because they are streamed. Credentials go to the registry they are for and to the token
//! service it names, never along a redirect to another host.

mod auth_file;
mod body;
mod challenge;
mod client;
mod conf;
mod credentials;
mod error;
mod fetch;
mod http;
mod login;
mod manifest;
mod pace;
mod proxy;
mod push;
mod tls;
mod tried;

pub use conf::Registries;
pub use credentials::Credentials;
pub use error::{Act, ConfigError, Failure, RegistryError, Remedy};
pub use fetch::{Content, Fetched, Version};

pub use ::tls::PeerFault;
pub use bytes::Bytes;
use client::{Client, Get};
use conf::{Endpoint, Spot};
use hyper::StatusCode;
use hyper::header::{CONTENT_RANGE, HeaderMap};
pub use login::{Kept, LoggedOut, LoginError, registry_name};
use manifest::{MadeFor, Manifest};
use pace::Paced;
pub use pace::Patience;
pub use push::Upload;
use resource::{Digest, Platform, Reference};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tls::Tls;
use tried::Tried;

/// Bytes that a manifest may have.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// Bytes that a configuration may have.
const CONFIG_LIMIT: u64 = 8 << 20;
/// Seconds that a registry may ask to be left alone for without being given up.
const PATIENCE: u64 = 10;
/// Pauses before asking again when the network or the registry falters.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// A client for all registries. Made once; opens nothing before it is asked for something.
#[derive(Debug, Default)]
pub struct Registry {
    registries: Registries,
    client: Client,
}

/// An image found in a registry.
#[derive(Clone, Debug)]
pub struct Found {
    /// Digest of the platform's manifest.
    pub digest: Digest,
    /// The manifest, as it came.
    pub manifest: Bytes,
    /// Digest of the configuration.
    pub config: Digest,
    /// Bytes of the configuration.
    pub config_size: u64,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// Where it was found.
    pub place: Place,
    /// The platform asked for, when only the configuration can tell whether it is that.
    wanted: Option<Platform>,
}

/// One layer of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the blob.
    pub digest: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// Media type as written.
    pub media_type: String,
}

/// The registry and repository that an image was found in: its blobs come from there.
#[derive(Clone, Debug)]
pub struct Place {
    reference: Reference,
    endpoint: Endpoint,
    /// What is wanted there, for messages.
    act: Act,
}

/// The bytes of a blob, as they come.
#[derive(Debug)]
pub struct Blob {
    body: Paced,
    /// Bytes to pass over: the registry began earlier than it was asked to.
    skip: u64,
}

impl Registry {
    /// Reads registries.conf and the credentials of this user.
    ///
    /// # Errors
    /// [`ConfigError`] with the file that makes no sense. Missing files are none.
    pub fn configured() -> Result<Self, ConfigError> {
        let registries = Registries::configured()?;
        let credentials = Credentials::configured()?.asked_in_order(registries.credential_helpers());
        Ok(Self::new(registries, credentials))
    }

    /// A client with this configuration.
    pub fn new(registries: Registries, credentials: Credentials) -> Self {
        Self { registries, client: Client::new(credentials) }
    }

    /// With other bounds on waiting.
    #[must_use]
    pub fn waiting(mut self, patience: Patience) -> Self {
        self.client.http.patience = patience;
        self
    }

    /// With the certificates of these folders, each like `/etc/containers/certs.d`, instead of the usual ones.
    #[must_use]
    pub fn with_certificates(mut self, folders: Vec<PathBuf>) -> Self {
        self.client.http.tls = Tls::of_folders(folders);
        self
    }

    /// Finds the manifest of `reference` for `platform`; `None` is the host's, and then an image that
    /// is made for one platform only is taken whatever that is.
    ///
    /// # Errors
    /// [`RegistryError`] of the last place asked.
    pub async fn find(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Found, RegistryError> {
        let mut tried = Tried::new(reference);
        for spot in self.spots(reference)? {
            match self.find_at(&spot, platform).await {
                Ok(found) => return Ok(found),
                Err(failure) => tried.add(&spot, failure)?,
            }
        }
        Err(tried.told())
    }

    /// The whole name of `reference`, with the digest that it has in its registry now: of the index, if it is
    /// one for several platforms.
    ///
    /// # Errors
    /// [`RegistryError`] of the last place asked.
    pub async fn digest(&self, reference: &Reference) -> Result<Reference, RegistryError> {
        let tag = reference.tag.as_deref().unwrap_or("latest");
        let name = reference.digest.as_ref().map_or(tag, Digest::as_str);
        let mut tried = Tried::new(reference);
        for spot in self.spots(reference)? {
            match self.manifest(&spot.endpoint, name, reference.digest.as_ref()).await {
                Ok((digest, _)) => return Ok(Reference { digest: Some(digest), ..spot.reference }),
                Err(failure) => tried.add(&spot, failure)?,
            }
        }
        Err(tried.told())
    }

    /// The platforms that `reference` has an image for in its registry now, each with the digest of its
    /// manifest; in order. Other systems than Linux are left out.
    ///
    /// # Errors
    /// [`RegistryError`] of the last place asked.
    pub async fn platforms(&self, reference: &Reference) -> Result<Vec<(Platform, Digest)>, RegistryError> {
        let mut tried = Tried::new(reference);
        for spot in self.spots(reference)? {
            match self.platforms_at(&spot).await {
                Ok(platforms) => return Ok(platforms),
                Err(failure) => tried.add(&spot, failure)?,
            }
        }
        Err(tried.told())
    }

    async fn platforms_at(&self, spot: &Spot) -> Result<Vec<(Platform, Digest)>, Failure> {
        let Spot { reference, endpoint, .. } = spot;
        let tag = reference.tag.as_deref().unwrap_or("latest");
        let name = reference.digest.as_ref().map_or(tag, Digest::as_str);
        let (digest, bytes) = self.manifest(endpoint, name, reference.digest.as_ref()).await?;
        let index = match manifest::parse(&bytes)? {
            Manifest::Index(index) => index,
            Manifest::Image { config, .. } => {
                let platform = self.platform_of(endpoint, &config).await?;
                return Ok(vec![(platform, digest)]);
            }
        };
        let mut found = BTreeMap::new();
        for descriptor in &index {
            let Some(platform) = manifest::platform(descriptor).filter(|platform| platform.os == "linux")
            else {
                continue;
            };
            let (digest, _) = manifest::choose(std::slice::from_ref(descriptor), &platform)?;
            // Of several for one platform the first is taken, as by a pull.
            found.entry(platform).or_insert(digest);
        }
        Ok(found.into_iter().collect())
    }

    /// What an image is made for, by its configuration.
    async fn platform_of(&self, endpoint: &Endpoint, config: &(Digest, u64)) -> Result<Platform, Failure> {
        let (digest, size) = config;
        if *size > CONFIG_LIMIT {
            return Err(Failure::TooBig { what: "configuration", limit: CONFIG_LIMIT });
        }
        let path = format!("/v2/{}/blobs/{digest}", endpoint.repository);
        let get = Get { path, accept: "*/*", from: 0 };
        let whole = self.whole(endpoint, &get, "configuration", *size).await;
        let (_, bytes) = whole.map_err(lacking("configuration", digest, ""))?;
        let found = digest_of(&bytes);
        if found != *digest {
            return Err(Failure::WrongDigest { what: "configuration", expected: digest.clone(), found });
        }
        let made: MadeFor = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::NotAnImage(format!("its configuration does not parse: {error}")))?;
        Ok(made.platform())
    }

    /// The places where `reference` can be, mirrors first.
    fn spots(&self, reference: &Reference) -> Result<Vec<Spot>, RegistryError> {
        self.registries.spots(reference).map_err(|failure| RegistryError {
            act: Act::Get,
            image: reference.familiar(),
            endpoint: reference.registry.clone(),
            registry: reference.registry.clone(),
            source: Box::new(failure),
            before: vec![],
        })
    }

    async fn find_at(&self, spot: &Spot, platform: Option<&Platform>) -> Result<Found, Failure> {
        let Spot { reference, endpoint, .. } = spot;
        let host = Platform::host();
        let tag = reference.tag.as_deref().unwrap_or("latest");
        let name = reference.digest.as_ref().map_or(tag, Digest::as_str);
        let (mut digest, mut bytes) = self.manifest(endpoint, name, reference.digest.as_ref()).await?;
        let mut parsed = manifest::parse(&bytes)?;
        let mut wanted = platform.cloned();
        // An index in an index is allowed, and nobody has more than that.
        for _ in 0..2 {
            let Manifest::Index(index) = &parsed else { break };
            let (chosen, size) = manifest::choose(index, platform.unwrap_or(&host))?;
            if size > MANIFEST_LIMIT {
                return Err(Failure::TooBig { what: "manifest", limit: MANIFEST_LIMIT });
            }
            (digest, bytes) = self.manifest(endpoint, chosen.as_str(), Some(&chosen)).await?;
            (parsed, wanted) = (manifest::parse(&bytes)?, None);
        }
        let Manifest::Image { config: (config, config_size), layers } = parsed else {
            return Err(Failure::NotAnImage("it is an index of indexes".to_owned()));
        };
        let place = Place { reference: reference.clone(), endpoint: endpoint.clone(), act: Act::Get };
        Ok(Found { digest, manifest: bytes, config, config_size, layers, place, wanted })
    }

    /// A manifest by tag or digest, and its digest.
    async fn manifest(
        &self,
        endpoint: &Endpoint,
        name: &str,
        expected: Option<&Digest>,
    ) -> Result<(Digest, Bytes), Failure> {
        let path = format!("/v2/{}/manifests/{name}", endpoint.repository);
        let get = Get { path, accept: manifest::ACCEPT, from: 0 };
        let (headers, bytes) = self.whole(endpoint, &get, "manifest", MANIFEST_LIMIT).await?;
        let found = digest_of(&bytes);
        let said = headers.get("docker-content-digest").and_then(|value| value.to_str().ok());
        let said = said.and_then(|text| Digest::parse(text).ok());
        match expected.cloned().or(said) {
            Some(expected) if expected != found => {
                Err(Failure::WrongDigest { what: "manifest", expected, found })
            }
            _ => Ok((found, bytes)),
        }
    }

    /// Fetches the configuration and checks it.
    ///
    /// # Errors
    /// [`RegistryError`]: [`Failure::WrongDigest`], [`Failure::NoPlatform`] when it is made for another
    /// platform than the one asked for.
    pub async fn config(&self, found: &Found) -> Result<Bytes, RegistryError> {
        let get = async {
            if found.config_size > CONFIG_LIMIT {
                return Err(Failure::TooBig { what: "configuration", limit: CONFIG_LIMIT });
            }
            let path = format!("/v2/{}/blobs/{}", found.place.endpoint.repository, found.config);
            let get = Get { path, accept: "*/*", from: 0 };
            let whole = self.whole(&found.place.endpoint, &get, "configuration", found.config_size).await;
            whole.map(|(_, bytes)| bytes).map_err(lacking("configuration", &found.config, ""))
        };
        let checked = get.await.and_then(|bytes| self.check_config(found, &bytes).map(|()| bytes));
        checked.map_err(|failure| found.place.error(failure))
    }

    /// Checks a configuration that was kept from an earlier pull, or just came.
    fn check_config(&self, found: &Found, bytes: &Bytes) -> Result<(), Failure> {
        let digest = digest_of(bytes);
        if digest != found.config {
            return Err(Failure::WrongDigest {
                what: "configuration",
                expected: found.config.clone(),
                found: digest,
            });
        }
        let Some(wanted) = &found.wanted else { return Ok(()) };
        let made: MadeFor = serde_json::from_slice(bytes)
            .map_err(|error| Failure::NotAnImage(format!("its configuration does not parse: {error}")))?;
        let made = made.platform();
        if made.fitness(wanted).is_some() {
            return Ok(());
        }
        Err(Failure::NoPlatform { wanted: wanted.to_string(), available: vec![made.to_string()] })
    }

    /// A whole answer of at most `limit` bytes, asked for again when the network falters.
    async fn whole(
        &self,
        endpoint: &Endpoint,
        get: &Get<'_>,
        what: &'static str,
        limit: u64,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let failure = match self.once(endpoint, get, what, limit).await {
                Ok(whole) => return Ok(whole),
                Err(failure) => failure,
            };
            // A host that refuses or has no name does not change its mind in a second.
            let cut = match &failure {
                Failure::Unreachable { source, .. } => source.kind() == std::io::ErrorKind::Other,
                other => other.is_passing(),
            };
            let asked_for = match &failure {
                Failure::RateLimited { after: Some(seconds) } if *seconds <= PATIENCE => {
                    Some(Duration::from_secs(*seconds))
                }
                _ => None,
            };
            let pause = pauses.next().filter(|_| cut || asked_for.is_some());
            match pause.map(|pause| asked_for.unwrap_or(pause)) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure),
            }
        }
    }

    async fn once(
        &self,
        endpoint: &Endpoint,
        get: &Get<'_>,
        what: &'static str,
        limit: u64,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        let answer = self.client.get(endpoint, get).await?;
        let headers = answer.headers().clone();
        let body = self.client.collect(answer, usize::try_from(limit).unwrap_or(usize::MAX)).await;
        let address = endpoint.host().to_owned();
        let body = body.map_err(|source| Failure::Unreachable { address, source })?;
        Ok((headers, body.ok_or(Failure::TooBig { what, limit })?))
    }

    /// Opens a layer's blob from this byte on.
    ///
    /// # Errors
    /// [`RegistryError`]; whether trying again may help is [`Failure::is_passing`].
    pub async fn blob(&self, place: &Place, layer: &Layer, from: u64) -> Result<Blob, RegistryError> {
        let path = format!("/v2/{}/blobs/{}", place.endpoint.repository, layer.digest);
        let get = |from| Get { path: path.clone(), accept: "*/*", from };
        let answer = match self.client.get(&place.endpoint, &get(from)).await {
            // Some do not know where they were: from the start, then, and what is here is passed over.
            Err(Failure::Status { status: 416, .. }) if from < layer.size => {
                self.client.get(&place.endpoint, &get(0)).await
            }
            answer => answer,
        };
        let lacks = lacking("layer", &layer.digest, &layer.media_type);
        let answer = answer.map_err(|failure| place.error(lacks(failure)))?;
        let skip = if answer.status() == StatusCode::PARTIAL_CONTENT {
            let range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let begins =
                range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
            begins.and_then(|begins| from.checked_sub(begins)).ok_or_else(|| {
                let reason = "it gives another range than it was asked for".to_owned();
                place.error(Failure::Protocol { url: path, reason })
            })?
        } else {
            from
        };
        Ok(Blob { body: Paced::new(answer.into_body(), self.client.http.patience), skip })
    }
}

impl Place {
    /// An error of something that came, or did not come, from here.
    pub fn error(&self, source: Failure) -> RegistryError {
        RegistryError {
            act: self.act,
            image: self.reference.familiar(),
            endpoint: self.endpoint.host().to_owned(),
            registry: self.endpoint.registry.clone(),
            source: Box::new(source),
            before: vec![],
        }
    }

    /// The reference that was found here.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Whether both are repositories of the same registry.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.endpoint.host() == other.endpoint.host()
    }

    /// Whether both are the same repository.
    pub fn is(&self, other: &Self) -> bool {
        self.is_beside(other) && self.endpoint.repository == other.endpoint.repository
    }

    /// Host and port of the registry: a mirror, perhaps.
    pub fn host(&self) -> &str {
        self.endpoint.host()
    }
}

impl Blob {
    /// The next bytes; `None` at the end. An error is a cut connection.
    ///
    /// # Errors
    /// What cut it.
    pub async fn chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        while let Some(mut bytes) = self.body.next().await? {
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            let rest = bytes.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
            if !rest.is_empty() {
                return Ok(Some(rest));
            }
        }
        Ok(None)
    }
}

/// Tells what is missing of an image whose manifest was there.
fn lacking(what: &'static str, digest: &Digest, media_type: &str) -> impl Fn(Failure) -> Failure {
    let (digest, elsewhere) =
        (digest.clone(), ["foreign", "nondistributable"].iter().any(|kind| media_type.contains(kind)));
    move |failure| match failure {
        Failure::NotFound { denied: false, .. } => Failure::Lacks { what, digest: digest.clone(), elsewhere },
        Failure::NotFound { denied: true, said } => Failure::Withheld { what, digest: digest.clone(), said },
        other => other,
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    Digest::of_sha256(&digest)
}
