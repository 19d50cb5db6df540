//! Which variables exist where: `ARG`s before the first `FROM`, and `ARG` and `ENV` of a stage.
//!
//! A value that is given for the build counts only where an `ARG` asks for it, except for the proxies,
//! which every `RUN` sees without asking. Of `ARG` and `ENV` with one name the later one holds.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use diagnostic::Diagnostic;
use resource::Platform;

use crate::tree::{ArgDeclaration, Dockerfile, InstructionKind};
use crate::word::{Lookup, expand};

/// Build arguments that need no `ARG`: every `RUN` sees them, no cache depends on them, no image keeps them.
pub const PROXY_ARGS: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The names that stand for platforms: a `FROM` sees them, a stage after `ARG NAME`.
pub const PLATFORM_ARGS: [&str; 8] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
];

/// Build arguments that speak to the builder itself and need no `ARG`.
const BUILDER_ARGS: [&str; 3] = ["SOURCE_DATE_EPOCH", "TARGETSTAGE", "BUILDKIT_"];

/// What is given from outside.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// `--build-arg` and `build.args`.
    pub build_args: &'a BTreeMap<String, String>,
    /// Where the build runs.
    pub build: &'a Platform,
    /// What it builds for.
    pub target: &'a Platform,
    /// The name of the stage that is built, `default` for a last one without name.
    pub target_stage: &'a str,
}

/// The variables that `FROM` sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GlobalScope {
    values: BTreeMap<String, String>,
    build_args: BTreeMap<String, String>,
}

/// The variables of a stage at one place in it. A stage that starts from another begins with a clone of its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageScope {
    values: BTreeMap<String, String>,
    args: BTreeSet<String>,
}

impl GlobalScope {
    /// Reads the `ARG`s before the first `FROM`.
    ///
    /// # Errors
    /// Defaults that do not expand.
    pub fn new(dockerfile: &Dockerfile, given: &Given<'_>) -> Result<Self, Vec<Diagnostic>> {
        let mut scope = Self { values: predefined(given), build_args: given.build_args.clone() };
        let mut faults = Vec::new();
        for arg in &dockerfile.global_args {
            match scope.value_of(arg, &scope.values) {
                Ok(Some(value)) => drop(scope.values.insert(arg.name.text.clone(), value)),
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(scope) } else { Err(faults) }
    }

    /// What an `ARG` is worth besides what is inherited: the given value, or its default.
    fn value_of(&self, arg: &ArgDeclaration, seen: &dyn Lookup) -> Result<Option<String>, Diagnostic> {
        match (self.build_args.get(&arg.name.text), &arg.default) {
            (Some(given), _) => Ok(Some(given.clone())),
            (None, Some(default)) => expand(default, seen).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The begin of a stage whose base image has the environment `env`.
    pub fn stage<'e>(&self, env: impl IntoIterator<Item = (&'e str, &'e str)>) -> StageScope {
        let values = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        StageScope { values, args: BTreeSet::new() }
    }

    /// The proxies that were given; every `RUN` has them in its environment, below what the stage sets.
    pub fn proxies(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = PROXY_ARGS.iter().filter_map(|name| self.build_args.get_key_value(*name));
        given.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl StageScope {
    /// An `ARG` of the stage: the given value, its default, or what the name has before the first `FROM`.
    ///
    /// # Errors
    /// A default that does not expand.
    pub fn declare(&mut self, arg: &ArgDeclaration, global: &GlobalScope) -> Result<(), Diagnostic> {
        let name = &arg.name.text;
        let value = match global.value_of(arg, &self.values)? {
            Some(value) => Some(value),
            None => global.values.get(name).cloned(),
        };
        self.args.insert(name.clone());
        if let Some(value) = value {
            self.values.insert(name.clone(), value);
        }
        Ok(())
    }

    /// An `ENV` of the stage, both sides expanded.
    pub fn set_env(&mut self, name: String, value: String) {
        self.args.remove(&name);
        self.values.insert(name, value);
    }

    /// The environment of a `RUN` here, without proxies: what its cache depends on.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The arguments among [`Self::environment`]: what the image's history shows before a `RUN`.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, &str)> {
        self.environment().filter(|(name, _)| self.args.contains(*name))
    }
}

impl Lookup for GlobalScope {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.values.value(name)
    }
}

impl Lookup for StageScope {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.values.value(name)
    }
}

/// The given build arguments that no `ARG` of the file asks for.
pub fn unused_build_args<'a>(
    dockerfile: &Dockerfile,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let mut asked: BTreeSet<&str> = dockerfile.global_args.iter().map(|arg| arg.name.text.as_str()).collect();
    for instruction in dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
        if let InstructionKind::Arg(args) = &instruction.kind {
            asked.extend(args.iter().map(|arg| arg.name.text.as_str()));
        }
    }
    let known = |name: &str| {
        asked.contains(name)
            || PROXY_ARGS.contains(&name)
            || PLATFORM_ARGS.contains(&name)
            || BUILDER_ARGS.iter().any(|own| name.starts_with(own))
    };
    names.into_iter().filter(|name| !known(name)).collect()
}

fn predefined(given: &Given<'_>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (side, platform) in [("BUILD", given.build), ("TARGET", given.target)] {
        let variant = platform.variant.clone().unwrap_or_default();
        let whole = match &platform.variant {
            Some(variant) => format!("{}/{}/{variant}", platform.os, platform.architecture),
            None => format!("{}/{}", platform.os, platform.architecture),
        };
        values.insert(format!("{side}PLATFORM"), whole);
        values.insert(format!("{side}OS"), platform.os.clone());
        values.insert(format!("{side}ARCH"), platform.architecture.clone());
        values.insert(format!("{side}VARIANT"), variant);
    }
    values.insert("TARGETSTAGE".to_owned(), given.target_stage.to_owned());
    for (name, value) in &mut values {
        if let Some(own) = given.build_args.get(name) {
            value.clone_from(own);
        }
    }
    values
}
