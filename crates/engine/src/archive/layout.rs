//! What an archive offers: its images, each checked as far as its small parts go, before a layer is read.

use super::files::{Files, Window};
use super::{ArchiveError, CONFIG_LIMIT, MANIFEST_LIMIT};
use crate::blobs::Described;
use resource::{Digest, Image, Platform};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read as _;
use store::{Store, digest_of};

/// Images that an archive may have.
const IMAGE_LIMIT: usize = 1000;
/// Layers that an image may have; overlayfs takes 500.
const LAYER_LIMIT: usize = 500;
/// The name that Docker and containerd give an image in an index, whole.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The name, or only the tag, by OCI's words.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// What an index says of a manifest that only speaks of another.
const ATTESTATION: &str = "vnd.docker.reference.type";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An image of an archive.
pub(crate) struct Offer {
    /// Its names as they are written: whole ones, tags, or none.
    pub(crate) names: Vec<String>,
    /// Its manifest: the archive's own, or where the form has none one that is written for it.
    pub(crate) manifest: Vec<u8>,
    /// The manifest is that of an image that is in the store, which has its own ways to give its layers.
    pub(crate) is_known: bool,
    /// Digest of its configuration.
    pub(crate) id: Digest,
    /// Its configuration.
    pub(crate) config: Vec<u8>,
    /// What it is made for.
    pub(crate) platform: Platform,
    /// Its layers, lowest first.
    pub(crate) parts: Vec<Part>,
}

impl Offer {
    /// Whether this is its tag: the whole name it has, or the end of that.
    pub(super) fn is_tagged(&self, tag: &str) -> bool {
        let end = |name: &str| name.rsplit_once(':').is_some_and(|(_, own)| own == tag);
        self.names.iter().any(|name| name == tag || end(name))
    }
}

/// A layer of an archive.
pub(crate) struct Part {
    /// The file's name in the archive.
    pub(crate) file: String,
    /// As the manifest names it.
    pub(crate) described: Described,
    /// By the configuration.
    pub(crate) diff_id: Digest,
}

/// A manifest or index as an index names it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    digest: Digest,
    size: u64,
    #[serde(default)]
    platform: Option<Made>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    config: Described,
    #[serde(default)]
    layers: Vec<Described>,
    #[serde(default)]
    artifact_type: Option<String>,
}

/// What something is made for, as configurations and indexes say it.
#[derive(Clone, Deserialize)]
struct Made {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(flatten)]
    made: Made,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

/// An image in the `manifest.json` of a docker-archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images of an archive: of several for one name the best for a platform, the host's by default. One that
/// is there for one platform only is taken whatever that is, unless another was asked for.
///
/// # Errors
/// [`ArchiveError`]: a part is missing, too large, or not what its digest says.
pub(crate) fn offers(
    store: &Store,
    files: &Files,
    platform: Option<&Platform>,
) -> Result<Vec<Offer>, ArchiveError> {
    if let Some(bytes) = files.small("index.json", MANIFEST_LIMIT)? {
        return of_index(files, &json_of(files, "index.json", &bytes)?, platform);
    }
    let Some(bytes) = files.small("manifest.json", MANIFEST_LIMIT)? else {
        return Err(ArchiveError::NoImages { path: files.path.clone() });
    };
    let saved: Vec<Saved> = json_of(files, "manifest.json", &bytes)?;
    if saved.len() > IMAGE_LIMIT {
        return Err(files.damaged("manifest.json", format!("it names {} images", saved.len())));
    }
    let offers = saved.into_iter().map(|saved| of_saved(store, files, saved));
    let offers: Vec<Offer> = offers.collect::<Result<_, _>>()?;
    match platform {
        Some(wanted) => offers.into_iter().map(|offer| fitting(files, offer, wanted)).collect(),
        None => Ok(offers),
    }
}

/// The image for a platform that a manifest or an index of this digest is, whether a name leads there or not.
///
/// # Errors
/// As [`offers`].
pub(super) fn named(files: &Files, digest: &Digest, platform: &Platform) -> Result<Offer, ArchiveError> {
    let name = blob_file(digest);
    let there = files.file(&name)?.ok_or_else(|| files.damaged(&name, "this blob is missing"))?;
    let entry =
        Entry { digest: digest.clone(), size: there.size(), platform: None, annotations: BTreeMap::new() };
    let mut found = of_index(files, &Index { manifests: vec![entry] }, Some(platform))?;
    if found.is_empty() {
        return Err(files.damaged(&name, "it is no image"));
    }
    Ok(found.remove(0))
}

fn fitting(files: &Files, offer: Offer, wanted: &Platform) -> Result<Offer, ArchiveError> {
    if offer.platform.fitness(wanted).is_some() {
        return Ok(offer);
    }
    let there = vec![offer.platform.to_string()];
    Err(ArchiveError::NoPlatform { path: files.path.clone(), wanted: wanted.clone(), there })
}

