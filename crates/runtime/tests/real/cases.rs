//! The cases.

use crate::bed::{BASE, Bed, as_root, chain, delegated, mapping, process};
use resource::{Mapping, Resources, Rlimit, SeccompChoice};
use runtime::{Share, StartError, Stdio};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Every case by name.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("exit_codes_and_output", exit_codes_and_output),
    ("programs_that_are_not_there_or_not_executable", programs_that_are_not_there_or_not_executable),
    ("namespaces_are_its_own", namespaces_are_its_own),
    ("capabilities_and_seccomp_show_in_status", capabilities_and_seccomp_show_in_status),
    ("custom_profile", custom_profile),
    ("masked_and_read_only_paths", masked_and_read_only_paths),
    ("devices", devices),
    ("read_only_root_with_tmpfs", read_only_root_with_tmpfs),
    ("binds", binds),
    ("hostile_links_do_not_lead_out", hostile_links_do_not_lead_out),
    ("dangling_links_are_followed_inside", dangling_links_are_followed_inside),
    ("propagation", propagation),
    ("hundred_layers", hundred_layers),
    ("volatile_restarts", volatile_restarts),
    ("users", users),
    ("working_dir", working_dir),
    ("limits_of_processes", limits_of_processes),
    ("sysctls", sysctls),
    ("terminal", terminal),
    ("exec_in_a_running_container", exec_in_a_running_container),
    ("exec_fails_and_leaves_nothing", exec_fails_and_leaves_nothing),
    ("exec_with_a_terminal", exec_with_a_terminal),
    ("init_reaps_and_passes_signals_on", init_reaps_and_passes_signals_on),
    ("init_forgets_what_the_supervisor_knows", init_forgets_what_the_supervisor_knows),
    ("cgroup_limits", cgroup_limits),
    ("out_of_memory", out_of_memory),
    ("freeze_and_kill", freeze_and_kill),
    ("privileged", privileged),
    ("shared_namespaces", shared_namespaces),
    ("namespaces_of_the_host", namespaces_of_the_host),
    ("no_descriptor_leaks", no_descriptor_leaks),
    ("own_program_is_read_only", own_program_is_read_only),
    ("failures_leave_nothing", failures_leave_nothing),
    ("threads_are_refused", threads_are_refused),
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

fn exit_codes_and_output() {
    let bed = Bed::new("exit");
    assert_eq!(bed.shell("echo hello; exit 0").run().unwrap(), (0, "hello\n".to_owned()));
    assert_eq!(bed.shell("exit 42").run().unwrap().0, 42);
    assert_eq!(bed.case(&["sleep", "1000"]).start().unwrap().kill().0, 137);
    // The image's layer is as it was.
    bed.shell("echo new > /etc/made; rm /etc/plain").output();
    assert!(!bed.layer().join("etc/made").exists() && bed.layer().join("etc/plain").exists());
}

fn programs_that_are_not_there_or_not_executable() {
    let bed = Bed::new("program");
    let error = bed.case(&["no-such-program"]).run().unwrap_err();
    assert!(matches!(&error, StartError::NotFound { program } if program == "no-such-program"), "{error:?}");
    assert_eq!(error.exit_code(), 127);
    assert_eq!(bed.case(&["/bin/no-such"]).run().unwrap_err().exit_code(), 127);
    for path in ["/etc/plain", "/etc"] {
        let error = bed.case(&[path]).run().unwrap_err();
        assert!(matches!(error, StartError::NotExecutable { .. }), "{error:?}");
        assert_eq!(error.exit_code(), 126);
    }
    assert_eq!(bed.case(&[]).run().unwrap_err().exit_code(), 125);
    // With init as well, where a child of process 1 is the one that fails.
    let error = bed.case(&["no-such-program"]).with(|record| record.process.init = true).run().unwrap_err();
    assert_eq!(error.exit_code(), 127);
}

fn namespaces_are_its_own() {
    let bed = Bed::new("namespaces");
    let script = "hostname; echo $$; ls /proc | grep -c '^[0-9]'; for n in net ipc uts mnt pid cgroup; do \
                  readlink /proc/self/ns/$n; done; cat /proc/self/cgroup";
    let text = bed.shell(script).output();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("bed"));
    assert_eq!(lines.next(), Some("1"));
    for name in ["net", "ipc", "uts", "mnt", "pid", "cgroup"] {
        let host = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert!(!text.contains(host.to_str().unwrap()), "{name} is the host's");
    }
    // It is at the root of every cgroup hierarchy that it sees.
    let cgroups: Vec<_> = text.lines().filter(|line| line.contains(":/")).collect();
    assert!(!cgroups.is_empty() && cgroups.iter().all(|line| line.ends_with(":/")), "{text}");
}

/// The value of a field of /proc/self/status.
fn status<'t>(text: &'t str, field: &str) -> &'t str {
    text.lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap_or_else(|| panic!("{field} in {text}"))
        .trim()
}

