//! stub
use crate::{Engine, EngineError, ExecRequest, ExecSession, Stdio};
use resource::*;
use std::os::fd::OwnedFd;
use std::time::Duration;

impl Engine {
    /// Starts a container; one that runs is left alone. Its networks are made sure to be up.
    ///
    /// # Errors
    /// [`EngineError::Start`] with the exit code it stands for.
    pub async fn start(&self, pod: &PodName, id: &ContainerId) -> Result<ContainerState, EngineError> {
        todo!()
    }

    /// Starts a container on the caller's streams (`run`); the terminal's master comes back when one
    /// was asked for. Wait for the end with [`Engine::wait`].
    ///
    /// # Errors
    /// [`EngineError::Start`].
    pub async fn run_attached(&self, pod: &PodName, id: &ContainerId, stdio: Stdio) -> Result<Option<OwnedFd>, EngineError> {
        todo!()
    }

    /// Stops a container: its stop signal, then SIGKILL after `grace` (`None`: its own; zero: at
    /// once). `None` comes back when it did not run.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn stop(&self, pod: &PodName, id: &ContainerId, grace: Option<Duration>) -> Result<Option<ExitStatus>, EngineError> {
        todo!()
    }

    /// Sends a signal to a container's first process.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn kill(&self, pod: &PodName, id: &ContainerId, signal: i32) -> Result<(), EngineError> {
        todo!()
    }

    /// Freezes a container's processes.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn pause(&self, pod: &PodName, id: &ContainerId) -> Result<(), EngineError> {
        todo!()
    }

    /// Thaws a container's processes.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn unpause(&self, pod: &PodName, id: &ContainerId) -> Result<(), EngineError> {
        todo!()
    }

    /// Stops and starts a container.
    ///
    /// # Errors
    /// As [`Engine::stop`] and [`Engine::start`].
    pub async fn restart(&self, pod: &PodName, id: &ContainerId, grace: Option<Duration>) -> Result<ContainerState, EngineError> {
        todo!()
    }

    /// Waits, by event, until the condition holds or cannot hold any more; the state then tells which.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn wait(&self, pod: &PodName, id: &ContainerId, condition: Condition) -> Result<ContainerState, EngineError> {
        todo!()
    }

    /// Runs a process in a container that runs.
    ///
    /// # Errors
    /// [`EngineError::Start`] when it could not be started (127 not found, 126 not executable).
    pub async fn exec(&self, pod: &PodName, id: &ContainerId, request: ExecRequest, stdio: Stdio) -> Result<ExecSession, EngineError> {
        todo!()
    }

    /// Makes sure that living containers have a supervisor: spawns one when theirs died. Every
    /// command may call it first; it costs one look at the run-time folder.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`].
    pub async fn adopt(&self, pod: &PodName) -> Result<(), EngineError> {
        todo!()
    }
}
