//! Images from anywhere to anywhere: registries, files, the store.
//!
//! What goes from a registry to another, or to files, does not come by the store, and a blob that the target has
//! is not fetched.

use super::files::Files;
use super::layout::{Offer, offers};
use super::load::{LoadOptions, load, picked};
use super::save::writer;
use super::supply::{From, Parcel, Supply, first_error};
use super::{ArchiveError, ArchiveForm};
use crate::fetch::WAITING;
use crate::push::{PushError, push_whole};
use crate::{Engine, EngineError};
use registry::Registry;
use resource::{Digest, ImageNeed, Platform, PullPolicy, Reference};
use std::path::PathBuf;
use tokio::sync::mpsc::channel;

/// A place that an image can be at, as skopeo's users write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `NAME`: the store.
    Store(Reference),
    /// `docker://NAME`: its registry.
    Registry(Reference),
    /// `oci:FOLDER[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`.
    Files {
        /// What the files are.
        form: ArchiveForm,
        /// Where they are.
        path: PathBuf,
        /// The image's name among them.
        name: Option<String>,
    },
}

impl Location {
    /// Reads a place.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let reference = |text: &str| Reference::parse(text).map_err(|error| error.to_string());
        if let Some(name) = text.strip_prefix("docker://") {
            return reference(name).map(Self::Registry);
        }
        let forms = [
            ("oci", ArchiveForm::OciFolder),
            ("oci-archive", ArchiveForm::OciArchive),
            ("docker-archive", ArchiveForm::DockerArchive),
        ];
        let Some((kind, rest)) = text.split_once(':') else { return reference(text).map(Self::Store) };
        if let Some((_, form)) = forms.into_iter().find(|(known, _)| *known == kind) {
            let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
            if path.is_empty() {
                return Err(format!("`{text}` names no file"));
            }
            let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
            return Ok(Self::Files { form, path: PathBuf::from(path), name });
        }
        if matches!(kind, "dir" | "docker-daemon" | "containers-storage" | "ostree" | "sif" | "tarball") {
            return Err(format!(
                "`{kind}:` is not known here: known are docker://NAME, oci:FOLDER, oci-archive:FILE, docker-archive:FILE, and a name alone for the engine's own store"
            ));
        }
        reference(text).map(Self::Store)
    }
}

impl Engine {
    /// Copies an image for a platform, the host's by default; returns the digest of its manifest.
    ///
    /// # Errors
    /// [`EngineError::Archive`], [`EngineError::Pull`], [`EngineError::Push`], [`EngineError::Registry`].
    pub async fn copy_image(
        &self,
        from: &Location,
        to: &Location,
        platform: Option<&Platform>,
    ) -> Result<Digest, EngineError> {
        match (from, to) {
            (Location::Registry(name), Location::Store(new)) => {
                let (reference, platform) = (name.clone(), platform.cloned());
                let need = ImageNeed {
                    reference,
                    platform,
                    policy: PullPolicy::Always,
                    buildable: false,
                    resolved: None,
                    place: String::new(),
                };
                let before = self.store().image(name, need.platform.as_ref());
                let image = self.pull(&need, &|_| ()).await?;
                if name != new {
                    self.store().tag_image(&image, new)?;
                    match before {
                        Some(before) => drop(self.store().refresh_image(&before, need.platform.as_ref())?),
                        None => drop(self.store().remove_image(name, need.platform.as_ref())?),
                    }
                }
                Ok(image.manifest)
            }
            (Location::Files { path, name, .. }, Location::Store(new)) => {
                let options =
                    LoadOptions { platform: platform.cloned(), pick: name.clone(), name: Some(new.clone()) };
                let files = Files::open(self.store(), path)?;
                let loaded = load(self.store(), &files, &options)?;
                loaded
                    .into_iter()
                    .next()
                    .map(|loaded| loaded.image.manifest)
                    .ok_or_else(|| ArchiveError::NoImages { path: path.clone() }.into())
            }
            (Location::Store(name), Location::Store(new)) => {
                let image = self.stored(name, platform)?;
                Ok(self.store().tag_image(&image, new)?.manifest)
            }
            (Location::Store(name), Location::Registry(new)) => {
                let image = self.stored(name, platform)?;
                Ok(self.push(&image, new, &|_| ()).await?.digest)
            }
            (from, Location::Registry(new)) => {
                let parcel = self.parcel(from, platform).await?;
                let failed = |source| EngineError::Push { reference: new.clone(), source: Box::new(source) };
                self.hand_over(self.registry().await?, &parcel, new).await.map_err(failed)
            }
            (from, Location::Files { form, path, name }) => {
                let parcel = self.parcel(from, platform).await?;
                let digest = store::digest_of(&parcel.manifest);
                // A docker-archive knows whole names only.
                let own = match from {
                    Location::Store(name) | Location::Registry(name) => Some(name.to_string()),
                    Location::Files { .. } => None,
                };
                let names: Vec<String> = name.clone().or(own).into_iter().collect();
                let writer = writer(*form, path, None)?;
                self.write_images(&[(parcel, names)], *form, writer, &[]).await?.finish()?;
                Ok(digest)
            }
        }
    }

