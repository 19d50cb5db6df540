//! The canonical tree → the typed project. Nothing is told here: what is unusable has been reported, and is
//! passed over.

mod build;
mod parts;

use std::collections::{BTreeMap, BTreeSet};

use diagnostic::Span;

use crate::forms::{parse_pull_policy, parse_restart};
use crate::model::{
    Attachment, Condition, Dependency, Model, ModelUse, Network, NetworkMode, Project, Provider, Service,
};
use crate::tree::{Entry, Map, Node, Value};
use crate::{Input, select};

/// Decodes a whole model. `profiles` are the active ones.
pub(crate) fn project(
    model: &mut Node,
    name: &str,
    input: &Input,
    environment: &BTreeMap<String, String>,
    profiles: BTreeSet<String>,
) -> Project {
    let services = match model.as_map_mut().and_then(|map| map.remove("services")) {
        Some(Entry { node: Node { value: Value::Map(map), .. }, .. }) => map,
        _ => Map::new(),
    };
    let tree = std::mem::replace(model, Node::map(Span::NOWHERE));
    // A service is large: in a box, it is made where it stays, and a mapping of services has no unused room.
    let is_enabled =
        |(_, entry): &(String, Entry)| select::is_enabled(select::profiles_of(&entry.node), &profiles);
    let (enabled, disabled): (Vec<_>, Vec<_>) = services.into_iter().partition(is_enabled);
    let decoded = |(name, entry): (String, Entry)| (name.clone(), Box::new(service(name, entry)));
    let section = |key: &str| tree.get(key).and_then(Node::as_map).into_iter().flatten();
    Project {
        name: name.to_owned(),
        directory: input.project_directory.clone(),
        files: input.files.clone(),
        environment_files: input.environment_files.clone(),
        environment: environment.clone(),
        services: enabled.into_iter().map(decoded).collect(),
        disabled_services: disabled.into_iter().map(decoded).collect(),
        profiles,
        networks: section("networks").map(|(key, entry)| (key.clone(), network(entry))).collect(),
        volumes: section("volumes").map(|(key, entry)| (key.clone(), parts::volume(entry))).collect(),
        secrets: section("secrets")
            .map(|(key, entry)| (key.clone(), parts::file_object(entry, environment)))
            .collect(),
        configs: section("configs")
            .map(|(key, entry)| (key.clone(), parts::file_object(entry, environment)))
            .collect(),
        models: section("models").map(|(key, entry)| (key.clone(), self::model(entry))).collect(),
        extensions: extensions(&tree),
        copy: None,
        tree,
        interpolated: input.options.interpolate,
    }
}

// Reading values

pub(super) fn text(node: &Node, key: &str) -> Option<String> {
    node.str(key).map(str::to_owned)
}

pub(super) fn flag(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Node::as_bool).unwrap_or(false)
}

pub(super) fn int(node: &Node, key: &str) -> Option<i64> {
    node.get(key).and_then(Node::as_int)
}

pub(super) fn number(node: &Node, key: &str) -> Option<f64> {
    node.get(key).and_then(Node::as_number)
}

pub(super) fn bytes(node: &Node, key: &str) -> Option<i64> {
    node.str(key)?.parse().ok()
}

pub(super) fn items<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    node.get(key).and_then(Node::as_list).unwrap_or(&[])
}

pub(super) fn entries<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a String, &'a Entry)> {
    node.get(key).and_then(Node::as_map).into_iter().flatten()
}

/// What `read` makes of the items of a list; room is taken for as many as there are.
pub(super) fn each<T>(node: &Node, key: &str, read: impl Fn(&Node) -> Option<T>) -> Vec<T> {
    let items = items(node, key);
    let mut made = Vec::with_capacity(items.len());
    made.extend(items.iter().filter_map(read));
    made
}

pub(super) fn texts(node: &Node, key: &str) -> Vec<String> {
    each(node, key, |item| item.as_str().map(str::to_owned))
}

/// A mapping of texts; null is the empty one.
pub(super) fn text_map(node: &Node, key: &str) -> BTreeMap<String, String> {
    entries(node, key)
        .map(|(key, entry)| (key.clone(), entry.node.scalar_text().unwrap_or_default()))
        .collect()
}

/// A mapping of texts or nothing.
pub(super) fn variables(node: &Node, key: &str) -> BTreeMap<String, Option<String>> {
    entries(node, key).map(|(key, entry)| (key.clone(), entry.node.scalar_text())).collect()
}

fn command(node: &Node, key: &str) -> Option<Vec<String>> {
    node.get(key)?.as_list().map(|_| texts(node, key))
}

