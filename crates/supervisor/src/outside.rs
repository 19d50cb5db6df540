//! The host's network, when the supervisor's own is an ordinary user's router: a companion thread stays
//! behind in it, because nobody comes back to it, and makes there what has to be the host's.

use crate::core::complain;
use resource::Roots;
use rustix::thread::LinkNameSpaceType;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, IntoRawFd};
use sys::companion::Companion;
use sys::file::Lock;

/// The way to the host's network.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    /// `None` when the supervisor is in it itself.
    companion: Option<Companion>,
    /// Connections to containers can be made under a client's own address.
    keeps_clients: bool,
    /// Keeps the user's namespaces for as long as this process lives.
    _use: Option<Lock>,
}

impl Outside {
    /// Enters the router of these roots, if they have one, and leaves a thread behind. To be called
    /// before anything of the network is opened.
    ///
    /// # Errors
    /// What the kernel says of the lock, the thread or the router.
    pub(crate) fn leave(roots: &Roots) -> io::Result<Self> {
        let Some(path) = &roots.router else { return Ok(Self::default()) };
        let lock = Lock::shared(&roots.infra_use())?;
        let router = File::open(path)?;
        // Keeps pasta from being killed by the kernel for as long as this process lives, longer than any
        // value of it: one that becomes infra at its end has it open again by the time this is closed.
        let _life = File::options().read(true).write(true).open(roots.infra_life())?.into_raw_fd();
        let companion = Companion::start()?;
        rustix::thread::move_into_link_name_space(router.as_fd(), Some(LinkNameSpaceType::Network))?;
        let kept = network::Netlink::open().and_then(|netlink| network::keep_clients(&netlink));
        // Without, containers see the gateway's address.
        let keeps_clients = kept.inspect_err(|error| complain(error)).is_ok();
        Ok(Self { companion: Some(companion), keeps_clients, _use: Some(lock) })
    }

    /// Whether the host's network is another than the supervisor's own.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.companion.is_some()
    }

    /// The address under which a client's connection goes on to a container: its own one, or `None` for
    /// that of the gateway, when the client is this host's loopback or of another family.
    pub(crate) fn known_as(&self, client: Option<SocketAddr>, target: SocketAddr) -> Option<SocketAddr> {
        let link_local = |ip| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        client.filter(|client| {
            let ip = client.ip();
            self.keeps_clients
                && ip.is_ipv4() == target.is_ipv4()
                && !(ip.is_loopback() || ip.is_unspecified() || link_local(ip))
        })
    }

    /// The host's address towards the outside, by which containers reach the host when its network is
    /// elsewhere: their gateway is the router then. `None` without a way outside, too.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.companion.as_ref()?;
        let address = || -> io::Result<IpAddr> {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            // Nothing is sent. The address, from a block for documentation, is nobody's.
            socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9))?;
            Ok(socket.local_addr()?.ip())
        };
        self.run(address).ok()?.ok()
    }

    /// Does some work in the host's network, and waits for it.
    ///
    /// # Errors
    /// `BrokenPipe` when the thread there is gone, which no work can bring about.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        match &self.companion {
            Some(companion) => companion.run(work),
            None => Ok(work()),
        }
    }
}
