//! The process between the supervisor and another runtime, for the time of a start: a copy of the supervisor
//! that waits in its place.
//!
//! ```text
//! own mount namespace, overlay, config.json -> RUNTIME create -> says CREATED, waits for the word
//!   -> RUNTIME start -> says STARTED, waits for the end of the conversation, ends
//! ```
//!
//! Without a word, because the supervisor has been killed, the container is deleted; the same when something
//! fails. It has one thread, as the supervisor at work had, so it may do what any program may.

use super::{Bundle, CREATED, FAILED, GIVE_UP, GO_ON, STARTED, WORD, config};
use crate::Cgroup;
use crate::child::inside::{self, Missing};
use crate::child::rootfs;
use crate::error::StartError;
use crate::launch::{Launch, Share, Stdio};
use crate::prepare::{self, Overlay, Program, refused};
use resource::{Part, SecuritySpec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File};
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::process::ExitStatus;
use std::time::Duration;
use sys::process::InChild;

/// How long one call of a runtime may take: a virtual machine boots in seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a shim is to do.
pub(super) struct Work<'a> {
    pub(super) launch: &'a Launch<'a>,
    pub(super) bundle: &'a Bundle,
    pub(super) security: &'a SecuritySpec,
    /// The conversation.
    pub(super) socket: BorrowedFd<'a>,
    /// Where the terminal's master goes.
    pub(super) console: Option<&'a OwnedFd>,
}

/// What came of a call of the runtime.
enum Call {
    Done,
    /// The supervisor wants no more of it, or is gone.
    GivenUp,
}

/// The whole life of the shim; its exit code.
pub(super) fn run(work: &Work<'_>, proof: &InChild) -> i32 {
    sys::process::reset_signals();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // The container's first process comes here when the runtime that has made it ends, and from here to the
    // supervisor.
    let _only_its_exit_code_is_lost = rustix::process::set_child_subreaper(Some(Pid::INIT));
    let locked = || work.bundle.lock().map_err(StartError::step("lock", "its bundle"));
    let (_lock, said) = match work.keep_needed(proof).and_then(|()| locked()) {
        Ok(lock) => (Some(lock), work.start()),
        Err(error) => (None, Err(error)),
    };
    match said {
        Ok(Call::Done) => 0,
        Ok(Call::GivenUp) => {
            delete(work.bundle);
            work.fail(&refused("it was stopped while it was being started"))
        }
        Err(error) => {
            delete(work.bundle);
            work.fail(&error)
        }
    }
}

/// Has the runtime end and forget a container; no error when it knows of none.
pub(super) fn delete(bundle: &Bundle) {
    let known = bundle.path("state").join(&bundle.id).exists();
    // What it says is in its log; what it leaves goes with the cgroup and the folder.
    if known && let Ok(mut child) = bundle.command("delete").args(["--force", &bundle.id]).spawn() {
        let pidfd = sys::pidfd::open(child.id() as i32);
        if !pidfd.and_then(|pidfd| sys::pidfd::wait_for_end(pidfd, PATIENCE)).unwrap_or(false) {
            drop(child.kill());
        }
        drop(child.wait());
    }
}

