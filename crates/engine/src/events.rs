//! What happens to a pod's containers, read from its journal: what was noted already, and what comes.

use crate::{Engine, EngineError};
use resource::{ContainerRecord, PodName, Timestamp};
use std::time::Duration;
use supervisor::journal::{self, Journal, Note};
use supervisor::{Event, EventKind};

/// Which events are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Not older than this, of what is noted; `None` is from now on.
    pub since: Option<Timestamp>,
    /// Not younger than this; `None` goes on without end.
    pub until: Option<Timestamp>,
}

/// Events in the order in which they were noted.
#[derive(Debug)]
pub struct Events {
    journal: Journal,
    query: EventQuery,
}

impl Engine {
    /// Reads what happens to a pod's containers. The pod need not exist yet, and may be gone meanwhile.
    ///
    /// # Errors
    /// [`EngineError::File`]
    pub fn journal(&self, pod: &PodName, query: EventQuery) -> Result<Events, EngineError> {
        crate::names::check(&pod.0)?;
        // With an end alone, what is noted counts too.
        let past = query.since.is_some() || query.until.is_some_and(|until| until <= Timestamp::now());
        let folder = self.roots().pod(pod);
        let journal = Journal::open(self.roots(), pod, past).map_err(EngineError::file("read", &folder))?;
        Ok(Events { journal, query })
    }

    /// Notes what a command has done to a container. That it cannot be noted undoes nothing.
    pub(crate) fn journalize(&self, record: &ContainerRecord, kind: EventKind) {
        let spec = &record.spec;
        let event = Event {
            time: Timestamp::now(),
            container: record.id.clone(),
            name: spec.name.clone(),
            service: spec.service.clone(),
            number: spec.number,
            kind,
        };
        let note = Note { event, image: spec.image.written(), labels: spec.labels.clone() };
        drop(journal::note(self.roots(), &spec.pod, &note));
    }
}

impl Events {
    /// The next event; `None` when the time that was asked for is over.
    ///
    /// # Errors
    /// What the kernel says of reading or watching.
    pub async fn next(&mut self) -> std::io::Result<Option<Note>> {
        loop {
            while let Some(note) = self.journal.read()? {
                let time = note.event.time;
                if self.query.until.is_some_and(|until| time > until) {
                    return Ok(None);
                }
                if self.query.since.is_none_or(|since| time >= since) {
                    return Ok(Some(note));
                }
            }
            let Some(until) = self.query.until else {
                self.journal.changed().await?;
                continue;
            };
            let Ok(left) = Duration::try_from(until.duration_since(Timestamp::now())) else {
                return Ok(None);
            };
            tokio::select! {
                changed = self.journal.changed() => changed?,
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}
