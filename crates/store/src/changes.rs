//! Layers made here: of what a container has changed, which overlayfs keeps in its upper folder, and
//! the archives of layers and of containers.
//!
//! Nothing is compared: the upper folder is the difference. It is packed as the archive that others will
//! see, and that archive is unpacked as any other would be, so the layer made is what a pull would give.

use crate::blobs::Sum;
use crate::error::{PackError, UnpackError};
use crate::layers::discard;
use crate::pack::{Form, Packer};
use crate::{Hasher, LayerInfo, LayerSlot, Omitted, Pin, Source, Store, StoreError};
use resource::Digest;
use rustix::fs::{Mode, OFlags};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Bytes on their way from the packer to who reads them.
const BUFFER: usize = 1 << 18;

/// A layer that was made here.
#[derive(Debug)]
pub struct Made {
    /// What it is.
    pub info: LayerInfo,
    /// Bytes of its archive, which has the diff id as its digest. [`Store::write_layer`] gives it.
    pub archive_size: u64,
    /// Keeps it until an image needs it.
    pub pin: Pin,
}

/// What a container's files are made of.
#[derive(Clone, Copy, Debug)]
pub struct LayerParts<'a> {
    /// Its image's layers, lowest first: their folders.
    pub layers: &'a [PathBuf],
    /// The upper folder of its overlay.
    pub upper: &'a Path,
}

impl Store {
    /// Makes a layer of an overlay's upper folder: deletions become whiteouts, opaque folders their
    /// marker; owners, modes, times, extended attributes, hard links and holes are kept, owners as the
    /// user namespace of the caller has them. The folder may belong to a container that runs: what is
    /// written meanwhile is in the layer or not.
    ///
    /// # Errors
    /// [`StoreError::Pack`], [`StoreError::Unpack`], [`StoreError::Io`]; nothing is left behind then.
    pub fn layer_of_changes(&self, upper: &Path) -> Result<Made, StoreError> {
        self.prepare()?;
        let folder = self.temporary("changes")?;
        let made = self.copy_changes(upper, &folder).and_then(|(info, archive_size)| {
            let pin = self.pin(std::slice::from_ref(&info.diff_id))?;
            if let LayerSlot::Missing(_claim) = self.begin_layer(&info.diff_id)? {
                self.publish_layer(&folder, &info.diff_id)?;
            }
            Ok(Made { info, archive_size, pin })
        });
        discard(&folder)?;
        made
    }

    /// As [`Store::layer_of_changes`], of a folder that nobody uses any more and that becomes the layer: it
    /// is read once and written never. `None` when nothing has changed; the folder is gone either way. It
    /// has to lie in the store's file system: [`Store::scratch`] does.
    ///
    /// # Errors
    /// [`StoreError::Pack`], [`StoreError::Io`]; nothing is left behind then.
    pub fn take_changes(&self, upper: PathBuf) -> Result<Option<Made>, StoreError> {
        self.take_files(upper, Omitted::default())
    }

    /// The same of files that lack something.
    pub(crate) fn take_files(&self, upper: PathBuf, omitted: Omitted) -> Result<Option<Made>, StoreError> {
        self.prepare()?;
        let folder = self.temporary("changes")?;
        let made = self.take(&upper, &folder, omitted);
        discard(&upper)?;
        discard(&folder)?;
        made
    }

    fn take(&self, upper: &Path, folder: &Path, omitted: Omitted) -> Result<Option<Made>, StoreError> {
        let failed = |source| StoreError::io("read", upper, source);
        if std::fs::read_dir(upper).map_err(failed)?.next().is_none() {
            return Ok(None);
        }
        let mut sum = Sum { output: io::sink(), hasher: Hasher::default(), count: 0 };
        pack(upper, Form::Layer, &mut sum)?;
        let diff_id = sum.hasher.finish();
        sys::file::create_private_folder(folder).map_err(|source| StoreError::io("make", folder, source))?;
        std::fs::rename(upper, folder.join("tree"))
            .map_err(|source| StoreError::io("move", upper, source))?;
        let mut info = LayerInfo::made(diff_id, sum.count);
        info.omitted = omitted;
        crate::layers::write_document(&folder.join("layer.json"), &info)?;
        let pin = self.pin(std::slice::from_ref(&info.diff_id))?;
        if let LayerSlot::Missing(_claim) = self.begin_layer(&info.diff_id)? {
            self.publish_layer(folder, &info.diff_id)?;
        }
        Ok(Some(Made { info, archive_size: sum.count, pin }))
    }

