//! What steps take from a tree, as one digest: names, kinds, modes and contents; times never count. A step that
//! takes from another stage depends on this, and not on how that stage has come to its files.

use crate::copy;
use crate::tree::{self, Entry};
use resource::Digest;
use rustix::fs::FileType;
use std::collections::HashMap;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use store::{Hasher, digest_of};

/// Whether it counts whom files belong to, and their extended attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// They are copied, too.
    Kept,
    /// All of it becomes somebody else's.
    Left,
}

/// The digest of these entries of a tree, by their paths below `base`. `content` gives that of a file.
pub(crate) fn digest(
    root: &OwnedFd,
    base: &Path,
    entries: &[&Entry],
    owners: Owners,
    content: &mut dyn FnMut(&Entry) -> io::Result<Digest>,
) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    // Files with several names, by device and inode: they stay one file where they go.
    let mut linked: HashMap<(u64, u64), &Path> = HashMap::new();
    for entry in entries {
        let path = entry.path.strip_prefix(base).unwrap_or(&entry.path);
        let inode = (entry.status.st_dev, entry.status.st_ino);
        let held = match entry.kind() {
            FileType::RegularFile if linked.contains_key(&inode) => {
                format!("is {}", linked[&inode].display())
            }
            FileType::RegularFile => {
                if entry.status.st_nlink > 1 {
                    linked.insert(inode, path);
                }
                content(entry)?.to_string()
            }
            FileType::Symlink => digest_of(&tree::read_link(root, &entry.path)?).to_string(),
            kind => format!("{kind:?} {}", entry.status.st_rdev),
        };
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update(format!("\0{:o} {held}\n", entry.status.st_mode).as_bytes());
        if owners == Owners::Kept {
            hasher.update(format!("{}:{}\n", entry.status.st_uid, entry.status.st_gid).as_bytes());
            for (key, value) in copy::attributes(root, entry)? {
                hasher.update(&(key.len() as u64).to_le_bytes());
                hasher.update(&key);
                hasher.update(&(value.len() as u64).to_le_bytes());
                hasher.update(&value);
            }
        }
    }
    Ok(hasher.finish())
}

/// The digest of entries of a stage or image, with their owners.
pub(crate) fn digest_of_layers(root: &OwnedFd, base: &Path, entries: &[&Entry]) -> io::Result<Digest> {
    digest(root, base, entries, Owners::Kept, &mut |entry| {
        digest_of_file(tree::open_file(root, &entry.path)?)
    })
}

/// The digest of a file's bytes.
pub(crate) fn digest_of_file(mut file: std::fs::File) -> io::Result<Digest> {
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; 1 << 17]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&piece[..length]),
        }
    }
}
