//! Services without containers: a program provides them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The program that provides a service, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSpec {
    /// Its name, or a path from the project's folder.
    pub kind: String,
    /// Its options; one with several values is given several times.
    pub options: BTreeMap<String, Vec<String>>,
    /// The line that names it, `compose.yaml:6:13`.
    pub place: String,
    /// The line of its options, or the one that names it.
    pub options_place: String,
    /// The definition of the service, as JSON, for a provider that asks for it.
    pub definition: String,
}

/// Variables that a provider has for services that depend on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// They get the service's name in front.
    pub prefixed: BTreeMap<String, String>,
    /// They are as they are.
    pub raw: BTreeMap<String, String>,
}
