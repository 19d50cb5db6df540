//! The world of an ordinary user: a user namespace in which the engine is root over the user's own ids,
//! and a router, the network namespace in which it makes networks.
//!
//! ```text
//! infra       holds both namespaces and does nothing else     RUN/infra.json  RUN/infra.lock
//! pasta       joins the router with the outside               RUN/pasta.json  RUN/pasta.log
//!             all that keep the router hold a pipe                RUN/infra.life
//! users       commands and supervisors, while they live       RUN/infra.use, locked and shared
//! ```
//!
//! [`enter`] is how a command gets in, early, with one thread; all code after it is the same for root
//! and for others. Infra waits for the use lock to be free, ends pasta and then itself, unless a
//! container lives whose supervisor was killed: it goes on until that one has ended. Any of the
//! processes may be killed: the namespaces live on through the others, and the next command finds them
//! through one of those and puts back what is missing.

mod error;
mod ids;
mod infra;
mod launch;
mod life;
mod pasta;
mod places;
mod survivors;

pub use error::UserError;
pub(crate) use infra::{ROLE, serve, succeed};

use infra::Infra;
use resource::{Mapping, PodName, Roots};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use sys::file::Lock;

/// The file in the data root that says where the run root is.
const RUN: &str = "run";

/// What a command wants in the user's world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It only looks: it enters when somebody is there, and makes nothing.
    Look,
    /// It makes or changes something.
    Work,
}

/// Who asks to enter, and from where.
pub struct Request<'a> {
    /// The folder below which the engine keeps everything, absolute; by default the user's own places.
    pub root: Option<PathBuf>,
    /// Looks a variable of the environment up.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// What for.
    pub purpose: Purpose,
}

/// The world of this user, as long as this value lives.
#[derive(Debug)]
pub struct World {
    /// Where the engine keeps things, which ids it has, and its router.
    pub roots: Roots,
    /// What the user has to know, a sentence each.
    pub warnings: Vec<String>,
    /// What this user's containers are without, each time anew: for who has some made.
    pub lacks: Vec<String>,
    /// Pods with containers that live on from a router that was lost: their supervisors wire them to the
    /// new one, and have to be called.
    pub stranded: Vec<PodName>,
    /// Keeps infra from ending.
    _use: Option<Lock>,
    /// Keeps the router from ending, and is what its path in `roots` opens.
    router: Option<OwnedFd>,
}

impl World {
    /// Whether this process is in the user's namespaces; one that only looked at nobody is not.
    pub fn is_entered(&self) -> bool {
        self.router.is_some()
    }
}

/// Enters the user's world. To be called with one thread and before anything is opened: the user
/// namespace is the process's from then on, the network namespace stays the host's.
///
/// # Errors
/// [`UserError`].
pub fn enter(request: &Request<'_>) -> Result<World, UserError> {
    let mut roots = places::roots(request)?;
    roots.run = run_in_use(&roots).unwrap_or(roots.run);
    match request.purpose {
        Purpose::Look => look(roots),
        Purpose::Work => work(roots),
    }
}

/// The run root in which this store's world lives, if it does and is another than the one that the
/// environment gives: a login's variables are not those of `su`, and one store has one world.
fn run_in_use(roots: &Roots) -> Option<PathBuf> {
    let run = PathBuf::from(std::fs::read_to_string(roots.data.join(RUN)).ok()?);
    let known = Roots { run, ..roots.clone() };
    let lives = || Infra::living(&known).is_some() || survivors::find(&known).is_some();
    (known.run != roots.run && places::check_owner(&known).is_ok() && lives()).then_some(known.run)
}

fn look(mut roots: Roots) -> Result<World, UserError> {
    places::check_owner(&roots)?;
    let entered = if roots.run.join(infra::DOCUMENT).exists() {
        let lock = share(&roots)?;
        let living = Infra::living(&roots).is_some() || survivors::find(&roots).is_some();
        living.then(|| come_in(&roots, lock)).transpose()?
    } else {
        None
    };
    entered.map_or_else(
        || {
            roots.mapping = ids::Plan::read().mapping();
            Ok(World { roots, warnings: vec![], lacks: vec![], stranded: vec![], _use: None, router: None })
        },
        Ok,
    )
}

