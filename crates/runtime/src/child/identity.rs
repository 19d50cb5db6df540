//! Who the program runs as and what it may do; at the end, the program.
//!
//! The filter is loaded as late as it can be, and little follows it, so that a profile need not allow
//! what only we use: capset(2) and execve(2). Without `no_new_privileges` loading needs
//! `CAP_SYS_ADMIN`, hence before the last capset(2).

use super::{At, Done, Failure, GO_ON, inside, terminal};
use crate::error::Step;
use crate::prepare::{Limit, Prepared, Program};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::convert::Infallible;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use sys::init::Secrets;
use sys::process::InChild;

/// Takes the program's identity and executes it. With `init`, returns never in the process that
/// stays, and its child executes.
pub(crate) fn become_program<'p>(
    prepared: &'p Prepared<'_>,
    report: BorrowedFd<'_>,
    proof: &InChild,
) -> Result<Infallible, Failure<'p>> {
    let program = &prepared.program;
    limits(&program.limits)?;
    // Nothing of the host may be open from here on: neither for the program nor for the paths below,
    // which could name it as /proc/self/fd/N.
    sys::process::close_others(proof, 3, &[report]).at(Step::Descriptors, b"")?;
    if prepared.is_first() {
        wait_for_word(report);
    }
    if prepared.init.is_none() {
        terminal::control(prepared.stdio)?;
    }
    let entered = enter(&program.working_dir);
    let held = take_user(program)?;
    if entered.is_err() {
        // A folder that only the user can enter: on a network, or by the root's lack of privilege.
        enter(&program.working_dir).at(Step::WorkingDir, program.working_dir.to_bytes())?;
    }
    rustix::process::umask(Mode::from_raw_mode(program.umask));
    if let Some(secrets) = &prepared.init {
        return init(prepared, secrets, report, proof, held);
    }
    confine(program, When::Executing)?;
    restrict(prepared, held)?;
    execute(program)
}

/// Waits until the caller has written down that there is this process. When it has ended first, nobody
/// would ever know: the process ends as well.
fn wait_for_word(report: BorrowedFd<'_>) {
    let mut word = [0; GO_ON.len()];
    if rustix::io::retry_on_intr(|| rustix::io::read(report, &mut word)) != Ok(GO_ON.len()) {
        sys::process::exit_now(125);
    }
}

/// The names of limits, by their numbers: `RLIMIT_CPU` is 0.
const LIMITS: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// Sets limits. What may not be raised is clamped to the hard limit there is.
fn limits(limits: &[Limit]) -> Done<'_> {
    for Limit { resource, soft, hard } in limits {
        let set = sys::process::set_limit(*resource, (*soft).min(*hard), *hard);
        let denied = |error: &std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
        let set = match set {
            Err(error) if denied(&error) => sys::process::limit(*resource).and_then(|(_, most)| {
                sys::process::set_limit(*resource, (*soft).min(most), (*hard).min(most))
            }),
            other => other,
        };
        let name = LIMITS.get(*resource as usize).copied().unwrap_or_default();
        set.at(Step::Limit, name.as_bytes())?;
    }
    Ok(())
}

/// Enters a folder, resolved without magic links: `/proc/self/fd/N` leads nowhere.
fn enter(path: &CStr) -> Result<(), Errno> {
    let root = rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let folder = inside::open(root.as_fd(), path, OFlags::PATH | OFlags::DIRECTORY)?;
    rustix::process::fchdir(folder)
}

/// Capabilities this process holds and may pass on.
#[derive(Clone, Copy)]
struct Held(CapabilitySet);

/// Drops the bounding set and becomes the user, keeping for the moment what loading a filter needs.
fn take_user<'p>(program: &Program) -> Done<'p, Held> {
    let own = rustix::thread::capabilities(None).at(Step::Capabilities, b"")?.permitted;
    for number in 0..64 {
        let bit = 1_u64 << number;
        if program.bounding & bit == 0 {
            match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(bit)) {
                // The number after the last that the kernel knows.
                Err(Errno::INVAL) => break,
                other => other.at(Step::Capabilities, b"bounding")?,
            }
        }
    }
    rustix::thread::set_keep_capabilities(true).at(Step::Capabilities, b"keep")?;
    if let Some(groups) = &program.groups {
        rustix::thread::set_thread_groups(groups).at(Step::User, b"groups")?;
    }
    let (uid, gid) = (program.uid, program.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(Step::User, b"group")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(Step::User, b"user")?;
    let most = CapabilitySets { effective: own, permitted: own, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, most).at(Step::Capabilities, b"")?;
    rustix::thread::set_keep_capabilities(false).at(Step::Capabilities, b"keep")?;
    Ok(Held(own))
}

/// Loads the filter and drops what the program may not have.
fn restrict<'p>(prepared: &'p Prepared<'_>, held: Held) -> Done<'p> {
    let program = &prepared.program;
    if program.no_new_privileges {
        rustix::thread::set_no_new_privs(true).at(Step::NoNewPrivileges, b"")?;
        drop_capabilities(program, held)?;
        return load(prepared);
    }
    load(prepared)?;
    drop_capabilities(program, held)
}

