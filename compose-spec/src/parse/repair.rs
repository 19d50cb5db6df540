//! Text that is not YAML: finds what would make it YAML, by mending likely damage and reading on.
//!
//! A guess counts when reading gets further with it than without. What is mended lets the rest of the file
//! be checked, too, so that all errors of a file are told at once; places stay those of the text as written.

mod indentation;

use diagnostic::{Diagnostic, FileId};
use saphyr_parser::{Event, Parser};

use super::damage::{self, Damage, Kind};

/// Larger texts are not mended: each guess reads the text again.
const LARGEST: usize = 256 * 1024;
/// How often a text is read to try guesses.
const MOST_READINGS: usize = 60;
/// Lines before the one at which reading failed where the damage is looked for.
const LINES_BEFORE: usize = 4;
/// Levels at which a reading is given up.
const DEEPEST: usize = 200;

/// Where reading failed, in bytes, and the parser's words.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) at: usize,
    pub(super) info: String,
}

impl Failure {
    /// Whether reading was given up for depth.
    pub(super) fn is_too_deep(&self) -> bool {
        self.info.contains("recursion limit")
    }
}

/// A replacement in the text as written.
#[derive(Clone, Debug)]
struct Edit {
    start: usize,
    end: usize,
    new: String,
}

/// A text with edits applied.
pub(super) struct Mended {
    pub(super) text: String,
    /// For each edit where it starts in the new text.
    places: Vec<(usize, Edit)>,
}

impl Mended {
    fn of(text: &str, edits: &[Edit]) -> Self {
        let mut mended = Self { text: String::with_capacity(text.len() + 64), places: Vec::new() };
        let mut at = 0;
        for edit in edits {
            mended.text.push_str(&text[at..edit.start]);
            mended.places.push((mended.text.len(), edit.clone()));
            mended.text.push_str(&edit.new);
            at = edit.end;
        }
        mended.text.push_str(&text[at..]);
        mended
    }

    /// The place in the text as written of a place in the mended one.
    pub(super) fn written(&self, at: usize) -> usize {
        let behind = self.places.partition_point(|(start, _)| *start <= at);
        let Some((start, edit)) = behind.checked_sub(1).and_then(|last| self.places.get(last)) else {
            return at;
        };
        match at.checked_sub(start + edit.new.len()) {
            Some(beyond) => edit.end + beyond,
            None => edit.end.min(edit.start + (at - start)),
        }
    }
}

/// What came of mending a text.
pub(super) struct Outcome {
    /// What was found, told.
    pub(super) told: Vec<Diagnostic>,
    /// The text to read instead; `None` if it is still not YAML.
    pub(super) mended: Option<Mended>,
}

/// Looks for what made reading `text` fail.
pub(super) fn repair(file: FileId, text: &str, failure: &Failure) -> Outcome {
    let mut repairer = Repairer { file, text, edits: Vec::new(), told: Vec::new(), readings: 0 };
    if text.len() > LARGEST || failure.is_too_deep() {
        return Outcome { told: repairer.told, mended: None };
    }
    let mut failure = Some(failure.clone());
    while let Some(current) = failure {
        match repairer.step(&current) {
            Some(next) => failure = next,
            None => return Outcome { told: repairer.told, mended: None },
        }
    }
    let mended = Mended::of(text, &repairer.edits);
    Outcome { told: repairer.told, mended: Some(mended) }
}

struct Repairer<'t> {
    file: FileId,
    /// As written.
    text: &'t str,
    /// Sorted by place, apart from each other.
    edits: Vec<Edit>,
    told: Vec<Diagnostic>,
    readings: usize,
}

