//! The text of `compose.lock`: version, project, and for each image the digests of its platforms.
//!
//! ```text
//! # Written by `compose lock` …
//! version: 1
//! project: shop
//! images:
//!   docker.io/library/redis:7:
//!     linux/amd64: sha256:…
//!     linux/arm64: sha256:…
//! ```
//! Ordered, a line a fact, so that two branches merge and a difference can be read. It is YAML, too, but
//! only lines of these forms are read.

use diagnostic::{Diagnostic, FileId, Span};
use resource::{Digest, Platform, Reference};
use std::collections::BTreeMap;
use std::ops::Range;

/// The version written, and the newest that is read.
pub(crate) const VERSION: u32 = 1;

const HEAD: &str = "# Written by `compose lock`, obeyed with `--frozen`. Keep it beside the Compose file.\n";

/// What git writes around two sides that it could not merge.
const CONFLICT: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// What a lock says, with the places where it does, as ranges of bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// The project it is of.
    pub(crate) project: String,
    /// Where it says so.
    pub(crate) project_at: Range<usize>,
    /// Where the images begin.
    pub(crate) images_at: Range<usize>,
    /// The images.
    pub(crate) images: BTreeMap<Reference, Entry>,
}

/// An image in a lock.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it is named.
    pub(crate) at: Range<usize>,
    /// The manifest of each platform.
    pub(crate) platforms: Vec<(Platform, Digest)>,
}

/// Writes a lock.
pub(crate) fn print(project: &str, images: &BTreeMap<Reference, Vec<(Platform, Digest)>>) -> String {
    let mut text = format!("{HEAD}version: {VERSION}\nproject: {project}\nimages:\n");
    for (reference, platforms) in images {
        text.push_str(&format!("  {reference}:\n"));
        text.extend(platforms.iter().map(|(platform, digest)| format!("    {platform}: {digest}\n")));
    }
    text
}

/// Reads a lock.
///
/// # Errors
/// The first line that makes no sense, or a version that is newer than this program.
pub(crate) fn parse(file: FileId, text: &str) -> Result<Lock, Diagnostic> {
    let mut reader = Reader { file, lock: Lock::default(), seen: Seen::Nothing };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let whole = line.trim_end();
        let content = whole.trim_start_matches(' ');
        let indent = whole.len() - content.len();
        if !content.is_empty() && !content.starts_with('#') {
            reader.line(indent, content, start + indent..start + whole.len())?;
        }
        start += line.len();
    }
    reader.end()
}

/// How far reading has come.
#[derive(Clone, PartialEq, Eq)]
enum Seen {
    Nothing,
    Version,
    Project,
    Images,
    /// An image; its platforms follow.
    Image(Reference),
}

struct Reader {
    file: FileId,
    lock: Lock,
    seen: Seen,
}

impl Reader {
    fn bad(&self, at: &Range<usize>, text: impl Into<std::borrow::Cow<'static, str>>) -> Diagnostic {
        Diagnostic::error("bad-lock", "the lock is damaged")
            .at(Span::new(self.file, at.start, at.end), text)
            .help("take an undamaged one from your version control, or remove it and run `compose lock`")
    }

