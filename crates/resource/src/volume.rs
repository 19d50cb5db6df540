//! Volumes.

use crate::{Labels, Timestamp, VolumeName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A volume that is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its real name.
    pub name: VolumeName,
    /// It must exist already and is never made, changed or removed here.
    pub external: bool,
    /// `local`; others are refused.
    pub driver: String,
    /// `type`, `o`, `device`: mount(8) arguments.
    pub options: BTreeMap<String, String>,
    /// Labels, the managed ones among them (`config-hash` is how a change is seen).
    pub labels: Labels,
}

/// A volume that exists: its document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// As it was asked for.
    pub spec: VolumeSpec,
    /// When it was made.
    pub created: Timestamp,
    /// It was made for one container, without a name.
    pub anonymous: bool,
}
