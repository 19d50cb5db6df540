//! Who publishes a port: the answer for a container that could not.

use crate::Engine;
use resource::{ContainerName, ContainerRecord, PodName, PortBinding, PortSpec};

impl Engine {
    /// The container, of any pod, that publishes a port which this one wants.
    pub(crate) fn port_holder(&self, wanting: &ContainerRecord) -> Option<(ContainerName, PodName)> {
        self.pods().ok()?.into_iter().flat_map(|pod| pod.containers).find_map(|other| {
            let theirs = &other.state.ports;
            let taken =
                wanting.spec.ports.iter().any(|port| theirs.iter().any(|binding| collide(port, binding)));
            (taken && other.record.id != wanting.id)
                .then_some((other.record.spec.name, other.record.spec.pod))
        })
    }
}

/// Whether a binding takes a port, or one out of the range, that is wanted.
fn collide(wanted: &PortSpec, taken: &PortBinding) -> bool {
    let addresses = wanted.host_ip.is_none_or(|address| {
        address.is_unspecified() || taken.host_ip.is_unspecified() || address == taken.host_ip
    });
    let ports = wanted.published.is_some_and(|(first, last)| (first..=last).contains(&taken.host_port));
    wanted.protocol == taken.protocol && addresses && ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::Protocol;

    #[test]
    fn ports_collide_by_protocol_address_and_range() {
        let wanted = |address: Option<&str>, published| PortSpec {
            host_ip: address.map(|text| text.parse().unwrap()),
            published,
            target: 80,
            protocol: Protocol::Tcp,
        };
        let taken = |address: &str, protocol| PortBinding {
            host_ip: address.parse().unwrap(),
            host_port: 8080,
            target: 80,
            protocol,
        };
        assert!(collide(&wanted(None, Some((8080, 8080))), &taken("127.0.0.1", Protocol::Tcp)));
        assert!(collide(&wanted(Some("127.0.0.1"), Some((8000, 9000))), &taken("0.0.0.0", Protocol::Tcp)));
        assert!(!collide(&wanted(Some("127.0.0.2"), Some((8080, 8080))), &taken("127.0.0.1", Protocol::Tcp)));
        assert!(!collide(&wanted(None, Some((8081, 8090))), &taken("0.0.0.0", Protocol::Tcp)));
        assert!(!collide(&wanted(None, Some((8080, 8080))), &taken("0.0.0.0", Protocol::Udp)));
        assert!(!collide(&wanted(None, None), &taken("0.0.0.0", Protocol::Tcp)), "any port takes a free one");
    }
}
