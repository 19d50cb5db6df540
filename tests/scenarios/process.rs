//! Scenarios about the process of a container: what runs, as whom, and what it may do.

use scenarios::{Who, World, scenario, until};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

scenario! {
    /// Program, user, groups, folder, environment, names, streams and the way it is stopped are those of the
    /// file over those of the image.
    processes_are_as_asked, |world| {
        world.compose("up -d").ok();
        for (service, said) in [
            ("image-alone", "entry command\n"),
            ("command", "entry other\n"),
            ("entrypoint", "own\n"),
            ("no-entrypoint", "only\n"),
            ("empty-command", "entry command\n"),
            ("nothing", "web\n"),
        ] {
            until(service, || {
                (world.compose(&format!("logs --no-log-prefix {service}")).ok().stdout == said).then_some(())
            });
        }

        assert_eq!(status(world, "named", "Uid"), "33 33 33 33");
        assert_eq!(status(world, "named", "Gid"), "44 44 44 44");
        assert_eq!(status(world, "named", "Groups"), "44 77");
        assert_eq!(status(world, "member", "Groups"), "33 44", "those of the image's file");
        assert_eq!(inside(world, "named", "readlink /proc/1/cwd; stat -c %u /made/for/it"), "/made/for/it\n0\n");
        assert_eq!(inside(world, "named", "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname"), "boxed\nexample.com\n");
        let variables = "OWN=1\nPATH=/bin\n";
        assert_eq!(environment(world, "named"), format!("HOME=/srv\nHOSTNAME=boxed\n{variables}"));
        assert_eq!(inside(world, "named", "cat /proc/1/oom_score_adj"), "500\n");
        assert!(world.row("named")["Labels"].to_string().contains("com.example.label=kept"));

        assert_eq!(status(world, "numeric", "Uid"), "1234 1234 1234 1234");
        assert_eq!(status(world, "numeric", "Gid"), "0 0 0 0");
        let name = world.id("numeric")[..12].to_owned();
        assert_eq!(environment(world, "numeric"), format!("FROM_IMAGE=yes\nHOME=/\nHOSTNAME={name}\nPATH=/bin\n"));
        assert_eq!(environment(world, "terminal").lines().last(), Some("TERM=xterm"));
        let input = |service| inside(world, service, "readlink /proc/1/fd/0");
        assert_eq!(input("terminal"), "/dev/pts/0\n");
        assert_eq!(input("named"), "/dev/null\n");
        assert_ne!(input("numeric"), "/dev/null\n");

        // Process 1 is ours and has no child but the program once its grandchildren have ended.
        let children = || inside(world, "reaped", "cat /proc/1/task/1/children");
        until("one child", || (children().split_whitespace().count() == 1).then_some(()));
        assert_eq!(inside(world, "reaped", "for child in $(cat /proc/1/task/1/children); do cat /proc/$child/comm; done"), "sleep\n");

        for service in ["signalled", "deaf"] {
            until("its trap", || (world.compose(&format!("logs --no-log-prefix {service}")).stdout == "ready\n").then_some(()));
        }
        world.compose("stop signalled deaf").ok();
        assert_eq!((world.row("signalled")["ExitCode"].clone(), world.row("deaf")["ExitCode"].clone()), (7.into(), 137.into()));
    }
}

