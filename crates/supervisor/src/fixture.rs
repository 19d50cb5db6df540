//! A record to test with.

use resource::*;

/// A container of the pod `shop` on the network `shop_default`, 172.30.0.2.
pub(crate) fn record(service: &str) -> ContainerRecord {
    let spec = serde_json::json!({
        "name": format!("shop-{service}-1"), "pod": "shop", "service": service, "number": 1,
        "image": Reference::parse("busybox").unwrap(),
        "process": ProcessSpec::default(), "hostname": null, "domainname": null,
        "network_mode": NetworkMode::Networks,
        "endpoints": [], "ports": [], "exposed": [], "dns": [], "dns_search": [], "dns_options": [],
        "extra_hosts": [], "links": [], "mounts": [], "volumes_from": [],
        "restart": RestartPolicy::No, "healthcheck": null, "stop_signal": null, "stop_grace": null,
        "security": SecuritySpec::default(), "pid": IdentityShare::Private, "ipc": IdentityShare::Private,
        "uts": IdentityShare::Private, "cgroup": IdentityShare::Private,
        "resources": Resources::default(), "rlimits": [], "shm_size": null,
        "log": LogConfig::default(), "auto_remove": false, "annotations": {}, "labels": {},
    });
    let spec: ContainerSpec = serde_json::from_value(spec).unwrap();
    let endpoint = EndpointSpec { aliases: vec![service.to_owned()], ..EndpointSpec::new("shop_default") };
    ContainerRecord {
        id: ContainerId(format!("{:064x}", crc32fast::hash(service.as_bytes()))),
        created: Timestamp::UNIX_EPOCH,
        image: Digest::of_sha256(&[0; 32]),
        manifest: Digest::of_sha256(&[0; 32]),
        layers: vec![],
        process: Process {
            argv: vec!["sh".into()],
            environment: vec!["PATH=/bin".into()],
            working_dir: "/".into(),
            uid: 0,
            gid: 0,
            groups: vec![],
            tty: false,
            stdin_open: false,
            init: false,
        },
        mounts: vec![],
        endpoints: vec![Endpoint {
            spec: endpoint,
            bridge: "cb-test".into(),
            driver: resource::NetworkDriver::Bridge,
            interface: "eth0".into(),
            mac: [2, 66, 172, 30, 0, 2],
            addresses: vec![("172.30.0.2".parse().unwrap(), 16)],
            gateways: vec!["172.30.0.1".parse().unwrap()],
            routed: vec![],
            former: vec![],
            default_route: true,
            internal: false,
            mtu: 1500,
        }],
        healthcheck: None,
        stop_signal: 15,
        log_server: None,
        injected: resource::Injected::default(),
        spec,
    }
}
