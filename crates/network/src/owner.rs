//! Who holds a port: the kernel's socket tables, then the descriptors of every process.

use resource::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// State of a listening TCP socket and of a bound UDP one in /proc/net.
const LISTENING: &str = "0A";
const BOUND: &str = "07";

/// Who holds a port of this namespace: `nginx (pid 4711)`, or `a process of another user`, whose
/// descriptors may not be looked at. `None` when nobody is found.
pub fn port_owner(protocol: Protocol, ip: Option<IpAddr>, port: u16) -> Option<String> {
    let (tables, state) = match protocol {
        Protocol::Tcp => (["tcp", "tcp6"], LISTENING),
        Protocol::Udp => (["udp", "udp6"], BOUND),
        Protocol::Sctp => return None,
    };
    let socket = tables.iter().find_map(|table| {
        let text = std::fs::read_to_string(Path::new("/proc/thread-self/net").join(table)).ok()?;
        text.lines().skip(1).find_map(|line| holder(line, state, ip, port))
    })?;
    let own = rustix::process::geteuid().as_raw();
    let stranger = || (socket.user != own).then(|| "a process of another user".to_owned());
    process_with(&format!("socket:[{}]", socket.inode)).or_else(stranger)
}

/// A socket in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    inode: u64,
    /// Who made it, as this user namespace calls them; those it does not know have one id together.
    user: u32,
}

/// The socket in this line, if it is one in the way of that address and port.
fn holder(line: &str, state: &str, wanted: Option<IpAddr>, port: u16) -> Option<Socket> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (address, held) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != state || u16::from_str_radix(held, 16).ok()? != port {
        return None;
    }
    let held = parse_address(address)?;
    let wanted = wanted.filter(|ip| !ip.is_unspecified());
    let in_the_way = held.is_unspecified() || wanted.is_none_or(|wanted| wanted == held);
    let socket = Socket { inode: fields.get(9)?.parse().ok()?, user: fields.get(7)?.parse().ok()? };
    in_the_way.then_some(socket)
}

/// An address as /proc/net prints it: hexadecimal words in the machine's order.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        u32::from_str_radix(text.get(8 * index..8 * index + 8)?, 16).ok().map(u32::to_ne_bytes)
    };
    if text.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let mut octets = [0; 16];
    for (index, part) in octets.chunks_exact_mut(4).enumerate() {
        part.copy_from_slice(&word(index)?);
    }
    let address = Ipv6Addr::from(octets);
    Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
}

/// The first process that has this open.
fn process_with(descriptor: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit)).find_map(
        |entry| {
            let mut descriptors = std::fs::read_dir(entry.path().join("fd")).ok()?.flatten();
            descriptors
                .find(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link == Path::new(descriptor)))?;
            let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
            Some(format!("{} (pid {})", name.trim(), entry.file_name().to_string_lossy()))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 4242 1 0 0 0";

    #[test]
    fn only_a_socket_in_the_way_counts() {
        let socket = Some(Socket { inode: 4242, user: 1000 });
        let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert_eq!(holder(LINE, LISTENING, ip("127.0.0.1"), 8080), socket);
        assert_eq!(holder(LINE, LISTENING, None, 8080), socket);
        assert_eq!(holder(LINE, LISTENING, ip("10.0.0.1"), 8080), None);
        assert_eq!(holder(LINE, LISTENING, None, 80), None);
        assert_eq!(holder(LINE, BOUND, None, 8080), None);
        let any = LINE.replace("0100007F", "00000000000000000000000000000000");
        assert_eq!(holder(&any, LISTENING, ip("10.0.0.1"), 8080), socket);
    }
}
