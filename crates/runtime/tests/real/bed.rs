//! What every case needs: an image made of busybox, records, and a way to run one to its end.

use resource::{
    ContainerId, ContainerRecord, ContainerSpec, Digest, Mapping, PodName, Process, Reference, Roots,
    Timestamp,
};
use runtime::spec::Surroundings;
use runtime::{Cgroup, Launch, Program, Share, Spec, StartError, Started, Stdio};
use std::fs::{self, File};
use std::io::{Read, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Applets the image has.
const APPLETS: &[&str] = &[
    "sh", "cat", "echo", "ls", "sleep", "id", "grep", "true", "false", "touch", "mkdir", "mount", "umount",
    "stat", "readlink", "dd", "hostname", "kill", "ps", "chroot", "unshare", "test", "head", "wc", "tty",
    "stty", "env", "pwd", "yes", "tail", "sort", "mknod", "ln", "rm", "chmod", "nproc", "setsid", "sysctl",
    "df",
];

/// A folder with an image in it; all is removed with it.
pub(crate) struct Bed {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) pod: PodName,
    pub(crate) roots: Roots,
}

/// Name of the tests' own base cgroup.
pub(crate) const BASE: &str = "compose-runtime-test";

impl Bed {
    /// An image of one layer.
    pub(crate) fn new(name: &str) -> Self {
        let busybox = Path::new("/bin/busybox");
        assert!(busybox.exists(), "these tests need a static /bin/busybox (Debian: busybox-static)");
        let folder = tempfile::tempdir().unwrap();
        let layer = folder.path().join("layer");
        for below in ["bin", "etc", "tmp", "root", "data"] {
            fs::create_dir_all(layer.join(below)).unwrap();
        }
        fs::set_permissions(&layer, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(layer.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::copy(busybox, layer.join("bin/busybox")).unwrap();
        for applet in APPLETS {
            symlink("busybox", layer.join("bin").join(applet)).unwrap();
        }
        fs::write(layer.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/data:/bin/sh\n")
            .unwrap();
        fs::write(layer.join("etc/plain"), "not a program\n").unwrap();
        let mut roots = Roots::at(folder.path().join("data"), folder.path().join("run"), BASE.to_owned());
        roots.mapping = mapping();
        let pod = PodName(format!("{name}-{}", std::process::id()));
        if let Some(delegated) = delegated() {
            fs::create_dir_all(roots.pod_run(&pod)).unwrap();
            fs::write(roots.pod_cgroup(&pod), delegated).unwrap();
        }
        Self { folder, layers: vec![layer], pod, roots }
    }

    pub(crate) fn layer(&self) -> &Path {
        &self.layers[0]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A container that runs a shell script.
    pub(crate) fn shell(&self, script: &str) -> Case<'_> {
        self.case(&["/bin/sh", "-c", script])
    }

    /// A container that runs a program.
    pub(crate) fn case(&self, argv: &[&str]) -> Case<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("{:064x}", COUNT.fetch_add(1, Ordering::Relaxed) + 1);
        Case {
            bed: self,
            record: record(&id, self.pod.as_str(), argv),
            around: Surroundings {
                hostname: "bed".to_owned(),
                host_queues: std::path::Path::new("/dev/mqueue").is_dir(),
                mapping: self.roots.mapping,
                ..Surroundings::default()
            },
            network: Share::Private,
            pid: Share::Private,
            ipc: Share::Private,
            uts: Share::Private,
            cgroup_namespace: true,
            volatile: false,
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        runtime::cgroup::remove_pod(&self.roots, &self.pod).unwrap();
        runtime::cgroup::remove_base(&self.roots).unwrap();
    }
}

/// A container about to run.
pub(crate) struct Case<'b> {
    pub(crate) bed: &'b Bed,
    pub(crate) record: ContainerRecord,
    pub(crate) around: Surroundings,
    pub(crate) network: Share<'b>,
    pub(crate) pid: Share<'b>,
    pub(crate) ipc: Share<'b>,
    pub(crate) uts: Share<'b>,
    pub(crate) cgroup_namespace: bool,
    pub(crate) volatile: bool,
}

/// A container that runs.
pub(crate) struct Running {
    pub(crate) started: Started,
    pub(crate) output: File,
    pub(crate) cgroup: Cgroup,
    pub(crate) spec: Spec,
}

impl Case<'_> {
    /// Changes the record.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut ContainerRecord)) -> Self {
        change(&mut self.record);
        self
    }

