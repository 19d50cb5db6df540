//! What runs in a container: as asked for ([`ProcessSpec`]) and with nothing left open ([`Process`]).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a service asks of its process; the rest comes from the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Replaces the image's entry point; an empty list drops it.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Laid over the image's environment; a `None` removes the image's variable.
    pub environment: BTreeMap<String, Option<String>>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// `user[:group]`, names or numbers; replaces the image's.
    pub user: Option<String>,
    /// Further groups, names or numbers.
    pub groups: Vec<String>,
    /// A terminal for standard input, output and error.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin_open: bool,
    /// A process 1 of ours that reaps and passes signals on.
    pub init: bool,
}

/// A process with everything resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// `NAME=value`, in order.
    pub environment: Vec<String>,
    /// Absolute; made, owned by root, when missing.
    pub working_dir: String,
    /// User id inside the container.
    pub uid: u32,
    /// Group id inside the container.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// A terminal for standard input, output and error.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin_open: bool,
    /// A process 1 of ours that reaps and passes signals on.
    pub init: bool,
}

/// A command that is run in a container beside its own process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// `NAME=value`, laid over the container's environment; `NAME` alone takes a variable away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// `user[:group]`; the container's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Instead of the container's working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// With all capabilities and no system call filter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
}

/// A resource limit, setrlimit(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Name without `RLIMIT_`, lower-case: `nofile`.
    pub name: String,
    /// Soft limit; `u64::MAX` is no limit.
    pub soft: u64,
    /// Hard limit; `u64::MAX` is no limit.
    pub hard: u64,
}

impl Rlimit {
    /// The names that there are, getrlimit(2).
    pub const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
}