fn capabilities_and_seccomp_show_in_status() {
    let bed = Bed::new("status");
    let text = bed.case(&["cat", "/proc/self/status"]).output();
    for (field, value) in [
        ("CapInh:", "0000000000000000"),
        ("CapPrm:", "00000000a80425fb"),
        ("CapEff:", "00000000a80425fb"),
        ("CapBnd:", "00000000a80425fb"),
        ("CapAmb:", "0000000000000000"),
        ("NoNewPrivs:", "0"),
        ("Seccomp:", "2"),
        ("Seccomp_filters:", "1"),
        ("SigBlk:", "0000000000000000"),
        ("SigIgn:", "0000000000000000"),
    ] {
        assert_eq!(status(&text, field), value, "{field}");
    }
    let text = bed
        .case(&["cat", "/proc/self/status"])
        .with(|record| {
            record.spec.security.no_new_privileges = true;
            record.spec.security.capabilities_dropped = vec!["ALL".to_owned()];
            record.spec.security.capabilities_added = vec!["NET_ADMIN".to_owned()];
            record.spec.security.seccomp = SeccompChoice::Unconfined;
        })
        .output();
    assert_eq!(status(&text, "CapEff:"), "0000000000001000");
    assert_eq!((status(&text, "NoNewPrivs:"), status(&text, "Seccomp:")), ("1", "0"));
    // What the filter refuses fails, and what it allows works.
    let text = bed.shell("unshare -n true 2>&1; unshare -U true 2>&1; chroot / /bin/echo chrooted").output();
    assert_eq!(text.matches("not permitted").count(), 2, "{text}");
    assert!(text.contains("chrooted"), "{text}");
}

fn custom_profile() {
    let bed = Bed::new("profile");
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW",
        "syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#;
    let case = bed.shell("mkdir /x 2>&1 || true").with(|record| {
        record.spec.security.seccomp = SeccompChoice::Profile(profile.to_owned());
    });
    assert!(case.output().contains("No space left"), "the errno is the profile's");
    // With no_new_privileges it is loaded after the capabilities are gone.
    let text = case.with(|record| record.spec.security.no_new_privileges = true).output();
    assert!(text.contains("No space left"), "{text}");
}

fn masked_and_read_only_paths() {
    let bed = Bed::new("masked");
    let script = "for file in kcore keys timer_list interrupts; do test -e /proc/$file && cat /proc/$file; done; \
                  ls /sys/firmware; ls -l /proc/keys";
    let text = bed.shell(script).output();
    assert!(text.lines().count() == 1 && text.contains("1,   3"), "{text}");
    let script = "echo 1 > /proc/sys/kernel/panic; touch /sys/firmware/x; \
                  d=/sys/fs/cgroup; test -d $d/pids && d=$d/pids; mkdir $d/x; touch /sys/fs/cgroup/x; true";
    let text = bed.shell(script).output();
    assert_eq!(text.to_lowercase().matches("read-only file system").count(), 4, "{text}");
    let unconfined = bed
        .shell("wc -c < /proc/keys; grep -c ' /proc/' /proc/mounts; true")
        .with(|record| record.spec.security.unconfined_paths = true)
        .output();
    assert_ne!(unconfined.lines().next(), Some("0"));
    assert_eq!(unconfined.lines().last(), Some("0"));
}

fn devices() {
    let bed = Bed::new("devices");
    let script = "for d in null zero full random urandom tty; do stat -c '%n %F %a %t:%T' /dev/$d; done; \
                  for l in fd stdin ptmx; do readlink /dev/$l; done; echo x > /dev/null; head -c 4 /dev/urandom | wc -c; \
                  ls /dev/pts /dev/shm /dev/mqueue";
    let text = bed.shell(script).output();
    assert!(text.contains("/dev/null character special file 666 1:3"), "{text}");
    assert!(text.contains("/dev/tty character special file 666 5:0"), "{text}");
    assert!(text.contains("/proc/self/fd\n/proc/self/fd/0\npts/ptmx\n4\n"), "{text}");
    // A node can be made but, without a rule, not opened; without privilege over the host, neither.
    let text = bed.shell("mknod /tmp/kmsg c 1 11 && echo made; cat /tmp/kmsg").run().unwrap().1;
    assert!(text.contains("made") == as_root() && text.contains("not permitted"), "{text}");
    let allowed = bed.shell("stat -c '%t:%T' /dev/own; head -c 1 /dev/own | wc -c").with(|record| {
        record.spec.security.devices = vec![("/dev/zero".into(), "/dev/own".to_owned(), "r".to_owned())];
    });
    assert_eq!(allowed.output(), "1:5\n1\n");
}

fn read_only_root_with_tmpfs() {
    let bed = Bed::new("readonly");
    let case = bed.shell("touch /x 2>&1; touch /scratch/x && df -k /scratch | tail -1; stat -c %a /scratch");
    let case = case.with(|record| {
        record.spec.security.read_only_root = true;
        let options = ["noexec", "size=1m", "mode=1770"].map(str::to_owned).to_vec();
        record.mounts.push(resource::Mount::Tmpfs { target: "/scratch".to_owned(), options });
    });
    let text = case.output();
    assert!(
        text.contains("Read-only file system") && text.contains("1024") && text.ends_with("1770\n"),
        "{text}"
    );
}

