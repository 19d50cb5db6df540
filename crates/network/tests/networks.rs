//! Bridges and what passes between them, the host and the world.

mod world;

use network::{
    NetworkError, bridge_down, bridge_exists, bridge_up, bridges_down, bridges_up, publish, sweep,
};
use resource::NetworkName;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use world::{
    OUTSIDE, ROUTER, asks, connect, datagrams, endpoint, in_a_world, links, listen, port, reaches, record,
    ruleset, run,
};

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[test]
fn containers_of_one_network_meet_and_those_of_two_do_not() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let neighbour = world.container(&record(31), 3);
        let stranger = world.network(&record(32));
        let listener = world.inside(&web.namespace, || listen(ANY, 80));
        let seen = world.inside(&neighbour.namespace, || reaches(web.address, 80, &listener));
        assert_eq!(seen, Some(neighbour.address));
        assert!(world.inside(&stranger.namespace, || connect(web.address, 80)).is_none());
        // On both networks it reaches both.
        world.attach(&neighbour.namespace, 1, &endpoint(&record(32), 3, 1));
        let listener = world.inside(&stranger.namespace, || listen(ANY, 80));
        assert!(world.inside(&neighbour.namespace, || reaches(stranger.address, 80, &listener)).is_some());
    });
}

#[test]
fn containers_reach_the_outside_under_the_hosts_address_and_are_not_reached_from_there() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let server = world.outside_do(|| listen(ANY, 80));
        assert_eq!(world.inside(&web.namespace, || reaches(OUTSIDE, 80, &server)), Some(ROUTER));
        let server = world.outside_do(|| datagrams(ANY, 5000));
        let client = world.inside(&web.namespace, || datagrams(ANY, 0));
        assert_eq!(asks(&client, OUTSIDE, 5000, &server), ROUTER);
        let _listener = world.inside(&web.namespace, || listen(ANY, 80));
        world.outside_do(|| run("ip route add 10.31.0.0/16 via 192.0.2.1"));
        assert!(world.outside_do(|| connect(web.address, 80)).is_none());
    });
}

#[test]
fn an_internal_network_has_no_way_out_and_none_in() {
    in_a_world(|world| {
        let mut net = record(31);
        net.spec.internal = true;
        let web = world.network(&net);
        let neighbour = world.container(&net, 3);
        let listener = world.inside(&web.namespace, || listen(ANY, 80));
        assert!(world.inside(&neighbour.namespace, || reaches(web.address, 80, &listener)).is_some());
        let _server = world.outside_do(|| listen(ANY, 80));
        // Even with a route that it made for itself.
        world.inside(&web.namespace, || run("ip route add default via 10.31.0.1"));
        bridge_up(&world.netlink, &record(32)).unwrap();
        assert!(world.inside(&web.namespace, || connect(OUTSIDE, 80)).is_none());
        publish("shop", &[port(8080, web.address, 80)], None).unwrap();
        assert!(world.outside_do(|| connect(ROUTER, 8080)).is_none());
    });
}

#[test]
fn containers_do_not_reach_the_hosts_loopback() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let secret = listen(IpAddr::V4(Ipv4Addr::LOCALHOST), 7000);
        world.inside(&web.namespace, || {
            run("sysctl -qw net.ipv4.conf.all.route_localnet=1");
            run("ip addr del 127.0.0.1/8 dev lo");
            run("ip route add 127.0.0.1 via 10.31.0.1 dev eth0 src 10.31.0.2");
        });
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(world.inside(&web.namespace, || connect(localhost, 7000)).is_none());
        // The test would see it: without the guard the way is open.
        run("nft flush chain inet compose t31-guard");
        assert!(world.inside(&web.namespace, || reaches(localhost, 7000, &secret)).is_some());
    });
}

#[test]
fn driver_options_are_heeded() {
    in_a_world(|world| {
        let mut net = record(31);
        net.spec.options.insert("com.docker.network.bridge.enable_icc".into(), "false".into());
        net.spec.options.insert("com.docker.network.bridge.enable_ip_masquerade".into(), "false".into());
        net.mtu = 1400;
        let web = world.network(&net);
        let neighbour = world.container(&net, 3);
        let listener = world.inside(&web.namespace, || listen(ANY, 80));
        assert!(world.inside(&neighbour.namespace, || connect(web.address, 80)).is_none());
        assert!(reaches(web.address, 80, &listener).is_some());
        assert!(world.inside(&web.namespace, || run("ip link show eth0")).contains("mtu 1400"));
        world.outside_do(|| run("ip route add 10.31.0.0/16 via 192.0.2.1"));
        let server = world.outside_do(|| listen(ANY, 80));
        assert_eq!(world.inside(&web.namespace, || reaches(OUTSIDE, 80, &server)), Some(web.address));
    });
}

