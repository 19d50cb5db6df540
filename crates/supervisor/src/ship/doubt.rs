//! Which lines may be lost when a connection is cut. Pure.
//!
//! A socket takes more than the other machine has confirmed. What it took and was not confirmed is sent again, from
//! the beginning of a line: some of it may come twice. What the other machine confirmed and its program never read
//! is lost: syslog has no answer that would tell.

use crate::log::reader::Place;
use std::collections::VecDeque;

/// Bytes of a connection between two places that are remembered.
const STEP: u64 = 1024;
/// Places that are remembered at most; then they are further apart.
const MOST: usize = 4096;

/// Where lines begin, in the bytes of a connection and in the log; the first is the last that begins with all before
/// it confirmed.
#[derive(Debug, Default)]
pub(super) struct Doubt(VecDeque<(u64, Place)>);

impl Doubt {
    /// A line begins at this byte of the connection and place of the log; so many bytes are confirmed.
    pub(super) fn begins(&mut self, byte: u64, place: Place, confirmed: impl FnOnce() -> u64) {
        if self.0.back().is_some_and(|(last, _)| byte < last + STEP) {
            return;
        }
        self.forget(confirmed());
        if self.0.len() == MOST {
            let mut stays = false;
            self.0.retain(|_| {
                stays = !stays;
                stays
            });
        }
        self.0.push_back((byte, place));
    }

    /// From where lines are to be sent again after a cut; nowhere, when all that was taken is confirmed.
    pub(super) fn cut(&mut self, taken: u64, confirmed: u64) -> Option<Place> {
        self.forget(confirmed);
        let first = self.0.drain(..).next();
        first.filter(|_| confirmed < taken).map(|(_, place)| place)
    }

    fn forget(&mut self, confirmed: u64) {
        while self.0.get(1).is_some_and(|(next, _)| *next <= confirmed) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u64) -> Place {
        Place { origin: 7, offset }
    }

    fn begun(lines: u64, confirmed: u64) -> Doubt {
        let mut doubt = Doubt::default();
        (0..lines).for_each(|line| doubt.begins(100 + line * 500, place(line * 10), || confirmed));
        doubt
    }

    #[test]
    fn what_was_not_confirmed_is_sent_again_from_the_beginning_of_a_line() {
        // Lines begin at 100, 600, 1100, 1600, …; every third is remembered: 100, 1600, 3100.
        assert_eq!(begun(9, 0).cut(4600, 4600), None);
        assert_eq!(begun(9, 0).cut(4600, 4599), Some(place(60)));
        assert_eq!(begun(9, 0).cut(4600, 3100), Some(place(60)));
        assert_eq!(begun(9, 0).cut(4600, 3099), Some(place(30)));
        assert_eq!(begun(9, 0).cut(4600, 0), Some(place(0)));
        assert_eq!(begun(0, 0).cut(100, 0), None);
    }

    #[test]
    fn what_is_confirmed_is_not_remembered() {
        assert_eq!(begun(9, u64::MAX).0.len(), 2);
        let mut many = begun(4 * 3 * MOST as u64, 0);
        assert!(many.0.len() <= MOST);
        assert_eq!(many.cut(u64::MAX, 0), Some(place(0)), "the first stays");
    }
}