impl Work<'_> {
    /// Closes what belongs to the supervisor alone, which counts on being the only one to have it.
    fn keep_needed(&self, proof: &InChild) -> Result<(), StartError> {
        let launch = self.launch;
        let mut kept = vec![self.socket];
        kept.extend(self.console.map(AsFd::as_fd));
        for share in [launch.network, launch.pid, launch.ipc, launch.uts] {
            kept.extend(match share {
                Share::Join(descriptor) => Some(descriptor),
                Share::Private | Share::Host => None,
            });
        }
        if let Stdio::Files { stdin, stdout, stderr } = launch.stdio {
            kept.extend([stdin, stdout, stderr]);
        }
        sys::process::close_others(proof, 3, &kept).map_err(StartError::step("close descriptors", ""))
    }

    /// Takes the container from nothing to its program.
    fn start(&self) -> Result<Call, StartError> {
        self.check()?;
        let listener = self.lay_out()?;
        let lists = self.launch.cgroup.lists().map_err(StartError::step("open", "its cgroup"))?;
        self.hide_unified()?;
        let Call::Done = self.create(listener.as_ref())? else { return Ok(Call::GivenUp) };
        let pid = self.first_process()?;
        admit(pid, lists).map_err(StartError::step("enter the cgroup", ""))?;
        if let Some(listener) = listener {
            self.hand_terminal(&listener).map_err(StartError::step("take its terminal", ""))?;
        }
        let mut word = vec![CREATED];
        word.extend(pid.to_ne_bytes());
        self.say(&word);
        if self.hear() != Some(GO_ON) {
            return Ok(Call::GivenUp);
        }
        // From here on the container is the supervisor's, or its successor's.
        let started = self.bundle.command("start").arg(&self.bundle.id).spawn();
        self.wait_for(started, "start", false)?;
        self.say(&[STARTED]);
        while self.hear().is_some() {}
        Ok(Call::Done)
    }

    /// Refuses what the embedded runtime would refuse.
    fn check(&self) -> Result<(), StartError> {
        let process = self.launch.spec.process().as_ref();
        let process = process.ok_or_else(|| refused("the specification has no process"))?;
        let mut program = Program::of_spec(process)?;
        prepare::check_ids(&mut program, self.launch.mapping)?;
        if program.name.is_empty() {
            return Err(refused("no command specified"));
        }
        Ok(())
    }

    /// Makes the bundle: its root, its configuration and, for a terminal, the socket that this comes through.
    fn lay_out(&self) -> Result<Option<UnixListener>, StartError> {
        let bundle = self.bundle;
        // Both may have been killed at the last start.
        delete(bundle);
        let folder = || bundle.folder.display().to_string();
        bundle.remove().map_err(StartError::step("remove", folder()))?;
        DirBuilder::new().mode(0o700).create(&bundle.folder).map_err(StartError::step("make", folder()))?;
        self.mount_root()?;
        if let Some(domain) = config::domain(self.launch) {
            let named = sys::process::unshare_namespaces(sys::process::NEW_UTS)
                .and_then(|()| sys::process::set_domain_name(domain.as_bytes()));
            named.map_err(StartError::step("set domain name", domain))?;
        }
        let config = config::of(self.launch, self.security)?.to_string();
        fs::write(bundle.path("config.json"), config).map_err(StartError::step("write", "config.json"))?;
        if !matches!(self.launch.stdio, Stdio::Terminal { .. }) {
            return Ok(None);
        }
        let folder = sys::file::open_folder(&bundle.folder);
        // A socket's address holds 108 bytes at most, a path more.
        let listener = folder.and_then(|folder| {
            UnixListener::bind(format!("/proc/self/fd/{}/console.sock", folder.as_raw_fd()))
        });
        listener.map(Some).map_err(StartError::step("make a socket", ""))
    }

    /// Mounts the image where nobody else sees it. What the host mounts later comes here, too, for binds that
    /// are to follow it; what is mounted here goes nowhere.
    fn mount_root(&self) -> Result<(), StartError> {
        sys::process::unshare_namespaces(sys::process::NEW_MOUNT)
            .map_err(StartError::step("separate the mounts", ""))?;
        let all = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        rustix::mount::mount_change(c"/", all)
            .map_err(|error| StartError::step("separate the mounts", "")(error.into()))?;
        let overlay = Overlay::prepare(self.launch)?;
        let opened = rootfs::overlay(&overlay)?;
        let process = self.launch.spec.process().as_ref();
        if let Some(folder) = process.map(|process| process.cwd()) {
            let made = inside::find_or_make(opened.as_fd(), &prepare::c_path(folder)?, Missing::Folder);
            let failed = StartError::step("make folder", folder.display().to_string());
            made.map(drop).map_err(|error| failed(error.into()))?;
        }
        Ok(())
    }

    /// Beside hierarchies of v1 the unified one only tracks processes, and there are runtimes that refuse to
    /// work where both are: they see the others alone, and where it was a place to write to.
    fn hide_unified(&self) -> Result<(), StartError> {
        let Some(mount) = Cgroup::beside_v1() else { return Ok(()) };
        let (flags, data) = (MountFlags::empty(), Some(c"size=64k,mode=755"));
        let hidden = rustix::mount::mount(c"tmpfs", mount, c"tmpfs", flags, data);
        hidden.map_err(|error| StartError::step("mask", mount.display().to_string())(error.into()))
    }

    fn create(&self, listener: Option<&UnixListener>) -> Result<Call, StartError> {
        let bundle = self.bundle;
        let mut command = bundle.command("create");
        command.arg("--bundle").arg(&bundle.folder).arg("--pid-file").arg(bundle.path("pid"));
        if listener.is_some() {
            command.arg("--console-socket").arg(bundle.path("console.sock"));
        }
        if let Stdio::Files { stdin, stdout, stderr } = self.launch.stdio {
            let copy = |descriptor: BorrowedFd<'_>| {
                let copied = descriptor.try_clone_to_owned();
                copied.map_err(StartError::step("set standard input and output", ""))
            };
            command.stdin(copy(stdin)?).stdout(copy(stdout)?).stderr(copy(stderr)?);
        }
        let begun = command.arg(&bundle.id).spawn();
        // Its copies of the streams go with the command.
        drop(command);
        self.wait_for(begun, "create", true)
    }

    /// Waits for a call of the runtime. `heeds`: not longer than the supervisor wants it.
    fn wait_for(
        &self,
        begun: io::Result<std::process::Child>,
        verb: &str,
        heeds: bool,
    ) -> Result<Call, StartError> {
        let mut child = begun.map_err(|error| self.unusable(&error))?;
        let failed = |error: io::Error| StartError::step("wait for", self.program())(error);
        let pidfd = sys::pidfd::open(child.id() as i32).map_err(failed)?;
        let time = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let heard = if heeds { PollFlags::IN } else { PollFlags::empty() };
        let mut events = [PollFd::new(&pidfd, PollFlags::IN), PollFd::from_borrowed_fd(self.socket, heard)];
        let wanted = if heeds { &mut events[..] } else { &mut events[..1] };
        let ready = retry_on_intr(|| poll(wanted, Some(&time))).map_err(|error| failed(error.into()))?;
        let (ended, given_up) = (!wanted[0].revents().is_empty(), ready > 0);
        if !ended {
            drop(child.kill());
        }
        let status = child.wait().map_err(failed)?;
        match (ended, given_up) {
            (true, _) if status.success() => Ok(Call::Done),
            (true, _) => Err(self.complaint(verb, status)),
            (false, true) => Ok(Call::GivenUp),
            (false, false) => {
                let what = format!("`{verb}` took longer than {} s", PATIENCE.as_secs());
                Err(refused(format!("its runtime `{}`: {what}", self.program())).about(Part::Runtime))
            }
        }
    }

    fn program(&self) -> String {
        self.bundle.program.display().to_string()
    }

    /// The runtime could not even be executed.
    fn unusable(&self, error: &io::Error) -> StartError {
        let program = self.program();
        let help =
            "`runtime` names an executable with the command line of an OCI runtime, such as /usr/bin/crun";
        refused(format!("its runtime `{program}` cannot be executed: {error}; {help}")).about(Part::Runtime)
    }

    /// What a call that failed has said last.
    fn complaint(&self, verb: &str, status: ExitStatus) -> StartError {
        let words = fs::read_to_string(self.bundle.path("log")).ok().and_then(|log| last_words(&log));
        let words = words.unwrap_or_else(|| format!("it has said nothing, and ended with {status}"));
        complained(format!("its runtime `{}` could not {verb} it: {words}", self.program()), &words)
    }

    /// The first process of the container, as the runtime has written it down.
    fn first_process(&self) -> Result<i32, StartError> {
        let text = fs::read_to_string(self.bundle.path("pid")).unwrap_or_default();
        let none = || {
            let what = "has created nothing: it has not the command line of an OCI runtime";
            refused(format!("its runtime `{}` {what}", self.program())).about(Part::Runtime)
        };
        text.trim().parse().ok().filter(|pid| *pid > 0).ok_or_else(none)
    }

    /// Takes the master of the terminal from the runtime, gives it its size and hands it on.
    fn hand_terminal(&self, listener: &UnixListener) -> io::Result<()> {
        // It was connected before the call was over, or never.
        listener.set_nonblocking(true)?;
        let (stream, _) = listener.accept()?;
        let master = crate::launch::receive_descriptor(&stream.into())?;
        if let Stdio::Terminal { rows, columns } = self.launch.stdio
            && rows != 0
            && columns != 0
        {
            let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(&master, size)?;
        }
        let console = self.console.ok_or(io::ErrorKind::NotConnected)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [master.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        rustix::net::sendmsg(console, &[IoSlice::new(b"t")], &mut control, SendFlags::empty())?;
        Ok(())
    }

    fn say(&self, word: &[u8]) {
        let _gone = rustix::net::send(self.socket, word, SendFlags::NOSIGNAL);
    }

    /// The next word; `None` at the end of the conversation.
    fn hear(&self) -> Option<&'static [u8]> {
        let mut byte = [0];
        let heard = retry_on_intr(|| rustix::net::recv(self.socket, &mut byte[..], RecvFlags::empty()));
        match heard {
            Ok((1.., _)) if byte == *GO_ON => Some(GO_ON),
            Ok((1.., _)) => Some(GIVE_UP),
            _ => None,
        }
    }

    /// Says why it failed.
    fn fail(&self, error: &StartError) -> i32 {
        self.say(&Told::of(error).word());
        while self.hear().is_some() {}
        125
    }
}

