//! `compose port`: prints where a port of a service is published.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::{output, select};
use resource::{PortBinding, PortSpec};

/// Flags of `port`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the replica, the first by default
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) index: u32,
    /// tcp or udp
    #[arg(long, default_value = "tcp", value_name = "PROTOCOL")]
    pub(crate) protocol: String,
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
    /// The port inside the container
    #[arg(value_name = "PRIVATE_PORT")]
    pub(crate) private: u16,
}

/// Prints the address.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    select::services(std::slice::from_ref(&args.service), subject.known(&observed))?;
    let container = select::running(&observed.containers, &args.service, args.index)?;
    let ports = &container.state.ports;
    let protocol = args.protocol.to_ascii_lowercase();
    match first(&container.record.spec.ports, ports, args.private, &protocol) {
        Some(binding) => output::line(&binding.host().to_string())?,
        None => {
            let mut known: Vec<String> = ports
                .iter()
                .map(|binding| format!("{}/{}", binding.target, binding.protocol.as_str()))
                .collect();
            // By IPv4 and by IPv6 it is one port.
            known.dedup();
            let failure = Failure::new(format!(
                "no port {}/{protocol} for container {}",
                args.private, container.record.spec.name
            ));
            return Err(failure.hint(if known.is_empty() {
                "it publishes no port".to_owned()
            } else {
                format!("it publishes {}", known.join(", "))
            }));
        }
    }
    session.supervise(&subject.pod, &observed);
    Ok(Exit::Success)
}

/// The first binding in the order of the file, IPv4 before IPv6.
fn first<'a>(
    wanted: &[PortSpec],
    ports: &'a [PortBinding],
    target: u16,
    protocol: &str,
) -> Option<&'a PortBinding> {
    let place = |binding: &PortBinding| {
        wanted.iter().position(|spec| spec.is_served_by(binding)).unwrap_or(usize::MAX)
    };
    let fitting =
        ports.iter().filter(|binding| binding.target == target && binding.protocol.as_str() == protocol);
    fitting.min_by_key(|binding| (place(binding), binding.host_ip, binding.host_port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::Protocol;

    #[test]
    fn the_first_binding_is_the_first_of_the_file() {
        let binding = |ip: &str, host_port, protocol| PortBinding {
            host_ip: ip.parse().unwrap(),
            host_port,
            target: 80,
            protocol,
        };
        let spec = |ip: Option<&str>, port: Option<u16>| PortSpec {
            host_ip: ip.map(|ip| ip.parse().unwrap()),
            published: port.map(|port| (port, port)),
            target: 80,
            protocol: Protocol::Tcp,
        };
        let ports = [
            binding("::", 40000, Protocol::Tcp),
            binding("0.0.0.0", 40000, Protocol::Tcp),
            binding("127.0.0.1", 8080, Protocol::Tcp),
            binding("127.0.0.2", 53, Protocol::Udp),
        ];
        let shown = |wanted: &[PortSpec], protocol| {
            first(wanted, &ports, 80, protocol).map(|port| format!("{}:{}", port.host_ip, port.host_port))
        };
        let (fixed, random) = (spec(Some("127.0.0.1"), Some(8080)), spec(None, None));
        assert_eq!(shown(&[fixed, random], "tcp").unwrap(), "127.0.0.1:8080");
        assert_eq!(shown(&[random, fixed], "tcp").unwrap(), "0.0.0.0:40000");
        assert_eq!(shown(&[], "udp").unwrap(), "127.0.0.2:53");
        assert_eq!(first(&[], &ports, 81, "tcp"), None);
    }
}
