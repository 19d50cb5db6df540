//! Scenarios about what only an ordinary user has: namespaces, who keeps them, and what may be missing
//! on a machine.

use crate::disk::Disk;
use crate::life::signal;
use crate::outside::Outside;
use scenarios::{World, free_port, http, scenario, until};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output, Stdio};

scenario! {
    /// Infra, pasta or the supervisor may be killed: containers, names and ports go on, and the next
    /// command puts back what is missing, in the same namespaces.
    killed_processes_of_a_user_are_put_back, user_only = "root has no such processes", |world| {
        world.compose("up -d").ok();
        let address = format!("127.0.0.1:{}", world.port());
        let serves = || until("the port answers", || http(&address, "passwd"));
        serves();
        let resolves = || {
            until("names resolve", || {
                (world.compose("exec -T client ping -c 1 -w 1 web").code == 0).then_some(())
            });
        };
        let namespaces = |pid: i32| {
            ["user", "net"].map(|kind| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap())
        };
        let infra = recorded(world, "infra.json").unwrap();
        let before = namespaces(infra);
        kill(infra);
        serves();
        resolves();
        let infra = recorded(world, "infra.json").filter(|pid| lives(*pid)).expect("infra was put back");
        assert_eq!(namespaces(infra), before);
        let pasta = recorded(world, "pasta.json").unwrap();
        kill(pasta);
        serves();
        world.compose("ps").ok().says("pasta has ended");
        let another = recorded(world, "pasta.json").filter(|pid| lives(*pid)).expect("pasta was put back");
        assert_ne!(another, pasta);
        kill(world.supervisor().unwrap());
        world.compose("up -d").ok();
        serves();
        resolves();
        assert_eq!(recorded(world, "infra.json"), Some(infra));
        assert_eq!(namespaces(world.supervisor().unwrap()), before);
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// When infra, pasta and the supervisor are killed at once, the router goes and containers live on;
    /// the next command gives the same containers their networks, names and ports again.
    a_lost_router_is_replaced, user_only = "root's bridges are in the machine's own namespace", |world| {
        let outside = Outside::new(104);
        world.compose("up -d").ok();
        let serves = || {
            let address = format!("127.0.0.1:{}", world.port());
            until("the port answers", || http(&address, "passwd"));
            for (service, name) in [("client", "web"), ("web", "client"), ("client", "web.project_back")] {
                until("names resolve and lead there", || {
                    let ping = format!("exec -T {service} ping -c 1 -w 1 {name}");
                    (world.compose(&ping).code == 0).then_some(())
                });
            }
            until("the outside answers", || {
                let output = world.run(&["exec", "-T", "web", "sh", "-c", &outside.question()], "");
                (output.stdout.lines().last() == Some(&*outside.host)).then_some(())
            });
        };
        serves();
        let first = |service: &str| world.processes(&world.id(service))[0];
        let before = (first("web"), first("client"));
        let look = |command: &str| world.run(&["exec", "-T", "web", "sh", "-c", command], "").ok().stdout;
        let (interfaces, routes) = ("ip -o addr | grep -v fe80 | sed 's/^[0-9]*://; s/@if[0-9]*//'", "ip route | sort");
        let (wires, ways) = (look(interfaces), look(routes));
        for next in ["ps", "up -d"] {
            let supervisor = world.supervisor().unwrap();
            // It could put something back before it is its turn.
            signal(supervisor, "STOP");
            for process in [recorded(world, "infra.json"), recorded(world, "pasta.json"), Some(supervisor)] {
                kill(process.unwrap());
            }
            world.compose(next).ok();
            serves();
            assert_eq!((look(interfaces), look(routes)), (wires.clone(), ways.clone()));
        }
        assert_eq!((first("web"), first("client")), before, "nothing was started again");
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// When infra and every supervisor are killed and pasta is not, pasta ends by itself; the next command,
    /// whatever it is about, gives all projects a router again.
    a_new_router_is_every_projects, user_only = "root's bridges are in the machine's own namespace", |world| {
        let other = free_port();
        world.compose("up -d").ok();
        let file = std::fs::read_to_string(world.project().join("compose.yaml")).unwrap();
        world.write("other.yaml", &file.replace("${PORT}", &other.to_string()));
        world.compose("-p other -f other.yaml up -d").ok();
        let serve = || {
            for (project, port) in [("project", world.port()), ("other", other)] {
                until("the port answers", || http(&format!("127.0.0.1:{port}"), "passwd"));
                let ping = ["-p", project, "exec", "-T", "client", "ping", "-c", "1", "-w", "1", "web"];
                until("names resolve and lead there", || (world.run(&ping, "").code == 0).then_some(()));
            }
        };
        serve();
        kill(recorded(world, "pasta.json").unwrap());
        world.compose("ls").ok();
        let pasta = recorded(world, "pasta.json").filter(|pid| lives(*pid)).expect("pasta was put back");
        kill(recorded(world, "infra.json").unwrap());
        kill(world.supervisor().unwrap());
        assert!(lives(pasta), "one supervisor keeps the router");
        kill(world.supervisor().unwrap());
        until("pasta has ended by itself", || (!lives(pasta)).then_some(()));
        world.compose("ls").ok();
        assert!(recorded(world, "infra.json").is_some_and(lives), "containers live, so looking puts it back");
        serve();
        world.compose("-p other down -t 0").ok();
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// A supervisor that never came into the router, because all else was killed while it started, is no
    /// way to one: the next command makes another instead of taking the machine's network for it.
    a_supervisor_outside_the_router_is_no_way_in, user_only = "root has no router", |world| {
        world.compose("up -d").ok();
        let (infra, pasta) = (recorded(world, "infra.json").unwrap(), recorded(world, "pasta.json").unwrap());
        let (supervisor, web) = (world.supervisor().unwrap(), world.processes(&world.id("web")));
        // It has the command line and the user namespace of one, and waits.
        world.write("__supervise", "echo up; read -r end");
        let mut late = Command::new(world.program().get_program());
        late.args([scenarios::ordinary_user(), "/usr/bin/nsenter", "--user", "--preserve-credentials"]);
        late.args(["--target", &infra.to_string(), "/bin/sh", "__supervise"]);
        late.args([&world.roots().data, &world.roots().run]).current_dir(world.project());
        let mut late = late.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 3];
        late.stdout.take().unwrap().read_exact(&mut said).unwrap();
        signal(supervisor, "STOP");
        for process in [infra, pasta, supervisor] {
            kill(process);
        }
        signal(web[0], "KILL");
        let output = world.compose("up -d");
        late.stdin.take().unwrap().write_all(b"\n").unwrap();
        late.wait().unwrap();
        output.ok();
        let address = format!("127.0.0.1:{}", world.port());
        until("the port answers", || http(&address, "passwd"));
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// The namespaces live as long as a container does, with no supervisor as well, and end with it by
    /// themselves; what is written of them goes with them.
    a_users_namespaces_end_with_the_last_use, user_only = "root's are the machine's own", |world| {
        world.compose("up -d").ok();
        let (infra, pasta) = (recorded(world, "infra.json").unwrap(), recorded(world, "pasta.json").unwrap());
        let processes = world.processes(&world.id("web"));
        kill(world.supervisor().unwrap());
        // It looks at the container, which is only seen from what it waits for: its end.
        assert!(lives(infra) && lives(pasta));
        signal(processes[0], "KILL");
        until("infra and pasta are gone", || (!lives(infra) && !lives(pasta)).then_some(()));
        let left = || std::fs::read_dir(&world.roots().run).into_iter().flatten().flatten();
        let names: Vec<_> = left().map(|entry| entry.file_name().into_string().unwrap()).collect();
        assert_eq!(names, ["pods"], "the state of what rests");
        let mode = world.roots().run.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
        assert_eq!(world.state("web"), "exited");
        assert!(recorded(world, "infra.json").is_none(), "looking makes nothing");
        world.compose("down").ok();
        until("no run-time folder", || (!world.roots().run.exists()).then_some(()));
    }
}

scenario! {
    /// When infra was killed and then the last container ends by itself, nothing of the user's stays,
    /// although no command comes.
    nothing_stays_of_a_user_whose_infra_was_killed, user_only = "root has no such processes", |world| {
        world.compose("-p other up -d").ok();
        let orphaned = world.supervisor().unwrap();
        world.compose("up -d").ok();
        let (infra, pasta) = (recorded(world, "infra.json").unwrap(), recorded(world, "pasta.json").unwrap());
        let first = |project: &str| {
            let rows = world.run(&["-p", project, "ps", "--no-trunc", "-q"], "").ok().stdout;
            world.processes(rows.trim())[0]
        };
        let (own, others) = (first("project"), first("other"));
        kill(infra);
        kill(orphaned);
        signal(own, "KILL");
        let another = || recorded(world, "infra.json").filter(|pid| *pid != infra && lives(*pid));
        until("the last supervisor has become infra", another);
        assert!(lives(pasta), "the other container may want to go outside");
        signal(others, "KILL");
        until("pasta is gone", || (!lives(pasta)).then_some(()));
        until("no process is recorded", || {
            let names = std::fs::read_dir(&world.roots().run).unwrap().flatten();
            names.map(|entry| entry.file_name()).eq(["pods"]).then_some(())
        });
        world.compose("-p other down").ok();
        world.compose("down").ok();
    }
}

scenario! {
    /// What a machine or an account lacks is said in one sentence, with what to do about it; what can run
    /// without it does.
    what_a_user_lacks_is_named, user_only = "root needs none of it", |world| {
        let up = ["up", "-d"];
        world.write("wrong.yaml", "service: {}\n");
        let refused = |setup: &str, sentences: [&str; 2]| {
            let output = on_a_machine(world, setup, &up);
            assert_eq!(output.status.code(), Some(1), "{setup}: {output:?}");
            said(&output, &sentences);
        };
        let folder = world.roots().data.parent().unwrap().to_string_lossy().into_owned();
        std::fs::create_dir_all(&world.roots().data).unwrap();
        refused(":", ["belongs to root, not to this user", "removed or given to this user"]);
        std::fs::remove_dir_all(&folder).unwrap();
        refused(
            "cp --no-preserve=mode /usr/bin/newuidmap /dev/shm/plain$$ && chmod 755 /dev/shm/plain$$ \
             && mount --bind /dev/shm/plain$$ /usr/bin/newuidmap && rm /dev/shm/plain$$",
            ["newuidmap cannot give this user its subordinate ids", "has to be setuid root"],
        );
        refused(
            &format!("mkdir -p {folder} && mount -t ramfs ramfs {folder} && chmod 777 {folder}"),
            ["keeps no extended attributes", "name a folder on ext4"],
        );
        let output = without_user_namespaces(world, &up);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        said(&output, &["user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=15000"]);
        assert!(!world.roots().data.exists() && !world.roots().run.exists(), "what is refused leaves nothing");
        // What makes no sense wants no namespace.
        for (words, sentence) in [
            (&["up", "-d", "nobody"][..], "nobody"),
            (&["-f", "missing.yaml", "up", "-d"], "missing.yaml"),
            (&["-f", "wrong.yaml", "up", "-d"], "wrong.yaml:1:1"),
            (&["-f", "wrong.yaml", "run", "web"], "wrong.yaml:1:1"),
        ] {
            let output = without_user_namespaces(world, words);
            said(&output, &[sentence]);
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(!text.contains("max_user_namespaces"), "{words:?}: {text}");
        }
        let setting = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
        let program = std::fs::canonicalize(world.program().get_args().last().unwrap()).unwrap();
        let program = program.display();
        let profile = format!("profile compose \"{program}\" flags=(unconfined) {{ userns, }}");
        refused(
            &format!("mount -t tmpfs tmpfs /proc/sys/kernel && echo 1 > {setting} && export COMPOSE_TEST_CONFINED=yes"),
            ["kernel.apparmor_restrict_unprivileged_userns is 1", &profile],
        );
        let alone = on_a_machine(world, "mount --bind /dev/null /usr/bin/passt", &up);
        said(&alone, &["containers have no way to the outside: pasta is not installed", "apt-get install passt"]);
        assert_eq!(world.state("web"), "running");
        let look = on_a_machine(world, "mount --bind /dev/null /usr/bin/passt", &["ps"]);
        assert!(!String::from_utf8_lossy(&look.stderr).contains("outside"), "who only looks has heard it: {look:?}");
        world.compose("down -t 0").ok();
        until("no run-time folder", || (!world.roots().run.exists()).then_some(()));
        // A store with owners that the one id cannot have would be refused.
        std::fs::remove_dir_all(&folder).unwrap();
        let single = on_a_machine(world, "mount --bind /dev/null /etc/subuid", &up);
        said(&single, &["/etc/subuid has no line for", "usermod --add-subuids"]);
        said(&single, &["service `web`: `group_add` has no effect", "compose.yaml:5:16"]);
        assert_eq!(world.state("web"), "running");
        let again = on_a_machine(world, "mount --bind /dev/null /etc/subuid", &up);
        assert!(!String::from_utf8_lossy(&again.stderr).contains("subuid"), "said once: {again:?}");
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// A home that forbids programs and devices will do; so will a machine without sessions, or one without
    /// the programs that map subordinate ids.
    a_user_manages_with_less, user_only = "root has no home, session or subordinate ids to lack", |world| {
        let data = &world.roots().data;
        let owner = std::fs::metadata(world.project()).unwrap().uid();
        std::fs::create_dir_all(data).unwrap();
        for folder in [data.as_path(), data.parent().unwrap()] {
            std::os::unix::fs::chown(folder, Some(owner), Some(owner)).unwrap();
        }
        let disk = Disk::mount(data, owner, "loop,noexec,nodev");
        world.compose("up -d").ok();
        world.run(&["exec", "-T", "web", "sh", "-c", "echo x > /dev/null && cp /bin/busybox /true && /true"], "").ok();
        world.compose("down -t 0").ok();
        until("no run-time folder", || (!world.roots().run.exists()).then_some(()));
        drop(disk);

        let output = on_a_machine(world, "mount --bind /dev/null /usr/bin/newuidmap", &["up", "-d"]);
        said(&output, &["newuidmap is not installed", "apt-get install uidmap"]);
        assert_eq!(world.state("web"), "running");
        world.compose("down -t 0").ok();
        until("no run-time folder", || (!world.roots().run.exists()).then_some(()));

        // The machine's /tmp is others', too, and the world lies in it.
        let folder = world.project().parent().unwrap().to_string_lossy().into_owned();
        let own_tmp = format!(
            "mount --bind {folder} /mnt && mount -t tmpfs tmpfs /tmp && mkdir -p {folder} && \
             mount --move /mnt {folder} && unset XDG_RUNTIME_DIR COMPOSE_ENGINE_ROOT"
        );
        let rounds = format!("\"$@\" up -d && stat -c '%a %u' /tmp/compose-{owner} && \"$@\" ps -q && \"$@\" down -t 0");
        let output = on_a_machine(world, &format!("{own_tmp} && {rounds} && set -- true"), &[]);
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(lines.lines().next(), Some(format!("700 {owner}").as_str()));
        assert_eq!(lines.lines().count(), 2, "one container: {lines}");
    }
}

scenario! {
    /// After all processes of a user were ended at once, as at the end of a session that does not linger,
    /// looking says so and shows what is kept, and the next command goes on.
    what_was_ended_with_a_session_is_told, user_only = "root's processes are in no session", |world| {
        world.compose("up -d").ok();
        let logged = || world.compose("logs web").ok().stdout;
        until("it is logged", || logged().contains("hello").then_some(()));
        let (infra, supervisor) = (recorded(world, "infra.json").unwrap(), world.supervisor().unwrap());
        let web = world.processes(&world.id("web"));
        signal(supervisor, "STOP");
        kill(infra);
        signal(web[0], "KILL");
        kill(supervisor);
        until("the container is gone", || (!lives(web[0])).then_some(()));
        world.compose("ps -a").ok().says("all processes of this user were ended").says("`compose start` goes on");
        let row = world.row("web");
        assert_eq!(row["State"], "exited", "nobody restarts it: {row}");
        assert!(row["Status"].as_str().unwrap().starts_with("Exited (?)"), "{row}");
        assert!(logged().contains("hello"));
        assert!(recorded(world, "infra.json").is_none_or(|infra| !lives(infra)), "looking starts nothing");
        world.compose("start").ok();
        until("it runs", || (world.state("web") == "running").then_some(()));
        world.compose("down -t 0").ok();
    }
}

/// The process that a document of the world names.
fn recorded(world: &World, document: &str) -> Option<i32> {
    let bytes = std::fs::read(world.roots().run.join(document)).ok()?;
    let content: serde_json::Value = resource::document::decode(&bytes)?;
    let process = content.get("process").unwrap_or(&content);
    i32::try_from(process["pid"].as_i64()?).ok()
}

fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn kill(pid: i32) {
    signal(pid, "KILL");
    until("it is gone", || (!lives(pid)).then_some(()));
}

/// Runs `compose` on a machine that is otherwise set up: `setup` is a line for sh, run by root in a
/// mount namespace of its own before the program becomes the user's.
pub(crate) fn on_a_machine(world: &World, setup: &str, arguments: &[&str]) -> Output {
    machine(world, setup, arguments).output().unwrap()
}

/// Runs `compose` where nobody may make a user namespace: in one that has every id of this machine, and
/// whose limit, which counts in it alone, is none.
pub(crate) fn without_user_namespaces(world: &World, arguments: &[&str]) -> Output {
    // No device can be made in there. Root's rights in there come with the program that runs as root.
    let setup = "mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 && \
                 set -- sh -c 'echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"' sh \"$@\" && \
                 set -- unshare --user sh -c 'echo made && read mapped && exec \"$@\"' sh \"$@\"";
    let mut child = machine(world, setup, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut made = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut made).unwrap();
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{}/{map}", child.id()), "0 0 4294967295\n").unwrap();
    }
    writeln!(child.stdin.as_mut().unwrap(), "mapped").unwrap();
    child.wait_with_output().unwrap()
}

fn machine(world: &World, setup: &str, arguments: &[&str]) -> Command {
    let program = world.program();
    let script = format!("mount --make-rprivate / && {setup} && exec \"$@\"");
    let mut command = Command::new("/usr/bin/unshare");
    command
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .args(arguments)
        .current_dir(program.get_current_dir().unwrap())
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

pub(crate) fn said(output: &Output, sentences: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    for sentence in sentences {
        assert!(text.contains(sentence), "{sentence:?} is not said in:\n{text}");
    }
}
