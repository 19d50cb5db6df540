//! Containers on the real kernel, as root. One thread, since starting a container clones the process;
//! a case named on the command line runs alone.

#![expect(clippy::unwrap_used, reason = "a case fails by panicking; the harness is not cargo's")]

mod bed;
mod cases;

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    assert!(rustix::process::geteuid().is_root(), "these tests make containers: run them as root");
    let before = cases::world();
    let mut failed = vec![];
    for (name, case) in cases::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let passed = std::panic::catch_unwind(case).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
    assert_eq!(cases::world(), before, "nothing is left behind");
    println!("test nothing_is_left_behind ... ok");
}
