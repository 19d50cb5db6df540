//! The cases as an ordinary user: this program starts itself again in a user namespace, with a range of
//! ids or with one.

use crate::bed::MAPPING;
use resource::Mapping;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// An ordinary user whom nobody knows, when the tests are run by root.
const USER: u32 = 54_321;

/// The first of its subordinate ids, and how many they are.
const SUBORDINATE: (u32, u32) = (6_000_000, 65_536);

/// Names the step of [`enter`] for the process that makes its user namespace.
const ENTER: &str = "RUNTIME_TEST_ENTER";

/// Runs the cases with this mapping in a process of their own; whether all went well.
pub(crate) fn run(mapping: Mapping, arguments: &[String]) -> bool {
    // The program where everybody can execute it.
    let folder = tempfile::Builder::new().permissions(permissions(0o755)).tempdir().unwrap();
    let program = folder.path().join("real");
    std::fs::copy("/proc/self/exe", &program).unwrap();
    std::fs::set_permissions(&program, permissions(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.args(arguments).env(ENTER, mapping.as_str()).current_dir("/");
    let mut child =
        command.stdin(Stdio::piped()).stderr(Stdio::inherit()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    // It has its user namespace.
    output.read_exact(&mut [0]).unwrap();
    map(child.id(), mapping);
    child.stdin.take().unwrap().write_all(b"!").unwrap();
    std::io::copy(&mut output, &mut std::io::stdout()).unwrap();
    child.wait().unwrap().success()
}

fn permissions(mode: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

/// Gives a process in a new user namespace its ids: as root by hand, else with the programs for it.
fn map(pid: u32, mapping: Mapping) {
    let own = rustix::process::geteuid();
    let user = if own.is_root() { USER } else { own.as_raw() };
    for (kind, program) in [("uid", "newuidmap"), ("gid", "newgidmap")] {
        let (first, count) = if own.is_root() { SUBORDINATE } else { subordinate(kind) };
        let subordinate = mapping == Mapping::Subordinate;
        if !own.is_root() && subordinate {
            let ids = ["0".to_owned(), user.to_string(), "1".to_owned(), "1".to_owned()];
            let range = [first.to_string(), count.to_string()];
            let done = Command::new(program).arg(pid.to_string()).args(ids).args(range).status().unwrap();
            assert!(done.success(), "{program}");
            continue;
        }
        if kind == "gid" && !subordinate {
            std::fs::write(format!("/proc/{pid}/setgroups"), "deny").unwrap();
        }
        let range = if subordinate { format!("1 {first} {count}\n") } else { String::new() };
        std::fs::write(format!("/proc/{pid}/{kind}_map"), format!("0 {user} 1\n{range}")).unwrap();
    }
}

/// The range of the user who runs the tests.
fn subordinate(kind: &str) -> (u32, u32) {
    let text = std::fs::read_to_string(format!("/etc/sub{kind}")).unwrap();
    let mut fields = text.lines().next().unwrap().split(':').skip(1).map(|field| field.parse().unwrap());
    (fields.next().unwrap(), fields.next().unwrap())
}

/// In the process that [`run`] started: becomes the user, makes a user namespace, waits for its ids, and
/// executes itself to run the cases. Returns at once in every other process.
pub(crate) fn enter() {
    let Ok(word) = std::env::var(ENTER) else { return };
    if rustix::process::geteuid().is_root() {
        let (user, group) = (rustix::process::Uid::from_raw(USER), rustix::process::Gid::from_raw(USER));
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_res_gid(group, group, group).unwrap();
        rustix::thread::set_thread_res_uid(user, user, user).unwrap();
    }
    sys::process::unshare_namespaces(0x1000_0000).unwrap();
    let mut output = std::io::stdout();
    output.write_all(b"!").and_then(|()| output.flush()).unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args().skip(1)).env_remove(ENTER).env(MAPPING, word);
    panic!("{}", command.exec());
}
