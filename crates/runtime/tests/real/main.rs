//! Containers on the real kernel: as root, and as an ordinary user with a range of ids and with one. One
//! thread, since starting a container clones the process; a case named on the command line runs alone.

#![expect(clippy::unwrap_used, reason = "a case fails by panicking; the harness is not cargo's")]

mod bed;
mod cases;
mod user;

use cases::Differs;
use resource::Mapping;

fn main() {
    user::enter();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    let child = std::env::var_os(bed::MAPPING).is_some();
    let mut failed = vec![];
    if child || rustix::process::geteuid().is_root() {
        failed = run(&arguments);
    }
    if !child {
        for mapping in [Mapping::Subordinate, Mapping::Single] {
            if !user::run(mapping, &arguments) {
                failed.push(mapping.as_str());
            }
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// Runs the cases as whoever we are; those that failed.
fn run(arguments: &[String]) -> Vec<&'static str> {
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let mapping = bed::mapping();
    if let Some(folder) = bed::delegated() {
        println!("cgroups are in {}", folder.trim_end());
    }
    let before = cases::world();
    let mut failed = vec![];
    for (name, case) in cases::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let own =
            cases::DIFFERENT.iter().find(|(other, whose, ..)| other == name && whose.contains(&mapping));
        let left_out = own.filter(|(_, _, differs, _)| match differs {
            Differs::InPart => false,
            Differs::LeftOut => true,
            Differs::WithoutCgroups => bed::delegated().is_none(),
        });
        if let Some((.., why)) = left_out {
            println!("test {}::{name} ... left out: {why}", mapping.as_str());
            continue;
        }
        let passed = std::panic::catch_unwind(case).is_ok();
        println!("test {}::{name} ... {}", mapping.as_str(), if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        assert_eq!(cases::world(), before, "nothing is left behind");
    }
    failed
}
