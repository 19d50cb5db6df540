//! Programs of the system that a chore needs: installed when we may, named when we may not.

use crate::{Failure, is_root, run};
use std::path::Path;
use std::process::Command;

/// A program and the Debian package that has it.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    path: &'static [&'static str],
    package: &'static str,
}

/// A static busybox: the content of the images that the tests make.
pub(crate) const BUSYBOX: Program = Program { path: &["/bin/busybox"], package: "busybox-static" };
/// Reads the firewall back: the tests' witness.
pub(crate) const NFT: Program = Program { path: &["/usr/sbin/nft"], package: "nftables" };
/// Reads interfaces and namespaces back: the tests' witness.
pub(crate) const IP: Program = Program { path: &["/usr/sbin/ip", "/usr/bin/ip"], package: "iproute2" };
/// Asks published ports over HTTP.
pub(crate) const CURL: Program = Program { path: &["/usr/bin/curl"], package: "curl" };
/// Makes the repositories that builds take files from, and serves them.
pub(crate) const GIT: Program = Program { path: &["/usr/bin/git", "/usr/local/bin/git"], package: "git" };
/// Makes keys, and asks the agent that a build's step is given.
pub(crate) const SSH: Program = Program { path: &["/usr/bin/ssh-add"], package: "openssh-client" };
/// Types into a terminal and reads its screen.
pub(crate) const TMUX: Program = Program { path: &["/usr/bin/tmux"], package: "tmux" };
/// Shells that complete our words.
pub(crate) const ZSH: Program = Program { path: &["/usr/bin/zsh"], package: "zsh" };
pub(crate) const FISH: Program = Program { path: &["/usr/bin/fish"], package: "fish" };
/// Makes random archives, to compare what becomes of them.
pub(crate) const PYTHON: Program = Program { path: &["/usr/bin/python3"], package: "python3" };
/// Packs archives of images.
pub(crate) const XZ: Program = Program { path: &["/usr/bin/xz"], package: "xz-utils" };
/// Runs containers whose file names it.
pub(crate) const CRUN: Program = Program { path: &["/usr/bin/crun"], package: "crun" };
/// Maps the subordinate ids of an ordinary user.
pub(crate) const UIDMAP: Program = Program { path: &["/usr/bin/newuidmap"], package: "uidmap" };
/// Joins an ordinary user's networks with the outside.
pub(crate) const PASST: Program = Program { path: &["/usr/bin/pasta"], package: "passt" };
/// Serves the images of the complete stacks.
pub(crate) const REGISTRY: Program =
    Program { path: &["/usr/bin/docker-registry"], package: "docker-registry" };
/// Makes the images of the complete stacks.
pub(crate) const MMDEBSTRAP: Program = Program { path: &["/usr/bin/mmdebstrap"], package: "mmdebstrap" };
/// Packs layers of the complete stacks.
pub(crate) const ZSTD: Program = Program { path: &["/usr/bin/zstd"], package: "zstd" };
/// Certificates for the registry of the complete stacks.
pub(crate) const OPENSSL: Program = Program { path: &["/usr/bin/openssl"], package: "openssl" };

/// Sees to it that the programs are there.
///
/// # Errors
/// The packages that are missing, when this process may not install them or apt-get fails.
pub(crate) fn require(programs: &[Program]) -> Result<(), Failure> {
    let missing: Vec<&str> = programs
        .iter()
        .filter(|program| !program.path.iter().any(|path| Path::new(path).exists()))
        .map(|program| program.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install {}", missing.join(" "));
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("missing packages; as root: {install}"));
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}
