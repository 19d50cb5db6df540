//! `COPY` and `ADD`: files go from a tree straight into the layer.

use crate::copy::{Manner, Target};
use crate::error::at;
use crate::mode::Mode;
use crate::remote::{Commit, Download};
use crate::source::{self, Exclude, Found, Source};
use crate::stage::{Stop, Worker, met};
use crate::state::Key;
use diagnostic::Span;
use dockerfile::{Add, Instruction, InstructionKind, Transfer, TransferSource, expand_inline};
use resource::Digest;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use store::begins_an_archive;

/// Mode of a file that is written in the Dockerfile.
const WRITTEN: u32 = 0o644;
/// Mode of a file that comes from a web server.
const FETCHED: u32 = 0o600;

/// Something to put into the image.
pub(crate) enum Piece {
    /// Files that were found.
    Files(Found),
    /// A file written in the Dockerfile.
    Text { name: String, content: String },
    /// An archive to unpack, found as a file.
    Archive(Found),
    /// A file of a web server.
    Download(Download),
    /// Files of a git repository.
    Git(Commit),
}

impl Worker<'_> {
    pub(crate) fn transfer(&mut self, instruction: &Instruction) -> Result<(), Stop> {
        let (transfer, from, parents, add) = match &instruction.kind {
            InstructionKind::Copy(copy) => (&copy.transfer, copy.from.as_ref(), copy.parents, None),
            InstructionKind::Add(add) => (&add.transfer, None, false, Some(add)),
            _ => return Ok(()),
        };
        let span = instruction.span;
        let source = self.source(from.map(|from| from.text.as_str()), span)?;
        let mut pieces = self.pieces(transfer, &source, parents, add, span)?;
        if let Some(checksum) = add.and_then(|add| add.checksum.as_ref()) {
            let is_fetched = |piece: &Piece| matches!(piece, Piece::Download(_) | Piece::Git(_));
            if pieces.len() != 1 || !pieces.iter().all(is_fetched) {
                let message = "`--checksum` is for one file of a web server or one git repository";
                return Err(at(checksum.span, "nothing-to-check", message)
                    .help("add what it is for in an instruction of its own")
                    .into());
            }
        }
        let asked = self.expand(&transfer.destination)?;
        let is_folder = asked.ends_with('/') || asked.ends_with("/.") || asked == "." || parents;
        let destination = self.state.absolute(&asked);
        if is_folder && let Some(url) = pieces.iter().find_map(Piece::nameless) {
            let message = format!("no file name can be made of {url}");
            return Err(at(span, "no-name", message).help("name the file in the destination").into());
        }
        let manner = self.manner(transfer, &source, span)?;
        let layers = if transfer.link { vec![] } else { self.state.all_layers() };
        let mut key = Key::new("copy").with_all(layers.iter().map(Digest::as_str)).with(&destination).with(
            format!("{is_folder} {parents} {:?} {:?} {}", manner.owner, manner.mode, source.has_owners()),
        );
        for piece in &pieces {
            key = match piece {
                Piece::Files(found) | Piece::Archive(found) => {
                    let digest = source.digest(self.site.store, found);
                    let digest = digest.map_err(|error| met(span, "read what is copied", &error))?;
                    // The name counts where it is the name in the image, too.
                    let name = if found.start.is_folder() && !parents { Path::new("") } else { &found.asked };
                    key.with(matches!(piece, Piece::Archive(_)).to_string())
                        .with(name.as_os_str().as_encoded_bytes())
                        .with(digest.as_str())
                }
                Piece::Text { name, content } => key.with(name).with(content),
                Piece::Download(download) => {
                    let unpack = add.is_some_and(|add| add.unpack == Some(true));
                    key.with(format!("download {unpack}")).with(download.key())
                }
                Piece::Git(commit) => key.with("git").with(commit.key()),
            };
        }
        let mut place =
            Place { path: PathBuf::from(destination.trim_start_matches('/')), is_folder, parents };
        let text = instruction.original.clone();
        let unpack = add.and_then(|add| add.unpack) == Some(true);
        self.layered(instruction, &text, &key.finish(), |worker, _| {
            for piece in &mut pieces {
                match piece {
                    Piece::Download(download) => download.get(worker.site, span)?,
                    Piece::Git(commit) => commit.get(worker.site.store, span)?,
                    Piece::Files(_) | Piece::Archive(_) | Piece::Text { .. } => {}
                }
            }
            worker.changed(span, &layers, |root| {
                let mut target = Target::new(root, manner);
                place.is_folder |= target.is_folder(&place.path);
                if pieces.len() > 1 && !place.is_folder {
                    // The first of them makes what the others come to.
                    place.is_folder = pieces.first().is_some_and(Piece::makes_a_folder);
                    if !place.is_folder {
                        let why = format!("several things cannot be one file: let `{asked}` end in `/`");
                        return Err(io::Error::other(why));
                    }
                }
                if place.is_folder {
                    target.make_folder(&place.path)?;
                }
                pieces.iter().try_for_each(|piece| worker.put(&mut target, &source, piece, &place, unpack))
            })
        })
    }

    /// What the sources of an instruction stand for.
    fn pieces(
        &self,
        transfer: &Transfer,
        source: &Source,
        parents: bool,
        add: Option<&Add>,
        span: Span,
    ) -> Result<Vec<Piece>, Stop> {
        let exclude: Vec<String> =
            transfer.exclude.iter().map(|word| self.expand(word)).collect::<Result<_, _>>()?;
        let mut exclude = Exclude::of(exclude).map_err(|why| at(span, "bad-pattern", why))?;
        let mut pieces = vec![];
        for one in &transfer.sources {
            let word = match one {
                TransferSource::Inline(inline) => {
                    let content = expand_inline(inline, &self.state.scope)?;
                    pieces.push(Piece::Text { name: inline.name.clone(), content });
                    continue;
                }
                TransferSource::Path(word) => word,
            };
            let path = self.expand(word)?;
            if let Some(piece) = add.map(|add| self.remote(add, word, &path)).transpose()?.flatten() {
                pieces.push(piece);
                continue;
            }
            if path.contains("://") {
                let message = format!("`COPY` takes nothing from an address such as `{path}`");
                return Err(at(word.span, "remote-source", message).help("`ADD` does").into());
            }
            // Of `a/./b` only what is behind the point are parents.
            let above = if parents { names_above(&path) } else { 0 };
            exclude.below = parents.then_some(above);
            let found = source.find(&path, &exclude).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    at(word.span, "not-found", format!("`{path}` is not there")).help(within(source))
                }
                _ => at(word.span, "not-readable", format!("cannot read `{path}`: {error}")),
            })?;
            // A pattern may match nothing; a path has to be there.
            if found.is_empty() && !source::is_pattern(&path) {
                let message = format!("nothing that counts matches `{path}`");
                let why = match source.is_whole() {
                    true => within(source),
                    false => format!("{}, and `.dockerignore` leaves files out", within(source)),
                };
                return Err(at(word.span, "not-found", message).help(why).into());
            }
            let unpack = add.is_some_and(|add| add.unpack.unwrap_or(true));
            let is_archive = |found: &Found| {
                let file = || crate::tree::open_file(source.root(), &found.start.path);
                unpack && !found.start.is_folder() && file().is_ok_and(begins_an_archive)
            };
            for mut found in found {
                if parents {
                    found = source
                        .with_parents(found, above)
                        .map_err(|error| met(span, "read what is copied", &error))?;
                }
                pieces.push(match is_archive(&found) {
                    true => Piece::Archive(found),
                    false => Piece::Files(found),
                });
            }
        }
        Ok(pieces)
    }

    /// Owner and mode of what is copied.
    fn manner(&self, transfer: &Transfer, source: &Source, span: Span) -> Result<Manner, Stop> {
        let mode = match &transfer.chmod {
            None => None,
            Some(word) => {
                let text = self.expand(word)?;
                let bad = || at(word.span, "bad-mode", format!("`{text}` is no mode such as `755` or `u+x`"));
                Some(Mode::parse(&text).ok_or_else(bad)?)
            }
        };
        let owner = match &transfer.chown {
            None if source.has_owners() => None,
            None => Some((0, 0)),
            Some(word) => Some(self.owner(&self.expand(word)?, span)?),
        };
        Ok(Manner { owner, mode })
    }

    /// The numbers of a user, and of the group that is named with it or is the user's own.
    pub(crate) fn owner(&self, text: &str, span: Span) -> Result<(u32, u32), Stop> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        // Numbers need no names, and a user's number is then its group's, too.
        let number = |text: &str| text.parse::<u32>().ok();
        if let Some(uid) = number(user)
            && let Some(gid) = group.map_or(Some(uid), number)
        {
            return Ok((uid, gid));
        }
        let layers = self.state.all_layers();
        let users = self.site.store.users_in(&layers);
        let (passwd, groups) = users.map_err(|error| met(span, "read the image's users", &error))?;
        let found = runtime::users::resolve(text, &[], &passwd, &groups);
        let found = found.map_err(|error| at(span, "unknown-user", error.to_string()))?;
        Ok((found.uid, found.gid))
    }

    fn put(
        &self,
        target: &mut Target<'_>,
        source: &Source,
        piece: &Piece,
        place: &Place,
        unpack: bool,
    ) -> io::Result<()> {
        match piece {
            Piece::Files(found) => {
                let start = &found.start;
                let name = found.asked.file_name().or(start.path.file_name()).unwrap_or_default();
                let above = match (place.parents, start.is_folder(), place.is_folder) {
                    (true, ..) => place.path.join(&found.asked),
                    (false, true, _) | (false, false, false) => place.path.clone(),
                    (false, false, true) => place.path.join(name),
                };
                for (entry, path) in &found.parents {
                    target.copy(source.root(), std::slice::from_ref(entry), &|_| place.path.join(path))?;
                }
                if start.is_folder() {
                    target.make_folder(&above)?;
                }
                target.copy(source.root(), &found.entries, &|path| {
                    let below = path.strip_prefix(&start.path).unwrap_or(path);
                    if below.as_os_str().is_empty() { above.clone() } else { above.join(below) }
                })
            }
            Piece::Text { name, content } => {
                target.write(&place.of(name), &mut content.as_bytes(), WRITTEN, None)
            }
            Piece::Archive(found) => {
                let file = crate::tree::open_file(source.root(), &found.start.path)?;
                self.unpack(target, file, place)
            }
            Piece::Download(download) => {
                let mut file = download.open()?;
                if unpack && begins_an_archive(&file) {
                    return self.unpack(target, download.open()?, place);
                }
                file.rewind()?;
                let modified = download.modified();
                let modified = rustix::fs::Timespec { tv_sec: modified.as_second(), tv_nsec: 0 };
                target.write(&place.of(&download.name), &mut file, FETCHED, Some(modified))
            }
            Piece::Git(commit) => commit.put(target, &place.path),
        }
    }

    /// Puts what is in an archive into a folder.
    fn unpack(&self, target: &mut Target<'_>, archive: std::fs::File, place: &Place) -> io::Result<()> {
        let folder = self.site.store.unpack_apart(archive).map_err(io::Error::other)?;
        let unpacked = crate::context::Context::open(&folder.join("tree")).and_then(|tree| {
            let root = crate::tree::resolve(&tree.root, Path::new(""))?;
            let all = crate::tree::walk(&tree.root, &root, &|_, _| crate::tree::Verdict::Kept)?;
            target.make_folder(&place.path)?;
            let to = |path: &Path| match path.as_os_str().is_empty() {
                true => place.path.clone(),
                false => place.path.join(path),
            };
            // Who owns what is in an archive is for the archive to say.
            target.keeping_owners(|target| target.copy(&tree.root, &all, &to))
        });
        // What cannot be removed now is swept later.
        drop(std::fs::remove_dir_all(&folder));
        unpacked
    }
}

