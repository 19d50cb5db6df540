//! The edge: the kernel tells of changes, and what belongs together comes out as one batch.
//!
//! Every folder that some rule enters has a watch of its own, so that nothing is spent on ignored trees.
//! A file is watched through its folder, because editors replace files. What is not there yet is waited
//! for at the nearest folder above it that is. Where the kernel has no watches left, a folder and all below
//! it is [polled](Poll).

use crate::gather::Gather;
use crate::poll::{News, Poll};
use crate::rule::Watched;
use crate::walk::{Found, walk};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeSet, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Changes that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Paths that some rule picks: made, changed or gone.
    pub changed: BTreeSet<PathBuf>,
    /// Folders that went away with all they held.
    pub folders_gone: BTreeSet<PathBuf>,
    /// Folders that were there and have another mode or owner now.
    pub folders_redressed: BTreeSet<PathBuf>,
    /// The kernel lost count: everything has to be looked at.
    pub rescan: bool,
}

/// What a person should know of how files are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The kernel has no watches left for this folder and so many others: they are looked at again and
    /// again. Told once.
    Polled(PathBuf, usize),
    /// The kernel gives no watcher at all: everything is looked at again and again.
    Deaf(String),
    /// This folder cannot be read, so nothing is heard of what is in it.
    Unreadable(PathBuf, String),
}

type Sender = UnboundedSender<notify::Result<Event>>;

/// Watches the sources of some services.
pub struct Observer {
    services: Arc<[Watched]>,
    /// `None` when the kernel gives none (`fs.inotify.max_user_instances`).
    kernel: Option<RecommendedWatcher>,
    poll: Poll,
    /// Whether it was told that something is polled.
    poll_is_told: bool,
    /// Held, so that the channel never ends.
    _sender: Sender,
    events: UnboundedReceiver<notify::Result<Event>>,
    /// Folders with a watch, and what they wear.
    folders: HashMap<PathBuf, Dress>,
    /// Watched paths that are not there.
    awaited: BTreeSet<PathBuf>,
    batch: Batch,
    /// Something came that concerns a rule, since this was last asked.
    heard: bool,
    gather: Gather,
    notices: Vec<Notice>,
}

impl Observer {
    /// Begins to watch. What happens from now on is in some batch.
    pub fn new(services: Arc<[Watched]>) -> Self {
        let kernel = |tell: Sender| notify::recommended_watcher(move |event| drop(tell.send(event)));
        Self::with(services, kernel, Poll::default())
    }

