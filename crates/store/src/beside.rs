//! Hashes streams side by side, where that makes SHA-256 faster than one after the other.
//!
//! ```text
//! stream --portions--+
//! stream --portions--+--> one thread while there are streams, a lane for each --> digests
//! stream --portions--+
//! ```
//! A pull reads each layer's bytes twice, packed and unpacked, and several layers at a time: there is
//! mostly more than one stream.

use crate::hash::Hasher;
use resource::Digest;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use sys::sha256::{BLOCK, LANES, Lanes, Message, START};

/// Bytes handed to the thread at once: whole blocks.
const PORTION: usize = 2048 * BLOCK;
/// Portions of a stream that may wait.
const WAITING: usize = 4;

/// The SHA-256 of a stream, computed beside that of others where this is of use.
pub(crate) struct StreamHasher(Way);

enum Way {
    Alone(Hasher),
    Beside(Stream),
}

impl Default for StreamHasher {
    fn default() -> Self {
        let stream = Lanes::worthwhile().and_then(Stream::open);
        Self(stream.map_or_else(|| Way::Alone(Hasher::default()), Way::Beside))
    }
}

impl StreamHasher {
    /// Adds bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Way::Alone(hasher) => hasher.update(bytes),
            Way::Beside(stream) => stream.update(bytes),
        }
    }

    /// The digest of all bytes added.
    pub(crate) fn finish(self) -> Digest {
        match self.0 {
            Way::Alone(hasher) => hasher.finish(),
            Way::Beside(stream) => stream.finish(),
        }
    }
}

static ROOM: Room = Room {
    streams: Mutex::new(Streams { open: BTreeMap::new(), opened: 0, served: 0, staffed: false }),
    work: Condvar::new(),
    done: Condvar::new(),
};

/// Where streams and the thread meet.
struct Room {
    streams: Mutex<Streams>,
    /// A portion has come, or a stream has left.
    work: Condvar,
    /// Portions have been hashed.
    done: Condvar,
}

struct Streams {
    open: BTreeMap<u64, Progress>,
    /// Streams so far; the last one's name.
    opened: u64,
    /// The last stream that was served: the next turn begins after it.
    served: u64,
    /// The thread runs.
    staffed: bool,
}

struct Progress {
    state: [u32; 8],
    waiting: VecDeque<Vec<u8>>,
    /// A portion is being hashed.
    busy: bool,
    /// The memory of one that has been.
    spare: Vec<Vec<u8>>,
}

/// A portion on its way through the thread.
struct Job {
    stream: u64,
    state: [u32; 8],
    bytes: Vec<u8>,
}

impl Room {
    fn enter(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's work: it ends with the last stream.
    fn serve(&self, lanes: Lanes) {
        let mut streams = self.enter();
        while !streams.open.is_empty() {
            let mut jobs = streams.next_jobs();
            if jobs.is_empty() {
                streams = self.work.wait(streams).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(streams);
            hash(lanes, &mut jobs);
            streams = self.enter();
            streams.put_back(jobs);
            self.done.notify_all();
        }
        streams.staffed = false;
    }
}

impl Streams {
    /// A portion of each of the streams whose turn it is.
    fn next_jobs(&mut self) -> Vec<Job> {
        let ready = |(name, progress): (&u64, &Progress)| (!progress.waiting.is_empty()).then_some(*name);
        let after = self.open.range(self.served + 1..).filter_map(ready);
        let turn: Vec<u64> =
            after.chain(self.open.range(..=self.served).filter_map(ready)).take(LANES).collect();
        self.served = turn.last().copied().unwrap_or(self.served);
        let take = |stream| {
            let progress = self.open.get_mut(&stream)?;
            let bytes = progress.waiting.pop_front()?;
            progress.busy = true;
            Some(Job { stream, state: progress.state, bytes })
        };
        turn.into_iter().filter_map(take).collect()
    }

    fn put_back(&mut self, jobs: Vec<Job>) {
        for Job { stream, state, mut bytes } in jobs {
            // A stream that was given up is not here any more.
            if let Some(progress) = self.open.get_mut(&stream) {
                bytes.clear();
                progress.spare.push(bytes);
                (progress.state, progress.busy) = (state, false);
            }
        }
    }
}

/// Hashes all of all jobs; they are of one length, but for the ends of streams.
fn hash(lanes: Lanes, jobs: &mut [Job]) {
    let mut messages: Vec<(&mut [u32; 8], Message<'_>)> = jobs
        .iter_mut()
        .map(|Job { state, bytes, .. }| {
            let message = Message { state: *state, blocks: bytes.as_chunks().0 };
            (state, message)
        })
        .collect();
    while !messages.is_empty() {
        let (states, mut taken): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        lanes.compress(&mut taken);
        messages = vec![];
        for (state, message) in states.into_iter().zip(taken) {
            *state = message.state;
            if !message.blocks.is_empty() {
                messages.push((state, message));
            }
        }
    }
}

/// A stream in the room.
struct Stream {
    name: u64,
    /// Bytes that are not a portion yet.
    begun: Vec<u8>,
    /// Bytes before these.
    length: u64,
}

impl Stream {
    /// `None` when the machine gives no thread.
    fn open(lanes: Lanes) -> Option<Self> {
        let mut streams = ROOM.enter();
        if !streams.staffed {
            let thread = std::thread::Builder::new().name("sha256".into());
            thread.spawn(move || ROOM.serve(lanes)).ok()?;
            streams.staffed = true;
        }
        streams.opened += 1;
        let name = streams.opened;
        let progress = Progress { state: START, waiting: VecDeque::new(), busy: false, spare: vec![] };
        streams.open.insert(name, progress);
        Some(Self { name, begun: Vec::with_capacity(PORTION), length: 0 })
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PORTION - self.begun.len()));
            self.begun.extend_from_slice(now);
            bytes = later;
            if self.begun.len() == PORTION {
                self.hand_over();
            }
        }
    }

