//! The tests of a program once more, as an ordinary user who is root in a user namespace.

use resource::Mapping;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Command, Stdio};

/// Names the mapping that a program runs again with.
const VARIABLE: &str = "STORE_TEST_MAPPING";
/// Somebody whom no account of the machine is.
const USER: u32 = 54_321;
/// The first of that user's subordinate ids; there are 65536.
const SUBORDINATE: u32 = 1_000_000;

/// The mapping that the tests of this process have.
pub fn mapping() -> Mapping {
    std::env::var(VARIABLE).ok().and_then(|word| Mapping::parse(&word)).unwrap_or_default()
}

/// The owner that a file of the archive must have now.
pub fn owner(uid: u32, gid: u32) -> (u32, u32) {
    if mapping() == Mapping::Single { (0, 0) } else { (uid, gid) }
}

/// The attribute that makes a folder opaque.
pub fn opaque() -> &'static str {
    if mapping().is_rootless() { "user.overlay.opaque" } else { "trusted.overlay.opaque" }
}

/// Two tests that run all others of this program in a user namespace, one for each kind of mapping.
#[macro_export]
macro_rules! runs_again_in_user_namespaces {
    () => {
        #[test]
        fn the_same_in_a_user_namespace_with_a_range_of_ids() {
            $crate::support::user::run_again(resource::Mapping::Subordinate);
        }

        #[test]
        fn the_same_in_a_user_namespace_with_a_single_id() {
            $crate::support::user::run_again(resource::Mapping::Single);
        }
    };
}

/// Runs all tests of this program with the mapping, but those whose name contains `in_a_user_namespace`.
pub fn run_again(mapping: Mapping) {
    let folder =
        std::env::temp_dir().join(format!("store-again-{}-{}", mapping.as_str(), std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    chown(&folder, Some(USER), Some(USER)).unwrap();
    // Where it was built may be closed to other users.
    let program = folder.join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut child = {
        use std::os::unix::process::CommandExt as _;
        Command::new("unshare")
            .args(["--user", "sh", "-c", "echo ready && read mapped && exec \"$@\"", "sh"])
            .arg(&program)
            .args(["--skip", "in_a_user_namespace"])
            .uid(USER)
            .gid(USER)
            .current_dir("/")
            .env(VARIABLE, mapping.as_str())
            .env("TMPDIR", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    output.read_line(&mut text).unwrap();
    let range = if mapping == Mapping::Single { String::new() } else { format!("1 {SUBORDINATE} 65536\n") };
    for map in ["uid_map", "gid_map"] {
        let path = format!("/proc/{}/{map}", child.id());
        std::fs::write(path, format!("0 {USER} 1\n{range}")).unwrap();
    }
    child.stdin.take().unwrap().write_all(b"mapped\n").unwrap();
    std::io::copy(&mut output, &mut std::io::stdout()).unwrap();
    let status = child.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(status.success(), "some tests fail with the mapping {}", mapping.as_str());
}
