//! What every scenario stands on: a world of its own (store, run-time folder, cgroup, project folder),
//! the built program, a registry inside the test process with small images, and the proof at the end
//! that nothing was left behind.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a scenario that cannot go on has failed")]

mod images;
mod leaks;
mod registry;
mod world;

pub use images::big as big_image;
pub use registry::serve_image;
pub use world::{Background, Output, World, free_port, http, until};

/// Defines a scenario: a test that owns the folder `cases/NAME` (with `-` for `_`).
#[macro_export]
macro_rules! scenario {
    ($(#[doc = $obligation:literal])+ $name:ident, $run:expr) => {
        $(#[doc = $obligation])+
        #[test]
        fn $name() {
            let run: fn(&$crate::World) = $run;
            run(&$crate::World::new(stringify!($name)));
        }
    };
}
