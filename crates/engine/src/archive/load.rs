//! Images from files into the store.
//!
//! All small parts are checked before the first layer is unpacked, all layers of all images before the first
//! image gets its name: what a damaged archive leaves are whole layers that the next attempt finds, or
//! garbage collection.

use super::ArchiveError;
use super::files::{Files, Window};
use super::layout::{Offer, Part, offers};
use crate::{Engine, EngineError};
use resource::{Digest, Image, Platform, Reference};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use store::{LayerSlot, NewImage, Omitted, Source, Store, StoreError, check_blob};

/// What is loaded of an archive, and how it is called.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The platform, where there are several; the host's by default.
    pub platform: Option<Platform>,
    /// Only the image of this name, as the archive has it.
    pub pick: Option<String>,
    /// The name it gets, instead of its own; there must be only one image then.
    pub name: Option<Reference>,
}

/// An image that was loaded.
#[derive(Clone, Debug)]
pub struct LoadedImage {
    /// The image under the first of its names.
    pub image: Image,
    /// All names that it got.
    pub names: Vec<Reference>,
    /// What its layers lack that only the machine's root can make.
    pub omitted: Omitted,
}

impl Engine {
    /// Loads the images of a folder or an archive, which may be compressed. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Archive`]; no image was changed then.
    pub fn load(&self, path: &Path, options: &LoadOptions) -> Result<Vec<LoadedImage>, EngineError> {
        Ok(load(self.store(), &Files::open(self.store(), path)?, options)?)
    }

    /// The same of an archive that comes from somewhere: standard input. `path` is what it is called.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load_from(
        &self,
        path: &Path,
        archive: File,
        options: &LoadOptions,
    ) -> Result<Vec<LoadedImage>, EngineError> {
        Ok(load(self.store(), &Files::of(self.store(), path, archive)?, options)?)
    }
}

pub(super) fn load(
    store: &Store,
    files: &Files,
    options: &LoadOptions,
) -> Result<Vec<LoadedImage>, ArchiveError> {
    let offers = picked(files, offers(store, files, options.platform.as_ref())?, options)?;
    let named: Vec<(Offer, Vec<Reference>)> = offers
        .into_iter()
        .map(|offer| called(files, &offer, options).map(|names| (offer, names)))
        .collect::<Result<_, _>>()?;
    let all = named.iter().flat_map(|(offer, _)| &offer.parts);
    let kept: Vec<Digest> =
        all.flat_map(|part| [part.diff_id.clone(), part.described.digest.clone()]).collect();
    let _pin = store.pin(&kept)?;
    let mut done: Vec<&Digest> = vec![];
    for (offer, part) in named.iter().flat_map(|(offer, _)| offer.parts.iter().map(move |part| (offer, part)))
    {
        if !done.contains(&&part.described.digest) {
            layer(store, files, part, offer.is_known)?;
            done.push(&part.described.digest);
        }
    }
    named.iter().map(|(offer, names)| commit(store, offer, names)).collect()
}

/// The image that is meant, or all.
pub(super) fn picked(
    files: &Files,
    offers: Vec<Offer>,
    options: &LoadOptions,
) -> Result<Vec<Offer>, ArchiveError> {
    let there = || offers.iter().flat_map(|offer| offer.names.iter().cloned()).collect::<Vec<_>>();
    let path = || files.path.clone();
    let offers = match &options.pick {
        Some(name) => {
            let Some(at) = offers.iter().position(|offer| offer.names.iter().any(|own| is_called(own, name)))
            else {
                return Err(ArchiveError::NoSuchImage { path: path(), name: name.clone(), there: there() });
            };
            offers.into_iter().nth(at).into_iter().collect()
        }
        None if options.name.is_some() && offers.len() > 1 => {
            return Err(ArchiveError::Several { path: path(), there: there() });
        }
        None => offers,
    };
    if offers.is_empty() {
        return Err(files.damaged("index.json", "it names no image"));
    }
    Ok(offers)
}

/// Whether a name in an archive is the one that is meant: the same text, or the same reference.
fn is_called(own: &str, meant: &str) -> bool {
    let same = || Some(Reference::parse(own).ok()? == Reference::parse(meant).ok()?);
    own == meant || same().unwrap_or(false)
}

/// The names that an image gets: those that are whole. A tag alone is none.
fn called(files: &Files, offer: &Offer, options: &LoadOptions) -> Result<Vec<Reference>, ArchiveError> {
    if let Some(name) = &options.name {
        return Ok(vec![name.clone()]);
    }
    let whole = offer.names.iter().filter(|name| name.contains(['/', ':']));
    let names: Vec<Reference> = whole.filter_map(|name| Reference::parse(name).ok()).collect();
    if names.is_empty() {
        return Err(ArchiveError::Unnamed { path: files.path.clone(), image: offer.id.clone() });
    }
    Ok(names)
}

/// Unpacks a layer that is not here, keeps its blob where nobody else would have it, and checks it anyway.
fn layer(store: &Store, files: &Files, part: &Part, is_known: bool) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::Layer { path: files.path.clone(), part: part.file.clone(), source };
    let promised = (part.described.digest.clone(), part.described.size);
    let window = files.file(&part.file)?;
    let window: Window = window.ok_or_else(|| files.damaged(&part.file, "this layer is missing"))?;
    let checked = match store.begin_layer(&part.diff_id)? {
        LayerSlot::Present(_) => false,
        LayerSlot::Missing(writer) => {
            let bytes = BufReader::with_capacity(1 << 18, window.again());
            writer.unpack(Source { bytes, blob: Some(promised.clone()), from: None }).map_err(failed)?;
            true
        }
    };
    if !is_known && store.wants_blob(&part.diff_id, &promised.0) {
        store.keep_layer_blob(window, &promised).map_err(failed)
    } else if checked {
        Ok(())
    } else {
        let wrong = |source| StoreError::Unpack { digest: promised.0.to_string(), source: Box::new(source) };
        check_blob(window, &promised, io::sink()).map_err(|source| failed(wrong(source)))
    }
}

fn commit(store: &Store, offer: &Offer, names: &[Reference]) -> Result<LoadedImage, ArchiveError> {
    let diff_ids: Vec<Digest> = offer.parts.iter().map(|part| part.diff_id.clone()).collect();
    // Under the host's platform it is found without being asked for by its own.
    let foreign = offer.platform.fitness(&Platform::host()).is_none();
    let platform = foreign.then_some(&offer.platform);
    let mut first = None;
    for reference in names {
        let new = NewImage { reference, platform, manifest: &offer.manifest, config: &offer.config };
        let image = store.commit_image(&new, store.pin(&diff_ids)?)?;
        first.get_or_insert(image);
    }
    let image = first.ok_or_else(|| StoreError::Configuration {
        image: offer.id.to_string(),
        reason: "it has no name".to_owned(),
    })?;
    let lacks: Vec<Omitted> = diff_ids.iter().filter_map(|layer| Some(store.layer(layer)?.omitted)).collect();
    let omitted = Omitted {
        devices: lacks.iter().map(|omitted| omitted.devices).sum(),
        owners: lacks.iter().map(|omitted| omitted.owners).sum(),
    };
    Ok(LoadedImage { image, names: names.to_vec(), omitted })
}
