//! A bundle: an OCI archive with the images of a project and, as an artifact beside them, files of the project.
//!
//! ```text
//! index.json ─┬─ manifest of each image, under each of its names
//!             └─ manifest of type application/vnd.compose.bundle.v1
//!                    └─ layer application/vnd.compose.bundle.project.v1.tar: the files
//! ```
//! Whoever reads images only finds an OCI archive. Files are never written over unless that is asked for.

use super::files::{Files, Window};
use super::layout::{blob_file, small_blob};
use super::load::load;
use super::write::Writer;
use super::{ArchiveError, ArchiveForm, Gathered, LoadOptions, LoadedImage, MANIFEST_LIMIT, bytes};
use crate::{Engine, EngineError};
use resource::Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use store::{MemberKind, Owners, StoreError, Target, check_blob};

/// What a manifest of a bundle's files says that it is.
const KIND: &str = "application/vnd.compose.bundle.v1";
/// The files of a project, in a tar archive.
const FILES: &str = "application/vnd.compose.bundle.project.v1.tar";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Paths that somebody has to put there, a JSON list.
const LEFT_OUT: &str = "vnd.compose.bundle.left-out";

/// A file of a bundle.
#[derive(Clone, Debug)]
pub struct BundleFile {
    /// Its name in the project's folder.
    pub name: String,
    /// What it is.
    pub content: BundleContent,
}

/// What a file of a bundle is.
#[derive(Clone, Debug)]
pub enum BundleContent {
    /// A text, or what else has no file; for its owner alone.
    Bytes(Vec<u8>),
    /// A file of the host, or a folder with all that is in it. Sockets and devices are left out.
    Path(PathBuf),
}

/// A bundle that was loaded.
#[derive(Clone, Debug)]
pub struct LoadedBundle {
    /// Its images.
    pub images: Vec<LoadedImage>,
    /// The files that were written, by their names in the folder; none when it was an archive of images only.
    pub files: Vec<String>,
    /// Paths in the folder that the project needs and that are in no bundle.
    pub left_out: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    digest: Digest,
    size: u64,
    #[serde(default)]
    artifact_type: Option<String>,
}

#[derive(Deserialize)]
struct Artifact {
    layers: Vec<crate::blobs::Described>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Engine {
    /// Writes a bundle; for its owner alone when `private`. Paths that are left out are in none of its folders.
    ///
    /// # Errors
    /// [`EngineError::Archive`]; nothing is left then.
    pub async fn save_bundle(
        &self,
        images: &Gathered,
        files: &[BundleFile],
        left_out: &[String],
        path: &Path,
        private: bool,
    ) -> Result<(), EngineError> {
        let mut writer = Writer::archive(path, private)?;
        let entry = self.write_artifact(&mut writer, files, left_out)?;
        let writer = self.write_images(&images.parcels, ArchiveForm::OciArchive, writer, &[entry]).await?;
        Ok(writer.finish()?)
    }

    /// Writes the files and their manifest; gives what an index says of it.
    fn write_artifact(
        &self,
        writer: &mut Writer,
        files: &[BundleFile],
        left_out: &[String],
    ) -> Result<Value, ArchiveError> {
        let packed = self.store().nameless()?;
        let mut archive = tar::Builder::new(&packed);
        for file in files {
            add(&mut archive, file, left_out)?;
        }
        let name = Path::new("the bundle's files");
        archive.finish().map_err(ArchiveError::file("write", name))?;
        drop(archive);
        let window = Window::whole(packed).map_err(ArchiveError::file("read", name))?;
        let size = window.size();
        let digest =
            super::layout::digest_of_window(window.again()).map_err(ArchiveError::file("read", name))?;
        let layer = json!({"mediaType": FILES, "digest": digest, "size": size});
        writer.blob(&blob_file(&digest), &(digest.clone(), size), window)?;
        let empty = store::digest_of(b"{}");
        writer.small(&blob_file(&empty), b"{}")?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": KIND,
            "config": {"mediaType": EMPTY, "digest": empty, "size": 2},
            "layers": [layer],
            "annotations": {LEFT_OUT: json!(left_out).to_string()},
        });
        let manifest = bytes(&manifest);
        let digest = store::digest_of(&manifest);
        writer.small(&blob_file(&digest), &manifest)?;
        Ok(json!({"mediaType": OCI_MANIFEST, "artifactType": KIND, "digest": digest, "size": manifest.len()}))
    }

    /// Loads the images of an archive and, when it is a bundle, its files into a folder. What is there already
    /// and differs is in the way, unless `replace`. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Archive`]; nothing was done then, but for what cannot be written.
    pub fn load_bundle(
        &self,
        path: &Path,
        folder: &Path,
        replace: bool,
        options: &LoadOptions,
    ) -> Result<LoadedBundle, EngineError> {
        let archive = Files::open(self.store(), path)?;
        let found = self.artifact(&archive)?;
        if let Some((files, _)) = found.as_ref().filter(|_| !replace) {
            let in_the_way = in_the_way(files, folder)?;
            if !in_the_way.is_empty() {
                let (folder, there) = (folder.to_owned(), in_the_way);
                return Err(ArchiveError::InTheWay { folder, there }.into());
            }
        }
        let images = load(self.store(), &archive, options)?;
        let Some((mut files, left_out)) = found else {
            return Ok(LoadedBundle { images, files: vec![], left_out: vec![] });
        };
        let unreadable = |source| ArchiveError::Unreadable { path: path.to_owned(), source };
        let members = store::members(&files).map_err(unreadable)?;
        let names = members.into_iter().filter(|member| matches!(member.kind, MemberKind::File { .. }));
        let names = names.map(|member| String::from_utf8_lossy(&member.name).into_owned()).collect();
        let failed = |source| ArchiveError::Unwritten { folder: folder.to_owned(), source };
        let opened = sys::file::open_folder(folder).map_err(ArchiveError::file("open", folder))?;
        let target = Target::folder(opened, Path::new("/")).map_err(failed)?;
        io::Seek::rewind(&mut files).map_err(ArchiveError::file("read", path))?;
        self.store().unpack_archive(files, target, Owners::Copier).map_err(failed)?;
        Ok(LoadedBundle { images, files: names, left_out })
    }

    /// The files of a bundle, checked, in a file without a name, and what is left out of it.
    fn artifact(&self, archive: &Files) -> Result<Option<(File, Vec<String>)>, ArchiveError> {
        let Some(index) = archive.small("index.json", MANIFEST_LIMIT)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| archive.damaged("index.json", error.to_string());
        let index: Index = serde_json::from_slice(&index).map_err(damaged)?;
        let is_bundle = |entry: &&Entry| entry.artifact_type.as_deref() == Some(KIND);
        let Some(entry) = index.manifests.iter().find(is_bundle) else { return Ok(None) };
        let manifest = small_blob(archive, &entry.digest, entry.size, MANIFEST_LIMIT)?;
        let name = blob_file(&entry.digest);
        let artifact: Artifact =
            serde_json::from_slice(&manifest).map_err(|error| archive.damaged(&name, error.to_string()))?;
        let layer = artifact.layers.into_iter().find(|layer| layer.media_type == FILES);
        let layer = layer.ok_or_else(|| archive.damaged(&name, "it has no files"))?;
        let part = blob_file(&layer.digest);
        let window = archive.file(&part)?.ok_or_else(|| archive.damaged(&part, "this blob is missing"))?;
        let file = self.store().nameless()?;
        check_blob(window, &(layer.digest.clone(), layer.size), &file).map_err(|source| {
            let source = StoreError::Unpack { digest: layer.digest.to_string(), source: Box::new(source) };
            ArchiveError::Layer { path: archive.path.clone(), part, source }
        })?;
        let left_out = artifact.annotations.get(LEFT_OUT);
        let left_out = left_out.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Ok(Some((file, left_out)))
    }
}