    pub(crate) fn bind(self, source: &Path, target: &str, read_only: bool) -> Self {
        let (source, target) = (source.to_owned(), target.to_owned());
        self.with(|record| {
            record.mounts.push(resource::Mount::Bind {
                source,
                target,
                read_only,
                recursive: true,
                propagation: resource::Propagation::Rprivate,
                volume: None,
                anonymous: false,
            });
        })
    }

    pub(crate) fn program(&self) -> Option<Program> {
        runtime::seccomp::compile(&self.record.spec.security).unwrap()
    }

    /// Starts it with these descriptors.
    pub(crate) fn start_with(&self, stdio: Stdio<'_>) -> Result<(Started, Cgroup, Spec), StartError> {
        self.around_devices();
        let mut around = self.around.clone();
        around.devices = runtime::spec::devices(&self.record).unwrap();
        let spec = runtime::spec::generate(&self.record, &around);
        let cgroup = runtime::cgroup::open(&self.bed.roots, &self.record.spec, &self.record.id);
        cgroup.create(&self.record.spec.resources, &spec).unwrap();
        let own = self.bed.path(self.record.id.short()).join(&self.record.id.0);
        let program = self.program();
        let launch = Launch {
            spec: &spec,
            layers: &self.bed.layers,
            upper: &own.join("upper"),
            work: &own.join("work"),
            volatile: self.volatile,
            network: self.network,
            pid: self.pid,
            ipc: self.ipc,
            uts: self.uts,
            cgroup_namespace: self.cgroup_namespace,
            stdio,
            cgroup: &cgroup,
            seccomp: program.as_ref(),
            init: self.record.process.init,
            mapping: self.bed.roots.mapping,
        };
        let started = runtime::spawn(&launch).and_then(runtime::Starting::finish);
        match started {
            Ok(started) => Ok((started, cgroup, spec)),
            Err(error) => {
                cgroup.remove().unwrap();
                Err(error)
            }
        }
    }

    fn around_devices(&self) {
        assert!(self.around.devices.is_empty());
    }

    /// Starts it; both outputs go to one pipe.
    pub(crate) fn start(&self) -> Result<Running, StartError> {
        let (reader, writer) = pipe().unwrap();
        let null = File::open("/dev/null").unwrap();
        let stdio = Stdio::Files { stdin: null.as_fd(), stdout: writer.as_fd(), stderr: writer.as_fd() };
        let (started, cgroup, spec) = self.start_with(stdio)?;
        Ok(Running { started, output: OwnedFd::from(reader).into(), cgroup, spec })
    }

    /// Runs it to its end: exit code and what it wrote.
    pub(crate) fn run(&self) -> Result<(i32, String), StartError> {
        Ok(self.start()?.end())
    }

    /// Runs it and gives what it wrote; it must succeed.
    pub(crate) fn output(&self) -> String {
        let (code, text) = self.run().unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(code, 0, "{text}");
        text
    }
}

impl Running {
    /// Waits for its end.
    pub(crate) fn end(mut self) -> (i32, String) {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        let code = sys::process::wait(self.started.pidfd.as_fd()).unwrap();
        self.cgroup.remove().unwrap();
        (code, text)
    }

    /// Reads its output up to a line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = vec![];
        let mut byte = [0];
        while self.output.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Pids of its processes.
    pub(crate) fn processes(&self) -> Vec<i32> {
        match self.cgroup.is_kept() {
            true => self.cgroup.processes(),
            false => runtime::processes::beside(self.started.identity.pid),
        }
    }

