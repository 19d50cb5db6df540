//! What `ADD` takes from elsewhere: files by their address, and git repositories.
//!
//! A file is known by its content. What a server has said of it is kept, so that the next build asks only
//! whether it has changed; a promised checksum needs no question at all.

use crate::context::Context;
use crate::copy::Target;
use crate::error::{at, chain};
use crate::git::{self, Access, Checkout, Repository, without_password};
use crate::machine::{GivenUp, Machine, Version};
use crate::secret;
use crate::stage::{Site, Stop, Worker};
use crate::transfer::Piece;
use crate::tree::{self, Verdict};
use diagnostic::Span;
use dockerfile::{Add, Word};
use resource::{BuildContext, BuildSpec, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use store::{Hasher, Store};

/// A file at an address.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) url: String,
    /// The name it gets in a folder.
    pub(crate) name: String,
    /// Its content's.
    pub(crate) digest: Digest,
    /// When it was last changed, as far as the server says.
    modified: Option<Timestamp>,
    /// What its server is told in `Authorization`.
    authorization: Option<String>,
    /// Where it is, when it had to be fetched.
    here: Option<Here>,
}

/// A file that was fetched; it goes with this.
#[derive(Debug)]
struct Here(PathBuf);

impl Drop for Here {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        drop(std::fs::remove_file(&self.0));
    }
}

/// A commit of a repository.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) repository: Repository,
    pub(crate) commit: String,
    pub(crate) with_git: bool,
    access: Access,
    /// Its files, once somebody needs them.
    checkout: Option<Checkout>,
}

/// Why a file was not fetched.
enum Missed {
    /// The build is over.
    GivenUp,
    /// This.
    Because(String),
}

impl Missed {
    fn because(why: impl ToString) -> Self {
        Self::Because(why.to_string())
    }

    fn of_server() -> Self {
        Self::because("the server sends nothing")
    }

    /// What it means for a step that wanted the file.
    fn stop(self, url: &str, span: Span) -> Stop {
        match self {
            Self::GivenUp => Stop::Over,
            Self::Because(why) => {
                at(span, "not-fetched", format!("cannot get {}: {why}", without_password(url))).into()
            }
        }
    }
}

/// What is kept of a file that was fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    tag: String,
    modified: String,
    digest: Digest,
}

impl Worker<'_> {
    /// What an address means; `None` when the text is a path.
    pub(crate) fn remote(&self, add: &Add, word: &Word, text: &str) -> Result<Option<Piece>, Stop> {
        let checksum = add.checksum.as_ref().map(|word| Ok::<_, Stop>((self.expand(word)?, word.span)));
        let checksum = checksum.transpose()?;
        if let Some(repository) = Repository::parse(text, false) {
            return self.commit(repository, add, checksum, word.span).map(|commit| Some(Piece::Git(commit)));
        }
        if !(text.starts_with("http://") || text.starts_with("https://")) {
            return match text.contains("://") {
                true => Err(at(word.span, "remote-source", format!("`{text}` is of no known kind"))
                    .help("there are `https://`, `http://` and, of git repositories, `git://` and `ssh://`")
                    .into()),
                false => Ok(None),
            };
        }
        let name = name_of(text);
        let authorization = authorization(&self.target.spec, text);
        let authorization = authorization.map_err(|why| at(word.span, "bad-secret", why))?;
        let download = match checksum {
            None => current(self.site.store, self.site.machine, text, authorization)
                .map_err(|missed| missed.stop(text, word.span))?,
            Some((promised, span)) => {
                let digest = Digest::parse(&promised).map_err(|_| {
                    at(span, "bad-checksum", format!("`{promised}` is no checksum such as `sha256:…`"))
                })?;
                let (url, name) = (text.to_owned(), String::new());
                Download { url, name, digest, modified: None, authorization, here: None }
            }
        };
        Ok(Some(Piece::Download(Download { name, ..download })))
    }

    fn commit(
        &self,
        repository: Repository,
        add: &Add,
        checksum: Option<(String, Span)>,
        span: Span,
    ) -> Result<Commit, Stop> {
        let access = Access::of(&self.target.spec, &repository.url);
        let access = access.map_err(|why| at(span, "bad-secret", why))?;
        let commit = repository.commit(&access);
        let shown = without_password(&repository.url);
        let commit = commit.map_err(|why| at(span, "not-fetched", format!("cannot get {shown}: {why}")))?;
        if let Some((promised, span)) = checksum
            && (promised.is_empty() || !commit.starts_with(&promised.to_ascii_lowercase()))
        {
            let message = format!("the repository is at commit {commit}, not at `{promised}`");
            return Err(at(span, "wrong-checksum", message).into());
        }
        let with_git = repository.with_git.unwrap_or(false) || add.keep_git_dir;
        Ok(Commit { repository, commit, with_git, access, checkout: None })
    }
}

