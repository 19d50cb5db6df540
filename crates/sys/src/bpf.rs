//! Device programs of cgroup v2: bpf(2) with `BPF_PROG_TYPE_CGROUP_DEVICE`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `union bpf_attr` as `BPF_PROG_LOAD` reads it, up to the last field used.
#[derive(Default)]
#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// `union bpf_attr` as `BPF_PROG_ATTACH` reads it.
#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// Loads a program of eBPF instructions that decides about devices.
///
/// # Errors
/// What bpf(2) says; `EACCES` or `EINVAL` when the verifier refuses the program.
pub fn load_device_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: libc::c_int = 5;
    const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
    let attributes = LoadAttributes {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..LoadAttributes::default()
    };
    let size = std::mem::size_of_val(&attributes);
    // SAFETY: `attributes` is passed with its own size; the instructions it points at are `count`
    // eight-byte words of the slice, and the license is a literal, all alive during the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attributes, size) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and returned a new descriptor that is ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches a device program to a cgroup; it stays as long as the cgroup does.
///
/// # Errors
/// What bpf(2) says.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    const BPF_PROG_ATTACH: libc::c_int = 8;
    const BPF_CGROUP_DEVICE: u32 = 6;
    const BPF_F_ALLOW_MULTI: u32 = 2;
    let attributes = AttachAttributes {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    let size = std::mem::size_of_val(&attributes);
    // SAFETY: `attributes` is passed with its own size and holds no pointer.
    let done = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attributes, size) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
