//! A scenario's world: its own store, run-time folder, cgroup and copy of the project folder.

use crate::who::{self, Account, Namespaces, Who, account};
use crate::{free_port, leaks, registry};
use resource::Roots;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

/// How long something that must happen may take on a machine that is busy with other tests: half a
/// minute, `COMPOSE_TEST_SLOWNESS` times that on a machine that is emulated.
pub(crate) fn patience() -> Duration {
    static PATIENCE: OnceLock<Duration> = OnceLock::new();
    *PATIENCE.get_or_init(|| {
        let slowness = std::env::var("COMPOSE_TEST_SLOWNESS");
        Duration::from_secs(30) * slowness.map_or(1, |text| text.parse().expect("COMPOSE_TEST_SLOWNESS"))
    })
}

/// A world. Dropping it takes everything down and fails the scenario when something is left.
#[derive(Debug)]
pub struct World {
    folder: tempfile::TempDir,
    roots: Roots,
    port: u16,
    /// The ordinary user whose world it is; `None` for root's.
    account: Option<&'static Account>,
    /// The user namespaces this world has had.
    namespaces: Mutex<Namespaces>,
}

/// What a finished command said.
#[derive(Debug)]
pub struct Output {
    /// Exit code; 128 + n for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    line: String,
}

impl World {
    /// A fresh world with a copy of `cases/NAME` as its project folder.
    pub fn new(scenario: &str, who: Who) -> Self {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        let cases = std::env::var_os("COMPOSE_TEST_CASES").map_or_else(beside, PathBuf::from);
        let folder = tempfile::Builder::new().prefix("compose-scenario-").tempdir().unwrap();
        copy(&cases.join(scenario.replace('_', "-")), &folder.path().join("project"));
        Self::around(folder, account_of(who))
    }

