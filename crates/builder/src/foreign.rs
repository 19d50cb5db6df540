//! Builds for platforms other than this machine's: whether their steps can be executed.

use crate::emulator;
use crate::error::{BuildError, at};
use crate::graph::{Graph, Node, Origin};
use diagnostic::{Diagnostic, Span};
use dockerfile::{InstructionKind, expand};
use resource::Platform;

/// Refuses builds that would execute what this machine cannot, before anything is done for them.
pub(crate) fn check(graph: &Graph) -> Result<(), BuildError> {
    let checked = graph.nodes.iter().map(|node| check_stage(graph, *node));
    BuildError::all(checked.filter_map(Result::err).collect())
}

fn check_stage(graph: &Graph, node: Node) -> Result<(), BuildError> {
    let target = &graph.targets[node.target];
    let stage = &target.file.stages[node.stage];
    let runs = |kind: &InstructionKind| matches!(kind, InstructionKind::Run(_));
    let Some(run) = stage.instructions.iter().find(|instruction| runs(&instruction.kind)) else {
        return Ok(());
    };
    let platform = platform_of(graph, node)?;
    check_one(&platform, run.span).map_err(|diagnostic| target.drawn(diagnostic))
}

/// Refuses a step for a platform whose programs are not executed here.
pub(crate) fn check_one(platform: &Platform, span: Span) -> Result<(), Diagnostic> {
    let Some(help) = emulator::lacking(platform) else { return Ok(()) };
    let message = format!("programs for {platform} cannot be executed on this machine, {}", Platform::host());
    Err(at(span, "foreign-platform", message).help(help))
}

/// What a stage is for, as far as its Dockerfile says.
fn platform_of(graph: &Graph, node: Node) -> Result<Platform, BuildError> {
    let target = &graph.targets[node.target];
    if let Some(word) = &target.file.stages[node.stage].platform {
        let text = expand(word, &target.global).map_err(|diagnostic| target.drawn(diagnostic))?;
        // What is no platform is said when the stage begins.
        return Ok(Platform::parse(&text).unwrap_or_else(Platform::host));
    }
    match graph.base(node)? {
        Origin::Stage(base) => platform_of(graph, base),
        Origin::Scratch | Origin::Image(_) | Origin::Layout(_) | Origin::Folder(_) => {
            Ok(target.platform.clone())
        }
    }
}
