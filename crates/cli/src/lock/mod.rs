//! `compose.lock`: the digests that a project's images are held to, and holding them to it.

pub(crate) mod hold;
pub(crate) mod text;
pub(crate) mod wants;

use crate::exit::Failure;
use crate::session::Session;
use compose_spec::Project;
use diagnostic::{Diagnostic, Sources, Span};
use resource::{Digest, Locked, Platform, Reference};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use text::Lock;

/// Its name, in the project's folder.
pub(crate) const NAME: &str = "compose.lock";

/// A lock that was read.
pub(crate) struct LockFile {
    /// What it says.
    pub(crate) lock: Lock,
    /// Its name as seen from here.
    shown: String,
    text: String,
}

/// Where a project has its lock.
pub(crate) fn path(project: &Project) -> PathBuf {
    project.directory.join(NAME)
}

impl LockFile {
    /// Reads a project's lock; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read, is damaged, of a newer program, or of another project than the file's own.
    pub(crate) fn read(session: &Session, project: &Project) -> Result<Option<Self>, Failure> {
        let path = path(project);
        let shown = path.strip_prefix(session.current()).unwrap_or(&path).display().to_string();
        let bytes = match crate::files::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::because(format!("cannot read the lock `{shown}`"), error)),
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut sources = Sources::new();
        let file = sources.add(shown.as_str(), text.as_str());
        let drawn =
            |told: Diagnostic| Failure::Drawn(diagnostic::render(&sources, &[told], session.colour_errors));
        let lock = text::parse(file, &text).map_err(drawn)?;
        // Under a name that is given for once the project is still the same.
        if lock.project != project.name && !session.is_renamed()? {
            let message = format!("the lock is of project `{}`, not of `{}`", lock.project, project.name);
            let span = Span::new(file, lock.project_at.start, lock.project_at.end);
            return Err(drawn(
                Diagnostic::error("other-lock", message)
                    .at(span, "the project it was made for")
                    .help("if the project was renamed, remove the lock and run `compose lock`"),
            ));
        }
        Ok(Some(Self { lock, shown, text }))
    }

    /// Adds its text to others, and gives one of its places there.
    pub(crate) fn place(&self, sources: &mut Sources, at: &Range<usize>) -> Span {
        let file = sources.add(self.shown.as_str(), self.text.as_str());
        Span::new(file, at.start, at.end)
    }

    /// The digests it holds images to.
    pub(crate) fn locked(&self) -> Locked {
        let entries = self.lock.images.iter();
        Locked(entries.map(|(reference, entry)| (reference.clone(), entry.platforms.clone())).collect())
    }
}

/// Writes a project's lock: a reader sees the old one or the new one, whole.
///
/// # Errors
/// What the kernel says.
pub(crate) fn write(
    project: &Project,
    name: &str,
    images: &BTreeMap<Reference, Vec<(Platform, Digest)>>,
) -> Result<(), Failure> {
    let path = path(project);
    let failed = |error| Failure::because(format!("cannot write `{}`", path.display()), error);
    // One that is a link stays one.
    let target = path.canonicalize().unwrap_or_else(|_| path.clone());
    replace(&target, &text::print(name, images)).map_err(failed)
}

/// With the mode that the user's files have, unlike the engine's own.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_file_name(format!(".{NAME}.{}.tmp", std::process::id()));
    let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    written.inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}
