//! `compose port`: prints where a port of a service is published.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::{output, select};
use resource::PortBinding;

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
    match first(ports, args.private, &protocol) {
        Some(binding) => output::line(&format!("{}:{}", binding.host_ip, binding.host_port))?,
        None => {
            let known: Vec<String> = ports
                .iter()
                .map(|binding| format!("{}/{}", binding.target, binding.protocol.as_str()))
                .collect();
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
    Ok(Exit::Success)
}

/// The first binding, IPv4 before IPv6.
fn first<'a>(ports: &'a [PortBinding], target: u16, protocol: &str) -> Option<&'a PortBinding> {
    let fitting =
        ports.iter().filter(|binding| binding.target == target && binding.protocol.as_str() == protocol);
    fitting.min_by_key(|binding| (binding.host_ip, binding.host_port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::Protocol;

    #[test]
    fn the_first_binding_is_the_ipv4_one() {
        let binding = |ip: &str, protocol| PortBinding {
            host_ip: ip.parse().unwrap(),
            host_port: 8080,
            target: 80,
            protocol,
        };
        let ports = [
            binding("::", Protocol::Tcp),
            binding("0.0.0.0", Protocol::Tcp),
            binding("127.0.0.1", Protocol::Udp),
        ];
        assert_eq!(first(&ports, 80, "tcp").unwrap().host_ip.to_string(), "0.0.0.0");
        assert_eq!(first(&ports, 80, "udp").unwrap().host_ip.to_string(), "127.0.0.1");
        assert_eq!(first(&ports, 81, "tcp"), None);
    }
}