impl Piece {
    /// Whether a folder comes of it where nothing is yet.
    fn makes_a_folder(&self) -> bool {
        match self {
            Self::Files(found) => found.start.is_folder(),
            Self::Archive(_) | Self::Git(_) => true,
            Self::Text { .. } | Self::Download(_) => false,
        }
    }

    /// The address of a file that gives it no name.
    fn nameless(&self) -> Option<&str> {
        match self {
            Self::Download(download) if download.name.is_empty() => Some(&download.url),
            _ => None,
        }
    }
}

/// Where things go.
#[derive(Clone)]
struct Place {
    /// From the root, without a leading slash.
    path: PathBuf,
    /// It is a folder that things are put into.
    is_folder: bool,
    /// The folders above each source come along.
    parents: bool,
}

impl Place {
    /// Where something of this name goes.
    fn of(&self, name: &str) -> PathBuf {
        if self.is_folder { self.path.join(name) } else { self.path.clone() }
    }
}

/// How many names of a path stand before a `.` in its middle.
fn names_above(path: &str) -> usize {
    let above = path.split_once("/./").map_or(String::new(), |(above, _)| resource::mount::clean(above));
    above.split('/').filter(|name| !name.is_empty()).count()
}

fn within(source: &Source) -> String {
    match source {
        Source::Folder { context, .. } => format!("paths count from {}", context.path.display()),
        Source::Layers { .. } => "paths count from the root of the stage or image".to_owned(),
    }
}
