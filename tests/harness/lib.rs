//! What every scenario stands on: a world of its own (store, run-time folder, cgroup, project folder),
//! the built program, a registry inside the test process with small images, and the proof at the end
//! that nothing was left behind.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a scenario that cannot go on has failed")]

mod collector;
mod depot;
mod emulator;
mod images;
mod killing;
mod leaks;
mod ports;
mod registry;
mod secure;
mod terminal;
mod trickster;
mod web;
mod who;
mod world;

pub use collector::{Collector, Told};
pub use depot::{Depot, Gate};
pub use emulator::Emulator;
pub use images::{
    Image, architecture, big as big_image, index as image_index, layered as layered_image,
    telling as telling_image,
};
pub use killing::{Ending, kill_points};
pub use ports::free_port;
pub use registry::{Fault, MovingRegistry, faulty_registry, serve_image};
pub use secure::certificate;
pub use terminal::Terminal;
pub use trickster::{End, Question, Reply, Trickster};
pub use web::Web;
pub use who::{Who, ordinary_user};
pub use world::{Background, Output, World, http, until, within};

/// Defines a scenario, two tests that own the folder `cases/NAME` (with `-` for `_`):
/// `NAME::as_root` and `NAME::as_user`. One that is for root alone, or for an ordinary user, says why.
#[macro_export]
macro_rules! scenario {
    ($(#[doc = $obligation:literal])+ $name:ident, root_only = $why:literal, $run:expr) => {
        $crate::scenario!(@play [$($obligation)+ "" "For root alone:" $why] $name, $run);
        mod $name {
            #[test]
            fn as_root() {
                super::$name(&$crate::World::new(stringify!($name), $crate::Who::Root));
            }
        }
    };
    ($(#[doc = $obligation:literal])+ $name:ident, user_only = $why:literal, $run:expr) => {
        $crate::scenario!(@play [$($obligation)+ "" "For an ordinary user alone:" $why] $name, $run);
        mod $name {
            #[test]
            fn as_user() {
                super::$name(&$crate::World::new(stringify!($name), $crate::Who::User));
            }
        }
    };
    ($(#[doc = $obligation:literal])+ $name:ident, $run:expr) => {
        $crate::scenario!(@play [$($obligation)+] $name, $run);
        mod $name {
            #[test]
            fn as_root() {
                super::$name(&$crate::World::new(stringify!($name), $crate::Who::Root));
            }

            #[test]
            fn as_user() {
                super::$name(&$crate::World::new(stringify!($name), $crate::Who::User));
            }
        }
    };
    (@play [$($line:literal)+] $name:ident, $run:expr) => {
        $(#[doc = $line])+
        fn $name(world: &$crate::World) {
            let run: fn(&$crate::World) = $run;
            run(world);
        }
    };
}
