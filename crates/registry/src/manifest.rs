//! Manifests: which one is meant for a platform, and what is in it. Docker's schema 2 and OCI's are the
//! same but for their media types.

use crate::client::is_page;
use crate::{Failure, Layer};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use resource::{Digest, Platform};
use serde::Deserialize;

/// What is accepted, in the order of preference.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

/// Layers that an image may have; overlayfs takes 500.
const LAYER_LIMIT: usize = 500;

/// What the bytes under a tag or digest are.
pub(crate) enum Manifest {
    /// Several images, each for a platform.
    Index(Vec<Descriptor>),
    /// One image.
    Image { config: (Digest, u64), layers: Vec<Layer> },
}

/// What tells the two apart, whatever the header says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Outline {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
}

/// The part of a configuration that says what an image is made for.
#[derive(Deserialize)]
pub(crate) struct MadeFor {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

impl MadeFor {
    pub(crate) fn platform(self) -> Platform {
        Platform { os: self.os, architecture: self.architecture, variant: self.variant }
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest, Failure> {
    let not_image = |reason: String| Failure::NotAnImage(reason);
    let json = |error: serde_json::Error| not_image(format!("its manifest does not parse: {error}"));
    if is_page(bytes) {
        return Err(Failure::Page { what: "manifest" });
    }
    let outline: Outline = serde_json::from_slice(bytes).map_err(json)?;
    match (outline.schema_version, outline.manifests) {
        (Some(1), _) => {
            return Err(not_image("its manifest has schema 1, which nobody writes any more".to_owned()));
        }
        (_, Some(_)) => {
            let index: ImageIndex = serde_json::from_slice(bytes).map_err(json)?;
            return Ok(Manifest::Index(index.manifests().clone()));
        }
        _ => {}
    }
    let manifest: ImageManifest = serde_json::from_slice(bytes).map_err(json)?;
    let config_type = manifest.config().media_type().to_string();
    if !config_type.contains("container.image") && !config_type.contains("oci.image.config") {
        let kind = manifest.artifact_type().as_ref().map_or(config_type, ToString::to_string);
        let kind = outline.media_type.filter(|_| kind.is_empty()).unwrap_or(kind);
        return Err(not_image(format!("it holds {kind}")));
    }
    if manifest.layers().len() > LAYER_LIMIT {
        return Err(not_image(format!("it has {} layers", manifest.layers().len())));
    }
    let digest = |descriptor: &Descriptor| {
        Digest::parse(descriptor.digest().as_ref()).map_err(|error| not_image(error.to_string()))
    };
    let config = (digest(manifest.config())?, manifest.config().size());
    let layer = |descriptor: &Descriptor| {
        Ok(Layer {
            digest: digest(descriptor)?,
            size: descriptor.size(),
            media_type: descriptor.media_type().to_string(),
        })
    };
    let layers = manifest.layers().iter().map(layer).collect::<Result<Vec<_>, Failure>>()?;
    if let Some(layer) = layers.iter().find(|layer| layer.media_type.ends_with("+encrypted")) {
        return Err(not_image(format!("its layer {} is encrypted", layer.digest)));
    }
    Ok(Manifest::Image { config, layers })
}

/// The media type that a manifest gives itself.
pub(crate) fn media_type(bytes: &[u8]) -> Option<String> {
    serde_json::from_slice::<Outline>(bytes).ok()?.media_type
}

/// The manifest in an index that is best for a platform, and its length in bytes.
pub(crate) fn choose(index: &[Descriptor], wanted: &Platform) -> Result<(Digest, u64), Failure> {
    let offers = index.iter().filter_map(|descriptor| Some((platform(descriptor)?, descriptor)));
    let offers: Vec<(Platform, &Descriptor)> = offers.collect();
    let best = offers.iter().filter_map(|(offer, descriptor)| Some((offer.fitness(wanted)?, descriptor)));
    // Of equals the first one.
    match best.min_by_key(|(fitness, _)| *fitness) {
        Some((_, descriptor)) => {
            let digest = Digest::parse(descriptor.digest().as_ref());
            Ok((digest.map_err(|error| Failure::NotAnImage(error.to_string()))?, descriptor.size()))
        }
        None => Err(Failure::NoPlatform {
            wanted: wanted.to_string(),
            available: offers.iter().map(|(offer, _)| offer.to_string()).collect(),
        }),
    }
}

/// What an entry is made for; `None` for those that are no images: attestations, unknown platforms.
pub(crate) fn platform(descriptor: &Descriptor) -> Option<Platform> {
    let annotation = descriptor.annotations().as_ref().and_then(|all| all.get("vnd.docker.reference.type"));
    let platform = descriptor.platform().as_ref()?;
    let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
    let real = annotation.is_none() && os != "unknown" && architecture != "unknown";
    real.then(|| Platform { os, architecture, variant: platform.variant().clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Vec<Descriptor> {
        let manifests: Vec<String> = platforms
            .iter()
            .enumerate()
            .map(|(number, platform)| {
                let (os, rest) = platform.split_once('/').unwrap();
                let (architecture, variant) = rest.split_once('/').unwrap_or((rest, ""));
                let variant =
                    if variant.is_empty() { String::new() } else { format!(r#","variant":"{variant}""#) };
                format!(
                    r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{number:064}","size":1,
                    "platform":{{"os":"{os}","architecture":"{architecture}"{variant}}}}}"#
                )
            })
            .collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, manifests.join(","));
        match parse(text.as_bytes()).unwrap() {
            Manifest::Index(index) => index,
            Manifest::Image { .. } => panic!("it is an index"),
        }
    }

    fn chosen(platforms: &[&str], wanted: &str) -> Option<usize> {
        let found = choose(&index(platforms), &Platform::parse(wanted).unwrap()).ok()?;
        found.0.hex().parse().ok()
    }

    #[test]
    fn the_platform_decides_and_unknown_ones_are_no_images() {
        let all = ["unknown/unknown", "linux/arm64/v8", "linux/amd64", "windows/amd64"];
        assert_eq!(chosen(&all, "linux/amd64"), Some(2));
        assert_eq!(chosen(&all, "linux/arm64"), Some(1));
        assert_eq!(chosen(&all, "linux/arm64/v8"), Some(1));
        assert_eq!(chosen(&all, "linux/s390x"), None);
        assert_eq!(chosen(&["unknown/unknown"], "linux/amd64"), None);
    }

    #[test]
    fn the_nearest_older_variant_runs_and_a_newer_one_does_not() {
        assert_eq!(chosen(&["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v6"), Some(1));
        assert_eq!(chosen(&["linux/arm/v5", "linux/arm/v7"], "linux/arm/v6"), Some(0));
        assert_eq!(chosen(&["linux/amd64/v3", "linux/amd64"], "linux/amd64"), Some(1));
        assert_eq!(chosen(&["linux/amd64/v3"], "linux/amd64"), None);
    }

    #[test]
    fn what_is_no_image_is_said_to_be_none() {
        let helm = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json",
            "digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":2},"layers":[]}"#;
        assert!(matches!(parse(helm.as_bytes()), Err(Failure::NotAnImage(_))));
        assert!(matches!(parse(b"{\"schemaVersion\":1}"), Err(Failure::NotAnImage(_))));
        assert!(matches!(parse(b"<html>"), Err(Failure::Page { what: "manifest" })));
    }
}
