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
    /// The builds that failed; none where it was nothing of one of them.
    pub builds: Vec<String>,
}

impl BuildError {
    /// A failure that no line is to blame for.
    pub(crate) fn general(code: &'static str, message: String) -> Self {
        let diagnostics = vec![Diagnostic::error(code, message)];
        Self { sources: Sources::new(), diagnostics, builds: vec![] }
    }

    /// Several failures as one, each told once. Their texts are of one register, of which each knows all or the
    /// beginning.
    pub(crate) fn all(failures: Vec<Self>) -> Result<(), Self> {
        if failures.is_empty() {
            return Ok(());
        }
        let known = failures.iter().map(|failure| &failure.sources);
        let sources = known.max_by_key(|sources| sources.count()).cloned().unwrap_or_default();
        let (mut diagnostics, mut builds) = (Vec::<Diagnostic>::new(), vec![]);
        for failure in failures {
            for found in failure.diagnostics {
                let is_same = |told: &Diagnostic| {
                    (told.code, &told.message) == (found.code, &found.message)
                        && sources.place(told.span()) == sources.place(found.span())
                };
                if !diagnostics.iter().any(is_same) {
                    diagnostics.push(found);
                }
            }
            builds.extend(failure.builds);
        }
        Err(Self { sources, diagnostics, builds })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_failures_are_told_and_each_once() {
        let mut sources = Sources::new();
        let mut failed = |build: &str, code: i32| {
            let file = sources.add(format!("{build}.Dockerfile"), "RUN false\n");
            let message = format!("`RUN false` ended with exit code {code}");
            let diagnostic =
                at(Span::new(file, 0, 3), "step-failed", message).note("its last output was:\nno");
            BuildError {
                sources: sources.clone(),
                diagnostics: vec![diagnostic],
                builds: vec![build.to_owned()],
            }
        };
        let (one, two) = (failed("one", 3), failed("two", 4));
        let again = BuildError { builds: vec!["three".to_owned()], ..one.clone() };
        let all = BuildError::all(vec![one, two, again]).unwrap_err();
        let text = all.render(false);
        let told: Vec<&str> =
            text.lines().filter(|line| line.contains("exit code") || line.contains("-->")).collect();
        assert_eq!(
            told,
            [
                "error[step-failed]: `RUN false` ended with exit code 3",
                " --> one.Dockerfile:1:1",
                "error[step-failed]: `RUN false` ended with exit code 4",
                " --> two.Dockerfile:1:1",
            ]
        );
        assert_eq!(text.matches("its last output was").count(), 2, "{text}");
        assert_eq!(all.builds, ["one", "two", "three"]);
        assert!(BuildError::all(vec![]).is_ok());
    }
}
