//! A small world in memory: it does the steps of a plan and refuses what a real engine would refuse.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use plan::{Await, Plan, Policy, Step, StepId, Verb};
use resource::*;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn digest(number: u64) -> Digest {
    Digest::parse(&format!("sha256:{number:064x}")).unwrap()
}

/// A container of `service` in project `shop` with nothing special about it.
pub(crate) fn spec(service: &str) -> ContainerSpec {
    let mut spec =
        ContainerSpec::new(format!("shop-{service}-1").as_str(), &"shop".into(), service, image(service));
    spec.network_mode = NetworkMode::Networks;
    spec.labels.insert(label::PROJECT.to_owned(), "shop".to_owned());
    spec
}

/// The image of a service is named after it.
fn image(service: &str) -> Reference {
    Reference::parse(&format!("{}:1", service.trim_start_matches('@'))).unwrap()
}

/// What a test says of a project, as short as it can be said.
#[derive(Clone)]
pub(crate) struct Wish(pub(crate) Desired);

pub(crate) fn wish(services: &[&str]) -> Wish {
    let mut wish = Wish(Desired {
        pod: "shop".into(),
        labels: Labels::new(),
        pod_resources: Resources::default(),
        networks: vec![],
        network_places: BTreeMap::new(),
        volume_places: BTreeMap::new(),
        volumes: vec![],
        services: vec![],
        known_services: services.iter().map(|name| (*name).to_owned()).collect(),
    });
    wish = wish.network("default");
    for name in services {
        let image = ImageNeed {
            reference: image(name),
            platform: None,
            policy: PullPolicy::Missing,
            buildable: false,
            resolved: Some(digest(1)),
            place: "compose.yaml:3:5".to_owned(),
        };
        let mut container = spec(name);
        container.endpoints = vec![endpoint("shop_default")];
        wish.0.services.push(DesiredService {
            name: (*name).to_owned(),
            selected: true,
            replicas: 1,
            container,
            fixed_name: false,
            separator: "-".to_owned(),
            depends_on: vec![],
            image,
            bound_to: vec![],
            place: "compose.yaml:2:3".to_owned(),
            pre_start: vec![],
            mounted_images: vec![],
            provider: None,
            update: None,
            places: vec![],
            builds: vec![],
        });
    }
    wish.hashed()
}

pub(crate) fn endpoint(network: &str) -> EndpointSpec {
    EndpointSpec::new(network)
}

/// The definitions are long; what matters of them is here.
impl std::fmt::Debug for Wish {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for service in &self.0.services {
            let spec = &service.container;
            let needs: Vec<_> = service
                .depends_on
                .iter()
                .map(|on| {
                    format!(
                        "{} {:?} restart {} required {}",
                        on.service, on.condition, on.restart, on.required
                    )
                })
                .collect();
            let networks: Vec<_> = spec.endpoints.iter().map(|endpoint| endpoint.network.as_str()).collect();
            let (name, replicas, mounts) = (&service.name, service.replicas, spec.mounts.len());
            let check = spec.healthcheck.is_some();
            let env = &spec.process.environment;
            writeln!(
                formatter,
                "{name} x{replicas} check {check} needs {needs:?} on {networks:?} {:?} {mounts} mounts {env:?}",
                spec.network_mode
            )?;
        }
        Ok(())
    }
}

impl Wish {
    pub(crate) fn service(&mut self, name: &str) -> &mut DesiredService {
        self.0.services.iter_mut().find(|service| service.name == name).unwrap()
    }

    pub(crate) fn with(mut self, name: &str, change: impl FnOnce(&mut DesiredService)) -> Self {
        change(self.service(name));
        self.hashed()
    }

    pub(crate) fn depends(self, name: &str, on: &str, condition: Condition) -> Self {
        self.depends_as(
            name,
            Dependency { service: on.to_owned(), condition, restart: false, required: true },
        )
    }

    pub(crate) fn depends_as(self, name: &str, dependency: Dependency) -> Self {
        self.with(name, |service| service.depends_on.push(dependency))
    }

    pub(crate) fn healthy(self, name: &str) -> Self {
        self.with(name, |service| service.container.healthcheck = Some(Some(check())))
    }

    pub(crate) fn network(mut self, key: &str) -> Self {
        let labels = [("com.docker.compose.project", "shop"), ("com.docker.compose.config-hash", "1")];
        self.0.networks.push(NetworkSpec {
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..NetworkSpec::new(format!("shop_{key}").as_str())
        });
        self
    }

