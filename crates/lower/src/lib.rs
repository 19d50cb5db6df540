//! `Project` → `Desired`: names, labels, networks, mounts, replicas. What a Compose file says is put
//! in the engine's words; what the engine has no words for is told, with its place, and never dropped
//! in silence.
//!
//! Pure: the texts of files it needs (a seccomp profile) come through [`compose_spec::Files`].

mod labels;
mod one_off;
mod selection;

pub use labels::from_labels;
pub use one_off::{OneOff, one_off};
pub use selection::Selection;

use compose_spec::{Files, Project};
use diagnostic::{Diagnostic, Sources};
use resource::Desired;

/// What lowering needs besides the project and the selection.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The texts the project was read from, to say where something was asked for.
    pub sources: &'a Sources,
    /// For the seccomp profiles that `security_opt` names.
    pub files: &'a dyn Files,
    /// Names are joined by `_` instead of `-` (`--compatibility`).
    pub compatibility: bool,
    /// This program's version, `x.y.z`, for the version label.
    pub version: &'a str,
}

/// What is wanted, and what in the file will have no effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// What is wanted.
    pub desired: Desired,
    /// Warnings, in order of service and attribute.
    pub warnings: Vec<Diagnostic>,
}

/// Says what is wanted of the selected services.
///
/// # Errors
/// Diagnostics, at least one of them an error: values the engine cannot do.
pub fn lower(
    project: &Project,
    selection: &Selection,
    options: &Options<'_>,
) -> Result<Lowered, Vec<Diagnostic>> {
    let _ = (project, selection, options);
    todo!()
}
