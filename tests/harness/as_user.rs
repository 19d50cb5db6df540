//! `as-user USER PROGRAM ARGUMENT…`: becomes the program, run by an ordinary user of this machine.
//! Without arguments it makes the ordinary user of the tests when missing, and prints the name.
//!
//! What a login would have given is there: the user's ids and no others, and a /dev/net/tun that
//! everybody may open, as udev leaves it. Where it is root's alone, the program gets a /dev/net of its
//! own in a private mount namespace; the machine's is left as it is.

use rustix::fs::{FileType, Mode};
use rustix::mount::{MountFlags, MountPropagationFlags};
use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use sys::seccomp::Instruction;

/// A variable of the environment, set for a program that is to be [confined](confine).
const CONFINED: &str = "COMPOSE_TEST_CONFINED";

/// A variable with the number of a call and the number of an error, `435 38`: a kernel that [lacks](lack) it.
const LACKING: &str = "COMPOSE_TEST_LACKING";

/// The folder of the device that pasta needs.
const FOLDER: &str = "/dev/net";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.is_empty() {
        println!("{}", scenarios::ordinary_user());
        return ExitCode::SUCCESS;
    }
    let [user, program, arguments @ ..] = &arguments[..] else {
        eprintln!("usage: as-user USER PROGRAM [ARGUMENT]…");
        return ExitCode::from(2);
    };
    let failed = match become_program(&user.to_string_lossy(), program, arguments) {
        Ok(never) => match never {},
        Err(failed) => failed,
    };
    eprintln!("as-user: {failed}");
    ExitCode::from(125)
}

fn become_program(
    user: &str,
    program: &OsString,
    arguments: &[OsString],
) -> Result<std::convert::Infallible, String> {
    let (uid, gid) = ids(user).ok_or_else(|| format!("there is no user `{user}`"))?;
    if uid != 0 {
        open_tun_to_all().map_err(|error| format!("{FOLDER}: {error}"))?;
    }
    if std::env::var_os(CONFINED).is_some() {
        confine().map_err(|error| format!("seccomp: {error}"))?;
    }
    if let Some(lacking) = std::env::var_os(LACKING) {
        lack(&lacking.to_string_lossy()).map_err(|error| format!("{LACKING}: {error}"))?;
    }
    let held = std::fs::File::open(program);
    // Setting the user id drops the supplementary groups as well.
    let mut error = Command::new(program).args(arguments).uid(uid).gid(gid).exec();
    // The checkout may be where the user may not look, below root's home say.
    if let (std::io::ErrorKind::PermissionDenied, Ok(held)) = (error.kind(), held) {
        let path = format!("/proc/self/fd/{}", held.as_raw_fd());
        error = Command::new(path).arg0(program).args(arguments).exec();
    }
    Err(format!("{}: {error}", program.to_string_lossy()))
}

/// As AppArmor on Ubuntu confines who has no profile: a user namespace can be made, and then there is no
/// privilege in it. What needs some is refused here by the one call that compose makes first.
fn confine() -> std::io::Result<()> {
    let unshare = u32::try_from(libc::SYS_unshare).map_err(std::io::Error::other)?;
    let user = libc::CLONE_NEWUSER.cast_unsigned();
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    let step = |code, jt, jf, k| Instruction { code, jt, jf, k };
    sys::seccomp::load(&[
        // The call's number; its first argument follows number, architecture and place.
        step(0x20, 0, 0, 0),
        step(0x15, 0, 3, unshare),
        step(0x20, 0, 0, 16),
        step(0x45, 1, 0, user),
        step(0x06, 0, 0, refused),
        step(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ])
}

/// From now on a call has an error, for this process and all that come of it. One that is refused with
/// an argument, `41 97 16`, is so only with that as its first.
fn lack(text: &str) -> std::io::Result<()> {
    let numbers: Option<Vec<u32>> = text.split(' ').map(|number| number.parse().ok()).collect();
    let (call, errno, first) = match numbers.as_deref() {
        Some([call, errno]) => (*call, *errno, None),
        Some([call, errno, first]) => (*call, *errno, Some(*first)),
        _ => return Err(std::io::ErrorKind::InvalidInput.into()),
    };
    let step = |code, jt, jf, k| Instruction { code, jt, jf, k };
    let refused = step(0x06, 0, 0, libc::SECCOMP_RET_ERRNO | errno);
    let allowed = step(0x06, 0, 0, libc::SECCOMP_RET_ALLOW);
    let number = step(0x20, 0, 0, 0);
    match first {
        None => sys::seccomp::load(&[number, step(0x15, 0, 1, call), refused, allowed]),
        // The first argument follows number, architecture and place.
        Some(first) => {
            let argument = [step(0x20, 0, 0, 16), step(0x15, 0, 1, first)];
            sys::seccomp::load(&[number, step(0x15, 0, 3, call), argument[0], argument[1], refused, allowed])
        }
    }
}

/// User and group id of a user, by name.
fn ids(user: &str) -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.filter(|fields| fields.len() > 3).find(|fields| fields[0] == user)?;
    Some((found[2].parse().ok()?, found[3].parse().ok()?))
}

fn open_tun_to_all() -> std::io::Result<()> {
    let path = format!("{FOLDER}/tun");
    let device = std::fs::metadata(&path)?;
    if device.permissions().mode() & 0o006 == 0o006 {
        return Ok(());
    }
    sys::process::unshare_namespaces(libc::CLONE_NEWNS)?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)?;
    rustix::mount::mount("tmpfs", FOLDER, "tmpfs", MountFlags::NOSUID, c"mode=755,size=4k")?;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        device.rdev(),
    )?;
    // Whatever the umask.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))
}
