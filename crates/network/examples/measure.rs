//! What the network's part of `up` costs, step by step: medians and best of many runs, in a namespace of
//! its own. `cargo run -p network --example measure [RUNS]`, as root.

use network::{Netlink, PortRule};
use resource::{
    ContainerId, Endpoint, EndpointSpec, NetworkName, NetworkRecord, NetworkSpec, PodName, Protocol, Subnet,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Times in µs by step.
#[derive(Default)]
struct Times(BTreeMap<String, Vec<f64>>);

impl Times {
    fn of<T>(&mut self, step: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let value = work();
        self.0.entry(step.to_owned()).or_default().push(start.elapsed().as_secs_f64() * 1e6);
        value
    }

    fn print(&mut self) {
        println!("{:<44} {:>9} {:>9} {:>5}", "step", "median µs", "best µs", "runs");
        for (step, times) in &mut self.0 {
            times.sort_by(f64::total_cmp);
            println!("{step:<44} {:>9.0} {:>9.0} {:>5}", times[times.len() / 2], times[0], times.len());
        }
    }
}

fn record(number: u8) -> Outcome<NetworkRecord> {
    let id = format!("{:016x}{number:048x}", std::process::id());
    let subnet = Subnet::parse(&format!("10.{number}.0.0/16")).ok_or("subnet")?;
    let spec = NetworkSpec::new(NetworkName(format!("measure-{number}")));
    let gateway = network::default_gateway(&subnet);
    let bridge = format!("m-{number}");
    Ok(NetworkRecord {
        id,
        spec,
        created: "2026-01-01T00:00:00Z".parse()?,
        bridge,
        subnets: vec![(subnet, gateway)],
        mtu: 1500,
    })
}

fn endpoint(record: &NetworkRecord, host: u8) -> Endpoint {
    let address = match record.subnets[0].0.address {
        IpAddr::V4(v4) => std::net::Ipv4Addr::from(u32::from(v4) + u32::from(host)),
        IpAddr::V6(_) => std::net::Ipv4Addr::LOCALHOST,
    };
    let spec = EndpointSpec::new(record.spec.name.clone());
    Endpoint {
        spec,
        bridge: record.bridge.clone(),
        driver: resource::NetworkDriver::Bridge,
        interface: "eth0".to_owned(),
        mac: network::hardware_address(address),
        addresses: vec![(address.into(), 16)],
        gateways: vec![record.subnets[0].1],
        routed: vec![],
        former: vec![],
        default_route: true,
        internal: false,
        mtu: 1500,
    }
}

fn rules(record: &NetworkRecord, count: u8) -> Vec<PortRule> {
    let rule = |host: u8| PortRule {
        protocol: Protocol::Tcp,
        host_ip: None,
        host_port: 8000 + u16::from(host),
        target_ip: endpoint(record, host).addresses[0].0,
        target_port: 80,
        bridge: record.bridge.clone(),
    };
    (2..2 + count).map(rule).collect()
}

fn run(times: &mut Times, containers: u8) -> Outcome<()> {
    let label = |step: &str| format!("{containers:>2} {step}");
    let netlink = Netlink::open()?;
    let record = record(containers)?;
    let start = Instant::now();
    times.of(&label("bridge up, with chains"), || network::bridge_up(&netlink, &record))?;
    times.of(&label("bridge up again"), || network::bridge_up(&netlink, &record))?;
    let mut namespaces: Vec<OwnedFd> = Vec::new();
    let mut sockets = Vec::new();
    for number in 0..containers {
        let namespace = times.of(&label("namespace"), network::new_namespace)?;
        let id = ContainerId(format!("{:032x}{number:032x}", std::process::id()));
        let endpoint = endpoint(&record, number + 2);
        let pod = PodName("measure".to_owned());
        times
            .of(&label("attach"), || network::attach(&netlink, namespace.as_fd(), &pod, &id, 0, &endpoint))?;
        sockets
            .push(times.of(&label("resolver sockets, with chains"), || {
                network::resolver::open(namespace.as_fd())
            })?);
        namespaces.push(namespace);
    }
    times.of(&label("publish one port each"), || {
        network::publish("measure", &rules(&record, containers), None)
    })?;
    let all = start.elapsed().as_secs_f64() * 1e6;
    times.0.entry(label("= everything up")).or_default().push(all);
    drop(sockets);
    times.of(&label("drop namespaces"), || drop(namespaces));
    times.of(&label("unpublish"), || network::publish("measure", &[], None))?;
    times.of(&label("bridge down"), || network::bridge_down(&netlink, &record))?;
    // The kernel is busy with the namespaces for a while after; that is not the next run's cost.
    std::thread::sleep(std::time::Duration::from_millis(300));
    Ok(())
}

fn main() -> Outcome<()> {
    let runs: usize = std::env::args().nth(1).map_or(Ok(20), |text| text.parse())?;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
    let mut times = Times::default();
    for _ in 0..runs {
        for containers in [1, 10, 50] {
            run(&mut times, containers)?;
        }
    }
    times.print();
    Ok(())
}