/// Every image that an OCI index names, of one name the best for a platform.
fn of_index(files: &Files, index: &Index, platform: Option<&Platform>) -> Result<Vec<Offer>, ArchiveError> {
    let mut named: Vec<(Vec<String>, Vec<Offer>)> = vec![];
    let mut count = 0;
    for entry in &index.manifests {
        let names = names(entry);
        let found = images(files, entry, 2)?;
        count += found.len();
        if count > IMAGE_LIMIT {
            return Err(files.damaged("index.json", "it names too many images"));
        }
        match named.iter_mut().find(|(known, _)| !names.is_empty() && *known == names) {
            Some((_, known)) => known.extend(found),
            None => named.push((names, found)),
        }
    }
    let host = Platform::host();
    let best = |(names, mut offers): (Vec<String>, Vec<Offer>)| {
        if offers.is_empty() {
            return None;
        }
        let there: Vec<String> = offers.iter().map(|offer| offer.platform.to_string()).collect();
        let wanted = platform.unwrap_or(&host);
        let fitness = |offer: &Offer| offer.platform.fitness(wanted);
        let fits = (0..offers.len()).filter(|at| fitness(&offers[*at]).is_some());
        let best = fits.min_by_key(|at| fitness(&offers[*at]));
        match best.or((offers.len() == 1 && platform.is_none()).then_some(0)) {
            Some(at) => Some(Ok(Offer { names, ..offers.swap_remove(at) })),
            None => {
                let (path, wanted) = (files.path.clone(), wanted.clone());
                Some(Err(ArchiveError::NoPlatform { path, wanted, there }))
            }
        }
    };
    named.into_iter().filter_map(best).collect()
}

/// The names of an entry: the whole one before what may be a tag only.
fn names(entry: &Entry) -> Vec<String> {
    let name = [CONTAINERD_NAME, REF_NAME].into_iter().find_map(|key| entry.annotations.get(key));
    name.into_iter().cloned().collect()
}

/// The images of an entry: itself, or those of the index that it is.
fn images(files: &Files, entry: &Entry, depth: u32) -> Result<Vec<Offer>, ArchiveError> {
    let unknown = |made: &Made| made.os == "unknown" || made.architecture == "unknown";
    if entry.annotations.contains_key(ATTESTATION) || entry.platform.as_ref().is_some_and(unknown) {
        return Ok(vec![]);
    }
    let name = blob_file(&entry.digest);
    let bytes = small_blob(files, &entry.digest, entry.size, MANIFEST_LIMIT)?;
    let parsed: serde_json::Value = json_of(files, &name, &bytes)?;
    if parsed.get("manifests").is_none() {
        return Ok(of_manifest(files, &name, bytes)?.into_iter().collect());
    }
    if depth == 0 {
        return Err(files.damaged(&name, "it is an index in an index in an index"));
    }
    let index: Index = json_of(files, &name, &bytes)?;
    if index.manifests.len() > IMAGE_LIMIT {
        return Err(files.damaged(&name, "it names too many images"));
    }
    let mut found = vec![];
    for entry in &index.manifests {
        // One that is for other machines need not be there.
        if !entry.annotations.contains_key(ATTESTATION) && files.file(&blob_file(&entry.digest))?.is_some() {
            found.extend(images(files, entry, depth - 1)?);
        }
    }
    if found.is_empty() && !index.manifests.is_empty() {
        return Err(files.damaged(&name, "none of the images that it names is there"));
    }
    Ok(found)
}

/// The image that a manifest describes; `None` when it describes something else.
fn of_manifest(files: &Files, name: &str, bytes: Vec<u8>) -> Result<Option<Offer>, ArchiveError> {
    let manifest: Manifest = json_of(files, name, &bytes)?;
    let kind = &manifest.config.media_type;
    let is_image = kind.contains("container.image") || kind.contains("oci.image.config");
    if manifest.artifact_type.is_some() || !is_image {
        return Ok(None);
    }
    let config = small_blob(files, &manifest.config.digest, manifest.config.size, CONFIG_LIMIT)?;
    let id = manifest.config.digest;
    let made: Configuration = json_of(files, &blob_file(&id), &config)?;
    let parts =
        parts(files, name, manifest.layers, made.rootfs.diff_ids, |described| blob_file(&described.digest))?;
    for part in &parts {
        let size = files.file(&part.file)?.map(|window| window.size());
        let size = size.ok_or_else(|| files.damaged(&part.file, "this layer is missing"))?;
        if size != part.described.size {
            let reason = format!("it has {size} bytes and should have {}", part.described.size);
            return Err(files.damaged(&part.file, reason));
        }
    }
    let platform = made.made.platform();
    Ok(Some(Offer { names: vec![], manifest: bytes, is_known: false, id, config, platform, parts }))
}

