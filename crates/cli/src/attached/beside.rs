//! The watch beside an attached `up`, turned on by a flag or the menu and turned off by the menu.

use super::{Follow, Work};
use crate::exit::Failure;
use crate::output;
use crate::watching::Watching;
use tokio::sync::oneshot;
use tokio::sync::watch::Receiver;

/// A watch that goes on beside everything else.
pub(super) struct Watch<'a> {
    work: Work<'a>,
    /// Whether what is watched is being acted on: containers that end then are replaced.
    pub(super) busy: Receiver<bool>,
    /// Dropped to end it.
    go_on: oneshot::Sender<()>,
}

impl<'a> Watch<'a> {
    /// Begins it.
    pub(super) fn begin(mut watching: Watching<'a>) -> Self {
        let (go_on, ended) = oneshot::channel::<()>();
        let busy = watching.busy();
        let mut acting = busy.clone();
        let work = Box::pin(async move {
            let ended = async {
                let _ = ended.await;
                // A batch that is being acted on is brought to its end.
                let _ = acting.wait_for(|busy| !busy).await;
            };
            let outcome = tokio::select! {
                biased;
                outcome = watching.run() => outcome,
                () = ended => Ok(()),
            };
            watching.end();
            outcome
        });
        Self { work, busy, go_on }
    }

    /// Ends it.
    pub(super) async fn end(self) -> Result<(), Failure> {
        drop(self.go_on);
        self.work.await
    }
}

impl Follow<'_, '_> {
    /// Begins to watch, if there is something to be watched.
    pub(super) fn begin_to_watch(&mut self) {
        let attached = self.attached;
        match (attached.begin)() {
            Ok(watching) => self.watch = Some(Watch::begin(watching)),
            Err(failure) => output::message(&failure.render(false, attached.session.colour_errors)),
        }
        self.show_whether_watched();
    }

    /// Tells how watching ended.
    pub(super) fn tell_watch(&self, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            output::message(&format!("watching ended: {}\n", failure.line()));
        }
        self.show_whether_watched();
    }

    fn show_whether_watched(&self) {
        if let Some(menu) = &self.menu {
            menu.set_watching(self.watch.is_some());
        }
    }
}

/// That watching begins or ends to act, or `Some` when it has ended; never, when nothing is watched.
pub(super) async fn watched(watch: &mut Option<Watch<'_>>) -> Option<Result<(), Failure>> {
    let Some(watch) = watch else { return std::future::pending().await };
    tokio::select! {
        biased;
        outcome = &mut watch.work => Some(outcome),
        Ok(()) = watch.busy.changed() => None,
    }
}
