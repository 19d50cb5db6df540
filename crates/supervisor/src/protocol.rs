//! What a command and the supervisor say to each other: one JSON value a packet, with descriptors
//! beside it where a message says so. Every request has a number; its replies carry it.

use resource::{
    Condition, ContainerId, ContainerName, ContainerState, ExitStatus, HealthStatus, Hook, Part, PortSpec,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The version of this program; both ends must be of the same.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of the messages, raised when one changes its meaning.
pub const PROTOCOL: u32 = 3;

/// A request and its number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Chosen by the client, never twice on one connection.
    pub(crate) number: u64,
    /// What is asked.
    pub(crate) request: Request,
}

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first on a connection.
    Hello {
        version: String,
        protocol: u32,
    },
    /// Three descriptors come along for [`Streams::Files`]; the last one of all is the caller's lock,
    /// if `locked`, and is kept open until the start has gone well or failed.
    Start {
        id: ContainerId,
        streams: Streams,
        locked: bool,
    },
    /// `grace` `None` is the record's.
    Stop {
        id: ContainerId,
        signal: Option<i32>,
        grace: Option<Duration>,
    },
    Kill {
        id: ContainerId,
        signal: i32,
    },
    /// The terminal's master comes back with the reply, where there is a terminal.
    Attach {
        id: ContainerId,
    },
    Pause {
        id: ContainerId,
    },
    Unpause {
        id: ContainerId,
    },
    /// Three descriptors come along for [`Streams::Files`].
    Exec {
        id: ContainerId,
        request: ExecRequest,
        streams: Streams,
    },
    Wait {
        id: ContainerId,
        condition: Condition,
    },
    Events,
    /// A wait or event stream is no longer of interest.
    Cancel {
        call: u64,
    },
    Forget {
        id: ContainerId,
    },
    Renamed {
        id: ContainerId,
    },
    /// Its ports are published by another container from now on.
    HandOver {
        from: ContainerId,
        to: ContainerId,
    },
    /// Its record has other ports or aliases.
    Updated {
        id: ContainerId,
    },
    /// The pod is being removed: without containers the supervisor ends, whoever else listens.
    Retire,
}

/// Where a process reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Streams {
    /// The log, for containers; nowhere, for exec.
    Log,
    /// Descriptors that came with the request: input, output, errors.
    Files,
    /// A new terminal, whose master comes back with the reply.
    Terminal { rows: u16, columns: u16 },
}

/// An answer and the number of its request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    pub(crate) reply: Reply,
}

/// What the supervisor answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Hello {
        version: String,
        protocol: u32,
        pid: u32,
    },
    Done,
    /// To start (with the terminal's master, if one was asked for) and wait.
    State(Box<ContainerState>),
    /// To stop.
    Exit(ExitStatus),
    /// To exec, first reply (with the terminal's master, if one was asked for).
    Executing {
        pid: i32,
    },
    /// To exec, second reply.
    Executed {
        code: i32,
    },
    /// To events, any number of times.
    Event(Box<Event>),
    Failed(Failure),
}

/// What a process in a container is started with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// `NAME=value`, laid over the container's environment; `NAME` alone takes a variable away.
    pub environment: Vec<String>,
    /// Instead of the container's working directory.
    pub working_dir: Option<String>,
    /// `user[:group]`, names or numbers, looked up in the container; its own user by default.
    pub user: Option<String>,
    /// All capabilities and no system call filter.
    pub privileged: bool,
    /// Nobody waits for its end.
    pub detach: bool,
}

impl From<&Hook> for ExecRequest {
    fn from(hook: &Hook) -> Self {
        Self {
            argv: hook.command.clone(),
            environment: hook.environment.clone(),
            working_dir: hook.working_dir.clone(),
            user: hook.user.clone(),
            privileged: hook.privileged,
            detach: false,
        }
    }
}