pub(super) fn extensions(node: &Node) -> BTreeMap<String, Node> {
    let map = node.as_map().into_iter().flatten();
    map.filter(|(key, _)| key.starts_with("x-"))
        .map(|(key, entry)| (key.clone(), entry.node.clone()))
        .collect()
}

fn dependencies(node: &Node) -> BTreeMap<String, Dependency> {
    let read = |(name, entry): (&String, &Entry)| {
        let node = &entry.node;
        let condition = match node.str("condition") {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::CompletedSuccessfully,
            _ => Condition::Started,
        };
        let dependency = Dependency {
            condition,
            required: node.get("required").and_then(Node::as_bool).unwrap_or(true),
            restart: flag(node, "restart"),
            inferred: entry.key_span.is_nowhere(),
            span: entry.key_span.or(node.span),
        };
        (name.clone(), dependency)
    };
    entries(node, "depends_on").map(read).collect()
}

fn attachments(node: &Node) -> BTreeMap<String, Box<Attachment>> {
    let read = |(name, entry): (&String, &Entry)| {
        let node = &entry.node;
        let attachment = Attachment {
            aliases: texts(node, "aliases"),
            ipv4_address: text(node, "ipv4_address"),
            ipv6_address: text(node, "ipv6_address"),
            link_local_ips: texts(node, "link_local_ips"),
            mac_address: text(node, "mac_address"),
            interface_name: text(node, "interface_name"),
            driver_opts: text_map(node, "driver_opts"),
            priority: number(node, "priority").unwrap_or(0.0),
            gw_priority: number(node, "gw_priority").unwrap_or(0.0),
            span: (!entry.key_span.is_nowhere()).then_some(entry.key_span),
        };
        (name.clone(), Box::new(attachment))
    };
    entries(node, "networks").map(read).collect()
}

fn network_mode(text: &str) -> NetworkMode {
    match text {
        "none" => NetworkMode::None,
        "host" => NetworkMode::Host,
        "bridge" | "default" => NetworkMode::Bridge,
        _ => match (text.strip_prefix("service:"), text.strip_prefix("container:")) {
            (Some(service), _) => NetworkMode::Service(service.to_owned()),
            (_, Some(container)) => NetworkMode::Container(container.to_owned()),
            _ => NetworkMode::Network(text.to_owned()),
        },
    }
}

fn provider(node: &Node) -> Provider {
    let options = entries(node, "options").map(|(key, entry)| {
        let values = entry.node.as_list().unwrap_or(&[]).iter().filter_map(Node::scalar_text);
        (key.clone(), values.collect())
    });
    Provider { kind: text(node, "type").unwrap_or_default(), options: options.collect() }
}

fn models(node: &Node) -> BTreeMap<String, ModelUse> {
    let read = |(key, entry): (&String, &Entry)| {
        let node = &entry.node;
        (
            key.clone(),
            ModelUse { endpoint_var: text(node, "endpoint_var"), model_var: text(node, "model_var") },
        )
    };
    entries(node, "models").map(read).collect()
}

