//! What a permission that the kernel denied is about: the capabilities that this process lacks.

use rustix::thread::CapabilitySet;

/// Capabilities without which an engine that runs as root makes no containers.
const NEEDED: [(CapabilitySet, &str); 5] = [
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::CHOWN, "CAP_CHOWN"),
    (CapabilitySet::DAC_OVERRIDE, "CAP_DAC_OVERRIDE"),
    (CapabilitySet::MKNOD, "CAP_MKNOD"),
];

/// What to do about a denied permission, when the process lacks a capability it needs.
pub(crate) fn hint() -> Option<String> {
    let held = rustix::thread::capabilities(None).ok()?.effective;
    let lacking = lacking(held);
    if lacking.is_empty() {
        return None;
    }
    Some(format!(
        "this process is root but lacks {}: run it where root has them, or as an ordinary user, who needs none",
        lacking.join(", ")
    ))
}

fn lacking(held: CapabilitySet) -> Vec<&'static str> {
    NEEDED.iter().filter(|(needed, _)| !held.contains(*needed)).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named() {
        assert!(lacking(CapabilitySet::all()).is_empty());
        assert_eq!(lacking(CapabilitySet::all() - CapabilitySet::NET_ADMIN), ["CAP_NET_ADMIN"]);
    }
}
