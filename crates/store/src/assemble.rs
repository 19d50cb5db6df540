//! Images made here: of another image, layers laid over it, and a configuration.

use crate::config::Document;
use crate::{NewImage, Pin, Store, StoreError, digest_of};
use resource::{Digest, Image, ImageConfig, Platform, Reference, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Assembly<'a> {
    /// The reference it is to be found under.
    pub reference: &'a Reference,
    /// The platform it is asked for with; `None` is the host's.
    pub platform: Option<&'a Platform>,
    /// What it is built on; `None` is nothing.
    pub base: Option<&'a Image>,
    /// Layers over those of the base, lowest first: diff id and bytes of the archive.
    pub layers: &'a [(Digest, u64)],
    /// What it asks for when run.
    pub config: &'a ImageConfig,
    /// Who made it.
    pub author: Option<&'a str>,
    /// When.
    pub created: Timestamp,
    /// How each of the layers, and what else changed, came about; follows the base's own.
    pub history: &'a [History],
    /// Results of the steps that made it, for other machines; whatever whoever wrote them reads.
    pub cache: Option<&'a Value>,
}

/// The field of a configuration that has [`Assembly::cache`].
pub const BUILD_CACHE: &str = "compose.build-cache";

/// One step of an image's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// When.
    pub created: String,
    /// What was done: a command.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Who did it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// What they said of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// It made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl Store {
    /// Writes configuration and manifest and publishes the image. `pin` has kept its layers until now.
    ///
    /// # Errors
    /// Those of [`Store::commit_image`].
    pub fn assemble_image(&self, assembly: &Assembly<'_>, pin: Pin) -> Result<Image, StoreError> {
        self.prepare()?;
        let config = self.configuration(assembly).to_string().into_bytes();
        let manifest = self.manifest(assembly, &config).to_string().into_bytes();
        let Assembly { reference, platform, .. } = *assembly;
        self.commit_image(&NewImage { reference, platform, manifest: &manifest, config: &config }, pin)
    }

    /// The base's configuration with what is changed in it: what is not known here stays.
    fn configuration(&self, assembly: &Assembly<'_>) -> Value {
        let base = assembly.base.and_then(|base| self.blob(&base.id));
        let mut whole: Map<String, Value> =
            base.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut diff_ids: Vec<&Digest> = assembly.base.iter().flat_map(|base| &base.layers).collect();
        diff_ids.extend(assembly.layers.iter().map(|(diff_id, _)| diff_id));
        let platform = assembly.platform.or(assembly.base.map(|base| &base.platform)).cloned();
        let document = Document::of(
            assembly.config,
            &platform.unwrap_or_else(Platform::host),
            assembly.created,
            diff_ids.into_iter().map(Digest::to_string).collect(),
        );
        let mut history = match whole.remove("history") {
            Some(Value::Array(steps)) => steps,
            _ => vec![],
        };
        account_for(&mut history, assembly.base.map_or(0, |base| base.layers.len()));
        history.extend(assembly.history.iter().map(|step| json!(step)));
        // About the container that an image was once made in, and the steps that made the base.
        for key in ["container", "container_config", "id", "parent", BUILD_CACHE] {
            whole.remove(key);
        }
        // What a configuration leaves out when it has none.
        if let Some(Value::Object(config)) = whole.get_mut("config") {
            config.retain(|key, _| !matches!(key.as_str(), "StopSignal" | "Healthcheck"));
        }
        if let Value::Object(known) = json!(document) {
            for (key, value) in known {
                merge(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        whole.insert("history".to_owned(), history.into());
        if let Some(cache) = assembly.cache {
            whole.insert(BUILD_CACHE.to_owned(), cache.clone());
        }
        match assembly.author {
            Some(author) => whole.insert("author".to_owned(), author.into()),
            None => whole.remove("author"),
        };
        Value::Object(whole)
    }

    /// Names configuration and layers; the base's by their blobs in the registry, where they are known.
    fn manifest(&self, assembly: &Assembly<'_>, config: &[u8]) -> Value {
        let own = |diff_id: &Digest, size: u64| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": diff_id, "size": size});
        let mut layers = vec![];
        if let Some(base) = assembly.base {
            let manifest = self.blob(&base.manifest);
            let manifest: Value =
                manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
            match manifest["layers"].as_array().filter(|known| known.len() == base.layers.len()) {
                Some(known) => layers.extend(known.iter().cloned().map(in_oci_words)),
                None => layers.extend(
                    base.layers
                        .iter()
                        .map(|diff_id| own(diff_id, self.layer(diff_id).map_or(0, |info| info.size))),
                ),
            }
        }
        layers.extend(assembly.layers.iter().map(|(diff_id, size)| own(diff_id, *size)));
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_of(config),
                "size": config.len(),
            },
            "layers": layers,
        })
    }
}

/// Gives as many steps a layer as there are: other builders refuse an image whose history and layers disagree, and
/// not everyone who makes one writes a history.
fn account_for(history: &mut Vec<Value>, layers: usize) {
    let has_layer = |step: &Value| step["empty_layer"] != json!(true);
    let steps = history.iter().filter(|step| has_layer(step)).count();
    let unknown = json!({"comment": "a layer that the image's history did not tell of"});
    history.extend(std::iter::repeat_n(unknown, layers.saturating_sub(steps)));
    for step in history.iter_mut().filter(|step| has_layer(step)).skip(layers) {
        match step.as_object_mut() {
            Some(step) => drop(step.insert("empty_layer".to_owned(), json!(true))),
            None => *step = json!({"empty_layer": true}),
        }
    }
}

/// Puts `value` over what is there: objects key by key one level deep, all else whole.
fn merge(there: &mut Value, value: Value) {
    match (there, value) {
        (Value::Object(there), Value::Object(value)) => there.extend(value),
        (there, value) => *there = value,
    }
}

/// A layer of Docker's manifest as one of OCI's: the media types must not be mixed.
fn in_oci_words(mut layer: Value) -> Value {
    if layer["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.gzip" {
        layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::account_for;
    use serde_json::{Value, json};

    fn accounted(history: Value, layers: usize) -> Vec<(Value, Value)> {
        let mut history = history.as_array().unwrap().clone();
        account_for(&mut history, layers);
        history.iter().map(|step| (step["created_by"].clone(), step["empty_layer"].clone())).collect()
    }

    #[test]
    fn a_history_has_as_many_steps_with_a_layer_as_there_are_layers() {
        let told = json!([{"created_by": "ADD"}, {"created_by": "CMD", "empty_layer": true}]);
        let (add, cmd) = ((json!("ADD"), Value::Null), (json!("CMD"), json!(true)));
        let untold = (Value::Null, Value::Null);
        assert_eq!(accounted(told.clone(), 1), [add.clone(), cmd.clone()]);
        assert_eq!(accounted(told.clone(), 2), [add, cmd.clone(), untold.clone()]);
        assert_eq!(accounted(told, 0), [(json!("ADD"), json!(true)), cmd]);
        assert_eq!(accounted(json!([]), 2), [untold.clone(), untold]);
    }
}