impl Repairer<'_> {
    /// Mends what makes reading fail at `failure`: the next failure, if any. `None` if nothing helps.
    fn step(&mut self, failure: &Failure) -> Option<Option<Failure>> {
        for guess in self.guesses(failure) {
            let mut alike = vec![guess.clone()];
            if guess.is_plain() {
                alike.extend(self.alike(&guess));
            }
            let mut next = self.tried(failure, &alike);
            if next.is_none() && guess.kind == Kind::Tab {
                alike.iter_mut().for_each(|tab| tab.mended = " ".repeat(8 * (tab.end - tab.start)));
                next = self.tried(failure, &alike);
            }
            let Some(next) = next else { continue };
            alike.sort_by_key(|damage| damage.start);
            let others: Vec<&Damage> = alike[1..].iter().collect();
            self.told.push(alike[0].tell(self.file, self.text, &others));
            return Some(next);
        }
        for guess in indentation::guesses(self.text, failure.at) {
            let damage =
                Damage { kind: Kind::Tab, start: guess.start, end: guess.end, mended: guess.mended() };
            let Some(next) = self.tried(failure, &[damage]) else { continue };
            self.told.push(guess.tell(self.file, self.text));
            return Some(next);
        }
        None
    }

    /// The failure after mending `damages`, if that is further on; then they stay mended.
    fn tried(&mut self, failure: &Failure, damages: &[Damage]) -> Option<Option<Failure>> {
        if self.readings == MOST_READINGS {
            return None;
        }
        let mut edits = self.edits.clone();
        for damage in damages {
            let overlaps = |edit: &Edit| {
                edit.start < damage.end.max(damage.start + 1) && damage.start < edit.end.max(edit.start + 1)
            };
            if edits.iter().any(overlaps) {
                return None;
            }
            edits.push(Edit { start: damage.start, end: damage.end, new: damage.mended.clone() });
        }
        edits.sort_by_key(|edit| edit.start);
        self.readings += 1;
        let next = first_failure(&Mended::of(self.text, &edits))?;
        if next.as_ref().is_some_and(|next| next.at <= failure.at) {
            return None;
        }
        self.edits = edits;
        Some(next)
    }

    /// Likely damage near a failure, the nearest line first.
    fn guesses(&self, failure: &Failure) -> Vec<Damage> {
        let (mut start, mut end) = line_around(self.text, failure.at);
        let mut found = Vec::new();
        // A tab is told at the line before it.
        if end < self.text.len() {
            let below = line_around(self.text, end + 1);
            let below = damage::of_line(self.text, below.0.max(end), below.1.max(end));
            found.extend(below.into_iter().filter(|damage| damage.kind == Kind::Tab));
        }
        for _ in 0..=LINES_BEFORE {
            let mut of_line = damage::of_line(self.text, start, end);
            // What is plainly damaged comes before what might be.
            of_line.sort_by_key(|damage| !damage.is_plain());
            found.extend(of_line);
            let Some((before, _)) = previous(self.text, start) else { break };
            (start, end) = before;
        }
        // A quote may have been opened long before.
        if failure.info.contains("quoted scalar") {
            let lines = damage::of_lines(self.text, 0, start);
            found.extend(lines.into_iter().rev().find(|damage| matches!(damage.kind, Kind::Unclosed(_))));
        }
        found.sort_by_key(|damage| !damage.is_plain());
        found
    }

    /// The same damage elsewhere.
    fn alike(&self, damage: &Damage) -> Vec<Damage> {
        let all = damage::of_lines(self.text, 0, self.text.len());
        all.into_iter().filter(|other| other.start != damage.start && damage.is_like(other)).collect()
    }
}

/// The line around `at`, without its end.
pub(super) fn line_around(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.trim_end().len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    (start, start + text[start..end].trim_end_matches('\r').len())
}

/// The line before the one that starts at `start` that holds something, and its indentation.
pub(super) fn previous(text: &str, start: usize) -> Option<((usize, usize), usize)> {
    let mut start = start;
    while start > 0 {
        let line = line_around(text, start - 1);
        let content = text[line.0..line.1].trim_start();
        start = line.0.min(start - 1);
        if !content.is_empty() && !content.starts_with('#') {
            return Some((line, line.1 - line.0 - content.len()));
        }
    }
    None
}

/// Where reading fails, as written; `None` outside if it is too deep to tell.
fn first_failure(mended: &Mended) -> Option<Option<Failure>> {
    let mut parser = Parser::new_from_str(&mended.text);
    let mut depth = 0_usize;
    loop {
        match parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => return Some(None),
            Some(Ok((Event::SequenceStart(..) | Event::MappingStart(..), _))) => {
                depth += 1;
                if depth > DEEPEST {
                    return None;
                }
            }
            Some(Ok((Event::SequenceEnd | Event::MappingEnd, _))) => depth = depth.saturating_sub(1),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                let at = mended.text.char_indices().nth(error.marker().index());
                let at = at.map_or(mended.text.len(), |(at, _)| at);
                return Some(Some(Failure { at: mended.written(at), info: error.info().to_owned() }));
            }
        }
    }
}
