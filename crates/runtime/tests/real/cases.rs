//! The cases, and what there must be the same after them.

mod files;
mod groups;
mod programs;
mod terminals;

use crate::bed::{BASE, delegated};
use resource::Mapping;
use std::fs;
use std::path::Path;

/// Every case by name.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("exit_codes_and_output", programs::exit_codes_and_output),
    (
        "programs_that_are_not_there_or_not_executable",
        programs::programs_that_are_not_there_or_not_executable,
    ),
    ("namespaces_are_its_own", groups::namespaces_are_its_own),
    ("capabilities_and_seccomp_show_in_status", programs::capabilities_and_seccomp_show_in_status),
    ("custom_profile", programs::custom_profile),
    ("masked_and_read_only_paths", files::masked_and_read_only_paths),
    ("devices", files::devices),
    ("read_only_root_with_tmpfs", files::read_only_root_with_tmpfs),
    ("binds", files::binds),
    ("hostile_links_do_not_lead_out", files::hostile_links_do_not_lead_out),
    ("dangling_links_are_followed_inside", files::dangling_links_are_followed_inside),
    ("propagation", files::propagation),
    ("hundred_layers", files::hundred_layers),
    ("volatile_restarts", files::volatile_restarts),
    ("users", programs::users),
    ("working_dir", programs::working_dir),
    ("limits_of_processes", programs::limits_of_processes),
    ("sysctls", programs::sysctls),
    ("terminal", terminals::terminal),
    ("exec_in_a_running_container", terminals::exec_in_a_running_container),
    ("exec_fails_and_leaves_nothing", terminals::exec_fails_and_leaves_nothing),
    ("exec_with_a_terminal", terminals::exec_with_a_terminal),
    ("init_reaps_and_passes_signals_on", terminals::init_reaps_and_passes_signals_on),
    ("init_forgets_what_the_supervisor_knows", terminals::init_forgets_what_the_supervisor_knows),
    ("cgroup_limits", groups::cgroup_limits),
    ("out_of_memory", groups::out_of_memory),
    ("freeze_and_kill", groups::freeze_and_kill),
    ("privileged", programs::privileged),
    ("shared_namespaces", groups::shared_namespaces),
    ("namespaces_of_the_host", groups::namespaces_of_the_host),
    ("no_descriptor_leaks", programs::no_descriptor_leaks),
    ("own_program_is_read_only", files::own_program_is_read_only),
    ("failures_leave_nothing", programs::failures_leave_nothing),
    ("threads_are_refused", programs::threads_are_refused),
];

/// What an ordinary user's engine cannot do, or does differently: the case, for whom, and why. A case
/// that is left out says so by [`Differs::LeftOut`]; the others expect something else in part.
pub(crate) const DIFFERENT: &[(&str, &[Mapping], Differs, &str)] = {
    use Differs::{InPart, LeftOut, WithoutCgroups};
    use Mapping::{Single, Subordinate};
    &[
        (
            "devices",
            &[Subordinate, Single],
            InPart,
            "nobody makes nodes in a user namespace: the host's are bound",
        ),
        ("binds", &[Subordinate, Single], InPart, "the host's mounts are not the user's to add to"),
        ("propagation", &[Subordinate, Single], LeftOut, "the host's mounts are not the user's to add to"),
        ("sysctls", &[Subordinate, Single], InPart, "groups that may ping are those that have an id"),
        ("users", &[Single], InPart, "there is nobody to be but user 0"),
        ("terminal", &[Single], InPart, "there is nobody to be but user 0, nor a group `tty`"),
        ("exec_in_a_running_container", &[Single], InPart, "there is nobody to be but user 0"),
        (
            "cgroup_limits",
            &[Subordinate, Single],
            WithoutCgroups,
            "nothing is limited without a delegated cgroup",
        ),
        (
            "out_of_memory",
            &[Subordinate, Single],
            WithoutCgroups,
            "nothing is limited without a delegated cgroup",
        ),
        (
            "freeze_and_kill",
            &[Subordinate, Single],
            WithoutCgroups,
            "nothing is frozen without a delegated cgroup",
        ),
    ]
};

/// How a case differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Differs {
    /// It expects something else in part.
    InPart,
    /// It is not run.
    LeftOut,
    /// It is not run unless a cgroup was delegated.
    WithoutCgroups,
}

/// What could be left behind: mounts, children, descriptors, cgroups.
pub(crate) fn world() -> (usize, usize, usize, Vec<String>) {
    // The machine has others that come and go.
    let folder = format!(" {}/", std::env::temp_dir().display());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(&folder)).count();
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children: String =
        threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap()).collect();
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    let mut left = vec![];
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).unwrap().flatten().map(|hierarchy| hierarchy.path());
    let bases = hierarchies.chain([root.to_owned()]).map(|hierarchy| hierarchy.join(BASE));
    for base in bases.chain(delegated().map(|folder| root.join(folder.trim_end()))) {
        let pods = fs::read_dir(&base).into_iter().flatten().flatten();
        let ours = format!("-{}", std::process::id());
        left.extend(
            pods.filter(|pod| pod.file_name().to_string_lossy().ends_with(&ours))
                .filter(|pod| pod.path().is_dir())
                .map(|pod| pod.path().display().to_string()),
        );
    }
    (mounts, children.split_whitespace().count(), descriptors, left)
}
