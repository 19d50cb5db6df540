//! Why a start failed, and how the child tells.

use resource::Part;
use std::io;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such program in the container, or its interpreter is missing.
    #[error("executable `{program}` not found in the container")]
    NotFound {
        /// As asked for.
        program: String,
    },
    /// The program is there but cannot be executed.
    #[error("`{program}` cannot be executed in the container")]
    NotExecutable {
        /// As asked for.
        program: String,
        /// What execve(2) said.
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory `{path}` in the container")]
    WorkingDir {
        /// As asked for.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The process is to be confined by a profile of AppArmor's that the kernel has not.
    #[error("AppArmor has no profile `{profile}` loaded")]
    NoProfile {
        /// As asked for.
        profile: String,
    },
    /// Something else that had to be done failed.
    #[error("cannot {}", format!("{step} {what}").trim_end())]
    Step {
        /// What was attempted: `mount on`, `join namespace`.
        step: &'static str,
        /// On what: a path, a name; may be empty.
        what: String,
        /// What of the specification asks for it.
        part: Option<Box<Part>>,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Another runtime could not execute the program.
    #[error("{what}")]
    Unstartable {
        /// What it said.
        what: String,
        /// 127 when the program is not there, 126 when it cannot be executed.
        exit_code: i32,
    },
    /// The specification asks for something that is not possible or not allowed.
    #[error("{what}")]
    Refused {
        /// What and why.
        what: String,
        /// What of the specification asks for it.
        part: Option<Box<Part>>,
    },
}

impl StartError {
    /// The exit code this counts as: 127, 126 or 125, as the shell and Docker have it.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } | Self::WorkingDir { .. } => 126,
            Self::Unstartable { exit_code, .. } => *exit_code,
            Self::NoProfile { .. } | Self::Step { .. } | Self::Refused { .. } => 125,
        }
    }

    /// A failure in the parent.
    pub(crate) fn step(step: &'static str, what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Step { step, what, part: None, source }
    }

    /// The same, with what of the specification asks for what failed.
    pub(crate) fn about(mut self, asking: Part) -> Self {
        if let Self::Step { part, .. } | Self::Refused { part, .. } = &mut self {
            *part = Some(Box::new(asking));
        }
        self
    }

    /// What of the specification asks for what failed.
    pub fn part(&self) -> Option<Part> {
        match self {
            Self::NotFound { .. } | Self::NotExecutable { .. } | Self::Unstartable { .. } => {
                Some(Part::Program)
            }
            Self::WorkingDir { .. } => Some(Part::WorkingDir),
            Self::NoProfile { .. } => Some(Part::Profile),
            Self::Step { part, .. } | Self::Refused { part, .. } => part.as_deref().cloned(),
        }
    }
}

macro_rules! steps {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A step of the child.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Step { $($name),* }

        /// Every step with its words.
        const STEPS: &[(Step, &str)] = &[$((Step::$name, $text)),*];
    };
}

steps! {
    Protect = "protect the new process",
    Cgroup = "enter cgroup",
    OomScore = "set the out-of-memory score to",
    Join = "join namespace",
    Unshare = "make a namespace:",
    Sysctl = "set kernel parameter",
    HostName = "set host name",
    DomainName = "set domain name",
    Propagation = "separate the mounts",
    Overlay = "mount the image",
    Layer = "open layer",
    Source = "open bind source",
    Target = "make mount target",
    Mount = "mount on",
    FileSystem = "mount a file system of type",
    Device = "make device",
    Link = "make link",
    Mask = "mask",
    ReadOnly = "make read-only:",
    Pivot = "enter the root file system",
    Terminal = "open a terminal",
    Stdio = "set standard input and output",
    Limit = "set limit",
    Descriptors = "close descriptors",
    WorkingDir = "enter folder",
    Capabilities = "set capabilities",
    User = "set the user",
    NoNewPrivileges = "forbid new privileges",
    Confine = "be confined by the AppArmor profile",
    Seccomp = "load the system call filter",
    Init = "start the program under init",
    NotFound = "find",
    NotExecutable = "execute",
}

/// Bytes of a report at most; less than a pipe takes at once.
pub(crate) const REPORT_SIZE: usize = 512;

