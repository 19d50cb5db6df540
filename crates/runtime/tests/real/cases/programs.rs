//! What a process is: its end, its user, its limits, what it may call.

use super::world;
use crate::bed::{Bed, mapping};
use resource::{Mapping, Rlimit, SeccompChoice};
use runtime::{Share, StartError, Stdio};
use std::fs::{self, File};
use std::io::{Read, pipe};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(super) fn exit_codes_and_output() {
    let bed = Bed::new("exit");
    assert_eq!(bed.shell("echo hello; exit 0").run().unwrap(), (0, "hello\n".to_owned()));
    assert_eq!(bed.shell("exit 42").run().unwrap().0, 42);
    assert_eq!(bed.case(&["sleep", "1000"]).start().unwrap().kill().0, 137);
    // The image's layer is as it was.
    bed.shell("echo new > /etc/made; rm /etc/plain").output();
    assert!(!bed.layer().join("etc/made").exists() && bed.layer().join("etc/plain").exists());
}

pub(super) fn programs_that_are_not_there_or_not_executable() {
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

/// The value of a field of /proc/self/status.
pub(super) fn status<'t>(text: &'t str, field: &str) -> &'t str {
    text.lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap_or_else(|| panic!("{field} in {text}"))
        .trim()
}

pub(super) fn capabilities_and_seccomp_show_in_status() {
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

pub(super) fn custom_profile() {
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

pub(super) fn users() {
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

pub(super) fn working_dir() {
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

pub(super) fn limits_of_processes() {
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

pub(super) fn sysctls() {
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

pub(super) fn privileged() {
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

pub(super) fn no_descriptor_leaks() {
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

pub(super) fn failures_leave_nothing() {
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
    let cgroup = runtime::cgroup::open(&bed.roots, &case.record.spec, &case.record.id);
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

pub(super) fn threads_are_refused() {
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