fn binds() {
    let bed = Bed::new("binds");
    let (folder, file) = (bed.path("folder"), bed.path("file"));
    fs::create_dir_all(folder.join("below")).unwrap();
    fs::write(&file, "from the host\n").unwrap();
    let none = rustix::mount::MountFlags::empty();
    // What is mounted below: by us, or what every host has there.
    let (tree, below) = if as_root() { (folder.as_path(), "below") } else { (Path::new("/dev"), "shm") };
    if as_root() {
        rustix::mount::mount(c"x", folder.join("below"), c"tmpfs", none, None).unwrap();
    }
    let script = "cat /made/here/file; echo in > /made/folder/written; touch /ro/x 2>&1; \
                  touch /ro/BELOW/x 2>&1; cat /etc/hosts";
    let mut case = bed
        .shell(&script.replace("BELOW", below))
        .bind(&file, "/made/here/file", true)
        .bind(&folder, "/made/folder", false)
        .bind(tree, "/ro", true);
    let hosts = bed.path("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    case.around.hosts = hosts;
    let result = case.run();
    if as_root() {
        rustix::mount::unmount(folder.join("below"), rustix::mount::UnmountFlags::DETACH).unwrap();
    }
    let (code, text) = result.unwrap();
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("from the host\n") && text.ends_with("127.0.0.1 localhost\n"), "{text}");
    assert_eq!(text.matches("Read-only file system").count(), 2, "mounts below as well: {text}");
    assert_eq!(fs::read_to_string(folder.join("written")).unwrap(), "in\n");
    let missing = bed.shell("true").bind(Path::new("/no/such/source"), "/x", false).run().unwrap_err();
    assert_eq!(
        chain(&missing),
        "cannot open bind source /no/such/source: No such file or directory (os error 2)"
    );
}

/// Links in the image point out of it, absolute and with `..`; what is mounted on them stays inside.
fn hostile_links_do_not_lead_out() {
    let bed = Bed::new("hostile");
    let outside = bed.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "host\n").unwrap();
    symlink(&outside, bed.layer().join("absolute")).unwrap();
    symlink(format!("../../../../../../../../..{}", outside.display()), bed.layer().join("relative"))
        .unwrap();
    symlink("/proc/1/root", bed.layer().join("magic")).unwrap();
    symlink("loop", bed.layer().join("loop")).unwrap();
    let source = bed.path("source");
    fs::write(&source, "bound\n").unwrap();
    for link in ["/absolute", "/relative"] {
        let case = bed.shell(&format!("cat {link}/made/file; cat {}/made/file", outside.display())).bind(
            &source,
            &format!("{link}/made/file"),
            false,
        );
        assert_eq!(case.output(), "bound\nbound\n");
        let case = bed.shell("true").with(|record| record.process.working_dir = format!("{link}/work"));
        case.output();
    }
    let names: Vec<_> = fs::read_dir(&outside).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["file"], "nothing was made outside");
    // /proc is mounted by then: its magic links must not be followed.
    for target in ["/magic/etc/x", "/proc/self/root/x", "/proc/thread-self/cwd/x", "/loop/x"] {
        let error = bed.shell("true").bind(&source, target, false).run().unwrap_err();
        assert!(chain(&error).contains("Too many levels of symbolic links"), "{target}: {}", chain(&error));
    }
    // Nor may /proc itself be somewhere else: what is masked would be looked for in the wrong place.
    symlink("/data", bed.layer().join("proc")).unwrap();
    let error = bed.shell("true").run().unwrap_err();
    assert!(chain(&error).contains("cannot mount on /proc"), "{}", chain(&error));
    assert!(!outside.join("work").exists() && !Path::new("/made").exists());
}

fn dangling_links_are_followed_inside() {
    let bed = Bed::new("dangling");
    symlink("../run/resolve/stub.conf", bed.layer().join("etc/resolv.conf")).unwrap();
    let source = bed.path("resolv.conf");
    fs::write(&source, "nameserver 127.0.0.11\n").unwrap();
    let mut case = bed.shell("cat /etc/resolv.conf /run/resolve/stub.conf");
    case.around.resolv_conf = source;
    assert_eq!(case.output(), "nameserver 127.0.0.11\nnameserver 127.0.0.11\n");
}

