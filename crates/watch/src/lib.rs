//! File changes → actions: what is watched, which changes belong together, and what follows from them.
//!
//! * [`Rule`]: one entry of `develop.watch`, read; it picks paths and names places inside a container.
//! * [`decide()`]: changed paths and rules in, [`Actions`] out. Pure.
//! * [`Gather`]: when a burst of changes is over. Pure: it is handed the time.
//! * [`Census`]: what a tree looked like when it was last seen, and what is different now.
//! * [`Observer`]: the edge, where the kernel tells of changes (by `notify`).

mod census;
mod decide;
mod editor;
mod gather;
mod observer;
mod poll;
mod rule;
mod walk;

pub use census::Census;
pub use decide::{Actions, Sync, decide};
pub use editor::is_temporary;
pub use gather::{BUSY, Gather, QUIET};
pub use observer::{Batch, Notice, Observer};
pub use rule::{Action, Rule, Watched};
pub use walk::{Found, walk};
