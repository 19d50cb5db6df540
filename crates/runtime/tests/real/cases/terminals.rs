//! Terminals, processes that are executed in a running container, and a process 1 of ours.

use super::programs::status;
use super::world;
use crate::bed::{Bed, mapping, process};
use resource::Mapping;
use runtime::{StartError, Stdio};
use rustix::process::Signal;
use std::fs::{self, File};
use std::os::fd::AsFd;

/// Reads what a terminal's master gives until its slaves are closed.
fn read_terminal(master: impl AsFd) -> String {
    let mut text = vec![];
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = rustix::io::read(&master, &mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(text).unwrap()
}

pub(super) fn terminal() {
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

pub(super) fn exec_in_a_running_container() {
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

pub(super) fn exec_fails_and_leaves_nothing() {
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

pub(super) fn exec_with_a_terminal() {
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

pub(super) fn init_reaps_and_passes_signals_on() {
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

pub(super) fn init_forgets_what_the_supervisor_knows() {
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