fn propagation() {
    use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
    let bed = Bed::new("propagation");
    let shared = bed.path("shared");
    fs::create_dir(&shared).unwrap();
    rustix::mount::mount(c"x", &shared, c"tmpfs", MountFlags::empty(), None).unwrap();
    rustix::mount::mount_change(&shared, MountPropagationFlags::SHARED).unwrap();
    fs::create_dir(shared.join("later")).unwrap();
    let kinds = [
        (resource::Propagation::Rslave, "late\n"),
        (resource::Propagation::Rprivate, ""),
        (resource::Propagation::Rshared, "late\n"),
    ];
    for (kind, expected) in kinds {
        let (mut reader, writer) = pipe().unwrap();
        let (stdin, mut go) = pipe().unwrap();
        let mut case = bed.shell("echo up; read go; ls /s/later").bind(&shared, "/s", false);
        if let Some(resource::Mount::Bind { propagation, .. }) = case.record.mounts.last_mut() {
            *propagation = kind;
        }
        let stdio = Stdio::Files { stdin: stdin.as_fd(), stdout: writer.as_fd(), stderr: writer.as_fd() };
        let (started, cgroup, _) = case.start_with(stdio).unwrap();
        drop((writer, stdin));
        reader.read_exact(&mut [0; 3]).unwrap();
        let later = shared.join("later");
        rustix::mount::mount(c"x", &later, c"tmpfs", MountFlags::empty(), None).unwrap();
        fs::write(later.join("late"), "").unwrap();
        go.write_all(b"go\n").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        sys::process::wait(started.pidfd.as_fd()).unwrap();
        rustix::mount::unmount(&later, UnmountFlags::DETACH).unwrap();
        cgroup.remove().unwrap();
        assert_eq!(text, expected, "{kind:?}");
    }
    rustix::mount::unmount(&shared, UnmountFlags::DETACH).unwrap();
}

