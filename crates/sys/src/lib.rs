//! System calls that no library offers in the form needed here. Every `unsafe` of the project is in
//! this crate, each block with the fact that makes it sound.

#![expect(unsafe_code, reason = "this crate is where it is allowed")]

pub mod bpf;
pub mod companion;
pub mod exe;
pub mod file;
pub mod init;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod overlay;
pub mod pidfd;
pub mod process;
pub mod random;
pub mod seccomp;
pub mod sha256;
pub mod sleep;
pub mod socket;