/// Decodes one service. Long, but flat: one line per attribute.
fn service(name: String, entry: Entry) -> Service {
    let node = entry.node;
    let count = |key: &str| int(&node, key).and_then(|value| u32::try_from(value).ok());
    Service {
        span: entry.key_span,
        annotations: text_map(&node, "annotations"),
        attach: node.get("attach").and_then(Node::as_bool).unwrap_or(true),
        build: node.get("build").filter(|build| build.as_map().is_some()).map(build::build),
        command: command(&node, "command"),
        container_name: text(&node, "container_name"),
        depends_on: dependencies(&node),
        deploy: node.get("deploy").filter(|deploy| deploy.as_map().is_some()).map(build::deploy),
        develop: node.get("develop").filter(|develop| !develop.is_null()).cloned(),
        domainname: text(&node, "domainname"),
        entrypoint: command(&node, "entrypoint"),
        env_files: parts::env_files(&node),
        environment: variables(&node, "environment"),
        expose: texts(&node, "expose"),
        external_links: texts(&node, "external_links"),
        group_add: texts(&node, "group_add"),
        healthcheck: node.get("healthcheck").filter(|check| check.as_map().is_some()).map(parts::healthcheck),
        hostname: text(&node, "hostname"),
        image: text(&node, "image").filter(|image| !image.is_empty()),
        init: node.get("init").and_then(Node::as_bool),
        labels: text_map(&node, "labels"),
        links: texts(&node, "links"),
        logging: node.get("logging").filter(|logging| logging.as_map().is_some()).map(parts::logging),
        models: models(&node),
        platform: text(&node, "platform"),
        privileged: flag(&node, "privileged"),
        profiles: texts(&node, "profiles"),
        provider: node.get("provider").filter(|provider| provider.as_map().is_some()).map(provider),
        pull_policy: node.str("pull_policy").and_then(parse_pull_policy),
        read_only: flag(&node, "read_only"),
        restart: node.str("restart").and_then(parse_restart),
        runtime: text(&node, "runtime"),
        scale: count("scale"),
        stdin_open: flag(&node, "stdin_open"),
        tty: flag(&node, "tty"),
        stop_grace_period: parts::duration(&node, "stop_grace_period"),
        stop_signal: text(&node, "stop_signal"),
        use_api_socket: flag(&node, "use_api_socket"),
        user: text(&node, "user"),
        working_dir: text(&node, "working_dir"),
        pre_start: parts::hooks(&node, "pre_start"),
        post_start: parts::hooks(&node, "post_start"),
        pre_stop: parts::hooks(&node, "pre_stop"),
        network_mode: node.str("network_mode").filter(|mode| !mode.is_empty()).map(network_mode),
        networks: attachments(&node),
        dns: texts(&node, "dns").into_iter().filter(|server| !server.is_empty()).collect(),
        dns_opt: texts(&node, "dns_opt"),
        dns_search: texts(&node, "dns_search"),
        extra_hosts: parts::extra_hosts(&node),
        mac_address: text(&node, "mac_address"),
        ports: each(&node, "ports", parts::port),
        configs: parts::file_mounts(&node, "configs"),
        secrets: parts::file_mounts(&node, "secrets"),
        devices: each(&node, "devices", parts::device),
        device_cgroup_rules: texts(&node, "device_cgroup_rules"),
        gpus: items(&node, "gpus").iter().map(parts::device_request).collect(),
        storage_opt: text_map(&node, "storage_opt"),
        tmpfs: texts(&node, "tmpfs"),
        volumes: each(&node, "volumes", parts::mount),
        volumes_from: texts(&node, "volumes_from"),
        blkio_config: node.get("blkio_config").filter(|blkio| blkio.as_map().is_some()).map(parts::blkio),
        cap_add: texts(&node, "cap_add"),
        cap_drop: texts(&node, "cap_drop"),
        cgroup: text(&node, "cgroup"),
        cgroup_parent: text(&node, "cgroup_parent"),
        cpu_shares: int(&node, "cpu_shares"),
        cpu_period: int(&node, "cpu_period"),
        cpu_quota: int(&node, "cpu_quota"),
        cpu_rt_period: int(&node, "cpu_rt_period"),
        cpu_rt_runtime: int(&node, "cpu_rt_runtime"),
        cpus: number(&node, "cpus"),
        cpuset: text(&node, "cpuset"),
        ipc: text(&node, "ipc"),
        mem_limit: bytes(&node, "mem_limit"),
        mem_reservation: bytes(&node, "mem_reservation"),
        memswap_limit: bytes(&node, "memswap_limit"),
        mem_swappiness: bytes(&node, "mem_swappiness"),
        oom_kill_disable: flag(&node, "oom_kill_disable"),
        oom_score_adj: int(&node, "oom_score_adj"),
        pid: text(&node, "pid"),
        pids_limit: int(&node, "pids_limit"),
        security_opt: texts(&node, "security_opt"),
        shm_size: bytes(&node, "shm_size"),
        sysctls: text_map(&node, "sysctls"),
        ulimits: parts::ulimits(&node),
        userns_mode: text(&node, "userns_mode"),
        uts: text(&node, "uts"),
        extensions: extensions(&node),
        name,
        tree: node,
    }
}

fn network(entry: &Entry) -> Network {
    let node = &entry.node;
    let ipam = Node::map(Span::NOWHERE);
    let ipam = node.get("ipam").unwrap_or(&ipam);
    Network {
        name: text(node, "name").unwrap_or_default(),
        driver: text(node, "driver"),
        driver_opts: text_map(node, "driver_opts"),
        attachable: flag(node, "attachable"),
        internal: flag(node, "internal"),
        enable_ipv4: node.get("enable_ipv4").and_then(Node::as_bool),
        enable_ipv6: flag(node, "enable_ipv6"),
        external: flag(node, "external"),
        ipam_driver: text(ipam, "driver"),
        ipam_options: text_map(ipam, "options"),
        ipam: items(ipam, "config").iter().map(parts::address_pool).collect(),
        labels: text_map(node, "labels"),
        span: (!entry.key_span.is_nowhere()).then_some(entry.key_span),
    }
}

fn model(entry: &Entry) -> Model {
    let node = &entry.node;
    Model {
        name: text(node, "name").unwrap_or_default(),
        model: text(node, "model").unwrap_or_default(),
        context_size: int(node, "context_size"),
        runtime_flags: texts(node, "runtime_flags"),
        extensions: extensions(node),
        span: Some(entry.key_span),
    }
}
