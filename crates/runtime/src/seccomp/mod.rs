//! System call filters: Docker's default profile and custom ones, compiled to BPF.

use resource::SecuritySpec;
use std::rc::Rc;

/// A compiled filter, ready to be loaded any number of times.
#[derive(Debug, PartialEq, Eq)]
pub struct Program(pub(crate) Vec<sys::seccomp::Instruction>);

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// It is not a profile.
    #[error("the seccomp profile is not valid")]
    Syntax(#[source] serde_json::Error),
    /// It asks for what this engine does not do.
    #[error("the seccomp profile asks for {0}, which is not supported")]
    Unsupported(String),
}

/// The filter for a container; `None` when it has none (privileged or unconfined).
///
/// # Errors
/// [`SeccompError`] for a custom profile only.
pub fn compile(_security: &SecuritySpec) -> Result<Option<Program>, SeccompError> {
    todo!()
}

/// Filters compiled so far, by what they depend on: most containers of a project share one.
#[derive(Debug, Default)]
pub struct Cache(Vec<(SecuritySpec, Option<Rc<Program>>)>);

impl Cache {
    /// The filter for a container, compiled at the first time.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn get(&mut self, _security: &SecuritySpec) -> Result<Option<Rc<Program>>, SeccompError> {
        todo!()
    }
}
