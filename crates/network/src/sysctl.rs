//! The kernel's network settings that netlink does not reach: files below /proc/sys/net, which show
//! the calling thread's namespace.

use crate::NetworkError;
use crate::link::kernel_has_ipv6;
use std::io;
use std::path::Path;

/// A setting of one interface, in the namespace the thread is in: `net.ipv4.conf.IFNAME.log_martians`.
/// A name may have dots, so it comes in last.
pub(crate) fn interface(key: &str, name: &str, value: &str) -> Result<(), NetworkError> {
    set(&format!("/proc/sys/{}", key.replace('.', "/").replace("IFNAME", name)), value)
}

fn set(path: &str, value: &str) -> Result<(), NetworkError> {
    std::fs::write(path, value).or_else(|source| {
        // /proc/sys may be read-only here and right already.
        let right = std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
        if right { Ok(()) } else { Err(NetworkError::kernel(format!("set {path} to {value}"), source)) }
    })
}

fn is(path: impl AsRef<Path>, value: &str) -> io::Result<bool> {
    Ok(std::fs::read_to_string(path)?.trim() == value)
}

/// Has the host pass on IPv4 packets. Left alone when on: writing resets every interface's own setting.
pub(crate) fn forward_ipv4() -> Result<(), NetworkError> {
    let path = "/proc/sys/net/ipv4/ip_forward";
    if is(path, "1").unwrap_or(false) { Ok(()) } else { set(path, "1") }
}

/// Has the host pass on IPv6 packets. Interfaces that live on router advertisements are told to go on
/// heeding them, which a forwarding host otherwise stops.
pub(crate) fn forward_ipv6() -> Result<(), NetworkError> {
    let path = "/proc/sys/net/ipv6/conf/all/forwarding";
    if !kernel_has_ipv6() || is(path, "1").unwrap_or(false) {
        return Ok(());
    }
    for entry in std::fs::read_dir("/proc/sys/net/ipv6/conf").into_iter().flatten().flatten() {
        let advertised = entry.path().join("accept_ra");
        if is(&advertised, "1").unwrap_or(false) {
            // An interface that goes away meanwhile needs nothing.
            drop(std::fs::write(&advertised, "2"));
        }
    }
    set(path, "1")
}

/// A bridge with IPv6 heeds no router advertisements (a container could send some); one without has no
/// IPv6 at all.
pub(crate) fn bridge_ipv6(bridge: &str, wanted: bool) -> Result<(), NetworkError> {
    if !kernel_has_ipv6() {
        return Ok(());
    }
    let folder = format!("/proc/sys/net/ipv6/conf/{bridge}");
    set(&format!("{folder}/disable_ipv6"), if wanted { "0" } else { "1" })?;
    if wanted { set(&format!("{folder}/accept_ra"), "0") } else { Ok(()) }
}

/// A container's interface with IPv6, in the namespace the thread is in, heeds nobody's router
/// advertisements and tells its neighbours of its hardware address.
pub(crate) fn heed_nobody(interface: &str) -> Result<(), NetworkError> {
    if !kernel_has_ipv6() {
        return Ok(());
    }
    let folder = format!("/proc/sys/net/ipv6/conf/{interface}");
    set(&format!("{folder}/accept_ra"), "0")?;
    set(&format!("{folder}/ndisc_notify"), "1")
}

/// What interfaces begin with.
const NEW_INTERFACES: &str = "/proc/sys/net/ipv6/conf/default/disable_ipv6";

/// While it lives, interfaces made in the namespace the thread is in have no IPv6 at all. To take it from
/// one that is there, the kernel wants a lock for all namespaces, and has the caller try again and again,
/// at full speed, while somebody else holds it.
#[must_use]
pub(crate) struct WithoutIpv6 {
    /// What was there before; `None` when nothing was changed.
    before: Option<String>,
}

impl WithoutIpv6 {
    /// Does nothing when IPv6 is wanted, or is not there anyway.
    pub(crate) fn unless(wanted: bool) -> Result<Self, NetworkError> {
        if wanted || !kernel_has_ipv6() {
            return Ok(Self { before: None });
        }
        let before = std::fs::read_to_string(NEW_INTERFACES).unwrap_or_default();
        if before.trim() == "1" {
            return Ok(Self { before: None });
        }
        set(NEW_INTERFACES, "1")?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for WithoutIpv6 {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It could be written a moment ago.
            drop(std::fs::write(NEW_INTERFACES, before.trim()));
        }
    }
}
