//! A container as the dashboard lists it.

/// How something is, for its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It runs, and is well as far as anybody looks.
    Well,
    /// It is on its way to be well.
    Between,
    /// It is unhealthy or has failed.
    Ill,
    /// It does not run, and nothing is wrong with that.
    #[default]
    Down,
}

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Percent of one processor, since it was looked at before.
    pub processor: f64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes received and sent since its start; `None` where its network is another's.
    pub traffic: Option<(u64, u64)>,
}

impl Usage {
    /// The sum of several.
    pub(crate) fn sum(of: impl Iterator<Item = Self>) -> Option<Self> {
        of.reduce(|sum, next| Self {
            processor: sum.processor + next.processor,
            memory: sum.memory + next.memory,
            traffic: match (sum.traffic, next.traffic) {
                (Some(one), Some(other)) => Some((one.0 + other.0, one.1 + other.1)),
                (one, other) => one.or(other),
            },
        })
    }
}

/// A container, or a service that has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The name shown: `web-1`; of a service without a container its own.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Number of the replica; `None` when there is no container.
    pub number: Option<u32>,
    /// What it is doing, in words: `Up 2 minutes`, `Exited (1) 5 minutes ago`.
    pub state: String,
    /// It runs, so that something can be executed in it.
    pub running: bool,
    /// `healthy`, `starting`, `unhealthy`, or nothing.
    pub health: String,
    /// Restarts by policy.
    pub restarts: u32,
    /// Ports that are published.
    pub ports: String,
    /// How it is.
    pub mood: Mood,
    /// Why it is not well; empty when it is.
    pub why: String,
    /// What it uses; `None` when it does not run or nothing is counted.
    pub usage: Option<Usage>,
}
