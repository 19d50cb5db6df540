//! Kills a command at a chosen step: right before the N-th system call by which it would change
//! something outside of itself. Between two such calls nothing that lasts changes, so killing before
//! each of them is killing everywhere. The calls of all its threads are counted; its children are not
//! followed: what it starts lives on.

mod resident;

use crate::World;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// How a command came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was killed before this call.
    Killed(String),
    /// It has succeeded, after so many steps.
    Finished(usize),
}

/// The number of steps at which a command is killed in a test run: `COMPOSE_TEST_KILLS`, a number or
/// `all`; few unless it is set.
const FEW: usize = 5;

/// Which of so many steps are tried: the first, the last, and others evenly between.
pub fn kill_points(steps: usize) -> Vec<usize> {
    let wanted = match std::env::var("COMPOSE_TEST_KILLS") {
        Ok(text) if text == "all" => steps,
        Ok(text) => text.parse().expect("COMPOSE_TEST_KILLS"),
        Err(_) => FEW,
    };
    let count = wanted.clamp(2, steps.max(2));
    (0..count).map(|index| 1 + index * (steps.max(1) - 1) / (count - 1)).collect()
}

impl World {
    /// Runs `compose` with words separated by blanks and kills it before its N-th step, from 1.
    pub fn killed_at(&self, line: &str, step: usize) -> Ending {
        let mut program = self.program();
        program.args(line.split_whitespace());
        self.finished_or_killed(&program, step)
    }

    /// The same with what [`World::program`] began.
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it")]
    pub fn finished_or_killed(&self, program: &Command, step: usize) -> Ending {
        let mut said = tempfile::tempfile().unwrap();
        let mut command = Command::new("/bin/sh");
        // It waits until it is traced; the process stays the same through every `exec`.
        command.args(["-c", "read -r go && exec \"$0\" \"$@\""]).arg(program.get_program());
        command.args(program.get_args()).current_dir(self.project());
        command.env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said.try_clone().unwrap());
        let mut child = command.process_group(0).spawn().unwrap();
        let mut tracer = Tracer { process: pid_of(&child), step, seen: 0, alike: HashMap::new(), at: None };
        tracer.seize();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let code = tracer.run();
        self.note_namespace();
        match tracer.at {
            Some(call) => Ending::Killed(call),
            None => {
                said.rewind().unwrap();
                let mut text = String::new();
                said.read_to_string(&mut text).unwrap();
                let line: Vec<_> = program.get_args().collect();
                assert_eq!(code, Some(0), "{line:?} under the tracer:\n{text}");
                Ending::Finished(tracer.seen)
            }
        }
    }
}

fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// The watch over one process.
struct Tracer {
    process: Pid,
    /// The step that it does not live to see.
    step: usize,
    /// Steps so far.
    seen: usize,
    /// Calls by which entries of layers are made, by name.
    alike: HashMap<String, usize>,
    /// The call that it was killed before.
    at: Option<String>,
}

impl Tracer {
    fn seize(&self) {
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(self.process, options).unwrap();
        ptrace::interrupt(self.process).unwrap();
    }

    /// Follows the process to its end; its exit code, unless it was killed.
    fn run(&mut self) -> Option<i32> {
        // Only this thread's: other tests have children, too.
        let (group, flags) =
            (Pid::from_raw(-self.process.as_raw()), WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD);
        let mut code = None;
        while let Ok(status) = waitpid(group, Some(flags)) {
            let (thread, signal) = match status {
                WaitStatus::PtraceSyscall(thread) => {
                    self.look(thread);
                    (thread, None)
                }
                WaitStatus::PtraceEvent(thread, ..) => (thread, None),
                WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
                WaitStatus::Exited(thread, ended) => {
                    code = (thread == self.process).then_some(ended).or(code);
                    continue;
                }
                _ => continue,
            };
            // A thread that was killed meanwhile is no longer there to go on.
            ptrace::syscall(thread, signal).unwrap_or_default();
        }
        code
    }