/// An image of a docker-archive, with the manifest that it lacks.
fn of_saved(store: &Store, files: &Files, saved: Saved) -> Result<Offer, ArchiveError> {
    let config = files.small(&saved.config, CONFIG_LIMIT)?;
    let config = config.ok_or_else(|| files.damaged(&saved.config, "this configuration is missing"))?;
    let id = digest_of(&config);
    let stem = saved.config.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
    if Digest::parse(&format!("sha256:{stem}")).is_ok_and(|named| named != id) {
        return Err(files.damaged(&saved.config, format!("its digest is {id}")));
    }
    let made: Configuration = json_of(files, &saved.config, &config)?;
    let layers = saved.layers.unwrap_or_default();
    let described = layers.iter().map(|layer| describe(files, layer)).collect::<Result<Vec<_>, _>>()?;
    let mut name = layers.iter();
    let file = |_: &Described| name.next().cloned().unwrap_or_default();
    let parts = parts(files, "manifest.json", described, made.rootfs.diff_ids, file)?;
    let known = known(store, &id, &parts);
    let is_known = known.is_some();
    let manifest = known.unwrap_or_else(|| manifest_of(&id, config.len(), &parts));
    let (names, platform) = (saved.repo_tags.unwrap_or_default(), made.made.platform());
    Ok(Offer { names, manifest, is_known, id, config, platform, parts })
}

/// The manifest of an image that is here already: its containers need not be made anew then.
fn known(store: &Store, id: &Digest, parts: &[Part]) -> Option<Vec<u8>> {
    let whole = |image: &Image| image.id == *id && image.layers.iter().all(|layer| store.has_layer(layer));
    let image = store.images().into_iter().find(whole)?;
    store.blob(&image.manifest).filter(|_| image.layers.len() == parts.len())
}

fn manifest_of(id: &Digest, config_size: usize, parts: &[Part]) -> Vec<u8> {
    let layer = |part: &Part| json!({"mediaType": part.described.media_type, "digest": part.described.digest, "size": part.described.size});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": id, "size": config_size},
        "layers": parts.iter().map(layer).collect::<Vec<_>>(),
    });
    manifest.to_string().into_bytes()
}

/// Digest, length and kind of a layer that nothing describes.
fn describe(files: &Files, name: &str) -> Result<Described, ArchiveError> {
    let window = files.file(name)?.ok_or_else(|| files.damaged(name, "this layer is missing"))?;
    let failed = |source| ArchiveError::file("read", &files.path.join(name))(source);
    let mut start = vec![];
    window.again().take(6).read_to_end(&mut start).map_err(failed)?;
    let media_type = match start.as_slice() {
        [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
        start if store::is_compressed(start) => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    };
    let size = window.size();
    let digest = digest_of_window(window).map_err(failed)?;
    Ok(Described { digest, size, media_type: media_type.to_owned() })
}

pub(super) fn digest_of_window(mut window: Window) -> std::io::Result<Digest> {
    let mut hasher = store::Hasher::default();
    let mut piece = vec![0; 1 << 18];
    loop {
        match window.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&piece[..length]),
        }
    }
}

/// Layers and their diff ids, which have to be as many.
fn parts(
    files: &Files,
    name: &str,
    layers: Vec<Described>,
    diff_ids: Vec<Digest>,
    mut file: impl FnMut(&Described) -> String,
) -> Result<Vec<Part>, ArchiveError> {
    let (layer_count, diff_count) = (layers.len(), diff_ids.len());
    if layer_count != diff_count || layer_count > LAYER_LIMIT {
        let reason = format!(
            "it has {layer_count} layers, the configuration {diff_count}, at most {LAYER_LIMIT} are allowed"
        );
        return Err(files.damaged(name, reason));
    }
    let both = layers.into_iter().zip(diff_ids);
    Ok(both.map(|(described, diff_id)| Part { file: file(&described), described, diff_id }).collect())
}

/// The name of a blob in an OCI layout.
pub(crate) fn blob_file(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A small blob, checked.
///
/// # Errors
/// [`ArchiveError::Damaged`]
pub(super) fn small_blob(
    files: &Files,
    digest: &Digest,
    size: u64,
    limit: u64,
) -> Result<Vec<u8>, ArchiveError> {
    let name = blob_file(digest);
    let bytes = files.small(&name, limit)?.ok_or_else(|| files.damaged(&name, "this blob is missing"))?;
    if bytes.len() as u64 != size {
        return Err(files.damaged(&name, format!("it has {} bytes and should have {size}", bytes.len())));
    }
    match digest_of(&bytes) {
        found if found == *digest => Ok(bytes),
        found => Err(files.damaged(&name, format!("its digest is {found}"))),
    }
}

fn json_of<T: DeserializeOwned>(files: &Files, name: &str, bytes: &[u8]) -> Result<T, ArchiveError> {
    serde_json::from_slice(bytes).map_err(|error| files.damaged(name, error.to_string()))
}

impl Made {
    fn platform(self) -> Platform {
        let host = Platform::host();
        let or = |text: String, default: String| if text.is_empty() { default } else { text };
        let variant = self.variant.filter(|variant| !variant.is_empty());
        Platform { os: or(self.os, host.os), architecture: or(self.architecture, host.architecture), variant }
    }
}
