//! The log pane: the last lines of all containers, whose are shown, what is searched, and how far it is
//! scrolled. Lines are known by a number that they keep, so that new ones move nothing that is looked at.

use std::collections::VecDeque;

/// Lines that are kept; older ones are still in `compose logs`.
const KEPT: usize = 10_000;

/// Bytes of text that are kept: a line may have thousands.
const BYTES: usize = 8 << 20;

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The container's name as its row has it.
    pub name: String,
    /// The text, cleaned.
    pub text: String,
}

/// The lines and what is looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    /// Bytes of their texts.
    bytes: usize,
    /// The number of the oldest line.
    first: u64,
    /// The container whose lines are shown; all, when `None`.
    only: Option<String>,
    /// The number of the line at the bottom; `None` follows the newest.
    bottom: Option<u64>,
    /// The number of the line at the bottom of a pane that has the oldest one at its top, as it was drawn last.
    least: u64,
    /// What is searched, in lower case; empty when nothing is.
    search: String,
}

impl Log {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += entry.text.len();
        self.entries.push_back(entry);
        while self.entries.len() > KEPT || self.bytes > BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.text.len();
            self.first += 1;
        }
    }

    /// Shows the lines of this container only, from the newest on.
    pub(crate) fn show(&mut self, only: Option<String>) {
        if self.only != only {
            self.only = only;
            self.bottom = None;
        }
    }

    pub(crate) fn follows(&self) -> bool {
        self.bottom.is_none()
    }

    pub(crate) fn follow(&mut self) {
        self.bottom = None;
    }

    /// Keeps what is looked at in its place, if there is something.
    pub(crate) fn hold(&mut self) {
        self.bottom = self.bottom.or_else(|| self.shown().next_back().map(|(number, _)| number));
    }

    pub(crate) fn search(&self) -> &str {
        &self.search
    }

    /// Searches, and goes to the newest line that has the text, from the bottom on.
    pub(crate) fn search_for(&mut self, text: &str) {
        self.search = text.to_lowercase();
        let end = self.end();
        let found = self.found().rfind(|number| *number <= end);
        self.bottom = found.or(self.bottom);
    }

    /// Goes to the next line that was found, an older or a newer one; stays where there is none.
    pub(crate) fn step(&mut self, older: bool) {
        let at = self.end();
        let next = if older {
            self.found().rfind(|&number| number < at)
        } else {
            self.found().find(|&number| number > at)
        };
        self.bottom = next.or(self.bottom);
    }

    /// The place of the line at the bottom among those found, from 1, and how many there are.
    pub(crate) fn counted(&self) -> (usize, usize) {
        let end = self.end();
        self.found().fold((0, 0), |(place, all), number| (place + usize::from(number <= end), all + 1))
    }

    /// Scrolls up, or down with a negative number; down past the newest line means to follow.
    pub(crate) fn scroll(&mut self, up: isize) {
        // What is scrolled is what is seen: above the oldest line there is nothing.
        let end = self.end().max(self.least);
        let distance = up.unsigned_abs();
        self.bottom = if up >= 0 {
            let mut before = self.shown().rev().map(|(number, _)| number).filter(|&number| number <= end);
            let oldest = before.clone().next_back();
            before.nth(distance).or(oldest)
        } else {
            self.shown().map(|(number, _)| number).filter(|&number| number > end).nth(distance - 1)
        };
    }

    /// Goes to the oldest line.
    pub(crate) fn top(&mut self) {
        let oldest = self.shown().next().map(|(number, _)| number);
        self.bottom = oldest;
    }

    /// Takes the rows of the pane, and how many of them a line takes. Where what is looked at would leave some
    /// blank above the oldest line, that one is at the top.
    pub(crate) fn fill(&mut self, rows: usize, height: impl Fn(&Entry) -> usize) {
        let mut left = rows;
        let filling = self.shown().take_while(|(_, entry)| {
            let is_taken = left > 0;
            left = left.saturating_sub(height(entry));
            is_taken
        });
        self.least = filling.last().map_or(0, |(number, _)| number);
    }

    /// Whether the pane has the oldest line at its top, and is seen [downwards](Self::downwards) from there.
    pub(crate) fn is_at_top(&self) -> bool {
        self.bottom.is_some_and(|bottom| bottom < self.least)
    }

    /// Lines from the oldest on, each with whether it has what is searched.
    pub(crate) fn downwards(&self) -> impl Iterator<Item = (&Entry, bool)> {
        self.shown().map(|(_, entry)| (entry, self.has(entry)))
    }

    /// Lines from the bottom up, each with whether it has what is searched.
    pub(crate) fn upwards(&self) -> impl Iterator<Item = (&Entry, bool)> {
        let end = self.end();
        let shown = self.shown().rev().skip_while(move |(number, _)| *number > end);
        shown.map(|(_, entry)| (entry, self.has(entry)))
    }

    /// The number of the line at the bottom; of the oldest there is, when that one was let go.
    fn end(&self) -> u64 {
        let oldest = || self.shown().next().map_or(u64::MAX, |(number, _)| number);
        self.bottom.map_or(u64::MAX, |bottom| bottom.max(oldest()))
    }

    fn shown(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> + Clone {
        let numbered = self.entries.iter().enumerate().map(|(at, entry)| (self.first + at as u64, entry));
        numbered.filter(|(_, entry)| self.only.as_ref().is_none_or(|only| *only == entry.name))
    }

    fn found(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.shown().filter(|(_, entry)| self.has(entry)).map(|(number, _)| number)
    }

    fn has(&self, entry: &Entry) -> bool {
        !self.search.is_empty() && entry.text.to_lowercase().contains(&self.search)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(count: usize) -> Log {
        let mut log = Log::default();
        for number in 0..count {
            let name = if number % 2 == 0 { "even" } else { "odd" };
            log.push(Entry { name: name.to_owned(), text: format!("Line {number}") });
        }
        log
    }

    fn bottom(log: &Log) -> &str {
        log.upwards().next().map_or("", |(entry, _)| &entry.text)
    }

    #[test]
    fn new_lines_do_not_move_what_is_looked_at() {
        let mut log = log(10);
        assert_eq!((bottom(&log), log.follows()), ("Line 9", true));
        log.scroll(2);
        log.push(Entry { name: "even".to_owned(), text: "new".to_owned() });
        assert_eq!((bottom(&log), log.follows()), ("Line 7", false));
        log.scroll(-1);
        assert_eq!(bottom(&log), "Line 8");
        log.scroll(-5);
        assert_eq!((bottom(&log), log.follows()), ("new", true));
        log.scroll(100);
        assert_eq!(bottom(&log), "Line 0");
    }

    #[test]
    fn one_container_is_shown_alone() {
        let mut log = log(10);
        log.scroll(3);
        log.show(Some("even".to_owned()));
        assert_eq!((bottom(&log), log.follows()), ("Line 8", true));
        log.scroll(1);
        assert_eq!(bottom(&log), "Line 6");
        log.show(Some("none".to_owned()));
        assert_eq!(bottom(&log), "");
        log.scroll(1);
        assert!(log.follows());
    }

    #[test]
    fn a_search_goes_from_found_to_found() {
        let mut log = log(25);
        log.search_for("LINE 1");
        assert_eq!((bottom(&log), log.counted()), ("Line 19", (11, 11)));
        log.step(true);
        assert_eq!((bottom(&log), log.counted()), ("Line 18", (10, 11)));
        log.step(false);
        log.step(false);
        assert_eq!(bottom(&log), "Line 19");
        log.search_for("nothing");
        assert_eq!((bottom(&log), log.counted()), ("Line 19", (0, 0)));
    }

    #[test]
    fn old_lines_are_let_go() {
        let mut log = log(KEPT + 5);
        log.top();
        assert_eq!(bottom(&log), "Line 5");
        log.push(Entry { name: "odd".to_owned(), text: "new".to_owned() });
        assert_eq!((bottom(&log), log.upwards().count()), ("Line 6", 1));
    }

    #[test]
    fn long_lines_are_let_go_sooner() {
        let mut log = log(3);
        for _ in 0..9 {
            log.push(Entry { name: "odd".to_owned(), text: "x".repeat(1 << 20) });
        }
        assert_eq!((log.entries.len(), log.bytes, log.first), (8, BYTES, 4));
        log.push(Entry { name: "odd".to_owned(), text: "x".repeat(BYTES + 1) });
        assert_eq!((log.entries.len(), log.bytes), (0, 0));
    }

    #[test]
    fn what_is_scrolled_stays_within_the_lines() {
        let mut log = log(20);
        log.fill(6, |_| 1);
        log.top();
        assert!(log.is_at_top());
        log.scroll(10);
        log.scroll(-1);
        assert_eq!((bottom(&log), log.is_at_top()), ("Line 6", false));
        log.scroll(1);
        assert_eq!((bottom(&log), log.is_at_top()), ("Line 5", false));
        log.scroll(1);
        assert!(log.is_at_top());
        log.search_for("line 3");
        assert_eq!((log.counted(), log.is_at_top()), ((1, 1), true));
    }
}
