//! One container from an OCI runtime specification: create, start, execute in it, freeze, remove.
//!
//! ```text
//! spec::generate   ContainerRecord -> Spec            pure; Docker's defaults
//! seccomp::compile SecuritySpec -> Program            pure; once, any number of starts
//! Cgroup::create   limits and device rules            before the start
//! spawn / exec     prepare -> clone3 -> child::start  the child does every step itself and reports
//! Starting         the report pipe; finish -> Started { pidfd, console }
//! oci::begin       the same by another runtime, where one is named: Shim -> Started
//! ```
//!
//! The caller is single-threaded (the supervisor); `spawn` and `exec` refuse to run otherwise, since
//! the child is a copy of the caller that goes on running our code. All that the child needs is made
//! before the clone, so it allocates nothing. Paths inside a root are resolved only with openat2(2)
//! `RESOLVE_IN_ROOT`, and mounts go onto descriptors.

pub mod capability;
pub mod cgroup;
mod child;
mod error;
mod launch;
pub mod oci;
mod prepare;
pub mod processes;
mod root;
pub mod seccomp;
pub mod spec;
pub mod users;

pub use cgroup::Cgroup;
pub use error::StartError;
pub use launch::{ExecLaunch, Launch, Net, Share, Started, Starting, Stdio, exec, spawn};
pub use oci_spec::runtime::Spec;
pub use root::{StoppedRoot, with_stopped};
pub use seccomp::Program;
