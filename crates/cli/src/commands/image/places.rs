//! What `save`, `load` and `copy` have in common: platforms, and what to do when something is in the way.

use crate::exit::Failure;
use crate::perform;
use engine::{ArchiveError, EngineError, PackedAnew, PushError};
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

/// What there is to say of an image whose layers no registry gives any more.
pub(crate) fn packed_anew(image: &PackedAnew) -> String {
    let what = if image.keeps_id { "digest of its manifest" } else { "id and digest of its manifest" };
    format!(
        "{} is packed anew, with the same files and another {what}, since its own layers cannot be had: {}",
        image.reference.familiar(),
        perform::chain(&image.reason)
    )
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
