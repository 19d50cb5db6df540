//! Scenarios about logs: where they are kept, what is written beside them and who is sent them.

use scenarios::{Collector, Told, World, scenario, until};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a message may be on its way on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

scenario! {
    /// Rotated files are packed and read back; attributes stand beside lines; syslog servers are sent every
    /// line in the format asked for, one that comes late included; what is sent is kept for `logs`.
    logs_are_kept_packed_and_sent, |world| {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_read_timeout(Some(PATIENCE)).unwrap();
        let local = socket(&world.project().join("local.sock"));
        // Nobody listens there yet.
        let late = scenarios::free_port();
        let settings = format!(
            "UDP={}\nTCP={}\nSOCKET={}\n",
            udp.local_addr().unwrap().port(),
            late,
            world.project().join("local.sock").display()
        );
        world.write(".env", &settings);
        world.compose("up -d").ok();

        until("all that was written is there", || tail(world, "packed").filter(|line| line == "done"));
        let logs = world.roots().pod(&"project".into()).join("logs");
        until("both older files are packed", || {
            let packed = ["packed-1.log.1.gz", "packed-1.log.2.gz"].map(|name| logs.join(name).exists());
            (packed == [true, true]).then_some(())
        });
        let kept = world.compose("logs --no-log-prefix packed").ok().stdout;
        let numbers: Vec<u32> = kept.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(numbers.len() > 100 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        assert_eq!(*numbers.last().unwrap(), 400);
        let few = world.compose("logs --no-log-prefix --tail 80 packed").ok().stdout;
        assert!(kept.ends_with(&few) && few.lines().count() == 80, "{few}");

        until("both lines are there", || (world.compose("logs described").stdout.lines().count() == 2).then_some(()));
        let written = std::fs::read_to_string(logs.join("described-1.log")).unwrap();
        let line: serde_json::Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
        let beside = serde_json::json!({"COLOUR": "red", "tier": "front", "tag": "project-described-1 of busybox"});
        assert_eq!(line["attrs"], beside);

        let mut heard: Vec<String> = (0..2).map(|_| receive(&udp)).collect();
        heard.sort();
        assert!(heard[0].starts_with("<131>1 20") && heard[0].ends_with(" datagrams - two"), "{heard:?}");
        assert!(heard[1].starts_with("<134>1 20") && heard[1].ends_with(" datagrams - one"), "{heard:?}");
        let mut buffer = [0; 1000];
        let count = local.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..count]);
        assert!(text.starts_with("<30>") && text.contains(" local[") && text.ends_with("]: here"), "{text}");

        // A server that is not there keeps nobody waiting.
        until("everything is written", || tail(world, "stream").filter(|line| line == "3000"));
        let server = TcpListener::bind(("127.0.0.1", late)).unwrap();
        let (connection, _) = server.accept().unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(connection).lines().take(3000).map(Result::unwrap);
        for (number, line) in (1..=3000).zip(lines) {
            assert!(line.contains(" project-stream-1[") && line.ends_with(&format!("]: {number}")), "{line}");
        }
        assert_eq!(world.compose("logs --no-log-prefix local").ok().stdout, "here\n");
        world.compose("logs quiet").ok().says("keeps no log (driver `none`)");

        world.edit("compose.yaml", "max-file: \"3\"", "max-fil: \"3\"");
        world.compose("config -q").ok();
        world.compose("up -d").exits(1).says("unknown log option `max-fil`").says("compose.yaml:8:");
        world.edit("compose.yaml", "max-fil: \"3\"", "max-file: \"3\"");
    }
}

