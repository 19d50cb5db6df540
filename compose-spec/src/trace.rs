//! What happened to values on their way into the project; kept only when it is going to be explained.

use std::collections::HashMap;

use diagnostic::{FileId, Span};

/// What merging loses.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// By the place of a value: the places of those it took the place of.
    pub(crate) overridden: HashMap<Span, Vec<Span>>,
    /// By file: the place that asked for it.
    pub(crate) asked: HashMap<FileId, Span>,
    /// A service, the stretch of what it extends, and the place that says so.
    pub(crate) extended: Vec<(String, Span, Span)>,
    /// The environment files of includes.
    pub(crate) environments: Vec<FileId>,
    /// The files of `env_file` and `label_file`.
    pub(crate) own: Vec<FileId>,
}

impl Trace {
    /// Keeps that the value at `winner` took the place of the one at `loser`.
    pub(crate) fn overrides(&mut self, winner: Span, loser: Span) {
        if winner != loser && !winner.is_nowhere() && !loser.is_nowhere() {
            let losers = self.overridden.entry(winner).or_default();
            if !losers.contains(&loser) {
                losers.push(loser);
            }
        }
    }
}