scenario! {
    /// Capabilities, filters, privileges, namespaces and devices are those of the file, as the kernel tells
    /// them; what the kernel cannot give a container is refused with its line.
    what_a_container_may_do_is_as_asked, |world| {
        let cards = Cards::new(world);
        world.compose("up -d").ok();
        let held = |service| u64::from_str_radix(&status(world, service, "CapBnd"), 16).unwrap();
        assert_eq!(held("plain"), 0xa804_25fb, "Docker's default set");
        assert_eq!(held("none"), 1 << 10 | 1);
        let (net_admin, sys_admin) = (1 << 12, 1 << 21);
        assert_eq!(held("privileged") & (net_admin | sys_admin), net_admin | sys_admin);
        // The host's devices are its own, and nothing of /proc is hidden from it or kept from being written.
        let hidden = "grep -c ' /proc/[a-z]' /proc/self/mountinfo; test -e /dev/loop-control && echo host";
        assert_eq!(world.run(&["exec", "-T", "privileged", "sh", "-c", hidden], "").stdout, "0\nhost\n");
        let hidden = world.run(&["exec", "-T", "plain", "sh", "-c", hidden], "").stdout;
        assert!(hidden.trim().parse::<u32>().unwrap() > 5, "{hidden}");
        for (service, privileges, filter) in
            [("plain", "0", "2"), ("none", "1", "2"), ("privileged", "0", "0"), ("open", "0", "0"), ("profiled", "0", "2")]
        {
            assert_eq!(status(world, service, "NoNewPrivs"), privileges, "{service}");
            assert_eq!(status(world, service, "Seccomp"), filter, "{service}");
        }
        let refused = |service: &str, script: &str| world.run(&["exec", "-T", service, "sh", "-c", script], "").exits(1);
        refused("profiled", "mkdir /tmp/x").says("Function not implemented");
        refused("inlined", "mkdir /tmp/x; chmod 700 /tmp/x").says("Operation not permitted");
        inside(world, "plain", "mkdir /tmp/x; chmod 700 /tmp/x");

        let mounts = |service: &str| inside(world, service, "cat /proc/1/mountinfo");
        let options = |service: &str, path: &str| {
            let all = mounts(service);
            let fields = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
            all.lines().map(fields).filter(|fields| fields[4] == path).map(|fields| fields[5].clone()).next_back()
        };
        assert!(options("none", "/").unwrap().starts_with("ro"));
        assert!(options("plain", "/proc/sys").unwrap().starts_with("ro"));
        assert_eq!((options("none", "/proc/sys"), options("none", "/proc/interrupts")), (None, None));
        assert!(options("plain", "/proc/interrupts").is_some());
        assert_eq!(inside(world, "none", "stat -c %u:%a /scratch; cat /proc/1/oom_score_adj"), "33:777\n300\n");
        refused("none", "dd if=/dev/zero of=/scratch/x bs=1k count=128").says("No space left");

        let ours = |kind: &str| std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_eq!(namespace(world, "open", "ipc"), namespace(world, "plain", "ipc"));
        assert_eq!(namespace(world, "profiled", "ipc"), namespace(world, "plain", "ipc"));
        assert_ne!(namespace(world, "inlined", "ipc"), namespace(world, "plain", "ipc"));
        assert_eq!(namespace(world, "open", "cgroup"), ours("cgroup"));
        assert_ne!(namespace(world, "plain", "cgroup"), ours("cgroup"));

        let nodes = "stat -c %t:%T /dev/none /dev/card0 /dev/card1 /dev/card2";
        assert_eq!(inside(world, "devices", nodes), "1:b\n1:5\n1:7\n1:9\n");
        let environment = environment(world, "devices");
        assert!(environment.contains("CARDS=all\n") && environment.contains("CARD=zero\n"), "{environment}");
        assert!(options("devices", "/card").unwrap().starts_with("ro"));
        assert!(status(world, "devices", "Groups").split(' ').any(|group| group == "55"));
        refused("devices", "echo x > /dev/none");
        assert_eq!(inside(world, "devices", "stat -c %t:%T /dev/long"), "a:c8\n");
        if world.who() == Who::Root {
            let own = "mknod /tmp/tun c 10 200; : < /tmp/tun && : > /tmp/tun";
            inside(world, "counted", own);
            refused("plain", own).says("Operation not permitted");
            inside(world, "devices", ": < /dev/long");
            refused("devices", ": > /dev/long").says("Operation not permitted");
        }
        assert_eq!(inside(world, "counted", "stat -c %t:%T /dev/card1 /dev/card2"), "1:7\n1:9\n");
        refused("counted", "test -e /dev/card0");
        let unknown = format!("{}=none", cards.kind);
        world.edit("compose.yaml", "${KIND}=zero", &unknown);
        world.compose("up -d").exits(1).says(&format!("describes the device `{unknown}`; there are")).says("compose.yaml:38:");
        world.edit("compose.yaml", &unknown, "${KIND}=zero");
        for (asked, said) in [
            ("sysctls: {vm.swappiness: \"1\"}", "`vm.swappiness`"),
            ("uts: host\n    hostname: own", "hostname"),
            ("cap_add: [NO_SUCH]", "NO_SUCH"),
            ("cgroup: service:plain", "service:plain"),
            ("security_opt: [\"unheard=of\"]", "unheard=of"),
            ("runtime: runsc", "runtime `runsc`"),
        ] {
            let text = format!("devices:\n    <<: *idle\n    {asked}\n");
            world.edit("compose.yaml", "devices:\n    <<: *idle\n", &text);
            world.compose("up -d").exits(1).says(said).says("compose.yaml:");
            world.edit("compose.yaml", &text, "devices:\n    <<: *idle\n");
        }
        drop(cards);
        confinement(world);
    }
}