fn hundred_layers() {
    let mut bed = Bed::new("layers");
    for number in 0..120 {
        // Each name long and with a character that is special to the kernel.
        let layer = bed.path(&format!("{}:{number:03},x", "long".repeat(20)));
        fs::create_dir_all(layer.join("data")).unwrap();
        fs::set_permissions(&layer, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(layer.join("data").join(number.to_string()), "").unwrap();
        fs::write(layer.join("data/top"), number.to_string()).unwrap();
        bed.layers.push(layer);
    }
    assert_eq!(bed.shell("ls /data | wc -l; cat /data/top; touch /data/new").output(), "121\n119");
}

fn volatile_restarts() {
    let bed = Bed::new("volatile");
    let mut case = bed.shell("grep ' / ' /proc/mounts; cat /kept; echo kept > /kept; true");
    case.volatile = true;
    assert!(case.output().contains("volatile"));
    assert!(case.output().ends_with("kept\n"), "what it wrote is there at its second start");
}

fn users() {
    let bed = Bed::new("users");
    if mapping() == Mapping::Single {
        let text = bed.shell("id -u; id -g; id -G; stat -c %u /proc/self/fd/1; stat -c '%u %a' /");
        // Groups that an image gives its root cannot be had and are not missed.
        let text = text.with(|record| record.process.groups = vec![0, 4, 5]).output();
        assert!(text.starts_with("0\n0\n0") && text.ends_with("\n0\n0 755\n"), "{text}");
        let error = bed.shell("true").with(|record| record.process.uid = 33).run().unwrap_err();
        assert!(error.to_string().starts_with("user 33 has no id here: this account has no subordinate"));
        let error = bed.shell("true").with(|record| record.process.gid = 34).run().unwrap_err();
        assert!(error.to_string().starts_with("group 34 has no id here"), "{error}");
        return;
    }
    if mapping() == Mapping::Subordinate {
        let far = bed.shell("true").with(|record| record.process.uid = 70_000);
        assert!(far.run().unwrap_err().to_string().contains("of this account reach to 65536"));
    }
    let script = "id -u; id -g; id -G; stat -c %u /proc/self/fd/1; echo out > /dev/stdout; \
                  grep Cap /proc/self/status; stat -c '%u %a' /";
    let case = bed.shell(script).with(|record| {
        (record.process.uid, record.process.gid, record.process.groups) = (33, 34, vec![4, 5]);
    });
    let text = case.output();
    assert!(text.starts_with("33\n34\n34 4 5\n33\nout\n"), "{text}");
    assert_eq!(status(&text, "CapEff:"), "0000000000000000");
    assert_eq!(status(&text, "CapBnd:"), "00000000a80425fb");
    assert!(text.ends_with("0 755\n"), "{text}");
}

fn working_dir() {
    let bed = Bed::new("cwd");
    let case = bed.shell("pwd; stat -c '%u %a' .; echo x > y");
    let case = case.with(|record| record.process.working_dir = "/deep/new".to_owned());
    assert_eq!(case.output(), "/deep/new\n0 755\n");
    let case = bed.shell("pwd").with(|record| record.process.working_dir = "/etc/plain".to_owned());
    assert!(matches!(case.run().unwrap_err(), StartError::WorkingDir { .. }));
    // A way to what is open in the process that sets up the container, were magic links followed.
    for number in 0..40 {
        let path = format!("/proc/self/fd/{number}");
        let case = bed.shell("pwd").with(|record| record.process.working_dir = path);
        assert!(case.run().is_err());
    }
}

fn limits_of_processes() {
    let bed = Bed::new("rlimits");
    let own = sys::process::limit(7).unwrap().1;
    let script = "ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; umask";
    let case = bed.shell(script).with(|record| {
        let limit = |name: &str, soft, hard| Rlimit { name: name.to_owned(), soft, hard };
        record.spec.rlimits = vec![limit("nofile", 512, u64::MAX), limit("core", 0, 0)];
        record.spec.resources.oom_score_adj = Some(321);
    });
    let text = case.output();
    let lines: Vec<_> = text.lines().collect();
    let hard = lines[1].parse().unwrap_or(u64::MAX);
    assert_eq!((lines[0], lines[2], lines[3], lines[4]), ("512", "0", "321", "0022"));
    assert!(hard == own || hard > 1 << 20, "what may not be raised stays: {hard}");
}

fn sysctls() {
    let bed = Bed::new("sysctls");
    let script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range \
                  /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward";
    let case = bed.shell(script).with(|record| {
        record.spec.security.sysctls.insert("kernel.shmmax".to_owned(), "12345".to_owned());
        record.spec.security.sysctls.insert("net.ipv4.ip_forward".to_owned(), "1".to_owned());
    });
    let last = match mapping() {
        Mapping::Host => 2_147_483_647,
        Mapping::Subordinate => 65_536,
        Mapping::Single => 0,
    };
    assert_eq!(case.output(), format!("0\n0\t{last}\n12345\n1\n"));
    let case = bed.shell("true").with(|record| {
        record.spec.security.sysctls.insert("kernel.panic".to_owned(), "1".to_owned());
    });
    assert!(matches!(case.run().unwrap_err(), StartError::Refused { .. }));
}

/// Reads what a terminal's master gives until its slaves are closed.
fn read_terminal(master: impl AsFd) -> String {
    let mut text = vec![];
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = rustix::io::read(&master, &mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(text).unwrap()
}

fn terminal() {
    let bed = Bed::new("terminal");
    let user = if mapping() == Mapping::Single { 0 } else { 33 };
    let owner = format!("{user} 620\r\nconsole\r\n");
    for init in [false, true] {
        let script = "tty; stty size; stat -c '%u %a' /dev/pts/0; test -c /dev/console && echo console; \
                      echo x > /dev/tty && read answer && echo got $answer; ls -l /proc/$$/fd 2> /dev/null | grep -c pts";
        let case = bed.shell(script).with(|record| {
            (record.process.tty, record.process.uid, record.process.init) = (true, user, init);
        });
        let (started, cgroup, _) = case.start_with(Stdio::Terminal { rows: 50, columns: 132 }).unwrap();
        let master = started.console.unwrap();
        rustix::io::write(&master, b"word\n").unwrap();
        // The terminal repeats what is typed at once, wherever the script is by then.
        let text = read_terminal(&master).replacen("word\r\n", "", 1);
        let code = sys::process::wait(started.pidfd.as_fd()).unwrap();
        cgroup.remove().unwrap();
        assert_eq!(code, 0, "{text}");
        for part in ["/dev/pts/0\r\n50 132\r\n", &owner, "got word\r\n3\r\n"] {
            assert!(text.contains(part), "{part:?} in {text:?}");
        }
    }
}

fn exec_in_a_running_container() {
    let bed = Bed::new("exec");
    let mut running = bed.shell("echo up; exec sleep 1000").start().unwrap();
    assert_eq!(running.line(), "up");
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    let (code, text) =
        running.exec("hostname; readlink /proc/1/exe; grep Cap /proc/self/status; exit 3").unwrap();
    assert_eq!(code, 3);
    assert!(text.starts_with("bed\n/bin/busybox\n"), "{text}");
    assert_eq!(status(&text, "CapEff:"), "00000000a80425fb");
    let (_, text) =
        running.exec("cat /proc/self/cgroup; ls -l /proc/self/fd | grep -c -v -e pipe -e null").unwrap();
    assert!(text.lines().filter(|line| line.contains(":/")).all(|line| line.ends_with(":/")), "{text}");
    assert_eq!(fs::read_link("/proc/self/ns/pid_for_children").unwrap(), own, "we are where we were");
    // As another user, elsewhere, under a filter.
    let mut other = process(&["/bin/sh", "-c", "id -u; pwd; grep Seccomp: /proc/self/status"]);
    let user = if mapping() == Mapping::Single { 0 } else { 33 };
    (other.uid, other.working_dir) = (user, "/data".to_owned());
    let program = bed.shell("").program();
    let (_, text) = running.exec_process(&other, program.as_ref()).unwrap();
    assert_eq!(text, format!("{user}\n/data\nSeccomp:\t2\n"));
    // A process that outlives its exec goes with the container.
    running.exec("sleep 1000 > /dev/null 2>&1 &").unwrap();
    assert_eq!(running.processes().len(), 2);
    assert_eq!(running.kill().0, 137);
}

fn exec_fails_and_leaves_nothing() {
    let bed = Bed::new("execfail");
    let running = bed.case(&["sleep", "1000"]).start().unwrap();
    let before = world();
    assert_eq!(running.exec_process(&process(&["no-such"]), None).unwrap_err().exit_code(), 127);
    assert_eq!(running.exec_process(&process(&["/etc/plain"]), None).unwrap_err().exit_code(), 126);
    let mut elsewhere = process(&["true"]);
    elsewhere.working_dir = "/no/such".to_owned();
    assert!(matches!(running.exec_process(&elsewhere, None).unwrap_err(), StartError::WorkingDir { .. }));
    assert_eq!(world(), before);
    assert_eq!(running.processes().len(), 1);
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(fs::read_link("/proc/self/ns/pid_for_children").unwrap(), own);
    running.kill();
}

fn exec_with_a_terminal() {
    let bed = Bed::new("exectty");
    let running = bed.case(&["sleep", "1000"]).start().unwrap();
    let process = process(&["/bin/sh", "-c", "tty; stty size; echo yes > /dev/tty"]);
    let launch = runtime::ExecLaunch {
        target: running.started.pidfd.as_fd(),
        pid: running.started.identity.pid,
        spec: &running.spec,
        process: &process,
        privileged: true,
        stdio: Stdio::Terminal { rows: 10, columns: 20 },
        cgroup: &running.cgroup,
        seccomp: None,
        mapping: bed.roots.mapping,
    };
    let started = runtime::exec(&launch).unwrap().finish().unwrap();
    let text = read_terminal(started.console.unwrap());
    sys::process::wait(started.pidfd.as_fd()).unwrap();
    assert_eq!(text, "/dev/pts/0\r\n10 20\r\nyes\r\n");
    running.kill();
}

fn init_reaps_and_passes_signals_on() {
    let bed = Bed::new("init");
    let with_init = |script: &str| bed.shell(script).with(|record| record.process.init = true);
    assert_eq!(with_init("echo $$; exit 7").run().unwrap(), (7, "2\n".to_owned()));
    assert_eq!(with_init("kill -9 $$").run().unwrap().0, 137);
    // An orphan becomes a child of process 1 and leaves no zombie; the signal reaches the program.
    let script = "trap 'ps -o stat | grep -c Z; exit 5' TERM; (sleep 0.01 &) ; sleep 0.1; \
                  grep -e ^Name -e ^Seccomp: -e ^CapEff /proc/1/status; cat /proc/1/cmdline | head -c 1 | wc -c; \
                  ls /proc/1/fd | wc -l; echo up; while :; do sleep 0.01; done";
    let mut running = with_init(script).start().unwrap();
    let mut text = String::new();
    loop {
        let line = running.line();
        assert!(!text.contains("\n\n\n"), "{text}");
        if line == "up" {
            break;
        }
        text += &line;
        text.push('\n');
    }
    assert_eq!(status(&text, "Name:"), "init");
    assert_eq!((status(&text, "Seccomp:"), status(&text, "CapEff:")), ("2", "00000000a80425fb"));
    rustix::process::pidfd_send_signal(&running.started.pidfd, Signal::TERM).unwrap();
    let (code, rest) = running.end();
    assert_eq!((code, rest.trim()), (5, "0"), "{text}");
}

/// Whether a process has these bytes in memory that it can write to.
fn remembers(pid: i32, secret: &[u8]) -> bool {
    use std::os::unix::fs::FileExt;
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut seen = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let mut bytes = vec![0; (number(end) - number(start)) as usize];
        if memory.read_exact_at(&mut bytes, number(start)).is_ok() {
            seen += 1;
            if bytes.windows(secret.len()).any(|window| window == secret) {
                return true;
            }
        }
    }
    assert!(seen > 3, "it was looked for");
    false
}

fn init_forgets_what_the_supervisor_knows() {
    let bed = Bed::new("forget");
    // One small and one large allocation, which lie in different kinds of memory.
    let secret: Vec<u8> =
        (0..40).map(|number| b'a' + (number * 7 + std::process::id() % 9) as u8 % 26).collect();
    let large = secret.repeat(20_000);
    assert!(remembers(std::process::id() as i32, &secret));
    let case = bed.shell("echo up; exec sleep 1000").with(|record| record.process.init = true);
    // From a thread whose stack is memory like the rest: that one it needs.
    let companion = sys::companion::Companion::start().unwrap();
    let mut elsewhere = companion.run(|| case.start()).unwrap().unwrap();
    assert_eq!(elsewhere.line(), "up");
    assert!(!remembers(elsewhere.started.identity.pid, &secret));
    rustix::process::pidfd_send_signal(&elsewhere.started.pidfd, Signal::TERM).unwrap();
    assert_eq!(elsewhere.end().0, 143);
    let case = bed.shell("echo up; exec sleep 1000").with(|record| record.process.init = true);
    let mut running = case.start().unwrap();
    assert_eq!(running.line(), "up");
    assert!(!remembers(running.started.identity.pid, &secret));
    let line = fs::read(format!("/proc/{}/cmdline", running.started.identity.pid)).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), "init\0");
    // Its memory is not for the container either.
    assert_ne!(running.exec("cat /proc/1/environ").unwrap().0, 0);
    rustix::process::pidfd_send_signal(&running.started.pidfd, Signal::TERM).unwrap();
    assert_eq!(running.end().0, 143);
    drop(large);
}

