//! What changed between an old definition and a new one, in the words of a Compose file.
//!
//! Both are compared in their JSON form, so no field can be forgotten. Values are never told, only
//! names: an environment may hold secrets.

use crate::Change;
use resource::{ContainerSpec, NetworkSpec, Reference, VolumeSpec, label};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Fields that differ between two definitions of a service's container. Names, numbers and the
/// labels this program manages do not count.
pub(crate) fn containers(old: &ContainerSpec, new: &ContainerSpec) -> Vec<Change> {
    let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) else { return vec![] };
    let mut changes = Changes::default();
    changes.compare("", &old, &new);
    changes.list()
}

/// Fields that differ between two definitions of a network.
pub(crate) fn networks(old: &NetworkSpec, new: &NetworkSpec) -> Vec<Change> {
    let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) else { return vec![] };
    let mut changes = Changes::default();
    changes.compare("", &old, &new);
    changes.list()
}

/// Fields that differ between two definitions of a volume.
pub(crate) fn volumes(old: &VolumeSpec, new: &VolumeSpec) -> Vec<Change> {
    let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) else { return vec![] };
    let mut changes = Changes::default();
    changes.compare("", &old, &new);
    changes.list()
}

/// The fields found so far, each with its keys.
#[derive(Default)]
struct Changes(BTreeMap<String, Vec<String>>);

impl Changes {
    fn list(self) -> Vec<Change> {
        self.0.into_iter().map(|(field, keys)| Change { field, keys }).collect()
    }

    /// Goes down into what is a group of fields and notes the ones that differ.
    fn compare(&mut self, path: &str, old: &Value, new: &Value) {
        if old == new || matches!(path, "name" | "number" | "pod" | "reserved") {
            return;
        }
        match (path, old, new) {
            ("" | "process" | "resources" | "security", Value::Object(old), Value::Object(new)) => {
                for key in keys(old, new) {
                    let (old, new) =
                        (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
                    self.compare(key, old, new);
                }
            }
            (
                "environment" | "labels" | "annotations" | "sysctls" | "options",
                Value::Object(old),
                Value::Object(new),
            ) => {
                let differing = keys(old, new).filter(|key| old.get(*key) != new.get(*key) && !managed(key));
                let differing: Vec<_> = differing.map(str::to_owned).collect();
                if !differing.is_empty() {
                    self.0.insert(word(path).to_owned(), differing);
                }
            }
            ("endpoints", Value::Array(old), Value::Array(new)) => {
                let keys = items(old, new, "network");
                self.0.insert("networks".to_owned(), keys);
            }
            ("mounts", Value::Array(old), Value::Array(new)) => {
                let is_file = |mount: &&Value| {
                    mount
                        .get("type")
                        .and_then(Value::as_str)
                        .is_some_and(|kind| matches!(kind, "content" | "file"))
                };
                let files = |list: &[Value]| list.iter().filter(is_file).cloned().collect::<Vec<_>>();
                let others =
                    |list: &[Value]| list.iter().filter(|mount| !is_file(mount)).cloned().collect::<Vec<_>>();
                for (word, old, new) in
                    [("volumes", others(old), others(new)), ("secrets and configs", files(old), files(new))]
                {
                    let keys = items(&old, &new, "target");
                    if !keys.is_empty() {
                        self.0.insert(word.to_owned(), keys);
                    }
                }
            }
            // What differs is only whether the digest is written: the image itself is compared elsewhere.
            ("image", Value::String(old), Value::String(new)) if is_named_so(old, new) => {}
            ("image", Value::String(_), Value::String(new)) => {
                self.0.insert("image".to_owned(), vec![new.clone()]);
            }
            _ => {
                self.0.insert(word(path).to_owned(), vec![]);
            }
        }
    }
}

/// Whether one reference is the other with a digest, or the old one is the new one as it was kept once: whole.
fn is_named_so(old: &str, new: &str) -> bool {
    let (Ok(before), Ok(after)) = (Reference::parse(old), Reference::parse(new)) else { return false };
    let is_pinned = |exact: &Reference, plain: &Reference| {
        exact.digest.is_some() && Reference { digest: None, ..exact.clone() } == *plain
    };
    is_pinned(&before, &after) || is_pinned(&after, &before) || old == after.to_string()
}

/// The keys of either map, sorted, each once.
fn keys<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> impl Iterator<Item = &'a str> {
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).map(String::as_str).collect();
    keys.into_iter()
}

