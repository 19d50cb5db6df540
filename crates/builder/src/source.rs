//! Where steps take files from: a folder of the host, or the files of a stage or image; and how what is
//! taken is found there.

use crate::context::Context;
use crate::error::at;
use crate::graph::Origin;
use crate::selection;
use crate::stage::{Stop, Worker, met};
use crate::state::Key;
use crate::tree::{self, Entry, Verdict};
use diagnostic::Span;
use dockerfile::Ignore;
use resource::Digest;
use resource::mount::clean;
use rustix::fs::Mode;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store;

/// A tree that files are taken from.
pub(crate) enum Source {
    /// A folder of the host. Its files become root's.
    Folder { context: Arc<Context>, ignore: Ignore },
    /// The files of these layers, which belong to whom they belong; `made` here, by a stage.
    Layers { root: OwnedFd, layers: Vec<Digest>, made: bool },
}

/// What `--exclude` leaves out.
pub(crate) struct Exclude {
    /// Patterns as in `.dockerignore`.
    patterns: Ignore,
    /// As they are written.
    written: Vec<String>,
    /// How many names of a path they do not see; `None`: those of each source itself, so that they count
    /// from the folder that is copied, or the one that a file is in.
    pub(crate) below: Option<usize>,
}

impl Exclude {
    pub(crate) fn nothing() -> Self {
        Self { patterns: Ignore::default(), written: vec![], below: None }
    }

    /// What these patterns match; they see all names of a path.
    ///
    /// # Errors
    /// What is wrong with the first that is none.
    pub(crate) fn of(written: Vec<String>) -> Result<Self, String> {
        let patterns = Ignore::of(written.iter().map(String::as_str))?;
        Ok(Self { patterns, written, below: None })
    }

    /// All that it decides by.
    fn said(&self) -> String {
        format!("{:?} {:?}", self.written, self.below)
    }

    /// The path that patterns are compared with.
    fn seen<'p>(&self, start: &Entry, path: &'p Path) -> &'p Path {
        let skip = match self.below {
            Some(skip) => skip,
            None if start.is_folder() => start.path.components().count(),
            None => start.path.components().count().saturating_sub(1),
        };
        let mut rest = path.components();
        rest.by_ref().take(skip).for_each(drop);
        rest.as_path()
    }
}

/// Entries that were found under one path.
pub(crate) struct Found {
    /// The path as it was asked for, from the tree's root.
    pub(crate) asked: PathBuf,
    /// Where it leads to.
    pub(crate) start: Entry,
    /// That, and what is in it, as far as it counts.
    pub(crate) entries: Vec<Entry>,
    /// The folders above it that come along, each with its path where it goes.
    pub(crate) parents: Vec<(Entry, PathBuf)>,
    /// What of it was asked to be left out, as it decides about the entries.
    excluded: String,
}

impl Worker<'_> {
    /// The tree that a name stands for; the build's own context without one.
    pub(crate) fn source(&self, name: Option<&str>, span: Span) -> Result<Source, Stop> {
        let target = self.target;
        let Some(name) = name else {
            let ignore = Ignore::parse(ignore_file(), &target.ignore).map_err(|mut found| found.remove(0))?;
            return Ok(Source::Folder { context: target.context.clone(), ignore });
        };
        let origin = self.site.graph.source(self.node, name, span);
        let origin = origin.map_err(|mut error| error.diagnostics.remove(0))?;
        let made = matches!(origin, Origin::Stage(_));
        let layers = match origin {
            Origin::Scratch => vec![],
            Origin::Folder(name) => {
                let Some(context) = target.folders.get(&name) else {
                    return Err(at(span, "bad-context", format!("the context `{name}` is no folder")).into());
                };
                let own = std::fs::read_to_string(context.path.join(".dockerignore")).unwrap_or_default();
                let ignore = Ignore::parse(ignore_file(), &own).map_err(|mut found| found.remove(0))?;
                return Ok(Source::Folder { context: context.clone(), ignore });
            }
            Origin::Stage(node) => self.other(node, span)?.all_layers(),
            Origin::Image(reference) => self.image(&reference, &target.platform, span, &|_| ())?.layers,
            Origin::Layout(layout) => self.of_files(&layout, &target.platform, span)?.layers,
        };
        let view =
            self.site.store.view(&layers).map_err(|error| met(span, "see the files of a stage", &error))?;
        // The view's own root is open as a place only.
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let root = rustix::fs::openat(&view, ".", flags, Mode::empty());
        let root = root.map_err(|error| met(span, "see the files of a stage", &io::Error::from(error)))?;
        Ok(Source::Layers { root, layers, made })
    }
}

/// The id that places in a `.dockerignore` have: it is drawn with no Dockerfile.
fn ignore_file() -> diagnostic::FileId {
    diagnostic::Sources::new().add(".dockerignore", "")
}

impl Source {
    pub(crate) fn root(&self) -> &OwnedFd {
        match self {
            Self::Folder { context, .. } => &context.root,
            Self::Layers { root, .. } => root,
        }
    }

    /// Whether its files have owners that mean something.
    pub(crate) fn has_owners(&self) -> bool {
        matches!(self, Self::Layers { .. })
    }

