//! Events and timers of the one loop: epoll, and a heap of deadlines that bounds its wait. Nothing
//! polls; with no deadline the process sleeps until a descriptor is ready.

use rustix::event::{Timespec, epoll};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

pub(crate) use epoll::EventFlags;

/// Names a registered descriptor. Never used twice, so an event of one that was dropped in the same
/// round finds nothing.
pub(crate) type Token = u64;

/// Events taken in one round.
const ROUND: usize = 64;

/// From the first work after a rest to the next rest.
const SHIFT: Duration = Duration::from_secs(1);

/// epoll and timers.
#[derive(Debug)]
pub(crate) struct Reactor<T> {
    epoll: OwnedFd,
    next: Token,
    timers: BinaryHeap<Reverse<(Instant, u64, Entry<T>)>>,
    /// When to rest; `None` as long as nothing was done since the last time.
    rest: Option<Instant>,
}

/// What a timer carries; it has no order of its own.
#[derive(Debug)]
struct Entry<T>(T);

impl<T> PartialEq for Entry<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl<T> Reactor<T> {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, next: 1, timers: BinaryHeap::new(), rest: None })
    }

    /// A token that was never used.
    pub(crate) fn token(&mut self) -> Token {
        self.next += 1;
        self.next
    }

    /// Listens for events of a descriptor, until it is closed or removed.
    pub(crate) fn add(&self, descriptor: impl AsFd, token: Token, what: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, descriptor, epoll::EventData::new_u64(token), what)?)
    }

    /// Listens for other events of it.
    pub(crate) fn modify(&self, descriptor: impl AsFd, token: Token, what: EventFlags) {
        let _ = epoll::modify(&self.epoll, descriptor, epoll::EventData::new_u64(token), what);
    }

    /// Stops listening; needed where the descriptor's file lives on elsewhere.
    pub(crate) fn remove(&self, descriptor: impl AsFd) {
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    /// Sets a timer. There is no taking back: whoever is told checks whether it still means anything.
    pub(crate) fn after(&mut self, pause: Duration, what: T) {
        self.next += 1;
        self.timers.push(Reverse((Instant::now() + pause, self.next, Entry(what))));
    }

    /// The next timer that is due.
    pub(crate) fn due(&mut self) -> Option<T> {
        let Reverse((when, ..)) = self.timers.peek()?;
        if *when > Instant::now() {
            return None;
        }
        self.timers.pop().map(|Reverse((_, _, Entry(what)))| what)
    }

    /// Something was done: there will be a rest, at most one each [`SHIFT`].
    pub(crate) fn worked(&mut self) {
        self.rest.get_or_insert_with(|| Instant::now() + SHIFT);
    }

    /// Whether it is time to rest; true once for any number of calls of [`Reactor::worked`].
    pub(crate) fn rests(&mut self) -> bool {
        self.rest.take_if(|when| *when <= Instant::now()).is_some()
    }

    /// Waits for events, the next deadline or the next rest.
    pub(crate) fn wait(&mut self, events: &mut Vec<(Token, EventFlags)>) -> io::Result<()> {
        let timer = self.timers.peek().map(|Reverse((when, ..))| *when);
        let timeout = timer.into_iter().chain(self.rest).min().map(|when| {
            let pause = when.saturating_duration_since(Instant::now());
            // Rounded up to the kernel's grain, or the loop would spin through the last fraction.
            let pause = pause + Duration::from_micros(if pause.is_zero() { 0 } else { 999 });
            Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: i64::from(pause.subsec_nanos()) }
        });
        let mut buffer = [MaybeUninit::uninit(); ROUND];
        events.clear();
        match epoll::wait(&self.epoll, &mut buffer, timeout.as_ref()) {
            Ok((ready, _)) => {
                events.extend(ready.iter().map(|event| {
                    let (data, flags) = (event.data, event.flags);
                    (data.u64(), flags)
                }));
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_order_and_end_the_wait() {
        let mut reactor = Reactor::new().unwrap();
        reactor.after(Duration::from_millis(20), "second");
        reactor.after(Duration::from_millis(5), "first");
        let mut events = vec![];
        let mut seen = vec![];
        while seen.len() < 2 {
            reactor.wait(&mut events).unwrap();
            seen.extend(std::iter::from_fn(|| reactor.due()));
        }
        assert_eq!(seen, ["first", "second"]);
    }

    #[test]
    fn a_rest_comes_once_after_work() {
        let mut reactor = Reactor::<()>::new().unwrap();
        assert!(!reactor.rests());
        reactor.worked();
        let when = reactor.rest;
        reactor.worked();
        assert_eq!(reactor.rest, when);
        reactor.rest = Some(Instant::now() + Duration::from_millis(5));
        let mut events = vec![];
        while !reactor.rests() {
            // Ends, although no descriptor is ready and no timer set.
            reactor.wait(&mut events).unwrap();
        }
        assert!(reactor.rest.is_none());
    }

    #[test]
    fn a_ready_descriptor_is_named_by_its_token() {
        let mut reactor = Reactor::<()>::new().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let token = reactor.token();
        reactor.add(&reader, token, EventFlags::IN).unwrap();
        rustix::io::write(&writer, b"x").unwrap();
        let mut events = vec![];
        reactor.wait(&mut events).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].0, token);
    }
}
