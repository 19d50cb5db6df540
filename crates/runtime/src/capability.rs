//! Capabilities by name and as a set of bits.

use resource::SecuritySpec;

/// A set of capabilities, bit N is capability number N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(pub u64);

/// Names without `CAP_`, by number.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Docker's default set.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

impl Set {
    /// Every capability this program knows.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// The set with one capability, or none for a name that is not known; `CAP_` may lead it.
    pub fn of(name: &str) -> Self {
        let upper = name.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        Self(NAMES.iter().position(|known| *known == name).map_or(0, |number| 1 << number))
    }

    /// Whether the capability with this name is in the set.
    pub fn has(self, name: &str) -> bool {
        self.0 & Self::of(name).0 != 0
    }

    /// What a container may have at most.
    pub fn granted(security: &SecuritySpec) -> Self {
        let union = |names: &[String]| names.iter().fold(0, |set, name| set | Self::of(name).0);
        let all = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
        if security.privileged {
            return Self::ALL;
        }
        let start = match (all(&security.capabilities_added), all(&security.capabilities_dropped)) {
            (true, _) => Self::ALL.0,
            (false, true) => 0,
            (false, false) => DEFAULT.iter().fold(0, |set, name| set | Self::of(name).0),
        };
        let (added, dropped) = (union(&security.capabilities_added), union(&security.capabilities_dropped));
        // Docker: what is added by name survives `drop ALL`, what is dropped by name survives `add ALL`.
        Self((start & !dropped) | added)
    }

    /// The names in the set, by number.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(number, _)| self.0 & (1 << number) != 0).map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(added: &[&str], dropped: &[&str]) -> Set {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let security = SecuritySpec {
            capabilities_added: list(added),
            capabilities_dropped: list(dropped),
            ..SecuritySpec::default()
        };
        Set::granted(&security)
    }

    #[test]
    fn the_default_is_dockers() {
        assert_eq!(granted(&[], &[]).0, 0xa804_25fb);
    }

    #[test]
    fn all_can_be_added_or_dropped_with_exceptions() {
        assert_eq!(granted(&["ALL"], &["SYS_ADMIN"]).0, Set::ALL.0 & !Set::of("SYS_ADMIN").0);
        assert_eq!(granted(&["CAP_NET_ADMIN"], &["all"]), Set::of("NET_ADMIN"));
        assert!(granted(&["net_admin"], &[]).has("NET_ADMIN"));
    }
}
