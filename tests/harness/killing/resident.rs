//! Kills a supervisor, or an ordinary user's infra, at a chosen step of what it does while a command runs,
//! from its first one on when the command is what brings it to life. Neither the command nor a container
//! is touched.

use super::{Ending, pid_of, step_of};
use crate::World;
use crate::world::patience;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Who is killed: by the word with which its command line begins after the program's name.
#[derive(Clone, Copy, Debug)]
enum Role {
    Supervisor,
    Infra,
}

impl Role {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Supervisor => b"__supervise",
            Self::Infra => b"__infra",
        }
    }
}

/// The exit code of timeout(1) for a command that it has ended.
const ENDED: i32 = 124;

/// All that a process starts is traced as it is, and tells what it becomes.
const FOLLOWED: Options = Options::PTRACE_O_TRACEFORK
    .union(Options::PTRACE_O_TRACEVFORK)
    .union(Options::PTRACE_O_TRACECLONE)
    .union(Options::PTRACE_O_TRACEEXEC)
    .union(Options::PTRACE_O_TRACESYSGOOD);

impl World {
    /// Runs `compose` with words separated by blanks and kills the supervisor before its N-th step, from 1.
    /// The command goes on without it, and may fail.
    pub fn supervisor_killed_at(&self, line: &str, step: usize) -> Ending {
        self.resident_killed_at(Role::Supervisor, self.supervisor(), line, step)
    }

    /// The same for the infra of the user, followed to its end when the command leaves it nothing to do.
    pub fn infra_killed_at(&self, line: &str, step: usize) -> Ending {
        self.resident_killed_at(Role::Infra, self.recorded("infra.json"), line, step)
    }

    fn resident_killed_at(&self, role: Role, living: Option<i32>, line: &str, step: usize) -> Ending {
        // What a thread traces it lets go of when it ends, and it waits for nobody else's children.
        let traced = || {
            let resident = living.map(Pid::from_raw);
            let mut tracer = Tracer { world: self, role, resident, step, seen: 0, at: None, code: None };
            let code = tracer.run(line);
            (code, tracer.seen, tracer.at)
        };
        let (code, seen, at) = std::thread::scope(|scope| scope.spawn(traced).join()).unwrap();
        self.note_namespace();
        assert_ne!(code, ENDED, "`compose {line}` waits for ever; {role:?} was killed before {at:?}");
        match at {
            Some(call) => Ending::Killed(call),
            None => {
                assert_eq!(code, 0, "`compose {line}` while {role:?} was traced");
                Ending::Finished(seen)
            }
        }
    }
}

/// The watch over it while a command runs.
struct Tracer<'a> {
    world: &'a World,
    role: Role,
    /// Once it is known.
    resident: Option<Pid>,
    /// The step that it does not live to see.
    step: usize,
    /// Steps so far.
    seen: usize,
    /// The call that it was killed before.
    at: Option<String>,
    /// The command's exit code, once it has ended.
    code: Option<i32>,
}

impl Tracer<'_> {
    /// Runs the command to its end and returns its exit code.
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it")]
    fn run(&mut self, line: &str) -> i32 {
        let program = self.world.program();
        let mut command = Command::new("/bin/sh");
        // It waits until it is traced; every process that it starts is, until it is known to be another.
        // One that waits for a dead supervisor for ever is ended, and the test with it.
        let at_most = (2 * patience()).as_secs().to_string();
        command.args(["-c", "read -r go && exec timeout -k 1 \"$0\" \"$@\"", &at_most]);
        command.arg(program.get_program()).args(program.get_args()).args(line.split_whitespace());
        command.current_dir(self.world.project()).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().unwrap();
        let command = pid_of(&child);
        let (traced, options) = match self.resident {
            Some(resident) => (resident, Options::PTRACE_O_TRACESYSGOOD),
            None => (command, FOLLOWED),
        };
        ptrace::seize(traced, options).unwrap();
        ptrace::interrupt(traced).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        self.follow(command, matches!(self.role, Role::Infra) && line.starts_with("down"))
    }

    /// Follows all to the end of the command, or of both.
    fn follow(&mut self, command: Pid, both: bool) -> i32 {
        loop {
            if let Some(code) = self.code.filter(|_| !both || self.resident.is_none()) {
                return code;
            }
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let status = waitpid(None, Some(flags)).unwrap();
            let (process, signal) = match status {
                WaitStatus::Exited(process, code) if process == command => {
                    self.code = Some(code);
                    continue;
                }
                // Together with what would not end otherwise.
                WaitStatus::Signaled(process, ..) if process == command => {
                    self.code = Some(ENDED);
                    continue;
                }
                WaitStatus::Exited(process, _) | WaitStatus::Signaled(process, ..) => {
                    // Once it has ended, another that comes is not meant.
                    if self.resident == Some(process) {
                        self.resident = None;
                        self.step = usize::MAX;
                    }
                    continue;
                }
                WaitStatus::PtraceSyscall(process) => {
                    self.look(process);
                    (process, None)
                }
                WaitStatus::PtraceEvent(process, _, event) => {
                    if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 {
                        self.meet(process);
                    }
                    (process, None)
                }
                WaitStatus::Stopped(process, signal) => (process, Some(signal)),
                _ => continue,
            };
            // One that was killed meanwhile is no longer there to go on.
            let gone_on = match Some(process) == self.resident {
                true => ptrace::syscall(process, signal),
                false => ptrace::cont(process, signal),
            };
            gone_on.unwrap_or_default();
        }
    }

    /// Sees which program a process has become.
    fn meet(&mut self, process: Pid) {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        if self.resident.is_none() && line.split(|byte| *byte == 0).nth(1) == Some(self.role.word()) {
            self.resident = Some(process);
            // What it starts is not followed.
            ptrace::setoptions(process, Options::PTRACE_O_TRACESYSGOOD).unwrap();
        }
    }

    /// Counts a call that begins, if it is a step, and kills it when its time has come.
    fn look(&mut self, process: Pid) {
        let entered = ptrace::syscall_info(process).is_ok_and(|info| info.op == super::ENTRY);
        if self.at.is_some() || !entered {
            return;
        }
        let Some(call) = step_of(process, process) else { return };
        self.seen += 1;
        if self.seen == self.step {
            self.at = Some(call);
            kill(process, Signal::SIGKILL).unwrap();
        }
    }
}
