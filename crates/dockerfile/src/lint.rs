//! The build checks: what is accepted but probably not what was meant.
//!
//! Names and meanings are those of `docker build --check`, so that `# check=skip=…` means the same here.
//! A finding's code is the check's name.

mod images;
mod variables;
mod writing;

use std::borrow::Cow;
use std::collections::BTreeMap;

use diagnostic::{Diagnostic, Severity, Span};
use resource::Platform;

use crate::directive;
use crate::ignore::Ignore;
use crate::scope::Given;
use crate::tree::{CheckDirective, Chosen, Dockerfile, Word};

/// The name of every check.
pub const RULES: [&str; 22] = [
    "ConsistentInstructionCasing",
    "CopyIgnoredFile",
    "DuplicateStageName",
    "ExposeInvalidFormat",
    "ExposeProtoCasing",
    "FromAsCasing",
    "FromPlatformFlagConstDisallowed",
    "InvalidBaseImagePlatform",
    "InvalidDefaultArgInFrom",
    "InvalidDefinitionDescription",
    "JSONArgsRecommended",
    "LegacyKeyValueFormat",
    "MaintainerDeprecated",
    "MultipleInstructionsDisallowed",
    "NoEmptyContinuation",
    "RedundantTargetPlatform",
    "ReservedStageName",
    "SecretsUsedInArgOrEnv",
    "StageNameCasing",
    "UndefinedArgInFrom",
    "UndefinedVar",
    "WorkdirRelativePath",
];

/// The checks that are made only where `# check=experimental=…` asks for them.
const EXPERIMENTAL: [&str; 1] = ["InvalidDefinitionDescription"];

/// The build argument that says what `# check=` does, and wins over it.
const CHECK_ARG: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What the checks know besides the file.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// What is given to the build.
    pub given: &'a Given<'a>,
    /// The context's `.dockerignore`.
    pub ignore: Option<&'a Ignore>,
    /// What is known of base images, by the text of `FROM` once expanded. Where one is not known, the variables
    /// of its stage are not judged.
    pub bases: &'a BTreeMap<String, BaseImage>,
}

/// What is known of an image that a stage starts from.
#[derive(Clone, Debug, Default)]
pub struct BaseImage {
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Of an image for another platform than the stage's: which it is for, and which the stage is.
    pub other: Option<(Platform, Platform)>,
}

/// Every finding that the file does not skip, in the order of the file. `# check=error=true` makes them errors.
pub fn lint(dockerfile: &Dockerfile, around: &Surroundings<'_>) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    writing::check(dockerfile, &mut findings);
    images::check(dockerfile, around, &mut findings);
    variables::check(dockerfile, around, &mut findings);
    let (check, told) = chosen(dockerfile, around.given.build_args);
    findings.extend(told);
    findings.retain(|finding| {
        let asked = !EXPERIMENTAL.contains(&finding.code) || check.experimental.contains(finding.code);
        asked && !check.skip.contains(finding.code)
    });
    findings.extend(dockerfile.form.warnings.iter().cloned());
    findings.sort_by_key(|finding| (finding.span().start, finding.code));
    if check.error {
        findings.iter_mut().for_each(|finding| finding.severity = Severity::Error);
    }
    findings
}

impl Dockerfile {
    /// Whether a build fails where the checks find something, or because nobody can say what they are to do.
    pub fn fails_on_findings(&self, build_args: &BTreeMap<String, String>) -> bool {
        let (check, told) = chosen(self, build_args);
        check.error || diagnostic::has_errors(&told)
    }
}

/// What the checks are to do: as the build argument of the builder says, else as the file does.
fn chosen<'d>(
    dockerfile: &'d Dockerfile,
    build_args: &BTreeMap<String, String>,
) -> (Cow<'d, CheckDirective>, Vec<Diagnostic>) {
    let Some(text) = build_args.get(CHECK_ARG) else {
        return (Cow::Borrowed(&dockerfile.directives.check), vec![]);
    };
    let mut told = vec![];
    let word = Word { text: text.clone(), span: Span::NOWHERE, escape: '\\' };
    let check = directive::check(&word, &mut told);
    for fault in &mut told {
        // There is no line to show it at.
        fault.message = format!("{CHECK_ARG}: {}", fault.message).into();
    }
    (Cow::Owned(check), told)
}

impl Chosen {
    /// Whether the check `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|own| own.eq_ignore_ascii_case(name)),
        }
    }
}
