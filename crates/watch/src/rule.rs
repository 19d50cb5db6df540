//! What a Compose file says about a service's sources: which paths count, and what becomes of them.

use dockerfile::Ignore;
use std::path::{Path, PathBuf};

use crate::editor;

/// What follows from a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The file is written into the containers.
    Sync,
    /// The image is built anew and the containers made anew from it.
    Rebuild,
    /// The containers are restarted.
    Restart,
    /// The file is written into the containers, which are then restarted.
    SyncRestart,
    /// The file is written into the containers, and a command runs in each.
    SyncExec,
}

impl Action {
    /// Whether files are written into containers.
    pub fn syncs(self) -> bool {
        matches!(self, Self::Sync | Self::SyncRestart | Self::SyncExec)
    }
}

/// One entry of `develop.watch`.
#[derive(Debug)]
pub struct Rule {
    /// What is watched: a file or a folder, absolute; it need not be there yet.
    pub path: PathBuf,
    /// What follows.
    pub action: Action,
    /// The place in the container that `path` stands for; empty when nothing is written.
    pub target: PathBuf,
    /// Only what matches counts; `None`: everything.
    pub include: Option<Ignore>,
    /// What never counts. Relative to `path`, as `include` is.
    pub ignore: Ignore,
    /// Whether all files are sent when watching begins.
    pub initial_sync: bool,
}

/// A service with its rules.
#[derive(Debug)]
pub struct Watched {
    /// The service's name.
    pub service: String,
    /// Its rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// The folder its image is built from, and what its `.dockerignore` leaves out; `None` without a build.
    pub context: Option<(PathBuf, Ignore)>,
}

impl Rule {
    /// Whether a path may be of interest, were it a folder: nothing below an ignored folder is, unless a
    /// pattern takes some of it back.
    pub fn enters(&self, path: &Path, context: Option<&(PathBuf, Ignore)>) -> bool {
        let Ok(relative) = path.strip_prefix(&self.path) else { return self.path.starts_with(path) };
        !(editor::is_temporary(relative)
            || excludes_all_below(&self.ignore, relative)
            || context.is_some_and(|(base, ignored)| {
                path.strip_prefix(base).is_ok_and(|relative| excludes_all_below(ignored, relative))
            }))
    }

    /// Whether a change of this path is one of this rule's.
    pub fn picks(&self, path: &Path, context: Option<&(PathBuf, Ignore)>) -> bool {
        let Ok(relative) = path.strip_prefix(&self.path) else { return false };
        let ignored = editor::is_temporary(relative)
            || matches(&self.ignore, relative)
            || context.is_some_and(|(base, ignored)| {
                path.strip_prefix(base).is_ok_and(|relative| matches(ignored, relative))
            });
        // The watched path itself has no name relative to itself: a file is watched as what it is.
        let included = || match &self.include {
            Some(include) if relative.as_os_str().is_empty() => {
                path.file_name().is_none_or(|name| matches(include, Path::new(name)))
            }
            Some(include) => matches(include, relative),
            None => true,
        };
        !ignored && included()
    }

    /// The place in the container that a path below `self.path` stands for.
    pub fn inside(&self, path: &Path) -> Option<PathBuf> {
        let relative = path.strip_prefix(&self.path).ok()?;
        // Joining an empty path would add a slash, which says "a folder".
        let whole = relative.as_os_str().is_empty();
        Some(if whole { self.target.clone() } else { self.target.join(relative) })
    }
}

fn matches(patterns: &Ignore, path: &Path) -> bool {
    !path.as_os_str().is_empty() && patterns.is_ignored(&path.to_string_lossy())
}

fn excludes_all_below(patterns: &Ignore, path: &Path) -> bool {
    matches(patterns, path) && !patterns.may_take_back_below(&path.to_string_lossy())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn patterns(lines: &[&str]) -> Ignore {
        Ignore::of(lines.iter().copied()).unwrap()
    }

    /// A rule that syncs `path` to `/app`.
    pub(crate) fn rule(path: &Path, ignore: &[&str]) -> Rule {
        Rule {
            path: path.to_owned(),
            action: Action::Sync,
            target: "/app".into(),
            include: None,
            ignore: patterns(ignore),
            initial_sync: false,
        }
    }

    pub(crate) fn watched(rules: Vec<Rule>) -> Watched {
        Watched { service: "web".to_owned(), rules, context: None }
    }
}