    /// Counts a call that begins, if it is a step, and kills the process when its time has come.
    fn look(&mut self, thread: Pid) {
        let entered = ptrace::syscall_info(thread).is_ok_and(|info| info.op == ENTRY);
        if self.at.is_some() || !entered || !self.is_compose() {
            return;
        }
        let Some(call) = step_of(self.process, thread) else { return };
        if let Some((name, _)) = call.split_once(' ').filter(|(_, path)| is_in_a_layer(path)) {
            let alike = self.alike.entry(name.to_owned()).or_default();
            *alike += 1;
            if *alike > ALIKE {
                return;
            }
        }
        self.seen += 1;
        if self.seen == self.step {
            self.at = Some(call);
            // A call at whose entry the process is killed is not executed.
            kill(self.process, Signal::SIGKILL).unwrap();
        }
    }

    /// Whether the launchers have given way to the program.
    fn is_compose(&self) -> bool {
        let program = std::fs::read_link(format!("/proc/{}/exe", self.process));
        program.is_ok_and(|path| path.file_name().is_some_and(|name| name == "compose"))
    }
}

/// So many calls of a kind count as steps that make an entry of a layer: hundreds are alike.
const ALIKE: usize = 12;

/// Whether the paths of a call are those of an entry of a layer: not absolute.
fn is_in_a_layer(paths: &str) -> bool {
    !paths.is_empty() && !paths.contains('/')
}

/// `PTRACE_SYSCALL_INFO_ENTRY`.
const ENTRY: u8 = 1;

/// The call that a thread is about to make, if it changes something that others see.
fn step_of(process: Pid, thread: Pid) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let arguments: Vec<u64> =
        words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0)).collect();
    let (_, name) = CALLS.iter().find(|(known, _)| *known == number)?;
    let writes = |flags: u64| flags & (libc::O_CREAT | libc::O_WRONLY | libc::O_RDWR) as u64 != 0;
    let memory = |address: u64| {
        let mut word = [0; 8];
        let file = std::fs::File::open(format!("/proc/{process}/mem")).ok()?;
        file.read_exact_at(&mut word, address).ok()?;
        Some(u64::from_ne_bytes(word))
    };
    let is_step = match *name {
        "openat" => writes(arguments[2]),
        "openat2" => writes(memory(arguments[2])?),
        "clone" => arguments[0] & libc::CLONE_THREAD as u64 == 0,
        "clone3" => memory(arguments[0])? & libc::CLONE_THREAD as u64 == 0,
        _ => true,
    };
    let path = |argument: usize| string_at(process, *arguments.get(argument)?);
    let paths: Vec<String> = (0..4).filter_map(path).collect();
    is_step.then(|| format!("{name} {}", paths.join(" ")))
}

/// A path in the memory of the process.
fn string_at(process: Pid, address: u64) -> Option<String> {
    let file = std::fs::File::open(format!("/proc/{process}/mem")).ok()?;
    let mut bytes = [0; 256];
    let count = file.read_at(&mut bytes, address).ok()?;
    let text = bytes[..count].split(|byte| *byte == 0).next()?;
    let text = std::str::from_utf8(text).ok()?;
    (text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

/// Calls that change something outside of the process, or are about to.
const CALLS: &[(i64, &str)] = &[
    (libc::SYS_openat, "openat"),
    (libc::SYS_openat2, "openat2"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_mknodat, "mknodat"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_symlinkat, "symlinkat"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_fchmodat, "fchmodat"),
    (libc::SYS_fchown, "fchown"),
    (libc::SYS_fchownat, "fchownat"),
    (libc::SYS_setxattr, "setxattr"),
    (libc::SYS_lsetxattr, "lsetxattr"),
    (libc::SYS_fsetxattr, "fsetxattr"),
    (libc::SYS_mount, "mount"),
    (libc::SYS_umount2, "umount2"),
    (libc::SYS_move_mount, "move_mount"),
    (libc::SYS_fsmount, "fsmount"),
    (libc::SYS_mount_setattr, "mount_setattr"),
    (libc::SYS_setns, "setns"),
    (libc::SYS_unshare, "unshare"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_sendmmsg, "sendmmsg"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_bind, "bind"),
    (libc::SYS_kill, "kill"),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_copy_file_range, "copy_file_range"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, "mknod"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, "link"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_symlink, "symlink"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, "chmod"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chown, "chown"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lchown, "lchown"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_vfork, "vfork"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_fork, "fork"),
];