fn cgroup_limits() {
    let bed = Bed::new("limits");
    let hybrid = Path::new("/sys/fs/cgroup/memory").exists();
    let script = if hybrid {
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.shares"
    } else {
        "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max cpu.weight"
    };
    let case = bed.shell(script).with(|record| {
        record.spec.resources = Resources {
            memory: Some(64 << 20),
            pids: Some(50),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            cpu_shares: Some(512),
            cpuset: Some("0".to_owned()),
            ..Resources::default()
        };
    });
    let expected = if hybrid { "67108864\n50\n50000\n512\n" } else { "67108864\n50\n50000 100000\n20\n" };
    assert_eq!(case.output(), expected);
    // The limit of processes holds.
    let case = bed.shell("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; echo all; exec sleep 1000");
    let mut running = case.with(|record| record.spec.resources.pids = Some(5)).start().unwrap();
    assert!(running.line().contains("fork"), "it cannot make them all");
    let usage = running.cgroup.usage().unwrap();
    assert!(usage.pids <= 5 && usage.pids > 0 && usage.memory > 0 && usage.cpu > 0, "{usage:?}");
    running.kill();
}

fn out_of_memory() {
    let bed = Bed::new("oom");
    let case = bed.case(&["tail", "/dev/zero"]).with(|record| {
        record.spec.resources.memory = Some(8 << 20);
    });
    let mut running = case.start().unwrap();
    let mut text = String::new();
    running.output.read_to_string(&mut text).unwrap();
    let code = sys::process::wait(running.started.pidfd.as_fd()).unwrap();
    assert_eq!((code, running.cgroup.oom_kills()), (137, 1), "{text}");
    running.cgroup.remove().unwrap();
}

