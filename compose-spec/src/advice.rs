//! What is allowed and surely a mistake: warnings about a project that is otherwise right.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use diagnostic::{Diagnostic, Sources};

use crate::assemble::Assembler;
use crate::model::{Condition, NetworkMode, Port, Project, Service};
use crate::select::Used;
use crate::tree::Node;

/// Warns of what is probably not meant. For projects without errors, before anything is dropped.
pub(crate) fn advise(project: &Project, assembler: &mut Assembler<'_>) {
    let mut told = Vec::new();
    if !assembler.input.options.all_resources {
        unused(project, &mut told);
    }
    for service in project.services.values() {
        waits(project, service, &mut told);
        quoted(service, &assembler.sources, &mut told);
        ports(service, &assembler.sources, &mut told);
        modes(service, &assembler.sources, &mut told);
    }
    published_twice(project, &mut told);
    assembler.diagnostics.extend(told);
}

/// Ports of the host that two entries publish: whichever starts second fails.
fn published_twice(project: &Project, told: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<u16, Vec<(&Port, &str)>> = BTreeMap::new();
    for service in project.services.values() {
        let is_own = !matches!(
            service.network_mode,
            Some(NetworkMode::Host | NetworkMode::None | NetworkMode::Service(_) | NetworkMode::Container(_))
        );
        for port in service.ports.iter().filter(|_| is_own) {
            let Some((first, last)) = port.published.filter(|(first, _)| *first != 0) else { continue };
            if first != last {
                continue;
            }
            let earlier = seen.entry(first).or_default();
            let clash = earlier.iter().find(|(other, _)| {
                other.protocol == port.protocol && same_address(other.host_ip, port.host_ip)
            });
            if let Some((other, owner)) = clash.filter(|(other, _)| other.span != port.span) {
                let message = match *owner == service.name {
                    true => format!("service `{owner}` publishes port {first} of the host twice"),
                    false => format!(
                        "services `{owner}` and `{}` both publish port {first} of the host",
                        service.name
                    ),
                };
                told.push(
                    Diagnostic::warning("published-twice", message)
                        .at(port.span, "published here")
                        .at(other.span, "and here")
                        .help("one of them cannot start: give one another port, or an address of its own"),
                );
            }
            earlier.push((port, &service.name));
        }
    }
}

/// Whether a port cannot be listened at on both addresses; none is all of them.
fn same_address(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    let all = |address: Option<IpAddr>| address.is_none_or(|address| address.is_unspecified());
    match (one, other) {
        (Some(one), Some(other)) if one.is_ipv4() != other.is_ipv4() => false,
        _ => all(one) || all(other) || one == other,
    }
}

/// Volumes, networks, secrets, configs that no service uses, disabled ones included.
fn unused(project: &Project, told: &mut Vec<Diagnostic>) {
    let mut used = Used::default();
    for service in project.services.values().chain(project.disabled_services.values()) {
        used.add(service);
        let credentials = service.tree.get("credential_spec").and_then(|spec| spec.str("config"));
        used.configs.extend(credentials.map(str::to_owned));
    }
    used.networks.insert("default".to_owned());
    for (section, what, used) in [
        ("volumes", "volume", &used.volumes),
        ("networks", "network", &used.networks),
        ("secrets", "secret", &used.secrets),
        ("configs", "config", &used.configs),
    ] {
        for (name, entry) in project.section(section).into_iter().flatten() {
            if !used.contains(name) && !entry.key_span.is_nowhere() {
                told.push(
                    Diagnostic::warning("unused", format!("no service uses the {what} `{name}`"))
                        .at(entry.key_span, "defined here")
                        .help(format!("name it under `{section}:` of a service, or remove it")),
                );
            }
        }
    }
}

