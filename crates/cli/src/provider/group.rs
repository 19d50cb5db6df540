//! The processes of a provider: a process group of their own, so that all of them get the signal when the command
//! is interrupted. Those that a provider leaves running when it has done its work go on.

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How often it is looked whether all of a group have ended: the kernel tells that of no group.
const LOOKED: Duration = Duration::from_millis(10);

/// A program and what it starts.
pub(super) struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    /// Starts a program as the first of a group.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self { child, id })
    }

    /// The program.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the program's end; what it leaves running is its own business from then on.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.id = None;
        Ok(status)
    }

    /// Ends all of the group, if need be by force.
    pub(super) async fn end(mut self) {
        let deadline = self.signal();
        while self.lives() && Instant::now() < deadline {
            tokio::time::sleep(LOOKED).await;
        }
        self.kill();
    }

    fn signal(&self) -> Instant {
        if let Some(id) = self.id {
            // It may have ended.
            let _ = kill_process_group(id, Signal::TERM);
        }
        Instant::now() + GRACE
    }

    /// Whether any of the group live. The program itself is reaped as soon as it has ended.
    fn lives(&mut self) -> bool {
        let Some(id) = self.id else { return false };
        let has_ended = matches!(self.child.try_wait(), Ok(Some(_)));
        !has_ended || test_kill_process_group(id).is_ok()
    }

    fn kill(&mut self) {
        if self.lives()
            && let Some(id) = self.id
        {
            let _ = kill_process_group(id, Signal::KILL);
        }
        self.id = None;
    }
}

impl Drop for Group {
    /// The command is interrupted, and with it ends what waits here.
    fn drop(&mut self) {
        if self.id.is_none() {
            return;
        }
        let deadline = self.signal();
        while self.lives() && Instant::now() < deadline {
            std::thread::sleep(LOOKED);
        }
        self.kill();
    }
}
