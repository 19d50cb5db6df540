//! Events and timers of the one loop: epoll, and a heap of deadlines that bounds its wait. Nothing
//! polls; with no deadline the process sleeps until a descriptor is ready.

use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub(crate) use epoll::EventFlags;

/// Names a registered descriptor. Never used twice, so an event of one that was dropped in the same
/// round finds nothing.
pub(crate) type Token = u64;

/// Events taken in one round.
const ROUND: usize = 64;

/// From the first work after a rest to the next rest.
const SHIFT: Duration = Duration::from_secs(1);

/// Events and timers. `S` is what a descriptor stands for, `T` what a timer does.
#[derive(Debug)]
pub(crate) struct Reactor<S, T> {
    register: Rc<Register<S>>,
    /// Timers set so far: those for the same moment come in their order.
    set: u64,
    timers: BinaryHeap<Reverse<(Instant, u64, Entry<T>)>>,
    /// When to rest; `None` as long as nothing was done since the last time.
    rest: Option<Instant>,
}

/// epoll, and what each token stands for.
#[derive(Debug)]
struct Register<S> {
    epoll: OwnedFd,
    last: Cell<Token>,
    sources: RefCell<HashMap<Token, S>>,
}

/// A descriptor that may be listened to, until this is dropped. The kernel by itself forgets one only
/// when nobody has its file any more, and a process that is being started has copies of all of ours: what
/// is merely closed goes on to report, to nobody, as fast as the loop can turn.
#[derive(Debug)]
pub(crate) struct Watched<S, F: AsFd> {
    /// There until it is given back.
    file: Option<F>,
    heard: Option<(Rc<Register<S>>, Token)>,
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

impl<S, F: AsFd> Watched<S, F> {
    /// One that is not listened to.
    pub(crate) fn silent(file: F) -> Self {
        Self { file: Some(file), heard: None }
    }

    /// Whether it is listened to.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// Listens for other events of it, if it is listened to.
    pub(crate) fn change(&self, what: EventFlags) {
        if let Some((register, token)) = &self.heard {
            let _ = epoll::modify(&register.epoll, self, epoll::EventData::new_u64(*token), what);
        }
    }

    /// Stops listening.
    pub(crate) fn silence(&mut self) {
        if let (Some((register, token)), Some(file)) = (self.heard.take(), &self.file) {
            let _ = epoll::delete(&register.epoll, file);
            register.sources.borrow_mut().remove(&token);
        }
    }

    /// Stops listening and gives it back.
    pub(crate) fn into_inner(mut self) -> F {
        self.silence();
        self.file.take().expect("it is given back once")
    }
}

impl<S, F: AsFd> Drop for Watched<S, F> {
    fn drop(&mut self) {
        self.silence();
    }
}

impl<S, F: AsFd> Deref for Watched<S, F> {
    type Target = F;

    fn deref(&self) -> &F {
        self.file.as_ref().expect("it is given back by value")
    }
}

impl<S, F: AsFd> DerefMut for Watched<S, F> {
    fn deref_mut(&mut self) -> &mut F {
        self.file.as_mut().expect("it is given back by value")
    }
}

impl<S, F: AsFd> AsFd for Watched<S, F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (**self).as_fd()
    }
}

impl<S: Copy, T> Reactor<S, T> {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let register = Register { epoll, last: Cell::default(), sources: RefCell::default() };
        Ok(Self { register: Rc::new(register), set: 0, timers: BinaryHeap::new(), rest: None })
    }

    /// Listens for events of a descriptor that is not listened to; their token.
    pub(crate) fn listen<F: AsFd>(
        &self,
        watched: &mut Watched<S, F>,
        what: EventFlags,
        source: S,
    ) -> io::Result<Token> {
        let register = &self.register;
        let token = register.last.get() + 1;
        epoll::add(&register.epoll, &*watched, epoll::EventData::new_u64(token), what)?;
        register.last.set(token);
        register.sources.borrow_mut().insert(token, source);
        watched.heard = Some((register.clone(), token));
        Ok(token)
    }

    /// What a token stands for; `None` when nobody listens any more.
    pub(crate) fn source(&self, token: Token) -> Option<S> {
        self.register.sources.borrow().get(&token).copied()
    }

    /// Sets a timer. There is no taking back: whoever is told checks whether it still means anything.
    pub(crate) fn after(&mut self, pause: Duration, what: T) {
        self.set += 1;
        self.timers.push(Reverse((Instant::now() + pause, self.set, Entry(what))));
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

    /// Whether an event is there to be handled.
    pub(crate) fn is_asked(&self) -> bool {
        let mut ready = [PollFd::new(&self.register.epoll, PollFlags::IN)];
        rustix::event::poll(&mut ready, Some(&Timespec::default())).is_ok_and(|count| count > 0)
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
        match epoll::wait(&self.register.epoll, &mut buffer, timeout.as_ref()) {
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
        let mut reactor = Reactor::<(), _>::new().unwrap();
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
        let mut reactor = Reactor::<(), ()>::new().unwrap();
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
        let mut reactor = Reactor::<_, ()>::new().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut reader = Watched::silent(reader);
        let token = reactor.listen(&mut reader, EventFlags::IN, "the pipe").unwrap();
        rustix::io::write(&writer, b"x").unwrap();
        let mut events = vec![];
        reactor.wait(&mut events).unwrap();
        assert_eq!(events, [(token, EventFlags::IN)]);
        assert_eq!(reactor.source(token), Some("the pipe"));
    }

    #[test]
    fn what_is_dropped_reports_no_more_although_somebody_has_a_copy() {
        let mut reactor = Reactor::<_, ()>::new().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let _copy = reader.try_clone().unwrap();
        let mut reader = Watched::silent(reader);
        let token = reactor.listen(&mut reader, EventFlags::IN, "the pipe").unwrap();
        drop((writer, reader));
        assert_eq!(reactor.source(token), None);
        reactor.after(Duration::from_millis(5), ());
        let mut events = vec![];
        while reactor.due().is_none() {
            reactor.wait(&mut events).unwrap();
            assert_eq!(events, []);
        }
    }
}
