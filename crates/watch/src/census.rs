//! What a service's sources looked like when they were last seen, kept between two watches: so that what
//! was edited while nobody watched is found.

use crate::rule::Watched;
use crate::walk::{Found, walk};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first bytes of a kept census: its form.
const FORM: &[u8; 8] = b"census 2";

/// Files and folders that rules with a `sync` pick, each with its state. The folder that a rule names is
/// not among them: the container's place for it is the container's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    files: HashMap<PathBuf, Stamp>,
}

/// What tells whether a file was changed. The change time is there for files that were moved in or had
/// their times set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    mode: u32,
    /// Seconds and nanoseconds, of content and of anything.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of a folder: its times change with what it holds.
    fn of_folder(mode: u32) -> Self {
        Self { size: 0, mode, modified: (0, 0), changed: (0, 0) }
    }

    fn is_folder(self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file was changed less than this long before `now`, a time since the epoch.
    pub(crate) fn is_younger(self, now: Duration, age: Duration) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
        changed + age > now
    }

    /// The same without a change time: as no file has it.
    pub(crate) fn unsettled(self) -> Self {
        Self { changed: (0, 0), ..self }
    }

    fn words(self) -> [i64; 6] {
        let (size, mode) = (self.size.cast_signed(), i64::from(self.mode));
        [size, mode, self.modified.0, self.modified.1, self.changed.0, self.changed.1]
    }

    fn of_words(words: [i64; 6]) -> Option<Self> {
        let [size, mode, modified, modified_nanos, changed, changed_nanos] = words;
        Some(Self {
            size: size.cast_unsigned(),
            mode: u32::try_from(mode).ok()?,
            modified: (modified, modified_nanos),
            changed: (changed, changed_nanos),
        })
    }
}

impl Census {
    /// Looks at all that the service's rules may send.
    pub fn take(watched: &Watched) -> Self {
        let mut files = HashMap::new();
        for rule in watched.rules.iter().filter(|rule| rule.action.syncs()) {
            walk(watched, rule, &rule.path, &mut |found| match found {
                Found::File(path, metadata) => drop(files.insert(path, Stamp::of(&metadata))),
                Found::Folder(path) if path != rule.path && rule.picks(&path, watched.context.as_ref()) => {
                    let Ok(metadata) = std::fs::symlink_metadata(&path) else { return };
                    files.insert(path, Stamp::of_folder(metadata.mode()));
                }
                Found::Folder(_) => {}
            });
        }
        Self { files }
    }

    /// What is new, different or gone since `earlier`.
    pub fn since(&self, earlier: &Self) -> BTreeSet<PathBuf> {
        let different = self.files.iter().filter(|(path, stamp)| earlier.files.get(*path) != Some(stamp));
        let gone = earlier.files.keys().filter(|path| !self.files.contains_key(*path));
        different.map(|(path, _)| path).chain(gone).cloned().collect()
    }

    /// Folders that have another mode than in `earlier`.
    pub fn folders_redressed_since(&self, earlier: &Self) -> BTreeSet<PathBuf> {
        let folders = self.files.iter().filter(|(path, stamp)| {
            let before = earlier.files.get(*path).filter(|before| before.is_folder());
            stamp.is_folder() && before.is_some_and(|before| before != *stamp)
        });
        folders.map(|(path, _)| path.clone()).collect()
    }

    /// What was changed after this time, in seconds since the epoch.
    pub fn changed_after(&self, seconds: i64) -> BTreeSet<PathBuf> {
        let late = self.files.iter().filter(|(_, stamp)| stamp.changed.0.max(stamp.modified.0) > seconds);
        late.map(|(path, _)| path.clone()).collect()
    }

    /// All files and folders.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The bytes to keep: form, entries, checksum.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = FORM.to_vec();
        for (path, stamp) in &self.files {
            let path = path.as_os_str().as_bytes();
            bytes.extend(u32::try_from(path.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(path);
            stamp.words().iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// What was kept; `None` when the bytes are of another form or damaged: then nothing was seen.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, sum) = bytes.split_last_chunk::<4>()?;
        let mut rest = bytes.strip_prefix(FORM)?;
        if crc32fast::hash(bytes) != u32::from_le_bytes(*sum) {
            return None;
        }
        let mut files = HashMap::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (path, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            let (words, after) = after.split_first_chunk::<48>()?;
            let (words, _) = words.as_chunks::<8>();
            let stamp = Stamp::of_words(std::array::from_fn(|index| i64::from_le_bytes(words[index])))?;
            files.insert(PathBuf::from(OsString::from_vec(path.to_vec())), stamp);
            rest = after;
        }
        Some(Self { files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::tests::{rule, watched};
    use std::os::unix::fs::PermissionsExt;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_census_finds_what_changed_and_survives_being_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b", "sub/c", "node_modules/x/y", ".git/index"] {
            write(&at(name), "one");
        }
        let watched = watched(vec![rule(folder.path(), &["node_modules"])]);
        let first = Census::take(&watched);
        let files: BTreeSet<&Path> = first.files().collect();
        assert_eq!(files, [at("a"), at("b"), at("sub"), at("sub/c")].iter().map(PathBuf::as_path).collect());
        assert_eq!(Census::decode(&first.encode()).as_ref(), Some(&first));
        write(&at("a"), "another");
        std::fs::remove_dir_all(at("sub")).unwrap();
        std::fs::create_dir(at("empty")).unwrap();
        write(&at("new"), "");
        let second = Census::take(&watched);
        assert_eq!(second.since(&first), ["a", "empty", "new", "sub", "sub/c"].map(at).into());
        assert!(second.since(&second).is_empty());
        assert!(second.folders_redressed_since(&first).is_empty());
        std::fs::set_permissions(at("empty"), PermissionsExt::from_mode(0o700)).unwrap();
        let third = Census::take(&watched);
        assert_eq!(third.since(&second), [at("empty")].into());
        assert_eq!(third.folders_redressed_since(&second), [at("empty")].into());
        assert_eq!(second.changed_after(i64::MAX), BTreeSet::new());
        assert_eq!(second.changed_after(0).len(), 3);
    }

    #[test]
    fn damage_is_nothing_seen() {
        let mut bytes = Census::default().encode();
        assert_eq!(Census::decode(&bytes), Some(Census::default()));
        bytes[3] ^= 1;
        assert_eq!(Census::decode(&bytes), None);
        for length in 0..bytes.len() {
            assert_eq!(Census::decode(&bytes[..length]), None);
        }
    }
}
