//! A service: its containers, its image and what it needs of other services.

use crate::hooks;
use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::model;
use resource::{
    Condition, ContainerSpec, Dependency, DesiredService, HealthCheck, ImageNeed, OnUnhealthy, Platform,
    ProcessSpec, PullPolicy, Reference, RestartPolicy,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

impl Lowering<'_> {
    /// Lowers a service; `None` after an error without which there is nothing to go on with.
    pub(crate) fn service(&mut self, service: &Service) -> Option<DesiredService> {
        if let Some(provider) = &service.provider {
            return self.provided(service, provider);
        }
        self.tell_ignored(service);
        self.check_values(service);
        let bound = bound_to(service);
        self.check_bonds(service, &bound);
        let image = self.image(service)?;
        let container = self.container(service, &image);
        let places = self.part_places(service, &container);
        let builds = self.builds(service, &image);
        Some(DesiredService {
            name: service.name.clone(),
            selected: true,
            replicas: service.replicas(),
            container,
            fixed_name: service.container_name.is_some(),
            separator: self.separator().to_owned(),
            depends_on: service.depends_on.iter().map(dependency).collect(),
            image,
            bound_to: bound.into_iter().collect(),
            place: self.options.sources.place(service.span),
            pre_start: vec![],
            mounted_images: self.mounted_images(service),
            provider: None,
            update: self.update(service),
            places,
            builds,
        })
    }

    pub(crate) fn image(&mut self, service: &Service) -> Option<ImageNeed> {
        let text = service.image_or_default(&self.project.name, self.separator());
        self.image_named(service, &text, "image")
    }

    /// The need of an image that a service names at a path below it.
    pub(crate) fn image_named(&mut self, service: &Service, text: &str, path: &str) -> Option<ImageNeed> {
        let reference = match Reference::parse(text) {
            Ok(reference) => reference,
            Err(error) => {
                self.error(service, path, error.to_string());
                return None;
            }
        };
        // An empty one, of a variable that is not set, is none.
        let platform = match service.platform.as_deref().filter(|text| !text.is_empty()) {
            None => self.options.platform.clone(),
            Some(text) => {
                let platform = Platform::parse(text);
                if platform.is_none() {
                    self.error(
                        service,
                        "platform",
                        format!("`{text}` is not a platform such as `linux/amd64`"),
                    );
                }
                platform
            }
        };
        let policy = match service.pull_policy {
            None | Some(model::PullPolicy::Missing) => PullPolicy::Missing,
            Some(model::PullPolicy::Always) => PullPolicy::Always,
            Some(model::PullPolicy::Never) => PullPolicy::Never,
            Some(model::PullPolicy::Build) => PullPolicy::Build,
            Some(model::PullPolicy::Every(period)) => PullPolicy::Every(period.as_secs()),
        };
        Some(ImageNeed {
            reference,
            platform,
            policy,
            buildable: service.build.is_some(),
            resolved: None,
            place: self.options.sources.place(service.place(path)),
        })
    }

    fn container(&mut self, service: &Service, image: &ImageNeed) -> ContainerSpec {
        let (network_mode, endpoints) = self.connection(service);
        let mounts = self.mounts(service);
        let told = self.model_variables(service);
        let labels = self.container_labels(service, &mounts, &told);
        ContainerSpec {
            name: self.first_container(&service.name),
            pod: self.pod(),
            service: service.name.clone(),
            number: Some(1),
            image: image.reference.clone(),
            platform: image.platform.clone(),
            process: process(service, told),
            hostname: service.hostname.clone(),
            domainname: service.domainname.clone(),
            ports: self.ports(service, &network_mode),
            network_mode,
            endpoints,
            exposed: service.expose.clone(),
            dns: self.name_servers(service),
            dns_search: service.dns_search.clone(),
            dns_options: service.dns_opt.clone(),
            extra_hosts: self.extra_hosts(service),
            links: self.links(service),
            volumes_from: self.volumes_from(service),
            restart: restart(service.restart_policy()),
            healthcheck: self.healthcheck(service),
            on_unhealthy: self.on_unhealthy(service),
            stop_signal: service.stop_signal.clone(),
            stop_grace: service.stop_grace_period,
            post_start: hooks::lasting(&service.post_start),
            pre_stop: hooks::lasting(&service.pre_stop),
            runtime: self.runtime(service),
            security: self.security(service),
            pid: self.share(service, "pid", service.pid.as_deref()),
            ipc: self.share(service, "ipc", service.ipc.as_deref()),
            uts: self.share(service, "uts", service.uts.as_deref()),
            cgroup: self.share(service, "cgroup", service.cgroup.as_deref()),
            resources: self.resources(service),
            rlimits: crate::build::rlimits(&service.ulimits),
            shm_size: service.shm_size.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
            log: self.logging(service),
            auto_remove: false,
            volatile: false,
            annotations: service.annotations.clone(),
            labels,
            mounts,
        }
    }

    /// The runtime that a service names by its path. A name is one of a daemon's configuration, which there is
    /// none of here.
    fn runtime(&mut self, service: &Service) -> Option<PathBuf> {
        // What they do with a container is what is done here; others isolate it in another way.
        const EQUAL: [&str; 5] = ["", "runc", "crun", "youki", "io.containerd.runc.v2"];
        let name = service.runtime.as_deref().filter(|name| !EQUAL.contains(name))?;
        if !name.starts_with('/') {
            let what = "is not known: the engine runs containers itself, as `runc` would";
            let help = match name {
                "nvidia" => "devices of NVIDIA are had by `gpus: all`",
                _ => "another runtime is named by its path, such as `/usr/bin/crun`",
            };
            self.error(service, "runtime", format!("runtime `{name}` {what}; {help}"));
            return None;
        }
        if service.init == Some(true) {
            let what = "needs the engine's own runtime, whose first process it is";
            self.error(service, "init", format!("`init` {what}: `runtime` names {name}"));
        }
        Some(PathBuf::from(name))
    }

    /// `x-on-unhealthy: restart` is ours: the specification leaves unhealthy containers alone.
    fn on_unhealthy(&mut self, service: &Service) -> OnUnhealthy {
        const KEY: &str = "x-on-unhealthy";
        let Some(wish) = service.extensions.get(KEY) else { return OnUnhealthy::Nothing };
        match wish.as_str() {
            Some("restart") => OnUnhealthy::Restart,
            Some("none") => OnUnhealthy::Nothing,
            _ => {
                self.error(service, KEY, "`x-on-unhealthy` must be `restart` or `none`");
                OnUnhealthy::Nothing
            }
        }
    }

    /// `Some(None)` is no check at all, `None` the image's.
    fn healthcheck(&mut self, service: &Service) -> Option<Option<HealthCheck>> {
        let check = service.healthcheck.as_ref()?;
        let words = check.test.as_deref().unwrap_or_default();
        let none = words.first().is_some_and(|word| word == "NONE");
        if check.disable || none {
            return Some(None);
        }
        let test = match words {
            [] => vec![],
            [kind, rest @ ..] if kind == "CMD" => rest.to_vec(),
            [kind, rest @ ..] if kind == "CMD-SHELL" => {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.join(" ")]
            }
            other => other.to_vec(),
        };
        if check.start_interval.is_some() && check.start_period.is_none() {
            self.error(service, "healthcheck.start_interval", "`start_interval` needs a `start_period`");
        }
        let given = |duration: Option<Duration>| duration.filter(|duration| !duration.is_zero());
        Some(Some(HealthCheck {
            test,
            interval: given(check.interval),
            timeout: given(check.timeout),
            retries: check.retries.filter(|retries| *retries > 0),
            start_period: given(check.start_period),
            start_interval: given(check.start_interval),
        }))
    }
}