    /// A fresh world with a copy of this one's project folder, of another user, who may look into this
    /// one's folder as far as the engine lets them.
    pub fn neighbour(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("compose-scenario-").tempdir().unwrap();
        copy(&self.project(), &folder.path().join("project"));
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.folder.path(), open).unwrap();
        Self::around(folder, Some(who::neighbour()))
    }

    /// A fresh world of root in memory whose project folder holds these files; for measurements.
    pub fn with_files(files: &[(&str, &str)]) -> Self {
        Self::of(Who::Root, files)
    }

    /// A fresh world in memory whose project folder holds these files; for measurements.
    pub fn of(who: Who, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("compose-bench-").tempdir_in("/dev/shm").unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir(&project).unwrap();
        files.iter().for_each(|(path, content)| std::fs::write(project.join(path), content).unwrap());
        Self::around(folder, account_of(who))
    }

    fn around(folder: tempfile::TempDir, account: Option<&'static Account>) -> Self {
        let mirror = format!(
            "[[registry]]\nlocation = \"docker.io\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:{}\"\ninsecure = true\n",
            registry::port()
        );
        std::fs::write(folder.path().join("registries.conf"), mirror).unwrap();
        if let Some(account) = account {
            let session = folder.path().join("session");
            std::fs::create_dir(&session).unwrap();
            std::fs::set_permissions(&session, std::fs::Permissions::from_mode(0o700)).unwrap();
            account.own(folder.path());
        }
        let roots = Roots::below(&folder.path().join("engine"));
        Self { folder, roots, port: free_port(), account, namespaces: Mutex::default() }
    }

    /// Who runs the program here.
    pub fn who(&self) -> Who {
        if self.account.is_some() { Who::User } else { Who::Root }
    }

    /// The project folder.
    pub fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// Where the engine keeps things in this world.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// A free port, given to the Compose file as `PORT`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the kernel lets limits be set here: by root, and by an ordinary user who has a session
    /// on a machine with cgroup v2 alone.
    pub fn has_limits(&self) -> bool {
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        self.account.is_none_or(|account| unified && account.bus().is_some())
    }

    /// Writes a file of the project folder.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.project().join(path);
        std::fs::write(&path, content).unwrap();
        if let Some(account) = self.account {
            account.own(&path);
        }
    }

    /// Replaces a text in a file of the project folder; it must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.project().join(path)).unwrap();
        assert!(text.contains(from), "{path} does not contain {from:?}");
        self.write(path, &text.replace(from, to));
    }

    /// The program with this world's settings, to be given arguments.
    pub fn program(&self) -> Command {
        self.command(&built())
    }

    /// The same by another name: that of a link to it beside the project.
    pub fn program_named(&self, name: &str) -> Command {
        let link = self.folder.path().join(name);
        if !link.is_symlink() {
            std::os::unix::fs::symlink(built(), &link).unwrap();
        }
        self.command(&link)
    }

    /// The same on a kernel that lacks a call: its number, the error that it has instead, and perhaps the
    /// first argument with which alone it is lacking.
    pub fn program_lacking(&self, numbers: &[u32]) -> Command {
        let name = self.account.map_or("root", |account| &account.name);
        let mut command = self.furnished(launched_as(name, &built()));
        let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
        command.env("COMPOSE_TEST_LACKING", numbers.join(" "));
        command
    }

    fn command(&self, program: &Path) -> Command {
        self.furnished(match self.account {
            None => Command::new(program),
            Some(account) => launched_as(&account.name, program),
        })
    }

    /// The command in the project's folder, with nothing but this world around it.
    fn furnished(&self, mut command: Command) -> Command {
        command
            .current_dir(self.project())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.folder.path())
            .env("COMPOSE_ENGINE_ROOT", self.folder.path().join("engine"))
            .env("CONTAINERS_REGISTRIES_CONF", self.folder.path().join("registries.conf"))
            .env("PORT", self.port.to_string());
        if let Some(account) = self.account {
            command.env("XDG_RUNTIME_DIR", self.folder.path().join("session"));
            command.envs(account.bus().map(|bus| ("DBUS_SESSION_BUS_ADDRESS", bus)));
        }
        command
    }

    /// Runs `compose` with words separated by blanks and waits for its end.
    pub fn compose(&self, line: &str) -> Output {
        self.run(&line.split_whitespace().collect::<Vec<_>>(), "")
    }

    /// Runs `compose` with these arguments and this standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.program();
        command.args(arguments);
        self.finish(command, input)
    }

    /// Runs what [`World::program`] began with this standard input, and waits for its end.
    pub fn finish(&self, mut command: Command, input: &str) -> Output {
        let line: Vec<_> =
            command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is built: cargo build --package cli");
        // A program that reads no input may have ended already.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let err = std::thread::spawn(move || read(err));
        let stdout = read(out);
        let stderr = err.join().unwrap();
        let code = exit_code(child.wait().unwrap());
        self.note_namespace();
        Output { code, stdout, stderr, line: line.join(" ") }
    }

    /// Starts `compose` in the background.
    pub fn background(&self, line: &str) -> Background {
        let mut child = self
            .program()
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        let errors = send.clone();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        std::thread::spawn(move || pass_on(out, &send));
        std::thread::spawn(move || pass_on(err, &errors));
        Background { child, lines, seen: vec![] }
    }

    /// The rows of `ps -a --no-trunc --format json`.
    pub fn rows(&self) -> Vec<Value> {
        let output = self.compose("ps -a --no-trunc --format json").ok();
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The row of the first container of a service.
    pub fn row(&self, service: &str) -> Value {
        let row = self.rows().into_iter().find(|row| row["Service"] == service);
        row.unwrap_or_else(|| panic!("no container of `{service}`"))
    }

    /// The state of the first container of a service: `running`, `exited`, ….
    pub fn state(&self, service: &str) -> String {
        self.row(service)["State"].as_str().unwrap().to_owned()
    }

    /// The id of the first container of a service.
    pub fn id(&self, service: &str) -> String {
        self.row(service)["ID"].as_str().unwrap().to_owned()
    }

    /// A name for a cgroup beside the world's own: what is left of it at the end is found, and removed.
    pub fn cgroup_beside(&self, name: &str) -> String {
        format!("{}-{name}", self.roots.cgroup)
    }

    /// Host process ids of all processes in a container, its first process before the others: from its
    /// cgroup, and where an ordinary user may have none, from its mount namespace.
    pub fn processes(&self, id: &str) -> Vec<i32> {
        match self.who() {
            Who::Root => leaks::processes_of(&self.roots, id),
            Who::User => self.first_process(id).map(who::beside).unwrap_or_default(),
        }
    }

    /// The first process of a container, from its state document.
    pub fn first_process(&self, id: &str) -> Option<i32> {
        let pods = std::fs::read_dir(self.roots.run.join("pods")).ok()?.flatten();
        let documents = pods.map(|pod| pod.path().join("containers").join(id).join("state.json"));
        let bytes = documents.filter_map(|document| std::fs::read(document).ok()).next()?;
        Some(resource::document::decode::<resource::ContainerState>(&bytes)?.process?.pid)
    }

    /// Fails when anything is left that belongs to no image: in the middle of a scenario, after a `down -v`.
    pub fn assert_nothing_left(&self) {
        let stragglers = self.stragglers();
        let left = leaks::find(&self.roots, self.folder.path());
        assert!(left.is_empty() && stragglers.is_empty(), "left behind: {left:#?}, processes {stragglers:?}");
    }

    /// Fails when the store has something half-made, or something that says whose that was. Nothing may be under way.
    pub fn assert_nothing_half_made(&self) {
        let (data, run) = (&self.roots.data, &self.roots.run);
        let folders = [
            data.join("tmp"),
            data.join("images"),
            data.join("blobs/sha256"),
            run.join("locks"),
            run.join("pins"),
        ];
        let whole = |folder: &Path, name: &str| {
            (folder.ends_with("images") || folder.ends_with("sha256")) && !name.ends_with(".tmp")
        };
        for folder in folders {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            // An empty layer is kept for those views that need one.
            let left: Vec<_> =
                names.filter(|name| !whole(&folder, name) && !name.starts_with("empty")).collect();
            assert!(left.is_empty(), "left in {}: {left:?}", folder.display());
        }
    }

    /// Remembers the user namespace that the world has now, to look for what stays in it.
    pub(crate) fn note_namespace(&self) {
        if self.account.is_some() {
            self.namespaces.lock().unwrap().extend(who::namespace(&self.roots));
        }
    }

    /// Waits for the end of the user's own processes, which end by themselves after the last command
    /// and supervisor; returns those that do not.
    fn stragglers(&self) -> Vec<i32> {
        let namespaces = self.namespaces.lock().unwrap();
        let end = Instant::now() + patience();
        loop {
            let left = match self.account {
                // One that a failed command wanted may come to life, and end, after the command.
                None => leaks::supervisors(self.folder.path()),
                Some(account) => who::processes(account, &self.roots, self.folder.path(), &namespaces),
            };
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Process id of a process of the user's that is recorded in this document of the run-time folder:
    /// `infra.json`, `pasta.json`.
    pub fn recorded(&self, document: &str) -> Option<i32> {
        who::recorded(&self.roots, document)
    }

    /// Process id of the supervisor.
    pub fn supervisor(&self) -> Option<i32> {
        leaks::supervisors(self.folder.path()).first().copied()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.note_namespace();
        let pods = std::fs::read_dir(self.roots.data.join("pods")).into_iter().flatten().flatten();
        for pod in pods.map(|pod| pod.file_name().to_string_lossy().into_owned()) {
            let output = self.run(&["-p", &pod, "down", "-v", "--remove-orphans", "-t", "0"], "");
            if output.code != 0 && !std::thread::panicking() {
                panic!("the final `down` failed: {output:?}");
            }
        }
        let stragglers = self.stragglers();
        let mut left = leaks::find(&self.roots, self.folder.path());
        for pid in stragglers {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            left.push(format!("process {pid} of the user: {}", name.trim()));
            drop(Command::new("/bin/kill").args(["-KILL", &pid.to_string()]).status());
        }
        leaks::remove(&self.roots, self.folder.path());
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left behind:\n  {}", left.join("\n  "));
        }
    }
}

impl Output {
    /// The same, when the command succeeded.
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// The same, when the command ended with this code.
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "`compose {}` ended with {}, not {code}\n--- stdout\n{}\n--- stderr\n{}",
            self.line,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// The same, when standard output or error contains the text.
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "`compose {}` did not say {text:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.line,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// A command in the background; killed when dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Background {
    /// Waits for a line of its output that contains the text, and returns it.
    pub fn line(&mut self, text: &str) -> String {
        let end = Instant::now() + patience();
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with {text:?}; there were:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        kill(i32::try_from(self.child.id()).unwrap(), name);
    }

    /// Waits until it has a socket: it has looked at what there is, and asks or listens now.
    pub fn has_asked(&self) {
        let folder = format!("/proc/{}/fd", self.child.id());
        until("the background command has a socket", || {
            let open = std::fs::read_dir(&folder).ok()?.flatten();
            let mut links = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            links.any(|link| link.to_string_lossy().starts_with("socket:")).then_some(())
        });
    }

    /// Waits for its end and returns its exit code.
    pub fn end(&mut self) -> i32 {
        until("the background command ends", || self.child.try_wait().unwrap()).into_code()
    }

    /// Every line it has printed so far.
    pub fn lines(&mut self) -> &[String] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn account_of(who: Who) -> Option<&'static Account> {
    (who == Who::User).then(account)
}

trait IntoCode {
    fn into_code(self) -> i32;
}

impl IntoCode for std::process::ExitStatus {
    fn into_code(self) -> i32 {
        exit_code(self)
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}

/// Sends a signal to one process.
pub(crate) fn kill(pid: i32, signal: &str) {
    let status = Command::new("/bin/kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{signal} {pid}");
}

/// A program, run as a user of the machine by name.
fn launched_as(name: &str, program: &Path) -> Command {
    let mut command = Command::new(who::launcher());
    command.arg(name).arg(program);
    command
}

/// The program that is tested.
fn built() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/compose");
    std::env::var_os("COMPOSE_TEST_PROGRAM").map_or(built, PathBuf::from)
}

/// Asks until there is an answer; for what gives no event to a test, such as a port of a container.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {:?}: {what}", patience());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Does something in a network namespace, on a thread of its own.
pub fn within<T: Send>(namespace: &str, act: impl FnOnce() -> T + Send) -> T {
    let file = std::fs::File::open(namespace).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(file.as_fd(), kind).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

/// The body that a published port answers to `GET /PATH`; `None` when it does not answer with 200.
pub fn http(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: test\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

fn read(mut from: impl Read) -> String {
    let mut bytes = vec![];
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn pass_on(from: impl Read, to: &mpsc::Sender<String>) {
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let entries = std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    for entry in entries.map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
