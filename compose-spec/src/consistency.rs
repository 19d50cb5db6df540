//! References between things, and values that exclude each other: checked on the typed project, when all
//! files, profiles and defaults have been taken in.

mod cycle;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use diagnostic::{Diagnostic, Span, has_errors, nearest};

use crate::assemble::Assembler;
use crate::model::{FileMount, MountKind, NetworkMode, Project, Service};
use crate::scope::{MOST_TOLD, is_enough};
use crate::tree::{Node, Value};

/// What the model tells of its top level that the project does not.
pub(crate) struct Known {
    /// Sections that could not be read, which is told: whatever is not in them may be meant to be.
    unread: Vec<&'static str>,
    /// Where `services` stands.
    services: Span,
}

impl Known {
    pub(crate) fn of(model: &Node) -> Self {
        let sections = ["networks", "volumes", "secrets", "configs", "models"].into_iter();
        let is_bad = |key: &&str| model.get(key).is_some_and(|node| matches!(node.value, Value::Bad));
        let services = model.as_map().and_then(|map| map.get("services"));
        let services = services.map_or(Span::NOWHERE, |entry| entry.key_span);
        Self { unread: sections.filter(is_bad).collect(), services }
    }
}

/// Checks the enabled services of a project. What is left to a file that could not be read is not asked for.
pub(crate) fn check(project: &Project, known: &Known, assembler: &mut Assembler<'_>) {
    let mut told = Vec::new();
    let references = assembler.input.options.check_consistency && !assembler.incomplete;
    let checker = Checker { project, known, references, searches: Cell::new(0) };
    if project.services.is_empty()
        && project.disabled_services.is_empty()
        && !has_errors(&assembler.diagnostics)
    {
        let is_whole = ["networks", "volumes", "secrets", "configs", "models"];
        if is_whole.iter().all(|key| project.section(key).is_none_or(|map| map.is_empty())) {
            told.push(
                Diagnostic::error("empty-file", "the Compose file has no services")
                    .at(known.services, "nothing is under this")
                    .help("it needs at least one: `services: {web: {image: nginx}}`"),
            );
        }
    }
    for service in project.services.values() {
        checker.service(service, &mut told);
    }
    crate::pod::check(project, &mut told);
    if checker.references {
        checker.container_names(&mut told);
        told.extend(cycle::find(project));
    }
    assembler.diagnostics.extend(told);
}

struct Checker<'a> {
    project: &'a Project,
    known: &'a Known,
    /// Whether references are checked.
    references: bool,
    /// How often a similar name was looked for.
    searches: Cell<usize>,
}