impl Download {
    /// The part of a step's key that it is. When a file was changed does not count, as anywhere else.
    pub(crate) fn key(&self) -> String {
        format!("{} {}", self.name, self.digest)
    }

    /// Fetches the file when nobody has so far. Its content is the one that is known.
    pub(crate) fn get(&mut self, site: &Site<'_>, span: Span) -> Result<(), Stop> {
        if self.here.is_some() {
            return Ok(());
        }
        let fetched = fetch(site.store, site.machine, &self.url, None, self.authorization.as_deref());
        let (version, digest, here) = fetched
            .and_then(|fetched| fetched.ok_or_else(Missed::of_server))
            .map_err(|missed| missed.stop(&self.url, span))?;
        if digest != self.digest {
            let message =
                format!("{} has the checksum {digest}, not {}", without_password(&self.url), self.digest);
            return Err(at(span, "wrong-checksum", message).into());
        }
        self.modified = self.modified.or(time_of(&version.modified));
        self.here = Some(here);
        Ok(())
    }

    /// The file, once it has been fetched.
    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(self.here.as_ref().map_or(Path::new(""), |here| &here.0))
    }

    /// When the file was last changed; when nobody knows, the beginning of time, so that it is always the same.
    pub(crate) fn modified(&self) -> Timestamp {
        self.modified.unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl Commit {
    /// The part of a step's key that it is.
    pub(crate) fn key(&self) -> String {
        let Repository { url, folder, alone, .. } = &self.repository;
        let alone = if *alone { " alone" } else { "" };
        format!("{url} {} {folder} {}{alone}", self.commit, self.with_git)
    }

    /// Fetches its files.
    pub(crate) fn get(&mut self, store: &Store, span: Span) -> Result<(), Stop> {
        let done = self.repository.checkout(store, &self.commit, self.with_git, &self.access);
        let url = without_password(&self.repository.url);
        self.checkout =
            Some(done.map_err(|why| at(span, "not-fetched", format!("cannot get {url}: {why}")))?);
        Ok(())
    }

    /// Puts its files into the layer, once they have been fetched.
    pub(crate) fn put(&self, target: &mut Target<'_>, place: &Path) -> io::Result<()> {
        let checkout = self.checkout.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let tree = Context::open(&checkout.path)?;
        let start = tree::resolve(&tree.root, Path::new(&self.repository.folder))?;
        let entries = tree::walk(&tree.root, &start, &|_, _| Verdict::Kept)?;
        target.make_folder(place)?;
        target.copy(&tree.root, &entries, &|path| {
            let below = path.strip_prefix(&start.path).unwrap_or(path);
            if below.as_os_str().is_empty() { place.to_owned() } else { place.join(below) }
        })
    }
}

/// A context that is elsewhere, in a folder of its own.
pub(crate) struct Fetched {
    /// Where its files are.
    pub(crate) folder: PathBuf,
    _held: Held,
}

/// What keeps the folder of a context.
enum Held {
    Checkout { _checkout: Checkout },
    Archive(PathBuf),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Archive(folder) = self {
            // What cannot be removed now is swept later.
            drop(std::fs::remove_dir_all(folder));
        }
    }
}

/// Fetches a context: a folder of a git repository, an archive, or the text of a Dockerfile, which is all there is then.
pub(crate) fn context(
    store: &Store,
    machine: &dyn Machine,
    address: &str,
    spec: &BuildSpec,
) -> Result<Fetched, String> {
    if let Some(repository) = Repository::parse(address, true) {
        let access = Access::of(spec, &repository.url)?;
        let commit = repository.commit(&access)?;
        let kept = spec.args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
        let kept = kept.and_then(|kept| dockerfile::truth(kept));
        let with_git = repository.with_git.or(kept).unwrap_or(false);
        let checkout = repository.checkout(store, &commit, with_git, &access)?;
        let root = sys::file::open_folder(&checkout.path).map_err(|error| error.to_string())?;
        let inner = tree::resolve(&root, Path::new(&repository.folder));
        let inner = inner.map_err(|error| format!("its folder `{}`: {error}", repository.folder))?;
        let folder = checkout.path.join(inner.path);
        return Ok(Fetched { folder, _held: Held::Checkout { _checkout: checkout } });
    }
    if !(address.starts_with("http://") || address.starts_with("https://")) {
        return Err("this is neither a git repository nor an archive of a web server".to_owned());
    }
    let authorization = authorization(spec, address)?;
    let fetched = fetch(store, machine, address, None, authorization.as_deref());
    let fetched = fetched.and_then(|fetched| fetched.ok_or_else(Missed::of_server));
    let fetched = fetched.map_err(|missed| match missed {
        Missed::GivenUp => GivenUp.to_string(),
        Missed::Because(why) => why,
    })?;
    let archive = File::open(&fetched.2.0).map_err(|error| error.to_string())?;
    let is_main = matches!(&spec.context, BuildContext::Remote(own) if own == address);
    if is_main && !store::begins_an_archive(&archive) {
        let folder = store.scratch("context").map_err(|error| chain(&error))?;
        std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
        let fetched = Fetched { folder: folder.clone(), _held: Held::Archive(folder.clone()) };
        let mut text = File::create(folder.join("Dockerfile")).map_err(|error| error.to_string())?;
        (&archive)
            .rewind()
            .and_then(|()| io::copy(&mut &archive, &mut text))
            .map_err(|error| error.to_string())?;
        return Ok(fetched);
    }
    (&archive).rewind().map_err(|error| error.to_string())?;
    let unpacked =
        store.unpack_apart(archive).map_err(|error| format!("it is no archive: {}", chain(&error)))?;
    Ok(Fetched { folder: unpacked.join("tree"), _held: Held::Archive(unpacked) })
}

