//! The log pane: the last lines of all containers, whose are shown, what is searched, and how far it is
//! scrolled. Lines are known by a number that they keep, so that new ones move nothing that is looked at. It is
//! scrolled by rows of the screen: a line may take more of them than the pane has.

use crate::text::breaks;
use std::cmp::Ordering;
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

/// Which row is at the bottom of the pane. Of two places the later one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The number of the line.
    line: u64,
    /// How many of its rows are below the pane; no more than all but one.
    below: usize,
}

impl Place {
    /// The last row of a line.
    fn end_of(line: u64) -> Self {
        Self { line, below: 0 }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.line.cmp(&other.line).then(other.below.cmp(&self.below))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Rows and columns for the lines, as the pane was drawn last.
#[derive(Clone, Copy, Debug)]
struct Size {
    rows: usize,
    columns: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { rows: usize::MAX, columns: usize::MAX }
    }
}

impl Size {
    fn height(self, entry: &Entry) -> usize {
        breaks(&entry.text, self.columns).len()
    }
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
    /// What is at the bottom; `None` follows the newest line.
    bottom: Option<Place>,
    /// What is at the bottom of a pane that has the oldest line at its top, as it was drawn last.
    least: Option<Place>,
    size: Size,
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
        self.bottom = self.bottom.or_else(|| self.shown().next_back().map(|(line, _)| Place::end_of(line)));
    }

    pub(crate) fn search(&self) -> &str {
        &self.search
    }

    /// Searches, and goes to the newest line that has the text, from the bottom on.
    pub(crate) fn search_for(&mut self, text: &str) {
        self.search = text.to_lowercase();
        let end = self.end().line;
        let found = self.found().rfind(|(line, _)| *line <= end).map(|it| self.place_of_found(it));
        self.bottom = found.or(self.bottom);
    }

    /// Goes to the next line that was found, an older or a newer one; stays where there is none.
    pub(crate) fn step(&mut self, older: bool) {
        let at = self.end().line;
        let next = if older {
            self.found().rfind(|&(line, _)| line < at)
        } else {
            self.found().find(|&(line, _)| line > at)
        };
        self.bottom = next.map(|it| self.place_of_found(it)).or(self.bottom);
    }

    /// Where a line that was found is seen whole, or what was found in it, where it takes more rows than there are.
    fn place_of_found(&self, (line, entry): (u64, &Entry)) -> Place {
        let starts = breaks(&entry.text, self.size.columns);
        let ends = starts.iter().skip(1).copied().chain([entry.text.len()]);
        let has = |end| entry.text[..end].to_lowercase().contains(&self.search);
        let row = ends.into_iter().position(has).unwrap_or(0);
        Place { line, below: (starts.len() - 1 - row).min(starts.len().saturating_sub(self.size.rows)) }
    }

    /// The place of the line at the bottom among those found, from 1, and how many there are.
    pub(crate) fn counted(&self) -> (usize, usize) {
        let end = self.end().line;
        self.found().fold((0, 0), |(place, all), (line, _)| (place + usize::from(line <= end), all + 1))
    }

    /// Scrolls up by so many rows, or down with a negative number; down past the newest line means to follow.
    pub(crate) fn scroll(&mut self, up: isize) {
        // What is scrolled is what is seen: above the oldest line there is nothing.
        let from = self.least.map_or(self.end(), |least| self.end().max(least));
        let distance = up.unsigned_abs();
        self.bottom = if up >= 0 { self.above(from, distance) } else { self.beneath(from, distance) };
    }

    /// The place so many rows above another; the oldest row, where there are not so many.
    fn above(&self, from: Place, mut distance: usize) -> Option<Place> {
        let mut below = from.below;
        let mut oldest = None;
        for (line, entry) in self.shown().rev().skip_while(|(line, _)| *line > from.line) {
            let last = self.size.height(entry) - 1;
            below = below.min(last);
            oldest = Some(Place { line, below: last });
            if distance <= last - below {
                return Some(Place { line, below: below + distance });
            }
            distance -= last - below + 1;
            below = 0;
        }
        oldest
    }

