//! `ports` and `expose`.

use std::net::IpAddr;

use diagnostic::{Diagnostic, Span};

use super::put;
use crate::scope::Scope;
use crate::tree::{Map, Node, Value};

/// Host address, host port, container port and protocol.
pub(crate) fn by_port(node: &Node) -> String {
    let Some(map) = node.as_map() else { return super::by_text(node) };
    let part = |key: &str, default: &str| {
        map.get(key).and_then(|entry| entry.node.scalar_text()).unwrap_or_else(|| default.to_owned())
    };
    let (address, published) = (part("host_ip", "0.0.0.0"), part("published", ""));
    format!("{address} {published} {} {}", part("target", ""), part("protocol", "tcp"))
}

/// Short entries → long ones; ranges of container ports become an entry each.
pub(crate) fn ports(node: &mut Node, scope: &mut Scope<'_>) {
    let Value::List(items) = &mut node.value else { return };
    let mut ports = Vec::with_capacity(items.len());
    for mut item in std::mem::take(items) {
        match &item.value {
            Value::String(text) if scope.is_open(text) => ports.push(item),
            Value::String(text) => match short(text) {
                Ok(short) if !scope.make(VALUES * short.count()) => {
                    if !scope.is_enough() {
                        let message = "the ranges of ports are too many ports".to_owned();
                        super::bad(&mut item, scope, message, "the limit is reached here");
                    }
                    item.value = Value::Bad;
                    ports.push(item);
                }
                Ok(short) => short.entries(item.span, &mut ports),
                Err(fault) => {
                    let diagnostic =
                        Diagnostic::error("bad-port", format!("`{text}` is no port: {}", fault.message))
                            .at(scope.within(item.span, fault.part), "");
                    scope.tell(diagnostic.help(fault.help));
                    item.value = Value::Bad;
                    ports.push(item);
                }
            },
            Value::Map(_) => {
                long(&mut item, scope);
                ports.push(item);
            }
            _ => ports.push(item),
        }
    }
    *items = ports;
}

fn long(item: &mut Node, scope: &mut Scope<'_>) {
    let span = item.span;
    let Some(map) = item.as_map_mut() else { return };
    if let Some(entry) = map.get_mut("published")
        && let Some(text) = entry.node.as_str()
        && !scope.is_open(text)
        && !text.is_empty()
        && range(text).is_err()
    {
        let message = format!("`{text}` is no port or range of ports");
        super::bad(&mut entry.node, scope, message, "from 0 to 65535, or `FIRST-LAST`");
    }
    for (key, value) in [("mode", "ingress"), ("protocol", "tcp")] {
        if !map.contains_key(key) {
            put(map, key, Value::String(value.to_owned()), span);
        }
    }
}

struct Fault<'a> {
    message: String,
    part: &'a str,
    help: &'static str,
}

const SHAPE: &str =
    "a port is `CONTAINER`, `HOST:CONTAINER` or `ADDRESS:HOST:CONTAINER`, with `/udp` behind it for UDP";

/// A port in short form, read.
struct Short<'a> {
    address: Option<&'a str>,
    published: Option<(u16, u16)>,
    target: (u16, u16),
    protocol: String,
}

fn short(text: &str) -> Result<Short<'_>, Fault<'_>> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        let part = &text[ports.len() + 1..];
        let message = format!("`{part}` is no protocol");
        return Err(Fault { message, part, help: "the protocols are tcp, udp and sctp" });
    }
    let (host, target) = match ports.rfind(':') {
        Some(at) => (Some(&ports[..at]), &ports[at + 1..]),
        None => (None, ports),
    };
    let target_range = port_range(target)?;
    if target_range.0 == 0 {
        let message = "the container port cannot be 0".to_owned();
        return Err(Fault { message, part: text, help: SHAPE });
    }
    let (address, published) = match host {
        None => (None, ""),
        Some(host) => match host.rfind(':').filter(|_| !host.ends_with(']')) {
            Some(at) => (Some(&host[..at]), &host[at + 1..]),
            None => (None, host),
        },
    };
    let address = match address {
        None | Some("") => None,
        Some(address) => {
            let bare = super::unbracketed(address);
            if bare.parse::<IpAddr>().is_err() {
                let message = format!("`{bare}` is no IP address");
                let help = if bare == "localhost" { "write `127.0.0.1`" } else { SHAPE };
                return Err(Fault { message, part: address, help });
            }
            Some(bare)
        }
    };
    if address.is_none() && published.contains('.') && published.parse::<IpAddr>().is_ok() {
        let message = "behind an address stand two ports".to_owned();
        let help = "write `ADDRESS:HOST:CONTAINER`, or `ADDRESS::CONTAINER` for any free port of the host";
        return Err(Fault { message, part: published, help });
    }
    let published = if published.is_empty() { None } else { Some(port_range(published)?) };
    let length = |(first, last): (u16, u16)| last - first;
    if let Some(published) = published
        && length(target_range) > 0
        && length(published) != length(target_range)
    {
        let message = "the two ranges differ in length".to_owned();
        return Err(Fault { message, part: text, help: "the ranges of host and container have one length" });
    }
    Ok(Short { address, published, target: target_range, protocol })
}

