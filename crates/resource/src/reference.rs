//! Image references: `nginx`, `quay.io/team/app:1.2`, `redis@sha256:…`.

use crate::Digest;
use serde::{Deserialize, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// An image reference, normalised: `redis:7` is `docker.io/library/redis:7`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// Registry host, with its port if any: `docker.io`, `localhost:5000`.
    pub registry: String,
    /// Repository path, `library/redis`.
    pub repository: String,
    /// The tag; `latest` when neither tag nor digest was written, `None` with a digest alone.
    pub tag: Option<String>,
    /// The digest of a manifest; it decides, the tag beside it is a comment.
    pub digest: Option<Digest>,
    /// What of this was not written.
    pub implied: Implied,
}

/// What a reference was written without, and has because Docker takes that then. References that differ in
/// nothing else are the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Implied {
    /// The registry: a machine's configuration may know better where it is.
    pub registry: bool,
    /// `library/` before the repository.
    pub library: bool,
    /// `latest`.
    pub tag: bool,
}

impl PartialEq for Implied {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Implied {}

impl PartialOrd for Implied {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Implied {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl Hash for Implied {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an image reference: {reason}")]
pub struct BadReference {
    /// The text as written.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Reference {
    /// Reads a reference as Docker does: no registry means `docker.io`, one path part there means
    /// `library/`, no tag and no digest means `latest`.
    ///
    /// # Errors
    /// [`BadReference`] with the reason.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        let bad = |reason| BadReference { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(Digest::parse(digest).map_err(|_| bad("the digest is not sha256"))?))
            }
            None => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
            if tag.is_empty() || tag.len() > 128 || !tag.bytes().all(good) || tag.starts_with(['.', '-']) {
                return Err(bad("the tag may hold letters, digits, `_`, `.` and `-`, 128 at most"));
            }
        }
        let (registry, repository, is_short) = match path.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest, false),
            _ => ("docker.io", path, true),
        };
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-')
                })
                && !part.starts_with(['.', '-', '_'])
                && !part.ends_with(['.', '-', '_'])
        };
        if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(bad("the repository name must be lower-case"));
        }
        if !repository.split('/').all(part) {
            return Err(bad("the repository name has a character or an empty part that is not allowed"));
        }
        let library = registry == "docker.io" && !repository.contains('/');
        let repository = if library { format!("library/{repository}") } else { repository.to_owned() };
        let implied = Implied { registry: is_short, library, tag: tag.is_none() && digest.is_none() };
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some("latest".to_owned()),
        };
        Ok(Self { registry: registry.to_owned(), repository, tag, digest, implied })
    }

    /// As people write it: `redis:7`, without what [`Reference::parse`] added but the tag.
    pub fn familiar(&self) -> String {
        let whole = self.to_string();
        let short = whole.strip_prefix("docker.io/").unwrap_or(&whole);
        short.strip_prefix("library/").unwrap_or(short).to_owned()
    }

    /// As it was written: `redis` for `redis`, `docker.io/redis:7` for that. What names an image that is
    /// asked for is told so; one that is there is told by [`Reference::familiar`], with its tag.
    pub fn written(&self) -> String {
        let Implied { registry, library, tag } = self.implied;
        let mut text = if registry { String::new() } else { format!("{}/", self.registry) };
        text += self.repository.strip_prefix("library/").filter(|_| library).unwrap_or(&self.repository);
        // Beside a digest that was added, the tag stays: read again, there would be none.
        if let Some(name) = self.tag.as_ref().filter(|_| !tag || self.digest.is_some()) {
            text += ":";
            text += name;
        }
        if let Some(digest) = &self.digest {
            text += "@";
            text += digest.as_str();
        }
        text
    }

    /// The repository as people write it, without tag or digest: `redis`, `quay.io/team/app`.
    pub fn familiar_repository(&self) -> String {
        let whole = Self { tag: None, digest: None, ..self.clone() };
        whole.familiar()
    }
}

/// Serialises a reference as it was written, so that what was not is known when it is read back.
///
/// # Errors
/// The serialiser's.
pub fn as_written<S: Serializer>(reference: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&reference.written())
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Reference {
    type Error = BadReference;

    fn try_from(text: String) -> Result<Self, BadReference> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_get_their_defaults() {
        let whole = |text| Reference::parse(text).map(|reference| reference.to_string());
        assert_eq!(whole("redis").unwrap(), "docker.io/library/redis:latest");
        assert_eq!(whole("team/app:1").unwrap(), "docker.io/team/app:1");
        assert_eq!(whole("localhost/app").unwrap(), "localhost/app:latest");
        assert_eq!(whole("127.0.0.1:5000/a/b:x").unwrap(), "127.0.0.1:5000/a/b:x");
        assert_eq!(Reference::parse("redis:7").unwrap().familiar(), "redis:7");
        assert!(whole("Redis").is_err());
        assert!(whole("redis:").is_err());
        assert!(whole("redis@sha256:12").is_err());
    }

    #[test]
    fn a_missing_registry_is_remembered_and_changes_nothing_else() {
        let (short, whole) = (Reference::parse("redis"), Reference::parse("docker.io/redis"));
        let (short, whole) = (short.unwrap(), whole.unwrap());
        assert!(short.implied.registry && !whole.implied.registry);
        assert_eq!(short, whole);
        assert_eq!(short.to_string(), whole.to_string());
    }

    #[test]
    fn what_was_written_is_told_and_read_back() {
        let texts =
            ["redis", "redis:latest", "library/redis", "docker.io/redis:7", "docker.io/library/redis"];
        for text in texts.into_iter().chain(["team/app", "localhost:5000/app", "quay.io/team/app:1"]) {
            assert_eq!(Reference::parse(text).unwrap().written(), text);
        }
        let digest = format!("sha256:{}", "0".repeat(64));
        let exact = format!("quay.io/app@{digest}");
        assert_eq!(Reference::parse(&exact).unwrap().written(), exact);
        let pinned = Reference { digest: Digest::parse(&digest).ok(), ..Reference::parse("redis").unwrap() };
        assert_eq!(Reference::parse(&pinned.written()).unwrap(), pinned);
    }

    #[test]
    fn a_digest_needs_no_tag() {
        let digest = format!("redis@sha256:{}", "0".repeat(64));
        assert_eq!(Reference::parse(&digest).unwrap().tag, None);
    }
}