    /// Whether nothing of it is left out.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Folder { ignore, .. } => ignore.is_empty(),
            Self::Layers { .. } => true,
        }
    }

    fn ignore(&self) -> Option<&Ignore> {
        match self {
            Self::Folder { ignore, .. } => Some(ignore),
            Self::Layers { .. } => None,
        }
    }

    /// What lies under a path or pattern: one thing for a path, any number for a pattern.
    pub(crate) fn find(&self, pattern: &str, exclude: &Exclude) -> io::Result<Vec<Found>> {
        let pattern = clean(pattern);
        let pattern = pattern.trim_start_matches('/');
        let paths = match is_pattern(pattern) {
            true => matching(self.root(), pattern)?,
            false => vec![PathBuf::from(pattern)],
        };
        let mut found = vec![];
        for path in paths {
            let one = self.find_at(path, exclude)?;
            // A folder of which nothing counts is as good as an empty one; anything else is not there.
            if !one.entries.is_empty() || one.start.is_folder() {
                found.push(one);
            }
        }
        Ok(found)
    }

    /// What lies at a path, taken literally.
    pub(crate) fn find_one(&self, path: &str, exclude: &Exclude) -> io::Result<Found> {
        let path = clean(path);
        self.find_at(PathBuf::from(path.trim_start_matches('/')), exclude)
    }

    fn find_at(&self, asked: PathBuf, exclude: &Exclude) -> io::Result<Found> {
        let start = tree::resolve(self.root(), &asked)?;
        let judge = |path: &Path, is_folder| self.judge(exclude, &start, path, is_folder);
        let entries = tree::walk(self.root(), &start, &judge)?;
        Ok(Found { asked, start, entries, parents: vec![], excluded: exclude.said() })
    }

    /// The same with the folders above it, but for the outermost ones.
    pub(crate) fn with_parents(&self, mut found: Found, skip: usize) -> io::Result<Found> {
        let above: PathBuf = found.asked.components().take(skip).collect();
        found.asked = found.asked.components().skip(skip).collect();
        let mut way = PathBuf::new();
        for name in found.asked.parent().unwrap_or(Path::new("")) {
            way.push(name);
            found.parents.push((tree::resolve(self.root(), &above.join(&way))?, way.clone()));
        }
        Ok(found)
    }

    fn judge(&self, exclude: &Exclude, start: &Entry, path: &Path, is_folder: bool) -> Verdict {
        let judge = |ignore: &Ignore, path: &Path| {
            let text = path.to_str().filter(|text| !text.is_empty())?;
            ignore.is_ignored(text).then(|| match is_folder && ignore.may_take_back_below(text) {
                true => Verdict::Below,
                false => Verdict::Left,
            })
        };
        judge(&exclude.patterns, exclude.seen(start, path))
            .or_else(|| judge(self.ignore()?, path))
            .unwrap_or(Verdict::Kept)
    }

    /// What a step's result depends on in what was found.
    pub(crate) fn digest(&self, store: &Store, found: &Found) -> io::Result<Digest> {
        let base = match found.start.is_folder() {
            true => found.start.path.as_path(),
            false => found.start.path.parent().unwrap_or(Path::new("")),
        };
        let above = found.parents.iter().map(|(entry, _)| entry);
        let entries: Vec<&Entry> = above.chain(&found.entries).collect();
        match self {
            Self::Folder { context, .. } => context.digest(store, base, &entries),
            Self::Layers { root, layers, made } => {
                // Layers never change: what was once read in them need not be read again.
                let place = Key::new("selection")
                    .with_all(layers.iter().map(Digest::as_str))
                    .with(found.start.path.as_os_str().as_encoded_bytes())
                    .with(&found.excluded)
                    .finish();
                // All of an image is its layers: to read it would only take long.
                if !made && found.start.path.as_os_str().is_empty() {
                    return Ok(place);
                }
                if let Some(known) = store.context_index(&place) {
                    return Ok(known);
                }
                let digest = selection::digest_of_layers(root, base, &entries)?;
                // That it could not be kept only costs time.
                drop(store.keep_context_index(&place, &digest));
                Ok(digest)
            }
        }
    }
}

/// Whether a path stands for those that match it.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The paths that a pattern matches, sorted. A part without wildcards is taken as it is.
fn matching(root: &OwnedFd, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    if pattern.contains("**") {
        let whole = Ignore::of([pattern]).map_err(bad)?;
        let start = tree::resolve(root, Path::new(""))?;
        let entries = tree::walk(root, &start, &|_, _| Verdict::Kept)?;
        let paths = entries.into_iter().map(|entry| entry.path);
        let is_match =
            |path: &PathBuf| path.to_str().is_some_and(|text| !text.is_empty() && whole.is_ignored(text));
        let mut found: Vec<PathBuf> = vec![];
        for path in paths.filter(is_match) {
            // What lies below a match comes with it.
            if !found.last().is_some_and(|above| path.starts_with(above)) {
                found.push(path);
            }
        }
        return Ok(found);
    }
    let mut found = vec![PathBuf::new()];
    for part in pattern.split('/') {
        let mut next = vec![];
        if !is_pattern(part) {
            next.extend(found.iter().map(|path| path.join(part)));
        } else {
            let rule = Ignore::of([part]).map_err(bad)?;
            for path in &found {
                let Ok(names) = names(root, path) else { continue };
                next.extend(names.iter().filter(|name| rule.is_ignored(name)).map(|name| path.join(name)));
            }
        }
        found = next;
    }
    found.retain(|path| tree::resolve(root, path).is_ok());
    Ok(found)
}

/// The names in a folder, sorted.
fn names(root: &OwnedFd, path: &Path) -> io::Result<Vec<String>> {
    let folder = tree::open_folder(root, &tree::resolve(root, path)?.path)?;
    let mut names = vec![];
    for entry in rustix::fs::Dir::read_from(folder.as_fd())? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