/// The names of the items that only one of the lists has in this form.
fn items(old: &[Value], new: &[Value], name: &str) -> Vec<String> {
    let one_sided =
        old.iter().filter(|item| !new.contains(item)).chain(new.iter().filter(|item| !old.contains(item)));
    let mut names: Vec<_> =
        one_sided.filter_map(|item| item.get(name)?.as_str()).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Labels that follow from other things and are no change of their own.
fn managed(key: &str) -> bool {
    [
        label::PROJECT,
        label::SERVICE,
        label::CONTAINER_NUMBER,
        label::ONE_OFF,
        label::CONFIG_HASH,
        label::IMAGE,
        label::IMAGE_VOLUME_DIGEST,
        label::DEPENDS_ON,
        label::CONFIG_FILES,
        label::WORKING_DIR,
        label::ENVIRONMENT_FILE,
        label::VERSION,
        label::PROVIDED,
        label::REPLACE,
        label::NETWORK,
        label::VOLUME,
    ]
    .contains(&key)
}

/// The word a Compose file has for a field.
fn word(field: &str) -> &str {
    match field {
        "groups" => "group_add",
        "exposed" => "expose",
        "dns_options" => "dns_opt",
        "stop_grace" => "stop_grace_period",
        "rlimits" => "ulimits",
        "log" => "logging",
        "capabilities_added" => "cap_add",
        "capabilities_dropped" => "cap_drop",
        "no_new_privileges" | "seccomp" | "unconfined_paths" => "security_opt",
        "read_only_root" => "read_only",
        "cdi_devices" => "devices",
        "device_rules" => "device_cgroup_rules",
        "memory" => "mem_limit",
        "memory_swap" => "memswap_limit",
        "memory_reservation" => "mem_reservation",
        "swappiness" => "mem_swappiness",
        "pids" => "pids_limit",
        "parent" => "cgroup_parent",
        "blkio_weight" | "read_bps" | "write_bps" | "read_iops" | "write_iops" => "blkio_config",
        "subnets" | "ip_ranges" => "ipam",
        "ipv4" => "enable_ipv4",
        "ipv6" => "enable_ipv6",
        "options" => "driver_opts",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(old: &str, new: &str) -> String {
        let (old, new): (Value, Value) =
            (serde_json::from_str(old).unwrap(), serde_json::from_str(new).unwrap());
        let mut changes = Changes::default();
        changes.compare("", &old, &new);
        crate::Reason::Changed { service: "db".to_owned(), changes: changes.list() }.to_string()
    }

    #[test]
    fn variables_are_named_and_their_values_are_not() {
        let old = r#"{"name":"a","process":{"environment":{"FOO":"1","SAME":"1","GONE":"1"}}}"#;
        let new = r#"{"name":"b","process":{"environment":{"FOO":"secret","SAME":"1","NEW":null}}}"#;
        assert_eq!(compare(old, new), "environment of `db` changed: FOO, GONE, NEW");
    }

    #[test]
    fn a_variable_set_to_null_is_told_from_one_that_is_absent() {
        let (old, new) = (r#"{"process":{"environment":{}}}"#, r#"{"process":{"environment":{"A":null}}}"#);
        assert_eq!(compare(old, new), "environment of `db` changed: A");
    }

    #[test]
    fn managed_labels_are_no_change_of_their_own() {
        let old = r#"{"labels":{"com.docker.compose.config-hash":"1","mine":"1"},"ports":[1]}"#;
        let new = r#"{"labels":{"com.docker.compose.config-hash":"2","mine":"2"},"ports":[2]}"#;
        assert_eq!(compare(old, new), "labels of `db` changed: mine; ports of `db` changed");
    }

    #[test]
    fn an_image_is_another_when_it_is_written_otherwise() {
        let images = |old: &str, new: &str| {
            compare(&format!(r#"{{"image":"{old}"}}"#), &format!(r#"{{"image":"{new}"}}"#))
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        let same = images("x", "x");
        assert_eq!(images("app", "app:latest"), "image of `db` changed: app:latest");
        assert_eq!(images("docker.io/library/app:latest", "app"), same);
        assert_eq!(images(&format!("app:latest@{digest}"), "app"), same);
        assert_eq!(images("app:1", &format!("docker.io/library/app:1@{digest}")), same);
        assert_ne!(images(&format!("app:2@{digest}"), "app"), same);
    }

    #[test]
    fn mounts_are_named_by_target() {
        let old =
            r#"{"mounts":[{"type":"bind","source":"/a","target":"/x"},{"type":"tmpfs","target":"/y"}]}"#;
        let new =
            r#"{"mounts":[{"type":"bind","source":"/b","target":"/x"},{"type":"tmpfs","target":"/y"}]}"#;
        assert_eq!(compare(old, new), "volumes of `db` changed: /x");
    }
}
