//! Scenarios in which something outside of the program says no: a registry, the disk, the kernel.

use crate::disk::Disk;
use scenarios::{Fault, Who, faulty_registry, free_port, scenario, until};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

scenario! {
    /// A registry that is not there, has no such image, refuses, is broken or sends other bytes than were
    /// asked for is named with the service and the line; nothing half-made stays in the store.
    a_registry_that_refuses_is_named, |world| {
        let wrong = format!("@sha256:{:064}", 0);
        let cases = [
            (None, "", "Connection refused"),
            (Some(Fault::Status("404 Not Found")), "", "no such image"),
            (Some(Fault::Status("401 Unauthorized")), "", "login"),
            (Some(Fault::Status("403 Forbidden")), "", "login"),
            (Some(Fault::Status("500 Internal Server Error")), "", "500"),
            (Some(Fault::Status("429 Too Many Requests")), "", "no more requests"),
            (Some(Fault::WrongLayer), "", "sha256:"),
            (Some(Fault::Misdescribed), "", "sha256:"),
            (Some(Fault::WrongManifest), wrong.as_str(), "sha256:"),
        ];
        for (fault, digest, cause) in cases {
            let port = fault.map_or_else(free_port, faulty_registry);
            world.write(".env", &format!("REGISTRY={port}\nDIGEST={digest}\n"));
            let output = world.compose("up -d").exits(1);
            for text in ["`web`", "compose.yaml:3:12", &format!("127.0.0.1:{port}"), cause] {
                assert!(output.stderr.contains(text), "{fault:?}: no {text:?} in\n{}", output.stderr);
            }
            assert!(output.stderr.matches("error: ").count() == 1, "{}", output.stderr);
            if matches!(fault, Some(Fault::Status("404 Not Found" | "401 Unauthorized" | "403 Forbidden"))) {
                output.says(&format!("compose login 127.0.0.1:{port}`"));
            }
            for folder in ["images", "layers", "tmp", "pods"] {
                assert_eq!(entries(&world.roots().data.join(folder)), 0, "{fault:?} left something in {folder}");
            }
        }
    }
}

scenario! {
    /// A registry whose name nobody knows, and one that takes no connection, are named with the service
    /// and the line, the latter after a time that has an end; nothing half-made stays in the store.
    a_registry_out_of_reach_is_named, |world| {
        // Nobody else's: of this process and this world.
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let server = Ipv4Addr::new(127, high, low, if world.who() == Who::Root { 77 } else { 78 });
        let socket = UdpSocket::bind((server, 53)).unwrap();
        std::thread::spawn(move || know_no_name(&socket));
        world.write("resolv.conf", &format!("nameserver {server}\n"));
        let full = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&full, 0).unwrap();
        let address = full.local_addr().unwrap();
        // What is not accepted fills the queue, until one finds no room.
        let brief = Duration::from_millis(200);
        let waiting: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, brief).ok()).collect();
        let unknown = "registry.example.com:5000";
        for (registry, cause) in [(unknown, "registry.example.com"), (&address.to_string(), "timed out")] {
            world.write(".env", &format!("REGISTRY={registry}\n"));
            // The name server of the test is the machine's for this command alone.
            let program = world.program();
            let mut command = Command::new("/usr/bin/unshare");
            let script = "mount --bind resolv.conf /etc/resolv.conf && exec \"$0\" \"$@\"";
            command.args(["--mount", "/bin/sh", "-c", script]).arg(program.get_program());
            command.args(program.get_args()).args(["up", "-d"]).current_dir(world.project()).env_clear();
            command.envs(program.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
            let output = command.output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{error}");
            for text in ["`web`", "compose.yaml:3:12", registry, cause] {
                assert!(error.contains(text), "no {text:?} in\n{error}");
            }
            assert!(error.matches("error: ").count() == 1, "{error}");
            for folder in ["images", "layers", "tmp", "pods"] {
                assert_eq!(entries(&world.roots().data.join(folder)), 0, "{registry} left something in {folder}");
            }
        }
        drop(waiting);
    }
}

/// Answers every question that there is no such name.
fn know_no_name(server: &UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = server.recv_from(&mut packet) {
        // A response, recursion available, NXDOMAIN: RFC 1035, 4.1.1.
        packet[2] |= 0x80;
        packet[3] = 0x83;
        drop(server.send_to(&packet[..length], from));
    }
}