/// Files of a bundle that are in a folder already with another content.
fn in_the_way(files: &File, folder: &Path) -> Result<Vec<String>, ArchiveError> {
    let unreadable = |source| ArchiveError::Unreadable { path: PathBuf::from("the bundle's files"), source };
    let mut found = vec![];
    for member in store::members(files).map_err(unreadable)? {
        let MemberKind::File { at, size } = member.kind else { continue };
        let name = String::from_utf8_lossy(&member.name).into_owned();
        let there = folder.join(&name);
        let Ok(status) = std::fs::symlink_metadata(&there) else { continue };
        let same = status.is_file() && status.len() == size && is_same(files, at, &there).unwrap_or(false);
        if !same {
            found.push(name);
        }
    }
    Ok(found)
}

/// Whether a file has the bytes that are at this offset of another.
fn is_same(whole: &File, mut at: u64, path: &Path) -> io::Result<bool> {
    let mut there = BufReader::new(File::open(path)?);
    let (mut one, mut other) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let length = there.read(&mut one)?;
        if length == 0 {
            return Ok(true);
        }
        whole.read_exact_at(&mut other[..length], at)?;
        if one[..length] != other[..length] {
            return Ok(false);
        }
        at += length as u64;
    }
}

/// Adds a file, or a folder with all that is in it but for what is left out, in the order of their names.
fn add(
    archive: &mut tar::Builder<&File>,
    file: &BundleFile,
    left_out: &[String],
) -> Result<(), ArchiveError> {
    match &file.content {
        BundleContent::Bytes(bytes) => {
            let mut header = header(tar::EntryType::Regular, 0o600, bytes.len() as u64, 0);
            let failed = ArchiveError::file("pack", Path::new(&file.name));
            archive.append_data(&mut header, &file.name, bytes.as_slice()).map_err(failed)
        }
        BundleContent::Path(path) => add_path(archive, Path::new(&file.name), path, left_out),
    }
}

fn add_path(
    archive: &mut tar::Builder<&File>,
    name: &Path,
    path: &Path,
    left_out: &[String],
) -> Result<(), ArchiveError> {
    if left_out.iter().any(|other| Path::new(other) == name) {
        return Ok(());
    }
    let failed = || ArchiveError::file("pack", path);
    let status: Metadata = std::fs::symlink_metadata(path).map_err(failed())?;
    let mode = status.permissions().mode() & 0o777;
    let modified = u64::try_from(status.mtime()).unwrap_or(0);
    if status.is_dir() {
        let mut header = header(tar::EntryType::Directory, mode, 0, modified);
        archive.append_data(&mut header, name, io::empty()).map_err(failed())?;
        let entries = std::fs::read_dir(path).map_err(failed())?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>().map_err(failed())?;
        names.sort();
        return names
            .iter()
            .try_for_each(|entry| add_path(archive, &name.join(entry), &path.join(entry), left_out));
    }
    if status.is_symlink() {
        let mut header = header(tar::EntryType::Symlink, mode, 0, modified);
        let link = std::fs::read_link(path).map_err(failed())?;
        return archive.append_link(&mut header, name, link).map_err(failed());
    }
    if status.is_file() {
        let file = File::open(path).map_err(failed())?;
        let size = file.metadata().map_err(failed())?.len();
        let mut header = header(tar::EntryType::Regular, mode, size, modified);
        return archive.append_data(&mut header, name, file.take(size)).map_err(failed());
    }
    Ok(())
}

/// The header of an entry that belongs to nobody.
fn header(kind: tar::EntryType, mode: u32, size: u64, modified: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(modified);
    header.set_uid(0);
    header.set_gid(0);
    header
}