    /// The image of the store that is meant.
    fn stored(&self, name: &Reference, platform: Option<&Platform>) -> Result<resource::Image, EngineError> {
        let image = self.store().image(name, platform);
        image.ok_or_else(|| EngineError::NoImage { reference: name.clone() })
    }

    /// What is at a place, without its layers.
    async fn parcel(&self, from: &Location, platform: Option<&Platform>) -> Result<Parcel, EngineError> {
        match from {
            Location::Store(name) => {
                let parcel = Parcel::of_store(self, &self.stored(name, platform)?);
                Ok(parcel.map_err(ArchiveError::from)?)
            }
            Location::Registry(name) => self.parcel_of_registry(name, platform).await,
            Location::Files { path, name, .. } => {
                let files = Files::open(self.store(), path)?;
                let options = LoadOptions { pick: name.clone(), ..LoadOptions::default() };
                let mut found = picked(&files, offers(self.store(), &files, platform)?, &options)?;
                let there = || found.iter().flat_map(|offer| offer.names.iter().cloned()).collect();
                if found.len() > 1 {
                    return Err(ArchiveError::Several { path: path.clone(), there: there() }.into());
                }
                Ok(parcel_of_offer(&files, found.remove(0))?)
            }
        }
    }

    async fn parcel_of_registry(
        &self,
        name: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Parcel, EngineError> {
        let failed = |error| EngineError::Registry { reference: name.clone(), source: Box::new(error) };
        let registry = self.registry().await?;
        let found = registry.find(name, platform).await.map_err(failed)?;
        let config = registry.config(&found).await.map_err(failed)?.to_vec();
        let diff_ids = self.store().diff_ids(name, &config)?;
        let supply = |(layer, diff_id): (&registry::Layer, Digest)| Supply {
            described: layer.into(),
            diff_id,
            from: From::Registry(found.place.clone()),
        };
        let layers = found.layers.iter().zip(diff_ids).map(supply).collect();
        let platform = platform.cloned().unwrap_or_else(Platform::host);
        Ok(Parcel { manifest: found.manifest.to_vec(), id: found.config, config, platform, layers })
    }

    /// Gives a registry an image: the blobs that it lacks, then the manifest.
    async fn hand_over(
        &self,
        registry: &Registry,
        parcel: &Parcel,
        to: &Reference,
    ) -> Result<Digest, PushError> {
        let target = registry.target(to)?;
        for layer in &parcel.layers {
            let digest = &layer.described.digest;
            if registry.has_blob(&target, digest).await? {
                continue;
            }
            let beside = match &layer.from {
                From::Registry(place) if place.is_beside(&target) && !place.is(&target) => {
                    Some((digest, place))
                }
                _ => None,
            };
            let Some(upload) = registry.begin_upload(&target, beside).await? else { continue };
            let (sender, pieces) = channel(WAITING);
            let upload = registry.upload(&target, upload, pieces, Some(layer.described.size));
            let (sent, upload) = tokio::join!(self.supply(layer, sender), upload);
            let upload = first_error(sent, upload.map_err(PushError::from))?;
            registry.end_upload(&target, upload, digest).await?;
        }
        push_whole(registry, &target, &parcel.id, parcel.config.clone()).await?;
        let manifest = parcel.manifest.clone().into();
        Ok(registry.put_manifest(&target, to.tag.as_deref(), manifest).await?)
    }
}

fn parcel_of_offer(files: &Files, offer: Offer) -> Result<Parcel, ArchiveError> {
    let supply = |part: super::layout::Part| {
        let window = files.file(&part.file)?;
        let window = window.ok_or_else(|| files.damaged(&part.file, "this layer is missing"))?;
        Ok(Supply { described: part.described, diff_id: part.diff_id, from: From::File(window) })
    };
    let layers = offer.parts.into_iter().map(supply).collect::<Result<_, ArchiveError>>()?;
    let (manifest, id, config, platform) = (offer.manifest, offer.id, offer.config, offer.platform);
    Ok(Parcel { manifest, id, config, platform, layers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_skopeo_writes_them() {
        let store = |name: &str| Ok(Location::Store(Reference::parse(name).unwrap()));
        let files = |form, path: &str, name: Option<&str>| {
            Ok(Location::Files { form, path: path.into(), name: name.map(str::to_owned) })
        };
        assert_eq!(Location::parse("redis:7"), store("redis:7"));
        assert_eq!(Location::parse("localhost:5000/a"), store("localhost:5000/a"));
        assert_eq!(
            Location::parse("docker://quay.io/a/b:1"),
            Ok(Location::Registry(Reference::parse("quay.io/a/b:1").unwrap()))
        );
        assert_eq!(Location::parse("oci:/a/b"), files(ArchiveForm::OciFolder, "/a/b", None));
        assert_eq!(
            Location::parse("docker-archive:a.tar:redis:7"),
            files(ArchiveForm::DockerArchive, "a.tar", Some("redis:7"))
        );
        assert!(Location::parse("dir:/tmp").unwrap_err().contains("oci:FOLDER"));
        assert!(Location::parse("oci::x").unwrap_err().contains("no file"));
    }
}