    /// A path in the store's file system that nobody else uses; what is left there by a crash is swept.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn scratch(&self, kind: &str) -> Result<PathBuf, StoreError> {
        self.prepare()?;
        self.temporary(kind)
    }

    /// Writes the archive of a layer that was made here, uncompressed: the one that its diff id is the
    /// digest of. One that was pulled was another archive with the same content; one that came in an archive
    /// was kept as it was.
    ///
    /// # Errors
    /// [`StoreError::Pack`], [`StoreError::Changed`] when what was written is not the layer's archive.
    pub fn write_layer(&self, diff_id: &Digest, output: impl Write) -> Result<(), StoreError> {
        let mut sum = Sum { output, hasher: Hasher::default(), count: 0 };
        match self.layer_blob(diff_id) {
            Some(mut kept) => {
                let path = self.blob_file(diff_id);
                io::copy(&mut kept, &mut sum).map_err(|source| StoreError::io("copy", &path, source))?;
            }
            None => drop(pack(&self.layer_path(diff_id), Form::Layer, &mut sum)?),
        }
        if sum.hasher.finish() == *diff_id {
            Ok(())
        } else {
            Err(StoreError::Changed { layer: diff_id.clone() })
        }
    }

    /// Writes an archive of a layer's files, whatever archive it came as; gives its digest and bytes, which are the
    /// same every time.
    ///
    /// # Errors
    /// [`StoreError::Pack`]
    pub fn pack_files(&self, diff_id: &Digest, output: impl Write) -> Result<(Digest, u64), StoreError> {
        let mut sum = Sum { output, hasher: Hasher::default(), count: 0 };
        pack(&self.layer_path(diff_id), Form::Layer, &mut sum)?;
        let count = sum.count;
        Ok((sum.hasher.finish(), count))
    }

    /// Writes all files of a container as one archive, without what is mounted in it. It may be running.
    ///
    /// # Errors
    /// [`StoreError::View`], [`StoreError::Pack`]
    pub fn write_container(&self, parts: LayerParts<'_>, output: impl Write) -> Result<(), StoreError> {
        let failed = |source| StoreError::View { image: parts.upper.display().to_string(), source };
        let mut folders = vec![parts.upper.to_path_buf()];
        folders.extend(parts.layers.iter().rev().cloned());
        // Before its first start a container has no upper folder.
        folders.retain(|folder| folder.exists());
        let view = self.view_of(folders).map_err(failed)?;
        // The view's own root can be searched, not listed: it is open as a place only.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let view =
            rustix::fs::openat(&view, ".", flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        pack_open(&view, Form::Whole, output).map(drop).map_err(|source| packing(parts.upper, source))
    }

    /// Packs and unpacks side by side: the archive is never kept.
    fn copy_changes(&self, upper: &Path, folder: &Path) -> Result<(LayerInfo, u64), StoreError> {
        let (reader, writer) = io::pipe().map_err(|source| StoreError::io("read", upper, source))?;
        let (packed, unpacked) = std::thread::scope(|scope| {
            let packing =
                scope.spawn(move || pack(upper, Form::Layer, BufWriter::with_capacity(BUFFER, writer)));
            let mut counted = Counted { reader, count: 0 };
            let bytes = BufReader::with_capacity(BUFFER, &mut counted);
            let unpacked = self.unpack_into(folder, Source { bytes, blob: None, from: None }, None);
            let count = counted.count;
            // What is still being written has no reader any more.
            drop(counted);
            let packed = packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (packed, unpacked.map(|info| (info, count)))
        });
        match (packed, unpacked) {
            // One side ended the other: the cause is what did not just lose its partner.
            (Err(error), Err(unpack)) if error.lost_its_reader() && !lost_its_writer(&unpack) => Err(unpack),
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(done)) => Ok(done),
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.count += length as u64;
        Ok(length)
    }
}

fn pack(folder: &Path, form: Form, output: impl Write) -> Result<(), StoreError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::open(folder, flags, Mode::empty());
    let open = open.map_err(|error| StoreError::io("open", folder, error.into()))?;
    pack_open(&open, form, output).map_err(|source| packing(folder, source))
}

fn pack_open(folder: &OwnedFd, form: Form, output: impl Write) -> Result<(), PackError> {
    let mut packer = Packer::new(output, form);
    packer.root(folder)?;
    packer.finish().map(drop)
}

fn packing(folder: &Path, source: PackError) -> StoreError {
    StoreError::Pack { folder: folder.to_owned(), source: Box::new(source) }
}

fn lost_its_writer(error: &StoreError) -> bool {
    matches!(error, StoreError::Unpack { source, .. } if matches!(&**source, UnpackError::Archive { .. }))
}
