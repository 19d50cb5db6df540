//! Everything below a watched path that its rule picks, without entering what it ignores.

use crate::rule::{Rule, Watched};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// Something below a watched path.
#[derive(Debug)]
pub enum Found {
    /// A folder that the rule enters, the watched path itself among them.
    Folder(PathBuf),
    /// Anything else that the rule picks, links unfollowed.
    File(PathBuf, Metadata),
}

/// Tells `visit` of everything that `rule` may act on, folders before what they hold. What cannot be read
/// is left out, and what goes away meanwhile is not there.
pub fn walk(watched: &Watched, rule: &Rule, from: &Path, visit: &mut impl FnMut(Found)) {
    let context = watched.context.as_ref();
    let Ok(metadata) = std::fs::symlink_metadata(from) else { return };
    if !metadata.is_dir() {
        if rule.picks(from, context) {
            visit(Found::File(from.to_owned(), metadata));
        }
        return;
    }
    let mut folders = vec![from.to_owned()];
    while let Some(folder) = folders.pop() {
        if !rule.enters(&folder, context) {
            continue;
        }
        // Before it is read, so that a watch put on it misses nothing that comes after.
        visit(Found::Folder(folder.clone()));
        for entry in entries(&folder) {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if rule.picks(&path, context)
                && let Ok(metadata) = entry.metadata()
            {
                visit(Found::File(path, metadata));
            }
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    let entries: io::Result<std::fs::ReadDir> = std::fs::read_dir(folder);
    entries.into_iter().flatten().flatten()
}
