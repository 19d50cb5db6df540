//! The engine on the real kernel, as root: what it makes exists, what it removes is gone.
//!
//! Not the usual harness: a supervisor is this program started again, which has to be noticed before
//! anything else. Names of tests may be given as arguments.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod containers;
mod life;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("looking_writes_nothing", containers::looking_writes_nothing),
    ("a_failed_creation_leaves_nothing", containers::a_failed_creation_leaves_nothing),
    ("addresses_are_leased_once", containers::addresses_are_leased_once),
    (
        "a_replacement_takes_over_volumes_and_addresses",
        containers::a_replacement_takes_over_volumes_and_addresses,
    ),
    ("secrets_have_their_mode_and_owner", containers::secrets_have_their_mode_and_owner),
    ("a_fresh_volume_is_filled_from_the_image", containers::a_fresh_volume_is_filled_from_the_image),
    ("networks_and_volumes_in_use_stay", containers::networks_and_volumes_in_use_stay),
    ("a_crash_in_the_making_is_cleared", containers::a_crash_in_the_making_is_cleared),
    ("a_container_lives_and_leaves_nothing", life::a_container_lives_and_leaves_nothing),
    ("a_failed_start_says_why", life::a_failed_start_says_why),
    ("a_killed_supervisor_is_replaced", life::a_killed_supervisor_is_replaced),
    ("an_end_is_told_after_the_removal", life::an_end_is_told_after_the_removal),
    ("leftovers_are_found_without_documents", life::leftovers_are_found_without_documents),
];

fn main() -> ExitCode {
    if let Some(code) = engine::hidden_role() {
        return code;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    let mut failed = vec![];
    for (name, test) in TESTS.iter().filter(|(name, _)| chosen(name)) {
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
