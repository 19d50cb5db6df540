//! One thing found wrong, as a value.

use std::borrow::Cow;

use crate::source::Span;

/// How bad it is: an error stops the work, a warning does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something is accepted but probably not what was meant.
    Warning,
    /// The input cannot be used.
    Error,
}

/// A place and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What stands beside the caret; may be empty.
    pub text: Cow<'static, str>,
}

/// One thing found wrong: what, where, what to do.
///
/// The first label is the place the caret stands under; further ones are drawn with dashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name of the kind of fault, such as `unknown-dependency`.
    pub code: &'static str,
    /// One sentence without a final full stop.
    pub message: Cow<'static, str>,
    /// The places, the main one first.
    pub labels: Vec<Label>,
    /// What is worth knowing, drawn as `= note:`.
    pub notes: Vec<Cow<'static, str>>,
    /// What to do, drawn as `= help:`.
    pub help: Vec<Cow<'static, str>>,
}

impl Diagnostic {
    /// An error of the kind `code`.
    pub fn error(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning of the kind `code`.
    pub fn warning(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    fn new(severity: Severity, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Adds a place. The first one added is the main one; [`Span::NOWHERE`] is left out.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<Cow<'static, str>>) -> Self {
        if !span.is_nowhere() {
            self.labels.push(Label { span, text: text.into() });
        }
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Adds a fact worth knowing.
    #[must_use]
    pub fn note(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The main place, or [`Span::NOWHERE`].
    pub fn span(&self) -> Span {
        self.labels.first().map_or(Span::NOWHERE, |label| label.span)
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Whether any of `diagnostics` is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}