scenario! {
    /// Syslog servers are spoken to by TLS: lines come framed as their format has it, a certificate is shown to who
    /// wants one, and a server that was gone gets what it missed. Who is not believed, or does not believe, gets
    /// nothing, which is told once and holds up nobody; files that are of no use are refused where they are named.
    syslog_goes_by_tls, |world| {
        use rustls::version::{TLS12, TLS13};
        for file in ["ca.crt", "second.crt", "client.cert", "client.key", "server.key"] {
            world.write(file, &std::fs::read_to_string(scenarios::certificate(file)).unwrap());
        }
        let [strict, lax] = [scenarios::free_port(), scenarios::free_port()];
        world.write(".env", &format!("STRICT={strict}\nLAX={lax}\n"));
        let server = Collector::serve(strict, "server.crt", &TLS13, true);
        // Its certificate has expired, and is of an authority that nobody knows.
        let other = Collector::serve(lax, "expired.crt", &TLS12, false);
        world.compose("up -d framed lines").ok();
        let said = |server: &Collector, text: &str| match server.next() {
            Told::Counted(said) => assert!(said.starts_with("<30>1 20") && said.ends_with(&format!(" framed - {text}\n")), "{said}"),
            other => panic!("{other:?}"),
        };
        said(&server, "first");
        let Told::Line(line) = other.next() else { panic!("it has no length before it") };
        assert!(line.starts_with("<30>") && line.contains(" lines[") && line.ends_with("]: first\n"), "{line}");

        let port = server.end();
        let say = |line| world.run(&["exec", "framed", "sh", "-c", &format!("echo {line} >/say")], "").ok();
        for line in ["second", "third"] {
            say(line);
        }
        until("both are kept", || (tail(world, "framed")? == "third").then_some(()));
        let server = Collector::serve(port, "server.crt", &TLS13, true);
        said(&server, "second");
        said(&server, "third");
        say("fourth");
        said(&server, "fourth");

        // One does not know the server's authority, the other has nothing to show.
        world.compose("up -d stranger nobody").ok();
        let mut refused = [0, 0];
        while refused.iter().any(|count| *count < 2) {
            let Told::Refused(why) = server.next() else { panic!("nobody else sends anything") };
            refused[usize::from(why.contains("UnknownCA"))] += 1;
        }
        let log = world.roots().pod_run(&"project".into()).join("supervisor.log");
        let log = std::fs::read_to_string(log).unwrap();
        let told = |service: &str, what: &str| {
            let begins = format!("log server tcp+tls://0.0.0.0:{strict} of project-{service}-1: ");
            let told: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once(&begins)?.1)).collect();
            assert_eq!(told, [what], "{service}");
        };
        told("stranger", "its certificate is of an authority that is not known here");
        told("nobody", "it wants a certificate from its clients");
        for service in ["stranger", "nobody"] {
            assert_eq!(world.compose(&format!("logs --no-log-prefix {service}")).ok().stdout, "first\n");
        }

        for (option, from, to, why) in [
            ("syslog-tls-ca-cert", "ca.crt", "missing.crt", "missing.crt`: No such file"),
            ("syslog-tls-ca-cert", "ca.crt", "client.key", "client.key`: it has no certificate in PEM form"),
            ("syslog-tls-cert", "client.cert", "missing.cert", "missing.cert`: No such file"),
            ("syslog-tls-key", "client.key", "server.key", "server.key`: its key is not that of the certificate"),
        ] {
            let (from, to) = (format!("{option}: {from}"), format!("{option}: {to}"));
            world.edit("compose.yaml", &from, &to);
            let place = line_of(world, &to);
            let said = world.compose("up -d framed").exits(1).says(why);
            said.says(&format!("log option `{option}`")).says(&format!("(compose.yaml:{place}:"));
            world.edit("compose.yaml", &to, &from);
        }
        world.edit("compose.yaml", "syslog-tls-key: client.key", "syslog-tls-key: \"\"");
        let place = line_of(world, "syslog-tls-cert:");
        world.compose("up -d framed").exits(1).says("`syslog-tls-cert` needs `syslog-tls-key`").says(&format!("compose.yaml:{place}:"));
    }
}