/// Waiting for the health of what may have no health check.
fn waits(project: &Project, service: &Service, told: &mut Vec<Diagnostic>) {
    for (name, dependency) in &service.depends_on {
        let Some(other) = project.services.get(name) else { continue };
        if dependency.condition != Condition::Healthy {
            continue;
        }
        let check = other.healthcheck.as_ref();
        let is_off = check.is_some_and(|check| {
            check.disable
                || check.test.as_ref().is_some_and(|test| test.first().is_some_and(|word| word == "NONE"))
        });
        let has_test = check.is_some_and(|check| check.test.as_ref().is_some_and(|test| !test.is_empty()))
            // One word to be split, which it is not yet where variables are left as they are written.
            || other.tree.get("healthcheck").and_then(|check| check.get("test")?.as_str()).is_some();
        if is_off {
            told.push(
                Diagnostic::warning(
                    "never-healthy",
                    format!(
                        "`{}` waits until `{name}` is healthy, but its health check is turned off",
                        service.name
                    ),
                )
                .at(dependency.span, "waits for this")
                .at(other.place("healthcheck"), "turned off here")
                .help("give it a `healthcheck:`, or wait for `service_started`"),
            );
        } else if !has_test {
            told.push(
                Diagnostic::warning(
                    "no-healthcheck",
                    format!("`{}` waits until `{name}` is healthy, but `{name}` defines no health check", service.name),
                )
                .at(dependency.span, "waits for this")
                .at(other.span, "no `healthcheck:` here")
                .help(format!(
                    "right if the image of `{name}` brings one; else give it a `healthcheck:`, or wait for `service_started`"
                )),
            );
        }
    }
}

/// `- NAME="value"`, where the quotes become a part of the value.
fn quoted(service: &Service, sources: &Sources, told: &mut Vec<Diagnostic>) {
    for section in ["environment", "labels"] {
        let map = service.tree.get(section).and_then(Node::as_map);
        for (name, entry) in map.into_iter().flatten() {
            let Some(value) = entry.node.as_str() else { continue };
            let inner = ['"', '\''].into_iter().find_map(|quote| {
                value.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote))
            });
            let Some(inner) = inner else { continue };
            if sources.slice(entry.node.span).trim() == format!("{name}={value}") {
                told.push(
                    Diagnostic::warning(
                        "quotes-in-value",
                        format!("the value of `{name}` begins and ends with a quote"),
                    )
                    .at(entry.node.span, "the quotes are a part of the value")
                    .help(format!("write `- {name}={inner}`, or `- \"{name}={inner}\"`")),
                );
            }
        }
    }
}

/// Unquoted ports that other readers of YAML take for other numbers.
fn ports(service: &Service, sources: &Sources, told: &mut Vec<Diagnostic>) {
    let items = service.tree.get("ports").and_then(Node::as_list).unwrap_or(&[]);
    let mut seen = BTreeSet::new();
    for item in items.iter().filter(|item| seen.insert(item.span)) {
        let text = sources.slice(item.span).trim();
        let parts: Vec<&str> = text.split(':').collect();
        let is_digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !parts.iter().all(is_digits) {
            continue;
        }
        let numbers: Vec<u32> = parts.iter().filter_map(|part| part.parse().ok()).collect();
        if parts.iter().any(|part| part.len() > 1 && part.starts_with('0')) {
            told.push(
                Diagnostic::warning("octal-port", format!("the port `{text}` begins with a zero"))
                    .at(item.span, "some readers of YAML take this for an octal number")
                    .help("write it without the zero, in quotes"),
            );
        } else if let [host, container] = numbers[..]
            && host < 60
            && container < 60
        {
            let other = host * 60 + container;
            told.push(
                Diagnostic::warning(
                    "base-60-port",
                    format!("the unquoted port `{text}` can be read as a number"),
                )
                .at(item.span, format!("readers of YAML 1.1 take this for {other}, in base 60"))
                .help(format!("quote it: `\"{text}\"`")),
            );
        }
    }
}

/// File modes that look octal and are decimal.
fn modes(service: &Service, sources: &Sources, told: &mut Vec<Diagnostic>) {
    for section in ["secrets", "configs"] {
        let items = service.tree.get(section).and_then(Node::as_list).unwrap_or(&[]);
        for mode in items.iter().filter_map(|item| item.get("mode")) {
            let text = sources.slice(mode.span).trim();
            let looks_octal = text.len() == 3 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
            if looks_octal
                && let Ok(number) = text.parse::<u32>()
                && !text.starts_with('0')
            {
                told.push(
                    Diagnostic::warning(
                        "decimal-mode",
                        format!("the file mode `{text}` is a decimal number: 0{number:o} in octal"),
                    )
                    .at(mode.span, "no zero before it")
                    .help(format!("write `0{text}`")),
                );
            }
        }
    }
}
