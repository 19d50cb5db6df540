//! Finding room for the cgroups of an ordinary user's pod: a folder of the unified hierarchy that was
//! delegated to us, or a scope that the user's systemd makes and delegates.

use super::bus::{Body, Bus, BusError, Method};
use super::{Hierarchies, Placement, Warning, supervisors};
use resource::{PodName, Roots};
use rustix::fs::Access;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder our own process is in, so that its neighbours can be limited: a cgroup of v2 that hands
/// controllers down has no processes itself.
const LEAF: &str = "compose";

/// What there is to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Situation {
    /// v2 has the controllers.
    unified: bool,
    /// The cgroup this process is in can be written to.
    writable: bool,
    /// Who made it has said that it is ours to divide.
    delegated: bool,
    /// The user's bus can be reached.
    bus: bool,
}

/// Where room is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// In the cgroup this process is in.
    Own,
    /// In a scope.
    Scope,
    Nowhere,
}

/// What was delegated for this is taken; a writable cgroup that nobody gave us comes last.
fn choose(situation: Situation) -> Choice {
    match situation {
        Situation { unified: false, .. } => Choice::Nowhere,
        Situation { writable: true, delegated: true, .. } => Choice::Own,
        Situation { bus: true, .. } => Choice::Scope,
        Situation { writable: true, .. } => Choice::Own,
        _ => Choice::Nowhere,
    }
}

