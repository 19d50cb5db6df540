//! Who runs the program in a world: root, or an ordinary user made for it; and what is left of that
//! user's namespaces.

use resource::Roots;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Root.
    Root,
    /// The user that `COMPOSE_TEST_USER` names, or else one made for the tests.
    User,
}

/// User namespaces by what the kernel calls them, held open.
pub(crate) type Namespaces = BTreeMap<PathBuf, File>;

/// A user of this machine.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    gid: u32,
}

/// Made with the first test on a machine and kept, as its name says; it cannot log in.
const NAME: &str = "compose-test-user";
/// Another one beside it, made with the first test that wants two.
const NEIGHBOUR: &str = "compose-test-neighbour";
/// Held while the user is made: several test programs may want it at once.
const LOCK: &str = "/run/compose-test-user.lock";

/// The ordinary user of the tests.
pub(crate) fn account() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let named = std::env::var("COMPOSE_TEST_USER");
        let name = named.unwrap_or_else(|_| {
            make(NAME, IDS);
            NAME.to_owned()
        });
        find(&name).unwrap_or_else(|| panic!("there is no user `{name}`"))
    })
}

/// Another ordinary user than that of the tests.
pub(crate) fn neighbour() -> &'static Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        make(NEIGHBOUR, 65_536);
        find(NEIGHBOUR).unwrap()
    })
}

/// The name of the ordinary user of the tests, who is made when missing.
pub fn ordinary_user() -> &'static str {
    &account().name
}

fn find(name: &str) -> Option<Account> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|f| f[0] == name)?;
    Some(Account { name: name.to_owned(), uid: fields[2].parse().unwrap(), gid: fields[3].parse().unwrap() })
}

/// Subordinate ids of the user: more than an account usually has, because one of the images of the
/// stacks has a file of the user 3 000 000.
const IDS: u64 = 4_000_000;

/// Makes a user, and gives it subordinate ids where useradd(8) gave fewer.
fn make(name: &str, ids: u64) {
    let _lock = sys::file::Lock::exclusive(Path::new(LOCK)).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    };
    if find(name).is_none() {
        let nobody = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"];
        run("/usr/sbin/useradd", &[&nobody[..], &["--comment", "made by compose's tests", name]].concat());
    }
    for (file, option) in [("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let own = text.lines().filter(|line| line.starts_with(&format!("{name}:")));
        let count = |line: &str| line.rsplit(':').next()?.trim().parse::<u64>().ok();
        if own.filter_map(count).sum::<u64>() < ids {
            let first = text.lines().filter_map(end).max().unwrap_or(0).max(100_000);
            run("/usr/sbin/usermod", &[option, &format!("{first}-{}", first + ids - 1), name]);
        }
    }
}

/// The first id after a line of /etc/subuid.
fn end(line: &str) -> Option<u64> {
    let mut numbers = line.split(':').skip(1).map(str::parse::<u64>);
    Some(numbers.next()?.ok()? + numbers.next()?.ok()?)
}

impl Account {
    /// Gives a folder and all below it to this user.
    pub(crate) fn own(&self, path: &Path) {
        lchown(path, Some(self.uid), Some(self.gid)).unwrap();
        if path.symlink_metadata().unwrap().is_dir() {
            std::fs::read_dir(path).unwrap().for_each(|entry| self.own(&entry.unwrap().path()));
        }
    }

    /// The address of the user's session bus, where there is a session.
    pub(crate) fn bus(&self) -> Option<String> {
        let socket = format!("/run/user/{}/bus", self.uid);
        Path::new(&socket).exists().then(|| format!("unix:path={socket}"))
    }
}

/// The program that becomes another as an ordinary user: beside the tests, where cargo builds it.
pub(crate) fn launcher() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/as-user");
    std::env::var_os("COMPOSE_TEST_LAUNCHER").map_or_else(built, PathBuf::from)
}

/// The user namespace of the world's infra while that lives, as the kernel names it.
///
/// As long as it is held open, the kernel gives its name to no other.
pub(crate) fn namespace(roots: &Roots) -> Option<(PathBuf, File)> {
    let held = File::open(format!("/proc/{}/ns/user", recorded(roots, "infra.json")?)).ok()?;
    let name = std::fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())).ok()?;
    // A number that has passed on to another process may lead to the machine's own.
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    (name != own).then_some((name, held))
}

/// Processes of the user that are in one of these namespaces, that one of the world's documents
/// names, or whose command line names the world's folder.
pub(crate) fn processes(
    account: &Account,
    roots: &Roots,
    folder: &Path,
    namespaces: &Namespaces,
) -> Vec<i32> {
    let needle = folder.as_os_str().as_encoded_bytes();
    let recorded = ["infra.json", "pasta.json"].map(|document| recorded(roots, document));
    let of_the_world = |pid: &i32| {
        let process = PathBuf::from(format!("/proc/{pid}"));
        if std::fs::read_link(process.join("ns/user")).is_ok_and(|own| namespaces.contains_key(&own)) {
            return true;
        }
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let is_named =
            recorded.contains(&Some(*pid)) || line.windows(needle.len()).any(|part| part == needle);
        // A number may have passed on to somebody else's process.
        is_named && std::fs::metadata(&process).is_ok_and(|process| process.uid() == account.uid)
    };
    all().into_iter().filter(of_the_world).collect()
}

/// Every process in the same mount namespace as this one, which comes first: those of its container.
pub(crate) fn beside(pid: i32) -> Vec<i32> {
    let of = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let Some(own) = of(pid) else { return vec![] };
    let others = all().into_iter().filter(|other| *other != pid && of(*other).as_ref() == Some(&own));
    std::iter::once(pid).chain(others).collect()
}

/// The process that a document of the world names.
pub(crate) fn recorded(roots: &Roots, document: &str) -> Option<i32> {
    let bytes = std::fs::read(roots.run.join(document)).ok()?;
    let content: serde_json::Value = resource::document::decode(&bytes)?;
    let process = content.get("process").unwrap_or(&content);
    i32::try_from(process["pid"].as_i64()?).ok()
}

fn all() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
