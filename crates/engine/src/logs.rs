//! Logs of a pod's containers as one stream, merged by time.
//!
//! ```text
//! read -> (nothing more) -> end                       without `follow`
//! read -> (nothing more) -> wait -> read ...          until no container can write any more
//! ```
//! While following, inotify tells of new lines and the supervisor of containers that begin and end.

use crate::{Engine, EngineError};
use resource::{ContainerName, ContainerSpec, PodName, Status, Timestamp};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use supervisor::log::{Line, Query, Reader, Stream, Watch};
use supervisor::{ClientError, EventStream};

/// Which lines of the logs are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogQuery {
    /// Goes on with what is written later, in containers that appear later too.
    pub follow: bool,
    /// The last so many lines of each container; `None` means all.
    pub tail: Option<usize>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Not younger than this.
    pub until: Option<Timestamp>,
    /// Of this container alone.
    pub container: Option<ContainerName>,
}

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The container.
    pub container: ContainerName,
    /// Its service.
    pub service: String,
    /// Number of the replica, `None` for a one-off.
    pub number: Option<u32>,
    /// When it was written.
    pub time: Timestamp,
    /// It went to standard error.
    pub stderr: bool,
    /// The text with its line end, if it had one.
    pub text: String,
}

/// Lines of several logs in the order of their times.
#[derive(Debug)]
pub struct LogStream {
    engine: Engine,
    pod: PodName,
    /// All, when empty.
    services: Vec<String>,
    query: LogQuery,
    /// By the path of the log: a container that takes another's place goes on with its log.
    sources: BTreeMap<PathBuf, Source>,
    /// Set up before the first wait.
    watch: Option<Watch>,
    events: Option<EventStream>,
    phase: Phase,
}

/// How far a stream that follows is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Containers may write.
    Open,
    /// None can write any more; what they wrote last may still be unread.
    Closing,
    /// All is read.
    Over,
}

#[derive(Debug)]
struct Source {
    container: ContainerName,
    service: String,
    number: Option<u32>,
    reader: Reader,
    head: Option<Line>,
    /// The reader had nothing more; it is asked again after a change.
    idle: bool,
}

impl Engine {
    /// Reads the logs of a pod's containers: of these services, or of all when none is named.
    ///
    /// # Errors
    /// [`EngineError::File`].
    pub fn logs(
        &self,
        pod: &PodName,
        services: &[String],
        query: LogQuery,
    ) -> Result<LogStream, EngineError> {
        let mut stream = LogStream {
            engine: self.clone(),
            pod: pod.clone(),
            services: services.to_vec(),
            query,
            sources: BTreeMap::new(),
            watch: None,
            events: None,
            phase: Phase::Open,
        };
        let tail = stream.query.tail;
        stream.discover(tail)?;
        Ok(stream)
    }
}

