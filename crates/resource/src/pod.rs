//! Pods: the unit of life. A project is a pod.

use crate::{Labels, PodName, Timestamp};
use serde::{Deserialize, Serialize};

/// A pod that exists: its document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodRecord {
    /// 64 hexadecimal digits, random.
    pub id: String,
    /// The project's name.
    pub name: PodName,
    /// Labels: the project's working directory and files among them.
    pub labels: Labels,
    /// When it was made.
    pub created: Timestamp,
}
