//! `compose pod inspect`: all that is known of pods.

use super::choose::{self, Which};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::template::{self, Format};
use engine::{Engine, PodSummary, Subject};
use resource::{EndpointSpec, IdentityShare, NetworkMode, ObservedContainer, RestartPolicy};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Flags of `pod inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// json, or a template
    #[arg(short, long, default_value = "json", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// The pod that was made last
    #[arg(short, long, conflicts_with = "pods")]
    latest: bool,
    /// Names, ids or beginnings of ids
    #[arg(value_name = "POD")]
    pods: Vec<String>,
}

/// Shows pods, as an array of objects or through a template.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let which = Which { all: false, latest: args.latest, pods: args.pods.clone() };
    let pods = which.of(session)?;
    let engine = session.engine()?;
    let objects = pods.iter().map(|pod| object(engine, pod));
    let text = match Format::parse(&args.format)? {
        Format::Json | Format::Table => {
            let objects = Value::Array(objects.map(Value::Object).collect());
            format!("{objects:#}\n")
        }
        Format::TableOf(template) | Format::Lines(template) => {
            let rows: Vec<_> =
                objects.zip(&pods).map(|(row, pod)| (template::with_id(row), &pod.record.labels)).collect();
            template::rows(&template, false, &rows)?
        }
    };
    output::result(&text)?;
    Ok(Exit::Success)
}

/// The restart policy that all containers of a pod have; empty where they differ, or there is none.
fn restart_policy(pod: &PodSummary) -> String {
    let specs = || pod.containers.iter().map(|one| &one.record.spec).filter(|spec| !spec.is_infra());
    let policy = specs().next().map(|spec| spec.restart);
    match policy.filter(|policy| specs().all(|spec| spec.restart == *policy)) {
        None => String::new(),
        Some(RestartPolicy::No) => "no".to_owned(),
        Some(RestartPolicy::Always) => "always".to_owned(),
        Some(RestartPolicy::UnlessStopped) => "unless-stopped".to_owned(),
        Some(RestartPolicy::OnFailure { limit: None }) => "on-failure".to_owned(),
        Some(RestartPolicy::OnFailure { limit: Some(limit) }) => format!("on-failure:{limit}"),
    }
}

/// What holds for all who share the namespaces of an infra, in Podman's names.
fn infra_config(infra: &ObservedContainer) -> Value {
    let spec = &infra.record.spec;
    let mut ports: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for binding in &infra.state.ports {
        let key = format!("{}/{}", binding.target, binding.protocol.as_str());
        let host =
            json!({ "HostIp": binding.host_ip.to_string(), "HostPort": binding.host_port.to_string() });
        ports.entry(key).or_default().push(host);
    }
    let host = |(name, address): &(String, Option<IpAddr>)| {
        let address = address.map_or_else(|| "host-gateway".to_owned(), |address| address.to_string());
        format!("{name}:{address}")
    };
    let fixed = |address: &dyn Fn(&EndpointSpec) -> Option<String>| {
        spec.endpoints.iter().find_map(address).unwrap_or_default()
    };
    json!({
        "PortBindings": ports,
        "HostNetwork": spec.network_mode == NetworkMode::Host,
        "StaticIP": fixed(&|endpoint| endpoint.ipv4.map(|address| address.to_string())),
        "StaticMAC": fixed(&|endpoint| endpoint.mac.clone()),
        "NoManageResolvConf": false,
        "NoManageHosts": false,
        "DNSServer": spec.dns,
        "DNSSearch": spec.dns_search,
        "DNSOption": spec.dns_options,
        "HostAdd": spec.extra_hosts.iter().map(host).collect::<Vec<_>>(),
        "Networks": spec.endpoints.iter().map(|endpoint| endpoint.network.as_str()).collect::<Vec<_>>(),
        "NetworkOptions": null,
        // Of all containers of this user: a pod has none of its own.
        "userns": "host",
        "pid_ns": own_or_hosts(&spec.pid),
        "uts_ns": own_or_hosts(&spec.uts),
    })
}

/// Whose namespace it is, in Podman's words.
fn own_or_hosts(share: &IdentityShare) -> &'static str {
    if *share == IdentityShare::Host { "host" } else { "private" }
}

fn object(engine: &Engine, pod: &PodSummary) -> Map<String, Value> {
    let record = &pod.record;
    let container = |container: &ObservedContainer| {
        json!({
            "Id": container.record.id.as_str(),
            "Name": container.record.spec.name.as_str(),
            "State": container.state.status.as_str(),
        })
    };
    // Those whose documents cannot be read have no more than this.
    let lost = pod.damage.iter().filter_map(|damage| match &damage.subject {
        Subject::Container(id, name) => Some(json!({ "Id": id, "Name": name, "State": "damaged" })),
        _ => None,
    });
    let containers: Vec<Value> = pod.containers.iter().map(container).chain(lost).collect();
    let (infra, cgroup) = (pod.infra(), choose::cgroup(engine, pod));
    let usage = engine.pod_usage(&record.name).map(|usage| {
        json!({
            "CPU": usage.cpu,
            "Memory": usage.memory,
            "PIDs": usage.pids,
            "BlockRead": usage.read,
            "BlockWritten": usage.written,
        })
    });
    let object = json!({
        "Id": record.id,
        "Name": record.name.as_str(),
        "Created": record.created.to_string(),
        "State": pod.status().as_str(),
        "Hostname": infra.and_then(|infra| infra.record.spec.hostname.clone()).unwrap_or_default(),
        "Labels": record.labels,
        "CreateCgroup": !cgroup.is_empty(),
        "CgroupParent": cgroup.rsplit_once('/').map_or("", |(parent, _)| parent),
        "CgroupPath": cgroup,
        // An infra goes with the last container.
        "ExitPolicy": "stop",
        "RestartPolicy": restart_policy(pod),
        "CreateInfra": infra.is_some(),
        "NumContainers": containers.len(),
        "Containers": containers,
        "Networks": choose::networks(pod),
        "Usage": usage,
    });
    let Value::Object(mut object) = object else { return Map::new() };
    if let Some(infra) = infra {
        object.insert("InfraConfig".to_owned(), infra_config(infra));
        object.insert("InfraContainerID".to_owned(), json!(choose::infra_id(pod)));
        object.insert("SharedNamespaces".to_owned(), json!(pod.shared_namespaces()));
    }
    if !record.command.is_empty() {
        object.insert("CreateCommand".to_owned(), json!(record.command));
    }
    let totals = &record.resources;
    // As Podman has them: only those that are set, in names of their own style.
    for (name, value) in [
        ("cpu_period", totals.cpu_period.map(Value::from)),
        ("cpu_quota", totals.cpu_quota.map(Value::from)),
        ("cpu_shares", totals.cpu_shares.map(Value::from)),
        ("memory_limit", totals.memory.map(Value::from)),
        ("memory_swap", totals.memory_swap.map(Value::from)),
        ("pids_limit", totals.pids.map(Value::from)),
    ] {
        object.extend(value.map(|value| (name.to_owned(), value)));
    }
    object
}
