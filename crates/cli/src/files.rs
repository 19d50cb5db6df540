//! The Compose files on disk: finding them, and the loader's way to read them.

use crate::exit::Failure;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

const BASES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// Reads for the loader. `-` is standard input.
pub(crate) struct Disk;

impl compose_spec::Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = if path == Path::new("-") { whole(io::stdin().lock()) } else { read(path) }?;
        if text.len() >= LARGE {
            sys::memory::expect((text.len() * MADE_OF_A_BYTE).min(MOST));
        }
        Ok(text)
    }

    fn is_file(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|found| !found.is_dir())
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

/// Bytes of a Compose file from which on it pays to ready the heap: some 150 services.
const LARGE: usize = 64 << 10;
/// Bytes that loading a project takes for each byte of its files.
const MADE_OF_A_BYTE: usize = 32;
/// Bytes beyond which nothing is readied: what a file larger than that is for is doubtful.
const MOST: usize = 64 << 20;

/// Bytes of the largest file that is read.
const LARGEST: u64 = 16 << 20;

/// Reads a file of text: never a device, never one that is too large, never waiting for a named pipe.
///
/// # Errors
/// It cannot be read; the error says why in a few words.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A named pipe that nobody writes to would be waited for; one that the shell made is open already.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)?;
    let found = file.metadata()?;
    let kind = found.file_type();
    let is_descriptor = path.starts_with("/dev/fd") || path.starts_with("/proc") || path == "/dev/stdin";
    if found.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    if kind.is_char_device() && found.rdev() == nix::sys::stat::makedev(1, 3) {
        return Ok(vec![]); // /dev/null: the empty file
    }
    if (kind.is_fifo() || kind.is_char_device()) && is_descriptor {
        return whole(std::fs::File::open(path)?);
    }
    if !found.is_file() {
        let what = if kind.is_fifo() {
            "a pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        return Err(io::Error::other(format!("it is {what}, not a file")));
    }
    whole(file)
}

fn whole(source: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

/// The files that were found, and what is worth saying about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Absolute, the base first; empty when there is none.
    pub(crate) files: Vec<PathBuf>,
    /// Several candidates lay side by side.
    pub(crate) warning: Option<String>,
}

/// Looks for a Compose file in a folder and those above it, and for an override file beside it.
pub(crate) fn discover(start: &Path) -> Found {
    for folder in start.ancestors() {
        let present: Vec<&str> = BASES.into_iter().filter(|name| folder.join(name).is_file()).collect();
        let Some(first) = present.first() else { continue };
        let mut files = vec![folder.join(first)];
        files.extend(OVERRIDES.into_iter().map(|name| folder.join(name)).find(|path| path.is_file()));
        let warning = (present.len() > 1)
            .then(|| format!("several Compose files were found: {}; `{first}` is used", present.join(", ")));
        return Found { files, warning };
    }
    Found::default()
}

/// What is said when there is no Compose file.
pub(crate) fn none_found(start: &Path) -> Failure {
    Failure::new("no configuration file provided: not found").hint(format!(
        "looked for {} in `{}` and every folder above it; name a file with `--file`",
        BASES.join(", "),
        start.display()
    ))
}

/// The files named by `-f` or `COMPOSE_FILE`, absolute, each of them there.
pub(crate) fn named(files: &[String], current: &Path) -> Result<Vec<PathBuf>, Failure> {
    files.iter().map(|file| one(file, current)).collect()
}

fn one(file: &str, current: &Path) -> Result<PathBuf, Failure> {
    if file == "-" {
        return Ok(PathBuf::from("-"));
    }
    let git = file.starts_with("git@") || file.starts_with("git://") || file.starts_with("ssh://");
    if git || file.starts_with("oci://") || file.starts_with("https://") || file.starts_with("http://") {
        return Err(Failure::unsupported(&format!("the remote Compose file `{file}`")));
    }
    let path = absolute(Path::new(file), current);
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => Err(Failure::new(format!("the Compose file `{file}` is a folder"))
            .hint("name the file in it, or use `--project-directory`")),
        Ok(_) => Ok(path),
        Err(error) => Err(Failure::because(format!("cannot read the Compose file `{file}`"), error)
            .hint(format!("looked for `{}`", path.display()))),
    }
}

/// The path below the current folder, without `.` and `..` parts; links are left as they are.
pub(crate) fn absolute(path: &Path, current: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in current.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_and_its_override_are_found_from_below() {
        let folder = std::env::temp_dir().join(format!("compose-discover-{}", std::process::id()));
        let below = folder.join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        for name in ["docker-compose.yml", "compose.yml", "compose.override.yaml"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let found = discover(&below);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found.files, [folder.join("compose.yml"), folder.join("compose.override.yaml")]);
        assert!(found.warning.unwrap().contains("compose.yml, docker-compose.yml"));
    }

    #[test]
    fn paths_become_absolute() {
        let current = Path::new("/a/b");
        assert_eq!(absolute(Path::new("../c/./d"), current), Path::new("/a/c/d"));
        assert_eq!(absolute(Path::new("/x"), current), Path::new("/x"));
    }
}