fn work(roots: Roots) -> Result<World, UserError> {
    places::prepare(&roots)?;
    let lock = share(&roots)?;
    // An infra that ended meanwhile took away what was empty; none ends from here on.
    places::prepare(&roots)?;
    come_in(&roots, lock).inspect_err(|_| infra::withdraw(&roots))
}

/// Takes the use lock: waits while an infra is ending.
fn share(roots: &Roots) -> Result<Lock, UserError> {
    let path = roots.infra_use();
    loop {
        // An infra that ended removed the file that somebody else waited for, and maybe the folder.
        match Lock::shared(&path) {
            Ok(lock) if lock.is_at(&path) => return Ok(lock),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => places::prepare(roots)?,
            Err(error) => return Err(UserError::folder(&path)(error)),
        }
    }
}

/// Joins the namespaces, which are found or made first. An infra that is killed on the way in is the same
/// as one that was found dead: another takes its place.
fn come_in(roots: &Roots, lock: Lock) -> Result<World, UserError> {
    let mut news = News::default();
    let (mapping, router) = loop {
        let infra = match Infra::living(roots) {
            Some(infra) => infra,
            None => infra_put_back(roots, &mut news)?,
        };
        pasta::keep(roots, &infra, &mut news)?;
        if let Some(router) = join(&infra)? {
            break (infra.mapping(), router);
        }
    };
    let path = format!("/proc/{}/fd/{}", std::process::id(), router.as_raw_fd());
    let roots = Roots { mapping, router: Some(path.into()), ..roots.clone() };
    let News { warnings, lacks, stranded } = news;
    Ok(World { roots, warnings, lacks, stranded, _use: Some(lock), router: Some(router) })
}

/// What was found out on the way in.
#[derive(Default)]
struct News {
    warnings: Vec<String>,
    lacks: Vec<String>,
    stranded: Vec<PodName>,
}

fn infra_put_back(roots: &Roots, news: &mut News) -> Result<Infra, UserError> {
    let _making = making(roots)?;
    if let Some(infra) = Infra::living(roots) {
        return Ok(infra);
    }
    life::make(roots).map_err(UserError::folder(&roots.infra_life()))?;
    let Some(survivors) = survivors::find(roots) else {
        places::check_file_system(roots)?;
        let run = roots.data.join(RUN);
        sys::file::replace(&run, roots.run.as_os_str().as_encoded_bytes())
            .map_err(UserError::folder(&run))?;
        let plan = ids::Plan::read();
        news.warnings.extend(plan.warning());
        pasta::end(roots);
        return infra::start(roots, &plan);
    };
    if survivors.router.is_none() {
        // It serves a router that nobody else is in any more.
        pasta::end(roots);
        news.stranded = survivors::pods(roots);
    }
    infra::start_again(roots, &survivors)
}

/// Held while processes of the user's world are made.
fn making(roots: &Roots) -> Result<Lock, UserError> {
    let path = roots.run.join("infra.lock");
    Lock::exclusive(&path).map_err(UserError::folder(&path))
}

/// Joins the user namespace of an infra and opens its router; `None` when it has ended meanwhile.
fn join(infra: &Infra) -> Result<Option<OwnedFd>, UserError> {
    let Some(process) = infra.open() else { return Ok(None) };
    // Opened first: what is joined cannot be left.
    let path = format!("/proc/{}/ns/net", infra.process.pid);
    let joined = open_namespace(Path::new(&path)).and_then(|router| {
        rustix::thread::move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::USER)?;
        Ok(router)
    });
    match joined {
        Ok(router) => Ok(Some(router)),
        // Once a process is on its way out, the kernel has no namespaces of it.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::SRCH | Errno::NOENT)) => {
            crate::process::wait(&process);
            Ok(None)
        }
        Err(error) => Err(UserError::Join(error)),
    }
}

/// Opens a namespace by its path.
fn open_namespace(path: &Path) -> std::io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Moves this process, which has one thread, into a namespace.
fn move_into(namespace: &OwnedFd, kind: LinkNameSpaceType) -> std::io::Result<()> {
    Ok(rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind))?)
}

/// The mapping of a process's user namespace, which is the user's.
fn mapping_of(pid: i32) -> Option<Mapping> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).ok()?;
    let ids: u64 = text.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum();
    Some(if ids > 1 { Mapping::Subordinate } else { Mapping::Single })
}
