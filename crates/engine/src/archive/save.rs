//! Images of the store into files.

use super::layout::{CONTAINERD_NAME, REF_NAME, blob_file};
use super::supply::{Parcel, Supply, first_error};
use super::write::Writer;
use super::{ArchiveError, Gathered};
use crate::fetch::{Pieces, WAITING, joined};
use crate::{Engine, EngineError};
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tokio::sync::mpsc::channel;
use tokio::task::spawn_blocking;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How images are put into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveForm {
    /// An OCI layout in a tar archive.
    OciArchive,
    /// An OCI layout in a folder; what is there stays, but for images of the same names.
    OciFolder,
    /// The tar archive of `docker save`, with uncompressed layers.
    DockerArchive,
}

impl Engine {
    /// Writes images under their names into a file or folder, or into `stream`, which is called `path` then.
    /// Blobs that are in registries are fetched from there.
    ///
    /// # Errors
    /// [`EngineError::Archive`]; no archive is left then.
    pub async fn save(
        &self,
        images: &Gathered,
        form: ArchiveForm,
        path: &Path,
        stream: Option<File>,
    ) -> Result<(), EngineError> {
        let writer = writer(form, path, stream)?;
        let writer = self.write_images(&images.parcels, form, writer, &[]).await?;
        Ok(writer.finish()?)
    }

    /// Writes images, and an index of them with more entries of others; all but the end.
    pub(super) async fn write_images(
        &self,
        parcels: &[(Parcel, Vec<String>)],
        form: ArchiveForm,
        mut writer: Writer,
        more: &[Value],
    ) -> Result<Writer, ArchiveError> {
        let is_docker = form == ArchiveForm::DockerArchive;
        let mut entries: Vec<Value> = vec![];
        for (parcel, names) in parcels {
            for layer in &parcel.layers {
                writer = if is_docker {
                    self.write_unpacked(writer, layer).await?
                } else {
                    self.write_blob(writer, layer).await?
                };
            }
            if is_docker {
                let config = format!("{}.json", parcel.id.hex());
                writer.small(&config, &parcel.config)?;
                let layers: Vec<String> = parcel.layers.iter().map(unpacked_file).collect();
                entries.push(json!({"Config": config, "RepoTags": names, "Layers": layers}));
            } else {
                writer.small(&blob_file(&parcel.id), &parcel.config)?;
                let digest = store::digest_of(&parcel.manifest);
                writer.small(&blob_file(&digest), &parcel.manifest)?;
                entries.extend(index_entries(parcel, names));
            }
        }
        if is_docker {
            writer.small("manifest.json", &bytes(&json!(entries)))?;
            return Ok(writer);
        }
        entries.extend(more.iter().cloned());
        let index =
            json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": with_others(&writer, entries)});
        writer.small("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        writer.small("index.json", &bytes(&index))?;
        Ok(writer)
    }

    /// A layer's blob as it is.
    async fn write_blob(&self, mut writer: Writer, layer: &Supply) -> Result<Writer, ArchiveError> {
        let name = blob_file(&layer.described.digest);
        if writer.has(&name) {
            return Ok(writer);
        }
        let (sender, receiver) = channel(WAITING);
        let promised = (layer.described.digest.clone(), layer.described.size);
        let writing = spawn_blocking(move || {
            let written = writer.blob(&name, &promised, Pieces::new(receiver));
            (writer, written)
        });
        let sent = self.supply(layer, sender).await;
        let (writer, written) = joined(writing.await);
        first_error(sent, written).map(|()| writer)
    }

    /// A layer's archive without its compression: its length has to be known before, so it is written twice.
    async fn write_unpacked(&self, mut writer: Writer, layer: &Supply) -> Result<Writer, ArchiveError> {
        let name = unpacked_file(layer);
        if writer.has(&name) {
            return Ok(writer);
        }
        let (sender, receiver) = channel(WAITING);
        let promised = (layer.described.digest.clone(), layer.described.size);
        let (store, diff_id) = (self.store().clone(), layer.diff_id.clone());
        let writing = spawn_blocking(move || {
            let limit = store::room_for(promised.1);
            let bytes = BufReader::with_capacity(1 << 18, Pieces::new(receiver));
            let wrong = |source| ArchiveError::Given { digest: promised.0.clone(), source };
            let written = store.spread(bytes, Some(&promised), limit).map_err(wrong);
            let written = written.and_then(|(file, _)| {
                let window = super::files::Window::whole(file)
                    .map_err(ArchiveError::file("read", Path::new(&name)))?;
                writer.blob(&name, &(diff_id, window.size()), window)
            });
            (writer, written)
        });
        let sent = self.supply(layer, sender).await;
        let (writer, written) = joined(writing.await);
        first_error(sent, written).map(|()| writer)
    }
}

/// What writes this form.
pub(super) fn writer(form: ArchiveForm, path: &Path, stream: Option<File>) -> Result<Writer, ArchiveError> {
    match (form, stream) {
        (ArchiveForm::OciFolder, _) => Writer::folder(path),
        (_, Some(stream)) => Ok(Writer::stream(path, stream)),
        (_, None) => Writer::archive(path, false),
    }
}

/// What an index says of an image: an entry for each name.
fn index_entries(parcel: &Parcel, names: &[String]) -> Vec<Value> {
    let manifest: Value = serde_json::from_slice(&parcel.manifest).unwrap_or_default();
    let mut platform = json!({"architecture": parcel.platform.architecture, "os": parcel.platform.os});
    if let Some(variant) = &parcel.platform.variant {
        platform["variant"] = json!(variant);
    }
    let entry = json!({
        "mediaType": manifest["mediaType"].as_str().unwrap_or(OCI_MANIFEST),
        "digest": store::digest_of(&parcel.manifest),
        "size": parcel.manifest.len(),
        "platform": platform,
    });
    if names.is_empty() {
        return vec![entry];
    }
    let named = |name: &String| {
        let mut entry = entry.clone();
        entry["annotations"] = json!({REF_NAME: name});
        if name.contains('/') {
            entry["annotations"][CONTAINERD_NAME] = json!(name);
        }
        entry
    };
    names.iter().map(named).collect()
}

/// The entries of a folder's index that stay, and the new ones.
fn with_others(writer: &Writer, entries: Vec<Value>) -> Vec<Value> {
    let there: Value =
        writer.there("index.json").and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let name = |entry: &Value| entry["annotations"][REF_NAME].as_str().map(str::to_owned);
    let stays = |old: &&Value| {
        entries.iter().all(|new| match (name(old), name(new)) {
            (None, None) => old["digest"] != new["digest"],
            (old, new) => old != new,
        })
    };
    let old = there["manifests"].as_array().into_iter().flatten().filter(stays).cloned();
    old.chain(entries.iter().cloned()).collect()
}

/// The name of an uncompressed layer in a docker-archive.
fn unpacked_file(layer: &Supply) -> String {
    format!("{}.tar", layer.diff_id.hex())
}

pub(super) fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
