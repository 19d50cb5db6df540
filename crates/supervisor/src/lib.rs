//! Keeps the processes of one pod: the only resident process, one thread, one epoll loop.
//!
//! A command talks to it through [`Client`]; [`serve()`] is the other end, the role that the same binary
//! plays under the hidden first argument [`ROLE`]. The supervisor is the parent of every container and
//! exec process of its pod. It owns their state documents and logs, restarts them by policy, runs their
//! health checks, answers their name queries and holds their published ports.
//!
//! It may be killed at any instant: containers live on, and the next one adopts them. It ends by
//! itself when no container of the pod lives and nobody is connected. SIGTERM ends it like SIGKILL
//! does: nothing is stopped.
//!
//! ```text
//! protocol   what is said            client, packet, launcher   the command's side
//! serve      the role                reactor                    events and timers
//! lifecycle: start, oci, exit, stop, exec, probe, adopt            logs: log/, ship/
//! network:   ports, forward, names, resolver, files             pure: health, wait, removed, files, log/record
//! ```

mod adopt;
mod client;
mod connection;
mod container;
mod core;
mod early;
mod error;
mod exec;
mod exit;
mod files;
#[cfg(test)]
mod fixture;
mod forward;
mod hand_over;
mod health;
pub mod journal;
mod launcher;
pub mod log;
mod names;
mod oci;
mod outside;
mod packet;
mod ports;
mod protocol;
mod reactor;
mod removed;
mod resolver;
mod rewire;
mod serve;
mod ship;
mod shortage;
mod start;
mod started;
mod stop;
mod surroundings;
mod totals;
mod update;
mod wait;
mod wiring;

pub use client::{Client, EventStream, Exec};
pub use error::ClientError;
pub use launcher::ROLE;
pub use protocol::{
    Event, EventKind, ExecRequest, Failure, FailureKind, PROTOCOL, StartFailure, Stdio, VERSION,
};
pub use serve::serve;
