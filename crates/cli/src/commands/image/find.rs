//! Which images a word means, who uses them, and taking one away.

use crate::exit::Failure;
use engine::Engine;
use resource::{Digest, Image, Reference, Status};

/// The images that a reference, a digest or the beginning of an id names; that there is none is an error.
pub(super) fn find<'a>(known: &'a [Image], text: &str) -> Result<Vec<&'a Image>, Failure> {
    let found = matching(known, text)?;
    if found.is_empty() { Err(missing(text, known)) } else { Ok(found) }
}

/// That none of these images is called so.
pub(super) fn missing(text: &str, known: &[Image]) -> Failure {
    // A tag that nobody has typed is not what a name differs by.
    let tag = if text.contains(':') { "" } else { ":latest" };
    let name = |image: &Image| {
        let full = image.reference.familiar();
        full.strip_suffix(tag).unwrap_or(&full).to_owned()
    };
    let names: Vec<String> = known.iter().map(name).collect();
    let failure = Failure::new(format!("there is no image `{text}`"));
    match diagnostic::nearest(text, names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("an image with a similar name exists: `{near}`")),
        None => failure.hint("`compose image ls` lists them"),
    }
}

/// The same as [`find`], none included.
pub(super) fn matching<'a>(known: &'a [Image], text: &str) -> Result<Vec<&'a Image>, Failure> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let reference = super::import::parse(text);
    let by_name: Vec<&Image> = known
        .iter()
        .filter(|image| reference.as_ref().is_ok_and(|reference| image.reference == *reference))
        .collect();
    if !by_name.is_empty() {
        return Ok(by_name);
    }
    // As `inspect` writes what has a digest: whatever tag is beside it, it says nothing.
    let has_digest = |image: &&Image| match reference.as_ref() {
        Ok(Reference { registry, repository, digest: Some(digest), .. }) => {
            image.manifest == *digest
                && (&image.reference.registry, &image.reference.repository) == (registry, repository)
        }
        _ => image.manifest.as_str() == text,
    };
    let by_digest: Vec<&Image> = known.iter().filter(has_digest).collect();
    if !by_digest.is_empty() {
        return Ok(by_digest);
    }
    let by_id: Vec<&Image> =
        known.iter().filter(|image| hex.len() >= 4 && image.id.hex().starts_with(hex)).collect();
    match by_id.first() {
        Some(first) if by_id.iter().all(|image| image.id == first.id) => Ok(by_id),
        Some(_) => Err(Failure::new(format!("`{text}` is the beginning of several image ids"))),
        None => Ok(vec![]),
    }
}

/// A container made of this image, in whichever project.
pub(super) fn user(engine: &Engine, id: &Digest) -> Result<Option<String>, Failure> {
    first_user(engine, id, |_| true)
}

/// Such a container that does not rest.
pub(super) fn running_user(engine: &Engine, id: &Digest) -> Result<Option<String>, Failure> {
    first_user(engine, id, |status| !matches!(status, Status::Created | Status::Exited))
}

fn first_user(engine: &Engine, id: &Digest, counts: fn(Status) -> bool) -> Result<Option<String>, Failure> {
    let pods = engine.pods().map_err(|error| Failure::because("cannot list the projects", error))?;
    let mut containers = pods.iter().flat_map(|pod| &pod.containers);
    let found = containers.find(|container| container.record.image == *id && counts(container.state.status));
    Ok(found.map(|container| {
        format!("`{}` of project `{}`", container.record.spec.name, container.record.spec.pod)
    }))
}

/// An image is kept under the platform it was asked for with: its own, or the host's for want of one.
pub(super) fn remove(engine: &Engine, image: &Image) -> Result<(), Failure> {
    let store = engine.store();
    let failed =
        |error| Failure::because(format!("cannot remove image `{}`", image.reference.familiar()), error);
    if !store.remove_image(&image.reference, Some(&image.platform)).map_err(failed)? {
        store.remove_image(&image.reference, None).map_err(failed)?;
    }
    Ok(())
}

/// The one image that a word means: of several platforms the host's, else the first.
pub(super) fn one<'a>(known: &'a [Image], text: &str) -> Result<&'a Image, Failure> {
    let found = find(known, text)?;
    let host = resource::Platform::host();
    let fits = found
        .iter()
        .find(|image| image.platform.os == host.os && image.platform.architecture == host.architecture);
    fits.or(found.first()).copied().ok_or_else(|| missing(text, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(hex: char) -> Digest {
        Digest::parse(&format!("sha256:{}", hex.to_string().repeat(64))).unwrap()
    }

    fn image(name: &str, id: char, manifest: char) -> Image {
        let reference = Reference::parse(name).unwrap();
        Image { reference, id: digest(id), manifest: digest(manifest), ..Image::empty() }
    }

    #[test]
    fn an_image_is_meant_by_name_digest_or_the_beginning_of_its_id() {
        let known = [
            image("busybox:1", 'a', 'd'),
            image("busybox:2", 'a', 'd'),
            image("quay.io/team/box:1", 'a', 'd'),
            image("redis", 'b', 'e'),
        ];
        let meant =
            |text: &str| matching(&known, text).map(|found| found.len()).map_err(|error| error.line());
        let (own, other) = (digest('d'), digest('e'));
        assert_eq!(meant("busybox:2"), Ok(1));
        assert_eq!(meant(&format!("busybox@{own}")), Ok(2));
        assert_eq!(meant(&format!("busybox:7@{own}")), Ok(2));
        assert_eq!(meant(&format!("busybox@{other}")), Ok(0));
        assert_eq!(meant(own.as_str()), Ok(3));
        assert_eq!(meant("sha256:aaaa"), Ok(3));
        assert_eq!(meant("bbbb"), Ok(1));
        assert_eq!(meant("aaa"), Ok(0), "too short");
        let mixed = [
            image("one", 'a', 'd'),
            Image {
                id: Digest::parse(&format!("sha256:{}b", "a".repeat(63))).unwrap(),
                ..image("two", 'a', 'd')
            },
        ];
        assert!(matching(&mixed, "aaaa").unwrap_err().line().contains("several image ids"));
    }
}
