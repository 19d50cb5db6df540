//! Looking again and again, where the kernel has no watches left to tell of changes.
//!
//! What is remembered of a file is what the [census](crate::Census) has of it, so the same differences count.
//! Ignored trees are not entered.

use crate::census::Stamp;
use crate::rule::{Rule, Watched};
use crate::walk::{Found, walk};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long nobody looks after having looked.
const PAUSE: Duration = Duration::from_secs(1);

/// Looking takes at most one part in so many of the time, however large the trees are.
const SHARE: u32 = 20;

/// A file that was changed this short a time before it was looked at may be changed again without its times
/// telling: kernels before 6.13 count them in ticks of up to ten milliseconds.
const TICK: Duration = Duration::from_millis(20);

/// What is polled, and what it looked like.
#[derive(Debug)]
pub(crate) struct Poll {
    /// Each stands for all that is below it.
    folders: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, Seen>,
    due: Instant,
    pause: Duration,
}

/// What looking found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Paths that some rule picks.
    pub(crate) changed: BTreeSet<PathBuf>,
    /// Folders that are not there any more.
    pub(crate) folders_gone: BTreeSet<PathBuf>,
    /// Folders that were there and have another mode now.
    pub(crate) folders_redressed: BTreeSet<PathBuf>,
    /// A polled folder is gone itself, and is not polled any more.
    pub(crate) is_smaller: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Its times change with what it holds, which is seen itself.
    Folder {
        mode: u32,
        is_picked: bool,
    },
    File(Stamp),
}

impl Seen {
    /// Whether the path itself is one of a rule's.
    fn is_picked(self) -> bool {
        !matches!(self, Self::Folder { is_picked: false, .. })
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self { folders: BTreeSet::new(), seen: BTreeMap::new(), due: Instant::now(), pause: PAUSE }
    }
}

impl Poll {
    /// One that looks this often.
    #[cfg(test)]
    pub(crate) fn every(pause: Duration) -> Self {
        Self { pause, ..Self::default() }
    }

    /// When to look next; `None` while nothing is polled.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.folders.is_empty()).then_some(self.due)
    }

    /// Whether what happens at this path is found by looking.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.folders.contains(above))
    }

    /// One of the folders that are polled.
    pub(crate) fn first(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    /// How many folders are polled, without those below them.
    pub(crate) fn len(&self) -> usize {
        self.folders.len()
    }

    /// Polls this folder from now on: what it holds now is known.
    pub(crate) fn add(&mut self, folder: &Path, services: &[Watched]) {
        if self.folders.is_empty() {
            self.due = Instant::now() + self.pause;
        }
        self.folders.retain(|known| !known.starts_with(folder));
        self.folders.insert(folder.to_owned());
        see(folder, services, &mut self.seen);
    }

    /// Looks at everything that is polled.
    pub(crate) fn look(&mut self, services: &[Watched]) -> News {
        let begun = Instant::now();
        let before = self.folders.len();
        let mut now = BTreeMap::new();
        self.folders.iter().for_each(|folder| see(folder, services, &mut now));
        self.folders.retain(|folder| folder.is_dir());
        let mut news = difference(&self.seen, &now);
        news.is_smaller = self.folders.len() < before;
        self.seen = now;
        self.due = Instant::now() + self.pause.max(begun.elapsed() * SHARE);
        news
    }
}

/// Adds what the rules pick below a folder, and the folders they enter there.
fn see(folder: &Path, services: &[Watched], seen: &mut BTreeMap<PathBuf, Seen>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for watched in services {
        for rule in &watched.rules {
            let Some(from) = common(rule, folder) else { continue };
            walk(watched, rule, from, &mut |found| match found {
                Found::Folder(path) => {
                    let Ok(metadata) = std::fs::symlink_metadata(&path) else { return };
                    let is_picked = rule.picks(&path, watched.context.as_ref())
                        || seen.get(&path).is_some_and(|seen| seen.is_picked());
                    seen.insert(path, Seen::Folder { mode: metadata.mode(), is_picked });
                }
                Found::File(path, metadata) => {
                    let stamp = Stamp::of(&metadata);
                    let stamp = if stamp.is_younger(now, TICK) { stamp.unsettled() } else { stamp };
                    seen.insert(path, Seen::File(stamp));
                }
            });
        }
    }
}

/// Where what a rule watches and what is below a folder begin to be the same.
fn common<'a>(rule: &'a Rule, folder: &'a Path) -> Option<&'a Path> {
    if folder.starts_with(&rule.path) {
        return Some(folder);
    }
    rule.path.starts_with(folder).then_some(&rule.path)
}

/// What is new, different or gone. Of a folder that is gone and picked, what it held is not told beside it.
fn difference(before: &BTreeMap<PathBuf, Seen>, now: &BTreeMap<PathBuf, Seen>) -> News {
    let mut news = News::default();
    for (path, seen) in now {
        let earlier = before.get(path);
        if earlier == Some(seen) || !seen.is_picked() {
            continue;
        }
        news.changed.insert(path.clone());
        if let (Some(Seen::Folder { .. }), Seen::Folder { .. }) = (earlier, seen) {
            news.folders_redressed.insert(path.clone());
        }
    }
    let mut whole: Option<&Path> = None;
    // A folder comes before what it holds.
    for (path, seen) in before {
        let is_told = whole.is_some_and(|folder| path.starts_with(folder));
        let was_folder = matches!(seen, Seen::Folder { .. });
        let is_folder = matches!(now.get(path), Some(Seen::Folder { .. }));
        if is_told || is_folder || (!was_folder && now.contains_key(path)) {
            continue;
        }
        if seen.is_picked() {
            news.changed.insert(path.clone());
        }
        if was_folder {
            news.folders_gone.insert(path.clone());
            whole = seen.is_picked().then_some(path);
        }
    }
    news
}
