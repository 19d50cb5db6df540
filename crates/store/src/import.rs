//! Images made here from one archive, without a registry.

use crate::config::Document;
use crate::layers::{Source, discard};
use crate::{LayerSlot, NewImage, Store, StoreError, digest_of};
use resource::{Image, ImageConfig, Platform, Reference, Timestamp};
use serde_json::json;
use std::io::{BufReader, Read};

impl Store {
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
            let document = Document::of(config, &Platform::host(), Timestamp::now(), info.diff_id.as_str());
            let (config, manifest) = documents(&document, info.size);
            let new = NewImage { reference, platform: None, manifest: &manifest, config: &config };
            self.commit_image(&new, pin)
        });
        discard(&folder)?;
        image
    }
}

/// The bytes of a configuration and of a manifest that names it.
fn documents(document: &Document, size: u64) -> (Vec<u8>, Vec<u8>) {
    let config = json!(document).to_string().into_bytes();
    // The layer is kept unpacked: its blob, never stored, is the archive itself.
    let layers: Vec<_> = document.rootfs.diff_ids.iter().map(|diff_id| {
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": diff_id, "size": size})
    }).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(&config),
            "size": config.len(),
        },
        "layers": layers,
    });
    (config, manifest.to_string().into_bytes())
}
