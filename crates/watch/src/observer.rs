//! The edge: the kernel tells of changes, and what belongs together comes out as one batch.
//!
//! Every folder that some rule enters has a watch of its own, so that nothing is spent on ignored trees.
//! A file is watched through its folder, because editors replace files. What is not there yet is waited
//! for at the nearest folder above it that is.

use crate::gather::Gather;
use crate::rule::Watched;
use crate::walk::{Found, walk};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// How often a subtree is looked at that the kernel has no watches left for.
const POLL: Duration = Duration::from_secs(1);

/// Changes that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Paths that some rule picks: made, changed or gone.
    pub changed: BTreeSet<PathBuf>,
    /// Folders that went away with all they held.
    pub folders_gone: BTreeSet<PathBuf>,
    /// The kernel lost count: everything has to be looked at.
    pub rescan: bool,
}

/// What a person should know of how files are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The kernel has no watches left; this subtree is looked at once a second instead.
    Polled(PathBuf),
    /// This folder cannot be read, so nothing is heard of what is in it.
    Unreadable(PathBuf, String),
}

/// Why nothing can be watched at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch files: {0}")]
pub struct WatchError(#[from] notify::Error);

/// Watches the sources of some services.
pub struct Observer {
    services: Arc<[Watched]>,
    kernel: RecommendedWatcher,
    polling: Option<PollWatcher>,
    sender: UnboundedSender<notify::Result<Event>>,
    events: UnboundedReceiver<notify::Result<Event>>,
    /// Folders with a watch.
    folders: HashSet<PathBuf>,
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
    ///
    /// # Errors
    /// When the kernel gives no watcher at all (`fs.inotify.max_user_instances`).
    pub fn new(services: Arc<[Watched]>) -> Result<Self, WatchError> {
        let (sender, events) = mpsc::unbounded_channel();
        let tell = sender.clone();
        let kernel = notify::recommended_watcher(move |event| drop(tell.send(event)))?;
        let mut observer = Self {
            services,
            kernel,
            polling: None,
            sender,
            events,
            folders: HashSet::new(),
            awaited: BTreeSet::new(),
            batch: Batch::default(),
            heard: false,
            gather: Gather::default(),
            notices: vec![],
        };
        observer.attach_all();
        Ok(observer)
    }

    /// What there is to say since this was last asked.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The next batch, when its burst is over. Safe to drop: what came in stays for the next call.
    pub async fn next(&mut self) -> Batch {
        loop {
            let event = match self.gather.due() {
                None => self.events.recv().await,
                // Others may go on for ever.
                Some(due) if due <= Instant::now() => {
                    self.gather.reset();
                    return std::mem::take(&mut self.batch);
                }
                Some(due) => match tokio::time::timeout_at(due.into(), self.events.recv()).await {
                    Ok(event) => event,
                    Err(_) => {
                        self.gather.reset();
                        return std::mem::take(&mut self.batch);
                    }
                },
            };
            // The observer holds a sender itself, so the channel never ends.
            let Some(event) = event else { continue };
            self.take(event);
            while let Ok(event) = self.events.try_recv() {
                self.take(event);
            }
            if std::mem::take(&mut self.heard) {
                self.gather.saw(Instant::now());
            }
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
        let is_folder = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if self.folders.contains(&path) && (gone || !is_folder) {
            self.detach(&path);
            self.batch.folders_gone.insert(path.clone());
            self.heard = true;
        }
        if is_folder && !self.folders.contains(&path) {
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
                there => {
                    if there.is_err() {
                        self.awaited.insert(rule.path.clone());
                    }
                    if let Some(folder) = rule.path.ancestors().skip(1).find(|above| above.is_dir()) {
                        self.attach(folder);
                    }
                }
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
        let mut polled: Vec<PathBuf> = vec![];
        self.heard |= news;
        walk(watched, rule, from, &mut |found| match found {
            Found::Folder(folder) => {
                let is_polled = polled.iter().any(|above| folder.starts_with(above));
                if !is_polled && !self.attach(&folder) {
                    polled.push(folder.clone());
                }
                if news && rule.picks(&folder, watched.context.as_ref()) {
                    self.batch.changed.insert(folder);
                }
            }
            Found::File(path, _) if news => drop(self.batch.changed.insert(path)),
            Found::File(..) => {}
        });
    }

    /// Watches one folder; `false` when its whole subtree is polled instead.
    fn attach(&mut self, folder: &Path) -> bool {
        if !self.folders.insert(folder.to_owned()) {
            return true;
        }
        let Err(error) = self.kernel.watch(folder, RecursiveMode::NonRecursive) else { return true };
        match error.kind {
            notify::ErrorKind::MaxFilesWatch => {
                self.poll(folder);
                return false;
            }
            notify::ErrorKind::PathNotFound => {}
            ref other => {
                self.notices.push(Notice::Unreadable(folder.to_owned(), format!("{other:?}")));
            }
        }
        self.folders.remove(folder);
        true
    }

    /// Looks at a subtree again and again, for want of watches.
    fn poll(&mut self, folder: &Path) {
        if self.polling.is_none() {
            let tell = self.sender.clone();
            let every = notify::Config::default().with_poll_interval(POLL);
            self.polling = PollWatcher::new(move |event| drop(tell.send(event)), every).ok();
        }
        let polled = self
            .polling
            .as_mut()
            .is_some_and(|watcher| watcher.watch(folder, RecursiveMode::Recursive).is_ok());
        self.notices.push(if polled {
            Notice::Polled(folder.to_owned())
        } else {
            Notice::Unreadable(folder.to_owned(), "neither watched nor polled".to_owned())
        });
    }

    /// Forgets a folder that went away, and those below it: the kernel would go on to tell of them under
    /// their old names if they were moved.
    fn detach(&mut self, folder: &Path) {
        let gone: Vec<PathBuf> =
            self.folders.iter().filter(|known| known.starts_with(folder)).cloned().collect();
        for folder in gone {
            self.folders.remove(&folder);
            // A folder that was deleted has lost its watch already.
            let _ = self.kernel.unwatch(&folder);
        }
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