/// Sees to it that a process is in every list: its runtime may know fewer hierarchies.
fn admit(pid: i32, lists: Vec<File>) -> io::Result<()> {
    let own = pid.to_string();
    for mut list in lists {
        let mut text = String::new();
        list.read_to_string(&mut text)?;
        if !text.lines().any(|line| line == own) {
            list.write_all(own.as_bytes())?;
        }
    }
    Ok(())
}

/// A failure on its way from the shim.
#[derive(Serialize, Deserialize)]
struct Told {
    what: String,
    exit_code: i32,
    part: Option<Part>,
}

impl Told {
    fn of(error: &StartError) -> Self {
        let mut what = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            what = format!("{what}: {error}");
            cause = error.source();
        }
        Self { what, exit_code: error.exit_code(), part: error.part() }
    }

    /// A word that holds it, with as much of the text as there is room for.
    fn word(mut self) -> Vec<u8> {
        loop {
            let mut word = vec![FAILED];
            word.extend(serde_json::to_vec(&self).unwrap_or_default());
            if word.len() <= WORD || self.what.is_empty() {
                return word;
            }
            let half = self.what.floor_char_boundary(self.what.len() / 2);
            self.what.truncate(half);
        }
    }
}

/// The failure in what a shim has said.
pub(super) fn failure(words: &[u8]) -> StartError {
    match serde_json::from_slice(words) {
        Ok(Told { what, exit_code: exit_code @ (126 | 127), .. }) => {
            StartError::Unstartable { what, exit_code }
        }
        Ok(Told { what, part, .. }) => StartError::Refused { what, part: part.map(Box::new) },
        Err(_) => refused("the process that drives its runtime has said nonsense").about(Part::Runtime),
    }
}

