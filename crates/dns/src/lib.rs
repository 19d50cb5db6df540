//! Answers to name queries of containers. Pure: bytes in, verdict out; who has which name is asked of
//! a [`View`].

use std::net::IpAddr;

/// What one container can see. Names are lower-case, without the trailing dot.
pub trait View {
    /// Every address of a name, in any order; `None` when the name is not ours.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>>;
    /// The name of an address; `None` when the address is not ours.
    fn name_of(&self, ip: IpAddr) -> Option<String>;
}

/// What to do with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send this back.
    Answer(Vec<u8>),
    /// It is not about us: hand it, as it is, to an upstream server.
    Forward,
    /// It is no query at all: say nothing.
    Drop,
}

/// Why a query that was to be forwarded gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No upstream server answered (SERVFAIL).
    Server,
    /// There is nobody to ask: the container is on internal networks only (NXDOMAIN).
    NoSuchName,
    /// Not for this one to ask (REFUSED).
    Refused,
}

/// Decides about one query. The same seed gives the same order of a name's addresses; `udp` limits the
/// answer to what the client said it can take.
pub fn answer(_query: &[u8], _view: &dyn View, _seed: u64, _udp: bool) -> Verdict {
    todo!()
}

/// The answer that says so, for a query that [`answer`] wanted forwarded. `None` for bytes that are no query.
pub fn failure(_query: &[u8], _why: Failure) -> Option<Vec<u8>> {
    todo!()
}