    fn with(
        services: Arc<[Watched]>,
        kernel: impl FnOnce(Sender) -> notify::Result<RecommendedWatcher>,
        poll: Poll,
    ) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let kernel = kernel(sender.clone());
        let deaf = kernel.as_ref().err().map(|error| Notice::Deaf(error.to_string()));
        let mut observer = Self {
            services,
            kernel: kernel.ok(),
            poll,
            poll_is_told: deaf.is_some(),
            _sender: sender,
            events,
            folders: HashMap::new(),
            awaited: BTreeSet::new(),
            batch: Batch::default(),
            heard: false,
            gather: Gather::default(),
            notices: deaf.into_iter().collect(),
        };
        observer.attach_all();
        observer
    }

    /// What there is to say since this was last asked.
    pub fn notices(&mut self) -> Vec<Notice> {
        if let Some(first) = self.poll.first().filter(|_| !self.poll_is_told) {
            self.notices.push(Notice::Polled(first.to_owned(), self.poll.len() - 1));
            self.poll_is_told = true;
        }
        std::mem::take(&mut self.notices)
    }

    /// The next batch, when its burst is over. Safe to drop: what came in stays for the next call.
    pub async fn next(&mut self) -> Batch {
        loop {
            let now = Instant::now();
            // Others may go on for ever.
            if self.gather.due().is_some_and(|due| due <= now) {
                self.gather.reset();
                return std::mem::take(&mut self.batch);
            }
            if self.poll.due().is_some_and(|due| due <= now) {
                self.look();
            }
            let event = match [self.gather.due(), self.poll.due()].into_iter().flatten().min() {
                None => self.events.recv().await,
                Some(due) => tokio::time::timeout_at(due.into(), self.events.recv()).await.ok().flatten(),
            };
            if let Some(event) = event {
                self.take(event);
                while let Ok(event) = self.events.try_recv() {
                    self.take(event);
                }
            }
            if std::mem::take(&mut self.heard) {
                self.gather.saw(Instant::now());
            }
        }
    }

    /// Looks at what the kernel does not tell of.
    fn look(&mut self) {
        let News { changed, folders_gone, folders_redressed, is_smaller } = self.poll.look(&self.services);
        self.heard |= !(changed.is_empty() && folders_gone.is_empty());
        self.batch.folders_redressed.extend(folders_redressed);
        self.batch.changed.extend(changed);
        self.batch.folders_gone.extend(folders_gone);
        if is_smaller {
            // What was waited for there is waited for above.
            self.attach_all();
        }
    }

    fn take(&mut self, event: notify::Result<Event>) {
        if event.as_ref().map_or(true, Event::need_rescan) {
            (self.batch.rescan, self.heard) = (true, true);
        }
        let Ok(event) = event else { return };
        if !changes_something(event.kind) {
            return;
        }
        for path in event.paths {
            self.changed(path, went_away(event.kind));
        }
    }

    /// A path was made, changed or removed; which, the host's state says.
    fn changed(&mut self, path: PathBuf, gone: bool) {
        let folder = std::fs::symlink_metadata(&path).ok().filter(Metadata::is_dir);
        let is_folder = folder.is_some();
        if self.folders.contains_key(&path) && (gone || !is_folder) {
            self.detach(&path);
            self.batch.folders_gone.insert(path.clone());
            self.heard = true;
        }
        if let (Some(known), Some(metadata)) = (self.folders.get_mut(&path), &folder) {
            let before = std::mem::replace(known, Dress::of(metadata));
            if before != *known {
                self.batch.folders_redressed.insert(path.clone());
            }
        } else if is_folder && !self.poll.covers(&path) {
            self.attach_below(&path);
        }
        let services = Arc::clone(&self.services);
        if pairs(&services).any(|(watched, rule)| rule.picks(&path, watched.context.as_ref())) {
            self.batch.changed.insert(path.clone());
            self.heard = true;
        }
        if self.awaited.iter().any(|awaited| awaited.starts_with(&path))
            || pairs(&services).any(|(_, rule)| gone && rule.path.starts_with(&path))
        {
            self.attach_all();
        }
    }

    /// Watches what every rule names, or waits for it.
    fn attach_all(&mut self) {
        let services = Arc::clone(&self.services);
        let before = std::mem::take(&mut self.awaited);
        for (watched, rule) in pairs(&services) {
            match std::fs::metadata(&rule.path) {
                Ok(metadata) if metadata.is_dir() => {
                    let appeared = before.contains(&rule.path);
                    self.attach_tree(watched, rule, &rule.path.clone(), appeared);
                }
                there => self.attach_above(watched, rule, there.is_ok()),
            }
        }
    }

    /// Watches the folder in which what a rule names is, or will be; `known` when it is a file that is there.
    /// Nobody tells of what is made between looking and watching: that is looked for until there is nothing new.
    fn attach_above(&mut self, watched: &Watched, rule: &crate::Rule, known: bool) {
        let nearest = || rule.path.ancestors().skip(1).find(|above| above.is_dir());
        loop {
            let above = nearest();
            if let Some(folder) = above {
                self.attach(folder);
            }
            match std::fs::metadata(&rule.path) {
                Ok(metadata) if metadata.is_dir() => {
                    return self.attach_tree(watched, rule, &rule.path, true);
                }
                Ok(_) if known => return,
                Ok(_) => {
                    if rule.picks(&rule.path, watched.context.as_ref()) {
                        self.batch.changed.insert(rule.path.clone());
                        self.heard = true;
                    }
                    return;
                }
                Err(_) if nearest() == above => {
                    self.awaited.insert(rule.path.clone());
                    return;
                }
                Err(_) => {}
            }
        }
    }

    /// A folder appeared: it and what it holds already is news.
    fn attach_below(&mut self, folder: &Path) {
        let services = Arc::clone(&self.services);
        for (watched, rule) in pairs(&services).filter(|(_, rule)| folder.starts_with(&rule.path)) {
            self.attach_tree(watched, rule, folder, true);
        }
    }

    fn attach_tree(&mut self, watched: &Watched, rule: &crate::Rule, from: &Path, news: bool) {
        self.heard |= news;
        walk(watched, rule, from, &mut |found| match found {
            Found::Folder(folder) => {
                self.attach(&folder);
                if news && rule.picks(&folder, watched.context.as_ref()) {
                    self.batch.changed.insert(folder);
                }
            }
            Found::File(path, _) if news => drop(self.batch.changed.insert(path)),
            Found::File(..) => {}
        });
    }

    /// Watches one folder, or polls it and all below it.
    fn attach(&mut self, folder: &Path) {
        if self.folders.contains_key(folder) || self.poll.covers(folder) {
            return;
        }
        // Before it is watched: a change in between is told, and seen to be one.
        let Ok(metadata) = std::fs::metadata(folder) else { return };
        let Some(kernel) = &mut self.kernel else { return self.poll.add(folder, &self.services) };
        match kernel.watch(folder, RecursiveMode::NonRecursive).map_err(|error| error.kind) {
            Ok(()) => drop(self.folders.insert(folder.to_owned(), Dress::of(&metadata))),
            Err(notify::ErrorKind::MaxFilesWatch) => self.poll.add(folder, &self.services),
            Err(notify::ErrorKind::PathNotFound) => {}
            Err(other) => self.notices.push(Notice::Unreadable(folder.to_owned(), format!("{other:?}"))),
        }
    }

    /// Forgets a folder that went away, and those below it: the kernel would go on to tell of them under
    /// their old names if they were moved.
    fn detach(&mut self, folder: &Path) {
        let gone: Vec<PathBuf> =
            self.folders.keys().filter(|known| known.starts_with(folder)).cloned().collect();
        for folder in gone {
            self.folders.remove(&folder);
            if let Some(kernel) = &mut self.kernel {
                // A folder that was deleted has lost its watch already.
                let _ = kernel.unwatch(&folder);
            }
        }
    }
}

/// What a folder has besides what it holds: mode, user and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dress(u32, u32, u32);

impl Dress {
    fn of(metadata: &Metadata) -> Self {
        Self(metadata.mode(), metadata.uid(), metadata.gid())
    }
}

/// Every rule with its service.
fn pairs(services: &[Watched]) -> impl Iterator<Item = (&Watched, &crate::Rule)> {
    services.iter().flat_map(|watched| watched.rules.iter().map(move |rule| (watched, rule)))
}

/// Reading changes nothing; the end of writing does.
fn changes_something(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn went_away(kind: EventKind) -> bool {
    matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)))
}

#[cfg(test)]
mod tests;