/// A file as it is now, fetched unless it is known to be what it was.
fn current(
    store: &Store,
    machine: &dyn Machine,
    url: &str,
    authorization: Option<String>,
) -> Result<Download, Missed> {
    let place = store::digest_of(format!("url\0{url}").as_bytes());
    let known: Option<Known> = store.context_index(&place);
    let asked =
        known.as_ref().map(|known| Version { tag: known.tag.clone(), modified: known.modified.clone() });
    let asked = asked.filter(|version| !(version.tag.is_empty() && version.modified.is_empty()));
    let (known, here) = match (fetch(store, machine, url, asked.as_ref(), authorization.as_deref())?, known) {
        (None, Some(known)) => (known, None),
        (None, None) => return Err(Missed::of_server()),
        (Some((Version { tag, modified }, digest, here)), _) => {
            let known = Known { tag, modified, digest };
            // That it could not be kept only costs a download.
            drop(store.keep_context_index(&place, &known));
            (known, Some(here))
        }
    };
    let modified = time_of(&known.modified);
    let (url, name) = (url.to_owned(), String::new());
    Ok(Download { url, name, digest: known.digest, modified, authorization, here })
}

/// What a server is told, by the secrets `HTTP_AUTH_HEADER_HOST` or `HTTP_AUTH_TOKEN_HOST`.
///
/// # Errors
/// Why a secret that is given cannot be read.
fn authorization(spec: &BuildSpec, url: &str) -> Result<Option<String>, String> {
    let Some((_, host)) = git::scope(url) else { return Ok(None) };
    if let Some(header) = secret::read(spec, &format!("HTTP_AUTH_HEADER_{host}"))? {
        return Ok(Some(header.trim().to_owned()));
    }
    let token = secret::read(spec, &format!("HTTP_AUTH_TOKEN_{host}"))?;
    Ok(token.map(|token| format!("Bearer {}", token.trim())))
}

/// Fetches a file; `None` when it is still the version asked about.
fn fetch(
    store: &Store,
    machine: &dyn Machine,
    url: &str,
    known: Option<&Version>,
    authorization: Option<&str>,
) -> Result<Option<(Version, Digest, Here)>, Missed> {
    let path = store.scratch("download").map_err(|error| Missed::Because(chain(&error)))?;
    let here = Here(path.clone());
    let mut output = Digesting { file: None, path, hasher: Hasher::default() };
    let version = machine.fetch(url, known, authorization, &mut output).map_err(|error| {
        match error.is::<GivenUp>() {
            true => Missed::GivenUp,
            false => Missed::Because(chain(&*error)),
        }
    })?;
    let Some(version) = version else { return Ok(None) };
    output.open().map_err(Missed::because)?;
    Ok(Some((version, output.hasher.finish(), here)))
}

/// A new file that is digested as it is written.
struct Digesting {
    file: Option<File>,
    path: PathBuf,
    hasher: Hasher,
}

impl Digesting {
    fn open(&mut self) -> io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            place => Ok(place.insert(File::create_new(&self.path)?)),
        }
    }
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.open()?.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The last name in the path of an address; empty where there is none.
fn name_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let name = path.split_once('/').map_or("", |(_, path)| path).trim_end_matches('/');
    let name = name.rsplit('/').next().unwrap_or_default();
    if matches!(name, "." | "..") { String::new() } else { name.to_owned() }
}

/// The time of a `Last-Modified`.
fn time_of(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_what_its_address_ends_in() {
        assert_eq!(name_of("https://example.com/a/b.tar.gz?x=/y#z"), "b.tar.gz");
        assert_eq!(name_of("https://example.com/a/"), "a");
        assert_eq!(name_of("https://example.com"), "");
        assert_eq!(name_of("https://example.com/.."), "");
    }

    #[test]
    fn the_time_of_a_file_is_read() {
        let time = time_of("Sun, 06 Nov 1994 08:49:37 GMT").map(|time| time.as_second());
        assert_eq!(time, Some(784_111_777));
        assert_eq!(time_of("yesterday"), None);
    }
}