/// What could not be done to make room.
#[derive(Debug, thiserror::Error)]
enum NoRoom {
    #[error("systemd does not make a scope")]
    Scope(#[from] BusError),
    #[error("the job that makes it ended with `{0}`")]
    Job(String),
    #[error("its cgroup cannot be divided")]
    Divide(#[from] io::Error),
}

/// Whether the limits of an ordinary user's containers can be enforced on this machine: `None`, or what
/// to say, as far as it can be known beforehand.
pub fn shortcoming(roots: &Roots) -> Option<Warning> {
    let nowhere = roots.mapping.is_rootless() && choose(look(roots)) == Choice::Nowhere;
    nowhere.then(|| Warning(format!("limits are not enforced: {}", super::NOWHERE)))
}

/// Finds room for a pod's cgroups, moves this process there and writes the place down. The process is to
/// be the one that starts the pod's containers, and does this once, before it starts or adopts any. For
/// an engine of root there is room, and the process only leaves the unit or session it was started from. What
/// went wrong comes back as warnings: containers of an ordinary user run without cgroups then.
pub fn settle(roots: &Roots, pod: &PodName) -> Vec<Warning> {
    if !roots.mapping.is_rootless() {
        let stays = |error| Warning(format!("the supervisor ends with who started it: {}", chain(&error)));
        return supervisors::enter(roots, pod).err().map(stays).into_iter().collect();
    }
    let situation = look(roots);
    let found = match choose(situation) {
        Choice::Own => own().and_then(|own| divide(&own)).map_err(NoRoom::from),
        Choice::Scope => match scope(roots, pod) {
            Err(_) if situation.writable => own().and_then(|own| divide(&own)).map_err(NoRoom::from),
            other => other,
        },
        Choice::Nowhere => Ok(Placement::Nowhere),
    };
    let (place, mut warnings) = match found {
        Ok(place) => (place, vec![]),
        Err(error) => {
            let text = format!("limits are not enforced: {}", chain(&error));
            (Placement::Nowhere, vec![Warning(text)])
        }
    };
    if let Err(error) = place.write(roots, pod) {
        warnings
            .push(Warning(format!("limits are not enforced: cannot write down where cgroups are: {error}")));
    }
    warnings
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// What this machine and session have.
fn look(roots: &Roots) -> Situation {
    let hierarchies = Hierarchies::get();
    let own = own().ok().and_then(|own| Some(hierarchies.v2.as_ref()?.join(own)));
    let can_write = |folder: &PathBuf| {
        let write = |name| rustix::fs::access(folder.join(name), Access::WRITE_OK).is_ok();
        write("cgroup.procs")
            && write("cgroup.subtree_control")
            && rustix::fs::access(folder, Access::WRITE_OK).is_ok()
    };
    let marked = |folder: &PathBuf| {
        let mut mark = [0; 1];
        rustix::fs::getxattr(folder, "user.delegate", &mut mark[..]).is_ok() && mark == *b"1"
    };
    Situation {
        unified: hierarchies.is_v2(),
        writable: own.as_ref().is_some_and(can_write),
        delegated: own.as_ref().is_some_and(marked),
        bus: bus_path(roots).is_some(),
    }
}

/// The cgroup this process is in, without our own leaf: below the root of the unified hierarchy.
fn own() -> io::Result<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/")).ok_or(io::ErrorKind::NotFound)?;
    let path = Path::new(path);
    Ok(if path.ends_with(LEAF) { path.parent().unwrap_or(path) } else { path }.to_owned())
}

/// Where the user's bus listens. The address is that of the session's own environment, if we have one.
fn bus_path(roots: &Roots) -> Option<PathBuf> {
    let address = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
    let named = address.split(';').find_map(|each| each.strip_prefix("unix:path="));
    let named = named.map(|path| PathBuf::from(path.split(',').next().unwrap_or(path)));
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("bus"));
    let beside = roots.run.parent().map(|folder| folder.join("bus"));
    // The user's number outside of its namespace.
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let user = map.split_ascii_whitespace().nth(1);
    let usual = user.map(|user| Path::new("/run/user").join(user).join("bus"));
    [named, session, beside, usual].into_iter().flatten().find(|path| path.exists())
}

/// Makes a folder for ourselves in a cgroup, puts every process of it there, and gives the cgroup as
/// the place for pods: what is in it can be divided from now on.
fn divide(own: &Path) -> io::Result<Placement> {
    let mount = Hierarchies::get().v2.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let folder = mount.join(own);
    let leaf = folder.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let processes = |folder: &Path| fs::read_to_string(folder.join("cgroup.procs"));
    fs::write(leaf.join("cgroup.procs"), std::process::id().to_string())?;
    // Those who came with us. One that forks while the list is read is in the next.
    for _ in 0..100 {
        let left = processes(&folder)?;
        if left.is_empty() {
            break;
        }
        for pid in left.lines() {
            // It may have ended, or not be ours to move.
            drop(fs::write(leaf.join("cgroup.procs"), pid));
        }
    }
    Ok(Placement::Delegated(own.to_owned()))
}

/// A method of the user's systemd.
fn of_systemd(member: &'static str) -> Method {
    Method {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member,
    }
}

/// The signal that tells of a job's end.
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',\
                           interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// Has this process put into a scope of its own, which lives as long as something is in it. One that is
/// there already, since containers outlived who started them, takes us in.
fn scope(roots: &Roots, pod: &PodName) -> Result<Placement, NoRoom> {
    let path = bus_path(roots).ok_or_else(|| BusError::from(io::Error::from(io::ErrorKind::NotFound)))?;
    let mut bus = Bus::connect(&path)?;
    let (name, pid) = (scope_name(roots, pod), std::process::id());
    bus.listen(JOB_REMOVED)?;
    bus.call(&of_systemd("Subscribe"), "", &Body::default())?;
    let mut body = Body::default();
    body.text(&name).text("fail").array(8, |properties| {
        properties
            .property("Description", "s", |value| value.text(&format!("containers of {pod}")))
            .property("Slice", "s", |value| value.text("app.slice"))
            .property("PIDs", "au", |value| value.array(4, |pids| pids.number(pid)))
            .property("Delegate", "b", |value| value.number(1))
            .property("CollectMode", "s", |value| value.text("inactive-or-failed"))
    });
    body.array(8, |none| none);
    match bus.call(&of_systemd("StartTransientUnit"), "ssa(sv)a(sa(sv))", &body) {
        Ok(job) => {
            let removed = bus.signal("JobRemoved", |body| body.get(1) == job.first())?;
            if removed.get(3).is_none_or(|result| result != "done") {
                return Err(NoRoom::Job(removed.get(3).cloned().unwrap_or_default()));
            }
        }
        Err(BusError::Refused { name: error, .. }) if error == "org.freedesktop.systemd1.UnitExists" => {
            let mut body = Body::default();
            body.text(&name).text(&format!("/{LEAF}")).array(4, |pids| pids.number(pid));
            bus.call(&of_systemd("AttachProcessesToUnit"), "ssau", &body)?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(divide(&own()?)?)
}

/// The name of a pod's scope: another for each engine of the user.
fn scope_name(roots: &Roots, pod: &PodName) -> String {
    let hash =
        roots.run.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // A unit's name takes letters, digits, `:`, `-`, `_`, `.`, `\`; a pod's has no others.
    let plain: String = pod
        .as_str()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' })
        .take(200)
        .collect();
    format!("compose-{plain}-{:08x}.scope", hash as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(unified: bool, writable: bool, delegated: bool, bus: bool) -> Situation {
        Situation { unified, writable, delegated, bus }
    }

    #[test]
    fn what_was_delegated_is_taken_before_a_scope_and_that_before_what_is_merely_writable() {
        assert_eq!(choose(situation(false, true, true, true)), Choice::Nowhere);
        assert_eq!(choose(situation(true, true, true, true)), Choice::Own);
        assert_eq!(choose(situation(true, true, false, true)), Choice::Scope);
        assert_eq!(choose(situation(true, false, true, true)), Choice::Scope);
        assert_eq!(choose(situation(true, true, false, false)), Choice::Own);
        assert_eq!(choose(situation(true, false, false, false)), Choice::Nowhere);
    }

    #[test]
    fn each_engine_names_the_scope_of_a_pod_in_its_own_way() {
        let roots = |run: &str| Roots::at("/d".into(), run.into(), String::new());
        let name = |run: &str| scope_name(&roots(run), &PodName("shop".to_owned()));
        assert!(name("/run/a").starts_with("compose-shop-") && name("/run/a").ends_with(".scope"));
        assert_eq!(name("/run/a"), name("/run/a"));
        assert_ne!(name("/run/a"), name("/run/b"));
    }
}
