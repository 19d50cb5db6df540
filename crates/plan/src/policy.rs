//! How a plan is to be made: the verb and its flags.

use resource::{Answers, Timestamp, VolumeName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the user asked for, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What is to be done.
    pub verb: Verb,
    /// When containers of selected services are recreated.
    pub recreate: Recreate,
    /// When containers of services that are only depended on are recreated.
    pub recreate_dependencies: Recreate,
    /// Replaces every container's own time from stop signal to SIGKILL.
    pub timeout: Option<Duration>,
    /// A recreated container gets new anonymous volumes instead of its predecessor's.
    pub renew_anonymous: bool,
    /// What happens to containers of services that the project no longer has.
    pub orphans: Orphans,
    /// When the command began. What was created or started at or after it is this command's own
    /// work: it is not recreated, restarted or, having ended, started once more.
    pub since: Timestamp,
    /// When this round is planned.
    pub now: Timestamp,
    /// Consent given so far.
    pub consent: Consent,
    /// What has come of providers that were run so far, by service.
    pub provided: BTreeMap<String, Provided>,
    /// After the start, wait until every service runs, is healthy or has completed (`up --wait`).
    pub wait: bool,
}

impl Policy {
    /// The verb with every flag at its default, begun at `since`.
    pub fn new(verb: Verb, since: Timestamp) -> Self {
        Self {
            verb,
            recreate: Recreate::Diverged,
            recreate_dependencies: Recreate::Diverged,
            timeout: None,
            renew_anonymous: false,
            orphans: Orphans::Warn,
            since,
            now: since,
            consent: Consent::default(),
            provided: BTreeMap::new(),
            wait: false,
        }
    }
}

/// What is to be done. Verbs other than `Up` and `Create` act on the containers of the services
/// that `Desired` marks as selected, and on nothing else unless it says so here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Make reality match, and start everything.
    Up,
    /// Make reality match, and start nothing.
    Create,
    /// Start what exists, dependencies first.
    Start,
    /// Stop what runs, dependents first.
    Stop,
    /// Stop and start what exists, and what depends on it with `restart: true`.
    Restart {
        /// Leave those dependents alone.
        no_deps: bool,
    },
    /// Freeze what runs.
    Pause,
    /// Thaw what is frozen.
    Unpause,
    /// Send a signal to what runs, one-offs included; orphans too with [`Orphans::Remove`].
    Kill {
        /// The signal's number.
        signal: i32,
    },
    /// Remove what does not run.
    Remove {
        /// Stop what runs first.
        stop: bool,
        /// Anonymous volumes go too.
        volumes: bool,
    },
    /// Stop and remove containers, then networks.
    Down {
        /// No service was named: the pod goes as well, and containers of services that are not enabled.
        whole: bool,
        /// Named volumes that the file declares and anonymous ones go too.
        volumes: bool,
        /// Images that go too.
        images: RemoveImages,
    },
}

/// Which images `down` removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoveImages {
    /// None.
    #[default]
    None,
    /// Those built for the project.
    Local,
    /// Those of every service.
    All,
}

/// When a container is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recreate {
    /// When it is not what is wanted.
    #[default]
    Diverged,
    /// In any case.
    Force,
    /// In no case.
    Never,
}

/// What happens to containers of the project whose service is gone from the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orphans {
    /// A warning names them.
    #[default]
    Warn,
    /// Nothing.
    Ignore,
    /// They are removed.
    Remove,
}

/// What has come of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provided {
    /// It has done what it was asked to. What it answered is in what is wanted.
    Done(Answers),
    /// It has not been run; what it answered last time is taken to be what it will answer, and is in what is
    /// wanted.
    Assumed(Answers),
    /// It failed.
    Failed {
        /// Why, as a part of a sentence.
        said: String,
        /// What to do about it.
        help: Option<String>,
        /// The line to show.
        place: String,
    },
}

/// Volumes that may be removed, with their contents, and made anew because their definition changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// All of them (`--yes`).
    pub all: bool,
    /// These.
    pub volumes: BTreeSet<VolumeName>,
}

impl Consent {
    /// Whether this volume may be made anew.
    pub fn covers(&self, volume: &VolumeName) -> bool {
        self.all || self.volumes.contains(volume)
    }
}
