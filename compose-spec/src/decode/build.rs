//! `build` and `deploy`.

use super::parts::{device_request, extra_hosts, file_mounts, ulimits};
use super::{bytes, flag, int, items, number, text, text_map, texts};
use crate::forms::parse_restart_condition;
use crate::model::{Build, Deploy, Restart};
use crate::tree::Node;

pub(super) fn build(node: &Node) -> Build {
    Build {
        context: text(node, "context").unwrap_or_default(),
        dockerfile: text(node, "dockerfile"),
        dockerfile_inline: text(node, "dockerfile_inline"),
        args: text_map(node, "args"),
        additional_contexts: text_map(node, "additional_contexts"),
        cache_from: texts(node, "cache_from"),
        cache_to: texts(node, "cache_to"),
        entitlements: texts(node, "entitlements"),
        extra_hosts: extra_hosts(node),
        labels: text_map(node, "labels"),
        network: text(node, "network"),
        no_cache: flag(node, "no_cache"),
        no_cache_filter: texts(node, "no_cache_filter"),
        platforms: texts(node, "platforms"),
        privileged: flag(node, "privileged"),
        provenance: text(node, "provenance"),
        sbom: text(node, "sbom"),
        pull: flag(node, "pull"),
        secrets: file_mounts(node, "secrets"),
        shm_size: bytes(node, "shm_size"),
        ssh: text_map(node, "ssh"),
        tags: texts(node, "tags"),
        target: text(node, "target"),
        ulimits: ulimits(node),
        span: Some(node.span),
    }
}

pub(super) fn deploy(node: &Node) -> Deploy {
    let resources = node.get("resources");
    let limits = resources.and_then(|resources| resources.get("limits"));
    let reservations = resources.and_then(|resources| resources.get("reservations"));
    let devices = reservations.map(|held| items(held, "devices")).unwrap_or(&[]);
    Deploy {
        replicas: int(node, "replicas").and_then(|replicas| u32::try_from(replicas).ok()),
        limit_cpus: limits.and_then(|limits| number(limits, "cpus")),
        limit_memory: limits.and_then(|limits| bytes(limits, "memory")),
        limit_pids: limits.and_then(|limits| int(limits, "pids")),
        reservation_memory: reservations.and_then(|held| bytes(held, "memory")),
        devices: devices.iter().map(device_request).collect(),
        restart_policy: node.get("restart_policy").map(restart_policy),
        labels: text_map(node, "labels"),
    }
}

/// A block without a condition means no restart, contrary to what the documentation says.
fn restart_policy(node: &Node) -> Restart {
    let max = int(node, "max_attempts").and_then(|max| u32::try_from(max).ok()).unwrap_or(0);
    match node.str("condition").and_then(parse_restart_condition) {
        Some(Restart::OnFailure { .. }) => Restart::OnFailure { max },
        condition => condition.unwrap_or(Restart::No),
    }
}