/// What runs, with variables besides its own. An empty command means the same as none: the image's, unless there
/// is an entry point.
fn process(service: &Service, told: BTreeMap<String, Option<String>>) -> ProcessSpec {
    ProcessSpec {
        entrypoint: service.entrypoint.clone(),
        command: service.command.clone().filter(|words| !words.is_empty()),
        environment: service.environment.clone().into_iter().chain(told).collect(),
        working_dir: service.working_dir.clone(),
        user: service.user.clone(),
        groups: service.group_add.clone(),
        tty: service.tty,
        stdin_open: service.stdin_open,
        init: service.init.unwrap_or(false),
    }
}

pub(crate) fn dependency((name, dependency): (&String, &model::Dependency)) -> Dependency {
    Dependency {
        service: name.clone(),
        condition: match dependency.condition {
            model::Condition::Started => Condition::Started,
            model::Condition::Healthy => Condition::Healthy,
            model::Condition::CompletedSuccessfully => Condition::CompletedSuccessfully,
        },
        restart: dependency.restart,
        required: dependency.required,
    }
}

/// The services whose container this one joins a namespace or takes volumes of.
pub(crate) fn bound_to(service: &Service) -> BTreeSet<String> {
    let mut bound = BTreeSet::new();
    if let Some(model::NetworkMode::Service(name)) = &service.network_mode {
        bound.insert(name.clone());
    }
    let shares = [&service.pid, &service.ipc, &service.uts, &service.cgroup];
    bound.extend(
        shares.into_iter().flatten().filter_map(|share| share.strip_prefix("service:")).map(str::to_owned),
    );
    let sources = service.volumes_from.iter().filter(|source| !source.starts_with("container:"));
    bound.extend(sources.map(|source| source.split(':').next().unwrap_or_default().to_owned()));
    bound
}

fn restart(policy: model::Restart) -> RestartPolicy {
    match policy {
        model::Restart::No => RestartPolicy::No,
        model::Restart::Always => RestartPolicy::Always,
        model::Restart::UnlessStopped => RestartPolicy::UnlessStopped,
        model::Restart::OnFailure { max } => {
            RestartPolicy::OnFailure { limit: Some(max).filter(|max| *max > 0) }
        }
    }
}
