//! Kills the supervisor at a chosen step of what it does for a command, from its first one on when the
//! command is what brings it to life. Neither the command nor a container is touched.

use super::{Ending, pid_of, step_of};
use crate::World;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The word by which a supervisor's command line begins after the program's name.
const ROLE: &[u8] = b"__supervise";

/// Seconds after which a command that waits for a dead supervisor is ended, and the test with it.
const AT_MOST: &str = "60";

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
        let supervisor = self.supervisor().map(Pid::from_raw);
        // What a thread traces it lets go of when it ends, and it waits for nobody else's children.
        let traced = || {
            let mut tracer = Tracer { world: self, supervisor, step, seen: 0, at: None };
            let code = tracer.run(line);
            (code, tracer.seen, tracer.at)
        };
        let (code, seen, at) = std::thread::scope(|scope| scope.spawn(traced).join()).unwrap();
        self.note_namespace();
        assert_ne!(code, 124, "`compose {line}` waits for ever; the supervisor was killed before {at:?}");
        match at {
            Some(call) => Ending::Killed(call),
            None => {
                assert_eq!(code, 0, "`compose {line}` while its supervisor was traced");
                Ending::Finished(seen)
            }
        }
    }
}

/// The watch over the supervisor while a command runs.
struct Tracer<'a> {
    world: &'a World,
    /// Once it is known.
    supervisor: Option<Pid>,
    /// The step that it does not live to see.
    step: usize,
    /// Steps so far.
    seen: usize,
    /// The call that it was killed before.
    at: Option<String>,
}

impl Tracer<'_> {
    /// Runs the command to its end and returns its exit code.
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it")]
    fn run(&mut self, line: &str) -> i32 {
        let program = self.world.program();
        let mut command = Command::new("/bin/sh");
        // It waits until it is traced; every process that it starts is, until it is known to be another.
        command.args(["-c", "read -r go && exec timeout -k 1 \"$0\" \"$@\"", AT_MOST]);
        command.arg(program.get_program()).args(program.get_args()).args(line.split_whitespace());
        command.current_dir(self.world.project()).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().unwrap();
        let command = pid_of(&child);
        let (traced, options) = match self.supervisor {
            Some(supervisor) => (supervisor, Options::PTRACE_O_TRACESYSGOOD),
            None => (command, FOLLOWED),
        };
        ptrace::seize(traced, options).unwrap();
        ptrace::interrupt(traced).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        self.follow(command)
    }

    fn follow(&mut self, command: Pid) -> i32 {
        loop {
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let status = waitpid(None, Some(flags)).unwrap();
            let (process, signal) = match status {
                WaitStatus::Exited(process, code) if process == command => return code,
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
            let gone_on = match Some(process) == self.supervisor {
                true => ptrace::syscall(process, signal),
                false => ptrace::cont(process, signal),
            };
            gone_on.unwrap_or_default();
        }
    }

    /// Sees which program a process has become.
    fn meet(&mut self, process: Pid) {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        if self.supervisor.is_none() && line.split(|byte| *byte == 0).nth(1) == Some(ROLE) {
            self.supervisor = Some(process);
            // Its containers are not followed.
            ptrace::setoptions(process, Options::PTRACE_O_TRACESYSGOOD).unwrap();
        }
    }

    /// Counts a call that begins, if it is a step, and kills the supervisor when its time has come.
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
