//! Links the program to a fixed address.
//!
//! A program that can lie anywhere is patched in 24 000 places each time it starts, before its first own
//! instruction. That is a third of a millisecond, and `up` starts two processes of it one after the other.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // Elsewhere the linker's word is another, or such a program does not run.
    let gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    let is_static =
        var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|all| all.split(',').any(|each| each == "crt-static"));
    if gnu && !is_static {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
