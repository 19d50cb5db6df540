//! Which ids there are in the caller's user namespace, so that one that is missing is refused with what
//! to do, and not by the kernel's "Invalid argument".

use super::{Program, refused};
use crate::StartError;
use resource::{Mapping, Part};
use std::fs;

/// The ids of one kind: first id and count of each range, as in /proc/PID/uid_map.
#[derive(Debug, PartialEq, Eq)]
struct Ids(Vec<(u32, u32)>);

impl Ids {
    fn parse(text: &str) -> Self {
        let range = |line: &str| {
            let mut fields = line.split_ascii_whitespace();
            let (first, _outside, count) = (fields.next()?, fields.next()?, fields.next()?);
            Some((first.parse().ok()?, count.parse().ok()?))
        };
        Self(text.lines().filter_map(range).collect())
    }

    fn of_this_process(file: &str) -> Result<Self, StartError> {
        let read = fs::read_to_string(file).map_err(StartError::step("read", file))?;
        Ok(Self::parse(&read))
    }

    fn has(&self, id: u32) -> bool {
        self.0.iter().any(|(first, count)| id >= *first && id - first < *count)
    }

    /// The highest.
    fn last(&self) -> u32 {
        self.0.iter().map(|(first, count)| first.saturating_add(count.saturating_sub(1))).max().unwrap_or(0)
    }
}

/// Refuses a program whose user or groups have no id here. With a single id there is nobody to be but 0,
/// and the groups that an image gives its root are left out: the kernel lets nobody set any.
pub(crate) fn check(program: &mut Program, mapping: Mapping) -> Result<(), StartError> {
    if !mapping.is_rootless() {
        return Ok(());
    }
    let users = Ids::of_this_process("/proc/self/uid_map")?;
    let groups = Ids::of_this_process("/proc/self/gid_map")?;
    if mapping == Mapping::Single {
        program.groups = None;
    }
    let refuse = |kind: &str, id: u32, ids: &Ids| {
        let part = if kind == "user" { Part::User } else { Part::Group(id.to_string()) };
        Err(refused(missing(mapping, kind, id, ids)).about(part))
    };
    let (uid, gid) = (program.uid.as_raw(), program.gid.as_raw());
    if !users.has(uid) {
        return refuse("user", uid, &users);
    }
    let asked = program.groups.iter().flatten().map(|group| group.as_raw());
    match [gid].into_iter().chain(asked).find(|id| !groups.has(*id)) {
        Some(id) => refuse("group", id, &groups),
        None => Ok(()),
    }
}

/// What is said of an id that is missing.
fn missing(mapping: Mapping, kind: &str, id: u32, ids: &Ids) -> String {
    let files = "/etc/subuid and /etc/subgid";
    if mapping == Mapping::Single {
        return format!(
            "{kind} {id} has no id here: this account has no subordinate ids; \
             add a range such as `ACCOUNT:100000:65536` to {files}"
        );
    }
    let last = ids.last();
    format!(
        "{kind} {id} has no id here: the subordinate ids of this account reach to {last}; \
         give it more in {files}"
    )
}

/// The range of groups that may ping: all there are, as far as the kernel takes it.
pub(super) fn every_group(mapping: Mapping) -> Result<Option<String>, StartError> {
    if !mapping.is_rootless() {
        return Ok(None);
    }
    Ok(Some(format!("0 {}", Ids::of_this_process("/proc/self/gid_map")?.last())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_every_range() {
        let ids = Ids::parse("         0       1000          1\n         1     100000      65536\n");
        assert_eq!(ids, Ids(vec![(0, 1), (1, 65536)]));
        assert!(ids.has(0) && ids.has(1) && ids.has(65536) && !ids.has(65537));
        assert_eq!(ids.last(), 65536);
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let ids = Ids::parse("0 1000 1\n");
        assert_eq!(
            missing(Mapping::Single, "user", 33, &ids),
            "user 33 has no id here: this account has no subordinate ids; add a range such as \
             `ACCOUNT:100000:65536` to /etc/subuid and /etc/subgid"
        );
        assert!(missing(Mapping::Subordinate, "group", 7, &ids).contains("reach to 0"));
    }
}
