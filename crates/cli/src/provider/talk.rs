//! A conversation with a provider: its standard output is read by lines until it ends, and is not waited for
//! longer than that, whoever else has it open.

use super::ProviderError;
use super::group::Group;
use super::message::{self, Message, Said};
use super::metadata::Metadata;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::process::{ChildStdin, Command};
use tokio::sync::{mpsc, watch};

/// The longest line that is taken, bytes; and the most that all variables together may have.
const LONGEST: usize = 1 << 20;

/// Bytes that are kept of the end of standard error.
const KEPT: usize = 2048;
/// Lines of it that are told.
const LINES: usize = 10;

/// Whom to ask.
pub(super) struct Ask<'a> {
    /// The provider's name.
    pub(super) kind: &'a str,
    /// Its program.
    pub(super) program: &'a Path,
    /// Its environment.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Its working directory.
    pub(super) directory: &'a Path,
}

impl Ask<'_> {
    /// What it says of itself. One that does not know the question says nothing.
    pub(super) async fn metadata(&self) -> Result<Metadata, ProviderError> {
        let mut text = vec![];
        let words = ["compose".to_owned(), "metadata".to_owned()];
        let take = |line: &[u8]| {
            if text.len() + line.len() < LONGEST {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            Ok(())
        };
        let ended = self.run(&words, None, take).await;
        match ended {
            Ok((status, _)) if status.success() => Ok(Metadata::read(&text)),
            Ok(_) | Err(ProviderError::Garbled { .. }) => Ok(Metadata::default()),
            Err(error) => Err(error),
        }
    }

    /// Has it do something, and tells what it says meanwhile.
    pub(super) async fn act(
        &self,
        words: &[String],
        definition: &str,
        mut tell: impl FnMut(Message),
    ) -> Result<(), ProviderError> {
        let kind = || self.kind.to_owned();
        let (questions, answer) = mpsc::unbounded_channel();
        let mut length = 0;
        let take = |line: &[u8]| {
            for said in message::read(line) {
                match said {
                    Said::Message(message) => {
                        if let Message::Set { name, value, .. } = &message {
                            length += name.len() + value.len();
                        }
                        tell(message);
                    }
                    // Nobody answers any more when it has ended.
                    Said::Question => drop(questions.send(())),
                    Said::Error(said) => return Err(ProviderError::Told { kind: kind(), said }),
                    Said::Fault(fault) => return Err(ProviderError::Garbled { kind: kind(), fault }),
                }
            }
            if length > LONGEST {
                let fault = "sets variables of more than 1 MiB".to_owned();
                return Err(ProviderError::Garbled { kind: kind(), fault });
            }
            Ok(())
        };
        let (status, output) = self.run(words, Some((definition, answer)), take).await?;
        if status.success() {
            return Ok(());
        }
        Err(ProviderError::Ended { kind: kind(), ended: ended(status), output })
    }

    /// Runs it to its end, or until a line is not taken. The end of its standard error comes with its status.
    async fn run(
        &self,
        words: &[String],
        answers: Option<(&str, mpsc::UnboundedReceiver<()>)>,
        take: impl FnMut(&[u8]) -> Result<(), ProviderError>,
    ) -> Result<(ExitStatus, String), ProviderError> {
        let follow = |source| ProviderError::Follow { kind: self.kind.to_owned(), source };
        let (out, stdout) = Output::open().map_err(follow)?;
        let (err, stderr) = Output::open().map_err(follow)?;
        let mut command = Command::new(self.program);
        command.args(words).current_dir(self.directory).envs(self.environment).env("PWD", self.directory);
        command.stdin(if answers.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(stdout).stderr(stderr);
        let started = Group::start(&mut command);
        // Its own ends of the pipes are closed with it.
        drop(command);
        let mut group =
            started.map_err(|source| ProviderError::Start { program: self.program.to_owned(), source })?;
        let stdin = group.child().stdin.take();
        let (running, ended) = watch::channel(());
        let talk = async {
            let end = async {
                let status = group.wait().await.map_err(follow);
                drop(running);
                status
            };
            tokio::try_join!(end, out.lines(self.kind, ended.clone(), take), err.tail(ended))
        };
        let done = tokio::select! {
            done = talk => done,
            never = answer(stdin, answers) => match never {},
        };
        match done {
            Ok((status, (), tail)) => Ok((status, last_lines(&tail))),
            Err(error) => {
                group.end().await;
                Err(error)
            }
        }
    }
}

/// Answers each question with the definition, as long as this is waited for.
async fn answer(
    stdin: Option<ChildStdin>,
    answers: Option<(&str, mpsc::UnboundedReceiver<()>)>,
) -> std::convert::Infallible {
    if let (Some(mut stdin), Some((definition, mut questions))) = (stdin, answers) {
        let line = format!("{definition}\n");
        while questions.recv().await.is_some() {
            if stdin.write_all(line.as_bytes()).await.is_err() {
                break;
            }
        }
    }
    std::future::pending().await
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// The last lines of what was printed.
fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text.trim().lines().map(message::shown).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// What comes out of a provider.
struct Output {
    pipe: pipe::Receiver,
    bytes: Vec<u8>,
    /// How much has come since the program ended: what it left running may go on for ever.
    late: usize,
    /// Nobody can write to it any more.
    is_closed: bool,
}

impl Output {
    /// A pipe and its other side.
    fn open() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok((
            Self { pipe: pipe::Receiver::from_owned_fd(read)?, bytes: vec![], late: 0, is_closed: false },
            write,
        ))
    }

    /// Takes lines until the pipe is closed, or is empty after the program has ended. The last one needs no end;
    /// where others still have the pipe open, it may be one that they have begun.
    async fn lines(
        mut self,
        kind: &str,
        mut ended: watch::Receiver<()>,
        mut take: impl FnMut(&[u8]) -> Result<(), ProviderError>,
    ) -> Result<(), ProviderError> {
        let mut more = true;
        while more {
            more = self.read(&mut ended).await;
            while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                take(&line[..end])?;
            }
            if self.bytes.len() > LONGEST {
                let fault = "printed a line of more than 1 MiB".to_owned();
                return Err(ProviderError::Garbled { kind: kind.to_owned(), fault });
            }
        }
        match take(&self.bytes) {
            Err(ProviderError::Garbled { .. }) if !self.is_closed => Ok(()),
            taken => taken,
        }
    }

    /// The end of what comes.
    async fn tail(mut self, mut ended: watch::Receiver<()>) -> Result<Vec<u8>, ProviderError> {
        while self.read(&mut ended).await {
            self.bytes.drain(..self.bytes.len().saturating_sub(KEPT));
        }
        Ok(self.bytes)
    }

    /// Reads some of what is there; false when nothing more will come.
    async fn read(&mut self, ended: &mut watch::Receiver<()>) -> bool {
        loop {
            let has_ended = ended.has_changed().is_err();
            match self.fill() {
                Ok(length) => {
                    self.late += if has_ended { length } else { 0 };
                    // One that prints without a pause must not keep others from their turn.
                    tokio::task::yield_now().await;
                    return self.late < LONGEST;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !has_ended => {}
                Err(error) => {
                    self.is_closed = error.kind() != io::ErrorKind::WouldBlock;
                    return false;
                }
            }
            tokio::select! {
                _ = self.pipe.readable() => {}
                _ = ended.changed() => {}
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        match self.pipe.try_read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.bytes.extend_from_slice(&buffer[..length]);
                Ok(length)
            }
        }
    }
}