    pub(crate) fn kill(self) -> (i32, String) {
        self.cgroup.kill(9).unwrap();
        if !self.cgroup.is_kept() {
            // Its pid namespace is its own.
            rustix::process::pidfd_send_signal(&self.started.pidfd, rustix::process::Signal::KILL).unwrap();
        }
        self.end()
    }

    /// Runs a shell script beside its first process.
    pub(crate) fn exec(&self, script: &str) -> Result<(i32, String), StartError> {
        let process = process(&["/bin/sh", "-c", script]);
        self.exec_process(&process, None)
    }

    pub(crate) fn exec_process(
        &self,
        process: &Process,
        seccomp: Option<&Program>,
    ) -> Result<(i32, String), StartError> {
        let (mut reader, writer) = pipe().unwrap();
        let null = File::open("/dev/null").unwrap();
        let launch = runtime::ExecLaunch {
            target: self.started.pidfd.as_fd(),
            pid: self.started.identity.pid,
            spec: &self.spec,
            process,
            privileged: false,
            stdio: Stdio::Files { stdin: null.as_fd(), stdout: writer.as_fd(), stderr: writer.as_fd() },
            cgroup: &self.cgroup,
            seccomp,
            mapping: mapping(),
        };
        let started = runtime::exec(&launch)?.finish()?;
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        Ok((sys::process::wait(started.pidfd.as_fd()).unwrap(), text))
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// Names the word of the mapping for the process that runs the cases.
pub(crate) const MAPPING: &str = "RUNTIME_TEST_MAPPING";

/// Whether the engine of these cases is root's.
pub(crate) fn as_root() -> bool {
    mapping() == Mapping::Host
}

/// The folder of the unified hierarchy that was delegated to the user who runs the cases, if any. The
/// process moves there when it is asked for first.
pub(crate) fn delegated() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let settle = || {
        let folder = tempfile::tempdir().unwrap();
        let mut roots = Roots::at(folder.path().join("data"), folder.path().join("run"), String::new());
        roots.mapping = mapping();
        let pod = PodName("runtime-test".to_owned());
        fs::create_dir_all(roots.pod_run(&pod)).unwrap();
        let warnings = runtime::cgroup::settle(&roots, &pod);
        assert!(warnings.is_empty(), "{warnings:?}");
        let text = fs::read_to_string(roots.pod_cgroup(&pod)).unwrap_or_default();
        let known = runtime::cgroup::shortcoming(&roots).is_none();
        assert!(as_root() || known != text.is_empty(), "what is foretold is what happens");
        Some(text).filter(|text| !text.is_empty())
    };
    FOUND.get_or_init(settle).as_deref()
}

/// Where the ids of this process lie.
pub(crate) fn mapping() -> Mapping {
    let word = std::env::var(MAPPING).unwrap_or_default();
    Mapping::parse(&word).unwrap_or_default()
}

/// A process as root in `/`.
pub(crate) fn process(argv: &[&str]) -> Process {
    Process {
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: vec!["PATH=/usr/bin:/bin".to_owned()],
        working_dir: "/".to_owned(),
        uid: 0,
        gid: 0,
        groups: vec![],
        tty: false,
        stdin_open: false,
        init: false,
    }
}

/// A container without any wish.
pub(crate) fn record(id: &str, pod: &str, argv: &[&str]) -> ContainerRecord {
    let digest = Digest::of_sha256(&[7; 32]);
    let spec = ContainerSpec::new("bed", &pod.into(), "bed", Reference::parse("bed").unwrap());
    ContainerRecord {
        id: ContainerId(id.to_owned()),
        spec,
        created: Timestamp::UNIX_EPOCH,
        image: digest.clone(),
        manifest: digest,
        layers: vec![],
        process: process(argv),
        mounts: vec![],
        endpoints: vec![],
        healthcheck: None,
        stop_signal: 15,
        log_server: None,
        injected: resource::Injected::default(),
    }
}