scenario! {
    /// A server that is cut off gets again what its machine had not taken; what it had taken and not read is lost.
    what_a_cut_took_is_sent_again, |world| {
        let port = scenarios::free_port();
        world.write(".env", &format!("SERVER={port}\n"));
        // A machine that takes next to nothing ahead of its program.
        let listen = |room: usize| {
            let flags = rustix::net::SocketFlags::CLOEXEC;
            let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
            let socket = rustix::net::socket_with(family, kind, flags, None).unwrap();
            rustix::net::sockopt::set_socket_reuseaddr(&socket, true).unwrap();
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, room).unwrap();
            rustix::net::bind(&socket, &std::net::SocketAddrV4::new([127, 0, 0, 1].into(), port)).unwrap();
            rustix::net::listen(&socket, 1).unwrap();
            TcpListener::from(socket)
        };
        let accept = |server: &TcpListener| {
            server.set_nonblocking(true).unwrap();
            let (connection, _) = until("it is connected to", || server.accept().ok());
            connection.set_nonblocking(false).unwrap();
            connection.set_read_timeout(Some(PATIENCE)).unwrap();
            connection
        };
        let server = listen(4096);
        world.compose("up -d").ok();
        let connection = accept(&server);
        let mut reader = BufReader::with_capacity(256, connection);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.ends_with(": 1\n"), "{line}");
        until("everything is written", || tail(world, "chatty").filter(|line| line == "60000"));
        drop((reader, server));

        let connection = accept(&listen(1 << 20));
        let number = |line: &str| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        let mut lines = BufReader::new(connection).lines().map(|line| number(&line.unwrap()));
        let first = lines.next().unwrap();
        assert!(first * line.len() < 64 << 10, "{first} is beyond what the machine had taken");
        for expected in first + 1..=60000 {
            assert_eq!(lines.next(), Some(expected));
        }
    }
}

scenario! {
    /// systemd-journald is sent every line with its container's fields; what is too much for a datagram comes
    /// as a sealed file; without it the container is not started, and that is said.
    a_journal_gets_every_line, |world| {
        let folder = world.project().join("journal");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let big = "b".repeat(100_000);
        world.write(".env", &format!("BIG={big}\n"));
        let (code, said) = with_journal(world, &folder, &["up", "-d"]);
        assert!(code != 0 && said.contains("log driver `journald` needs systemd-journald"), "{said}");
        let journal = socket(&folder.join("socket"));
        let (code, said) = with_journal(world, &folder, &["up", "-d"]);
        assert_eq!(code, 0, "{said}");
        let noted = fields(&journal);
        let id = world.id("journal");
        for field in [
            "MESSAGE=noted",
            "PRIORITY=6",
            &format!("CONTAINER_ID={}", &id[..12]),
            &format!("CONTAINER_ID_FULL={id}"),
            "CONTAINER_NAME=project-journal-1",
            "CONTAINER_TAG=noted",
            "SYSLOG_IDENTIFIER=noted",
            "COM_EXAMPLE_TIER=front",
            "IMAGE_NAME=busybox",
        ] {
            assert!(noted.lines().any(|line| line == field), "{field} is not in {noted:.300}");
        }
        assert!(noted.contains(&format!("BIG={big}\n")));
        assert!(!noted.contains("PARTIAL"), "{noted:.300}");
        let of = |fields: &str, name: &str| {
            fields.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
        };
        let (part, last) = (fields(&journal), fields(&journal));
        assert!(last.starts_with("MESSAGE=xxx"), "{last:.300}");
        let parts = [&part, &last].map(|fields| {
            ["MESSAGE", "ORDINAL", "LAST"].map(|name| of(fields, &format!("CONTAINER_PARTIAL_{name}")))
        });
        let known = |texts: [Option<&str>; 3]| texts.map(|text| text.map(str::to_owned));
        assert_eq!(parts[0], known([Some("true"), Some("1"), Some("false")]));
        assert_eq!(parts[1], known([None, Some("2"), Some("true")]));
        let line = of(&part, "CONTAINER_PARTIAL_ID").unwrap();
        assert!(line.len() == 64 && of(&last, "CONTAINER_PARTIAL_ID").as_ref() == Some(&line), "{line}");
        until("what was sent is kept", || (world.compose("logs journal").stdout.lines().count() == 3).then_some(()));
    }
}