/// A profile of AppArmor confines a container and what is executed in it, where the kernel has AppArmor;
/// where it has not, that is said.
fn confinement(world: &World) {
    let name = format!("compose-scenario-{}", world.port());
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    world.edit("compose.yaml", "\"label=disable\"", &format!("\"apparmor={name}\""));
    if !enabled.is_ok_and(|text| text.starts_with('Y')) {
        world.compose("up -d none").ok().says(&format!("this kernel has no AppArmor: profile `{name}`"));
        return;
    }
    let missing = world.compose("up -d none").exits(1);
    missing.says(&format!("AppArmor has no profile `{name}` loaded")).says("(compose.yaml:11:");
    if world.who() == Who::Root {
        let profile = format!(
            "profile {name} flags=(attach_disconnected) {{ file, mount, umount, network, capability, signal, ptrace, deny /tmp/** w, }}"
        );
        parser("--replace", &profile);
        world.compose("up -d none").ok();
        assert_eq!(
            inside(world, "none", "cat /proc/1/attr/current /proc/self/attr/current"),
            format!("{name} (enforce)\n").repeat(2)
        );
        world.compose("rm -s -f none").ok();
        parser("--remove", &profile);
    }
}

/// Has the kernel take or forget a profile.
fn parser(action: &str, profile: &str) {
    let mut child = Command::new("apparmor_parser").arg(action).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(profile.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// A CDI description of devices that every machine has, for the time of a scenario.
pub(crate) struct Cards {
    pub(crate) kind: String,
    path: PathBuf,
}

impl Cards {
    pub(crate) fn new(world: &World) -> Self {
        let kind = format!("compose-{}.example.com/card", world.port());
        let path = PathBuf::from(format!("/etc/cdi/compose-scenario-{}.yaml", world.port()));
        let mount = world.project().display().to_string();
        let text = format!(
            "cdiVersion: 0.6.0\nkind: {kind}\ncontainerEdits: {{env: [CARDS=all]}}\ndevices:\n\
             - name: zero\n  containerEdits:\n    env: [CARD=zero]\n    additionalGids: [55]\n\
             \x20   deviceNodes: [{{path: /dev/card0, hostPath: /dev/zero}}]\n\
             \x20   mounts: [{{hostPath: {mount}, containerPath: /card, options: [ro, nosuid, bind]}}]\n\
             - {{name: full, containerEdits: {{deviceNodes: [{{path: /dev/card1, hostPath: /dev/full}}]}}}}\n\
             - {{name: \"0\", containerEdits: {{deviceNodes: [{{path: /dev/card2, hostPath: /dev/urandom}}]}}}}\n"
        );
        std::fs::create_dir_all("/etc/cdi").unwrap();
        std::fs::write(&path, text).unwrap();
        world.write(".env", &format!("KIND={kind}\n"));
        Self { kind, path }
    }
}

impl Drop for Cards {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
        // The folder stays when it is another's, too.
        drop(std::fs::remove_dir("/etc/cdi"));
    }
}

/// What /proc says of a field of a container's first process, as it is seen inside.
fn status(world: &World, service: &str, field: &str) -> String {
    let text = inside(world, service, "cat /proc/1/status");
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The variables of a container's first process, sorted.
fn environment(world: &World, service: &str) -> String {
    inside(world, service, "tr '\\0' '\\n' < /proc/1/environ | sort")
}

fn namespace(world: &World, service: &str, kind: &str) -> PathBuf {
    let pid = *world.processes(&world.id(service)).last().unwrap();
    std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

fn inside(world: &World, service: &str, script: &str) -> String {
    world.run(&["exec", "-T", service, "sh", "-c", script], "").ok().stdout
}
