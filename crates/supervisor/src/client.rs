//! The command's end of the connection to a supervisor.
//!
//! Many requests may be in flight at once on one connection: each has a number, and a task of the
//! connection hands every reply to the call it belongs to. When the supervisor dies, every call in
//! flight fails with [`ClientError::Gone`].

use crate::error::ClientError;
use crate::launcher;
use crate::packet::{self, Packet};
use crate::protocol::{Answer, Call, Event, ExecRequest, PROTOCOL, Reply, Request, Stdio, Streams, VERSION};
use resource::{Condition, ContainerId, ContainerState, ExitStatus, PodName, Roots};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// How long a supervisor that ends is waited for before another can take its place.
const TAKEOVER: Duration = Duration::from_secs(10);

type Delivery = (Reply, Vec<OwnedFd>);

/// A connection to the supervisor of one pod. It ends when this is dropped, and whatever it has been asked for and
/// still goes on: streams of events, and processes that are waited for.
#[derive(Debug)]
pub struct Client {
    inner: Arc<Inner>,
    connection: Arc<Connection>,
}

/// Who uses a connection.
#[derive(Debug)]
struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pod: PodName,
    socket: AsyncFd<OwnedFd>,
    next: AtomicU64,
    /// Calls that wait for a reply; `None` once the supervisor is gone.
    calls: Mutex<Option<HashMap<u64, mpsc::UnboundedSender<Delivery>>>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The reader task holds the socket too; this ends it.
        let _ = rustix::net::shutdown(self.0.socket.get_ref(), rustix::net::Shutdown::Both);
    }
}

