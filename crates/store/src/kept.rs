//! Blobs of layers that no registry gives back: they came in an archive, and are kept as they came.
//!
//! ```text
//! DATA/blobs/sha256/HEX       beside manifests and configurations; the manifest of an image keeps it
//! ```
//! A layer that comes from a registry is fetched from there again, and one that was made here is packed to the
//! same bytes; only for the others a copy is the price of giving the same image again.

use crate::blobs::Sum;
use crate::decode::{Compression, decode};
use crate::error::UnpackError;
use crate::{Hasher, Store, StoreError};
use resource::{Digest, Image};
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Read, Write};

/// Bytes of an uncompressed archive that are always taken.
const ROOM: u64 = 4 << 30;
/// What a compressed archive may grow by: gzip's best on zeros.
const GROWTH: u64 = 1100;

impl Store {
    /// The blob of a layer, when it was kept. Whoever reads it checks its digest.
    pub fn layer_blob(&self, digest: &Digest) -> Option<File> {
        File::open(self.blob_file(digest)).ok()
    }

    /// The blobs of an image's layers that were kept, and their bytes.
    pub fn kept_blobs(&self, image: &Image) -> BTreeMap<Digest, u64> {
        let manifest = self.blob(&image.manifest).unwrap_or_default();
        let kept =
            |digest: Digest| Some((digest.clone(), std::fs::metadata(self.blob_file(&digest)).ok()?.len()));
        named_in(&manifest).into_iter().filter_map(kept).collect()
    }

    /// Whether a layer's blob has to be kept to be had again: no registry has it as far as is known, and its
    /// files do not pack to it. Reads all of the files where nothing else decides.
    pub fn wants_blob(&self, diff_id: &Digest, blob: &Digest) -> bool {
        let from_registry =
            |info: &crate::LayerInfo| info.origin.as_ref().is_some_and(|from| from.digest == *blob);
        if self.blob_file(blob).exists() || self.layer(diff_id).is_some_and(|info| from_registry(&info)) {
            return false;
        }
        blob != diff_id || self.write_layer(diff_id, io::sink()).is_err()
    }

    /// Keeps the blob of a layer; garbage until an image names it, unless it is pinned.
    ///
    /// # Errors
    /// [`StoreError::Unpack`] when the bytes are others than the promised ones, [`StoreError::Io`]; nothing
    /// stays then.
    pub fn keep_layer_blob(&self, mut bytes: impl Read, promised: &(Digest, u64)) -> Result<(), StoreError> {
        self.prepare()?;
        let path = self.blob_file(&promised.0);
        let temporary = self.temporary("blob")?;
        let mut write = || -> Result<(), StoreError> {
            let failed = |source| StoreError::io("write", &temporary, source);
            let mut file = BufWriter::with_capacity(1 << 18, File::create(&temporary).map_err(failed)?);
            let failed_blob =
                |source| StoreError::Unpack { digest: promised.0.to_string(), source: Box::new(source) };
            check_blob(&mut bytes, promised, &mut file).map_err(failed_blob)?;
            file.flush().map_err(failed)?;
            std::fs::rename(&temporary, &path).map_err(failed)
        };
        // What is left by a crash is swept.
        write().inspect_err(|_| drop(std::fs::remove_file(&temporary)))
    }

    /// A file without a name, for what has to be read twice: it goes with whoever has it open.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn nameless(&self) -> Result<File, StoreError> {
        self.prepare()?;
        let folder = self.roots.data.join("tmp");
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open(&folder, flags, Mode::RUSR | Mode::WUSR);
        file.map(File::from).map_err(|error| StoreError::io("write", &folder, error.into()))
    }

    /// Decompresses a blob, or an archive, into a nameless file, and gives that with the digest of its content.
    ///
    /// # Errors
    /// [`UnpackError`] when it is damaged, other bytes than the promised ones, or a bomb.
    pub fn spread(
        &self,
        bytes: impl BufRead + Send,
        promised: Option<&(Digest, u64)>,
        limit: u64,
    ) -> Result<(File, Digest), UnpackError> {
        let file = self.nameless().map_err(|error| unwritten(io::Error::other(error)))?;
        let (diff_id, ()) = decode(bytes, promised, |mut archive| {
            let mut output = BufWriter::with_capacity(1 << 18, &file);
            let mut written = 0;
            loop {
                let piece = archive.fill_buf().map_err(UnpackError::Read)?;
                if piece.is_empty() {
                    break;
                }
                written += piece.len() as u64;
                if written > limit {
                    let reason = "it grows to more than an archive of images can be";
                    return Err(UnpackError::Archive { offset: limit, reason });
                }
                let write = output.write_all(piece);
                write.map_err(unwritten)?;
                let length = piece.len();
                archive.consume(length);
            }
            output.flush().map_err(unwritten)?;
            drop(output);
            Ok((archive, ()))
        })?;
        Ok((file, diff_id))
    }
}

/// Bytes that so many compressed ones may become.
pub fn room_for(compressed: u64) -> u64 {
    compressed.saturating_mul(GROWTH).max(ROOM)
}

/// Whether something that begins like this is compressed.
pub fn is_compressed(start: &[u8]) -> bool {
    Compression::of(start) != Compression::None
}

/// Copies a blob and checks that it is the promised one: not a byte more is read than that it is too long.
///
/// # Errors
/// [`UnpackError`]
pub fn check_blob(bytes: impl Read, promised: &(Digest, u64), output: impl Write) -> Result<(), UnpackError> {
    let (digest, size) = promised;
    let mut bytes = bytes.take(size.saturating_add(1));
    let mut sum = Sum { output, hasher: Hasher::default(), count: 0 };
    let mut piece = vec![0; 1 << 18];
    loop {
        let length = match bytes.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(UnpackError::Read(error)),
        };
        sum.write_all(&piece[..length]).map_err(unwritten)?;
    }
    sum.flush().map_err(unwritten)?;
    if sum.count != *size {
        return Err(UnpackError::WrongSize { expected: *size, found: sum.count });
    }
    let found = sum.hasher.finish();
    if found != *digest {
        return Err(UnpackError::WrongDigest { what: "digest", expected: digest.clone(), found });
    }
    Ok(())
}

fn unwritten(source: io::Error) -> UnpackError {
    UnpackError::Write { act: "write", path: "its content".to_owned(), source }
}

/// The blobs of the layers that a manifest names.
pub(crate) fn named_in(manifest: &[u8]) -> Vec<Digest> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    layers.filter_map(|layer| Digest::parse(layer["digest"].as_str()?).ok()).collect()
}