scenario! {
    /// A network, or an address on it, that cannot be had is named with the line that asked for it, and
    /// nothing half-made stays.
    a_network_that_cannot_be_had_names_its_place, |world| {
        let back = "config: [{ subnet: 10.219.7.0/24 }]";
        let on = "networks: [back]";
        let fixed = |address: &str| format!("networks: {{ back: {{ ipv4_address: {address} }} }}");
        let bridge = |name: &str| {
            format!("{back}\n    driver_opts: {{ com.docker.network.bridge.name: {name} }}")
        };
        let (loopback, long) = (bridge("lo"), bridge("a-name-of-16-byte"));
        let cases = [
            (back, "config: [{ subnet: 10.219.7.0/24, gateway: 10.219.8.1 }]", "back`", ":11:", "gateway"),
            (back, &loopback, "back`", ":9:", "is no bridge"),
            (back, &long, "back`", ":12:", "a-name-of-16-byte"),
            ("ipam:", "driver: overlay\n    ipam:", "back`", ":10:", "overlay"),
            (on, &fixed("10.219.8.2"), "`web`", ":6:39", "outside of 10.219.7.0/24"),
            (on, &fixed("10.219.7.1"), "`web`", ":6:39", "gateway"),
        ];
        for (from, to, what, place, cause) in cases {
            world.edit("compose.yaml", from, to);
            let output = world.compose("up -d").exits(1);
            for text in [what, &format!("compose.yaml{place}"), cause] {
                assert!(output.stderr.contains(text), "{to}: no {text:?} in\n{}", output.stderr);
            }
            assert!(output.stderr.matches("error").count() == 1, "{}", output.stderr);
            world.compose("down -v").ok();
            world.assert_nothing_left();
            world.edit("compose.yaml", to, from);
        }
        world.compose("-p first up -d").ok();
        world.compose("up -d").exits(1).says("network `project_back` (compose.yaml:9:3): ").says("`first_back`");
        world.compose("-p first down").ok();
    }
}

scenario! {
    /// A value that no container can have is told with its line before anything of the project is made; what only the
    /// machine can tell of, a processor that it has not, is told with its line as well.
    a_value_that_cannot_be_names_its_place, |world| {
        let cases = [
            ("cpuset: 3-1", ":5:13", "no list of CPUs"),
            ("cpus: -1", ":5:11", "cannot be negative"),
            ("deploy: { resources: { limits: { cpus: '-1' } } }", ":5:44", "cannot be negative"),
            ("mem_swappiness: 101", ":5:21", "from 0 to 100"),
            ("ulimits: { nofiles: 7 }", ":5:25", "`nofile`"),
            ("ulimits: { nproc: { soft: 9, hard: 7 } }", ":5:23", "above the hard one"),
            ("stop_signal: SIGFOO", ":5:18", "no signal"),
            ("mac_address: '01:00:5e:00:00:01'", ":5:18", "address of an interface"),
            ("working_dir: app", ":5:18", "absolute path"),
            ("tmpfs: [run]", ":5:13", "absolute path"),
            ("tmpfs: ['/run:sise=1m']", ":5:13", "`size`"),
            ("platform: fob", ":5:15", "not a platform"),
            ("shm_size: -1", ":5:15", "shared memory"),
        ];
        let mut before = "cpu_count: 1".to_owned();
        for (value, place, cause) in cases {
            world.edit("compose.yaml", &before, value);
            value.clone_into(&mut before);
            let output = world.compose("up -d").exits(1);
            output.says(&format!("compose.yaml{place}")).says(cause).says("`web`");
            world.assert_nothing_left();
        }
        world.edit("compose.yaml", &before, "cpuset: '4095'");
        let output = world.compose("up -d");
        match output.code {
            // Where this user has no such controller, all its limits are told not to hold.
            0 => output.says("not enforced"),
            _ => output.says("compose.yaml:5:13").says("asks for the processors 4095, and there are 0"),
        };
        world.compose("down").ok();
    }
}

scenario! {
    /// A download that is cut goes on where it was cut.
    a_cut_download_goes_on, |world| {
        let port = faulty_registry(Fault::CutOnce);
        world.write(".env", &format!("REGISTRY={port}\n"));
        world.compose("up -d").ok();
        until("its output", || world.compose("logs").ok().stdout.contains("arrived").then_some(()));
    }
}

