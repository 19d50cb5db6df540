//! What the steps over one tree share: where they tell what is wrong, and names of places.

use std::fmt;

use diagnostic::{Diagnostic, Sources, Span, has_errors};

use crate::trace::Trace;

/// Diagnostics that are told of one load. Nobody reads more, and what is no Compose file at all would have
/// a hundred thousand.
pub(crate) const MOST_TOLD: usize = 500;

/// Values that short forms and `extends` may make: enough for every port of a host.
pub(crate) const MOST_MADE: usize = 400_000;

/// Whether more is told than will be shown, and an error among it: nothing more needs to be.
pub(crate) fn is_enough(told: &[Diagnostic]) -> bool {
    told.len() > MOST_TOLD && has_errors(told)
}

/// The surroundings of a step.
pub(crate) struct Scope<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) diagnostics: &'a mut Vec<Diagnostic>,
    /// Whether variables have been replaced; if not, texts that hold one are left as they are.
    pub(crate) interpolated: bool,
    /// Values that short forms and `extends` have made so far.
    pub(crate) made: &'a mut usize,
    /// What is kept to explain values with, if they are going to be.
    pub(crate) trace: Option<&'a mut Trace>,
}

impl Scope<'_> {
    /// Keeps a diagnostic.
    pub(crate) fn tell(&mut self, diagnostic: Diagnostic) {
        if !self.is_enough() {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether nothing more needs to be told.
    pub(crate) fn is_enough(&self) -> bool {
        is_enough(self.diagnostics)
    }

    /// Takes `count` values that stand in no file from what a project may have; false if there are no more.
    pub(crate) fn make(&mut self, count: usize) -> bool {
        *self.made += count;
        *self.made <= MOST_MADE
    }

    /// Keeps that the value at `winner` takes the place of the one at `loser`.
    pub(crate) fn overrides(&mut self, winner: Span, loser: Span) {
        if let Some(trace) = &mut self.trace {
            trace.overrides(winner, loser);
        }
    }

    /// Whether `text` holds a variable that has not been replaced.
    pub(crate) fn is_open(&self, text: &str) -> bool {
        !self.interpolated && text.contains('$')
    }

    /// The place of `part` within the text at `span`, if it stands there as it is; else `span`.
    pub(crate) fn within(&self, span: Span, part: &str) -> Span {
        within(self.sources, span, part)
    }
}

/// The place of `part` within the text at `span`, if it stands there as it is; else `span`.
pub(crate) fn within(sources: &Sources, span: Span, part: &str) -> Span {
    match sources.slice(span).find(part) {
        Some(at) if !part.is_empty() => {
            let start = span.start as usize + at;
            Span::new(span.file, start, start + part.len())
        }
        _ => span,
    }
}

/// The way from the top of a tree to a node, as messages write it: `services.web.ports[0]`.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    Top,
    Key(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// The key that a node stands under, unless it is an item of a list.
    pub(crate) fn last(&self) -> Option<&'a str> {
        match self {
            Path::Key(_, key) => Some(key),
            Path::Top | Path::Item(..) => None,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Top => Ok(()),
            Path::Key(Path::Top, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
