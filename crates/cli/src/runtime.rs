//! The asynchronous runtime, made when a command needs one, and the signals that end a command.

use crate::exit::{Exit, Failure};
use crate::output::behind;
use std::future::Future;
use std::io;
use std::task::Poll;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How much of a runtime a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// It waits for the supervisor and little else.
    One,
    /// It pulls and makes containers.
    Two,
}

/// Makes a runtime.
fn make(size: Size) -> Result<Runtime, Failure> {
    let built = match size {
        Size::One => Builder::new_current_thread().enable_all().build(),
        // One worker beside the thread that waits here: a second one costs each command more than it gives
        // to a pull. Fifty containers made at once gain nothing from fifty threads.
        Size::Two => {
            Builder::new_multi_thread().worker_threads(1).max_blocking_threads(16).enable_all().build()
        }
    };
    built.map_err(|error| Failure::because("cannot start the runtime", error))
}

/// Runs a command that deals with signals itself.
pub(crate) fn run<T>(size: Size, command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = make(size)?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

/// Runs a command that SIGINT and SIGTERM may end at any point: every verb can be repeated, and the
/// next one makes the past true.
pub(crate) fn interruptible(
    size: Size,
    command: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    run(size, async {
        let mut interrupts = Interrupts::listen()?;
        tokio::select! {
            biased;
            // First: a command that always has something to do leaves nothing of its turn.
            _ = interrupts.next() => {
                crate::terminal::leave_echo();
                Ok(Exit::Interrupted)
            }
            result = async {
                let result = command.await;
                behind::written().await;
                result
            } => result,
        }
    })
}

/// What the shell does to a program on its terminal, from now on told instead of done: SIGTSTP, which would
/// stop it, and SIGCONT, which continues it after whatever has stopped it.
pub(crate) struct Job {
    stop: Signal,
    continued: Signal,
}

/// What the shell did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The program is to stop.
    Stop,
    /// It was stopped, and goes on.
    Continued,
}

impl Job {
    /// From now on they are told.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |number: nix::sys::signal::Signal| {
            signal(SignalKind::from_raw(number as i32))
                .map_err(|error: io::Error| Failure::because("cannot listen to signals", error))
        };
        use nix::sys::signal::Signal::{SIGCONT, SIGTSTP};
        Ok(Self { stop: listen(SIGTSTP)?, continued: listen(SIGCONT)? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.stop.recv() => Told::Stop,
            _ = self.continued.recv() => Told::Continued,
        }
    }
}

/// SIGINT and SIGTERM as they come.
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    /// Those that are listened to besides.
    more: Vec<(SignalKind, Signal)>,
}

/// What ends a program on a terminal besides SIGINT and SIGTERM.
const ENDING: [SignalKind; 2] = [SignalKind::hangup(), SignalKind::quit()];

/// What is meant for the program in front of which a command stands, besides SIGINT and SIGTERM.
const PASSED_ON: [SignalKind; 5] = [
    SignalKind::hangup(),
    SignalKind::quit(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
    SignalKind::alarm(),
];

impl Interrupts {
    /// From now on they no longer end the program by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error: io::Error| Failure::because("cannot listen to signals", error))
        };
        let (interrupt, terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, more: vec![] })
    }

    /// The same for [all](Self::next_of_all): from now on, not from when one is first waited for.
    pub(crate) fn listen_to_all() -> Result<Self, Failure> {
        let mut interrupts = Self::listen()?;
        interrupts.take(&ENDING);
        Ok(interrupts)
    }

    /// From now on those that are [passed on](Self::next_passed_on) wait for that.
    pub(crate) fn pass_on(&mut self) {
        self.take(&PASSED_ON);
    }

    fn take(&mut self, kinds: &[SignalKind]) {
        for kind in kinds {
            if !self.more.iter().any(|(known, _)| known == kind) {
                self.more.extend(signal(*kind).ok().map(|stream| (*kind, stream)));
            }
        }
    }

    /// Waits for the next one and returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }

    /// The same for every signal that ends a program.
    pub(crate) async fn next_of_all(&mut self) -> i32 {
        self.take(&ENDING);
        self.next_taken().await
    }

    /// The same for every signal that is passed on to a container.
    pub(crate) async fn next_passed_on(&mut self) -> i32 {
        self.pass_on();
        self.next_taken().await
    }

    async fn next_taken(&mut self) -> i32 {
        let more = &mut self.more;
        let next = std::future::poll_fn(|context| {
            let came = more.iter_mut().find_map(|(kind, stream)| {
                stream.poll_recv(context).is_ready().then_some(kind.as_raw_value())
            });
            came.map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            number = next => number,
        }
    }
}
