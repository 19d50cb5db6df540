//! Images: a document for each reference and platform, and the blobs it was made of.

use crate::config::Document;
use crate::layers::{LayerInfo, refuse_newer, write_document};
use crate::{Pin, Store, StoreError, digest_of};
use resource::{Digest, Image, Platform, Reference, Timestamp, document};
use std::path::{Path, PathBuf};

/// What a commit needs.
pub struct NewImage<'a> {
    /// The reference it is to be found under.
    pub reference: &'a Reference,
    /// The platform it was asked for with; `None` is the host's.
    pub platform: Option<&'a Platform>,
    /// The platform's manifest, as it came.
    pub manifest: &'a [u8],
    /// The configuration, as it came.
    pub config: &'a [u8],
}

impl Store {
    /// The image under this reference for this platform, the host's by default. One file read.
    pub fn image(&self, reference: &Reference, platform: Option<&Platform>) -> Option<Image> {
        let image = read(&self.image_file(reference, platform))?;
        // A hash of both is the file's name; nothing but a damaged disk makes this false.
        (image.reference == *reference).then_some(image)
    }

    /// Refuses where a newer program has written the image under this reference and platform.
    ///
    /// # Errors
    /// [`StoreError::NewerDocument`]
    pub fn refuse_newer_image(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<(), StoreError> {
        refuse_newer::<Image>(&self.image_file(reference, platform))
    }

    /// All images, one for each reference and platform, sorted by reference.
    pub fn images(&self) -> Vec<Image> {
        let entries = std::fs::read_dir(self.roots.data.join("images")).into_iter().flatten().flatten();
        let files = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"));
        let mut images: Vec<Image> = files.filter_map(|path| read(&path)).collect();
        images.sort_by(|left, right| {
            (&left.reference, &left.platform).cmp(&(&right.reference, &right.platform))
        });
        images
    }

    /// An image by its id, the digest of its configuration.
    pub fn image_by_id(&self, id: &Digest) -> Option<Image> {
        self.images().into_iter().find(|image| image.id == *id)
    }

    /// A manifest or configuration that was kept; checked against its digest.
    pub fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.blob_file(digest)).ok()?;
        (digest_of(&bytes) == *digest).then_some(bytes)
    }

    /// The diff ids of the layers in an image's configuration, lowest first.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] when it is none of an image.
    pub fn diff_ids(&self, reference: &Reference, config: &[u8]) -> Result<Vec<Digest>, StoreError> {
        diff_ids(reference, &parse(reference, config)?)
    }

    /// Publishes an image whose layers are all there: one `syncfs`, then one rename. `pin` has kept its
    /// layers until now.
    ///
    /// # Errors
    /// [`StoreError::Configuration`], [`StoreError::LayerMissing`], [`StoreError::Io`].
    pub fn commit_image(&self, new: &NewImage<'_>, pin: Pin) -> Result<Image, StoreError> {
        self.refuse_newer_image(new.reference, new.platform)?;
        // The blobs are garbage until the document names them.
        let _shared = self.share()?;
        let (image, infos) = self.described(new)?;
        self.sync()?;
        for info in infos {
            self.mark_synced(info)?;
        }
        write_document(&self.image_file(new.reference, new.platform), &image)?;
        drop(pin);
        Ok(image)
    }

    /// An image that gets no document, and so no name: it is there as long as its layers, its configuration and
    /// its manifest are pinned.
    ///
    /// # Errors
    /// Those of [`Store::commit_image`].
    pub fn keep_image(&self, new: &NewImage<'_>) -> Result<Image, StoreError> {
        let _shared = self.share()?;
        Ok(self.described(new)?.0)
    }

    /// An image with both its blobs kept, and its layers.
    fn described(&self, new: &NewImage<'_>) -> Result<(Image, Vec<LayerInfo>), StoreError> {
        let document = parse(new.reference, new.config)?;
        let layers = diff_ids(new.reference, &document)?;
        let mut infos = vec![];
        for layer in &layers {
            let missing =
                || StoreError::LayerMissing { image: new.reference.familiar(), layer: layer.clone() };
            infos.push(self.layer(layer).ok_or_else(missing)?);
        }
        let (passwd, group) = self.users(new.reference, &layers)?;
        let image = Image {
            id: self.keep_blob(new.config)?,
            manifest: self.keep_blob(new.manifest)?,
            reference: new.reference.clone(),
            platform: document.platform(),
            size: infos.iter().map(|info| info.size).sum(),
            layers,
            created: document.created(),
            tagged: Timestamp::now(),
            config: document.config.into_config(),
            passwd,
            group,
        };
        Ok((image, infos))
    }

    /// Gives an image another reference.
    ///
    /// # Errors
    /// [`StoreError::NewerDocument`], [`StoreError::Io`].
    pub fn tag_image(&self, image: &Image, reference: &Reference) -> Result<Image, StoreError> {
        self.refuse_newer_image(reference, Some(&image.platform))?;
        let _shared = self.share()?;
        let tagged = Image { reference: reference.clone(), tagged: Timestamp::now(), ..image.clone() };
        write_document(&self.image_file(reference, Some(&image.platform)), &tagged)?;
        Ok(tagged)
    }

    /// Notes that an image was found unchanged in its registry just now.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn refresh_image(&self, image: &Image, platform: Option<&Platform>) -> Result<Image, StoreError> {
        let _shared = self.share()?;
        let image = Image { tagged: Timestamp::now(), ..image.clone() };
        write_document(&self.image_file(&image.reference, platform), &image)?;
        Ok(image)
    }

    /// Takes a reference away; its layers stay until [`Store::collect_garbage`]. Whether it was there.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn remove_image(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<bool, StoreError> {
        let path = self.image_file(reference, platform);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("delete", &path, error)),
        }
    }

    pub(crate) fn blob_file(&self, digest: &Digest) -> PathBuf {
        self.roots.data.join("blobs/sha256").join(digest.hex())
    }

    /// The document of a reference and the platform it was asked for with.
    fn image_file(&self, reference: &Reference, platform: Option<&Platform>) -> PathBuf {
        let platform = normal(platform.cloned().unwrap_or_else(Platform::host));
        let key = digest_of(format!("{reference}\n{platform}").as_bytes());
        self.roots.data.join("images").join(format!("{}.json", key.hex()))
    }

    fn keep_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = digest_of(bytes);
        let path = self.blob_file(&digest);
        sys::file::replace(&path, bytes).map_err(|source| StoreError::io("write", &path, source))?;
        Ok(digest)
    }

    /// Text of `/etc/passwd` and `/etc/group` as the layers together show them.
    fn users(&self, reference: &Reference, layers: &[Digest]) -> Result<(String, String), StoreError> {
        let failed = |source| StoreError::View { image: reference.to_string(), source };
        self.users_in(layers).map_err(failed)
    }

    /// Puts everything written to the store's file system so far on the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let data = &self.roots.data;
        let sync = || -> std::io::Result<()> {
            let folder = std::fs::File::open(data)?;
            Ok(rustix::fs::syncfs(folder)?)
        };
        sync().map_err(|source| StoreError::io("sync", data, source))
    }
}

fn read(path: &Path) -> Option<Image> {
    document::decode(&std::fs::read(path).ok()?)
}

fn parse(reference: &Reference, config: &[u8]) -> Result<Document, StoreError> {
    Document::parse(config)
        .map_err(|error| StoreError::Configuration { image: reference.familiar(), reason: error.to_string() })
}

fn diff_ids(reference: &Reference, document: &Document) -> Result<Vec<Digest>, StoreError> {
    let bad = |reason: String| StoreError::Configuration { image: reference.familiar(), reason };
    let parse = |text: &String| Digest::parse(text).map_err(|error| bad(error.to_string()));
    document.rootfs.diff_ids.iter().map(parse).collect()
}

/// Without a variant that says what is true of the architecture anyway.
fn normal(platform: Platform) -> Platform {
    let implied = match platform.architecture.as_str() {
        "arm64" => Some("v8"),
        "arm" => Some("v7"),
        "amd64" => Some("v1"),
        _ => None,
    };
    let variant = platform.variant.filter(|variant| Some(variant.as_str()) != implied);
    Platform { variant, ..platform }
}