fn freeze_and_kill() {
    let bed = Bed::new("freeze");
    let mut running = bed.shell("while :; do echo x; done").start().unwrap();
    running.line();
    running.cgroup.freeze().unwrap();
    let state = |pid: i32| {
        let before = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let used = |text: &str| text.rsplit(')').next().unwrap().split(' ').nth(12).map(str::to_owned);
        used(&before)
    };
    let pid = running.started.identity.pid;
    let before = state(pid);
    // Whatever the pipe held is read; nothing new comes.
    let flags = rustix::fs::fcntl_getfl(&running.output).unwrap();
    rustix::fs::fcntl_setfl(&running.output, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    let mut buffer = [0; 65536];
    while matches!(running.output.read(&mut buffer), Ok(1..)) {}
    assert_eq!(running.output.read(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(state(pid), before);
    rustix::fs::fcntl_setfl(&running.output, flags).unwrap();
    running.cgroup.thaw().unwrap();
    assert_eq!(running.line(), "x");
    running.cgroup.freeze().unwrap();
    assert_eq!(running.kill().0, 137, "a frozen one can be killed");
}

fn privileged() {
    let bed = Bed::new("privileged");
    let script = "grep -e CapEff -e Seccomp: /proc/self/status; mount -t tmpfs x /data && echo mounted; \
                  test -c /dev/kmsg && echo kmsg; touch /sys/fs/cgroup/x; echo 0 > /proc/sys/net/ipv4/ip_forward \
                  && echo written";
    let case = bed.shell(script).with(|record| record.spec.security.privileged = true);
    let (_, text) = case.run().unwrap();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    assert_eq!(status(&text, "CapEff:"), status(&own, "CapEff:"));
    assert_eq!(status(&text, "Seccomp:"), "0");
    assert!(text.contains("mounted") && text.contains("written"), "{text}");
    assert_eq!(text.contains("kmsg"), Path::new("/dev/kmsg").exists());
}

fn shared_namespaces() {
    let bed = Bed::new("shared");
    let first = bed.case(&["sleep", "1000"]).start().unwrap();
    let open = |name| File::open(format!("/proc/{}/ns/{name}", first.started.identity.pid)).unwrap();
    let (pid, network) = (open("pid"), open("net"));
    let mut second =
        bed.shell("readlink /proc/self/ns/net; test $$ -ne 1; readlink /proc/1/exe; ps | grep -c sleep");
    (second.pid, second.network) = (Share::Join(pid.as_fd()), Share::Join(network.as_fd()));
    second.record.process.init = true;
    let text = second.output();
    let name = fs::read_link(format!("/proc/{}/ns/net", first.started.identity.pid)).unwrap();
    assert!(text.starts_with(name.to_str().unwrap()) && text.contains("busybox"), "{text}");
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(fs::read_link("/proc/self/ns/pid_for_children").unwrap(), own);
    first.kill();
}

/// In every namespace of the host but the mount namespace, started and executed in.
fn namespaces_of_the_host() {
    use resource::{IdentityShare, NetworkMode};
    let bed = Bed::new("host");
    // The host's network alone, with a cgroup namespace of its own.
    let mut alone = bed.shell("readlink /proc/self/ns/net; ls /sys/fs/cgroup | wc -l");
    alone = alone.with(|record| record.spec.network_mode = NetworkMode::Host);
    alone.network = Share::Host;
    let (text, host) = (alone.output(), fs::read_link("/proc/self/ns/net").unwrap());
    assert!(text.starts_with(host.to_str().unwrap()) && !text.ends_with("\n0\n"), "{text}");
    let script = "for n in net pid ipc uts cgroup; do readlink /proc/self/ns/$n; done";
    let mqueue = Path::new("/dev/mqueue").exists();
    let mut case = bed
        .shell(&format!("{script}; touch /sys/x; echo 1 > /proc/sys/kernel/panic; echo up; exec sleep 1000"));
    case = case.with(|record| {
        let spec = &mut record.spec;
        (spec.network_mode, spec.pid) = (NetworkMode::Host, IdentityShare::Host);
        (spec.uts, spec.cgroup) = (IdentityShare::Host, IdentityShare::Host);
        if mqueue {
            spec.ipc = IdentityShare::Host;
        }
    });
    (case.network, case.pid, case.uts) = (Share::Host, Share::Host, Share::Host);
    (case.ipc, case.cgroup_namespace) = (if mqueue { Share::Host } else { Share::Private }, false);
    let mut running = case.start().unwrap();
    let mut text = String::new();
    while !text.ends_with("up\n") {
        text = text + &running.line() + "\n";
    }
    let (code, executed) = running.exec(script).unwrap();
    assert_eq!(code, 0, "{executed}");
    for name in ["net", "pid", "uts", "cgroup"].into_iter().chain(mqueue.then_some("ipc")) {
        let host = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        let host = host.to_str().unwrap();
        assert!(text.contains(host) && executed.contains(host), "{name} is not the host's: {text}{executed}");
    }
    assert_eq!(text.to_lowercase().matches("read-only file system").count(), 2, "{text}");
    assert_eq!(running.processes(), [running.started.identity.pid]);
    // Without a pid namespace of its own nothing ends with the first process.
    running.exec("sleep 1000 > /dev/null 2>&1 &").unwrap();
    let first = running.started.identity.pid;
    let mounts = runtime::processes::MountNamespace::of(first).unwrap();
    let others: Vec<_> = mounts.processes().into_iter().filter(|pid| *pid != first).collect();
    let [other] = others[..] else { panic!("{others:?}") };
    let other = sys::pidfd::open(other).unwrap();
    mounts.kill();
    let mut ended = [rustix::event::PollFd::new(&other, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ended, None).unwrap();
    assert_eq!(running.end().0, 137);
    assert!(mounts.processes().is_empty());
}

fn no_descriptor_leaks() {
    let bed = Bed::new("leaks");
    // One that is not close-on-exec, as a careless caller may have it.
    let leaky = File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leaky, rustix::io::FdFlags::empty()).unwrap();
    for init in [false, true] {
        let case = bed.shell("ls /proc/self/fd; ls /proc/1/fd").with(|record| record.process.init = init);
        let text = case.output();
        let numbers: Vec<i32> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        // `ls` has its own folder open as 3.
        assert!(numbers.iter().all(|number| *number <= 3), "{text}");
    }
}

/// What a container sees of our program cannot be opened for writing. Here the test is the program.
fn own_program_is_read_only() {
    let exe = sys::exe::read_only_self().unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&exe));
    // Running programs cannot be written to in any case; this one cannot when it has ended either.
    let flags = rustix::fs::fstatvfs(&exe).unwrap().f_flag;
    assert!(flags.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    let output = std::process::Command::new(&path).arg("--list").status().unwrap();
    assert!(output.success(), "it can be executed");
}

fn failures_leave_nothing() {
    let bed = Bed::new("failures");
    let before = world();
    for _ in 0..20 {
        bed.case(&["no-such"]).run().unwrap_err();
        bed.shell("true").bind(Path::new("/no/such"), "/x", false).run().unwrap_err();
    }
    assert_eq!(world().0, before.0);
    assert_eq!((world().1, world().2), (before.1, before.2));
    // Given up before it is finished.
    let case = bed.case(&["sleep", "1000"]);
    let spec = runtime::spec::generate(&case.record, &case.around);
    let cgroup = runtime::cgroup::open(&bed.roots, &bed.pod, &case.record.id);
    cgroup.create(&case.record.spec.resources, &spec).unwrap();
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let (upper, work) = (bed.path("given-up/upper"), bed.path("given-up/work"));
    let launch = runtime::Launch {
        spec: &spec,
        layers: &bed.layers,
        upper: &upper,
        work: &work,
        volatile: false,
        network: Share::Private,
        pid: Share::Private,
        ipc: Share::Private,
        uts: Share::Private,
        cgroup_namespace: true,
        stdio: Stdio::Files { stdin: null.as_fd(), stdout: null.as_fd(), stderr: null.as_fd() },
        cgroup: &cgroup,
        seccomp: None,
        init: false,
        mapping: bed.roots.mapping,
    };
    drop(runtime::spawn(&launch).unwrap());
    cgroup.remove().unwrap();
    assert_eq!(world().1, before.1);
    // The image's root gave its mode to what hides it.
    assert_eq!(fs::metadata(&upper).unwrap().mode() & 0o7777, 0o755);
}

fn threads_are_refused() {
    let (wait, go) = pipe().unwrap();
    let other = std::thread::spawn(move || {
        let mut wait = wait;
        assert_eq!(wait.read(&mut [0]).unwrap(), 0, "the other end is closed");
    });
    let refused = sys::process::clone_child(0, None, |_| 0).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported);
    drop(go);
    other.join().unwrap();
}
