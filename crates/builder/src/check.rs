//! The build checks: what is accepted in a Dockerfile but probably not what was meant. Nothing is built.

use crate::graph::{Contexts, Target};
use crate::{BuildError, error::at};
use diagnostic::{Diagnostic, Sources};
use dockerfile::{Given, Ignore, Surroundings, lint};
use resource::{BuildSpec, Platform};
use std::collections::BTreeMap;

/// What the checks of one build found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The build.
    pub name: String,
    /// Its Dockerfile.
    pub sources: Sources,
    /// What was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks Dockerfiles. Variables that a base image may set are not judged.
///
/// # Errors
/// [`BuildError`] for a Dockerfile that cannot be read at all.
pub fn check(specs: &[BuildSpec]) -> Result<Vec<Findings>, BuildError> {
    let mut contexts = Contexts::default();
    specs.iter().map(|spec| check_one(spec, &mut contexts)).collect()
}

fn check_one(spec: &BuildSpec, contexts: &mut Contexts<'_>) -> Result<Findings, BuildError> {
    let target = Target::read(spec, contexts)?;
    let ignore = Sources::new().add(".dockerignore", target.ignore.as_str());
    let ignore = Ignore::parse(ignore, &target.ignore).map_err(|found| {
        let message = found.first().map_or_else(String::new, |fault| fault.message.to_string());
        target.drawn(at(diagnostic::Span::NOWHERE, "bad-ignore-file", format!(".dockerignore: {message}")))
    })?;
    let given = Given {
        build_args: &spec.args,
        build: &Platform::host(),
        target: &target.platform,
        target_stage: target.file.stages[target.stage].name.as_ref().map_or("default", |name| &name.text),
    };
    let around = Surroundings { given: &given, ignore: Some(&ignore), environments: &BTreeMap::new() };
    let diagnostics = lint(&target.file, &around);
    Ok(Findings { name: spec.name.clone(), sources: target.sources, diagnostics })
}