scenario! {
    /// A full disk is said with the service and the line, and once there is room the same command works.
    /// A container that logs to a full disk waits, others do not, and no line is lost. One whose log must not
    /// hold it up does not wait, and its log tells how much is missing, and where.
    a_full_disk_is_said_and_survived, |world| {
        let data = &world.roots().data;
        let owner = std::fs::metadata(world.project()).unwrap().uid();
        std::fs::create_dir_all(data).unwrap();
        for folder in [data.as_path(), data.parent().unwrap()] {
            std::os::unix::fs::chown(folder, Some(owner), Some(owner)).unwrap();
        }
        let disk = Disk::mount(data, owner, "loop");
        disk.leave(1 << 20);
        let output = world.compose("up -d").exits(1).says("No space left on device").says("compose.yaml:");
        assert!(output.stderr.contains("service `"), "{}", output.stderr);
        disk.leave(12 << 20);
        world.compose("up -d").ok();
        until("the log", || world.compose("logs talker").ok().stdout.contains("line 10\n").then_some(()));
        disk.leave(0);
        world.compose("exec -T other true").ok();
        assert_eq!((world.state("talker"), world.state("other")), ("running".to_owned(), "running".to_owned()));
        world.compose("exec -T hasty touch /tmp/full").ok();
        until("it has written all", || (world.compose("exec -T hasty test -e /tmp/through").code == 0).then_some(()));
        world.compose("exec -T talker touch /tmp/enough").ok();
        disk.clear();
        until("it is told", || world.compose("logs hasty").ok().stdout.contains(MISSING).then_some(()));
        world.compose("exec -T hasty touch /tmp/more").ok();
        let log = until("the last line", || {
            let log = world.compose("logs --no-log-prefix talker").ok().stdout;
            log.ends_with("finished\n").then_some(log)
        });
        for (number, line) in log.lines().take_while(|line| *line != "finished").enumerate() {
            assert_eq!(line, format!("line {number}"));
        }
        let log = until("its last line", || {
            let log = world.compose("logs --no-log-prefix hasty").ok().stdout;
            log.ends_with("finished\n").then_some(log)
        });
        assert_accounts_for(&log, 300_000 * "100000\n".len());
        world.compose("down -v -t 0").ok();
    }
}

