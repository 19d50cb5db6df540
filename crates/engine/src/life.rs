//! The life of containers, by way of their pod's supervisor: one connection per pod is kept while it
//! is good. While it is, the supervisor does not end.

use crate::error::Foreign;
use crate::observe::checked_state;
use crate::{Engine, EngineError};
use resource::{
    Condition, ContainerId, ContainerRecord, ContainerState, ExitStatus, Platform, PodName, Status,
};
use std::future::Future;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use supervisor::{Client, ClientError, EventStream, Exec, ExecRequest, Failure, FailureKind, Stdio};

impl Engine {
    /// Starts a container; one that runs is left alone. Its networks are made sure to be up.
    ///
    /// # Errors
    /// [`EngineError::Start`] with the exit code it stands for.
    pub async fn start(&self, pod: &PodName, id: &ContainerId) -> Result<ContainerState, EngineError> {
        let record = self.ready(pod, id)?;
        let lock = self.held_lock(pod);
        let started = self.call(pod, id, |client, id| {
            let lock = lock.clone();
            async move { client.start(&id, lock.as_ref().map(|lock| lock.as_fd())).await }
        });
        let started = started.await;
        started.map_err(|error| self.start_failed(&record, error))
    }

    /// Starts a container on the caller's streams (`run`); the terminal's master comes back when one
    /// was asked for. Wait for the end with [`Engine::wait`].
    ///
    /// # Errors
    /// [`EngineError::Start`].
    pub async fn run_attached(
        &self,
        pod: &PodName,
        id: &ContainerId,
        stdio: Stdio,
    ) -> Result<Option<OwnedFd>, EngineError> {
        let record = self.ready(pod, id)?;
        let started = match self.living_client(pod).await {
            Ok(client) => {
                let lock = self.held_lock(pod);
                client.start_attached(id, stdio, lock.as_ref().map(|lock| lock.as_fd())).await
            }
            Err(error) => Err(error),
        };
        started.map_err(|error| self.start_failed(&record, error))
    }

    /// The document of a container whose surroundings are in place.
    fn ready(&self, pod: &PodName, id: &ContainerId) -> Result<ContainerRecord, EngineError> {
        let record = self.record(pod, id).ok_or_else(|| EngineError::NoSuchId(id.clone()))?;
        self.bring_up_networks(&record)?;
        self.restore_contents(&record)?;
        Ok(record)
    }

    fn start_failed(&self, record: &ContainerRecord, error: ClientError) -> EngineError {
        let ClientError::Failed(Failure { kind, mut message, exit_code, part }) = error else {
            let attempt = format!("start container `{}`", record.spec.name);
            return EngineError::Supervisor { attempt, pod: record.spec.pod.clone(), source: error };
        };
        if matches!(kind, FailureKind::PortTaken(_))
            && let Some((name, pod)) = self.port_holder(record)
            && !message.contains(name.as_str())
        {
            message = format!("{message}: container `{name}` of pod `{pod}` publishes it");
        }
        let foreign = matches!(exit_code, 126 | 127).then(|| self.foreign(record)).flatten();
        if let Some(Foreign { platform, .. }) = &foreign {
            message = format!("{message}: its image is for {platform}, this machine is {}", Platform::host());
        }
        let (container, service) = (record.spec.name.clone(), record.spec.service.clone());
        let foreign = foreign.map(Box::new);
        EngineError::Start { container, service, message, exit_code, kind, part, foreign }
    }

    /// What a container's image is for, and what to do, when its programs cannot be executed here.
    fn foreign(&self, record: &ContainerRecord) -> Option<Foreign> {
        let image = self.store().image(&record.spec.image, record.spec.platform.as_ref())?;
        let help = builder::lacking_emulator(&image.platform)?;
        (image.id == record.image).then_some(Foreign { platform: image.platform, help })
    }