impl LogStream {
    /// The next line; `None` at the end. While following, it waits, and the end comes when no
    /// container that was asked for can write any more.
    ///
    /// # Errors
    /// [`EngineError::File`], [`EngineError::Supervisor`].
    pub async fn next(&mut self) -> Result<Option<LogLine>, EngineError> {
        // However many lines there are: signals, timers and whatever else is waited for have their turn between them.
        tokio::task::coop::consume_budget().await;
        loop {
            if let Some(line) = self.read()? {
                return Ok(Some(line));
            }
            if !self.query.follow || self.phase == Phase::Over {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    /// The oldest line that can be read now.
    fn read(&mut self) -> Result<Option<LogLine>, EngineError> {
        for (path, source) in &mut self.sources {
            if source.head.is_none() && !source.idle {
                source.head = source.reader.next().map_err(EngineError::file("read", path))?;
                source.idle = source.head.is_none();
            }
        }
        let time = |source: &Source| source.head.as_ref().map(|line| line.time);
        let oldest = self
            .sources
            .values_mut()
            .filter(|source| source.head.is_some())
            .min_by_key(|source| time(source));
        Ok(oldest.and_then(|source| {
            let line = source.head.take()?;
            Some(LogLine {
                container: source.container.clone(),
                service: source.service.clone(),
                number: source.number,
                time: line.time,
                stderr: line.stream == Stream::Stderr,
                text: line.text,
            })
        }))
    }

    /// Waits for a reason to read again, or finds that there will be none.
    async fn wait(&mut self) -> Result<(), EngineError> {
        if self.watch.is_none() {
            return self.begin_to_follow().await;
        }
        if self.phase == Phase::Closing {
            self.phase = Phase::Over;
            return Ok(());
        }
        let left = self.query.until.map(|until| until.as_millisecond() - Timestamp::now().as_millisecond());
        if left.is_some_and(|left| left <= 0) || !self.any_active()? {
            self.phase = Phase::Closing;
            self.wake();
            return Ok(());
        }
        let (Some(watch), Some(events)) = (&self.watch, &mut self.events) else {
            return self.reconnect().await;
        };
        let patience = left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_millis);
        tokio::select! {
            changed = watch.changed() => changed.map_err(EngineError::file("watch", &self.folder()))?,
            event = events.next() => {
                if event.is_none() {
                    self.events = None;
                }
                self.discover(None)?;
            }
            () = tokio::time::sleep(patience.unwrap_or_default()), if patience.is_some() => {}
        }
        self.wake();
        Ok(())
    }

    /// From here on nothing goes unnoticed; what came before is read once more.
    async fn begin_to_follow(&mut self) -> Result<(), EngineError> {
        let folder = self.folder();
        self.watch = match Watch::new(&folder) {
            Ok(watch) => Some(watch),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.phase = Phase::Over;
                return Ok(());
            }
            Err(error) => return Err(EngineError::file("watch", &folder)(error)),
        };
        if self.any_active()? {
            self.reconnect().await?;
        }
        self.wake();
        Ok(())
    }

    /// Listens to the supervisor, perhaps a new one.
    async fn reconnect(&mut self) -> Result<(), EngineError> {
        self.events = match self.engine.events(&self.pod).await {
            Ok(events) => Some(events),
            // It ended with the last container, just now: whether anything can write is looked at again.
            Err(EngineError::Supervisor { source: ClientError::Gone { .. }, .. }) => None,
            Err(error) => return Err(error),
        };
        self.discover(None)?;
        self.wake();
        Ok(())
    }

    fn wake(&mut self) {
        self.sources.values_mut().for_each(|source| source.idle = false);
    }

    fn folder(&self) -> PathBuf {
        self.engine.roots().pod(&self.pod).join("logs")
    }

    fn asked_for(&self, spec: &ContainerSpec) -> bool {
        self.query.container.as_ref().is_none_or(|name| *name == spec.name)
            && (self.services.is_empty() || self.services.contains(&spec.service))
    }

    /// Whether a container that was asked for can write, now or after a restart.
    fn any_active(&self) -> Result<bool, EngineError> {
        let active = |status| matches!(status, Status::Running | Status::Paused | Status::Restarting);
        let containers = self.engine.containers(&self.pod)?;
        Ok(containers
            .iter()
            .any(|container| self.asked_for(&container.record.spec) && active(container.state.status)))
    }

    /// Opens the logs of containers that were not known yet.
    fn discover(&mut self, tail: Option<usize>) -> Result<(), EngineError> {
        for container in self.engine.containers(&self.pod)? {
            let spec = &container.record.spec;
            if spec.log.none || !self.asked_for(spec) {
                continue;
            }
            let path = self.engine.roots().log(spec, &container.record.id);
            match self.sources.get_mut(&path) {
                Some(source) => source.container = spec.lasting_name(),
                None => {
                    let reader = self.open(&path, tail)?;
                    let (container, service, number) =
                        (spec.lasting_name(), spec.service.clone(), spec.number);
                    let source = Source { container, service, number, reader, head: None, idle: false };
                    self.sources.insert(path, source);
                }
            }
        }
        Ok(())
    }

    fn open(&self, path: &Path, tail: Option<usize>) -> Result<Reader, EngineError> {
        let query = Query { tail, since: self.query.since, until: self.query.until };
        Reader::open(path, query).map_err(EngineError::file("open", path))
    }
}
