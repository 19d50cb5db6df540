//! Infra: the process that holds a user's namespaces and does nothing else.
//!
//! It is this program again under a hidden role. With whoever starts it, it speaks in lines over its
//! standard input:
//! ```text
//! infra                                                maker
//! made | refused ERRNO     its user namespace   →
//!                                               ←      mapped MAPPING
//! ready | failed TEXT      router, document     →
//! ```
//! Its standard output is its end of the pipe that pasta is tied to, which stays open when it executes
//! its program again.

use super::ids::Plan;
use super::survivors::{self, Survivors};
use super::{UserError, error, life, making, mapping_of, move_into, open_namespace, pasta};
use crate::disk;
use crate::process::{self, lives};
use resource::{Mapping, ProcessIdentity, Roots};
use rustix::thread::LinkNameSpaceType;
use serde::{Deserialize, Serialize};
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use sys::file::Lock;
use sys::sleep::Until;

/// The hidden first argument. It is followed by the data root, the run root, and paths that open the
/// user namespace and the router to join; an empty one is made, and `-` is where it is already.
pub(crate) const ROLE: &str = "__infra";

/// Its name among processes.
const NAME: &str = "compose-infra";

/// Stands for a namespace that the process is in already.
const INSIDE: &str = "-";

/// Name of its document in the run root.
pub(super) const DOCUMENT: &str = "infra.json";

/// What is written down of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Infra {
    pub(super) process: ProcessIdentity,
    /// The word for the mapping of its user namespace.
    mapping: String,
}

impl Infra {
    /// The one that lives.
    pub(super) fn living(roots: &Roots) -> Option<Self> {
        disk::read::<Self>(&roots.run.join(DOCUMENT)).filter(|infra| lives(infra.process))
    }

    pub(super) fn mapping(&self) -> Mapping {
        Mapping::parse(&self.mapping).unwrap_or(Mapping::Single)
    }

    /// A descriptor of it; `None` when it has ended.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        process::open(self.process)
    }
}

/// Starts one that makes both namespaces.
pub(super) fn start(roots: &Roots, plan: &Plan) -> Result<Infra, UserError> {
    let (mut infra, pid) = Conversation::begin(roots, Path::new(""), Path::new(""))?;
    infra.hear("made")?;
    plan.carry_out(pid)?;
    infra.finish(roots, plan.mapping())
}

/// Starts one that joins what lives on.
pub(super) fn start_again(roots: &Roots, survivors: &Survivors) -> Result<Infra, UserError> {
    let path = |namespace: &OwnedFd| {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd()))
    };
    let router = survivors.router.as_ref().map(path).unwrap_or_default();
    let (mut infra, pid) = Conversation::begin(roots, &path(&survivors.user), &router)?;
    infra.hear("made")?;
    let mapping = i32::try_from(pid).ok().and_then(mapping_of).ok_or(UserError::Ended)?;
    infra.finish(roots, mapping)
}

/// The maker's end of the conversation.
struct Conversation {
    reader: BufReader<UnixStream>,
}

impl Conversation {
    fn begin(roots: &Roots, user: &Path, router: &Path) -> Result<(Self, u32), UserError> {
        let failed = |error: io::Error| UserError::Infra(error.to_string());
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let child = Command::new("/proc/self/exe")
            .arg0(NAME)
            .arg(ROLE)
            .args([&roots.data, &roots.run].map(|path| path.as_os_str()))
            .args([user, router].map(Path::as_os_str))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(life::keep(roots).map_err(failed)?)
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        Ok((Self { reader: BufReader::new(ours) }, child.id()))
    }

    /// Waits for this word; a refusal is explained.
    fn hear(&mut self, expected: &str) -> Result<(), UserError> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line);
        read.map_err(|error| UserError::Infra(error.to_string()))?;
        let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        match (word, rest.parse()) {
            _ if word == expected => Ok(()),
            ("refused", Ok(errno)) => {
                Err(UserError::refused(io::Error::from_raw_os_error(errno), error::setting))
            }
            ("failed", _) => Err(UserError::Infra(rest.to_owned())),
            _ => Err(UserError::Infra("it ended without a word".to_owned())),
        }
    }

    fn finish(mut self, roots: &Roots, mapping: Mapping) -> Result<Infra, UserError> {
        let told = writeln!(self.reader.get_mut(), "mapped {}", mapping.as_str());
        told.map_err(|error| UserError::Infra(error.to_string()))?;
        self.hear("ready")?;
        Infra::living(roots).ok_or(UserError::Ended)
    }
}

