//! Programs that provide services: run for a command, beside each other and without the project's lock, and
//! ended with it.
//!
//! ```text
//! TYPE compose metadata                                 which options it knows, if it says so
//! TYPE compose --project-name=P up --opt=value SERVICE  JSON lines on its standard output, until it ends
//! ```
//! What a provider has answered is kept beside the pod, for commands that do not ask it.

mod find;
mod group;
mod message;
mod metadata;
mod talk;

use crate::exit::Failure;
use crate::session::Session;
use crate::view::progress::{Line, Progress, Status};
use engine::Engine;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use message::Message;
use plan::{Provide, Provided, ProviderAct};
use resource::{Answers, Desired, PodName, label};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;

/// The note beside a pod that keeps what providers have answered.
const NOTE: &str = "providers";

/// Why a provider has not done what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// There is no such program.
    #[error("there is no provider `{kind}`")]
    Missing {
        /// Its name.
        kind: String,
    },
    /// An option is not given that the program says it needs.
    #[error("provider `{kind}` needs the option `{option}`")]
    Lacking {
        /// Its name.
        kind: String,
        /// The option.
        option: String,
    },
    /// It cannot be started.
    #[error("cannot run provider {}: {source}", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What it prints cannot be read.
    #[error("cannot follow provider `{kind}`: {source}")]
    Follow {
        /// Its name.
        kind: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It told an error.
    #[error("provider `{kind}`: {said}")]
    Told {
        /// Its name.
        kind: String,
        /// What it told.
        said: String,
    },
    /// It printed what is no message of a provider.
    #[error("provider `{kind}` {fault}")]
    Garbled {
        /// Its name.
        kind: String,
        /// What is wrong with it.
        fault: String,
    },
    /// It ended with another code than 0.
    #[error("provider `{kind}` {ended}{}", said(.output))]
    Ended {
        /// Its name.
        kind: String,
        /// How.
        ended: String,
        /// The end of what it printed on standard error.
        output: String,
    },
}

fn said(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {output}") }
}

impl ProviderError {
    /// What to do about it.
    fn help(&self) -> Option<String> {
        match self {
            Self::Missing { kind } if kind.contains('/') => {
                Some("a path counts from the project's folder, and is that of an executable file".to_owned())
            }
            Self::Missing { kind } => Some(format!(
                "put an executable `{kind}` into a folder of PATH, or `docker-{kind}` into ~/.docker/cli-plugins"
            )),
            Self::Lacking { option, .. } => Some(format!("give it: `provider.options.{option}`")),
            Self::Garbled { .. } => Some(
                "a provider prints one JSON object a line, {\"type\": …, \"message\": …}; all else belongs on standard error"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

type Run<'a> = Pin<Box<dyn Future<Output = (String, Provided)> + 'a>>;

/// The providers of a command that run.
pub(crate) struct Providers<'a> {
    session: &'a Session,
    progress: &'a Progress,
    pod: PodName,
    directory: PathBuf,
    begun: BTreeSet<String>,
    running: FuturesUnordered<Run<'a>>,
}

impl<'a> Providers<'a> {
    /// None yet.
    pub(crate) fn new(session: &'a Session, progress: &'a Progress, desired: &Desired) -> Self {
        let directory = desired.labels.get(label::WORKING_DIR);
        Self {
            session,
            progress,
            pod: desired.pod.clone(),
            directory: directory.map_or_else(|| session.current().to_owned(), PathBuf::from),
            begun: BTreeSet::new(),
            running: FuturesUnordered::new(),
        }
    }

    /// Has those run that do not yet.
    ///
    /// # Errors
    /// The environment file of the project's folder cannot be read.
    pub(crate) fn begin(&mut self, provides: Vec<Provide>) -> Result<(), Failure> {
        for provide in provides {
            if !self.begun.insert(provide.service.clone()) {
                continue;
            }
            let mut environment = self.session.environment();
            environment.add_default(&self.directory)?;
            let call = Call {
                environment: environment.variables(),
                directory: self.directory.clone(),
                pod: self.pod.clone(),
                provide,
            };
            let shown = Shown { progress: self.progress, is_verbose: self.session.globals.verbose };
            self.running.push(Box::pin(async move {
                let provided = call.run(&shown).await;
                (call.provide.service, provided)
            }));
        }
        Ok(())
    }

    /// Whether none runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The next that has come to its end, and what has come of it.
    pub(crate) async fn next(&mut self) -> Option<(String, Provided)> {
        self.running.next().await
    }
}

/// What a provider is called with.
struct Call {
    environment: BTreeMap<String, String>,
    directory: PathBuf,
    pod: PodName,
    provide: Provide,
}

/// Where what it says is shown.
struct Shown<'a> {
    progress: &'a Progress,
    is_verbose: bool,
}

impl Shown<'_> {
    fn tell(&self, service: &str, status: Status, text: &str) {
        self.progress.tell(&Line::new(format!("Provider {service}"), status, text));
    }
}

impl Call {
    async fn run(&self, shown: &Shown<'_>) -> Provided {
        let Provide { service, act, provider } = &self.provide;
        let (doing, done) = match act {
            ProviderAct::Up => ("Starting", "Started"),
            ProviderAct::Stop => ("Stopping", "Stopped"),
            ProviderAct::Down => ("Removing", "Removed"),
        };
        match self.act(shown, doing).await {
            Ok(answers) => {
                if let Some(answers) = answers {
                    shown.tell(service, Status::Done, done);
                    return Provided::Done(answers);
                }
                Provided::Done(Answers::default())
            }
            Err(error) => {
                shown.tell(service, Status::Error, "Error");
                let lacks = matches!(error, ProviderError::Lacking { .. });
                let place = if lacks { &provider.options_place } else { &provider.place };
                Provided::Failed { said: error.to_string(), help: error.help(), place: place.clone() }
            }
        }
    }

