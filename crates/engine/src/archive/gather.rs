//! Images on their way into files: where each blob comes from, found out before anything is written.
//!
//! A layer that came from a registry is kept unpacked, and its compressed blob can be had from there only. Where no
//! registry gives it any more, its files are packed anew: the same content in other bytes. So layer and manifest have
//! other digests then, and so has the configuration, which names layers by the digests of their archives; the
//! image's id is its digest. Who asked is told.

use super::supply::{From, Parcel, Supply};
use super::{ArchiveError, bytes};
use crate::blobs::Described;
use crate::push::PushError;
use crate::{Engine, EngineError};
use resource::{Digest, Image, Reference};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use store::Pin;

/// Images that can be written into files; nothing of them is removed meanwhile.
pub struct Gathered {
    pub(super) parcels: Vec<(Parcel, Vec<String>)>,
    /// Digests of the manifests, here and in the files.
    manifests: BTreeMap<Digest, Digest>,
    anew: Vec<PackedAnew>,
    _pin: Pin,
}

/// An image some of whose layers are packed anew.
#[derive(Debug)]
pub struct PackedAnew {
    /// Its name.
    pub reference: Reference,
    /// Why its own blobs cannot be had.
    pub reason: PushError,
    /// Its id stays, since its layers pack to the archives that they came as.
    pub keeps_id: bool,
}

impl Gathered {
    /// The digest that the manifest of one of the images has in the files.
    pub fn manifest_of<'a>(&'a self, image: &'a Image) -> &'a Digest {
        self.manifests.get(&image.manifest).unwrap_or(&image.manifest)
    }

    /// The images that have other digests there than here.
    pub fn packed_anew(&self) -> &[PackedAnew] {
        &self.anew
    }
}

impl Engine {
    /// Finds out where the blobs of images are, which get these names. Layers of registries that cannot be
    /// reached, or do not have them any more, are packed anew, unless a name has the image's digest in it.
    ///
    /// # Errors
    /// [`EngineError::Archive`] when a blob cannot be had.
    pub async fn gather(&self, images: &[(Image, Vec<Reference>)]) -> Result<Gathered, EngineError> {
        let layers: Vec<_> = images.iter().flat_map(|(image, _)| image.layers.iter().cloned()).collect();
        let mut gathered = Gathered {
            parcels: vec![],
            manifests: BTreeMap::new(),
            anew: vec![],
            _pin: self.store().pin(&layers)?,
        };
        for (image, names) in images {
            let mut parcel = Parcel::of_store(self, image).map_err(ArchiveError::from)?;
            let missing = self.find_blobs(&mut parcel).await.map_err(ArchiveError::from)?;
            if let Some((missing, reason)) = missing {
                let is_pinned = names.iter().any(|name| name.digest.is_some());
                let is_whole = |at: &usize| {
                    let info = self.store().layer(&image.layers[*at]);
                    info.is_some_and(|info| info.omitted.is_nothing())
                };
                if is_pinned || !missing.iter().all(is_whole) {
                    return Err(ArchiveError::from(reason).into());
                }
                let parcel = &mut parcel;
                tokio::task::block_in_place(|| self.pack_anew(parcel, &missing))?;
                let keeps_id = parcel.id == image.id;
                gathered.anew.push(PackedAnew { reference: image.reference.clone(), reason, keeps_id });
            }
            gathered.manifests.insert(image.manifest.clone(), store::digest_of(&parcel.manifest));
            gathered.parcels.push((parcel, names.iter().map(ToString::to_string).collect()));
        }
        Ok(gathered)
    }

    /// Notes which registry has the blobs that are not here; gives the layers, by their place, that none has, and
    /// why.
    async fn find_blobs(&self, parcel: &mut Parcel) -> Result<Option<(Vec<usize>, PushError)>, PushError> {
        let mut missing = vec![];
        let mut reason = None;
        for (at, layer) in parcel.layers.iter_mut().enumerate() {
            let Described { digest, .. } = &layer.described;
            if self.store().layer_blob(digest).is_some() || self.made_here(&layer.described, &layer.diff_id) {
                continue;
            }
            // One that cannot be reached is not asked for each of its layers.
            let found = match reason {
                Some(PushError::Registry(_)) => None,
                _ => Some(self.blob_in_registry(layer).await),
            };
            match found {
                Some(Ok(from)) => layer.from = from,
                Some(Err(error)) if !is_absence(&error) => return Err(error),
                Some(Err(error)) => {
                    missing.push(at);
                    reason = Some(error);
                }
                None => missing.push(at),
            }
        }
        Ok(reason.map(|reason| (missing, reason)))
    }

    async fn blob_in_registry(&self, layer: &Supply) -> Result<From, PushError> {
        let from = self.repositories_of(&layer.described.digest, &layer.diff_id);
        let registry = self.registry().await.map_err(|error| PushError::Configuration(Box::new(error)))?;
        self.place_of(registry, &layer.described.layer(), &from).await.map(From::Registry)
    }

    /// Gives these layers the archives that their files pack to, uncompressed, and the image a configuration and a
    /// manifest that name those.
    fn pack_anew(&self, parcel: &mut Parcel, missing: &[usize]) -> Result<(), ArchiveError> {
        let mut manifest: Value = serde_json::from_slice(&parcel.manifest).unwrap_or_default();
        let mut config: Value = serde_json::from_slice(&parcel.config).unwrap_or_default();
        let is_docker = manifest["mediaType"].as_str().is_some_and(|kind| kind.contains("docker"));
        let media_type = if is_docker {
            "application/vnd.docker.image.rootfs.diff.tar"
        } else {
            "application/vnd.oci.image.layer.v1.tar"
        };
        let mut stays = true;
        for at in missing {
            let layer = &mut parcel.layers[*at];
            let (digest, size) = self.store().pack_files(&layer.diff_id, io::sink())?;
            stays &= digest == layer.diff_id;
            config["rootfs"]["diff_ids"][*at] = json!(digest);
            manifest["layers"][*at] = json!({ "mediaType": media_type, "digest": digest, "size": size });
            layer.described = Described { digest: digest.clone(), size, media_type: media_type.to_owned() };
            let of = std::mem::replace(&mut layer.diff_id, digest);
            layer.from = From::Files(of);
        }
        if !stays {
            parcel.config = bytes(&config);
            parcel.id = store::digest_of(&parcel.config);
            manifest["config"]["digest"] = json!(parcel.id);
            manifest["config"]["size"] = json!(parcel.config.len());
        }
        parcel.manifest = bytes(&manifest);
        Ok(())
    }
}

/// Whether nobody there has a blob, rather than that there is something wrong.
fn is_absence(error: &PushError) -> bool {
    match error {
        PushError::NoBlob { .. } => true,
        PushError::Registry(error) => error.source.is_passing(),
        _ => false,
    }
}
