//! The build checks: what is accepted in a Dockerfile but probably not what was meant. `build --check` makes them
//! and builds nothing; a build tells what they find, or fails where the Dockerfile wants that.

use crate::event::{Event, EventKind};
use crate::graph::{Contexts, Graph, Node, Origin, Target};
use crate::{BuildError, error::at};
use diagnostic::{Diagnostic, Sources};
use dockerfile::{BaseImage, Given, Ignore, Surroundings, expand, lint, unused_build_args};
use resource::{BuildSpec, Platform};
use std::collections::{BTreeMap, BTreeSet};
use store::Store;

/// What is known of base images, by the text of `FROM` once expanded.
type Bases = BTreeMap<String, BaseImage>;

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
    Target::read_all(specs, &mut Contexts::default())?.into_iter().map(check_one).collect()
}

fn check_one(target: Target) -> Result<Findings, BuildError> {
    let diagnostics = found(&target, &BTreeMap::new())?;
    Ok(Findings { name: target.spec.name, sources: target.sources, diagnostics })
}

/// What the checks find in the Dockerfile of a build.
fn found(target: &Target, bases: &Bases) -> Result<Vec<Diagnostic>, BuildError> {
    let ignore = Sources::new().add(".dockerignore", target.ignore.as_str());
    let ignore = Ignore::parse(ignore, &target.ignore).map_err(|found| {
        let message = found.first().map_or_else(String::new, |fault| fault.message.to_string());
        target.drawn(at(diagnostic::Span::NOWHERE, "bad-ignore-file", format!(".dockerignore: {message}")))
    })?;
    let given = Given {
        build_args: &target.spec.args,
        build: &Platform::host(),
        target: &target.platform,
        target_stage: target.file.stages[target.stage].name.as_ref().map_or("default", |name| &name.text),
    };
    Ok(lint(&target.file, &Surroundings { given: &given, ignore: Some(&ignore), bases }))
}

/// Refuses builds whose Dockerfiles want findings to be errors and have some.
pub(crate) fn refuse(graph: &Graph, store: &Store) -> Result<(), BuildError> {
    let mut failures = vec![];
    for (at, target) in graph.targets.iter().enumerate() {
        if !target.file.fails_on_findings(&target.spec.args) {
            continue;
        }
        match found(target, &bases(graph, at, store)) {
            Ok(diagnostics) if diagnostics.is_empty() => {}
            Ok(diagnostics) => failures.push(target.failed(diagnostics)),
            Err(failure) => failures.push(failure),
        }
    }
    BuildError::all(failures)
}

/// Tells what the checks find where it is no error. The images that stages start from are here by now. Of a
/// build for several platforms it is told once; `firsts` are the places where another build begins.
pub(crate) fn tell(graph: &Graph, firsts: &[usize], store: &Store, tell: &(dyn Fn(Event) + Sync)) {
    for name in unasked(graph) {
        let (place, message) = ("--build-arg".to_owned(), format!("no `ARG` asks for `{name}`"));
        tell(Event { step: 0, kind: EventKind::Found { place, check: "build-arg", message } });
    }
    for at in firsts {
        let target = &graph.targets[*at];
        for name in &target.spec.no_cache_stages {
            if target.file.stage(name).is_none() {
                let (place, message) = (target.spec.place.clone(), format!("there is no stage `{name}`"));
                tell(Event { step: 0, kind: EventKind::Found { place, check: "no_cache_filter", message } });
            }
        }
        // A `.dockerignore` that is none has failed the build.
        for finding in found(target, &bases(graph, *at, store)).unwrap_or_default() {
            let place = match finding.span().is_nowhere() {
                true => "build arguments".to_owned(),
                false => target.sources.place(finding.span()),
            };
            let (check, message) = (finding.code, finding.message.to_string());
            tell(Event { step: 0, kind: EventKind::Found { place, check, message } });
        }
    }
}

/// The arguments given by hand that none of the builds asks for.
fn unasked(graph: &Graph) -> Vec<String> {
    let given = |target: &Target| target.spec.given_args.clone();
    let all: BTreeSet<String> = graph.targets.iter().flat_map(given).collect();
    let is_unused = |name: &String| {
        graph.targets.iter().all(|target| !unused_build_args(&target.file, [name.as_str()]).is_empty())
    };
    all.into_iter().filter(is_unused).collect()
}

/// Those base images of a build that are here.
fn bases(graph: &Graph, at: usize, store: &Store) -> Bases {
    let target = &graph.targets[at];
    let mut known = Bases::new();
    for stage in 0..target.file.stages.len() {
        let node = Node { target: at, stage };
        let Ok(name) = expand(&target.file.stages[stage].from, &target.global) else { continue };
        let (Ok(Origin::Image(reference)), Ok(platform)) = (graph.base(node), graph.platform(node)) else {
            continue;
        };
        let asked = (platform != Platform::host()).then_some(&platform);
        if let Some(image) = store.image(&reference, asked) {
            let pairs = image.config.environment.iter().filter_map(|entry| entry.split_once('='));
            let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let is_other = image.platform.fitness(&platform).is_none();
            let other = is_other.then(|| (image.platform.clone(), platform));
            known.insert(name, BaseImage { environment, other });
        }
    }
    known
}