    /// Has it act; `None` when it says that it does not do this.
    async fn act(&self, shown: &Shown<'_>, doing: &str) -> Result<Option<Answers>, ProviderError> {
        let Provide { service, act, provider } = &self.provide;
        let program = find::find(&provider.kind, &self.environment, &self.directory)
            .ok_or_else(|| ProviderError::Missing { kind: provider.kind.clone() })?;
        let ask = talk::Ask {
            kind: &provider.kind,
            program: &program,
            environment: &self.environment,
            directory: &self.directory,
        };
        let metadata = ask.metadata().await?;
        if *act == ProviderAct::Stop && !metadata.can_stop() {
            return Ok(None);
        }
        let options = metadata
            .options(*act, &provider.options)
            .map_err(|option| ProviderError::Lacking { kind: provider.kind.clone(), option })?;
        shown.tell(service, Status::Working, doing);
        let mut words =
            vec!["compose".to_owned(), format!("--project-name={}", self.pod), act.as_str().to_owned()];
        words.extend(options);
        words.push(service.clone());
        let mut answers = Answers::default();
        let told = |message| match message {
            Message::Info(text) => shown.tell(service, Status::Working, &text),
            Message::Debug(text) if shown.is_verbose => {
                shown.progress.message(&format!("provider {service}: {text}\n"));
            }
            Message::Debug(_) => {}
            Message::Set { name, value, is_raw } => {
                let variables = if is_raw { &mut answers.raw } else { &mut answers.prefixed };
                variables.insert(name, value);
            }
        };
        ask.act(&words, &provider.definition, told).await?;
        Ok(Some(answers))
    }
}

/// What providers of a pod have answered when they were asked last, by service.
pub(crate) fn remembered(engine: &Engine, pod: &PodName) -> BTreeMap<String, Answers> {
    let note = engine.note(pod, NOTE);
    note.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Keeps what a provider has answered. Under the project's lock.
///
/// # Errors
/// It cannot be written.
pub(crate) fn remember(
    engine: &Engine,
    pod: &PodName,
    service: &str,
    answers: &Answers,
) -> Result<(), Failure> {
    let mut all = remembered(engine, pod);
    if all.insert(service.to_owned(), answers.clone()).as_ref() == Some(answers) {
        return Ok(());
    }
    let kept = serde_json::to_vec(&all).map_err(std::io::Error::from);
    let failed =
        |error| Failure::because(format!("cannot keep what the provider of `{service}` answered"), error);
    let bytes = kept.map_err(|error| Failure::because("cannot write an answer as JSON", error))?;
    engine.keep_note(pod, NOTE, &bytes).map_err(failed)
}