/// What the child writes when a step fails: the step, errno and, cut if need be, the object.
#[derive(Debug)]
pub(crate) struct Report;

impl Report {
    /// Writes a report into `into` and gives its length.
    pub(crate) fn encode(step: Step, errno: i32, what: &[u8], into: &mut [u8; REPORT_SIZE]) -> usize {
        let length = what.len().min(REPORT_SIZE - 5);
        into[0] = step as u8;
        into[1..5].copy_from_slice(&errno.to_ne_bytes());
        into[5..5 + length].copy_from_slice(&what[..length]);
        5 + length
    }

    /// The error in a report; `None` for bytes that are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<StartError> {
        let (head, what) = bytes.split_at_checked(5)?;
        let (step, text) = STEPS.get(usize::from(head[0]))?;
        let source = io::Error::from_raw_os_error(i32::from_ne_bytes(head[1..5].try_into().ok()?));
        let what = String::from_utf8_lossy(what).into_owned();
        Some(match step {
            Step::NotFound => StartError::NotFound { program: what },
            Step::NotExecutable => StartError::NotExecutable { program: what, source },
            Step::WorkingDir => StartError::WorkingDir { path: what, source },
            Step::Confine if source.kind() == io::ErrorKind::NotFound => {
                StartError::NoProfile { profile: what }
            }
            _ => {
                let part = asking(*step, &what).map(Box::new);
                StartError::Step { step: text, what, part, source }
            }
        })
    }
}

/// What of the specification asks for a step on this.
fn asking(step: Step, what: &str) -> Option<Part> {
    Some(match step {
        Step::Sysctl => Part::sysctl(what.strip_prefix("/proc/sys/")?),
        Step::HostName => Part::HostName,
        Step::DomainName => Part::DomainName,
        Step::Source | Step::Target | Step::Mount => Part::Mount(what.to_owned()),
        Step::Device => Part::Device(what.to_owned()),
        Step::Limit => Part::Limit(what.to_owned()),
        Step::User => Part::User,
        Step::Confine => Part::Profile,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_back_whole_and_a_long_one_cut() {
        let mut bytes = [0; REPORT_SIZE];
        let length = Report::encode(Step::Mount, 13, b"/data", &mut bytes);
        let error = Report::decode(&bytes[..length]).unwrap();
        assert_eq!(error.to_string(), "cannot mount on /data");
        assert_eq!(Report::encode(Step::Mount, 13, &[b'x'; 4096], &mut bytes), REPORT_SIZE);
        assert!(Report::decode(&[200, 0, 0, 0, 0]).is_none());
        let confined = |errno, into: &mut [u8; REPORT_SIZE]| {
            let length = Report::encode(Step::Confine, errno, b"shop", into);
            Report::decode(&into[..length]).unwrap().to_string()
        };
        assert_eq!(confined(2, &mut bytes), "AppArmor has no profile `shop` loaded");
        assert_eq!(confined(13, &mut bytes), "cannot be confined by the AppArmor profile shop");
        assert!(Report::decode(&[0, 0]).is_none());
    }

    #[test]
    fn a_report_tells_what_asks_for_the_step() {
        let part = |step, what: &[u8]| {
            let mut bytes = [0; REPORT_SIZE];
            let length = Report::encode(step, 22, what, &mut bytes);
            Report::decode(&bytes[..length]).unwrap().part()
        };
        let sysctl = Part::sysctl("net.ipv4.ip_forward");
        assert_eq!(part(Step::Sysctl, b"/proc/sys/net/ipv4/ip_forward"), Some(sysctl));
        assert_eq!(part(Step::Limit, b"nofile"), Some(Part::Limit("nofile".to_owned())));
        assert_eq!(part(Step::WorkingDir, b"/srv"), Some(Part::WorkingDir));
        assert_eq!(part(Step::NotFound, b"httpd"), Some(Part::Program));
        assert_eq!(part(Step::Pivot, b""), None);
    }

    #[test]
    fn steps_are_numbered_as_listed() {
        for (number, (step, _)) in STEPS.iter().enumerate() {
            assert_eq!(*step as usize, number);
        }
    }
}
