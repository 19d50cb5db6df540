//! Images in files that builds stand on or take files from: they come into the store without a name.

use super::ArchiveError;
use super::files::{Files, Window};
use super::layout::{Offer, Part, named, offers};
use super::load::{LoadOptions, picked};
use crate::{Engine, EngineError};
use resource::{Digest, Image, OciLayout, Platform, Reference};
use std::io::BufReader;
use store::{LayerSlot, NewImage, Pin, Source, Store};

/// The tag that is meant where none is given.
const USUAL: &str = "latest";

impl Engine {
    /// Unpacks the layers of an image that are not here. It gets no name: the pin keeps its parts.
    ///
    /// # Errors
    /// [`EngineError::Archive`]
    pub(crate) fn take_in(
        &self,
        layout: &OciLayout,
        platform: &Platform,
    ) -> Result<(Image, Pin), EngineError> {
        Ok(take_in(self.store(), layout, platform)?)
    }
}

fn take_in(store: &Store, layout: &OciLayout, platform: &Platform) -> Result<(Image, Pin), ArchiveError> {
    let files = Files::open(store, &layout.path)?;
    let offer = wanted(store, &files, layout, platform)?;
    let of_part = |part: &Part| [part.diff_id.clone(), part.described.digest.clone()];
    let mut kept: Vec<Digest> = offer.parts.iter().flat_map(of_part).collect();
    kept.extend([offer.id.clone(), store::digest_of(&offer.manifest)]);
    let pin = store.pin(&kept)?;
    for part in &offer.parts {
        layer(store, &files, part, offer.is_known)?;
    }
    let reference = Reference { repository: "oci-layout".to_owned(), ..Image::empty().reference };
    let (manifest, config) = (&offer.manifest, &offer.config);
    let new = NewImage { reference: &reference, platform: Some(platform), manifest, config };
    Ok((store.keep_image(&new)?, pin))
}

/// The image that is meant, for the platform: by its digest, by its tag, or the only one.
fn wanted(
    store: &Store,
    files: &Files,
    layout: &OciLayout,
    platform: &Platform,
) -> Result<Offer, ArchiveError> {
    if let Some(digest) = &layout.digest {
        return named(files, digest, platform);
    }
    let mut found = offers(store, files, Some(platform))?;
    let meant = layout.tag.as_deref().unwrap_or(USUAL);
    let has_it = found.iter().any(|offer| offer.is_tagged(meant));
    if layout.tag.is_none() && !has_it && found.len() == 1 {
        return Ok(found.remove(0));
    }
    match found.iter().position(|offer| offer.is_tagged(meant)) {
        Some(at) => Ok(found.swap_remove(at)),
        None => {
            let pick = Some(meant.to_owned());
            let mut found = picked(files, found, &LoadOptions { pick, ..LoadOptions::default() })?;
            Ok(found.remove(0))
        }
    }
}

/// Unpacks a layer that is not here, and keeps its blob where nobody else would have it for a push.
fn layer(store: &Store, files: &Files, part: &Part, is_known: bool) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::Layer { path: files.path.clone(), part: part.file.clone(), source };
    let promised = (part.described.digest.clone(), part.described.size);
    let open = || -> Result<Window, ArchiveError> {
        files.file(&part.file)?.ok_or_else(|| files.damaged(&part.file, "this layer is missing"))
    };
    let is_new = match store.begin_layer(&part.diff_id)? {
        LayerSlot::Present(_) => false,
        LayerSlot::Missing(writer) => {
            let bytes = BufReader::with_capacity(1 << 18, open()?);
            writer.unpack(Source { bytes, blob: Some(promised.clone()), from: None }).map_err(failed)?;
            true
        }
    };
    // To see whether a layer packs to an uncompressed blob costs reading it: not again for one that is here.
    let may_want = !is_known && (is_new || promised.0 != part.diff_id);
    if may_want && store.wants_blob(&part.diff_id, &promised.0) {
        store.keep_layer_blob(open()?, &promised).map_err(failed)?;
    }
    Ok(())
}
