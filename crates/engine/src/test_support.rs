//! Values that tests begin with.

use resource::{
    ContainerSpec, IdentityShare, LogConfig, NetworkMode, ProcessSpec, Reference, Resources, RestartPolicy,
    SecuritySpec,
};

/// A container of busybox that asks for nothing.
pub(crate) fn container_spec(pod: &str, name: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        pod: pod.into(),
        service: name.to_owned(),
        number: Some(1),
        image: Reference::parse("busybox").expect("a good reference"),
        process: ProcessSpec::default(),
        hostname: None,
        domainname: None,
        network_mode: NetworkMode::None,
        endpoints: vec![],
        ports: vec![],
        exposed: vec![],
        dns: vec![],
        dns_search: vec![],
        dns_options: vec![],
        extra_hosts: vec![],
        links: vec![],
        mounts: vec![],
        volumes_from: vec![],
        restart: RestartPolicy::No,
        healthcheck: None,
        stop_signal: None,
        stop_grace: None,
        security: SecuritySpec::default(),
        pid: IdentityShare::Private,
        ipc: IdentityShare::Private,
        uts: IdentityShare::Private,
        cgroup: IdentityShare::Private,
        resources: Resources::default(),
        rlimits: vec![],
        shm_size: None,
        log: LogConfig::default(),
        auto_remove: false,
        annotations: std::collections::BTreeMap::new(),
        labels: resource::Labels::new(),
    }
}