#[test]
fn everything_may_be_said_twice_and_nothing_is_left_at_the_end() {
    in_a_world(|world| {
        let before = links();
        let records = [record(31), record(32), record(33)];
        bridges_up(&world.netlink, &records).unwrap();
        let once = ruleset();
        bridge_up(&world.netlink, &records[1]).unwrap();
        bridges_up(&world.netlink, &records).unwrap();
        assert_eq!(ruleset(), once);
        let web = world.container(&records[0], 2);
        publish("shop", &[port(8080, web.address, 80)], None).unwrap();
        assert!(records.iter().all(|record| bridge_exists(&record.bridge)));
        bridges_down(&world.netlink, &records[1..]).unwrap();
        assert!(!bridge_exists("t32") && !bridge_exists("t33"));
        publish("shop", &[], None).unwrap();
        world.inside(&web.namespace, || run("ip link del eth0"));
        bridge_down(&world.netlink, &records[0]).unwrap();
        bridge_down(&world.netlink, &records[0]).unwrap();
        assert_eq!(links(), before);
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn leftovers_are_found_by_name_and_those_of_another_engine_are_left_alone() {
    in_a_world(|world| {
        let mut long = record(34);
        long.spec.name = NetworkName("ä".repeat(300));
        bridges_up(&world.netlink, &[record(31), record(32), long.clone()]).unwrap();
        assert_eq!(sweep(&world.netlink, &[long.spec.name], &[]).unwrap().len(), 4);
        publish("test-shop", &[port(8080, OUTSIDE, 80)], None).unwrap();
        let other = network::Netlink::open().unwrap().owned_by("other");
        let mut theirs = record(33);
        theirs.spec.name = NetworkName("net31".into());
        bridge_up(&other, &theirs).unwrap();
        let mut removed = sweep(&world.netlink, &[NetworkName("net31".into())], &["test-shop"]).unwrap();
        removed.sort();
        assert_eq!(
            removed,
            ["pod-test-shop-in", "pod-test-shop-out", "t31", "t31-filter", "t31-guard", "t31-nat"]
        );
        assert!(!bridge_exists("t31") && bridge_exists("t32") && bridge_exists("t33"));
        assert!(sweep(&world.netlink, &[NetworkName("net31".into())], &["test-shop"]).unwrap().is_empty());
        assert!(ruleset().contains("t33-nat"));
    });
}

#[test]
fn interfaces_of_others_are_neither_used_nor_removed() {
    in_a_world(|world| {
        run("ip link add t31 type veth peer name other");
        assert!(matches!(bridge_up(&world.netlink, &record(31)), Err(NetworkError::NameTaken { .. })));
        run("ip link add t32 type bridge");
        run("ip link set t32 alias mine");
        let web = world.network(&record(32));
        assert!(world.inside(&web.namespace, || run("ip -4 addr show eth0")).contains("10.32.0.2/16"));
        bridge_down(&world.netlink, &record(32)).unwrap();
        assert!(bridge_exists("t31") && bridge_exists("t32"));
        // One that has no alias, nor had an address of ours, is somebody's, too.
        run("ip link add t33 type bridge");
        world.network(&record(33));
        bridge_down(&world.netlink, &record(33)).unwrap();
        assert!(bridge_exists("t33"));
    });
}

#[test]
fn a_bridge_whose_maker_was_killed_before_it_had_an_alias_is_ours() {
    in_a_world(|world| {
        // As it is between the two messages that make one.
        run("ip link add t31 address 02:42:00:00:00:00 type bridge");
        bridge_down(&world.netlink, &record(31)).unwrap();
        assert!(!bridge_exists("t31"));
        run("ip link add t31 address 02:42:00:00:00:00 type bridge");
        world.network(&record(31));
        assert!(run("ip link show t31").contains("alias compose:"));
        bridge_down(&world.netlink, &record(31)).unwrap();
        assert!(!bridge_exists("t31"));
    });
}

#[test]
fn a_container_is_wired_as_its_endpoint_says_or_not_at_all() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let shown = world.inside(&web.namespace, || run("ip addr show eth0"));
        assert!(
            shown.contains("02:42:0a:1f:00:02") && shown.contains("10.31.0.2/16 brd 10.31.255.255"),
            "{shown}"
        );
        assert!(!shown.contains("inet6") && shown.contains("state UP"), "{shown}");
        assert!(world.inside(&web.namespace, || run("ip route")).contains("default via 10.31.0.1 dev eth0"));
        let before = links();
        let namespace = network::new_namespace().unwrap();
        let id = resource::ContainerId("ab".repeat(32));
        let pod = resource::PodName("shop".into());
        let attach = |endpoint: &resource::Endpoint| {
            network::attach(&world.netlink, namespace.as_fd(), &pod, &id, 0, endpoint)
        };
        let mut wrong = endpoint(&record(31), 3, 0);
        wrong.gateways = vec!["10.99.0.1".parse().unwrap()];
        let error = attach(&wrong).unwrap_err().to_string();
        assert!(error.contains("cannot route through 10.99.0.1 on eth0"), "{error}");
        assert_eq!(links(), before);
        wrong.bridge = "nowhere".into();
        assert!(matches!(attach(&wrong), Err(NetworkError::NoBridge { .. })));
        attach(&endpoint(&record(31), 3, 0)).unwrap();
        assert!(attach(&endpoint(&record(31), 4, 0)).unwrap_err().to_string().contains("eth0"));
    });
}