/// Plays the role; the program's `main` calls it first of all, with one thread.
pub(crate) fn serve(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    sys::pidfd::close_inherited(3);
    let _unnamed = rustix::thread::set_name(c"compose-infra");
    // Fails for the leader of a process group, who has nobody to be left alone by.
    let _leader = rustix::process::setsid();
    let arguments: Vec<_> = arguments.collect();
    let [data, run, user, router] = &arguments[..] else {
        eprintln!("this role is played for a user's namespaces, not by hand");
        return ExitCode::from(2);
    };
    let roots = Roots::at(data.into(), run.into(), String::new());
    let inside = user == INSIDE && router == INSIDE;
    let stands = if inside { take_over(&roots) } else { stand_up(&roots, user, router).map(|()| true) };
    if let Ok(false) = stands {
        return ExitCode::SUCCESS;
    }
    if stands.is_ok() {
        // Returns only when that fails; then the namespaces are the users' alone.
        drop(rest(&roots));
    }
    ExitCode::FAILURE
}

/// What a supervisor does last of all: when infra was killed and nobody uses the namespaces any more, it
/// becomes infra itself, which ends pasta or waits for containers of other pods. Others who use them will
/// see to it when they go.
pub(crate) fn succeed(roots: &Roots) {
    let path = roots.infra_use();
    if Infra::living(roots).is_some() || !matches!(Lock::try_exclusive(&path), Ok(Some(_))) {
        return;
    }
    // Returns only when that fails; then the next command finds what is left.
    let Ok(life) = life::keep(roots) else { return };
    let _failed = Command::new("/proc/self/exe")
        .arg0(NAME)
        .arg(ROLE)
        .args([&roots.data, &roots.run])
        .args([INSIDE, INSIDE])
        .env_clear()
        .stdout(life)
        .stderr(Stdio::null())
        .exec();
}

/// Makes this process, which is in both namespaces, the infra; false when there is another.
fn take_over(roots: &Roots) -> io::Result<bool> {
    let own = std::process::id().cast_signed();
    let is_own = |infra: Infra| infra.process.pid == own;
    if Infra::living(roots).is_some_and(is_own) {
        return Ok(true);
    }
    let _making = making(roots).map_err(io::Error::other)?;
    if Infra::living(roots).is_some() {
        return Ok(false);
    }
    let mapping = mapping_of(own).ok_or(io::ErrorKind::NotFound)?;
    write_document(roots, mapping).map(|()| true)
}

/// Gets into the namespaces and writes the document.
fn stand_up(roots: &Roots, user: &OsStr, router: &OsStr) -> io::Result<()> {
    let input = rustix::stdio::stdin();
    let mut maker = BufReader::new(UnixStream::from(rustix::io::fcntl_dupfd_cloexec(input, 3)?));
    // Open now: the way to them is through a process of other ids than those one has in there.
    let router = if router.is_empty() { None } else { Some(open_namespace(Path::new(router))?) };
    let user = if user.is_empty() { None } else { Some(open_namespace(Path::new(user))?) };
    let entered = match user {
        None => sys::process::unshare_namespaces(sys::process::NEW_USER),
        Some(user) => move_into(&user, LinkNameSpaceType::User),
    };
    if let Err(error) = entered {
        writeln!(maker.get_mut(), "refused {}", error.raw_os_error().unwrap_or(0))?;
        return Err(error);
    }
    writeln!(maker.get_mut(), "made")?;
    let mut line = String::new();
    maker.read_line(&mut line)?;
    let mapping = line.trim_end().strip_prefix("mapped ").and_then(Mapping::parse);
    let mapping = mapping.ok_or(io::ErrorKind::UnexpectedEof)?;
    let ready = take_router(router).and_then(|()| write_document(roots, mapping));
    match &ready {
        Ok(()) => writeln!(maker.get_mut(), "ready")?,
        Err(error) => match error.raw_os_error() {
            Some(errno @ (1 | 13)) => writeln!(maker.get_mut(), "refused {errno}")?,
            _ => writeln!(maker.get_mut(), "failed {error}")?,
        },
    }
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    ready
}

