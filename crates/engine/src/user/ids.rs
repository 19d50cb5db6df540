//! The ids a user has besides its own, and how they are mapped into its namespace: subuid(5),
//! newuidmap(1), user_namespaces(7).

use super::UserError;
use resource::Mapping;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Consecutive ids of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: u32,
    count: u32,
}

/// The programs that map, users first, each with the file of what it may map.
const PROGRAMS: [(&str, &str); 2] = [("newuidmap", "/etc/subuid"), ("newgidmap", "/etc/subgid")];

/// How ids will be mapped.
#[derive(Debug)]
pub(super) enum Plan {
    /// By these programs, from these ranges of users and of groups.
    Subordinate([(PathBuf, Vec<Range>); 2]),
    /// The user's own id alone.
    Single {
        /// What is missing.
        why: String,
        /// The user's name, or number.
        user: String,
    },
}

impl Plan {
    /// What this machine has for this user.
    pub(super) fn read() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let name = user_name(uid);
        let user = name.clone().unwrap_or_else(|| uid.to_string());
        let found = PROGRAMS.map(|(program, file)| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let ranges = ranges(&text, name.as_deref(), uid);
            if ranges.is_empty() {
                return Err(format!("{file} has no line for {user}"));
            }
            let path = find_program(program).ok_or_else(|| format!("{program} is not installed"))?;
            Ok((path, ranges))
        });
        match found {
            [Ok(users), Ok(groups)] => Self::Subordinate([users, groups]),
            [Err(why), _] | [_, Err(why)] => Self::Single { why, user },
        }
    }

    pub(super) fn mapping(&self) -> Mapping {
        match self {
            Self::Subordinate(_) => Mapping::Subordinate,
            Self::Single { .. } => Mapping::Single,
        }
    }

    /// What has to be said about it.
    pub(super) fn warning(&self) -> Option<String> {
        let Self::Single { why, user } = self else { return None };
        let help = if why.contains("not installed") {
            "as root: apt-get install uidmap".to_owned()
        } else {
            format!("as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}")
        };
        Some(format!(
            "{why}, so containers have one user and group, this one as root: images that run as somebody \
             else, or change to another user, do not work ({help}; then `compose down` everything once)"
        ))
    }

    /// Maps the ids of the user namespace that this process has just made.
    pub(super) fn carry_out(&self, pid: u32) -> Result<(), UserError> {
        let own = [rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()];
        match self {
            Self::Subordinate(maps) => map_ranges(pid, maps, own),
            Self::Single { .. } => map_own(pid, own).map_err(UserError::OwnId),
        }
    }
}

/// The two programs run side by side: each asks the databases of the system who this is.
fn map_ranges(pid: u32, maps: &[(PathBuf, Vec<Range>); 2], own: [u32; 2]) -> Result<(), UserError> {
    let mut running = vec![];
    for (((program, _), (path, ranges)), own) in PROGRAMS.iter().zip(maps).zip(own) {
        let failed = |said: String| refusal(program, path, said);
        let child = Command::new(path)
            .arg(pid.to_string())
            .args(arguments(own, ranges))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        running.push((program, path, child.map_err(|error| failed(error.to_string()))?));
    }
    let mut outcome = Ok(());
    for (program, path, child) in running {
        let ended = child.wait_with_output();
        let said = match ended {
            Ok(output) if output.status.success() => continue,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
            Err(error) => error.to_string(),
        };
        outcome = outcome.and(Err(refusal(program, path, said)));
    }
    outcome
}

fn refusal(program: &'static str, path: &Path, said: String) -> UserError {
    let setuid = |metadata: std::fs::Metadata| metadata.permissions().mode() & 0o4000 != 0;
    let mut capability = [0_u8; 64];
    let privileged = std::fs::metadata(path).is_ok_and(setuid)
        || rustix::fs::getxattr(path, "security.capability", &mut capability).is_ok();
    UserError::Mapping { program, said, privileged }
}

