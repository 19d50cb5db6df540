//! The images that builds stand on and take files from, without building anything.

use crate::BuildError;
use crate::graph::{Contexts, Graph, Node, Origin, Target, names};
use diagnostic::{Sources, Span};
use resource::{BuildSpec, Platform, Reference};

/// An image that a build needs.
#[derive(Clone, Debug)]
pub struct Base {
    /// The build.
    pub build: String,
    /// The image.
    pub reference: Reference,
    /// The platform it is needed for.
    pub platform: Platform,
    /// The Dockerfile.
    pub sources: Sources,
    /// Where the Dockerfile names it.
    pub span: Span,
}

/// The images that needed stages start from, copy from and mount, in the order of the stages; one that
/// several name is there several times. What `ONBUILD` of a base image asks for is not known here.
///
/// # Errors
/// [`BuildError`] for a Dockerfile that cannot be read or makes no sense.
pub fn bases(specs: &[BuildSpec]) -> Result<Vec<Base>, BuildError> {
    let mut contexts = Contexts::default();
    let specs: Vec<BuildSpec> = specs.iter().flat_map(BuildSpec::for_each_platform).collect();
    let graph = Graph::new(Target::read_all(&specs, &mut contexts)?)?;
    let mut found = vec![];
    for node in &graph.nodes {
        of_stage(&graph, *node, &mut found)?;
    }
    Ok(found)
}

fn of_stage(graph: &Graph, node: Node, found: &mut Vec<Base>) -> Result<(), BuildError> {
    let target = &graph.targets[node.target];
    let stage = &target.file.stages[node.stage];
    let mut add = |origin: Origin, platform: &Platform, span: Span| {
        if let Origin::Image(reference) = origin {
            let (build, sources) = (target.spec.name.clone(), target.sources.clone());
            found.push(Base { build, reference, platform: platform.clone(), sources, span });
        }
    };
    add(graph.base(node)?, &graph.platform(node)?, stage.from.span);
    for instruction in &stage.instructions {
        for (name, span) in names(instruction) {
            add(graph.source(node, &name, span)?, &target.platform, span);
        }
    }
    Ok(())
}