fn port_range(text: &str) -> Result<(u16, u16), Fault<'_>> {
    let help = if text.trim() == text { SHAPE } else { "write it without blanks" };
    range(text).map_err(|message| Fault { message, part: text, help })
}

/// Reads `80` or `80-82`.
pub(super) fn range(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(port) if digits => Ok(port),
            _ if digits => Err(format!("`{text}` is above 65535")),
            _ if text.is_empty() => Err("a number is missing".to_owned()),
            _ => Err(format!("`{text}` is no number")),
        }
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last { Err(format!("the range `{text}` runs backwards")) } else { Ok((first, last)) }
}

/// Values that a port in long form is made of.
const VALUES: usize = 6;

impl Short<'_> {
    fn count(&self) -> usize {
        usize::from(self.target.1 - self.target.0) + 1
    }

    /// An entry for each container port, sorted as texts: `98-101` begins with 100, as Docker Compose has it.
    fn entries(&self, span: Span, ports: &mut Vec<Node>) {
        let (first, last) = self.target;
        let mut targets: Vec<u16> = (first..=last).collect();
        if first.ilog10() < last.ilog10() {
            targets.sort_by_cached_key(u16::to_string);
        }
        for target in targets {
            let published = self.published.map(|(low, high)| match (first == last, low == high) {
                (true, false) => format!("{low}-{high}"),
                _ => (low + (target - first)).to_string(),
            });
            let optional = usize::from(published.is_some()) + usize::from(self.address.is_some());
            let mut map = Map::with_capacity(3 + optional);
            put(&mut map, "mode", Value::String("ingress".to_owned()), span);
            put(&mut map, "protocol", Value::String(self.protocol.clone()), span);
            put(&mut map, "target", Value::Int(target.into()), span);
            if let Some(published) = published {
                put(&mut map, "published", Value::String(published), span);
            }
            if let Some(address) = self.address {
                put(&mut map, "host_ip", Value::String(address.to_owned()), span);
            }
            ports.push(Node::new(Value::Map(map), span));
        }
    }
}

/// `port[/protocol]` or `first-last[/protocol]`.
pub(crate) fn expose(node: &mut Node, scope: &mut Scope<'_>) {
    let Value::List(items) = &mut node.value else { return };
    for item in items {
        let Value::String(text) = &item.value else { continue };
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let known = matches!(protocol.to_ascii_lowercase().as_str(), "tcp" | "udp" | "sctp");
        if !scope.is_open(text) && (range(ports).is_err() || !known) {
            let message = format!("`{text}` is no port to expose");
            super::bad(item, scope, message, "write `PORT`, `FIRST-LAST` or either with `/udp`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let mut ports = Vec::new();
        short(text).map_err(|fault| fault.message)?.entries(Span::NOWHERE, &mut ports);
        Ok(ports.iter().map(by_port).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn short_forms() {
        for (text, ports) in [
            ("80", "0.0.0.0  80 tcp"),
            ("80-81", "0.0.0.0  80 tcp, 0.0.0.0  81 tcp"),
            ("9-11", "0.0.0.0  10 tcp, 0.0.0.0  11 tcp, 0.0.0.0  9 tcp"),
            ("8080:80/UDP", "0.0.0.0 8080 80 udp"),
            ("9000-9001:9000-9001", "0.0.0.0 9000 9000 tcp, 0.0.0.0 9001 9001 tcp"),
            ("8080-8090:80", "0.0.0.0 8080-8090 80 tcp"),
            ("127.0.0.1:80:80", "127.0.0.1 80 80 tcp"),
            ("127.0.0.1::80", "127.0.0.1  80 tcp"),
            (":80", "0.0.0.0  80 tcp"),
            ("[::1]:80:80", "::1 80 80 tcp"),
            ("::1:80:80", "::1 80 80 tcp"),
            ("0:80", "0.0.0.0 0 80 tcp"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(ports), "{text}");
        }
        for text in ["", "a", "80.5", "70000:80", "80:0", "80-82:80-81", "90-80", "80/x", "x:80:80", "80:"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
