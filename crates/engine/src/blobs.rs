//! Where the blobs of layers can be had that are kept unpacked only.

use crate::Engine;
use crate::push::PushError;
use registry::{Layer, Place, Registry};
use resource::{Digest, Image, Reference};
use serde::Deserialize;

/// A manifest, as far as its layers go.
#[derive(Deserialize)]
pub(crate) struct Outline {
    /// Lowest first.
    #[serde(default)]
    pub(crate) layers: Vec<Described>,
}

/// A layer as a manifest names it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Described {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) media_type: String,
}

impl From<&Layer> for Described {
    fn from(layer: &Layer) -> Self {
        let Layer { digest, size, media_type } = layer.clone();
        Self { digest, size, media_type }
    }
}

impl Described {
    pub(crate) fn layer(&self) -> Layer {
        Layer { digest: self.digest.clone(), size: self.size, media_type: self.media_type.clone() }
    }
}

impl Engine {
    /// Whether a layer is one that this engine made, so that it can be packed again.
    pub(crate) fn made_here(&self, described: &Described, diff_id: &Digest) -> bool {
        let origin = self.store().layer(diff_id).and_then(|info| info.origin);
        described.digest == *diff_id && origin.is_none()
    }

    /// The repositories that a blob may be in: the one that the layer came from, and those of other images
    /// that have it.
    pub(crate) fn repositories_of(&self, blob: &Digest, diff_id: &Digest) -> Vec<String> {
        let origin = self.store().layer(diff_id).and_then(|info| info.origin);
        let origin = origin.filter(|origin| origin.digest == *blob).map(|origin| origin.repository);
        let names = |image: &Image| {
            let manifest = self.store().blob(&image.manifest).unwrap_or_default();
            serde_json::from_slice::<Outline>(&manifest)
                .is_ok_and(|outline| outline.layers.iter().any(|layer| layer.digest == *blob))
        };
        let images = self.store().images().into_iter().filter(names);
        let mut found: Vec<String> = origin.into_iter().collect();
        for repository in images.map(|image| repository(&image.reference)) {
            if !found.contains(&repository) {
                found.push(repository);
            }
        }
        found
    }

    /// The first of these repositories, or of its mirrors, that has a blob.
    pub(crate) async fn place_of(
        &self,
        registry: &Registry,
        layer: &Layer,
        repositories: &[String],
    ) -> Result<Place, PushError> {
        let mut failed = None;
        for reference in repositories.iter().filter_map(|repository| Reference::parse(repository).ok()) {
            for place in registry.sources(&reference)? {
                match registry.has_blob(&place, &layer.digest).await {
                    Ok(true) => return Ok(place),
                    Ok(false) => {}
                    Err(error) => failed = Some(error),
                }
            }
        }
        Err(failed.map_or_else(
            || PushError::NoBlob { layer: layer.digest.clone(), from: repositories.to_vec() },
            PushError::Registry,
        ))
    }
}

/// Registry and repository, as images are named: `docker.io/library/redis`.
pub(crate) fn repository(reference: &Reference) -> String {
    format!("{}/{}", reference.registry, reference.repository)
}
