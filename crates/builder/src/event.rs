//! What a build tells while it goes on.

use resource::Digest;
use std::time::Duration;

/// Something that happened in a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The step it happened to, numbered from 1 in the order in which steps begin.
    pub step: u32,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It begins.
    Begun {
        /// The build it belongs to.
        build: String,
        /// `web builder 2/5`: build, stage if it has a name, number and count.
        label: String,
        /// The instruction.
        text: String,
    },
    /// It wrote a line, or something is worth a line.
    Output(String),
    /// An earlier result was taken.
    Cached,
    /// It is done.
    Done(Duration),
    /// It failed.
    Failed(String),
    /// It was given up because something else failed.
    Cancelled,
    /// An image is ready: its id.
    Ready(Digest),
    /// A build check found something in a Dockerfile, or something that was asked for is about nothing: its place, the
    /// name of the check or of what asked, and what it says.
    Found {
        /// `Dockerfile:3:1`
        place: String,
        /// `StageNameCasing`
        check: &'static str,
        /// In words.
        message: String,
    },
}