scenario! {
    /// A log goes on when its container is restarted or recreated, `logs -f` too, which also takes in new
    /// replicas; all is merged by time, and kept until `down`.
    logs_go_on_where_containers_take_places, |world| {
        world.compose("up -d").ok();
        let mut follower = world.background("logs -f web other");
        follower.line("run of 1");
        world.compose("restart -t 0 web").ok();
        follower.line("run of 1");
        world.edit("compose.yaml", "VERSION: \"1\"", "VERSION: \"2\"");
        world.compose("up -d -t 0").ok();
        assert!(follower.line("run of 2").starts_with("web-1"), "{:?}", follower.lines());
        world.compose("up -d -t 0 --scale web=2").ok();
        assert!(follower.line("run of 2").starts_with("web-2"), "{:?}", follower.lines());
        world.compose("stop -t 0").ok();
        assert_eq!(follower.end(), 0);

        let text = world.compose("logs --no-log-prefix -t").ok().stdout;
        let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
        let said: Vec<&str> = lines.iter().map(|(_, said)| *said).collect();
        assert_eq!(said, ["run of 1", "run of 1", "run of 2", "run of 2"], "without the service that is not attached");
        assert!(lines.is_sorted_by_key(|(time, _)| *time), "{lines:?}");
        assert_eq!(world.compose("logs --no-log-prefix other").ok().stdout, "aside\n");
        assert_eq!(world.compose("logs --no-log-prefix --index 2 web").ok().stdout, "run of 2\n");
        world.compose("logs --index 2").exits(1).says("one service");
        world.compose("logs --index 3 web").exits(1).says("3");
        let since = world.compose(&format!("logs --no-log-prefix --since {} web", lines[2].0)).ok().stdout;
        assert_eq!(since, "run of 2\nrun of 2\n");
        let until = world.compose(&format!("logs --no-log-prefix --until {} web", lines[1].0)).ok().stdout;
        assert_eq!(until, "run of 1\nrun of 1\n");
        // Of each container, not of all.
        assert_eq!(world.compose("logs --no-log-prefix -n 1 web").ok().stdout, "run of 2\nrun of 2\n");
        world.compose("logs --tail some").exits(1).says("--tail");
        world.compose("down").ok();
        assert_eq!(world.compose("logs web").stdout, "");
    }
}

/// The number of the line of the Compose file that has a text in it.
fn line_of(world: &World, text: &str) -> usize {
    let file = std::fs::read_to_string(world.project().join("compose.yaml")).unwrap();
    file.lines().position(|line| line.contains(text)).unwrap() + 1
}

/// The last line of a service's log.
fn tail(world: &World, service: &str) -> Option<String> {
    let output = world.compose(&format!("logs --no-log-prefix --tail 1 {service}"));
    output.stdout.lines().last().map(str::to_owned)
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2000];
    let count = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

/// A socket for datagrams that everybody may send to.
fn socket(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// What the journal was sent next, in the datagram or in a file beside it.
fn fields(journal: &UnixDatagram) -> String {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
    let mut buffer = vec![0; 300_000];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [std::io::IoSliceMut::new(&mut buffer)];
    let message =
        rustix::net::recvmsg(journal.as_fd(), &mut parts, &mut control, RecvFlags::empty()).unwrap();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut files) = part {
            let file = std::fs::File::from(files.next().unwrap());
            let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
            return String::from_utf8(bytes).unwrap();
        }
    }
    buffer.truncate(message.bytes);
    String::from_utf8(buffer).unwrap()
}

/// Runs `compose` where a folder is the journal's; whatever the machine has there is out of sight.
fn with_journal(world: &World, folder: &Path, arguments: &[&str]) -> (i32, String) {
    let script = "set -e; test -d /run/systemd/journal || { mount -t tmpfs none /run/systemd; mkdir /run/systemd/journal; }
        mount --bind \"$1\" /run/systemd/journal; shift; exec \"$@\"";
    let program = world.program();
    let mut command = Command::new("/usr/bin/unshare");
    command
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(folder)
        .arg(program.get_program())
        .args(program.get_args());
    command.args(arguments).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.current_dir(world.project()).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}
