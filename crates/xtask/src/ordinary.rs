//! The ordinary user of the tests, whom their launcher makes, and what it runs as that user.

use crate::{Failure, cargo, root};
use std::path::PathBuf;
use std::process::Command;

/// The user, and the program that becomes another one as that user.
pub(crate) struct Ordinary {
    /// `as-user`, of the package of the scenarios.
    pub(crate) launcher: PathBuf,
    /// The user's name.
    pub(crate) name: String,
}

/// Builds the launcher, and has it make the user when missing.
pub(crate) fn find() -> Result<Ordinary, Failure> {
    cargo(&["build", "--quiet", "--package", "scenarios", "--bin", "as-user"])?;
    let launcher = root().join("target/debug/as-user");
    let made =
        Command::new(&launcher).output().map_err(|error| format!("{}: {error}", launcher.display()))?;
    let name = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    if !made.status.success() || name.is_empty() {
        return Err(format!("no user for the tests: {}", String::from_utf8_lossy(&made.stderr)));
    }
    Ok(Ordinary { launcher, name })
}
