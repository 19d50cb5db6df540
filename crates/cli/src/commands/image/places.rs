//! What `save`, `load` and `copy` have in common: platforms, and what to do when something is in the way.

use crate::exit::Failure;
use engine::{ArchiveError, EngineError, PushError};
use resource::Platform;

/// Reads a platform given on the command line.
///
/// # Errors
/// It is none.
pub(crate) fn platform(text: &str) -> Result<Platform, Failure> {
    Platform::parse(text).ok_or_else(|| {
        Failure::new(format!("`{text}` is not a platform")).hint("write it like `linux/arm64`")
    })
}

/// The failure that an error is for the user.
pub(crate) fn failure(what: &str, error: EngineError) -> Failure {
    let hint = match &error {
        EngineError::Archive(error) => match &**error {
            ArchiveError::Unnamed { .. } => Some("give it a name with `--name`"),
            ArchiveError::Several { .. } => Some("say which: `oci-archive:FILE:NAME`, or leave `--name` out"),
            ArchiveError::NoPlatform { .. } => Some("choose one of them with `--platform`"),
            ArchiveError::Damaged { .. } | ArchiveError::Layer { .. } | ArchiveError::Unreadable { .. } => {
                Some("nothing was loaded; get the archive anew")
            }
            ArchiveError::Occupied { .. } => Some("name an empty folder, or one that does not exist"),
            ArchiveError::Blob(PushError::Registry(_) | PushError::NoBlob { .. }) => Some(
                "layers that came from a registry are kept as files only: their blobs are fetched from there again",
            ),
            _ => None,
        },
        EngineError::NoImage { .. } => Some("`compose image ls` lists the images that are here"),
        _ => None,
    };
    let failure = Failure::because(what, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
