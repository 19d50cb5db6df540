//! The parts of a container's specification that something can go wrong with: whoever asked for one is found
//! by it.

use crate::{NetworkName, PortSpec};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A part of what a container is asked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The program that it executes.
    Program,
    /// The folder its program begins in.
    WorkingDir,
    /// Who its program runs as.
    User,
    /// A group of its program.
    Group(String),
    /// The signal that stops it.
    StopSignal,
    /// The OCI runtime that runs it.
    Runtime,
    /// The AppArmor profile that confines it.
    Profile,
    /// Its host name.
    HostName,
    /// The name of its NIS domain.
    DomainName,
    /// A kernel parameter, by the name with dots; see [`Part::sysctl`].
    Sysctl(String),
    /// What its processes may use, by the name that `ulimits` has.
    Limit(String),
    /// The processors that it may use.
    Cpuset,
    /// Something that is mounted, by its place inside, its source or the path below that.
    Mount(String),
    /// A device, by its path in the container or its CDI name.
    Device(String),
    /// An address that it has on a network.
    Address {
        /// The network.
        network: NetworkName,
        /// The address.
        address: IpAddr,
    },
    /// Who its lines are sent to.
    LogServer,
    /// An option of its log driver.
    LogOption(String),
    /// A port that it publishes.
    Port(PortSpec),
}

impl Part {
    /// A kernel parameter by any of the ways that sysctl(8) has to write it: the first separator decides whether
    /// dots or slashes part its name.
    pub fn sysctl(key: &str) -> Self {
        let swap = |character| match character {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        let by_slashes = key.find(['.', '/']).is_some_and(|first| key.as_bytes()[first] == b'/');
        Self::Sysctl(if by_slashes { key.chars().map(swap).collect() } else { key.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_parameter_is_the_same_however_it_is_written() {
        let dots = Part::sysctl("net.ipv4.conf.eth0/1.forwarding");
        assert_eq!(dots, Part::sysctl("net/ipv4/conf/eth0.1/forwarding"));
        assert_eq!(dots, Part::Sysctl("net.ipv4.conf.eth0/1.forwarding".to_owned()));
    }
}
