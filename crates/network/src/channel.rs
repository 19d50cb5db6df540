//! A netlink socket: sends messages in one call and gathers what the kernel says to them.
//!
//! The kernel works a batch off inside the send call, so every answer is there when it returns;
//! nothing here waits.

use crate::NetworkError;
use crate::wire::{self, Messages, Received};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

const ERROR: u16 = 2;
const DONE: u16 = 3;
/// An error message does not repeat the request.
const CAPPED: u16 = 0x100;
/// An error message carries attributes.
const HAS_ATTRIBUTES: u16 = 0x200;
/// Attribute of an error message: its text.
const ERROR_TEXT: u16 = 1;
/// The default send buffer takes a batch of this many bytes; beyond it the buffer is widened.
const DEFAULT_SEND: usize = 64 * 1024;
/// No answer is longer: acknowledgements are short, and dumps fit the buffer they are read with.
const ANSWER: usize = 16 * 1024;

/// A netlink socket of one protocol in one network namespace.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    /// Number of the next message; held while a conversation goes on.
    turn: Mutex<u32>,
}

/// How the kernel refused one message of a batch.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Which one.
    pub(crate) index: usize,
    /// Its error number.
    pub(crate) errno: i32,
    detail: Option<String>,
}

impl Channel {
    /// A conversation about links, addresses and routes.
    pub(crate) fn route() -> Result<Self, NetworkError> {
        Self::open(None, "open a netlink socket", "rtnetlink")
    }

    /// A conversation about packet filters.
    pub(crate) fn netfilter() -> Result<Self, NetworkError> {
        Self::open(Some(netlink::NETFILTER), "open a netfilter socket", "nf_tables (CONFIG_NF_TABLES)")
    }

    /// Protocol 0, hence `None`, is rtnetlink.
    fn open(protocol: Option<Protocol>, attempt: &str, feature: &'static str) -> Result<Self, NetworkError> {
        let made =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol);
        match made {
            Ok(socket) => {
                // Only the words of error messages depend on this one.
                drop(sys::netlink::extended_errors(socket.as_fd()));
                Ok(Self { socket, turn: Mutex::new(1) })
            }
            Err(source @ (Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT)) => {
                Err(NetworkError::Unsupported { attempt: attempt.to_owned(), feature, source: source.into() })
            }
            Err(source) => Err(NetworkError::kernel(attempt, source)),
        }
    }

    /// Sends the messages; the last one must be acknowledged. Fails with the first that was refused.
    pub(crate) fn tell(&self, batch: &mut Messages) -> Result<(), NetworkError> {
        self.ask(batch, |_| {})
    }

    /// Sends the messages and hands what comes back, acknowledgements excepted, to `each`.
    pub(crate) fn ask(
        &self,
        batch: &mut Messages,
        each: impl FnMut(Received<'_>),
    ) -> Result<(), NetworkError> {
        self.exchange(batch, each).map_err(|problem| match problem {
            Problem::Transport(source) => NetworkError::kernel(batch.attempt(0).what, source),
            Problem::NoAnswer => NetworkError::Answer { attempt: batch.attempt(0).what },
            Problem::Refused(refusal) => refusal.explain(batch),
        })
    }

    /// Like [`Self::tell`], but a refusal comes as it is, for callers that expect some.
    pub(crate) fn attempt(&self, batch: &mut Messages) -> Result<Result<(), Refusal>, NetworkError> {
        match self.exchange(batch, |_| {}) {
            Ok(()) => Ok(Ok(())),
            Err(Problem::Refused(refusal)) => Ok(Err(refusal)),
            Err(Problem::Transport(source)) => Err(NetworkError::kernel(batch.attempt(0).what, source)),
            Err(Problem::NoAnswer) => Err(NetworkError::Answer { attempt: batch.attempt(0).what }),
        }
    }

    fn exchange(&self, batch: &mut Messages, mut each: impl FnMut(Received<'_>)) -> Result<(), Problem> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *turn;
        let count = u32::try_from(batch.len()).expect("a batch has far fewer than 2^32 messages");
        // Wrapping would have to meet answers four billion messages old; there are none.
        *turn = first.checked_add(count).unwrap_or(1);
        self.send(batch.numbered(first))?;
        let (mut refusal, mut answered) = (None, false);
        let mut buffer = vec![0; ANSWER];
        loop {
            let length = match rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN) => break,
                // Too many errors to keep: the first of them, the one that counts, is there.
                Err(Errno::INTR | Errno::NOBUFS) => continue,
                Err(source) => return Err(Problem::Transport(source.into())),
            };
            for message in wire::messages(&buffer[..length]) {
                let Some(index) = message.sequence.checked_sub(first).filter(|index| *index < count) else {
                    continue;
                };
                match message.kind {
                    ERROR => {
                        answered = true;
                        let index = usize::try_from(index).unwrap_or(0);
                        refusal = refusal.or_else(|| Refusal::read(&message, index));
                    }
                    DONE => answered = true,
                    _ => {
                        answered = true;
                        each(message);
                    }
                }
            }
        }
        match refusal {
            Some(refusal) => Err(Problem::Refused(refusal)),
            None if answered => Ok(()),
            None => Err(Problem::NoAnswer),
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Problem> {
        if bytes.len() > DEFAULT_SEND {
            // Without the privilege the ordinary limit stays, and the send call says so.
            let size = 2 * bytes.len() + DEFAULT_SEND;
            nix::sys::socket::setsockopt(&self.socket, nix::sys::socket::sockopt::SndBufForce, &size).ok();
        }
        let kernel = SocketAddrNetlink::new(0, 0);
        loop {
            match rustix::net::sendto(&self.socket, bytes, SendFlags::empty(), &kernel) {
                Err(Errno::INTR) => {}
                Err(source) => return Err(Problem::Transport(source.into())),
                Ok(_) => return Ok(()),
            }
        }
    }
}

enum Problem {
    Transport(io::Error),
    Refused(Refusal),
    NoAnswer,
}

impl Refusal {
    /// Reads an error message; `None` when it says that all is well.
    fn read(message: &Received<'_>, index: usize) -> Option<Self> {
        let errno = wire::u32_at(message.payload, 0)?.cast_signed();
        if errno == 0 {
            return None;
        }
        let request = usize::try_from(wire::u32_at(message.payload, 4)?).ok()?;
        let offset = 4 + if message.flags & CAPPED == 0 { request.next_multiple_of(4) } else { 16 };
        let has_text = message.flags & HAS_ATTRIBUTES != 0;
        let tail = message.payload.get(offset..).filter(|_| has_text).unwrap_or(&[]);
        let detail = wire::attribute(tail, ERROR_TEXT).map(wire::text).filter(|text| !text.is_empty());
        Some(Self { index, errno: -errno, detail })
    }

    /// The error for the caller: what was attempted, and which feature is missing if that is it.
    pub(crate) fn explain(self, batch: &Messages) -> NetworkError {
        let attempt = batch.attempt(self.index);
        let source = io::Error::from_raw_os_error(self.errno);
        let missing = [Errno::OPNOTSUPP, Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT, Errno::NOENT];
        match attempt.needs {
            Some(feature) if missing.iter().any(|errno| errno.raw_os_error() == self.errno) => {
                NetworkError::Unsupported { attempt: attempt.what, feature, source }
            }
            _ => NetworkError::Kernel { attempt: attempt.what, detail: self.detail, source },
        }
    }
}
