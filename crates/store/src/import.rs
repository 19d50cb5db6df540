//! Images made here from one archive, without a registry.

use crate::layers::{Source, discard};
use crate::{Assembly, LayerSlot, Store, StoreError};
use resource::{Image, ImageConfig, Reference, Timestamp};
use std::io::{BufReader, Read};

impl Store {
    /// Unpacks a tar archive, compressed or not, into `tree` of a folder that the caller removes.
    ///
    /// # Errors
    /// [`StoreError::Unpack`], [`StoreError::Io`]; nothing is left behind then.
    pub fn unpack_apart(&self, archive: impl Read + Send) -> Result<std::path::PathBuf, StoreError> {
        self.prepare()?;
        let folder = self.temporary("archive");
        let source = Source { bytes: BufReader::with_capacity(1 << 18, archive), blob: None };
        if let Err(error) = self.unpack_into(&folder, source, None) {
            discard(&folder)?;
            return Err(error);
        }
        Ok(folder)
    }

    /// Makes an image for the host's platform of one tar archive, compressed or not, and a configuration.
    ///
    /// # Errors
    /// [`StoreError::Unpack`], [`StoreError::Io`].
    pub fn import(
        &self,
        reference: &Reference,
        rootfs: impl Read + Send,
        config: &ImageConfig,
    ) -> Result<Image, StoreError> {
        self.prepare()?;
        let folder = self.temporary("import");
        let source = Source { bytes: BufReader::with_capacity(1 << 18, rootfs), blob: None };
        let image = self.unpack_into(&folder, source, None).and_then(|info| {
            let pin = self.pin(std::slice::from_ref(&info.diff_id))?;
            if let LayerSlot::Missing(_claim) = self.begin_layer(&info.diff_id)? {
                self.publish_layer(&folder, &info.diff_id)?;
            }
            let assembly = Assembly {
                reference,
                platform: None,
                base: None,
                layers: &[(info.diff_id.clone(), info.size)],
                config,
                author: None,
                created: Timestamp::now(),
                history: &[],
            };
            self.assemble_image(&assembly, pin)
        });
        discard(&folder)?;
        image
    }
}