impl Client {
    /// Connects to the supervisor that runs; `None` when none does.
    ///
    /// # Errors
    /// `Connect`, `Version`.
    pub async fn connect(roots: &Roots, pod: &PodName) -> Result<Option<Self>, ClientError> {
        let socket = match connect_socket(&roots.pod_run(pod)) {
            Ok(socket) => socket,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(source) => return Err(ClientError::Connect { pod: pod.clone(), source }),
        };
        match Self::greet(socket, pod, None).await {
            Ok(client) => Ok(Some(client)),
            // It was about to end; that is the same as not running.
            Err(ClientError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Connects to the supervisor, starting one when none runs. Of several that are started at once,
    /// one stays.
    ///
    /// # Errors
    /// `Connect`, `Version`, `Spawn`.
    pub async fn connect_or_spawn(roots: &Roots, pod: &PodName) -> Result<Self, ClientError> {
        let deadline = Instant::now() + TAKEOVER;
        loop {
            if let Some(client) = Self::connect(roots, pod).await? {
                return Ok(client);
            }
            let failed = |source| ClientError::Spawn { pod: pod.clone(), source };
            let (socket, child) = launcher::launch(roots, pod).map_err(failed)?;
            let mut ended = None;
            match Self::greet(socket, pod, Some((child, &mut ended))).await {
                Err(ClientError::Gone { .. }) => {}
                other => return other,
            }
            let busy = ended.and_then(|status| status.code()) == Some(i32::from(launcher::BUSY));
            if !busy || Instant::now() > deadline {
                let log = roots.pod_run(pod).join("supervisor.log");
                let what = if busy { "another one does not answer" } else { "it ended at once" };
                let text = format!("{what}; see {}", log.display());
                return Err(failed(io::Error::other(text)));
            }
            // Another one is coming up or going down; nothing tells when.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Says hello and checks that both ends speak the same version. A `child` is reaped when the
    /// connection ends.
    async fn greet(
        socket: OwnedFd,
        pod: &PodName,
        child: Option<(Child, &mut Option<std::process::ExitStatus>)>,
    ) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect { pod: pod.clone(), source };
        let inner = Arc::new(Inner {
            pod: pod.clone(),
            socket: watched(socket).map_err(failed)?,
            next: AtomicU64::new(1),
            calls: Mutex::new(Some(HashMap::new())),
        });
        let client = Self { inner: inner.clone(), connection: Arc::new(Connection(inner.clone())) };
        let reader = tokio::spawn({
            let inner = inner.clone();
            async move { inner.read().await }
        });
        let hello = Request::Hello { version: VERSION.to_owned(), protocol: PROTOCOL };
        let answer = client.request(hello, &[]).await;
        if let Some((mut child, ended)) = child {
            if matches!(answer, Err(ClientError::Gone { .. })) {
                *ended = child.wait().ok();
            } else {
                // Nobody asks how it ended; it must only not stay a zombie of ours.
                tokio::spawn(async move {
                    drop(reader.await);
                    drop(tokio::task::spawn_blocking(move || child.try_wait()).await);
                });
            }
        }
        match answer? {
            (Reply::Hello { version, protocol, .. }, _) if version == VERSION && protocol == PROTOCOL => {
                Ok(client)
            }
            (Reply::Hello { version, protocol, .. }, _) => Err(ClientError::Version {
                pod: pod.clone(),
                ours: format!("{VERSION} (messages {PROTOCOL})"),
                theirs: format!("{version} (messages {protocol})"),
            }),
            _ => Err(client.confused()),
        }
    }

    /// Starts a container, its output going to its log. One that runs already is left alone.
    /// Requests made at the same time are handled as one batch.
    ///
    /// The supervisor keeps `lock` open, too, until the start has gone well or failed: when the caller is
    /// killed, who waits for its flock(2) finds no start still under way.
    ///
    /// # Errors
    /// `Failed` with the kind and the exit code of the failure.
    pub async fn start(
        &self,
        id: &ContainerId,
        lock: Option<BorrowedFd<'_>>,
    ) -> Result<ContainerState, ClientError> {
        let request = Request::Start { id: id.clone(), streams: Streams::Log, locked: lock.is_some() };
        match self.request(request, lock.as_slice()).await? {
            (Reply::State(state), _) => Ok(*state),
            _ => Err(self.confused()),
        }
    }

    /// Starts a container whose standard streams are the caller's: nothing is relayed, nothing logged.
    /// Returns the terminal's master if one was asked for. When the caller goes away, the output of a
    /// terminal goes to the log. `lock` is kept as by [`Client::start`].
    ///
    /// # Errors
    /// `Failed`, with the kind and the exit code of the failure; `NotRunning` does not occur, but a
    /// container that runs already is `Refused`.
    pub async fn start_attached(
        &self,
        id: &ContainerId,
        stdio: Stdio,
        lock: Option<BorrowedFd<'_>>,
    ) -> Result<Option<OwnedFd>, ClientError> {
        let (streams, mut files) = split(&stdio);
        files.extend(lock);
        let request = Request::Start { id: id.clone(), streams, locked: lock.is_some() };
        match self.request(request, &files).await? {
            (Reply::State(_), mut files) => Ok(files.pop()),
            _ => Err(self.confused()),
        }
    }

    /// Takes over the terminal of a container that runs, until this connection ends; `None` when it has
    /// none.
    ///
    /// # Errors
    /// `Failed` with `NoSuchContainer` or `NotRunning`.
    pub async fn attach(&self, id: &ContainerId) -> Result<Option<OwnedFd>, ClientError> {
        match self.request(Request::Attach { id: id.clone() }, &[]).await? {
            (Reply::State(_), mut files) => Ok(files.pop()),
            _ => Err(self.confused()),
        }
    }

    /// Stops a container: `signal` (the record's by default), then SIGKILL after `grace` (`None` is
    /// the record's, zero is at once). It counts as stopped by hand. Answers when it is down, at once
    /// when it was not up.
    ///
    /// # Errors
    /// `Failed`.
    pub async fn stop(
        &self,
        id: &ContainerId,
        signal: Option<i32>,
        grace: Option<Duration>,
    ) -> Result<ExitStatus, ClientError> {
        match self.request(Request::Stop { id: id.clone(), signal, grace }, &[]).await? {
            (Reply::Exit(exit), _) => Ok(exit),
            _ => Err(self.confused()),
        }
    }

    /// Sends a signal to the container's first process. SIGKILL and the stop signal count as stopping
    /// it by hand. Answers at once; [`Client::wait`] tells the end.
    ///
    /// # Errors
    /// `Failed` with `NotRunning`.
    pub async fn kill(&self, id: &ContainerId, signal: i32) -> Result<(), ClientError> {
        self.done(Request::Kill { id: id.clone(), signal }).await
    }

    /// Freezes the container's processes.
    ///
    /// # Errors
    /// `Failed` with `NotRunning` or `Paused`.
    pub async fn pause(&self, id: &ContainerId) -> Result<(), ClientError> {
        self.done(Request::Pause { id: id.clone() }).await
    }

    /// Lets them run again.
    ///
    /// # Errors
    /// `Failed` with `NotRunning` when it is not paused.
    pub async fn unpause(&self, id: &ContainerId) -> Result<(), ClientError> {
        self.done(Request::Unpause { id: id.clone() }).await
    }

    /// Starts a process in a running container.
    ///
    /// # Errors
    /// `Failed` with `NotRunning`, `Paused`, `NotFound`, `NotExecutable` …
    pub async fn exec(
        &self,
        id: &ContainerId,
        request: ExecRequest,
        stdio: Stdio,
    ) -> Result<Exec, ClientError> {
        let (streams, files) = split(&stdio);
        let mut call = self.call(Request::Exec { id: id.clone(), request, streams }, &files).await?;
        match call.next().await? {
            (Reply::Executing { pid }, mut files) => Ok(Exec { pid, terminal: files.pop(), call }),
            _ => Err(self.confused()),
        }
    }

    /// Waits until the condition holds or can no longer hold without somebody's doing; the state
    /// tells which. `Healthy` ends too when the container exits, becomes unhealthy or has no check;
    /// each ends when a start fails. A container in restart back-off is waited for. A container that
    /// was never started is waited for, so the wait can be set up before the start.
    ///
    /// # Errors
    /// `Failed` with `NoSuchContainer`.
    pub async fn wait(&self, id: &ContainerId, condition: Condition) -> Result<ContainerState, ClientError> {
        match self.request(Request::Wait { id: id.clone(), condition }, &[]).await? {
            (Reply::State(state), _) => Ok(*state),
            _ => Err(self.confused()),
        }
    }

    /// What happens to the pod's containers from now on.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn events(&self) -> Result<EventStream, ClientError> {
        let mut call = self.call(Request::Events, &[]).await?;
        match call.next().await? {
            (Reply::Done, _) => Ok(EventStream { call }),
            _ => Err(self.confused()),
        }
    }

    /// The container's record is about to be removed: the supervisor drops what it knows of it, its
    /// run-time folder and cgroup too.
    ///
    /// # Errors
    /// `Failed` with `Refused` when it runs.
    pub async fn forget(&self, id: &ContainerId) -> Result<(), ClientError> {
        self.done(Request::Forget { id: id.clone() }).await
    }

    /// The pod is being removed: once it has no containers the supervisor ends, whoever else listens.
    ///
    /// # Errors
    /// `Gone` when it has ended.
    pub async fn retire(&self) -> Result<(), ClientError> {
        self.done(Request::Retire).await
    }

    /// The container's record was replaced: the supervisor reads it again.
    ///
    /// # Errors
    /// `Failed` with `NoSuchContainer`.
    pub async fn renamed(&self, id: &ContainerId) -> Result<(), ClientError> {
        self.done(Request::Renamed { id: id.clone() }).await
    }

    /// Publishes the ports of one container by another, in one change.
    ///
    /// # Errors
    /// `Failed` with `PortTaken` when the other one wants a port besides that somebody has.
    pub async fn hand_over(&self, from: &ContainerId, to: &ContainerId) -> Result<(), ClientError> {
        self.done(Request::HandOver { from: from.clone(), to: to.clone() }).await
    }

    /// The container's record has other ports or aliases: the supervisor publishes what it says.
    ///
    /// # Errors
    /// `Failed` with `PortTaken`, and everything is as it was; `Failed` with `NoSuchContainer`.
    pub async fn updated(&self, id: &ContainerId) -> Result<(), ClientError> {
        self.done(Request::Updated { id: id.clone() }).await
    }

    async fn done(&self, request: Request) -> Result<(), ClientError> {
        match self.request(request, &[]).await? {
            (Reply::Done, _) => Ok(()),
            _ => Err(self.confused()),
        }
    }

    fn confused(&self) -> ClientError {
        ClientError::Confused { pod: self.inner.pod.clone() }
    }

    async fn request(&self, request: Request, files: &[BorrowedFd<'_>]) -> Result<Delivery, ClientError> {
        self.call(request, files).await?.next().await
    }

    async fn call(&self, request: Request, files: &[BorrowedFd<'_>]) -> Result<Pending, ClientError> {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let (sender, replies) = mpsc::unbounded_channel();
        match self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(calls) => drop(calls.insert(number, sender)),
            None => return Err(self.inner.gone()),
        }
        let (inner, connection) = (self.inner.clone(), self.connection.clone());
        let call = Pending { inner, _connection: connection, number, replies, answered: false };
        let bytes = packet::encode(&Call { number, request });
        self.inner.send(&bytes, files).await?;
        Ok(call)
    }
}

impl Inner {
    fn gone(&self) -> ClientError {
        ClientError::Gone { pod: self.pod.clone() }
    }

    async fn send(&self, bytes: &[u8], files: &[BorrowedFd<'_>]) -> Result<(), ClientError> {
        let sent = async {
            loop {
                let mut ready = self.socket.writable().await?;
                if let Ok(result) = ready.try_io(|socket| packet::send(socket, bytes, files)) {
                    return result;
                }
            }
        };
        sent.await.map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => self.gone(),
            _ => ClientError::Connect { pod: self.pod.clone(), source },
        })
    }

    /// Hands replies to their calls until the supervisor is gone; then every call ends.
    async fn read(&self) {
        while let Ok(Some(packet)) = self.receive().await {
            let Ok(answer) = serde_json::from_slice::<Answer>(&packet.bytes) else { break };
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(calls) = calls.as_mut() else { break };
            if let Some(sender) = calls.get(&answer.number) {
                drop(sender.send((answer.reply, packet.descriptors)));
            }
        }
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn receive(&self) -> io::Result<Option<Packet>> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(result) = ready.try_io(packet::receive) {
                return result;
            }
        }
    }
}

/// A call whose replies are awaited. Dropping it tells the supervisor that they no longer are.
#[derive(Debug)]
struct Pending {
    inner: Arc<Inner>,
    _connection: Arc<Connection>,
    number: u64,
    replies: mpsc::UnboundedReceiver<Delivery>,
    answered: bool,
}

impl Pending {
    async fn next(&mut self) -> Result<Delivery, ClientError> {
        let (reply, files) = self.replies.recv().await.ok_or_else(|| self.inner.gone())?;
        self.answered = true;
        match reply {
            Reply::Failed(failure) => Err(failure.into()),
            reply => Ok((reply, files)),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(calls) = self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            calls.remove(&self.number);
        }
        if !self.answered {
            let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
            let cancel = Call { number, request: Request::Cancel { call: self.number } };
            // When the socket is full the supervisor does work it need not do; nothing worse.
            drop(packet::send(self.inner.socket.get_ref(), &packet::encode(&cancel), &[]));
        }
    }
}

/// A process that was started in a container.
#[derive(Debug)]
pub struct Exec {
    /// Its process id on the host.
    pub pid: i32,
    /// Master of its terminal, if one was asked for.
    pub terminal: Option<OwnedFd>,
    call: Pending,
}

impl Exec {
    /// Waits for its end and tells its exit code; 128 and the number for a signal.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn wait(&mut self) -> Result<i32, ClientError> {
        match self.call.next().await? {
            (Reply::Executed { code }, _) => Ok(code),
            _ => Err(ClientError::Confused { pod: self.call.inner.pod.clone() }),
        }
    }
}

/// Events, in order.
#[derive(Debug)]
pub struct EventStream {
    call: Pending,
}

impl EventStream {
    /// The next event; `None` when the supervisor is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.call.next().await {
            Ok((Reply::Event(event), _)) => Some(*event),
            _ => None,
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        // The first reply answered the call; the stream is to end all the same.
        self.call.answered = false;
    }
}

fn split(stdio: &Stdio) -> (Streams, Vec<BorrowedFd<'_>>) {
    match stdio {
        Stdio::Null => (Streams::Log, vec![]),
        Stdio::Files { stdin, stdout, stderr } => {
            (Streams::Files, vec![stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
        }
        Stdio::Terminal { rows, columns } => (Streams::Terminal { rows: *rows, columns: *columns }, vec![]),
    }
}

/// Connects to the socket in a folder, by way of the folder's descriptor: a socket's address holds
/// 108 bytes at most, a path more.
fn connect_socket(folder: &Path) -> io::Result<OwnedFd> {
    let folder = sys::file::open_folder(folder)?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/supervisor.sock", folder.as_raw_fd()))?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    packet::widen(&socket);
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Registers a descriptor with tokio.
#[expect(
    deprecated,
    reason = "an OwnedFd keeps its descriptor open and unchanged, which is what `new` trusts in"
)]
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}
