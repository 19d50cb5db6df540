//! Checks that follow the variables and the working directory through the stages.

use std::collections::BTreeMap;

use diagnostic::{Diagnostic, nearest};

use super::images::Watching;
use super::{BaseImage, Surroundings};
use crate::scope::{GlobalScope, StageScope};
use crate::tree::{Dockerfile, Instruction, InstructionKind, Transfer, TransferSource, Word};
use crate::word::{Lookup, expand, expand_inline, expand_list};

/// What is known at one place of a stage.
#[derive(Clone, Default)]
struct State {
    scope: StageScope,
    /// The base image's environment is known, so that what is not in `scope` is not set.
    complete: bool,
    /// Some `WORKDIR` has been said.
    has_workdir: bool,
    /// The `ARG`s, with and without value.
    declared: Vec<String>,
}

pub(super) fn check(dockerfile: &Dockerfile, around: &Surroundings<'_>, findings: &mut Vec<Diagnostic>) {
    let Ok(global) = GlobalScope::new(dockerfile, around.given) else { return };
    let mut ends: Vec<State> = Vec::new();
    for (index, stage) in dockerfile.stages.iter().enumerate() {
        let from = expand(&stage.from, &global).unwrap_or_default();
        let mut state = match dockerfile.base_stage(index, &from) {
            Some(base) => ends[base].clone(),
            None => start(&from, &global, around.bases),
        };
        for instruction in &stage.instructions {
            undefined(&state, instruction, findings);
            step(&mut state, instruction, &global, around, findings);
        }
        ends.push(state);
    }
}

fn start(from: &str, global: &GlobalScope, bases: &BTreeMap<String, BaseImage>) -> State {
    let scratch = BaseImage::default();
    let known = bases.get(from).or_else(|| (from == "scratch").then_some(&scratch));
    let pairs = known.into_iter().flat_map(|base| &base.environment);
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
    // Without one of the image's every step has a PATH all the same.
    let scope = global.stage(std::iter::once(("PATH", "")).chain(pairs));
    State { scope, complete: known.is_some(), ..State::default() }
}

fn step(
    state: &mut State,
    instruction: &Instruction,
    global: &GlobalScope,
    around: &Surroundings<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    match &instruction.kind {
        InstructionKind::Arg(args) => {
            for arg in args {
                state.declared.push(arg.name.text.clone());
                // A default that does not expand is the build's to say.
                let _ = state.scope.declare(arg, global);
            }
        }
        InstructionKind::Env(pairs) => {
            let expanded = |word| expand(word, &state.scope).unwrap_or_default();
            let pairs: Vec<_> =
                pairs.iter().map(|pair| (expanded(&pair.key), expanded(&pair.value))).collect();
            for (key, value) in pairs {
                state.scope.set_env(key, value);
            }
        }
        InstructionKind::Workdir(path) => {
            let relative = expand(path, &state.scope).is_ok_and(|path| !path.starts_with('/'));
            if relative && !state.has_workdir {
                let message = format!("`{}` is below a folder that only the base image knows", path.text);
                let finding = Diagnostic::warning("WorkdirRelativePath", message).at(path.span, "");
                findings.push(finding.help("write an absolute path"));
            }
            state.has_workdir = true;
        }
        InstructionKind::Copy(copy) if copy.from.is_none() => {
            ignored(&copy.transfer, state, around, findings)
        }
        InstructionKind::Add(add) => ignored(&add.transfer, state, around, findings),
        _ => {}
    }
}

fn undefined(state: &State, instruction: &Instruction, findings: &mut Vec<Diagnostic>) {
    for word in words(&instruction.kind) {
        let watching = Watching::new(&state.scope);
        if expand_list(word, &watching).is_ok() {
            report(state, word, watching, findings);
        }
    }
    for source in transfer(&instruction.kind).into_iter().flat_map(|transfer| &transfer.sources) {
        if let TransferSource::Inline(inline) = source {
            let watching = Watching::new(&state.scope);
            if expand_inline(inline, &watching).is_ok() {
                report(state, &inline.content, watching, findings);
            }
        }
    }
}

fn report(state: &State, word: &Word, watching: Watching<'_>, findings: &mut Vec<Diagnostic>) {
    let missing = watching.missing.into_inner();
    for name in missing.iter().filter(|name| state.complete && !state.declared.contains(name)) {
        // The instruction may say itself what holds where nothing is set.
        if ["-", ":-", "+", ":+", "?", ":?"]
            .iter()
            .any(|form| word.text.contains(&format!("${{{name}{form}")))
        {
            continue;
        }
        let finding =
            Diagnostic::warning("UndefinedVar", format!("`{name}` is not set here")).at(word.span, "");
        let known = state.scope.environment().map(|(known, _)| known);
        findings.push(match nearest(name, known) {
            Some(near) => finding.help(format!("a variable with a similar name exists: `{near}`")),
            None => finding,
        });
    }
}

/// The words of an instruction in which variables are replaced.
fn words(kind: &InstructionKind) -> Vec<&Word> {
    match kind {
        InstructionKind::Arg(args) => args.iter().filter_map(|arg| arg.default.as_ref()).collect(),
        InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => {
            pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).collect()
        }
        InstructionKind::Expose(words) | InstructionKind::Volume(words) => words.iter().collect(),
        InstructionKind::StopSignal(word) | InstructionKind::User(word) | InstructionKind::Workdir(word) => {
            vec![word]
        }
        InstructionKind::Copy(copy) => of_transfer(&copy.transfer),
        InstructionKind::Add(add) => of_transfer(&add.transfer).into_iter().chain(&add.checksum).collect(),
        _ => Vec::new(),
    }
}

fn transfer(kind: &InstructionKind) -> Option<&Transfer> {
    match kind {
        InstructionKind::Copy(copy) => Some(&copy.transfer),
        InstructionKind::Add(add) => Some(&add.transfer),
        _ => None,
    }
}

fn of_transfer(transfer: &Transfer) -> Vec<&Word> {
    let paths = transfer.sources.iter().filter_map(|source| match source {
        TransferSource::Path(path) => Some(path),
        TransferSource::Inline(_) => None,
    });
    paths
        .chain([&transfer.destination])
        .chain(&transfer.chown)
        .chain(&transfer.chmod)
        .chain(&transfer.exclude)
        .collect()
}

/// Sources that `.dockerignore` keeps out of the context.
fn ignored(transfer: &Transfer, state: &State, around: &Surroundings<'_>, findings: &mut Vec<Diagnostic>) {
    let Some(ignore) = around.ignore else { return };
    for source in &transfer.sources {
        let TransferSource::Path(word) = source else { continue };
        let Ok(path) = expand(word, &state.scope as &dyn Lookup) else { continue };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let inside = parts.join("/");
        let elsewhere = path.contains("://") || path.starts_with("git@") || parts.contains(&"..");
        if inside.is_empty() || elsewhere || ignore.may_take_back_below(&inside) {
            continue;
        }
        if ignore.is_ignored(&inside) {
            let message = format!("`{path}` is left out of the context by .dockerignore");
            findings.push(Diagnostic::warning("CopyIgnoredFile", message).at(word.span, ""));
        }
    }
}