    pub(crate) fn volume(mut self, service: &str, key: &str) -> Self {
        let labels = [("com.docker.compose.project", "shop"), ("com.docker.compose.config-hash", "1")];
        let name: VolumeName = format!("shop_{key}").as_str().into();
        if !self.0.volumes.iter().any(|volume| volume.name == name) {
            self.0.volumes.push(VolumeSpec {
                name: name.clone(),
                external: false,
                driver: "local".to_owned(),
                options: BTreeMap::new(),
                labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            });
        }
        let target = format!("/{key}");
        let mount =
            MountSpec::Volume { source: Some(name), target, read_only: false, no_copy: false, subpath: None };
        self.with(service, |service| service.container.mounts.push(mount))
    }

    /// Gives every service the hash of its definition, as lowering does.
    pub(crate) fn hashed(mut self) -> Self {
        for service in &mut self.0.services {
            service.container.labels.remove(label::CONFIG_HASH);
            let text = serde_json::to_string(&service.container).unwrap();
            let hash =
                text.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
            service.container.labels.insert(label::CONFIG_HASH.to_owned(), format!("{hash:x}"));
        }
        self
    }
}

pub(crate) fn check() -> HealthCheck {
    let test = vec!["true".to_owned()];
    HealthCheck {
        test,
        interval: None,
        timeout: None,
        retries: None,
        start_period: None,
        start_interval: None,
    }
}

pub(crate) fn up(since: i64) -> Policy {
    Policy::new(Verb::Up, at(since))
}

/// The world.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) observed: Observed,
    pub(crate) now: i64,
    made: u64,
    /// Services whose processes end at once, and their exit codes.
    pub(crate) ends: BTreeMap<String, i32>,
    /// Services that never become healthy.
    pub(crate) sick: BTreeSet<String>,
}

impl World {
    pub(crate) fn plan(&self, wish: &Wish, policy: &Policy) -> Plan {
        let plan = plan::plan(&wish.0, &self.observed, policy);
        assert_eq!(plan.to_string(), plan::plan(&wish.0, &self.observed, policy).to_string());
        plan
    }

    /// Plans, applies and waits until there is nothing left to do; returns the last plan.
    pub(crate) fn converge(&mut self, wish: &Wish, verb: Verb) -> Plan {
        self.now += 100;
        let policy = Policy::new(verb, at(self.now));
        self.converge_with(wish, &policy, 0)
    }

    pub(crate) fn converge_with(&mut self, wish: &Wish, policy: &Policy, seed: u64) -> Plan {
        for _ in 0..20 {
            let policy = &Policy { now: at(self.now), ..policy.clone() };
            let plan = self.plan(wish, policy);
            if plan.is_empty() {
                return plan;
            }
            let waiting = self.apply(&plan, seed);
            if !plan.failures.is_empty() {
                return plan;
            }
            for wait in waiting {
                self.settle(&wait);
            }
        }
        panic!("there is always more to do:\n{}", self.plan(wish, policy));
    }

    /// Makes what is waited for happen, or become impossible.
    fn settle(&mut self, wait: &Await) {
        let sick = self.sick.contains(&wait.service);
        self.now += wait.limit.map_or(0, |limit| i64::try_from(limit.as_secs()).unwrap());
        let container = self.container(&wait.container);
        match wait.condition {
            Condition::Healthy if container.state.status == Status::Running => {
                let status = if sick { HealthStatus::Unhealthy } else { HealthStatus::Healthy };
                container.state.health = Some(HealthReport { status, failing_streak: 0, probes: vec![] });
            }
            Condition::CompletedSuccessfully if container.state.status == Status::Running => {
                container.state.status = Status::Exited;
                container.state.exit = Some(ExitStatus::Code(0));
            }
            _ => {}
        }
    }

    pub(crate) fn container(&mut self, name: &ContainerName) -> &mut ObservedContainer {
        let mut containers = self.observed.containers.iter_mut();
        containers
            .find(|container| container.record.spec.name == *name)
            .unwrap_or_else(|| panic!("no {name}"))
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.observed.containers.iter().map(|container| container.record.spec.name.as_str()).collect()
    }

    /// Does every step that is not behind an await, in an order that `seed` chooses among those allowed.
    pub(crate) fn apply(&mut self, plan: &Plan, mut seed: u64) -> Vec<Await> {
        let mut done: BTreeSet<StepId> = BTreeSet::new();
        let mut waiting = vec![];
        loop {
            let ready: Vec<_> = plan
                .steps()
                .filter(|(id, _)| {
                    !done.contains(id) && plan.before(*id).iter().all(|before| done.contains(before))
                })
                .filter(|(_, planned)| {
                    !matches!(planned.step, Step::Await(_) | Step::Provide(_) | Step::Ask(_))
                })
                .collect();
            if ready.is_empty() {
                break;
            }
            let (id, planned) = ready[usize::try_from(seed).unwrap_or(0) % ready.len()];
            seed = seed.rotate_right(5) ^ (seed >> 3);
            self.step(&planned.step);
            done.insert(id);
        }
        for (id, planned) in plan.steps() {
            if let Step::Await(wait) = &planned.step
                && plan.before(id).iter().all(|before| done.contains(before))
            {
                waiting.push(wait.clone());
            }
        }
        waiting
    }

