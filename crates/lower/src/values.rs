//! What may stand in a file but no container can have: told at its line, before anything is made. What only an
//! image or the machine can tell of comes later, with the same line ([`resource::Part`]).

use crate::limits::bytes;
use crate::lowering::Lowering;
use compose_spec::Service;
use compose_spec::model::Ulimit;
use diagnostic::nearest;
use resource::{Rlimit, hardware_address, signal};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Bytes that the kernel keeps for a host's name and for its domain's, uname(2).
const LONGEST_NAME: usize = 64;

/// What tmpfs(5) takes besides the flags of mount(2); those with `=` need a value.
const TMPFS_OPTIONS: [&str; 10] =
    ["size=", "nr_blocks=", "nr_inodes=", "mode=", "uid=", "gid=", "huge=", "mpol=", "inode32", "inode64"];

/// The flags of mount(2) that a file system in memory can have, as mount(8) writes them.
const FLAGS: [&str; 17] = [
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "atime",
    "noatime",
    "nodiratime",
    "relatime",
    "strictatime",
];

impl Lowering<'_> {
    /// Tells of every value of a service that cannot be.
    pub(crate) fn check_values(&mut self, service: &Service) {
        self.check_names(service);
        self.check_process(service);
        self.check_ulimits(service, "ulimits", &service.ulimits);
        if let Some(build) = &service.build {
            self.check_ulimits(service, "build.ulimits", &build.ulimits);
            self.check_shared_memory(service, "build.shm_size", build.shm_size);
        }
        self.check_shared_memory(service, "shm_size", service.shm_size);
        for (at, text) in service.tmpfs.iter().enumerate() {
            self.check_tmpfs(service, &format!("tmpfs.{at}"), text);
        }
    }

    fn check_names(&mut self, service: &Service) {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if let Some(name) = &service.container_name
            && !(name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(is_good))
        {
            let rule = "a letter or digit, then letters, digits, `_`, `.` and `-`";
            let message = format!("`{name}` cannot be the name of a container: {rule}");
            self.error(service, "container_name", message);
        }
        for (path, name) in [("hostname", &service.hostname), ("domainname", &service.domainname)] {
            if let Some(length) = name.as_ref().map(String::len).filter(|length| *length > LONGEST_NAME) {
                let message = format!("`{path}` has {length} bytes, and the kernel keeps {LONGEST_NAME}");
                self.error(service, path, message);
            }
        }
        for (path, words) in [("dns_search", &service.dns_search), ("dns_opt", &service.dns_opt)] {
            for (at, word) in words.iter().enumerate().filter(|(_, word)| word.contains(char::is_whitespace))
            {
                let message = format!("`{word}` is not one word: an entry of `{path}` has no spaces");
                self.error(service, &format!("{path}.{at}"), message);
            }
        }
        let own = service.mac_address.iter().map(|text| ("mac_address".to_owned(), text));
        let attached = service.networks.iter().filter_map(|(key, attachment)| {
            Some((format!("networks.{key}.mac_address"), attachment.mac_address.as_ref()?))
        });
        let wrong: Vec<_> =
            own.chain(attached).filter(|(_, text)| hardware_address(text).is_none()).collect();
        for (path, text) in wrong {
            let form = "one is six pairs of hexadecimal digits, the first of them even: `02:42:ac:11:00:02`";
            self.error(service, &path, format!("`{text}` cannot be the address of an interface: {form}"));
        }
    }

    fn check_process(&mut self, service: &Service) {
        if let Some(text) = service.tree.str("restart").filter(|_| service.restart.is_none()) {
            self.error(service, "restart", format!("`{text}` is no restart policy"));
        }
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(text) = given(&service.stop_signal).filter(|text| signal::parse(text).is_none()) {
            self.error(service, "stop_signal", format!("`{text}` is no signal of Linux, such as `SIGINT`"));
        }
        if let Some(folder) = given(&service.working_dir).filter(|folder| !folder.starts_with('/')) {
            self.error(
                service,
                "working_dir",
                format!("`{folder}` is not an absolute path: it begins with `/`"),
            );
        }
    }

    fn check_ulimits(&mut self, service: &Service, path: &str, limits: &BTreeMap<String, Ulimit>) {
        for (name, limit) in limits {
            let path = format!("{path}.{name}");
            if !Rlimit::NAMES.contains(&name.as_str()) {
                let known = match nearest(name, Rlimit::NAMES) {
                    Some(near) => format!("a similar one is `{near}`"),
                    None => format!("there are {}", Rlimit::NAMES.join(", ")),
                };
                self.error(service, &path, format!("the kernel knows no limit `{name}`: {known}"));
            }
            // -1 is no limit.
            let [soft, hard] =
                [limit.soft, limit.hard].map(|number| u64::try_from(number).unwrap_or(u64::MAX));
            if soft > hard {
                let message = format!("the soft limit of `{name}` is above the hard one, which bounds it");
                self.error(service, &path, message);
            }
        }
    }

    fn check_shared_memory(&mut self, service: &Service, path: &str, size: Option<i64>) {
        if size.is_some_and(|size| size < 0) {
            self.error(service, path, "shared memory cannot be smaller than nothing");
        }
    }

    fn check_tmpfs(&mut self, service: &Service, path: &str, text: &str) {
        let (target, words) = text.split_once(':').unwrap_or((text, ""));
        let mut parts = Path::new(target).components().filter(|part| *part != Component::CurDir);
        if parts.next() != Some(Component::RootDir) || parts.next().is_none() {
            self.error(service, path, format!("mount target `{target}` is not an absolute path below `/`"));
        }
        for word in words.split(',').filter(|word| !word.is_empty()) {
            let (name, value) =
                word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            let known = TMPFS_OPTIONS.into_iter().chain(FLAGS);
            let option = known.clone().find(|option| option.trim_end_matches('=') == name);
            let message = match (option, value) {
                (None, _) => match nearest(name, known.map(|option| option.trim_end_matches('='))) {
                    Some(near) => format!("tmpfs has no option `{name}`: a similar one is `{near}`"),
                    None => format!("tmpfs has no option `{name}`"),
                },
                (Some(option), value) if option.ends_with('=') != value.is_some() => match value {
                    Some(_) => format!("option `{name}` of tmpfs has no value"),
                    None => format!("option `{name}` of tmpfs needs a value: `{name}=…`"),
                },
                (Some("size="), Some(size)) if !is_size(size) => {
                    format!("`{size}` is no size of a tmpfs, such as `64m` or `50%`")
                }
                (Some("mode="), Some(mode)) if !is_mode(mode) => {
                    format!("`{mode}` is no file mode: it is written in octal, such as `1777`")
                }
                (Some("uid=" | "gid="), Some(id)) if id.parse::<u32>().is_err() => {
                    format!("`{id}` is no number of a user or group")
                }
                _ => continue,
            };
            self.error(service, path, message);
        }
    }
}

/// Bytes, or a share of the memory there is.
fn is_size(text: &str) -> bool {
    bytes(text).is_some() || text.strip_suffix('%').is_some_and(|share| share.parse::<u32>().is_ok())
}

fn is_mode(text: &str) -> bool {
    u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o7777)
}