/// What a runtime's complaint counts as. It tells of a program that is not there in words only, and these are what
/// runtimes have in common.
fn complained(what: String, words: &str) -> StartError {
    let lower = words.to_ascii_lowercase();
    let executing = ["exec", "open executable"].iter().any(|word| lower.contains(word));
    match executing {
        true if lower.contains("not found") || lower.contains("no such file") => {
            StartError::Unstartable { what, exit_code: 127 }
        }
        true if lower.contains("permission denied") => StartError::Unstartable { what, exit_code: 126 },
        _ => refused(what).about(Part::Runtime),
    }
}

/// The last error in a runtime's log: a line of JSON with a message, or whatever stands there.
fn last_words(log: &str) -> Option<String> {
    let line = |line: &str| {
        let read = serde_json::from_str::<serde_json::Value>(line).ok();
        let Some(entry) = read else { return Some((true, line.trim().to_owned())) };
        let grave = entry["level"].as_str().is_none_or(|level| matches!(level, "error" | "fatal" | "panic"));
        Some((grave, entry["msg"].as_str()?.trim().to_owned()))
    };
    let lines: Vec<_> = log.lines().filter(|text| !text.trim().is_empty()).filter_map(line).collect();
    lines.iter().rev().find(|(grave, _)| *grave).or(lines.last()).map(|(_, text)| text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_in_a_log_is_what_is_told() {
        let log = r#"{"level":"warning","msg":"cgroup v1"}
            {"level":"error","msg":"no such device"}
            {"level":"info","msg":"bye"}"#;
        assert_eq!(last_words(log).as_deref(), Some("no such device"));
        assert_eq!(last_words("a plain complaint\n\n").as_deref(), Some("a plain complaint"));
        assert_eq!(last_words(r#"{"level":"warning","msg":"only this"}"#).as_deref(), Some("only this"));
        assert_eq!(last_words("\n"), None);
    }

    #[test]
    fn a_program_that_is_missing_has_the_shells_exit_code() {
        let told = |words: &str| {
            let word = Told::of(&complained(format!("it could not: {words}"), words)).word();
            let failure = failure(&word[1..]);
            (failure.exit_code(), failure.part())
        };
        let missing = told("executable file `x` not found in $PATH: No such file or directory");
        assert_eq!(missing, (127, Some(Part::Program)));
        assert_eq!(told("exec: \"/etc\": permission denied"), (126, Some(Part::Program)));
        assert_eq!(told("mount `/a`: No such file or directory"), (125, Some(Part::Runtime)));
    }

    #[test]
    fn a_failure_of_many_words_is_cut_to_a_word() {
        let failed = refused("é".repeat(3 * WORD)).about(Part::User);
        let word = Told::of(&failed).word();
        assert!(word.len() <= WORD);
        let read = failure(&word[1..]);
        assert_eq!(read.part(), Some(Part::User));
        assert!(read.to_string().starts_with("éé"), "{read}");
    }
}
