//! Checks of what stages start from.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use diagnostic::{Diagnostic, nearest};
use resource::{Platform, Reference};

use super::Surroundings;
use crate::scope::{Given, GlobalScope, PLATFORM_ARGS};
use crate::tree::{Dockerfile, Stage, Word};
use crate::word::{Lookup, expand};

/// A lookup that remembers which names it did not find.
pub(super) struct Watching<'a> {
    pub(super) inner: &'a dyn Lookup,
    pub(super) missing: RefCell<Vec<String>>,
}

impl<'a> Watching<'a> {
    pub(super) fn new(inner: &'a dyn Lookup) -> Self {
        Self { inner, missing: RefCell::default() }
    }
}

impl Lookup for Watching<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.inner.value(name);
        if value.is_none() && !self.missing.borrow().iter().any(|known| known == name) {
            self.missing.borrow_mut().push(name.to_owned());
        }
        value
    }
}

pub(super) fn check(dockerfile: &Dockerfile, around: &Surroundings<'_>, findings: &mut Vec<Diagnostic>) {
    let none = BTreeMap::new();
    let by_default = Given { build_args: &none, ..*around.given };
    let Ok(scope) = GlobalScope::new(dockerfile, around.given) else { return };
    let defaults = GlobalScope::new(dockerfile, &by_default).unwrap_or_default();
    for (index, stage) in dockerfile.stages.iter().enumerate() {
        for word in std::iter::once(&stage.from).chain(&stage.platform) {
            undefined(dockerfile, &scope, word, findings);
        }
        platform(stage, findings);
        base_platform(stage, &scope, around, findings);
        default_image(dockerfile, index, &defaults, findings);
    }
}

fn undefined(dockerfile: &Dockerfile, scope: &GlobalScope, word: &Word, findings: &mut Vec<Diagnostic>) {
    let watching = Watching::new(scope);
    if expand(word, &watching).is_err() {
        return;
    }
    let declared: Vec<&str> = dockerfile.global_args.iter().map(|arg| arg.name.text.as_str()).collect();
    for name in watching.missing.into_inner().iter().filter(|name| !declared.contains(&name.as_str())) {
        let message = format!("`FROM` uses `{name}`, which no `ARG` before it declares");
        let finding = Diagnostic::warning("UndefinedArgInFrom", message).at(word.span, "");
        let candidates = declared.iter().copied().chain(PLATFORM_ARGS);
        findings.push(match nearest(name, candidates) {
            Some(near) => finding.help(format!("an argument with a similar name exists: `{near}`")),
            None => finding,
        });
    }
}

fn platform(stage: &Stage, findings: &mut Vec<Diagnostic>) {
    let Some(platform) = &stage.platform else { return };
    if ["$TARGETPLATFORM", "${TARGETPLATFORM}"].contains(&platform.text.as_str()) {
        let message = "`--platform=$TARGETPLATFORM` is what `FROM` does anyway";
        findings.push(Diagnostic::warning("RedundantTargetPlatform", message).at(platform.span, ""));
    }
    let name = stage.name.as_ref().map_or("", |name| name.text.as_str());
    let named_after = Platform::parse(&platform.text)
        .is_some_and(|platform| name.contains(&platform.os) || name.contains(&platform.architecture));
    if !platform.has_variables() && !named_after {
        let message = format!("`--platform={}` builds for one platform whatever is asked for", platform.text);
        findings.push(
            Diagnostic::warning("FromPlatformFlagConstDisallowed", message)
                .at(platform.span, "")
                .help("use a variable such as `$BUILDPLATFORM`, or name the stage after the platform"),
        );
    }
}

/// A base image that is not made for what the stage is for: its programs cannot be run here as they are.
fn base_platform(
    stage: &Stage,
    scope: &GlobalScope,
    around: &Surroundings<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let Ok(name) = expand(&stage.from, scope) else { return };
    if let Some((made_for, wanted)) = around.bases.get(&name).and_then(|base| base.other.as_ref()) {
        let message = format!("`{name}` is made for {made_for}, and the stage is for {wanted}");
        findings.push(Diagnostic::warning("InvalidBaseImagePlatform", message).at(stage.from.span, ""));
    }
}

/// A `FROM` that names nothing when no argument is given.
fn default_image(
    dockerfile: &Dockerfile,
    index: usize,
    defaults: &GlobalScope,
    findings: &mut Vec<Diagnostic>,
) {
    let from = &dockerfile.stages[index].from;
    if !from.has_variables() {
        return;
    }
    let named = expand(from, defaults).is_ok_and(|name| {
        name == "scratch" || dockerfile.base_stage(index, &name).is_some() || Reference::parse(&name).is_ok()
    });
    if !named {
        let message = format!("without build arguments `{}` names no image", from.text);
        findings.push(
            Diagnostic::warning("InvalidDefaultArgInFrom", message)
                .at(from.span, "")
                .help("give the `ARG` a default: `ARG NAME=VALUE`"),
        );
    }
}
