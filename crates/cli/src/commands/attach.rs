//! `compose attach`: connects the terminal to a running container's own process.

use crate::exit::{Exit, Failure};
use crate::runtime::{self, Interrupts, Size};
use crate::session::Session;
use crate::stream::{self, Joined, Typing};
use crate::{output, select};
use engine::{Engine, EngineError, LogQuery};
use resource::{Condition, ContainerRecord, ContainerState, ExitStatus};
use std::os::fd::OwnedFd;
use std::pin::pin;

/// Flags of `attach`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the replica, the first by default
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) index: u32,
    /// Keys that detach
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Do not attach standard input
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// Pass signals on to the process
    #[arg(long, default_value_t = true, hide_default_value = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) sig_proxy: bool,
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
}

/// Keys that detach when nobody says others.
const KEYS: &str = "ctrl-p,ctrl-q";

/// Attaches; the exit code is that of the container, or 0 when the keys that detach were pressed.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let keys = keys(args.detach_keys.as_deref().unwrap_or(KEYS))?;
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    select::services(std::slice::from_ref(&args.service), subject.known(&observed))?;
    let container = select::running(&observed.containers, &args.service, args.index)?;
    let name = &container.record.spec.name;
    if session.globals.dry_run {
        output::planned(&format!("attach to {name}"));
        return Ok(Exit::Success);
    }
    let failed = |error| Failure::because(format!("cannot attach to container `{name}`"), error);
    session.begin()?;
    runtime::run(Size::Two, async {
        let engine = session.engine()?;
        let interrupts = Interrupts::listen()?;
        let attached = Attached { args, engine, record: &container.record, interrupts };
        match engine.attach(&subject.pod, &container.record.id).await.map_err(failed)? {
            Some(master) => attached.terminal(master, keys).await,
            None => attached.streams(session).await,
        }
    })
}

/// A container whose streams are ours.
struct Attached<'a> {
    args: &'a Args,
    engine: &'a Engine,
    record: &'a ContainerRecord,
    interrupts: Interrupts,
}

impl Attached<'_> {
    /// On a terminal: what is typed goes there, what is printed comes here.
    async fn terminal(mut self, master: OwnedFd, keys: Vec<u8>) -> Result<Exit, Failure> {
        let typing = Typing { off: self.args.no_stdin, keys };
        let joined = Joined::join_typing(master, typing);
        let mut joined = joined.map_err(|error| Failure::because("cannot use the terminal", error))?;
        let exit = {
            let (engine, record) = (self.engine, self.record);
            let mut end = pin!(engine.wait(&record.spec.pod, &record.id, Condition::Exited));
            loop {
                tokio::select! {
                    biased;
                    state = &mut end => break code(state),
                    () = joined.left() => return Ok(Exit::Success),
                    signal = self.interrupts.next_passed_on() => {
                        if let Some(exit) = self.signalled(signal).await {
                            return Ok(exit);
                        }
                    }
                }
            }
        };
        joined.finish();
        exit
    }

    /// Without a terminal: the output is that of the log from now on, the input goes to the container's.
    async fn streams(mut self, session: &Session) -> Result<Exit, Failure> {
        let (engine, record) = (self.engine, self.record);
        let spec = &record.spec;
        let failed = |error| Failure::because(format!("cannot attach to container `{}`", spec.name), error);
        if spec.log.none {
            session.warn(&format!(
                "`{}` keeps no log (driver `none`), so its output cannot be shown",
                spec.name
            ));
        }
        let query = LogQuery {
            follow: true,
            tail: Some(0),
            container: Some(spec.name.clone()),
            ..LogQuery::default()
        };
        let mut lines = engine.logs(&spec.pod, std::slice::from_ref(&spec.service), query).map_err(failed)?;
        if let Some(mut input) = engine.open_input(record).map_err(failed)?.filter(|_| !self.args.no_stdin) {
            // It may stay blocked on input that never comes; the end of the program ends it.
            std::thread::spawn(move || stream::copy_in(&mut input, &[], None));
        }
        loop {
            tokio::select! {
                biased;
                line = lines.next() => match line.map_err(failed)? {
                    Some(line) if line.stderr => output::message(&line.text),
                    Some(line) => output::result(&line.text)?,
                    None => break,
                },
                signal = self.interrupts.next_passed_on() => {
                    if let Some(exit) = self.signalled(signal).await {
                        return Ok(exit);
                    }
                }
            }
        }
        code(engine.wait(&spec.pod, &record.id, Condition::Exited).await)
    }

    /// A signal goes to the container, or ends this program alone.
    async fn signalled(&self, signal: i32) -> Option<Exit> {
        if !self.args.sig_proxy {
            return Some(Exit::Interrupted);
        }
        // It may have ended this very moment.
        let _ = self.engine.kill(&self.record.spec.pod, &self.record.id, signal).await;
        None
    }
}

/// The exit code of a container that has ended.
fn code(state: Result<ContainerState, EngineError>) -> Result<Exit, Failure> {
    match state {
        Ok(state) => Ok(Exit::Code(state.exit.and_then(ExitStatus::code).unwrap_or(1))),
        Err(error) => Err(Failure::because("cannot learn how the container ended", error)),
    }
}

/// The bytes that keys send: single characters, and `ctrl-` with one of them.
fn keys(text: &str) -> Result<Vec<u8>, Failure> {
    let key = |word: &str| match word.as_bytes() {
        [byte] => Some(*byte),
        [rest @ .., byte] if rest.eq_ignore_ascii_case(b"ctrl-") => {
            matches!(byte.to_ascii_uppercase(), b'@'..=b'_').then_some(byte.to_ascii_uppercase() & 0x1f)
        }
        _ => None,
    };
    let words = text.split(',').filter(|word| !word.is_empty());
    let bytes = words.map(|word| {
        key(word).ok_or_else(|| {
            Failure::new(format!("invalid value for --detach-keys: `{word}` is not a key")).hint(
                "write single characters and `ctrl-` with a letter, with commas between: `ctrl-p,ctrl-q`",
            )
        })
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_characters_and_control_characters() {
        assert_eq!(keys(KEYS).unwrap(), [16, 17]);
        assert_eq!(keys("ctrl-C,x,ctrl-[").unwrap(), [3, b'x', 27]);
        assert!(keys("").unwrap().is_empty());
        assert!(keys("ctrl-1").is_err() && keys("alt-x").is_err());
    }
}