    /// The place so many rows beneath another; none past the newest row.
    fn beneath(&self, from: Place, mut distance: usize) -> Option<Place> {
        for (line, entry) in self.shown().skip_while(|(line, _)| *line < from.line) {
            let height = self.size.height(entry);
            let beneath = if line == from.line { from.below.min(height - 1) } else { height };
            if distance <= beneath {
                return Some(Place { line, below: beneath - distance });
            }
            distance -= beneath;
        }
        None
    }

    /// Goes to the oldest line.
    pub(crate) fn top(&mut self) {
        let size = self.size;
        let oldest = self.shown().next().map(|(line, entry)| Place { line, below: size.height(entry) - 1 });
        self.bottom = oldest;
    }

    /// Takes the rows of the pane, and the columns that lines have. Where what is looked at would leave some blank
    /// above the oldest line, that one is at the top.
    pub(crate) fn fill(&mut self, rows: usize, columns: usize) {
        let size = Size { rows, columns };
        let mut left = rows;
        let mut least = None;
        for (line, entry) in self.shown() {
            let height = size.height(entry);
            least = Some(Place { line, below: height.saturating_sub(left.max(1)) });
            left = left.saturating_sub(height);
            if left == 0 {
                break;
            }
        }
        (self.size, self.least) = (size, least);
    }

    /// Whether the pane has the oldest line at its top, and is seen [downwards](Self::downwards) from there.
    pub(crate) fn is_at_top(&self) -> bool {
        self.bottom.zip(self.least).is_some_and(|(bottom, least)| bottom < least)
    }

    /// How many rows of the line at the bottom are below the pane.
    pub(crate) fn below(&self) -> usize {
        self.end().below
    }

    /// Lines from the oldest on, each with whether it has what is searched.
    pub(crate) fn downwards(&self) -> impl Iterator<Item = (&Entry, bool)> {
        self.shown().map(|(_, entry)| (entry, self.has(entry)))
    }

    /// Lines from the bottom up, each with whether it has what is searched.
    pub(crate) fn upwards(&self) -> impl Iterator<Item = (&Entry, bool)> {
        let end = self.end().line;
        let shown = self.shown().rev().skip_while(move |(number, _)| *number > end);
        shown.map(|(_, entry)| (entry, self.has(entry)))
    }

    /// What is at the bottom; the oldest line there is, when that one was let go.
    fn end(&self) -> Place {
        let newest = Place::end_of(u64::MAX);
        let oldest = || self.shown().next().map_or(newest, |(line, _)| Place { line, below: usize::MAX });
        self.bottom.map_or(newest, |bottom| bottom.max(oldest()))
    }

    fn shown(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> + Clone {
        let numbered = self.entries.iter().enumerate().map(|(at, entry)| (self.first + at as u64, entry));
        numbered.filter(|(_, entry)| self.only.as_ref().is_none_or(|only| *only == entry.name))
    }

    fn found(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        self.shown().filter(|(_, entry)| self.has(entry))
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
    fn a_line_higher_than_the_pane_is_seen_from_end_to_end() {
        let mut log = Log::default();
        for text in ["before", "one two three four five", "after"] {
            log.push(Entry { name: "web".to_owned(), text: text.to_owned() });
        }
        // Six rows in a pane of two: `one `, `two `, `thre`, `e fo`, `ur f`, `ive`.
        log.fill(2, 4);
        let at = |log: &Log| (bottom(log).split(' ').next().unwrap().to_owned(), log.below());
        log.scroll(1);
        log.scroll(0);
        assert_eq!(at(&log), ("after".to_owned(), 1));
        log.scroll(1);
        assert_eq!(at(&log), ("one".to_owned(), 0));
        log.scroll(4);
        assert_eq!(at(&log), ("one".to_owned(), 4));
        log.scroll(-2);
        assert_eq!(at(&log), ("one".to_owned(), 2));
        log.search_for("TWO");
        assert_eq!(at(&log), ("one".to_owned(), 4));
        log.search_for("five");
        assert_eq!(at(&log), ("one".to_owned(), 0));
        log.scroll(100);
        assert!(log.is_at_top());
        log.scroll(-100);
        assert!(log.follows());
    }

    #[test]
    fn what_is_scrolled_stays_within_the_lines() {
        let mut log = log(20);
        log.fill(6, 80);
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