/// What a process is given as its standard input, output and error.
#[derive(Debug)]
pub enum Stdio {
    /// Nothing: `/dev/null`.
    Null,
    /// These, passed straight through.
    Files {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A new terminal of this size; its master is handed back.
    Terminal {
        /// Lines.
        rows: u16,
        /// Characters in a line.
        columns: u16,
    },
}

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// To which container.
    pub container: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// Its service.
    pub service: String,
    /// Its number; `None` for a one-off.
    pub number: Option<u32>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Its process was started.
    Started {
        /// By policy.
        restart: bool,
    },
    /// Its process ended.
    Died {
        /// How.
        exit: ExitStatus,
        /// It will be started again after a pause.
        restarting: bool,
        /// How long it had run.
        ran: Duration,
    },
    /// It was asked to stop and is down now.
    Stopped,
    /// A signal was sent to it by hand.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// Its health changed.
    Health(HealthStatus),
    /// Its processes were frozen.
    Paused,
    /// They run again.
    Unpaused,
    /// The kernel killed a process of it for want of memory.
    Oom,
    /// It could not be started.
    StartFailed {
        /// Why.
        message: String,
    },
    /// It was removed.
    Removed,
    /// It was made.
    Created,
    /// It has another name now.
    Renamed {
        /// The one it had.
        from: ContainerName,
    },
    /// It was stopped and started by one command.
    Restarted,
    /// A command was started in it.
    ExecStarted {
        /// Tells it from others; empty from before there was one.
        #[serde(default)]
        id: String,
        /// The command.
        argv: Vec<String>,
    },
    /// A command in it has ended.
    ExecDied {
        /// That of its start.
        #[serde(default)]
        id: String,
        /// Its exit code.
        code: i32,
    },
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What was attempted and why it failed, for a person.
    pub message: String,
    /// What a `run` of it would exit with: 127, 126 or 125.
    pub exit_code: i32,
    /// What of the container's specification asks for what failed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Box<Part>>,
}

/// A failed start or exec.
pub type StartFailure = Failure;

/// What kind of failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// A host port that the container wants is in use.
    PortTaken(Box<PortSpec>),
    /// A host port that the container wants cannot be had for another reason.
    PortRefused(Box<PortSpec>),
    /// The program does not exist in the container.
    NotFound,
    /// The program cannot be executed.
    NotExecutable,
    /// The kernel has no AppArmor profile of that name.
    NoProfile,
    /// There is no such container, or its record cannot be read.
    NoSuchContainer,
    /// The container does not run, and the request needs it to.
    NotRunning,
    /// The container is paused, and the request needs it not to be.
    Paused,
    /// A namespace of another container was asked for which does not run.
    Dependency,
    /// A network could not be set up.
    Network,
    /// The request makes no sense here.
    Refused,
    /// Anything else.
    Other,
}

impl Failure {
    /// A failure of this kind; the exit code follows from it.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let exit_code = match kind {
            FailureKind::NotFound => 127,
            FailureKind::NotExecutable => 126,
            _ => 125,
        };
        let part = match &kind {
            FailureKind::PortTaken(port) | FailureKind::PortRefused(port) => {
                Some(Box::new(Part::Port(**port)))
            }
            _ => None,
        };
        Self { kind, message: message.into(), exit_code, part }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back() {
        let call = Call {
            number: 7,
            request: Request::Stop {
                id: ContainerId("ab".into()),
                signal: None,
                grace: Some(Duration::from_millis(1500)),
            },
        };
        let text = serde_json::to_string(&call).unwrap();
        let back: Call = serde_json::from_str(&text).unwrap();
        let Request::Stop { grace, .. } = back.request else { panic!("{text}") };
        assert_eq!(grace, Some(Duration::from_millis(1500)));
        let answer = Answer { number: 1, reply: Reply::State(Box::default()) };
        let text = serde_json::to_string(&answer).unwrap();
        assert!(matches!(serde_json::from_str::<Answer>(&text).unwrap().reply, Reply::State(_)));
    }
}
