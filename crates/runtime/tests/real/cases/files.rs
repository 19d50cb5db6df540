//! What a container sees as files: its layers, mounts, devices, and what is hidden.

use crate::bed::{Bed, as_root, chain};
use runtime::Stdio;
use std::fs;
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

pub(super) fn masked_and_read_only_paths() {
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

pub(super) fn devices() {
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

pub(super) fn read_only_root_with_tmpfs() {
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

pub(super) fn binds() {
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
pub(super) fn hostile_links_do_not_lead_out() {
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

pub(super) fn dangling_links_are_followed_inside() {
    let bed = Bed::new("dangling");
    symlink("../run/resolve/stub.conf", bed.layer().join("etc/resolv.conf")).unwrap();
    let source = bed.path("resolv.conf");
    fs::write(&source, "nameserver 127.0.0.11\n").unwrap();
    let mut case = bed.shell("cat /etc/resolv.conf /run/resolve/stub.conf");
    case.around.resolv_conf = source;
    assert_eq!(case.output(), "nameserver 127.0.0.11\nnameserver 127.0.0.11\n");
}

pub(super) fn propagation() {
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

pub(super) fn hundred_layers() {
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

pub(super) fn volatile_restarts() {
    let bed = Bed::new("volatile");
    let mut case = bed.shell("grep ' / ' /proc/mounts; cat /kept; echo kept > /kept; true");
    case.volatile = true;
    assert!(case.output().contains("volatile"));
    assert!(case.output().ends_with("kept\n"), "what it wrote is there at its second start");
}

/// What a container sees of our program cannot be opened for writing. Here the test is the program.
pub(super) fn own_program_is_read_only() {
    let exe = sys::exe::read_only_self().unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&exe));
    // Running programs cannot be written to in any case; this one cannot when it has ended either.
    let flags = rustix::fs::fstatvfs(&exe).unwrap().f_flag;
    assert!(flags.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    let output = std::process::Command::new(&path).arg("--list").status().unwrap();
    assert!(output.success(), "it can be executed");
}
