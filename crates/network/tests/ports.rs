//! Published ports, from everywhere they may be reached and from where they may not.

mod world;

use network::{PortRule, publish};
use resource::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use world::{
    OUTSIDE, ROUTER, asks, connect, datagrams, in_a_world, listen, port, reaches, record, ruleset, run,
};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[test]
fn a_published_port_is_reached_from_everywhere_and_keeps_the_outside_clients_address() {
    in_a_world(|world| {
        let net = record(31);
        let web = world.network(&net);
        let neighbour = world.container(&net, 3);
        let stranger = world.network(&record(32));
        publish("shop", &[port(8080, web.address, 80)], None).unwrap();
        let listener = world.inside(&web.namespace, || listen(ANY, 80));
        assert_eq!(world.outside_do(|| reaches(ROUTER, 8080, &listener)), Some(OUTSIDE));
        let gateway = net.subnets[0].1;
        assert_eq!(reaches(LOOPBACK, 8080, &listener), Some(gateway));
        assert!(reaches(ROUTER, 8080, &listener).is_some());
        assert!(reaches(web.address, 80, &listener).is_some());
        assert!(world.inside(&web.namespace, || reaches(ROUTER, 8080, &listener)).is_some(), "itself");
        assert!(
            world.inside(&neighbour.namespace, || reaches(ROUTER, 8080, &listener)).is_some(),
            "neighbour"
        );
        assert!(
            world.inside(&stranger.namespace, || reaches(ROUTER, 8080, &listener)).is_some(),
            "other network"
        );
        assert!(world.outside_do(|| connect(ROUTER, 80)).is_none(), "only the published port");
    });
}

#[test]
fn udp_is_published_and_answers_come_from_the_published_port() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let rule = PortRule { protocol: Protocol::Udp, ..port(5300, web.address, 53) };
        publish("shop", &[rule], None).unwrap();
        let server = world.inside(&web.namespace, || datagrams(ANY, 53));
        let client = world.outside_do(|| datagrams(ANY, 0));
        assert_eq!(asks(&client, ROUTER, 5300, &server), OUTSIDE);
        asks(&datagrams(ANY, 0), LOOPBACK, 5300, &server);
    });
}

#[test]
fn a_host_address_limits_where_the_port_is_found() {
    in_a_world(|world| {
        run("ip addr add 192.0.2.9/24 dev uplink");
        let web = world.network(&record(31));
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
        let on = |ip, host_port| PortRule { host_ip: Some(ip), ..port(host_port, web.address, 80) };
        publish("shop", &[on(other, 8080), on(LOOPBACK, 8081)], None).unwrap();
        let listener = world.inside(&web.namespace, || listen(ANY, 80));
        assert!(world.outside_do(|| reaches(other, 8080, &listener)).is_some());
        assert!(world.outside_do(|| connect(ROUTER, 8080)).is_none());
        assert!(reaches(LOOPBACK, 8081, &listener).is_some());
        assert!(world.outside_do(|| connect(ROUTER, 8081)).is_none());
        // A neighbour on the wire who addresses our loopback must not get in.
        world.outside_do(|| {
            run("sysctl -qw net.ipv4.conf.all.route_localnet=1");
            run("ip addr del 127.0.0.1/8 dev lo");
            run("ip route add 127.0.0.1 via 192.0.2.1 dev down0 src 192.0.2.2");
        });
        assert!(world.outside_do(|| connect(LOOPBACK, 8081)).is_none());
    });
}

#[test]
fn ipv6_ports_reach_the_container_with_the_clients_address() {
    in_a_world(|world| {
        let mut net = record(31);
        let subnet = network::choose_subnet_v6(&net.id, &[]);
        net.subnets.push((subnet, network::default_gateway(&subnet)));
        let web = world.network(&net);
        let six = web.endpoint.addresses[1].0;
        publish("shop", &[port(8080, web.address, 80), port(8080, six, 80)], None).unwrap();
        let listener = world.inside(&web.namespace, || listen(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 80));
        let seen = world.outside_do(|| reaches("2001:db8::1".parse().unwrap(), 8080, &listener));
        assert_eq!(seen, Some("2001:db8::2".parse().unwrap()));
        // Out by NAT, too.
        let server = world.outside_do(|| listen("2001:db8::2".parse().unwrap(), 80));
        let seen = world.inside(&web.namespace, || reaches("2001:db8::2".parse().unwrap(), 80, &server));
        assert_eq!(seen, Some("2001:db8::1".parse().unwrap()));
    });
}

#[test]
fn publishing_replaces_what_the_pod_published_and_nothing_else() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let listener = world.inside(&web.namespace, || listen(ANY, 80));
        publish("shop", &[port(8080, web.address, 80)], None).unwrap();
        publish("blog", &[port(9090, web.address, 80)], None).unwrap();
        publish("shop", &[port(8081, web.address, 80)], None).unwrap();
        assert!(connect(LOOPBACK, 8080).is_none());
        assert!(reaches(LOOPBACK, 8081, &listener).is_some());
        assert!(reaches(LOOPBACK, 9090, &listener).is_some());
        publish("shop", &[], None).unwrap();
        publish("shop", &[], None).unwrap();
        assert!(!ruleset().contains("pod-shop"));
        assert!(ruleset().contains("pod-blog"));
    });
}

#[test]
fn a_rule_that_a_killed_pod_left_gives_way_to_who_holds_the_port_now() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let listener = world.inside(&web.namespace, || listen(ANY, 80));
        let nobody: IpAddr = [10, 31, 0, 77].into();
        publish("killed", &[port(8080, nobody, 80), port(9090, web.address, 80)], None).unwrap();
        publish("shop", &[port(8080, web.address, 80)], None).unwrap();
        assert!(reaches(LOOPBACK, 8080, &listener).is_some());
        assert!(reaches(LOOPBACK, 9090, &listener).is_some(), "only the port in question changes hands");
        assert!(!ruleset().contains(&format!("dnat ip to {nobody}")));
    });
}

#[test]
fn a_thousand_ports_go_in_one_batch() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let rules: Vec<_> = (0..1000).map(|number| port(10_000 + number, web.address, number + 1)).collect();
        publish("shop", &rules, None).unwrap();
        assert_eq!(ruleset().matches("dnat ip to").count(), 2000);
        let listener = world.inside(&web.namespace, || listen(ANY, 1000));
        assert!(reaches(LOOPBACK, 10_999, &listener).is_some());
    });
}
