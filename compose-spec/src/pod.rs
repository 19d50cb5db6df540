//! `x-pod`: the extension by which the services of a project share namespaces, and what they may use together.
//!
//! ```yaml
//! x-pod:
//!   share: [net, ipc, uts, pid]
//!   cpus: 1.5
//!   mem_limit: 2g
//! ```

use std::collections::{BTreeMap, BTreeSet};

use diagnostic::{Diagnostic, Span, nearest};

use crate::model::{Project, Protocol, Service};
use crate::tree::{Map, Node, Value};
use crate::units;

/// The key of the extension.
pub(crate) const KEY: &str = "x-pod";

/// A namespace that the services of a project can share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodNamespace {
    /// One address, one set of ports, `localhost` between services.
    Net,
    /// System V and POSIX message queues, semaphores and shared memory.
    Ipc,
    /// One host name.
    Uts,
    /// One set of process numbers.
    Pid,
}

impl PodNamespace {
    const WORDS: [(&'static str, Self); 4] =
        [("net", Self::Net), ("ipc", Self::Ipc), ("uts", Self::Uts), ("pid", Self::Pid)];

    /// All words.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        Self::WORDS.iter().map(|(word, _)| *word)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, namespace)| *namespace == self).map_or("", |(word, _)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, namespace)| *namespace)
    }
}

/// What all services of a project together may use: attributes of `x-pod` that are called as those of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodLimits {
    /// CPUs.
    pub cpus: Option<f64>,
    /// Weight against other projects, 1024 by default.
    pub cpu_shares: Option<i64>,
    /// Bytes of memory.
    pub mem_limit: Option<i64>,
    /// Bytes of memory kept for them.
    pub mem_reservation: Option<i64>,
    /// Bytes of memory and swap together; −1: unlimited swap.
    pub memswap_limit: Option<i64>,
    /// Processes.
    pub pids_limit: Option<i64>,
}

/// Whether a text can be read as a limit, and what such a text is.
type Readable = (fn(&str) -> bool, &'static str);

const SIZE: Readable = (|text| size(text).is_some(), "a size such as `512m`");
const COUNT: Readable = (|text| count(text).is_some(), "a number such as `200`");

/// The attributes of [`PodLimits`].
const LIMITS: [(&str, Readable); 6] = [
    ("cpus", (|text| cpus(text).is_some(), "a number of CPUs such as `1.5`")),
    ("cpu_shares", COUNT),
    ("mem_limit", SIZE),
    ("mem_reservation", SIZE),
    ("memswap_limit", (|text| swap(text).is_some(), "a size such as `1g`, or `-1`")),
    ("pids_limit", COUNT),
];

fn cpus(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)
}

fn count(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| *number > 0)
}

fn size(text: &str) -> Option<i64> {
    units::bytes(text).ok().filter(|bytes| *bytes > 0)
}

fn swap(text: &str) -> Option<i64> {
    units::bytes(text).ok().filter(|bytes| *bytes != 0)
}

/// The names of the attributes of `x-pod` that are limits.
pub(crate) fn limits() -> impl Iterator<Item = &'static str> {
    LIMITS.iter().map(|(key, _)| *key)
}

impl Project {
    /// What the services together may use.
    pub fn pod_limits(&self) -> PodLimits {
        let text = |key: &str| self.extensions.get(KEY).and_then(|pod| pod.get(key)?.scalar_text());
        let text = |key: &str| text(key).unwrap_or_default();
        PodLimits {
            cpus: cpus(&text("cpus")),
            cpu_shares: count(&text("cpu_shares")),
            mem_limit: size(&text("mem_limit")),
            mem_reservation: size(&text("mem_reservation")),
            memswap_limit: swap(&text("memswap_limit")),
            pids_limit: count(&text("pids_limit")),
        }
    }

    /// Where such a limit is said.
    pub fn pod_limit_place(&self, key: &str) -> Option<Span> {
        self.extensions.get(KEY).and_then(|pod| pod.get(key)).map(|node| node.span)
    }

    /// The namespaces that the services share: `x-pod.share`.
    pub fn shared_namespaces(&self) -> BTreeSet<PodNamespace> {
        let share = self.extensions.get(KEY).and_then(|pod| pod.get("share"));
        let words = share.and_then(Node::as_list).into_iter().flatten();
        words.filter_map(|word| PodNamespace::parse(word.as_str()?)).collect()
    }
}

impl Project {
    /// Where it is said which namespaces are shared.
    pub fn pod_place(&self) -> Option<Span> {
        self.extensions.get(KEY).map(|pod| pod.get("share").unwrap_or(pod).span)
    }
}