    /// Stops a container: its stop signal, then SIGKILL after `grace` (`None`: its own; zero: at
    /// once). `None` comes back when it did not run.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn stop(
        &self,
        pod: &PodName,
        id: &ContainerId,
        grace: Option<Duration>,
    ) -> Result<Option<ExitStatus>, EngineError> {
        let Some(container) = self.observe_container(pod, id) else { return Ok(None) };
        if matches!(container.state.status, Status::Created) {
            return Ok(None);
        }
        let stop = |client: Arc<Client>, id: ContainerId| async move { client.stop(&id, None, grace).await };
        self.ask_living(pod, &container.record, "stop", stop).await
    }

    /// Sends a signal to a container's first process.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it does not run, [`EngineError::Supervisor`].
    pub async fn kill(&self, pod: &PodName, id: &ContainerId, signal: i32) -> Result<(), EngineError> {
        self.act(pod, id, "send a signal to", |client, id| async move { client.kill(&id, signal).await })
            .await
    }

    /// Takes over the terminal of a container that runs, for as long as this engine lives; `None` when it
    /// has none.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it does not run, [`EngineError::Supervisor`].
    pub async fn attach(&self, pod: &PodName, id: &ContainerId) -> Result<Option<OwnedFd>, EngineError> {
        let record = self.record(pod, id).ok_or_else(|| EngineError::NoSuchId(id.clone()))?;
        let attach = |client: Arc<Client>, id: ContainerId| async move { client.attach(&id).await };
        Ok(self.ask_living(pod, &record, "attach to", attach).await?.flatten())
    }

    /// The standard input of a container that keeps it open and has no terminal, for writing.
    ///
    /// # Errors
    /// [`EngineError::File`]
    pub fn open_input(&self, record: &ContainerRecord) -> Result<Option<std::fs::File>, EngineError> {
        if !record.process.stdin_open || record.process.tty {
            return Ok(None);
        }
        let path = self.roots().container_run(&record.spec.pod, &record.id).join("stdin");
        let file = std::fs::File::options().write(true).open(&path);
        file.map(Some).map_err(EngineError::file("open", &path))
    }

    /// Freezes a container's processes.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it does not run, [`EngineError::Supervisor`].
    pub async fn pause(&self, pod: &PodName, id: &ContainerId) -> Result<(), EngineError> {
        self.act(pod, id, "pause", |client, id| async move { client.pause(&id).await }).await
    }

    /// Thaws a container's processes.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it is not paused, [`EngineError::Supervisor`].
    pub async fn unpause(&self, pod: &PodName, id: &ContainerId) -> Result<(), EngineError> {
        self.act(pod, id, "unpause", |client, id| async move { client.unpause(&id).await }).await
    }

    /// Stops and starts a container.
    ///
    /// # Errors
    /// As [`Engine::stop`] and [`Engine::start`].
    pub async fn restart(
        &self,
        pod: &PodName,
        id: &ContainerId,
        grace: Option<Duration>,
    ) -> Result<ContainerState, EngineError> {
        self.stop(pod, id, grace).await?;
        let state = self.start(pod, id).await?;
        self.note_restart(pod, id);
        Ok(state)
    }

    /// Notes among the events that one command has stopped and started a container.
    pub fn note_restart(&self, pod: &PodName, id: &ContainerId) {
        if let Some(record) = self.record(pod, id) {
            self.journalize(&record, supervisor::EventKind::Restarted);
        }
    }

    /// Waits, by event, until the condition holds or cannot hold any more; the state then tells which.
    /// Also of a container that has removed itself since this engine started it: the supervisor knows
    /// how it ended as long as the connection lasts.
    ///
    /// # Errors
    /// [`EngineError::NoSuchId`], [`EngineError::Supervisor`].
    pub async fn wait(
        &self,
        pod: &PodName,
        id: &ContainerId,
        condition: Condition,
    ) -> Result<ContainerState, EngineError> {
        let wait = |client: Arc<Client>, id: ContainerId| async move { client.wait(&id, condition).await };
        let Some(record) = self.record(pod, id) else {
            let kept = self.inner.clients.lock().await.get(pod).cloned();
            let kept = kept.ok_or_else(|| EngineError::NoSuchId(id.clone()))?;
            return wait(kept, id.clone()).await.map_err(|error| self.of_removed(pod, id, error));
        };
        let waited = self.ask_living(pod, &record, "wait for", wait).await?;
        Ok(waited.unwrap_or_else(|| checked_state(self.roots(), &record)))
    }

    /// Runs a process in a container that runs.
    ///
    /// # Errors
    /// [`EngineError::Exec`] when it could not be started (127 not found, 126 not executable).
    pub async fn exec(
        &self,
        pod: &PodName,
        id: &ContainerId,
        request: ExecRequest,
        stdio: Stdio,
    ) -> Result<Exec, EngineError> {
        let record = self.record(pod, id).ok_or_else(|| EngineError::NoSuchId(id.clone()))?;
        let program = request.argv.first().cloned().unwrap_or_default();
        let executed = match self.living_client(pod).await {
            Ok(client) => client.exec(id, request, stdio).await,
            Err(error) => Err(error),
        };
        executed.map_err(|error| match error {
            ClientError::Failed(Failure { kind, message, exit_code, .. }) => {
                let (container, service) = (record.spec.name, record.spec.service);
                let kind = Box::new(kind);
                EngineError::Exec { container, service, program, message, exit_code, kind }
            }
            source => {
                let attempt = format!("run `{program}` in container `{}`", record.spec.name);
                EngineError::Supervisor { attempt, pod: pod.clone(), source }
            }
        })
    }

    /// What happens to the pod's containers from now on. Keeps the supervisor alive; spawns one when
    /// none is there.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn events(&self, pod: &PodName) -> Result<EventStream, EngineError> {
        let events = async {
            let client = self.living_client(pod).await?;
            match client.events().await {
                // It was to a supervisor that has ended, and another one answers now.
                Err(ClientError::Gone { .. }) => {
                    self.drop_client(pod, &client).await;
                    self.client(pod).await?.events().await
                }
                other => other,
            }
        };
        let failed = |source| EngineError::Supervisor {
            attempt: "follow events".to_owned(),
            pod: pod.clone(),
            source,
        };
        events.await.map_err(failed)
    }

    /// Makes sure that living containers have a supervisor: spawns one when theirs died. Every
    /// command may call it first; for a pod where nothing runs it costs a few looks at small files.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn adopt(&self, pod: &PodName) -> Result<(), EngineError> {
        crate::names::check(&pod.0)?;
        // An ordinary user who is not in its namespace found nobody there: no container lives.
        if !rustix::process::geteuid().is_root() || !self.roots().pod_run(pod).exists() {
            return Ok(());
        }
        // Only its answer tells that it lives: one that is being killed still holds its lock.
        if self.is_busy(pod)? {
            let failed = |source| EngineError::Supervisor {
                attempt: "adopt containers".to_owned(),
                pod: pod.clone(),
                source,
            };
            self.living_client(pod).await.map_err(failed)?;
        }
        Ok(())
    }

    /// As `client`, for a request that cannot be made twice: a connection that was kept is only good
    /// while a supervisor still answers.
    async fn living_client(&self, pod: &PodName) -> Result<Arc<Client>, ClientError> {
        let kept = self.inner.clients.lock().await.get(pod).cloned();
        if let Some(kept) = kept
            && Client::connect(self.roots(), pod).await?.is_none()
        {
            self.drop_client(pod, &kept).await;
        }
        self.client(pod).await
    }

    /// The cached connection, a new one, or a new supervisor's.
    pub(crate) async fn client(&self, pod: &PodName) -> Result<Arc<Client>, ClientError> {
        let mut clients = self.inner.clients.lock().await;
        if let Some(client) = clients.get(pod) {
            return Ok(client.clone());
        }
        let client = Arc::new(Client::connect_or_spawn(self.roots(), pod).await?);
        clients.insert(pod.clone(), client.clone());
        Ok(client)
    }

    /// The cached connection or a new one, if a supervisor is there.
    pub(crate) async fn client_if_any(&self, pod: &PodName) -> Result<Option<Arc<Client>>, ClientError> {
        let mut clients = self.inner.clients.lock().await;
        if let Some(client) = clients.get(pod) {
            return Ok(Some(client.clone()));
        }
        let client = Client::connect(self.roots(), pod).await?.map(Arc::new);
        if let Some(client) = &client {
            clients.insert(pod.clone(), client.clone());
        }
        Ok(client)
    }

    /// Gives the connection up, so that a supervisor with nothing to do may end.
    pub(crate) async fn disconnect(&self, pod: &PodName) {
        self.inner.clients.lock().await.remove(pod);
    }

    /// Forgets a connection that turned out to be dead, unless another took its place already.
    async fn drop_client(&self, pod: &PodName, dead: &Arc<Client>) {
        let mut clients = self.inner.clients.lock().await;
        if clients.get(pod).is_some_and(|client| Arc::ptr_eq(client, dead)) {
            clients.remove(pod);
        }
    }

    /// Asks the supervisor, spawning one if need be. When it dies meanwhile, another is asked, once.
    async fn call<T, F, A>(&self, pod: &PodName, id: &ContainerId, ask: F) -> Result<T, ClientError>
    where
        F: Fn(Arc<Client>, ContainerId) -> A,
        A: Future<Output = Result<T, ClientError>>,
    {
        let client = self.client(pod).await?;
        match ask(client.clone(), id.clone()).await {
            Err(ClientError::Gone { .. }) => {
                self.drop_client(pod, &client).await;
                ask(self.client(pod).await?, id.clone()).await
            }
            other => other,
        }
    }

    /// Asks the supervisor about a container that may not run: without a supervisor one is spawned only
    /// when the container needs it, else `None` comes back.
    async fn ask_living<T, F, A>(
        &self,
        pod: &PodName,
        record: &ContainerRecord,
        attempt: &'static str,
        ask: F,
    ) -> Result<Option<T>, EngineError>
    where
        F: Fn(Arc<Client>, ContainerId) -> A,
        A: Future<Output = Result<T, ClientError>>,
    {
        let failed = |source| self.refused(record, attempt, source);
        if self.client_if_any(pod).await.map_err(failed)?.is_none()
            && !is_active(checked_state(self.roots(), record).status)
        {
            return Ok(None);
        }
        self.call(pod, &record.id, ask).await.map(Some).map_err(failed)
    }

    async fn act<F, A>(
        &self,
        pod: &PodName,
        id: &ContainerId,
        attempt: &'static str,
        ask: F,
    ) -> Result<(), EngineError>
    where
        F: Fn(Arc<Client>, ContainerId) -> A,
        A: Future<Output = Result<(), ClientError>>,
    {
        let record = self.record(pod, id).ok_or_else(|| EngineError::NoSuchId(id.clone()))?;
        let done = self.ask_living(pod, &record, attempt, ask).await?;
        done.ok_or_else(|| {
            let message = "it is not running".to_owned();
            EngineError::Refused {
                attempt,
                container: record.spec.name,
                message,
                kind: FailureKind::NotRunning,
            }
        })
    }

    /// Tells a supervisor that is there of a change to a container; whether one was there to hear it.
    pub(crate) async fn tell_supervisor<F, A>(
        &self,
        pod: &PodName,
        id: &ContainerId,
        attempt: &'static str,
        tell: F,
    ) -> Result<bool, EngineError>
    where
        F: Fn(Arc<Client>, ContainerId) -> A,
        A: Future<Output = Result<(), ClientError>>,
    {
        let told = async {
            let Some(client) = self.client_if_any(pod).await? else { return Ok(false) };
            match tell(client.clone(), id.clone()).await {
                Ok(()) => Ok(true),
                Err(ClientError::Gone { .. }) => {
                    self.drop_client(pod, &client).await;
                    Ok(false)
                }
                Err(ClientError::Failed(failure)) if failure.kind == FailureKind::NoSuchContainer => {
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        };
        told.await.map_err(|source| match self.record(pod, id) {
            Some(record) => self.refused(&record, attempt, source),
            None => EngineError::Supervisor {
                attempt: format!("{attempt} container {}", id.short()),
                pod: pod.clone(),
                source,
            },
        })
    }

    /// Why a wait for a container without a record was not answered.
    fn of_removed(&self, pod: &PodName, id: &ContainerId, error: ClientError) -> EngineError {
        match error {
            ClientError::Failed(_) | ClientError::Gone { .. } => EngineError::NoSuchId(id.clone()),
            source => {
                let attempt = format!("wait for container {}", id.short());
                EngineError::Supervisor { attempt, pod: pod.clone(), source }
            }
        }
    }

    fn refused(&self, record: &ContainerRecord, attempt: &'static str, error: ClientError) -> EngineError {
        let container = record.spec.name.clone();
        match error {
            ClientError::Failed(Failure { kind, message, .. }) => {
                EngineError::Refused { attempt, container, message, kind }
            }
            source => {
                let attempt = format!("{attempt} container `{container}`");
                EngineError::Supervisor { attempt, pod: record.spec.pod.clone(), source }
            }
        }
    }
}

/// Whether a supervisor has something to do for a container.
fn is_active(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}
