//! What a watch remembers of a service: what its sources looked like, and what was sent into containers of
//! the image that runs, so that a new container gets it too.

use crate::exit::Failure;
use engine::{Engine, EngineError};
use resource::PodName;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use watch::{Census, Sync, Watched};

/// The memory of one service.
///
/// The census that is kept is that of the moment from which changes were followed: what was edited since is
/// found again by the next watch and sent once more, however this one ended. What was sent is noted before it is, so
/// that a file which comes and goes between two censuses is known to be in the containers.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// Paths that differ from the image: edited since it was made.
    pub(crate) edited: BTreeSet<PathBuf>,
    /// Those of them that are folders whose mode or owner was changed.
    pub(crate) folders_redressed: BTreeSet<PathBuf>,
    /// The image they differ from.
    pub(crate) image: String,
}

impl Memory {
    /// That of an image from which nothing differs.
    pub(crate) fn of(image: String) -> Self {
        Self { image, ..Self::default() }
    }

    /// What is remembered, brought up to date with what was edited while nobody watched, and the census that
    /// told it.
    ///
    /// `image` is that of the container that runs, `made` when the container was: what was changed later
    /// than that is news to a service that was never watched.
    pub(crate) fn recall(
        engine: &Engine,
        pod: &PodName,
        watched: &Watched,
        image: &str,
        made: i64,
    ) -> (Self, Census) {
        let now = Census::take(watched);
        let seen = engine.note(pod, &census_name(&watched.service)).and_then(|it| Census::decode(&it));
        let news = match &seen {
            Some(seen) => now.since(seen),
            None => now.changed_after(made),
        };
        let initial = watched.rules.iter().filter(|rule| rule.initial_sync && rule.action.syncs());
        let initial: Vec<_> = initial.map(|rule| rule.path.as_path()).collect();
        let sent_at_start = now.files().filter(|path| initial.iter().any(|rule| path.starts_with(rule)));
        let mut memory = Self::read(engine, pod, &watched.service)
            .filter(|memory| memory.image == image)
            .unwrap_or_else(|| Self::of(image.to_owned()));
        memory.folders_redressed.extend(seen.iter().flat_map(|seen| now.folders_redressed_since(seen)));
        memory.edited.extend(news);
        // A new container is to get these, too.
        memory.edited.extend(sent_at_start.map(PathBuf::from));
        (memory, now)
    }

    /// Keeps the memory for the next watch.
    pub(crate) fn keep(&self, engine: &Engine, pod: &PodName, service: &str) -> Result<(), Failure> {
        engine.keep_note(pod, &edited_name(service), &self.encode()).map_err(not_kept)
    }

    /// Remembers what is about to be sent, also for the next watch.
    pub(crate) fn note(
        &mut self,
        engine: &Engine,
        pod: &PodName,
        service: &str,
        sync: &[Sync],
    ) -> Result<(), Failure> {
        let mut news = vec![];
        for Sync { host, redressed, .. } in sync {
            let is_new = self.edited.insert(host.clone());
            if *redressed && self.folders_redressed.insert(host.clone()) || is_new {
                encode_path(&mut news, host, *redressed);
            }
        }
        // Before there is a container there is nothing that it could differ from.
        if news.is_empty() || self.image.is_empty() {
            return Ok(());
        }
        engine.add_to_note(pod, &edited_name(service), &news).map_err(not_kept)
    }

    /// The image, then the paths, each ended by a NUL; a slash before it marks a folder that was redressed.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.image.as_bytes().to_vec();
        bytes.push(0);
        for path in &self.edited {
            encode_path(&mut bytes, path, self.folders_redressed.contains(path));
        }
        bytes
    }

    fn read(engine: &Engine, pod: &PodName, service: &str) -> Option<Self> {
        Self::decode(&engine.note(pod, &edited_name(service))?)
    }

    /// Without what has no end: who wrote it was killed before anything was sent.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().rposition(|byte| *byte == 0)?;
        let mut parts = bytes[..end].split(|byte| *byte == 0);
        let image = String::from_utf8(parts.next()?.to_vec()).ok()?;
        let mut memory = Self::of(image);
        for part in parts {
            let redressed = part.strip_suffix(b"/");
            let path = PathBuf::from(OsString::from_vec(redressed.unwrap_or(part).to_vec()));
            memory.folders_redressed.extend(redressed.map(|_| path.clone()));
            memory.edited.insert(path);
        }
        Some(memory)
    }
}

/// Writes a path as [`Memory::encode`] does.
fn encode_path(bytes: &mut Vec<u8>, path: &Path, redressed: bool) {
    bytes.extend(path.as_os_str().as_bytes());
    bytes.extend(redressed.then_some(b'/'));
    bytes.push(0);
}

/// Keeps what the sources looked like when all that differed had been sent.
pub(crate) fn keep_census(
    engine: &Engine,
    pod: &PodName,
    service: &str,
    census: &Census,
) -> Result<(), Failure> {
    engine.keep_note(pod, &census_name(service), &census.encode()).map_err(not_kept)
}

fn not_kept(error: EngineError) -> Failure {
    Failure::because("cannot keep what was synced", error)
}

fn census_name(service: &str) -> String {
    format!("watch-{service}.census")
}

fn edited_name(service: &str) -> String {
    format!("watch-{service}.edited")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_survives_being_kept() {
        let paths = ["/a", "/b c/d", "/e\nf"].map(PathBuf::from);
        let mut memory = Memory { edited: paths.into(), ..Memory::of("sha256:1".to_owned()) };
        memory.folders_redressed.insert("/b c/d".into());
        let read = Memory::decode(&memory.encode()).unwrap();
        assert_eq!(read, memory);
        let torn = [memory.encode(), b"/half of a na".to_vec()].concat();
        assert_eq!(Memory::decode(&torn).unwrap(), memory);
        assert!(Memory::decode(b"").is_none());
    }
}