scenario! {
    /// Root without the capability that an act needs is told which one, and nothing stays half-made.
    a_missing_privilege_is_named, root_only = "an ordinary user needs no privilege", |world| {
        world.compose("pull").ok();
        for capability in ["net_admin", "sys_admin"] {
            let program = world.program();
            let mut command = Command::new("/usr/bin/setpriv");
            command.args(["--bounding-set", &format!("-{capability}")]).arg(program.get_program());
            command.args(["up", "-d"]).current_dir(world.project()).env_clear();
            command.envs(program.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
            let output = command.output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{error}");
            assert!(error.contains(&format!("CAP_{}", capability.to_uppercase())), "{error}");
            world.compose("up -d").ok();
            world.compose("down").ok();
        }
    }
}

scenario! {
    /// A call that the kernel lacks, or that something around the program refuses, is told with the service
    /// and the line that needed it, and with what to do; nothing stays half-made.
    what_the_kernel_lacks_is_named, |world| {
        world.compose("pull").ok();
        let number = |call: libc::c_long| u32::try_from(call).unwrap();
        // What asks for what the call is made for: the volume, or nothing but the service. A user's devices are
        // mounts, too, and come first.
        let service = "compose.yaml:2:3";
        let volume = if world.who() == Who::Root { "compose.yaml:5:15" } else { service };
        for (call, place) in [
            (libc::SYS_clone3, service),
            (libc::SYS_open_tree, service),
            (libc::SYS_move_mount, volume),
            (libc::SYS_mount_setattr, service),
            (libc::SYS_openat2, service),
            (libc::SYS_close_range, service),
            (libc::SYS_seccomp, service),
            (libc::SYS_fsopen, service),
        ] {
            let mut up = world.program_lacking(&[number(call), libc::ENOSYS.unsigned_abs()]);
            up.args(["up", "-d"]);
            let told = world.finish(up, "").exits(1).says("Function not implemented (os error 38)");
            told.says(&format!("service `web` ({place})")).says("containers take all calls of Linux 5.12");
            assert_eq!(world.compose("ps -q").ok().stdout, "", "call {call}");
            world.compose("down -t 0").ok();
        }
        let (none, netlink) = (libc::EAFNOSUPPORT.unsigned_abs(), libc::AF_NETLINK.unsigned_abs());
        let mut up = world.program_lacking(&[number(libc::SYS_socket), none, netlink]);
        up.args(["up", "-d"]);
        let told = world.finish(up, "").exits(1).says("Address family not supported by protocol");
        told.says("containers take all calls of Linux 5.12 and its netlink sockets");
        world.compose("up -d").ok();
        assert_eq!(world.state("web"), "running");
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// Network, pid, IPC and host name namespaces are those of the host, of nobody, or of the container
    /// that is named; `volumes_from` mounts its volumes.
    namespaces_are_joined_as_asked, |world| {
        world.compose("up -d").ok();
        let of = |service: &str, kind: &str| {
            let pid = *world.processes(&world.id(service)).last().unwrap();
            std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
        };
        for kind in ["net", "pid", "ipc", "uts"] {
            let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            assert_eq!(of("host", kind), own);
            assert_ne!(of("none", kind), own);
        }
        assert_eq!(of("joined", "net"), of("base", "net"));
        assert_eq!(of("joined", "pid"), of("base", "pid"));
        assert_eq!(of("outer", "net"), of("base", "net"));
        assert_ne!(of("outer", "pid"), of("base", "pid"));
        let inside = |service: &str, script: &str| world.run(&["exec", "-T", service, "sh", "-c", script], "");
        assert_eq!(inside("joined", "cat /data/x; hostname").ok().stdout, "data\nbasehost\n");
        inside("joined", "touch /data/y").exits(1).says("Read-only");
        let fetch = "printf 'GET /x HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 80";
        inside("outer", fetch).ok().says("data");
        assert_eq!(inside("none", "ip -o link | wc -l").ok().stdout.trim(), "1");
    }
}

scenario! {
    /// A container that the kernel killed for want of memory has exited with 137; of one that loses a process by it
    /// and goes on, that is told at the time, and neither is told twice.
    a_container_out_of_memory_is_told, |world| {
        if !world.has_limits() {
            // The machine's memory would be eaten.
            world.compose("create").ok().says("limits are not enforced");
            return;
        }
        world.compose("up -d").ok();
        until("its end", || (world.state("eater") == "exited").then_some(()));
        assert_eq!(world.row("eater")["ExitCode"], 137);
        let mut follower = world.background("events --since 1h hoarder");
        world.run(&["exec", "-T", "hoarder", "sh", "-c", "tail /dev/zero; true"], "").ok();
        follower.line("container oom");
        assert_eq!(world.state("hoarder"), "running", "it goes on");
        world.compose("stop -t 0").ok();
        let events = world.compose("events --json --since 2000-01-01 --until 0s").ok().stdout;
        for (service, expected) in [("eater", ["oom", "die"].as_slice()), ("hoarder", &["oom", "kill", "die", "stop"])] {
            let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let own = events.filter(|event| event["service"] == service);
            let actions: Vec<String> = own.map(|event| event["action"].as_str().unwrap().to_owned()).collect();
            let told: Vec<_> = actions.iter().filter(|action| !action.starts_with("exec_")).skip(2).collect();
            assert_eq!(told, expected, "{service}");
        }
        follower.signal("INT");
        follower.end();
    }
}

/// What a log says where something is missing.
const MISSING: &str = " bytes are missing here, the log could not be written]";

/// What is in the log and what it says to be missing make up what was written, but for the ends of lines
/// that had to be put before what it says.
fn assert_accounts_for(log: &str, written: usize) {
    let (told, kept): (Vec<&str>, Vec<&str>) =
        log.lines().filter(|line| *line != "finished").partition(|line| line.ends_with(MISSING));
    let missing = |line: &str| line.split(' ').nth(1).and_then(|bytes| bytes.parse::<usize>().ok()).unwrap();
    let missing: usize = told.iter().map(|line| missing(line)).sum();
    let kept: usize = kept.iter().map(|line| line.len() + 1).sum();
    assert!(missing > written / 2 && kept > 0, "{missing} of {written}");
    assert!(
        (written..=written + told.len()).contains(&(kept + missing)),
        "{kept} + {missing}, not {written}"
    );
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).into_iter().flatten().count()
}
