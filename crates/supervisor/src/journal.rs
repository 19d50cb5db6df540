//! What has happened to a pod's containers, a line of JSON each, for those who come later or look on.
//!
//! ```text
//! DATA/pods/POD/events      appended to by the supervisor, and by commands that make or remove
//! DATA/pods/POD/events.1    what it was before it had grown; the supervisor moves it there
//! ```
//! A line is written at once and at the end, so lines of several writers never mix. The journal goes with
//! its pod; who reads along still has the last lines, because the file stays open.

use crate::log::Watch;
use crate::protocol::Event;
use resource::{Labels, PodName, Roots};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of a journal at which another is begun.
const FULL: u64 = 256 * 1024;

/// An event, with what is to be told of a container that may be gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// What happened.
    pub event: Event,
    /// The image, as named in the file.
    pub image: String,
    /// The container's labels.
    pub labels: Labels,
}

/// Notes an event in the journal of a pod; of one that is gone it notes nothing.
///
/// # Errors
/// What the kernel says of writing.
pub fn note(roots: &Roots, pod: &PodName, note: &Note) -> io::Result<()> {
    let mut line = serde_json::to_vec(note)?;
    line.push(b'\n');
    let open = File::options().append(true).create(true).mode(0o600).open(roots.pod(pod).join("events"));
    match open {
        Ok(mut file) => file.write_all(&line),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Begins another journal when this one has grown. Only for the supervisor, of which there is one.
///
/// # Errors
/// What the kernel says of renaming.
pub(crate) fn turn(roots: &Roots, pod: &PodName) -> io::Result<()> {
    let path = roots.pod(pod).join("events");
    match std::fs::metadata(&path) {
        Ok(status) if status.len() >= FULL => std::fs::rename(&path, older(&path)),
        _ => Ok(()),
    }
}

fn older(path: &Path) -> PathBuf {
    path.with_file_name("events.1")
}

/// Reads a pod's journal: what is there, and then what comes.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    /// What is read now, and its inode.
    file: Option<(BufReader<File>, u64)>,
    /// Files to be read after it.
    next: Vec<File>,
    /// The beginning of a line whose end has not been written yet.
    partial: Vec<u8>,
    /// The watch on the pod's folder, and which folder that was.
    watch: Option<(Watch, u64)>,
}

impl Journal {
    /// Opens the journal of a pod that may not exist yet. With `past`, it begins with what has been noted
    /// already.
    ///
    /// # Errors
    /// What the kernel says of opening.
    pub fn open(roots: &Roots, pod: &PodName, past: bool) -> io::Result<Self> {
        let mut journal =
            Self { folder: roots.pod(pod), file: None, next: vec![], partial: vec![], watch: None };
        let current = journal.folder.join("events");
        if past {
            journal.next =
                [&older(&current), &current].into_iter().filter_map(|path| File::open(path).ok()).collect();
            journal.next.reverse();
            journal.advance()?;
        } else if let Ok(file) = File::open(&current) {
            let inode = file.metadata()?.ino();
            let mut reader = BufReader::new(file);
            io::Seek::seek(&mut reader, io::SeekFrom::End(0))?;
            journal.file = Some((reader, inode));
        }
        Ok(journal)
    }

    /// The next note that is there; `None` when there is no more for now. Damaged lines are left out.
    ///
    /// # Errors
    /// What the kernel says of reading.
    pub fn read(&mut self) -> io::Result<Option<Note>> {
        loop {
            if let Some((reader, _)) = &mut self.file
                && reader.read_until(b'\n', &mut self.partial)? > 0
                && self.partial.ends_with(b"\n")
            {
                let note = serde_json::from_slice(&self.partial).ok();
                self.partial.clear();
                match note {
                    Some(note) => return Ok(Some(note)),
                    None => continue,
                }
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Goes on with the file that came after the one that has been read; whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        let known = self.file.as_ref().map(|(_, inode)| *inode);
        let file = match self.next.pop() {
            Some(file) => file,
            None => match File::open(self.folder.join("events")) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        let inode = file.metadata()?.ino();
        if known == Some(inode) {
            return Ok(false);
        }
        self.partial.clear();
        self.file = Some((BufReader::new(file), inode));
        Ok(true)
    }

    /// Waits until there may be more. A pod that is not there yet is waited for.
    ///
    /// # Errors
    /// What inotify says, or that there is no place where the pod could appear.
    pub async fn changed(&mut self) -> io::Result<()> {
        let inode = std::fs::metadata(&self.folder).map(|status| status.ino()).ok();
        match self.watch.take().filter(|(_, watched)| Some(*watched) == inode) {
            Some((watch, watched)) => {
                watch.changed().await?;
                self.watch = Some((watch, watched));
            }
            // What came before the watch was set up is read first. A folder that is removed is moved away
            // before, which the watch on it tells.
            None => match Watch::new(&self.folder) {
                Ok(watch) => self.watch = inode.map(|inode| (watch, inode)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.appeared().await?,
                Err(error) => return Err(error),
            },
        }
        Ok(())
    }

    /// Waits until the pod's folder may have been made.
    async fn appeared(&self) -> io::Result<()> {
        let above = self.folder.parent().unwrap_or(&self.folder);
        sys::file::create_private_folder(above)?;
        let watch = Watch::new(above)?;
        while !self.folder.exists() {
            watch.changed().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::EventKind;

    fn noted(number: u32) -> Note {
        let event = Event {
            time: resource::Timestamp::UNIX_EPOCH,
            container: "abc".into(),
            name: "shop-web-1".into(),
            service: "web".into(),
            number: Some(number),
            kind: EventKind::Paused,
        };
        Note { event, image: "web".to_owned(), labels: Labels::new() }
    }

    #[test]
    fn what_is_noted_is_read_across_a_turn_and_after_the_pod_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (roots, pod) = (Roots::below(folder.path()), PodName("shop".to_owned()));
        // Of a pod that is not there nothing is noted.
        note(&roots, &pod, &noted(0)).unwrap();
        assert!(Journal::open(&roots, &pod, true).unwrap().read().unwrap().is_none());
        std::fs::create_dir_all(roots.pod(&pod)).unwrap();
        note(&roots, &pod, &noted(1)).unwrap();
        let mut live = Journal::open(&roots, &pod, false).unwrap();
        turn(&roots, &pod).unwrap();
        note(&roots, &pod, &noted(2)).unwrap();
        let path = roots.pod(&pod).join("events");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&vec![b'x'; FULL as usize]).unwrap();
        file.write_all(b"\n").unwrap();
        turn(&roots, &pod).unwrap();
        note(&roots, &pod, &noted(3)).unwrap();
        let rest = |journal: &mut Journal| {
            std::iter::from_fn(|| journal.read().unwrap())
                .map(|note| note.event.number.unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(rest(&mut Journal::open(&roots, &pod, true).unwrap()), [1, 2, 3]);
        assert_eq!(rest(&mut live), [2, 3]);
        note(&roots, &pod, &noted(4)).unwrap();
        std::fs::remove_dir_all(roots.pod(&pod)).unwrap();
        assert_eq!(rest(&mut live), [4]);
        std::fs::create_dir_all(roots.pod(&pod)).unwrap();
        note(&roots, &pod, &noted(5)).unwrap();
        assert_eq!(rest(&mut live), [5]);
    }
}
