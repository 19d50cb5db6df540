//! pasta: the program of the passt package that joins the router with the outside, by the sockets of an
//! ordinary process. Out alone: published ports are the supervisors' business.
//!
//! In the router its end has an address of its own, not the host's, so that the host's address stays one
//! of the outside: what listens there is reached, what listens on the host's loopback is not.

use super::ids::find_program;
use super::infra::Infra;
use super::launch::Launch;
use super::{News, UserError, life, making};
use crate::disk;
use crate::process::{self, lives};
use resource::{ProcessIdentity, Roots};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

/// Its document in the run root.
const DOCUMENT: &str = "pasta.json";

/// Where its complaints go.
const LOG: &str = "pasta.log";

/// The device its packets come through.
const DEVICE: &str = "/dev/net/tun";

/// Outbound connections alone; its own end's address, prefix length and gateway, from a block kept for
/// tests of networks (RFC 2544), which no network has. Infra ends it: nobody else sees the path that it
/// would watch, which follows the last word.
const ARGUMENTS: &str = "--foreground --quiet --config-net --no-map-gw -t none -u none -T none -U none \
                         -a 198.18.0.2 -n 30 -g 198.18.0.1 --no-netns-quit --netns";

/// Sees to it that one runs. Nobody waits for it to be ready: what is sent meanwhile is sent again.
pub(super) fn keep(roots: &Roots, infra: &Infra, news: &mut News) -> Result<(), UserError> {
    if living(roots).is_some() {
        return Ok(());
    }
    let _making = making(roots)?;
    if living(roots).is_some() {
        return Ok(());
    }
    match start(roots, infra) {
        Ok(ended) => news.warnings.extend(ended),
        Err(lack) => news.lacks.push(lack),
    }
    Ok(())
}

fn living(roots: &Roots) -> Option<ProcessIdentity> {
    disk::read(&roots.run.join(DOCUMENT)).filter(|process| lives(*process))
}

/// Starts it, and says what ended the one before; or says why there is no way outside.
fn start(roots: &Roots, infra: &Infra) -> Result<Option<String>, String> {
    let before = complaint(roots);
    let without = |why: String| format!("containers have no way to the outside: {why}");
    let log = roots.run.join(LOG);
    let log = File::options().write(true).truncate(true).create(true).mode(0o600).open(log);
    let log = log.map_err(|error| without(error.to_string()))?;
    if let Err(error) = File::options().read(true).write(true).open(DEVICE) {
        return Err(without(format!(
            "{DEVICE} cannot be used ({error}); as root: modprobe tun && chmod 0666 {DEVICE}"
        )));
    }
    let Some(program) = find_program("pasta") else {
        return Err(without("pasta is not installed; as root: apt-get install passt".to_owned()));
    };
    let arguments: Vec<_> = ARGUMENTS.split_ascii_whitespace().collect();
    let (infra, run, document) = (infra.process.pid, &roots.run, &roots.run.join(DOCUMENT));
    let life = &life::watch(roots).map_err(|error| without(error.to_string()))?;
    let launch = Launch { program: &program, arguments: &arguments, infra, life, run, document, log: &log };
    launch.start().map_err(|error| without(format!("pasta cannot be started: {error}")))?;
    Ok(before.map(|said| without(format!("pasta has ended: {said}; it is started again"))))
}

/// What the last one said before it ended, if there was one. Where AppArmor confines it, it cannot write
/// to its log.
fn complaint(roots: &Roots) -> Option<String> {
    let text = std::fs::read_to_string(roots.run.join(LOG)).unwrap_or_default();
    // It also complains that nobody keeps a system log.
    let said = text.lines().rfind(|line| !line.is_empty() && !line.contains("syslog"));
    let silent = || roots.run.join(DOCUMENT).exists().then_some("it did not say why; try `journalctl -k`");
    Some(said.or_else(silent)?.trim().to_owned())
}

/// Ends it, and removes what was written of it.
pub(super) fn end(roots: &Roots) {
    living(roots).into_iter().for_each(process::kill);
    for file in [DOCUMENT, LOG] {
        drop(disk::remove_file(&roots.run.join(file)));
    }
}