    /// Does the first `count` steps only, as when the program is killed.
    pub(crate) fn apply_some(&mut self, plan: &Plan, count: usize) {
        for (_, planned) in plan.steps().take(count) {
            if matches!(planned.step, Step::Await(_)) {
                return;
            }
            self.step(&planned.step);
        }
    }

    fn step(&mut self, step: &Step) {
        self.now += 1;
        match step {
            Step::CreatePod { pod, labels, resources } => {
                assert!(self.observed.pod.is_none());
                let (labels, created) = (labels.clone(), at(self.now));
                let (id, name, resources) = (String::new(), pod.clone(), (**resources).clone());
                self.observed.pod = Some(PodRecord { id, name, labels, created, command: vec![], resources });
            }
            Step::LimitPod { resources, .. } => {
                self.observed.pod.as_mut().unwrap().resources = (**resources).clone();
            }
            Step::RemovePod { .. } => {
                assert!(self.observed.containers.is_empty());
                self.observed.pod = None;
            }
            Step::CreateNetwork(spec) => self.create_network(spec),
            Step::RaiseNetwork(spec) => self.network(&spec.name).up = true,
            Step::LowerNetwork { network } => self.network(network).up = false,
            Step::RemoveNetwork { network } => self.remove_network(network),
            Step::CreateVolume(spec) => {
                assert!(self.observed.volumes.iter().all(|volume| volume.record.spec.name != spec.name));
                let record = VolumeRecord { spec: spec.clone(), created: at(self.now), anonymous: false };
                self.observed.volumes.push(ObservedVolume { record, used_by: vec![] });
            }
            Step::RemoveVolume { volume } => self.remove_volume(volume),
            Step::CreateContainer { spec, replaces } => self.create(spec, replaces.as_ref()),
            Step::HandOverPorts { to, .. } => {
                assert!(self.container(to).state.status == Status::Running);
            }
            Step::UpdateContainer { container, id, spec } => {
                let record = &mut self.container(container).record;
                assert_eq!(record.id, *id);
                record.spec.ports = spec.ports.clone();
                for (old, new) in record.spec.endpoints.iter_mut().zip(&spec.endpoints) {
                    old.aliases = new.aliases.clone();
                }
            }
            Step::RenameContainer { from, to } => {
                assert!(!self.names().contains(&to.as_str()), "{to} is taken");
                self.container(from).record.spec.name = to.clone();
            }
            Step::StartContainer { container, .. } => self.start(container),
            Step::StopContainer { container, id, .. } | Step::KillContainer { container, id, .. } => {
                let container = self.container(container);
                assert_eq!(container.record.id, *id);
                container.state.status = Status::Exited;
                container.state.exit = Some(ExitStatus::Code(137));
                container.state.health = None;
            }
            Step::RemoveContainer { container, id, .. } => {
                let found = self.container(container);
                assert_eq!(found.record.id, *id);
                assert!(matches!(found.state.status, Status::Created | Status::Exited), "{container} runs");
                self.observed.containers.retain(|container| container.record.id != *id);
            }
            Step::PauseContainer { container, .. } => self.container(container).state.status = Status::Paused,
            Step::UnpauseContainer { container, .. } => {
                self.container(container).state.status = Status::Running
            }
            Step::Pull { .. } | Step::Build { .. } | Step::RemoveImage { .. } => {}
            Step::Await(_) | Step::Provide(_) | Step::Ask(_) => panic!("never performed"),
        }
        self.used_by();
    }

    fn used_by(&mut self) {
        for volume in &mut self.observed.volumes {
            let mounts = |container: &&ObservedContainer| {
                container.record.mounts.iter().any(
                    |mount| matches!(mount, Mount::Bind { volume: Some(name), .. } if *name == volume.record.spec.name),
                )
            };
            let users = self.observed.containers.iter().filter(mounts);
            volume.used_by = users.map(|container| container.record.spec.name.clone()).collect();
        }
        self.observed.containers.sort_by(|one, other| one.record.spec.name.cmp(&other.record.spec.name));
    }

    pub(crate) fn network(&mut self, name: &NetworkName) -> &mut ObservedNetwork {
        let mut networks = self.observed.networks.iter_mut();
        networks
            .find(|network| network.record.spec.name == *name)
            .unwrap_or_else(|| panic!("no network {name}"))
    }