/// Enters the router, made when there is none.
fn take_router(router: Option<OwnedFd>) -> io::Result<()> {
    match router {
        Some(router) => move_into(&router, LinkNameSpaceType::Network),
        None => network::enter_new_namespace().map_err(|error| match error.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::other(error.to_string()),
        }),
    }
}

fn write_document(roots: &Roots, mapping: Mapping) -> io::Result<()> {
    let process = process::identity(rustix::process::getpid().as_raw_nonzero().get());
    let process = process.ok_or(io::ErrorKind::NotFound)?;
    let infra = Infra { process, mapping: mapping.as_str().to_owned() };
    disk::replace(&roots.run.join(DOCUMENT), &infra).map_err(io::Error::other)
}

/// Holds the namespaces until nobody uses them. Whenever that may be it starts afresh, so that it has no
/// memory to speak of while it waits.
fn rest(roots: &Roots) -> io::Error {
    let path = roots.infra_use();
    let wait = || -> io::Result<io::Error> {
        let words = [roots.data.as_os_str(), roots.run.as_os_str(), OsStr::new(INSIDE), OsStr::new(INSIDE)];
        let text = |word: &OsStr| CString::new(word.as_encoded_bytes()).map_err(io::Error::from);
        let mut again = vec![text(OsStr::new(NAME))?, text(OsStr::new(ROLE))?];
        for word in words {
            again.push(text(word)?);
        }
        let again: Vec<_> = again.iter().map(CString::as_c_str).collect();
        let Some(lock) = Lock::try_exclusive(&path)? else {
            return Ok(sys::sleep::sleep(Until::Unlocked(File::open(&path)?.as_fd()), &again));
        };
        let own =
            Infra::living(roots).is_some_and(|infra| infra.process.pid.cast_unsigned() == std::process::id());
        if !own {
            // The folder was cleared away, and who came since has others.
            return Err(io::ErrorKind::NotFound.into());
        }
        // A container whose supervisor was killed has nobody who holds the lock.
        let Some(container) = survivors::containers(roots).find_map(process::open) else {
            leave(roots);
            std::process::exit(0);
        };
        drop(lock);
        Ok(sys::sleep::sleep(Until::Ended(container.as_fd()), &again))
    };
    wait().unwrap_or_else(|error| error)
}

/// Removes what a command has written that could not get in, unless somebody else is in or coming.
pub(super) fn withdraw(roots: &Roots) {
    let path = roots.infra_use();
    let Ok(Some(_lock)) = Lock::try_exclusive(&path) else { return };
    if Infra::living(roots).is_none() && survivors::find(roots).is_none() {
        leave(roots);
    }
}

/// Ends pasta and removes what was written, with the use lock held.
fn leave(roots: &Roots) {
    pasta::end(roots);
    // Nobody else is here who could hold one of the locks.
    let names = disk::entries(&roots.run).unwrap_or_default();
    for name in names.iter().filter(|name| *name == DOCUMENT || name.ends_with(".lock")) {
        drop(disk::remove_file(&roots.run.join(name)));
    }
    for name in names {
        // What is kept of containers that rest stays.
        drop(std::fs::remove_dir(roots.run.join(name)));
    }
    // Of a command that refused its input nothing is there but the word where the run root is.
    if disk::entries(&roots.data).is_ok_and(|names| names.iter().all(|name| *name == super::RUN)) {
        drop(disk::remove_file(&roots.data.join(super::RUN)));
        drop(std::fs::remove_dir(&roots.data));
    }
    drop(disk::remove_file(&roots.infra_life()));
    // Last: whoever waits for it looks whether it is still there.
    drop(disk::remove_file(&roots.infra_use()));
    drop(std::fs::remove_dir(&roots.run));
}