impl Checker<'_> {
    fn service(&self, service: &Service, told: &mut Vec<Diagnostic>) {
        if matches!(service.tree.value, Value::Bad) {
            return;
        }
        let has = |key: &str| service.tree.get(key).is_some_and(|node| node.as_str() != Some(""));
        if self.references && !has("image") && !has("build") && !has("provider") {
            told.push(
                Diagnostic::error(
                    "no-image",
                    format!("service `{}` has neither an image nor a build context", service.name),
                )
                .at(service.span, "nothing to run")
                .help("give it `image:` or `build:`"),
            );
        }
        self.exclusions(service, told);
        amounts(service, told);
        targets(service, told);
        if self.references {
            self.dependencies(service, told);
            self.resources(service, told);
        }
    }

    fn exclusions(&self, service: &Service, told: &mut Vec<Diagnostic>) {
        let mut exclusive = |node: &Node, first: &str, second: &str| {
            let place = |key: &str| node.as_map().and_then(|map| map.get(key)).map(|entry| entry.key_span);
            if let (Some(one), Some(other)) = (place(first), place(second)) {
                let message =
                    format!("`{first}` and `{second}` of service `{}` exclude each other", service.name);
                told.push(
                    Diagnostic::error("exclusive-keys", message)
                        .at(other, "this")
                        .at(one, "and this")
                        .help(format!("remove `{first}` or `{second}`")),
                );
            }
        };
        if self.references && service.network_mode.is_some() {
            exclusive(&service.tree, "network_mode", "networks");
        }
        if let Some(build) = service.tree.get("build") {
            exclusive(build, "dockerfile", "dockerfile_inline");
        }
        if let (true, Some(build), Some(platform)) = (self.references, &service.build, &service.platform)
            && !build.platforms.is_empty()
            && !build.platforms.contains(platform)
        {
            let message = format!("`build.platforms` of service `{}` lacks its `platform`", service.name);
            told.push(
                Diagnostic::error("platform-not-built", message)
                    .at(service.place("platform"), "the platform it runs on")
                    .at(service.place("build.platforms"), "the platforms it is built for")
                    .help(format!("add `{platform}` to `build.platforms`")),
            );
        }
    }

    fn dependencies(&self, service: &Service, told: &mut Vec<Diagnostic>) {
        for (name, dependency) in &service.depends_on {
            if self.project.services.contains_key(name) {
                continue;
            }
            if !dependency.required {
                if !self.project.disabled_services.contains_key(name) {
                    told.push(self.no_optional_service(service, name, dependency.span));
                }
                continue;
            }
            let message = format!("service `{}` depends on `{name}`, which is not defined", service.name);
            told.push(self.no_service("unknown-dependency", message, name, dependency.span));
        }
        let contexts = service.build.iter().flat_map(|build| &build.additional_contexts);
        for (key, context) in contexts {
            let Some(name) = context.strip_prefix("service:") else { continue };
            let span = service.place(&format!("build.additional_contexts.{key}"));
            let all = || self.project.services.get(name).or_else(|| self.project.disabled_services.get(name));
            match all() {
                Some(other) if other.build.is_some() => {}
                Some(_) => told.push(
                    Diagnostic::error(
                        "no-build",
                        format!("service `{name}` is used to build but has no `build`"),
                    )
                    .at(span, ""),
                ),
                None => {
                    let message = format!(
                        "the build of service `{}` needs `{name}`, which is not defined",
                        service.name
                    );
                    told.push(self.no_service("unknown-service", message, name, span));
                }
            }
        }
    }

    fn no_optional_service(&self, service: &Service, name: &str, span: Span) -> Diagnostic {
        let message = format!("service `{}` can do without `{name}`, which is not defined", service.name);
        let diagnostic =
            Diagnostic::warning("unknown-dependency", message).at(span, "no service has this name");
        match self.similar(name) {
            Some(near) => diagnostic.help(format!("a service with a similar name exists: `{near}`")),
            None => diagnostic,
        }
    }

    /// The service with the most similar name; not looked for any more when nobody would read it.
    fn similar(&self, name: &str) -> Option<&str> {
        let searches = self.searches.replace(self.searches.get() + 1);
        let names = self.project.services.keys().map(String::as_str);
        if searches < MOST_TOLD { nearest(name, names) } else { None }
    }

    fn no_service(&self, code: &'static str, message: String, name: &str, span: Span) -> Diagnostic {
        if let Some(disabled) = self.project.disabled_services.get(name) {
            let message = message.replace("is not defined", "is disabled");
            let profile = disabled.profiles.first().map_or("", String::as_str);
            return Diagnostic::error(code, message)
                .at(span, "no profile of it is active")
                .at(disabled.span, "this is the service")
                .help(format!("activate it with `--profile {profile}`, or write `required: false`"));
        }
        let diagnostic = Diagnostic::error(code, message).at(span, "no service has this name");
        match self.similar(name) {
            Some(near) => diagnostic.help(format!("a service with a similar name exists: `{near}`")),
            None => diagnostic,
        }
    }

    fn resources(&self, service: &Service, told: &mut Vec<Diagnostic>) {
        let project = self.project;
        let mut look =
            |what: &'static str, name: &str, span: Span, known: &mut dyn Iterator<Item = &String>| {
                let is_read =
                    !self.known.unread.iter().any(|section| section.strip_suffix('s') == Some(what));
                if is_read && !is_enough(told) {
                    told.push(undefined(service, what, name, span, known));
                }
            };
        for (name, attachment) in &service.networks {
            if !project.networks.contains_key(name) && name != "default" {
                look("network", name, attachment.span.unwrap_or(service.span), &mut project.networks.keys());
            }
        }
        for mount in service.volumes.iter().filter(|mount| mount.kind == MountKind::Volume) {
            if let Some(name) = mount.source.as_ref().filter(|name| !project.volumes.contains_key(*name)) {
                look("volume", name, mount.span, &mut project.volumes.keys());
            }
        }
        let files = |list: &[FileMount], defined: &BTreeMap<String, _>| {
            list.iter().filter(|file| !defined.contains_key(&file.source)).cloned().collect::<Vec<_>>()
        };
        let build = service.build.as_ref().map(|build| build.secrets.as_slice()).unwrap_or(&[]);
        for list in [service.secrets.as_slice(), build] {
            for secret in files(list, &project.secrets) {
                look("secret", &secret.source, secret.span, &mut project.secrets.keys());
            }
        }
        for config in files(&service.configs, &project.configs) {
            look("config", &config.source, config.span, &mut project.configs.keys());
        }
        for name in service.models.keys().filter(|name| !project.models.contains_key(*name)) {
            look("model", name, service.place(&format!("models.{name}")), &mut project.models.keys());
        }
        if let Some(NetworkMode::Network(name)) = &service.network_mode
            && project.networks.contains_key(name)
        {
            let span = service.place("network_mode");
            told.push(
                Diagnostic::warning(
                    "network-mode",
                    format!("`network_mode: {name}` names a network as the engine knows it"),
                )
                .at(span, "not a key of `networks`")
                .help(format!("to join the network of this project write `networks: [{name}]`")),
            );
        }
    }

    fn container_names(&self, told: &mut Vec<Diagnostic>) {
        let mut seen: HashMap<&str, &Service> = HashMap::new();
        for service in self.project.services.values() {
            let Some(name) = &service.container_name else { continue };
            if let Some(earlier) = seen.insert(name, service) {
                told.push(
                    Diagnostic::error(
                        "same-container-name",
                        format!("two services name their container `{name}`"),
                    )
                    .at(service.place("container_name"), format!("in service `{}`", service.name))
                    .at(earlier.place("container_name"), format!("in service `{}`", earlier.name))
                    .help("the name of a container is unique"),
                );
            }
        }
    }
}

