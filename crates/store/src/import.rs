//! Images made here from one archive, without a registry.

use crate::layers::{Source, discard};
use crate::{Assembly, History, Store, StoreError};
use resource::{Image, ImageConfig, Reference, Timestamp};
use std::io::{BufReader, Read};

impl Store {
    /// Unpacks a tar archive, compressed or not, into `tree` of a folder that the caller removes.
    ///
    /// # Errors
    /// [`StoreError::Unpack`], [`StoreError::Io`]; nothing is left behind then.
    pub fn unpack_apart(&self, archive: impl Read + Send) -> Result<std::path::PathBuf, StoreError> {
        self.prepare()?;
        let folder = self.temporary("archive")?;
        let source = Source { bytes: BufReader::with_capacity(1 << 18, archive), blob: None, from: None };
        if let Err(error) = self.unpack_into(&folder, source, None) {
            discard(&folder)?;
            return Err(error);
        }
        Ok(folder)
    }

    /// Makes an image for the host's platform of one tar archive, compressed or not, and a configuration. Its
    /// layer is named after the archive that this store writes of the files, so that it can be given again.
    ///
    /// # Errors
    /// [`StoreError::Unpack`], [`StoreError::Pack`], [`StoreError::Io`].
    pub fn import(
        &self,
        reference: &Reference,
        rootfs: impl Read + Send,
        config: &ImageConfig,
    ) -> Result<Image, StoreError> {
        self.prepare()?;
        let folder = self.temporary("import")?;
        let source = Source { bytes: BufReader::with_capacity(1 << 18, rootfs), blob: None, from: None };
        let made = self
            .unpack_into(&folder, source, None)
            .and_then(|info| self.take_files(folder.join("tree"), info.omitted));
        discard(&folder)?;
        let (pin, layers) = match made? {
            Some(made) => (made.pin, vec![(made.info.diff_id, made.archive_size)]),
            None => (self.pin(&[])?, vec![]),
        };
        let created = Timestamp::now();
        let step = History {
            created: created.to_string(),
            created_by: String::new(),
            author: String::new(),
            comment: "imported from an archive of files".to_owned(),
            empty_layer: layers.is_empty(),
        };
        let assembly = Assembly {
            reference,
            platform: None,
            base: None,
            layers: &layers,
            config,
            author: None,
            created,
            history: &[step],
            cache: None,
        };
        self.assemble_image(&assembly, pin)
    }
}
