//! The cgroup hierarchies this machine has mounted; they do not change while a program runs.

use std::path::PathBuf;
use std::sync::OnceLock;

/// All hierarchies.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    /// Those of v1, one for each set of controllers.
    pub(crate) v1: Vec<V1>,
    /// The unified one. Beside v1 it has no controllers, but it tracks and kills.
    pub(crate) v2: Option<PathBuf>,
}

/// A hierarchy of v1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct V1 {
    /// Where it is mounted.
    pub(crate) path: PathBuf,
    /// Name of that folder, `cpu,cpuacct`.
    pub(crate) folder: String,
    /// What it is mounted with: `cpu,cpuacct`, `name=systemd`.
    pub(crate) options: String,
}

impl V1 {
    /// Whether a controller is in it.
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.options.split(',').any(|name| name == controller)
    }
}

impl Hierarchies {
    /// Those of this machine, read once.
    pub(crate) fn get() -> &'static Self {
        static FOUND: OnceLock<Hierarchies> = OnceLock::new();
        FOUND
            .get_or_init(|| Self::parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()))
    }

    /// Whether v2 has the controllers.
    pub(crate) fn is_v2(&self) -> bool {
        self.v1.is_empty() && self.v2.is_some()
    }

    /// Those in the text of a mountinfo file; the first mount of each.
    fn parse(mountinfo: &str) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((mount, file_system)) = line.split_once(" - ") else { continue };
            let Some(path) = mount.split(' ').nth(4).map(PathBuf::from) else { continue };
            let mut fields = file_system.split(' ');
            match (fields.next(), fields.next(), fields.next()) {
                (Some("cgroup2"), ..) if found.v2.is_none() => found.v2 = Some(path),
                (Some("cgroup"), _, Some(options)) => {
                    let general = |option: &&str| {
                        !matches!(*option, "rw" | "ro" | "xattr" | "noprefix" | "clone_children")
                    };
                    let options: Vec<_> = options.split(',').filter(general).collect();
                    let options = options.into_iter().filter(|option| !option.starts_with("release_agent="));
                    let options = options.collect::<Vec<_>>().join(",");
                    let folder = path.file_name().map(|name| name.to_string_lossy().into_owned());
                    if !found.v1.iter().any(|known| known.options == options) {
                        found.v1.push(V1 { path, folder: folder.unwrap_or_default(), options });
                    }
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found() {
        let text = "\
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
34 30 0:27 / /other rw,relatime - cgroup cgroup rw,cpu,cpuacct
";
        let found = Hierarchies::parse(text);
        let names: Vec<_> =
            found.v1.iter().map(|each| (each.folder.as_str(), each.options.as_str())).collect();
        assert_eq!(names, [("cpu,cpuacct", "cpu,cpuacct"), ("systemd", "name=systemd")]);
        assert!(found.v1[0].has("cpuacct") && !found.v1[0].has("cp"));
        assert_eq!(found.v2, Some("/sys/fs/cgroup/unified".into()));
        assert!(!found.is_v2());
    }
}
