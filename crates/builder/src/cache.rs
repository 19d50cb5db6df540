//! Results of steps for other machines. In a folder they are an OCI image layout whose one manifest names the
//! layers, and whose configuration says which step made which; of those in registries `registry` tells.
//!
//! ```text
//! FOLDER/oci-layout, index.json
//! FOLDER/blobs/sha256/HEX    layers as uncompressed archives, the configuration, the manifest
//! ```
//! `index.json` is written last and renamed into its place, so that a reader sees one whole cache or another;
//! blobs that it no longer names are removed then. What a cache promises is checked when it is taken: a
//! layer that is not what it should be is made here instead.

pub(crate) mod registry;

use crate::error::chain;
use crate::machine::Machine;
use registry::Remote;
use resource::{CacheSource, Digest, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use store::{LayerSlot, Source, StepResult, Store, digest_of};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const ARTIFACT: &str = "application/vnd.compose.build-cache.v1";
const CONFIG: &str = "application/vnd.compose.build-cache.v1+json";

/// Bytes that a document of a cache may have.
const DOCUMENT_LIMIT: u64 = 16 << 20;

/// A step and what it made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Step {
    key: Digest,
    /// Diff id and bytes of the archive.
    layer: Option<(Digest, u64)>,
    created: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Steps {
    steps: Vec<Step>,
}

/// What there is to take.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// By the key of the step.
    folders: BTreeMap<Digest, (PathBuf, Step)>,
    registries: Vec<Remote>,
}

impl Imported {
    /// Reads what is in folders. One that is not there yet has nothing; registries are asked later.
    ///
    /// # Errors
    /// The folder that is no such cache, and why.
    pub(crate) fn read(sources: &[CacheSource]) -> Result<Self, String> {
        let mut imported = Self::default();
        for source in sources {
            let folder = match source {
                CacheSource::Folder(folder) => folder,
                CacheSource::Registry(reference) => {
                    imported.registries.push(Remote::new(reference.clone()));
                    continue;
                }
            };
            let steps = steps(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let steps = steps.into_iter().map(|step| (step.key.clone(), (folder.clone(), step)));
            imported.folders.extend(steps);
        }
        Ok(imported)
    }

    /// The result of a step, its layer unpacked here; `None` when there is none. `tell` is told of
    /// registries that cannot be asked.
    pub(crate) fn take(
        &self,
        store: &Store,
        machine: &dyn Machine,
        key: &Digest,
        tell: &dyn Fn(String),
    ) -> Option<Result<StepResult, String>> {
        let remote = || self.registries.iter().find_map(|remote| remote.take(store, machine, key, tell));
        self.in_folder(store, key).or_else(remote)
    }

    fn in_folder(&self, store: &Store, key: &Digest) -> Option<Result<StepResult, String>> {
        let (folder, step) = self.folders.get(key)?;
        let result = StepResult { layer: step.layer.clone(), created: step.created };
        let unpacked = match &step.layer {
            Some(layer) => unpack(store, folder, layer),
            None => Ok(()),
        };
        Some(unpacked.map(|()| result))
    }
}

fn steps(folder: &Path) -> io::Result<Vec<Step>> {
    let index: Value = match document(&folder.join("index.json")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        other => other?,
    };
    let Some(manifest) = index["manifests"][0]["digest"].as_str() else {
        return Err(io::Error::other("its index names no manifest"));
    };
    let manifest: Value = document(&blob(folder, &parsed(manifest)?))?;
    if manifest["artifactType"] != ARTIFACT {
        return Err(io::Error::other("this is no cache of builds"));
    }
    let config = manifest["config"]["digest"].as_str().unwrap_or_default();
    Ok(document::<Steps>(&blob(folder, &parsed(config)?))?.steps)
}

fn parsed(digest: &str) -> io::Result<Digest> {
    Digest::parse(digest).map_err(|_| io::Error::other(format!("`{digest}` is no digest")))
}

fn document<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let mut bytes = vec![];
    File::open(path)?.take(DOCUMENT_LIMIT).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn blob(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs/sha256").join(digest.hex())
}

fn unpack(store: &Store, folder: &Path, layer: &(Digest, u64)) -> Result<(), String> {
    put_in(store, &layer.0, || {
        let file = File::open(blob(folder, &layer.0)).map_err(|error| error.to_string())?;
        Ok(BufReader::with_capacity(1 << 18, file))
    })
}

/// Unpacks a layer that is not here. It counts as made here: it was packed as this engine packs it.
fn put_in<R: BufRead + Send>(
    store: &Store,
    diff_id: &Digest,
    open: impl FnOnce() -> Result<R, String>,
) -> Result<(), String> {
    let slot = store.begin_layer(diff_id).map_err(|error| chain(&error))?;
    let LayerSlot::Missing(writer) = slot else { return Ok(()) };
    let source = Source { bytes: open()?, blob: None, from: None };
    writer.unpack(source).map(drop).map_err(|error| chain(&error))
}

/// Writes results of steps into a folder, in place of what it had.
pub(crate) fn write(store: &Store, folder: &Path, used: &[(Digest, StepResult)]) -> io::Result<()> {
    std::fs::create_dir_all(folder.join("blobs/sha256"))?;
    let mut kept = BTreeSet::new();
    let mut steps: Vec<Step> = vec![];
    let mut layers = vec![];
    for (key, StepResult { layer, created }) in used {
        if steps.iter().any(|step| step.key == *key) {
            continue;
        }
        steps.push(Step { key: key.clone(), layer: layer.clone(), created: *created });
        let Some((digest, size)) = layer else { continue };
        if kept.insert(digest.hex().to_owned()) {
            layers.push(json!({ "mediaType": LAYER, "digest": digest, "size": size }));
            let place = blob(folder, digest);
            if !place.exists() {
                put(&place, |file| store.write_layer(digest, file).map_err(io::Error::other))?;
            }
        }
    }
    let mut add = |bytes: &[u8]| {
        let digest = digest_of(bytes);
        kept.insert(digest.hex().to_owned());
        put(&blob(folder, &digest), |file| file.write_all(bytes))?;
        io::Result::Ok(digest)
    };
    let config = serde_json::to_vec(&Steps { steps })?;
    let config = json!({ "mediaType": CONFIG, "digest": add(&config)?, "size": config.len() });
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": ARTIFACT,
        "config": config, "layers": layers });
    let manifest = serde_json::to_vec(&manifest)?;
    let described = json!({ "mediaType": MANIFEST, "artifactType": ARTIFACT, "digest": add(&manifest)?,
        "size": manifest.len() });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described] });
    put(&folder.join("oci-layout"), |file| file.write_all(br#"{"imageLayoutVersion":"1.0.0"}"#))?;
    put(&folder.join("index.json"), |file| file.write_all(index.to_string().as_bytes()))?;
    for entry in std::fs::read_dir(folder.join("blobs/sha256"))? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| kept.contains(name)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes a file beside its place and renames it.
fn put(place: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let beside = place.with_extension("part");
    let mut file = File::create(&beside)?;
    fill(&mut file)?;
    drop(file);
    std::fs::rename(beside, place)
}
