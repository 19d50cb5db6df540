//! `compose network inspect`: all that is known of networks, as Docker writes it.

use super::find::{self, Known};
use crate::commands::pods;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::template;
use resource::{Endpoint, NetworkRecord, ObservedContainer, Subnet};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Flags of `network inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// json, or a template
    #[arg(short, long, default_value = "json", hide_default_value = true, value_name = "FORMAT")]
    format: String,
    /// As without it: containers are always told
    #[arg(short, long)]
    verbose: bool,
    /// Names, or ids and beginnings of them
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

/// Prints a list with an object for each network, or each through a template.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let pods = pods(session)?;
    let known = find::every(session.viewer()?, &pods);
    let chosen = args.networks.iter().map(|word| find::one(&known, word));
    let chosen: Vec<&Known<'_>> = chosen.collect::<Result<_, _>>()?;
    let rows: Vec<_> = chosen.iter().map(|one| (object(one), &one.record.spec.labels)).collect();
    output::result(&template::inspected(&args.format, rows)?)?;
    Ok(Exit::Success)
}

fn object(known: &Known<'_>) -> Map<String, Value> {
    let NetworkRecord { id, spec, created, subnets, .. } = &known.record;
    let running = known.users.iter().filter(|(container, _)| container.state.process.is_some());
    let containers: Map<String, Value> = running
        .map(|(container, endpoint)| (container.record.id.0.clone(), on_network(container, endpoint)))
        .collect();
    let pools = subnets.iter().map(|pool| address_pool(&known.record, pool));
    let object = json!({
        "Name": spec.name.as_str(),
        "Id": id,
        "Created": created.to_string(),
        "Scope": "local",
        "Driver": spec.driver.as_str(),
        "EnableIPv4": spec.ipv4,
        "EnableIPv6": spec.ipv6 || subnets.iter().any(|(subnet, _)| subnet.address.is_ipv6()),
        "IPAM": { "Driver": "default", "Options": {}, "Config": pools.collect::<Vec<_>>() },
        "Internal": spec.internal,
        // Whoever names it as external joins it.
        "Attachable": true,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": spec.options,
        "Labels": spec.labels,
    });
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn address_pool(record: &NetworkRecord, (subnet, gateway): &(Subnet, IpAddr)) -> Value {
    let mut pool = json!({ "Subnet": subnet.to_string(), "Gateway": gateway.to_string() });
    let range = record.spec.ip_ranges.iter().find(|range| subnet.contains(range.address));
    if let Some(range) = range {
        pool["IPRange"] = json!(range.to_string());
    }
    let kept = record.spec.auxiliary.iter().filter(|(_, address)| subnet.contains(**address));
    let kept: Map<String, Value> = kept.map(|(name, address)| (name.clone(), json!(address))).collect();
    if !kept.is_empty() {
        pool["AuxiliaryAddresses"] = Value::Object(kept);
    }
    pool
}

fn on_network(container: &ObservedContainer, endpoint: &Endpoint) -> Value {
    let address = |of_family: fn(&IpAddr) -> bool| {
        let found = endpoint.addresses.iter().find(|(address, _)| of_family(address));
        found.map_or_else(String::new, |(address, prefix)| format!("{address}/{prefix}"))
    };
    let mac: Vec<String> = endpoint.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "Name": container.record.spec.name.as_str(),
        // Docker has ids for these; here the interface is named by its container.
        "EndpointID": container.record.id.as_str(),
        "MacAddress": mac.join(":"),
        "IPv4Address": address(IpAddr::is_ipv4),
        "IPv6Address": address(IpAddr::is_ipv6),
    })
}
