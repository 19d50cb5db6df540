//! Secrets that a build was given.

use resource::{BuildSecret, BuildSpec};

/// Bytes that a secret may have.
const LIMIT: u64 = 500 * 1024;

/// A secret's content; `None` when the build was not given it.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn read(spec: &BuildSpec, id: &str) -> Result<Option<String>, String> {
    let path = match spec.secrets.get(id) {
        None => return Ok(None),
        Some(BuildSecret::Content(content)) => return Ok(Some(content.clone())),
        Some(BuildSecret::File(path)) => path,
    };
    let failed = |why: String| format!("cannot read the secret `{id}` from {}: {why}", path.display());
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > LIMIT {
        return Err(failed(format!("it has more than {LIMIT} bytes")));
    }
    let content = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(content).map(Some).map_err(|_| failed("it is no text".to_owned()))
}
