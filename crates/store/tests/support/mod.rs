//! A store of its own for each test, and archives written byte by byte, so that they can be hostile.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test program uses a part of it"
)]

pub mod user;

use resource::{Digest, Image, Reference, Roots};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use store::{LayerInfo, LayerSlot, NewImage, Source, Store, StoreError, digest_of};

/// A store below a folder that is removed at the end.
pub struct TestStore {
    pub folder: PathBuf,
    pub store: Store,
}

impl TestStore {
    pub fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("store-test-{}-{count}", std::process::id()));
        let roots = Roots { mapping: user::mapping(), ..Roots::below(&folder) };
        let store = Store::open(&roots).unwrap();
        Self { folder, store }
    }

    /// Unpacks an archive as a layer.
    pub fn layer(&self, archive: &[u8]) -> Result<LayerInfo, StoreError> {
        match self.store.begin_layer(&digest_of(archive))? {
            LayerSlot::Present(info) => Ok(info),
            LayerSlot::Missing(writer) => writer.unpack(Source { bytes: archive, blob: None, from: None }),
        }
    }

    /// Unpacks an archive and gives its folder.
    pub fn tree(&self, archive: &[u8]) -> PathBuf {
        self.store.layer_path(&self.layer(archive).unwrap().diff_id)
    }

    /// Commits an image of these archives.
    pub fn image(&self, reference: &str, archives: &[&[u8]]) -> Image {
        let layers: Vec<Digest> =
            archives.iter().map(|archive| self.layer(archive).unwrap().diff_id).collect();
        let pin = self.store.pin(&layers).unwrap();
        let config = serde_json::json!({
            "os": "linux", "architecture": resource::Platform::host().architecture,
            "config": {"Cmd": ["/run"]}, "rootfs": {"type": "layers", "diff_ids": layers},
        })
        .to_string();
        let reference = Reference::parse(reference).unwrap();
        let manifest = format!("{{\"of\":\"{reference}\"}}");
        let new = NewImage {
            reference: &reference,
            platform: None,
            manifest: manifest.as_bytes(),
            config: config.as_bytes(),
        };
        self.store.commit_image(&new, pin).unwrap()
    }

    /// What is in the store's temporary folder.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.store.roots().data.join("tmp")).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| !path.ends_with("empty0") && !path.ends_with("empty1"))
            .collect()
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An archive in the making.
#[derive(Default)]
pub struct Tar(Vec<u8>);

/// One entry; the rest is as `new` has it.
pub struct Entry<'a> {
    pub path: &'a [u8],
    pub kind: u8,
    pub link: &'a [u8],
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub time: &'a [u8; 12],
    pub content: &'a [u8],
    pub device: (u32, u32),
}

impl<'a> Entry<'a> {
    pub fn new(kind: u8, path: &'a str) -> Self {
        let mode = if kind == b'5' { 0o755 } else { 0o644 };
        let path = path.as_bytes();
        Self {
            path,
            kind,
            link: b"",
            mode,
            uid: 0,
            gid: 0,
            time: b"14000000000\0",
            content: b"",
            device: (0, 0),
        }
    }
}

impl Tar {
    pub fn file(self, path: &str, content: &str) -> Self {
        self.entry(&Entry { content: content.as_bytes(), ..Entry::new(b'0', path) })
    }

    pub fn folder(self, path: &str) -> Self {
        self.entry(&Entry::new(b'5', path))
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(&Entry { link: target.as_bytes(), ..Entry::new(b'2', path) })
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(&Entry { link: target.as_bytes(), ..Entry::new(b'1', path) })
    }

    /// PAX records for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.entry(&Entry { content: &records_of(records), ..Entry::new(b'x', "PaxHeaders/0") })
    }

    /// PAX records for all entries after this.
    pub fn global(self, records: &[(&str, &[u8])]) -> Self {
        self.entry(&Entry { content: &records_of(records), ..Entry::new(b'g', "PaxHeaders/0") })
    }

    /// An entry whose header says that it has so many bytes, and that has none.
    pub fn sized(self, size: usize, entry: &Entry<'_>) -> Self {
        let at = self.0.len();
        let mut tar = self.entry(&Entry { content: b"", ..*entry });
        let header = &mut tar.0[at..at + 512];
        header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        seal(header);
        tar
    }

    pub fn entry(mut self, entry: &Entry<'_>) -> Self {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &entry.path[..entry.path.len().min(100)]);
        for (at, value) in [(100, entry.mode), (108, entry.uid), (116, entry.gid)] {
            put(at, format!("{value:07o}\0").as_bytes());
        }
        put(124, format!("{:011o}\0", entry.content.len()).as_bytes());
        put(136, entry.time);
        put(156, &[entry.kind]);
        put(157, &entry.link[..entry.link.len().min(100)]);
        put(257, b"ustar\x0000");
        put(329, format!("{:07o}\0{:07o}\0", entry.device.0, entry.device.1).as_bytes());
        seal(&mut header);
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(entry.content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// Without the two blocks of zeros.
    pub fn cut(self) -> Vec<u8> {
        self.0
    }
}

/// Writes the checksum of a header into it.
fn seal(header: &mut [u8]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// The text of a PAX header.
fn records_of(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut text = vec![];
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
        text.extend_from_slice(format!("{length} {key}=").as_bytes());
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    text
}

/// Whether a whiteout is there.
pub fn is_whiteout(path: &Path) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    std::fs::symlink_metadata(path)
        .is_ok_and(|status| status.file_type().is_char_device() && status.rdev() == 0)
}

/// The value of an extended attribute.
pub fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}
