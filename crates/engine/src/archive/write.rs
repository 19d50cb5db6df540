//! Writes the files of an archive of images: into a tar archive, or into a folder.
//!
//! An archive is written beside its place and renamed, so that what is there is whole; in a folder each blob is,
//! and the index that names them comes last. The same images give the same bytes: no times, no owners.

use super::ArchiveError;
use resource::Digest;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use store::{UnpackError, check_blob};

/// Size of a tar block, bytes.
const BLOCK: u64 = 512;

/// An archive that is being written. Dropped before [`Writer::finish`] it leaves no archive, and in a folder
/// blobs that no index names.
pub(crate) struct Writer {
    /// What it is called.
    path: PathBuf,
    output: Output,
    written: BTreeSet<String>,
}

enum Output {
    Archive { output: BufWriter<File>, temporary: Option<Temporary> },
    Folder,
}

/// A file that goes unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is gone when it was renamed.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Writer {
    /// Into a file, for its owner alone when `private`; one that is no regular file is written to as it is.
    ///
    /// # Errors
    /// [`ArchiveError::File`]
    pub(crate) fn archive(path: &Path, private: bool) -> Result<Self, ArchiveError> {
        let failed = || ArchiveError::file("write", path);
        if std::fs::metadata(path).is_ok_and(|status| !status.is_file()) {
            let file = File::options().write(true).open(path).map_err(failed())?;
            return Ok(Self::stream(path, file));
        }
        // One that is a link stays one.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = target.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let mode = if private { 0o600 } else { 0o666 };
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        let file = options.open(&temporary).map_err(failed())?;
        let output = BufWriter::with_capacity(1 << 18, file);
        let output = Output::Archive { output, temporary: Some(Temporary(temporary)) };
        Ok(Self { path: target, output, written: BTreeSet::new() })
    }

    /// Into something that is open: standard output.
    pub(crate) fn stream(path: &Path, file: File) -> Self {
        let output = BufWriter::with_capacity(1 << 18, file);
        let output = Output::Archive { output, temporary: None };
        Self { path: path.to_owned(), output, written: BTreeSet::new() }
    }

    /// Into a folder, which is made; one that is there is an OCI layout or empty.
    ///
    /// # Errors
    /// [`ArchiveError::File`], [`ArchiveError::Occupied`]
    pub(crate) fn folder(path: &Path) -> Result<Self, ArchiveError> {
        let blobs = path.join("blobs/sha256");
        let is_empty = std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        if !is_empty && !path.join("oci-layout").is_file() {
            return Err(ArchiveError::Occupied { path: path.to_owned() });
        }
        std::fs::create_dir_all(&blobs).map_err(ArchiveError::file("make", &blobs))?;
        Ok(Self { path: path.to_owned(), output: Output::Folder, written: BTreeSet::new() })
    }

    /// What a folder has under a name already.
    pub(crate) fn there(&self, name: &str) -> Option<Vec<u8>> {
        match self.output {
            Output::Folder => std::fs::read(self.path.join(name)).ok(),
            Output::Archive { .. } => None,
        }
    }

    /// Whether this was written.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.written.contains(name)
    }

    /// Writes a small file.
    ///
    /// # Errors
    /// [`ArchiveError`]
    pub(crate) fn small(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        let promised = (store::digest_of(bytes), bytes.len() as u64);
        self.blob(name, &promised, bytes)
    }

    /// Writes a file whose digest and length are known, once.
    ///
    /// # Errors
    /// [`ArchiveError::Given`] when the bytes are others, [`ArchiveError::File`].
    pub(crate) fn blob(
        &mut self,
        name: &str,
        promised: &(Digest, u64),
        bytes: impl Read,
    ) -> Result<(), ArchiveError> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        let failed = |source| match source {
            UnpackError::Write { source, .. } => ArchiveError::file("write", &self.path)(source),
            source => ArchiveError::Given { digest: promised.0.clone(), source },
        };
        match &mut self.output {
            Output::Archive { output, .. } => {
                let unwritten = || ArchiveError::file("write", &self.path);
                output.write_all(header(name, promised.1).as_bytes()).map_err(unwritten())?;
                check_blob(bytes, promised, &mut *output).map_err(failed)?;
                let padding = promised.1.next_multiple_of(BLOCK) - promised.1;
                io::copy(&mut io::repeat(0).take(padding), output).map(drop).map_err(unwritten())
            }
            Output::Folder => {
                let target = self.path.join(name);
                let unwritten = || ArchiveError::file("write", &target);
                let file = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let temporary =
                    Temporary(target.with_file_name(format!(".{file}.{}.tmp", std::process::id())));
                let output = File::create(&temporary.0).map_err(unwritten())?;
                check_blob(bytes, promised, BufWriter::with_capacity(1 << 18, output)).map_err(failed)?;
                std::fs::rename(&temporary.0, &target).map_err(unwritten())
            }
        }
    }

    /// Ends it: from now on it is there.
    ///
    /// # Errors
    /// [`ArchiveError::File`]
    pub(crate) fn finish(self) -> Result<(), ArchiveError> {
        let Output::Archive { mut output, temporary } = self.output else { return Ok(()) };
        let failed = || ArchiveError::file("write", &self.path);
        output.write_all(&[0; 2 * BLOCK as usize]).and_then(|()| output.flush()).map_err(failed())?;
        match temporary {
            Some(temporary) => std::fs::rename(&temporary.0, &self.path).map_err(failed()),
            None => Ok(()),
        }
    }
}

/// The header of a file of so many bytes, nobody's and of no time.
fn header(name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    // Names are `blobs/sha256/HEX` at most, which fits.
    let _ = header.set_path(name);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header
}
