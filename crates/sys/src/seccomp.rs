//! Loading system call filters.

use std::io;

/// One BPF instruction, as the kernel reads it (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions skipped when a condition holds.
    pub jt: u8,
    /// Instructions skipped when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Puts a filter on the calling thread for good. Needs `CAP_SYS_ADMIN` or no_new_privs. Speculation
/// stays allowed, as with Docker. Linux 4.17; see seccomp(2).
///
/// # Errors
/// `EINVAL` for a program the kernel's checker refuses, `EACCES` without the privilege.
pub fn load(program: &[Instruction]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The two structures have the same layout: u16, u8, u8, u32.
    let filter = program.as_ptr().cast_mut().cast::<libc::sock_filter>();
    let program = libc::sock_fprog { len: length, filter };
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    // SAFETY: `program` points at `length` instructions of the slice, alive and readable during the
    // call; `Instruction` is `repr(C)` with the fields of `sock_filter`. The kernel copies them and
    // writes nothing through the pointer.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