    fn create_network(&mut self, spec: &NetworkSpec) {
        assert!(!spec.external);
        assert!(self.observed.networks.iter().all(|network| network.record.spec.name != spec.name));
        self.made += 1;
        let record = NetworkRecord {
            id: format!("{:064x}", self.made),
            spec: spec.clone(),
            created: at(self.now),
            bridge: format!("br{}", self.made),
            subnets: vec![],
            mtu: 1500,
        };
        self.observed.networks.push(ObservedNetwork { record, up: true, used_by_others: vec![] });
    }

    fn remove_network(&mut self, name: &NetworkName) {
        let network = self.network(name);
        assert_eq!(
            network.record.spec.labels.get(label::PROJECT).map(String::as_str),
            Some("shop"),
            "not ours"
        );
        assert!(network.used_by_others.is_empty());
        for container in &self.observed.containers {
            let on_it = container.record.endpoints.iter().any(|endpoint| endpoint.spec.network == *name);
            assert!(!on_it, "{name} is in use by {}", container.record.spec.name);
        }
        self.observed.networks.retain(|network| network.record.spec.name != *name);
    }

    fn remove_volume(&mut self, name: &VolumeName) {
        let volume = self.observed.volumes.iter().find(|volume| volume.record.spec.name == *name).unwrap();
        assert_eq!(
            volume.record.spec.labels.get(label::PROJECT).map(String::as_str),
            Some("shop"),
            "not ours"
        );
        assert_eq!(volume.used_by, [], "{name} is in use");
        self.observed.volumes.retain(|volume| volume.record.spec.name != *name);
    }

    fn create(&mut self, spec: &ContainerSpec, replaces: Option<&Predecessor>) {
        assert!(self.observed.pod.is_some(), "no pod");
        assert!(!self.names().contains(&spec.name.as_str()), "{} is taken", spec.name);
        if let Some(Predecessor { id, .. }) = replaces {
            assert!(self.observed.containers.iter().any(|container| container.record.id == *id));
        }
        if let NetworkMode::Container(name) = &spec.network_mode {
            self.container(name);
        }
        let endpoints = spec.endpoints.iter().map(|wish| Endpoint {
            spec: wish.clone(),
            bridge: self
                .observed
                .networks
                .iter()
                .find(|network| network.record.spec.name == wish.network)
                .unwrap_or_else(|| panic!("no network {}", wish.network))
                .record
                .bridge
                .clone(),
            interface: "eth0".to_owned(),
            mac: [2; 6],
            addresses: vec![],
            gateways: vec![],
            driver: NetworkDriver::Bridge,
            routed: vec![],
            former: vec![],
            default_route: true,
            internal: false,
            mtu: 1500,
        });
        let endpoints = endpoints.collect();
        let mounts = spec.mounts.iter().filter_map(|mount| match mount {
            MountSpec::Volume { source: Some(name), target, .. } => {
                assert!(
                    self.observed.volumes.iter().any(|volume| volume.record.spec.name == *name),
                    "no {name}"
                );
                Some(Mount::Bind {
                    source: "/v".into(),
                    target: target.clone(),
                    read_only: false,
                    recursive: true,
                    propagation: Propagation::Rprivate,
                    volume: Some(name.clone()),
                    anonymous: false,
                })
            }
            _ => None,
        });
        let mounts = mounts.collect();
        self.made += 1;
        let process = Process {
            argv: vec![],
            environment: vec![],
            working_dir: "/".to_owned(),
            uid: 0,
            gid: 0,
            groups: vec![],
            tty: false,
            stdin_open: false,
            init: false,
        };
        let record = ContainerRecord {
            id: ContainerId(format!("{:012x}{:052x}", self.made, 0)),
            spec: spec.clone(),
            created: at(self.now),
            image: digest(1),
            manifest: digest(1),
            layers: vec![],
            process,
            mounts,
            endpoints,
            healthcheck: spec.healthcheck.clone().flatten(),
            stop_signal: 15,
            log_server: None,
            injected: resource::Injected::default(),
        };
        self.observed.containers.push(ObservedContainer { record, state: ContainerState::default() });
    }

    fn start(&mut self, name: &ContainerName) {
        let (now, ends) = (at(self.now), self.ends.clone());
        let networks: Vec<_> =
            self.observed.networks.iter().map(|network| network.record.bridge.clone()).collect();
        let container = self.container(name);
        assert!(matches!(container.state.status, Status::Created | Status::Exited), "{name} runs already");
        assert!(
            container.record.endpoints.iter().all(|endpoint| networks.contains(&endpoint.bridge)),
            "{name}"
        );
        container.state.started = Some(now);
        container.state.health = None;
        match ends.get(&container.record.spec.service) {
            Some(code) => {
                container.state.status = Status::Exited;
                container.state.exit = Some(ExitStatus::Code(*code));
            }
            None => container.state.status = Status::Running,
        }
    }
}
