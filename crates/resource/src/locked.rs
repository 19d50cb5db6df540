//! Images held to digests, so that everybody gets the same bytes whatever a tag means meanwhile.

use crate::{Digest, Platform, Reference};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// For each reference, as it is written, the digests of the manifests for its platforms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked(pub BTreeMap<Reference, Vec<(Platform, Digest)>>);

impl Locked {
    /// The manifest that is best for a platform; `None` when the reference or the platform is not held.
    pub fn digest(&self, reference: &Reference, platform: &Platform) -> Option<&Digest> {
        let offers = self.0.get(reference)?.iter();
        let fitting = offers.filter_map(|(offer, digest)| Some((offer.fitness(platform)?, digest)));
        fitting.min_by_key(|(fitness, _)| *fitness).map(|(_, digest)| digest)
    }

    /// The reference with the digest it is held to. One that was written with a digest stays: it says
    /// already which image is meant.
    pub fn exact(&self, reference: &Reference, platform: &Platform) -> Option<Reference> {
        let digest = self.digest(reference, platform)?;
        match reference.digest {
            Some(_) => Some(reference.clone()),
            None => Some(Reference { digest: Some(digest.clone()), ..reference.clone() }),
        }
    }
}
