//! Results of steps in a registry: an image whose configuration has a field that says which step made
//! which of its layers. It is an image of use, with its results besides, or one of nothing but results.

use super::{Step, Steps, put_in};
use crate::error::chain;
use crate::machine::Machine;
use resource::{Digest, Platform, Reference};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use store::{BUILD_CACHE, StepResult, Store};

/// A reference, asked when a result is first missing here.
#[derive(Debug)]
pub(super) struct Remote {
    reference: Reference,
    found: OnceLock<Found>,
}

/// What is there.
#[derive(Debug, Default)]
struct Found {
    steps: BTreeMap<Digest, Step>,
    /// Digest and bytes of the blob of each layer, by diff id.
    blobs: BTreeMap<Digest, (Digest, u64)>,
}

/// The part of a configuration that is looked at.
#[derive(Deserialize)]
struct Configuration {
    rootfs: Layers,
    #[serde(rename = "compose.build-cache")]
    cache: Option<Steps>,
}

#[derive(Deserialize)]
struct Layers {
    diff_ids: Vec<Digest>,
}

impl Remote {
    pub(super) fn new(reference: Reference) -> Self {
        Self { reference, found: OnceLock::new() }
    }

    /// The result of a step, its layer unpacked here; `None` when it has none. A registry that cannot be
    /// asked has nothing, and is told of once.
    pub(super) fn take(
        &self,
        store: &Store,
        machine: &dyn Machine,
        key: &Digest,
        tell: &dyn Fn(String),
    ) -> Option<Result<StepResult, String>> {
        let found = self.found.get_or_init(|| {
            read(machine, &self.reference).unwrap_or_else(|why| {
                tell(format!("the cache {} cannot be used: {why}", self.reference.familiar()));
                Found::default()
            })
        });
        let step = found.steps.get(key)?;
        let result = StepResult { layer: step.layer.clone(), created: step.created };
        let Some((diff_id, _)) = &step.layer else { return Some(Ok(result)) };
        let blob = found.blobs.get(diff_id)?;
        let unpacked = put_in(store, diff_id, || {
            machine.read_blob(&self.reference, blob).map_err(|error| chain(&*error))
        });
        Some(unpacked.map(|()| result))
    }
}

fn read(machine: &dyn Machine, reference: &Reference) -> Result<Found, String> {
    let Some(remote) = machine.look_at(reference).map_err(|error| chain(&*error))? else {
        return Ok(Found::default());
    };
    let config: Configuration = serde_json::from_slice(&remote.config).map_err(|error| error.to_string())?;
    let steps = config.cache.map(|cache| cache.steps).unwrap_or_default();
    Ok(Found {
        steps: steps.into_iter().map(|step| (step.key.clone(), step)).collect(),
        blobs: config.rootfs.diff_ids.into_iter().zip(remote.layers).collect(),
    })
}

/// What a configuration says of the steps that made these results, each once.
pub(crate) fn field(used: &[(Digest, StepResult)]) -> Value {
    let mut seen = BTreeSet::new();
    let steps = used.iter().filter(|(key, _)| seen.insert(key.clone())).map(|(key, result)| Step {
        key: key.clone(),
        layer: result.layer.clone(),
        created: result.created,
    });
    json!(Steps { steps: steps.collect() })
}

/// Gives results to a registry, as an image of nothing but them.
pub(crate) fn push(
    machine: &dyn Machine,
    reference: &Reference,
    used: &[(Digest, StepResult)],
) -> Result<(), String> {
    let mut layers: Vec<(Digest, u64)> = vec![];
    for layer in used.iter().filter_map(|(_, result)| result.layer.as_ref()) {
        if !layers.contains(layer) {
            layers.push(layer.clone());
        }
    }
    let host = Platform::host();
    let diff_ids: Vec<&Digest> = layers.iter().map(|(diff_id, _)| diff_id).collect();
    let config = json!({
        "os": host.os, "architecture": host.architecture, "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids }, BUILD_CACHE: field(used),
    });
    machine.push(reference, config.to_string().into_bytes(), &layers).map_err(|error| chain(&*error))
}