fn undefined(
    service: &Service,
    what: &str,
    name: &str,
    span: Span,
    known: &mut dyn Iterator<Item = &String>,
) -> Diagnostic {
    let message = format!("service `{}` refers to the {what} `{name}`, which is not defined", service.name);
    let code = match what {
        "network" => "unknown-network",
        "volume" => "unknown-volume",
        "secret" => "unknown-secret",
        "config" => "unknown-config",
        _ => "unknown-model",
    };
    let diagnostic = Diagnostic::error(code, message).at(span, format!("no {what} has this name"));
    if let Some(near) = nearest(name, known.map(String::as_str)) {
        return diagnostic.help(format!("a {what} with a similar name exists: `{near}`"));
    }
    match what {
        "volume" if name.contains('/') => diagnostic.help(format!("for a folder write `./{name}`")),
        "volume" => diagnostic.help(format!(
            "define it at the top level: `volumes: {{{name}: }}`; for a folder write `./{name}`"
        )),
        "network" => diagnostic.help(format!("define it at the top level: `networks: {{{name}: }}`")),
        _ => diagnostic.help(format!("define it at the top level, under `{what}s:`")),
    }
}

/// Values said twice must be the same.
fn amounts(service: &Service, told: &mut Vec<Diagnostic>) {
    let mut distinct = |first: &str, second: &str, differ: bool| {
        if differ {
            let message =
                format!("`{first}` and `{second}` of service `{}` have different values", service.name);
            told.push(
                Diagnostic::error("distinct-values", message)
                    .at(service.place(first), "one value")
                    .at(service.place(second), "another")
                    .help("keep one of the two"),
            );
        }
    };
    if let Some(deploy) = &service.deploy {
        let replicas =
            service.scale.is_some() && deploy.replicas.is_some() && service.scale != deploy.replicas;
        distinct("scale", "deploy.replicas", replicas);
        let differ = |own: Option<i64>, deployed: Option<i64>| matches!((own, deployed), (Some(own), Some(deployed)) if own != deployed && own != 0);
        distinct(
            "mem_limit",
            "deploy.resources.limits.memory",
            differ(service.mem_limit, deploy.limit_memory),
        );
        distinct(
            "mem_reservation",
            "deploy.resources.reservations.memory",
            differ(service.mem_reservation, deploy.reservation_memory),
        );
        distinct("pids_limit", "deploy.resources.limits.pids", differ(service.pids_limit, deploy.limit_pids));
        let cpus = matches!((service.cpus, deploy.limit_cpus), (Some(own), Some(other)) if own != other);
        distinct("cpus", "deploy.resources.limits.cpus", cpus);
    }
    // The network of the highest priority, of equal ones the first by name, gets the service's address.
    let by_priority = |a: &&String, b: &&String| {
        let priority = |name: &String| service.networks[name].priority;
        priority(a).total_cmp(&priority(b)).then(b.cmp(a))
    };
    if let Some(name) = service.networks.keys().max_by(by_priority) {
        let own = &service.networks[name].mac_address;
        let differ = matches!((&service.mac_address, own), (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other));
        distinct("mac_address", &format!("networks.{name}.mac_address"), differ);
    }
    if service.container_name.is_some() && service.replicas() > 1 {
        told.push(
            Diagnostic::error(
                "named-and-scaled",
                format!(
                    "service `{}` has a `container_name` and {} replicas",
                    service.name,
                    service.replicas()
                ),
            )
            .at(service.place("container_name"), "only one container can have it")
            .help("remove `container_name`, or the scale"),
        );
    }
}

/// Two mounts cannot have one target.
fn targets(service: &Service, told: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<Cow<'_, str>, Span> = BTreeMap::new();
    let tmpfs = service.tmpfs.iter().enumerate().map(|(index, text)| {
        let path = text.split(':').next().unwrap_or(text);
        (Cow::from(crate::forms::clean(path)), service.place(&format!("tmpfs.{index}")))
    });
    let volumes = service.volumes.iter().map(|mount| (Cow::from(&mount.target), mount.span));
    for (target, span) in volumes.chain(tmpfs) {
        if let Some(earlier) = seen.get(&target) {
            told.push(
                Diagnostic::error(
                    "same-target",
                    format!("two mounts of service `{}` are at `{target}`", service.name),
                )
                .at(span, "this one")
                .at(*earlier, "and this one"),
            );
        } else {
            seen.insert(target, span);
        }
    }
}
