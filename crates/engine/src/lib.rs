//! The front door of the container engine: open, observe, act. Every path and lock on disk is its
//! business; nothing here knows that Compose exists.
//!
//! * [`Engine::open`] is cheap and writes nothing; folders are made by the first act that needs them.
//! * [`Engine::observe`] and the other readers never lock and never write: every document is
//!   committed by one rename.
//! * Acts that change a pod are meant to run under its [`ProjectLock`]. They are idempotent or fail
//!   with a typed [`EngineError`], and a failed one leaves nothing half-made.
//!
//! Functions that are not `async` block for the time of a few system calls, [`Engine::create_container`]
//! for the time of copying an image's folder into a fresh volume.
//!
//! A program that uses the engine begins its `main` with [`hidden_role`].

mod addresses;
mod archive;
mod blobs;
mod build;
mod cdi;
mod changes;
mod containers;
mod create;
mod damage;
mod disk;
mod engine;
mod error;
mod events;
mod fetch;
mod files;
mod life;
mod lock;
mod login;
mod logs;
mod names;
mod networks;
mod notes;
mod observe;
mod pods;
mod ports;
mod process;
pub mod pull;
mod push;
pub mod resolve;
mod send;
mod stats;
mod sweep;
#[cfg(test)]
mod test_support;
mod top;
pub mod user;
mod volumes;

pub use archive::{
    ArchiveError, ArchiveForm, BundleContent, BundleFile, Gathered, LoadOptions, LoadedBundle, LoadedImage,
    Location, PackedAnew,
};
pub use builder::{
    Base, BuildError, Event as BuildEvent, EventKind as BuildEventKind, bases as bases_of_builds,
    check as check_builds, lacking_emulator,
};
pub use cdi::CdiError;
pub use changes::{Commit, unnamed};
pub use damage::{Damage, Subject};
pub use engine::{Engine, RemoteImage, hidden_role};
pub use error::{EngineError, Foreign};
pub use events::{EventQuery, Events};
pub use files::{Destination, Source};
pub use lock::ProjectLock;
pub use logs::{LogLine, LogQuery, LogStream};
pub use names::check as check_name;
pub use notes::Claim;
pub use observe::{Scope, is_interrupted};
pub use pods::PodSummary;
pub use pull::{PullError, PullEvent};
pub use push::{PushError, PushEvent, Pushed};
pub use registry::{Kept, LoggedOut, LoginError, RegistryError, Remedy};
pub use runtime::cgroup::Usage;
pub use send::{Sending, Sent};
pub use stats::{Sample, Traffic, processor_percent};
pub use store::{Collected, Omitted, Owners, Store, StoreError, bytes_below};
pub use supervisor::journal::Note;
pub use supervisor::{
    ClientError, Event, EventKind, EventStream, Exec, ExecRequest, Failure, FailureKind, Stdio,
};
pub use top::{ContainerProcesses, ProcessRow};