    fn line(&mut self, indent: usize, content: &str, at: Range<usize>) -> Result<(), Diagnostic> {
        if indent == 0 && CONFLICT.iter().any(|mark| content.starts_with(mark)) {
            return Err(Diagnostic::error("bad-lock", "the lock has two sides of a merge in it")
                .at(Span::new(self.file, at.start, at.end), "a conflict begins or ends here")
                .help("take either side (`git checkout --ours compose.lock`), then run `compose lock`"));
        }
        match (&self.seen, indent) {
            (Seen::Nothing, 0) => self.version(content, &at),
            (Seen::Version, 0) => {
                let name = content.strip_prefix("project: ").filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| self.bad(&at, "this should be `project: NAME`"))?;
                (self.lock.project, self.lock.project_at) = (name.to_owned(), at);
                self.seen = Seen::Project;
                Ok(())
            }
            (Seen::Project, 0) if content == "images:" => {
                self.lock.images_at = at;
                self.seen = Seen::Images;
                Ok(())
            }
            (Seen::Images, 2) => self.image(content, at),
            (Seen::Image(_), 2) => {
                self.complete()?;
                self.image(content, at)
            }
            (Seen::Image(reference), 4) => self.platform(&reference.clone(), content, &at),
            _ => Err(self.bad(&at, "no lock has such a line here")),
        }
    }

    fn version(&mut self, content: &str, at: &Range<usize>) -> Result<(), Diagnostic> {
        let version = content.strip_prefix("version: ").and_then(|number| number.parse::<u32>().ok());
        match version {
            Some(0) | None => Err(self.bad(at, format!("this should be `version: {VERSION}`"))),
            Some(version) if version > VERSION => {
                let message = format!("the lock has version {version}, and this program reads {VERSION}");
                Err(Diagnostic::error("newer-lock", message)
                    .at(Span::new(self.file, at.start, at.end), "written by a newer program")
                    .help("use the program that wrote it, or a newer one"))
            }
            Some(_) => {
                self.seen = Seen::Version;
                Ok(())
            }
        }
    }

    fn image(&mut self, content: &str, at: Range<usize>) -> Result<(), Diagnostic> {
        let name = content.strip_suffix(':').ok_or_else(|| self.bad(&at, "this should be `IMAGE:`"))?;
        let reference = Reference::parse(name).map_err(|error| self.bad(&at, error.to_string()))?;
        if self.lock.images.contains_key(&reference) {
            return Err(self.bad(&at, "this image is there twice"));
        }
        self.lock.images.insert(reference.clone(), Entry { at, platforms: vec![] });
        self.seen = Seen::Image(reference);
        Ok(())
    }

    fn platform(&mut self, image: &Reference, content: &str, at: &Range<usize>) -> Result<(), Diagnostic> {
        let form = || self.bad(at, "this should be `PLATFORM: sha256:DIGITS`");
        let (platform, digest) = content.split_once(": ").ok_or_else(form)?;
        let platform = Platform::parse(platform).ok_or_else(form)?;
        let digest = Digest::parse(digest).map_err(|_| form())?;
        let entry = self
            .lock
            .images
            .get_mut(image)
            .filter(|entry| entry.platforms.iter().all(|(known, _)| *known != platform));
        match entry {
            Some(entry) => entry.platforms.push((platform, digest)),
            None => return Err(self.bad(at, "this platform is there twice")),
        }
        Ok(())
    }

    /// An image that ends here has a platform.
    fn complete(&self) -> Result<(), Diagnostic> {
        let Seen::Image(reference) = &self.seen else { return Ok(()) };
        match self.lock.images.get(reference).filter(|entry| entry.platforms.is_empty()) {
            Some(entry) => Err(self.bad(&entry.at, "this image has no digest")),
            None => Ok(()),
        }
    }

    fn end(self) -> Result<Lock, Diagnostic> {
        self.complete()?;
        match self.seen {
            Seen::Images | Seen::Image(_) => Ok(self.lock),
            Seen::Nothing => {
                Err(Diagnostic::error("bad-lock", "the lock is empty")
                    .help("remove it and run `compose lock`"))
            }
            Seen::Version | Seen::Project => Err(Diagnostic::error("bad-lock", "the lock is cut off")
                .help("take a whole one from your version control, or remove it and run `compose lock`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diagnostic::Sources;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn example() -> String {
        format!(
            "{HEAD}version: 1\nproject: shop\nimages:\n  docker.io/library/redis:7:\n    linux/amd64: {}\n    linux/arm/v7: {}\n  localhost:5000/team/app:1.2:\n    linux/amd64: {}\n",
            digest('a'),
            digest('b'),
            digest('c')
        )
    }

    /// The place and text of the first label, or the message when there is none.
    fn wrong(text: &str) -> String {
        let mut sources = Sources::new();
        let file = sources.add("compose.lock", text);
        let told = parse(file, text).unwrap_err();
        match told.labels.first() {
            Some(label) => format!("{} {} {}", told.code, sources.place(label.span), label.text),
            None => format!("{} {}", told.code, told.message),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut sources = Sources::new();
        let text = example();
        let file = sources.add("compose.lock", text.as_str());
        let lock = parse(file, &text).unwrap();
        assert_eq!(lock.project, "shop");
        let images: BTreeMap<_, _> =
            lock.images.into_iter().map(|(reference, entry)| (reference, entry.platforms)).collect();
        assert_eq!(images.len(), 2);
        assert_eq!(print("shop", &images), text);
        // As git on another system writes it.
        assert!(parse(file, &text.replace('\n', "\r\n")).is_ok());
        assert!(parse(file, "version: 1\nproject: a\nimages:\n").unwrap().images.is_empty());
    }

    #[test]
    fn damage_is_shown_at_its_line() {
        let text = example();
        assert_eq!(wrong(""), "bad-lock the lock is empty");
        assert_eq!(wrong("version: 1\n"), "bad-lock the lock is cut off");
        assert_eq!(wrong("\0\0\0\0"), "bad-lock compose.lock:1:1 this should be `version: 1`");
        assert_eq!(
            wrong(&text[..text.len() - 9]),
            "bad-lock compose.lock:9:5 this should be `PLATFORM: sha256:DIGITS`"
        );
        let cut = text.find("    linux/arm").unwrap();
        assert_eq!(
            wrong(&text[..cut].replace("redis:7:", "redis:7")),
            "bad-lock compose.lock:5:3 this should be `IMAGE:`"
        );
        assert_eq!(
            wrong(&text.replace("linux/arm/v7", "linux/amd64")),
            "bad-lock compose.lock:7:5 this platform is there twice"
        );
        let bare = text.lines().filter(|line| !line.starts_with("    ")).collect::<Vec<_>>().join("\n");
        assert_eq!(wrong(&bare), "bad-lock compose.lock:5:3 this image has no digest");
    }

    #[test]
    fn conflicts_and_newer_versions_are_named() {
        let text = example().replace("  localhost", "<<<<<<< HEAD\n  localhost");
        assert_eq!(wrong(&text), "bad-lock compose.lock:8:1 a conflict begins or ends here");
        let newer = "version: 2\nwhatever: [1]\n";
        assert_eq!(wrong(newer), "newer-lock compose.lock:1:1 written by a newer program");
    }
}
