//! Why a user's world cannot be entered, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a user's world cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nothing says where this user's files are.
    #[error("there is no folder to keep images and volumes in: HOME is not set")]
    NoHome,
    /// A folder or file of the engine cannot be made or used.
    #[error("cannot use {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// A folder of the engine is somebody else's, root's say.
    #[error("{} belongs to {}, not to this user", path.display(), if *owner == 0 { "root".to_owned() } else { format!("user {owner}") })]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The folder for run-time files is not a private folder of this user.
    #[error("{} is not a folder that only this user can use", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
    },
    /// The file system keeps no attributes.
    #[error("the file system of {} keeps no extended attributes, which layers of images need", path.display())]
    NoAttributes {
        /// The folder.
        path: PathBuf,
    },
    /// A setting of the kernel forbids user namespaces.
    #[error("user namespaces are forbidden here: {setting} is {value}")]
    Forbidden {
        /// Its name for sysctl(8).
        setting: &'static str,
        /// What it is.
        value: String,
    },
    /// The kernel refuses a user namespace and does not say why.
    #[error("cannot make a user namespace")]
    Namespace(#[source] io::Error),
    /// A program that maps ids refused or cannot be run.
    #[error("{program} cannot give this user its subordinate ids: {said}")]
    Mapping {
        /// Which.
        program: &'static str,
        /// What it said.
        said: String,
        /// Whether it has the privilege that it needs.
        privileged: bool,
    },
    /// The kernel refuses to map the user's own id.
    #[error("cannot map this user's id")]
    OwnId(#[source] io::Error),
    /// The process that holds the namespaces could not be started or failed.
    #[error("the process that holds this user's namespaces failed: {0}")]
    Infra(String),
    /// The process that holds the namespaces ended while they were joined.
    #[error("the process that holds this user's namespaces ended meanwhile")]
    Ended,
    /// The namespaces are there and cannot be joined.
    #[error("cannot join this user's namespaces")]
    Join(#[source] io::Error),
}

/// The setting of Ubuntu's kernels by which a program without a profile of AppArmor's either may not make a
/// user namespace, or gets into the profile `unprivileged_userns`, and has no privilege in the one it made.
const APPARMOR: &str = "kernel.apparmor_restrict_unprivileged_userns";

/// Settings that forbid user namespaces, with the value that does.
const SETTINGS: [(&str, &str); 3] =
    [("user.max_user_namespaces", "0"), ("kernel.unprivileged_userns_clone", "0"), (APPARMOR, "1")];

/// A line for root's shell that keeps a profile for a program and has the kernel take it: one that confines
/// nothing and allows user namespaces, like those that Ubuntu has for other programs.
fn allowance(program: &Path) -> String {
    let mut path = String::new();
    for letter in program.to_string_lossy().chars() {
        match letter {
            // What apparmor.d(5) takes for patterns and quotes, and the shell for the end of the text.
            '\\' | '"' | '*' | '?' | '[' | ']' | '{' | '}' | '^' => path.extend(['\\', letter]),
            '\'' => path.push_str("'\\''"),
            _ => path.push(letter),
        }
    }
    format!(
        "echo 'abi <abi/4.0>, profile compose \"{path}\" flags=(unconfined) {{ userns, }}' \
         | tee /etc/apparmor.d/compose | apparmor_parser -r"
    )
}

impl UserError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoHome => "set HOME or XDG_DATA_HOME, or name a folder with --root".to_owned(),
            Self::Folder { .. } => "name another folder with --root".to_owned(),
            Self::Foreign { path, .. } => {
                format!(
                    "have {} removed or given to this user, or name another folder with --root",
                    path.display()
                )
            }
            Self::Exposed { path } => {
                format!(
                    "remove {}, or set XDG_RUNTIME_DIR to a folder of this user with mode 0700",
                    path.display()
                )
            }
            Self::NoAttributes { .. } => {
                "name a folder on ext4, xfs or btrfs with --root or XDG_DATA_HOME".to_owned()
            }
            Self::Forbidden { setting: APPARMOR, .. } => {
                // Its path, should it not be known, is for the reader to write.
                let program = std::env::current_exe().unwrap_or_else(|_| "/PATH/OF/compose".into());
                format!(
                    "as root, to allow this program alone: {}; or every program: sysctl -w {APPARMOR}=0, \
                     and in /etc/sysctl.d to keep it",
                    allowance(&program)
                )
            }
            Self::Forbidden { setting: "user.max_user_namespaces", .. } => {
                "as root: sysctl -w user.max_user_namespaces=15000, and in /etc/sysctl.d to keep it"
                    .to_owned()
            }
            Self::Forbidden { setting, .. } => {
                format!("as root: sysctl -w {setting}=1, and in /etc/sysctl.d to keep it")
            }
            Self::Namespace(_) => {
                "a container or service around this command may forbid it; else run it as root".to_owned()
            }
            Self::Mapping { program, privileged: false, .. } => {
                format!("{program} has to be setuid root; as root: apt-get install --reinstall uidmap")
            }
            Self::Mapping { .. } => {
                "/etc/subuid and /etc/subgid must name this user with ranges that nobody else has".to_owned()
            }
            Self::OwnId(_) | Self::Infra(_) | Self::Ended | Self::Join(_) => return None,
        })
    }

    pub(super) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Folder { path, source }
    }

    /// Why the kernel refused a user namespace, or something in one; `setting` reads one of its settings.
    pub(super) fn refused(source: io::Error, setting: impl Fn(&str) -> Option<String>) -> Self {
        let forbids = |(name, value): &(&'static str, &str)| {
            let is = setting(name).filter(|is| is == value)?;
            Some(Self::Forbidden { setting: name, value: is })
        };
        SETTINGS.iter().find_map(forbids).unwrap_or(Self::Namespace(source))
    }
}

/// A setting of this kernel by its name for sysctl(8).
pub(super) fn setting(name: &str) -> Option<String> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(settings: &[(&str, &str)]) -> String {
        let find = |name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let error = UserError::refused(io::Error::from_raw_os_error(1), find);
        format!("{error}; {}", error.help().unwrap())
    }

    #[test]
    fn the_setting_that_forbids_is_named_with_the_way_to_change_it() {
        assert!(refused(&[("user.max_user_namespaces", "0")]).starts_with(
            "user namespaces are forbidden here: user.max_user_namespaces is 0; as root: sysctl -w"
        ));
        assert!(
            refused(&[("user.max_user_namespaces", "9"), ("kernel.unprivileged_userns_clone", "0")])
                .contains("sysctl -w kernel.unprivileged_userns_clone=1")
        );
        let program = std::env::current_exe().unwrap();
        assert!(refused(&[(APPARMOR, "1")]).contains(&allowance(&program)));
        assert!(refused(&[]).starts_with("cannot make a user namespace"));
    }

    #[test]
    fn a_profile_names_a_program_and_no_pattern() {
        assert_eq!(
            allowance(Path::new("/opt/it's [1] {a}/compose")),
            r#"echo 'abi <abi/4.0>, profile compose "/opt/it'\''s \[1\] \{a\}/compose" flags=(unconfined) { userns, }' | tee /etc/apparmor.d/compose | apparmor_parser -r"#
        );
    }
}