/// The three numbers of each line of the map: the user is 0, the ranges follow one another.
fn arguments(own: u32, ranges: &[Range]) -> Vec<String> {
    let mut lines = vec![[0, own, 1]];
    let mut next = 1_u32;
    for range in ranges {
        // Ids end at 2^32 - 2; what does not fit is not needed.
        let count = range.count.min(u32::MAX - 1 - next);
        lines.push([next, range.start, count]);
        next += count;
    }
    lines.into_iter().filter(|line| line[2] > 0).flatten().map(|number| number.to_string()).collect()
}

/// A user may map its own id without help, and gives up setgroups(2) for the group's.
fn map_own(pid: u32, own: [u32; 2]) -> std::io::Result<()> {
    let write = |file: &str, text: String| std::fs::write(format!("/proc/{pid}/{file}"), text);
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("0 {} 1\n", own[0]))?;
    write("gid_map", format!("0 {} 1\n", own[1]))
}

/// The ranges of a user in the text of a file of the form of subuid(5), which names it by name or number.
fn ranges(text: &str, name: Option<&str>, id: u32) -> Vec<Range> {
    let number = id.to_string();
    let line = |line: &str| {
        let (user, numbers) = line.trim().split_once(':')?;
        let (start, count) = numbers.split_once(':')?;
        let range = Range { start: start.parse().ok()?, count: count.parse().ok()? };
        let own = Some(user) == name || user == number;
        (own && range.count > 0 && range.start.checked_add(range.count - 1).is_some()).then_some(range)
    };
    let mut found: Vec<Range> = vec![];
    for range in text.lines().filter_map(line) {
        // Named twice, by name and by number: the kernel takes no id two times.
        if !found.iter().any(|known| known.overlaps(&range)) {
            found.push(range);
        }
    }
    found
}

impl Range {
    fn overlaps(&self, other: &Self) -> bool {
        let last = |range: &Self| range.start + (range.count - 1);
        self.start <= last(other) && other.start <= last(self)
    }
}

/// The login name of this user.
fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let local = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    });
    // Users of a directory service are in no file; their session says who they are.
    local.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}

/// Where a program is, also for a user whose PATH has no folders of administrators' programs.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text =
            "root:1:5\nanna:100000:65536\n1001:300000:10\nanna:200000:5\n100:7:7\nanna:broken\nanna:5:0\n";
        let range = |start, count| Range { start, count };
        let expected = [range(100_000, 65_536), range(300_000, 10), range(200_000, 5)];
        assert_eq!(ranges(text, Some("anna"), 1001), expected);
        assert_eq!(ranges(text, Some("ann"), 10), []);
        assert_eq!(ranges(text, None, 1001), [range(300_000, 10)]);
    }

    #[test]
    fn a_range_that_is_named_twice_counts_once() {
        let text = "anna:100000:65536\n1001:100000:65536\nanna:165535:9\nanna:165536:9\n";
        let starts: Vec<_> = ranges(text, Some("anna"), 1001).iter().map(|range| range.start).collect();
        assert_eq!(starts, [100_000, 165_536]);
    }

    #[test]
    fn the_user_is_0_and_its_ranges_follow() {
        let ranges = [Range { start: 100_000, count: 65_536 }, Range { start: 500, count: 2 }];
        let words = "0 1001 1 1 100000 65536 65537 500 2";
        assert_eq!(arguments(1001, &ranges).join(" "), words);
    }

    #[test]
    fn a_single_id_is_told_with_the_way_to_more() {
        let plan = |why: &str| Plan::Single { why: why.to_owned(), user: "anna".to_owned() };
        let warning = plan("/etc/subuid has no line for anna").warning().unwrap();
        assert!(warning.contains("usermod --add-subuids 100000-165535") && warning.contains(" anna;"));
        assert!(plan("newuidmap is not installed").warning().unwrap().contains("apt-get install uidmap"));
    }
}