#[test]
fn packets_pass_as_soon_as_the_container_is_attached() {
    in_a_world(|world| {
        for number in 31..41 {
            let net = record(number);
            let container = world.network(&net);
            let gateway = net.subnets[0].1;
            let server = datagrams(gateway, 4000);
            let client = world.inside(&container.namespace, || datagrams(ANY, 0));
            let start = std::time::Instant::now();
            asks(&client, gateway, 4000, &server);
            // A packet lost on the way costs a second: the kernel asks for the neighbour again then.
            assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
        }
    });
}

#[test]
fn an_address_that_moves_to_another_container_is_found_at_once() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let place = |mac: u8| {
            let namespace = network::new_namespace().unwrap();
            let mut endpoint = endpoint(&record(31), 9, 0);
            endpoint.mac[5] = mac;
            world.attach(&namespace, 0, &endpoint);
            let socket = world.inside(&namespace, || datagrams(ANY, 4000));
            (namespace, socket)
        };
        let client = world.inside(&web.namespace, || datagrams(ANY, 0));
        let (namespace, socket) = place(101);
        asks(&client, "10.31.0.9".parse().unwrap(), 4000, &socket);
        drop((namespace, socket));
        let (_namespace, socket) = place(102);
        let start = std::time::Instant::now();
        asks(&client, "10.31.0.9".parse().unwrap(), 4000, &socket);
        assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
    });
}

#[test]
fn blocks_avoid_routes_and_one_chooses_at_a_time() {
    in_a_world(|world| {
        run("ip route add blackhole 172.17.0.0/17");
        run("ip route add 172.19.5.0/24 dev uplink");
        let taken = [resource::Subnet::parse("172.18.0.0/16").unwrap()];
        assert_eq!(network::choose_subnet(&world.netlink, &taken).unwrap().to_string(), "172.20.0.0/16");
        let lock = network::lock().unwrap();
        let inode = std::fs::metadata("/proc/thread-self/ns/net")
            .map(|meta| std::os::unix::fs::MetadataExt::ino(&meta));
        let held = format!(":{} ", inode.unwrap());
        assert!(std::fs::read_to_string("/proc/locks").unwrap().contains(&held));
        drop(lock);
        assert!(!std::fs::read_to_string("/proc/locks").unwrap().contains(&held));
    });
}

#[test]
fn the_holder_of_a_port_is_named() {
    in_a_world(|_| {
        let _listener = listen(ANY, 8080);
        let _socket = datagrams("127.0.0.1".parse().unwrap(), 8080);
        let me = format!("(pid {})", std::process::id());
        let owner = |protocol, ip: &str| network::port_owner(protocol, Some(ip.parse().unwrap()), 8080);
        assert!(owner(resource::Protocol::Tcp, "192.0.2.1").is_some_and(|owner| owner.ends_with(&me)));
        assert!(owner(resource::Protocol::Udp, "127.0.0.1").is_some_and(|owner| owner.ends_with(&me)));
        assert_eq!(owner(resource::Protocol::Udp, "192.0.2.1"), None);
        assert_eq!(network::port_owner(resource::Protocol::Tcp, None, 8081), None);
    });
}