/// Tells what is wrong with the extension, and which services cannot share what it says.
pub(crate) fn check(project: &Project, told: &mut Vec<Diagnostic>) {
    let Some(pod) = project.extensions.get(KEY) else { return };
    let Some(map) = pod.as_map() else {
        if !matches!(pod.value, Value::Null | Value::Bad) {
            told.push(
                Diagnostic::error("wrong-type", "`x-pod` must be a mapping")
                    .at(pod.span, "")
                    .help("write `x-pod: {share: [net]}`"),
            );
        }
        return;
    };
    keys(map, told);
    for (key, (is_readable, wanted)) in LIMITS {
        let Some(node) = pod.get(key).filter(|node| !matches!(node.value, Value::Null | Value::Bad)) else {
            continue;
        };
        if !node.scalar_text().is_some_and(|text| is_readable(&text)) {
            let message = format!("`x-pod.{key}` must be {wanted}");
            told.push(Diagnostic::error("wrong-type", message).at(node.span, ""));
        }
    }
    if let Some(share) = pod.get("share") {
        words(share, told);
    }
    let shared = project.shared_namespaces();
    for service in project.services.values() {
        excluded(service, &shared, told);
    }
    if shared.contains(&PodNamespace::Net) {
        ports(project, told);
    }
}

fn keys(map: &Map, told: &mut Vec<Diagnostic>) {
    let known = || limits().chain(["share"]);
    let is_known = |key: &str| known().any(|known| known == key) || key.starts_with("x-");
    for (key, entry) in map.iter().filter(|(key, _)| !is_known(key)) {
        let message = format!("`x-pod` has no attribute `{key}`");
        let diagnostic = Diagnostic::error("unknown-key", message).at(entry.key_span, "not known");
        told.push(match nearest(key, known()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help(
                "it has `share`, the namespaces that all services share, and limits for all of them together: \
                 `cpus`, `cpu_shares`, `mem_limit`, `mem_reservation`, `memswap_limit`, `pids_limit`",
            ),
        });
    }
}

fn words(share: &Node, told: &mut Vec<Diagnostic>) {
    let known = PodNamespace::words;
    let list = known().collect::<Vec<_>>().join(", ");
    let Some(items) = share.as_list() else {
        if !matches!(share.value, Value::Null | Value::Bad) {
            told.push(
                Diagnostic::error("wrong-type", "`x-pod.share` must be a list")
                    .at(share.span, "")
                    .help(format!("list some of {list}: `share: [net]`")),
            );
        }
        return;
    };
    for item in items {
        let word = item.scalar_text().unwrap_or_default();
        if item.as_str().is_some_and(|word| PodNamespace::parse(word).is_some()) {
            continue;
        }
        let message = format!("`{word}` is not a namespace that a pod can share");
        let diagnostic = Diagnostic::error("unknown-value", message).at(item.span, "not known");
        told.push(match nearest(&word, known()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help(format!("known are {list}")),
        });
    }
}

/// A service that says for itself what the pod decides for all.
fn excluded(service: &Service, shared: &BTreeSet<PodNamespace>, told: &mut Vec<Diagnostic>) {
    let mut refuse = |namespace: PodNamespace, key: &str, why: &str| {
        if shared.contains(&namespace) {
            let message = format!("service `{}` cannot have `{key}` of its own: {why}", service.name);
            let help = format!("remove `{key}`, or `{}` from `x-pod.share`", namespace.as_str());
            told.push(Diagnostic::error("shared-by-pod", message).at(service.place(key), "").help(help));
        }
    };
    if service.network_mode.is_some() {
        refuse(PodNamespace::Net, "network_mode", "the services of this project share one network namespace");
    }
    if service.mac_address.is_some() {
        refuse(PodNamespace::Net, "mac_address", "the interfaces are the pod's");
    }
    if service.ipc.is_some() {
        refuse(PodNamespace::Ipc, "ipc", "the services of this project share one IPC namespace");
    }
    if service.uts.is_some() {
        refuse(PodNamespace::Uts, "uts", "the services of this project share one UTS namespace");
    }
    if service.hostname.is_some() {
        refuse(PodNamespace::Uts, "hostname", "the host name is the pod's, the project's name");
    }
    if service.pid.is_some() {
        refuse(PodNamespace::Pid, "pid", "the services of this project share one PID namespace");
    }
    if service.init == Some(true) {
        refuse(PodNamespace::Pid, "init", "process 1 is the pod's, which reaps for all");
    }
}

/// In one network namespace two services cannot listen on one port.
fn ports(project: &Project, told: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<(u16, &Protocol), (&Service, Span)> = BTreeMap::new();
    for service in project.services.values() {
        for port in &service.ports {
            let first = seen.entry((port.target, &port.protocol)).or_insert((service, port.span));
            let (other, earlier) = *first;
            if other.name == service.name {
                continue;
            }
            let message = format!(
                "services `{}` and `{}` both listen on port {}/{}, and they share one network namespace",
                other.name,
                service.name,
                port.target,
                word(&port.protocol),
            );
            told.push(
                Diagnostic::error("same-port", message)
                    .at(port.span, format!("in service `{}`", service.name))
                    .at(earlier, format!("in service `{}`", other.name))
                    .help("let one of them listen on another port, or take `net` out of `x-pod.share`"),
            );
        }
    }
}

fn word(protocol: &Protocol) -> &str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
        Protocol::Other(other) => other,
    }
}
