//! Why a build failed, drawn at the line of the instruction.

use diagnostic::{Diagnostic, Sources, Span};
use std::fmt;

/// A build that failed: diagnostics with the texts they point into.
#[derive(Clone, Debug)]
pub struct BuildError {
    /// The Dockerfile.
    pub sources: Sources,
    /// What is wrong with it, or with its step.
    pub diagnostics: Vec<Diagnostic>,
}

impl BuildError {
    /// A failure that no line is to blame for.
    pub(crate) fn general(code: &'static str, message: String) -> Self {
        Self { sources: Sources::new(), diagnostics: vec![Diagnostic::error(code, message)] }
    }

    /// The failure as text for a person, in several lines.
    pub fn render(&self, colour: bool) -> String {
        diagnostic::render(&self.sources, &self.diagnostics, colour)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for BuildError {}

/// An error with all its causes: `a: b: c`.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// The failure of a step at its instruction.
pub(crate) fn at(span: Span, code: &'static str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, message.into()).at(span, "")
}
