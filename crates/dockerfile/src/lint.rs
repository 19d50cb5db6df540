//! The build checks: what is accepted but probably not what was meant.
//!
//! Names and meanings are those of `docker build --check`, so that `# check=skip=…` means the same here.
//! A finding's code is the check's name.

mod images;
mod variables;
mod writing;

use std::collections::BTreeMap;

use diagnostic::{Diagnostic, Severity};

use crate::ignore::Ignore;
use crate::scope::Given;
use crate::tree::{Chosen, Dockerfile};

/// The name of every check.
pub const RULES: [&str; 21] = [
    "ConsistentInstructionCasing",
    "CopyIgnoredFile",
    "DuplicateStageName",
    "ExposeInvalidFormat",
    "ExposeProtoCasing",
    "FromAsCasing",
    "FromPlatformFlagConstDisallowed",
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

/// What the checks know besides the file.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// What is given to the build.
    pub given: &'a Given<'a>,
    /// The context's `.dockerignore`.
    pub ignore: Option<&'a Ignore>,
    /// The environments of base images, by the text of `FROM` once expanded. Where one is not known, the
    /// variables of its stage are not judged.
    pub environments: &'a BTreeMap<String, Vec<(String, String)>>,
}

/// Every finding that the file does not skip, in the order of the file. `# check=error=true` makes them errors.
pub fn lint(dockerfile: &Dockerfile, around: &Surroundings<'_>) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    writing::check(dockerfile, &mut findings);
    images::check(dockerfile, around, &mut findings);
    variables::check(dockerfile, around, &mut findings);
    let check = &dockerfile.directives.check;
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

impl Chosen {
    /// Whether the check `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|own| own.eq_ignore_ascii_case(name)),
        }
    }
}