    /// Gives what was begun to the thread, once there is room for it.
    fn hand_over(&mut self) {
        self.length += self.begun.len() as u64;
        let full = |streams: &mut Streams| {
            streams.open.get(&self.name).is_some_and(|progress| progress.waiting.len() >= WAITING)
        };
        let mut streams = ROOM.done.wait_while(ROOM.enter(), full).unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = streams.open.get_mut(&self.name) {
            let empty = progress.spare.pop().unwrap_or_else(|| Vec::with_capacity(PORTION));
            progress.waiting.push_back(std::mem::replace(&mut self.begun, empty));
        }
        ROOM.work.notify_one();
    }

    fn finish(mut self) -> Digest {
        let bits = (self.length + self.begun.len() as u64) * 8;
        self.begun.push(0x80);
        let padded = (self.begun.len() + 8).next_multiple_of(BLOCK);
        self.begun.resize(padded - 8, 0);
        self.begun.extend(bits.to_be_bytes());
        self.hand_over();
        let at_work = |streams: &mut Streams| {
            streams.open.get(&self.name).is_some_and(|progress| progress.busy || !progress.waiting.is_empty())
        };
        let streams = ROOM.done.wait_while(ROOM.enter(), at_work).unwrap_or_else(PoisonError::into_inner);
        let state = streams.open.get(&self.name).map_or(START, |progress| progress.state);
        drop(streams); // leaving takes the lock again
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        Digest::of_sha256(&digest)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        ROOM.enter().open.remove(&self.name);
        ROOM.work.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize, seed: u64) -> Vec<u8> {
        let mut value = seed;
        let next = || {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (value >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn beside() -> Option<StreamHasher> {
        Lanes::available().and_then(Stream::open).map(|stream| StreamHasher(Way::Beside(stream)))
    }

    #[test]
    fn every_length_around_a_block_and_a_portion_has_the_digest_that_it_has_alone() {
        let whole = bytes(PORTION + BLOCK, 1);
        let around_a_portion = [PORTION - 9, PORTION - 8, PORTION - 1, PORTION, PORTION + 1];
        for length in (0..=2 * BLOCK + 1).chain(around_a_portion) {
            let Some(mut hasher) = beside() else { return };
            hasher.update(&whole[..length]);
            assert_eq!(hasher.finish(), crate::digest_of(&whole[..length]), "{length} bytes");
        }
    }

    #[test]
    fn more_streams_than_lanes_in_pieces_of_any_size_do_not_disturb_each_other() {
        let one = |seed: usize| {
            let whole = bytes(PORTION / 2 * (seed % 5) + 977 * seed, seed as u64);
            let Some(mut hasher) = beside() else { return };
            for piece in whole.chunks(1 + 7919 * seed) {
                hasher.update(piece);
            }
            if seed % 4 == 3 {
                return; // given up, perhaps in the middle of its work
            }
            assert_eq!(hasher.finish(), crate::digest_of(&whole), "stream {seed}");
        };
        std::thread::scope(|scope| {
            for seed in 0..LANES + 4 {
                scope.spawn(move || one(seed));
            }
        });
    }
}
