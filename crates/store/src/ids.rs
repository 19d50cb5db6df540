//! Which owners the files of this store can have: all there are for root, those of the user's range in a
//! user namespace, or none but the user where an account has a single id.

use resource::Mapping;
use std::io;
use std::ops::Range;

/// The ids that this process can give to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Those that its user namespace maps, by the kernel's account.
    Mapped { users: Vec<Range<u64>>, groups: Vec<Range<u64>> },
    /// Only its own: owners are not applied.
    Single,
}

/// An owner that no file can have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unmapped {
    /// `user` or `group`.
    pub(crate) kind: &'static str,
    pub(crate) id: u32,
    /// How many ids of this kind there are.
    pub(crate) count: u64,
}

impl Ids {
    /// The ids of this process in an engine with this mapping.
    ///
    /// # Errors
    /// What reading `/proc/self/uid_map` or `gid_map` says.
    pub(crate) fn of(mapping: Mapping) -> io::Result<Self> {
        if mapping == Mapping::Single {
            return Ok(Self::Single);
        }
        let read = |path| std::fs::read_to_string(path).map(|map| ranges(&map));
        Ok(Self::Mapped { users: read("/proc/self/uid_map")?, groups: read("/proc/self/gid_map")? })
    }

    /// The owner to give to a file that wants this one; `None` when owners are not applied.
    pub(crate) fn owner(&self, uid: u32, gid: u32) -> Result<Option<(u32, u32)>, Unmapped> {
        let Self::Mapped { users, groups } = self else { return Ok(None) };
        for (kind, id, ranges) in [("user", uid, users), ("group", gid, groups)] {
            if !ranges.iter().any(|range| range.contains(&u64::from(id))) {
                let count = ranges.iter().map(|range| range.end - range.start).sum();
                return Err(Unmapped { kind, id, count });
            }
        }
        Ok(Some((uid, gid)))
    }
}

/// The ids inside, of a map as the kernel shows it: lines of first id inside, first id outside, count.
fn ranges(map: &str) -> Vec<Range<u64>> {
    let range = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (first, _, count) = (numbers.next()?.ok()?, numbers.next()?, numbers.next()?.ok()?);
        Some(first..first + count)
    };
    map.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped() -> Ids {
        Ids::Mapped { users: ranges("  0  1000  1\n  1  100000  65536\n"), groups: ranges("0 1000 1") }
    }

    #[test]
    fn an_owner_is_kept_as_far_as_the_map_goes() {
        assert_eq!(mapped().owner(65536, 0), Ok(Some((65536, 0))));
        assert_eq!(mapped().owner(65537, 0), Err(Unmapped { kind: "user", id: 65537, count: 65537 }));
        assert_eq!(mapped().owner(0, 5), Err(Unmapped { kind: "group", id: 5, count: 1 }));
    }

    #[test]
    fn root_has_every_id_and_a_single_id_applies_none() {
        let all = || ranges("         0          0 4294967295\n");
        let root = Ids::Mapped { users: all(), groups: all() };
        assert_eq!(root.owner(4_294_967_294, 1), Ok(Some((4_294_967_294, 1))));
        assert_eq!(Ids::Single.owner(33, 33), Ok(None));
    }
}
