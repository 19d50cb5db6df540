//! What the steps over one tree share: where they tell what is wrong, and names of places.

use std::fmt;

use diagnostic::{Diagnostic, Sources, Span};

use crate::trace::Trace;

/// The surroundings of a step.
pub(crate) struct Scope<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) diagnostics: &'a mut Vec<Diagnostic>,
    /// Whether variables have been replaced; if not, texts that hold one are left as they are.
    pub(crate) interpolated: bool,
    /// What is kept to explain values with, if they are going to be.
    pub(crate) trace: Option<&'a mut Trace>,
}

impl Scope<'_> {
    /// Keeps a diagnostic.
    pub(crate) fn tell(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
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
