//! The driver of a network and its options: read once, here, and handed on in one spelling.

use crate::network::Reader;
use resource::{IpvlanMode, MacvlanMode, NetworkDriver};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The interface of the host's that a macvlan or ipvlan network is on.
pub(crate) const PARENT: &str = "parent";
/// The host address of published ports that name none.
pub(crate) const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// What is an option of any network.
const MTU: &str = "com.docker.network.driver.mtu";
const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
/// Bytes of the smallest packet that IPv4 asks every link to take, and of the largest there is.
const MTUS: std::ops::RangeInclusive<u32> = 68..=65_535;

/// Whether the kernel takes this as the name of an interface.
fn is_interface_name(name: &str) -> bool {
    let barred = |letter: char| matches!(letter, '/' | ':') || letter.is_ascii_whitespace();
    (1..=15).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(barred)
}

/// The words that are taken for a boolean.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The value in the one spelling that the engine knows, or what it should have been; `None` for an
/// option that is not known.
fn value(driver: NetworkDriver, internal: bool, option: &str, text: &str) -> Option<Result<String, String>> {
    const NAME: &str = "the name of an interface: 1 to 15 bytes, no `/`, `:` or blank";
    let accept =
        |good: bool, wanted: &str| Some(if good { Ok(text.to_owned()) } else { Err(wanted.to_owned()) });
    match option {
        MTU => {
            let wanted = format!("a number of bytes from {} to {}", MTUS.start(), MTUS.end());
            accept(text.parse().is_ok_and(|bytes| MTUS.contains(&bytes)), &wanted)
        }
        // A number follows it.
        INTERFACE_PREFIX => accept(is_interface_name(text) && text.len() <= 13, NAME),
        PARENT if !driver.has_host() => accept(is_interface_name(text), NAME),
        _ => match (driver, option.strip_prefix("com.docker.network.bridge.")?) {
            (NetworkDriver::Bridge, "name") => accept(is_interface_name(text), NAME),
            (NetworkDriver::Bridge, "enable_icc" | "enable_ip_masquerade") => {
                Some(boolean(text).map(|value| value.to_string()).ok_or_else(|| "a boolean".to_owned()))
            }
            (NetworkDriver::Bridge, "host_binding_ipv4") => {
                accept(text.parse::<Ipv4Addr>().is_ok(), "an IPv4 address")
            }
            (NetworkDriver::Bridge, "gateway_mode_ipv4" | "gateway_mode_ipv6") if internal => {
                accept(matches!(text, "nat" | "isolated"), "`nat` or, in an internal network, `isolated`")
            }
            (NetworkDriver::Bridge, "gateway_mode_ipv4" | "gateway_mode_ipv6") => accept(
                matches!(text, "nat" | "nat-unprotected" | "routed"),
                "`nat`, `nat-unprotected` or `routed`",
            ),
            _ => None,
        },
    }
}

/// Options that are read with the driver.
fn is_mode(driver: NetworkDriver, option: &str) -> bool {
    match driver {
        NetworkDriver::Bridge => false,
        NetworkDriver::Macvlan(_) => option == "macvlan_mode",
        NetworkDriver::Ipvlan(_) => option == "ipvlan_mode",
    }
}

impl Reader<'_> {
    /// The driver with its mode.
    pub(crate) fn driver(&mut self) -> NetworkDriver {
        let network = self.network;
        let option = |name: &str| network.driver_opts.get(name).map(String::as_str);
        match network.driver.as_deref() {
            None | Some("bridge" | "") => NetworkDriver::Bridge,
            Some("macvlan") => NetworkDriver::Macvlan(match option("macvlan_mode") {
                None | Some("bridge" | "") => MacvlanMode::Bridge,
                Some("private") => MacvlanMode::Private,
                Some("vepa") => MacvlanMode::Vepa,
                Some("passthru") => MacvlanMode::Passthru,
                Some(other) => {
                    let wanted = "`bridge`, `private`, `vepa` or `passthru`";
                    self.bad_option("macvlan_mode", other, wanted);
                    MacvlanMode::default()
                }
            }),
            Some("ipvlan") => NetworkDriver::Ipvlan(match option("ipvlan_mode") {
                None | Some("l2" | "") => IpvlanMode::L2,
                Some("l3") => IpvlanMode::L3,
                Some("l3s") => IpvlanMode::L3s,
                Some(other) => {
                    self.bad_option("ipvlan_mode", other, "`l2`, `l3` or `l3s`");
                    IpvlanMode::default()
                }
            }),
            // Whoever made it knows.
            Some(_) if network.external => NetworkDriver::Bridge,
            Some(driver) => {
                let known = "only `bridge`, `macvlan` and `ipvlan` are";
                self.refuse("driver", format!(": driver `{driver}` is not supported, {known}"));
                NetworkDriver::Bridge
            }
        }
    }

    /// The options that the engine acts on. One that cannot be read is an error, one that is not known
    /// a warning.
    pub(crate) fn options(&mut self, driver: NetworkDriver) -> BTreeMap<String, String> {
        let mut options = BTreeMap::new();
        for (option, text) in &self.network.driver_opts {
            match value(driver, self.network.internal, option, text) {
                Some(Ok(value)) => drop(options.insert(option.clone(), value)),
                Some(Err(wanted)) => self.bad_option(option, text, &wanted),
                None if is_mode(driver, option) => {}
                None => {
                    let message =
                        format!("the option `{option}` has no effect with driver `{}`", driver.as_str());
                    self.ignored(&format!("driver_opts.{option}"), message);
                }
            }
        }
        options
    }

    fn bad_option(&mut self, option: &str, text: &str, wanted: &str) {
        let message = format!(": the option `{option}` is `{text}` and should be {wanted}");
        self.refuse(&format!("driver_opts.{option}"), message);
    }
}
