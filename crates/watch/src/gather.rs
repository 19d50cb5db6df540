//! When a burst of changes is over.

use std::time::{Duration, Instant};

/// A burst is over after this long without a change. Editors write, rename and set attributes within a
/// millisecond or two; ten are enough to have them as one, and below what a person notices.
pub const QUIET: Duration = Duration::from_millis(10);

/// A steady stream of changes is handed over this often, so that a log file beside the sources does not
/// hold everything back for ever.
pub const BUSY: Duration = Duration::from_millis(200);

/// The clock of one burst.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gather {
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Gather {
    /// A change came in.
    pub fn saw(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// When the burst is handed over; `None` while there is none.
    pub fn due(&self) -> Option<Instant> {
        Some((self.last? + QUIET).min(self.first? + BUSY))
    }

    /// The burst was handed over.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_ends_a_burst_and_a_stream_is_cut() {
        let start = Instant::now();
        let mut gather = Gather::default();
        assert_eq!(gather.due(), None);
        gather.saw(start);
        assert_eq!(gather.due(), Some(start + QUIET));
        gather.saw(start + QUIET / 2);
        assert_eq!(gather.due(), Some(start + QUIET / 2 + QUIET));
        let mut at = start;
        while at < start + BUSY * 2 {
            at += QUIET / 2;
            gather.saw(at);
        }
        assert_eq!(gather.due(), Some(start + BUSY));
        gather.reset();
        assert_eq!(gather.due(), None);
    }
}