/// From when on an AppArmor profile confines.
#[derive(Clone, Copy)]
enum When {
    /// From execve(2) on.
    Executing,
    /// At once, for who executes nothing.
    Now,
}

/// Has the kernel confine this process by its AppArmor profile, if it is to have one. The files of
/// AppArmor's own came with Linux 5.8; before, and where no other module uses them, they are the general ones.
fn confine(program: &Program, when: When) -> Done<'_> {
    let Some(wish) = &program.confinement else { return Ok(()) };
    let (own, general, text) = match when {
        When::Executing => (c"/proc/self/attr/apparmor/exec", c"/proc/self/attr/exec", &wish.executing),
        When::Now => (c"/proc/self/attr/apparmor/current", c"/proc/self/attr/current", &wish.now),
    };
    let open = |path: &CStr| {
        let root = rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        inside::open(root.as_fd(), path, OFlags::WRONLY)
    };
    let file = open(own).or_else(|_| open(general));
    let written = file.and_then(|file| rustix::io::write(&file, text));
    written.map(drop).at(Step::Confine, wish.name.as_bytes())
}

fn load<'p>(prepared: &'p Prepared<'_>) -> Done<'p> {
    prepared.seccomp.map_or(Ok(()), |filter| sys::seccomp::load(filter).at(Step::Seccomp, b""))
}

/// Leaves only the capabilities of the specification, as far as we hold them ourselves.
fn drop_capabilities<'p>(program: &Program, Held(held): Held) -> Done<'p> {
    let set = |bits| CapabilitySet::from_bits_retain(bits) & held;
    let sets = CapabilitySets {
        effective: set(program.effective),
        permitted: set(program.permitted),
        inheritable: set(program.inheritable),
    };
    rustix::thread::set_capabilities(None, sets).at(Step::Capabilities, b"")?;
    let ambient = set(program.ambient) & sets.inheritable & sets.permitted;
    for bit in ambient.iter() {
        rustix::thread::configure_capability_in_ambient_set(bit, true).at(Step::Capabilities, b"ambient")?;
    }
    Ok(())
}

/// Process 1 of ours: a child executes the program, if there is one; this process reaps and passes
/// signals on.
fn init<'p>(
    prepared: &'p Prepared<'_>,
    secrets: &Secrets,
    report: BorrowedFd<'_>,
    proof: &InChild,
    held: Held,
) -> Result<Infallible, Failure<'p>> {
    // Blocked before the child is there, so that none is lost; the child unblocks them for itself.
    sys::process::block_signals();
    let child = match prepared.program.name.is_empty() {
        true => None,
        false => Some(child_of_init(prepared, report, proof, held)?),
    };
    confine(&prepared.program, When::Now)?;
    restrict(prepared, held)?;
    let _unnamed = rustix::thread::set_name(c"init");
    // Another process 1 may be there when the pid namespace is shared; orphans still come here.
    let _only_as_process_1 = rustix::process::set_child_subreaper(Some(rustix::process::Pid::INIT));
    // With the report the caller sees that the program runs, once the child has let go of it as well.
    sys::init::serve(proof, child, secrets)
}

/// Starts the program's process; its number.
fn child_of_init<'p>(
    prepared: &'p Prepared<'_>,
    report: BorrowedFd<'_>,
    proof: &InChild,
    held: Held,
) -> Done<'p, i32> {
    let (ready, busy) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).at(Step::Init, b"")?;
    let mut busy = Some(busy);
    let body = |_: &InChild| {
        // The child's copy; that of process 1 closes when it has forgotten what it must.
        drop(busy.take());
        let Err(failure) = as_program(prepared, held, ready.as_fd());
        super::tell(report, &failure);
        125
    };
    let child = sys::process::clone_again(proof, 0, None, body).at(Step::Init, b"")?;
    // Closed by `serve`.
    std::mem::forget(busy);
    Ok(child.pid)
}

/// The child of process 1, which goes on when `ready` ends.
fn as_program<'p>(
    prepared: &'p Prepared<'_>,
    held: Held,
    ready: BorrowedFd<'_>,
) -> Result<Infallible, Failure<'p>> {
    rustix::io::read(ready, &mut [0]).at(Step::Init, b"")?;
    sys::process::reset_signals();
    let _leader_already = rustix::process::setsid();
    terminal::control(prepared.stdio)?;
    confine(&prepared.program, When::Executing)?;
    restrict(prepared, held)?;
    execute(&prepared.program)
}

/// Executes the program: the first candidate that is there.
fn execute(program: &Program) -> Result<Infallible, Failure<'_>> {
    let mut worst = Errno::NOENT;
    for candidate in &program.candidates {
        let error = match sys::process::execute(candidate, &program.arguments, &program.environment) {
            Ok(never) => match never {},
            Err(error) => Errno::from_io_error(&error).unwrap_or(Errno::IO),
        };
        match error {
            Errno::NOENT | Errno::NOTDIR => {}
            // Not for us here, but perhaps there is another further on.
            Errno::ACCESS => worst = Errno::ACCESS,
            other => {
                worst = other;
                break;
            }
        }
    }
    let step = if worst == Errno::NOENT { Step::NotFound } else { Step::NotExecutable };
    Err(worst).at(step, &program.name)
}
