//! What is drawn of progress on a terminal, as text of a given size.
//!
//! ```text
//! [+] up 2/4
//!  ⠹ Image redis:7 [⣿⣦⠀] 12MB / 40MB 3.2MB/s Pulling                   2.1s
//!  ✔ Network shop_default Created                                       0.0s
//!  ⠹ Container shop-web-1 Waiting for shop-db-1 to be healthy           0.4s
//!  ... 1 more
//! ```
//! A line never is wider than the terminal: details are cut first, then sizes are left out, then what kind of
//! thing it is, then names are cut. When there are more lines than the terminal has, those that are done are left out first. At the end
//! every line is there but the steps of what was built: its own line says enough.

use super::{Line, Status};
use crate::view::size;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Turns of the spinner, one a drawing.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// The time over which speed is measured.
const WINDOW: Duration = Duration::from_secs(3);

/// Columns below which details are left out rather than cut.
const LEAST: usize = 6;

/// A thing that is worked on.
#[derive(Debug)]
struct Item {
    line: Line,
    began: Instant,
    /// How long it took, once it is done.
    took: Option<Duration>,
    /// Layers of an image: bytes done and in all, by id.
    layers: BTreeMap<String, (u64, u64)>,
    /// Bytes at moments of the last while, the oldest first.
    pace: VecDeque<(Instant, u64)>,
}

/// Everything that is worked on, in the order in which it began.
#[derive(Debug, Default)]
pub(super) struct Board {
    items: Vec<Item>,
}

/// The width of the terminal, the lines there are, and whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Columns of a line.
    pub(super) columns: usize,
    /// Lines for everything; no limit, when `None`.
    pub(super) rows: Option<usize>,
    /// Colours.
    pub(super) colour: bool,
}

impl Board {
    /// Takes in what happened.
    pub(super) fn tell(&mut self, line: &Line, now: Instant) {
        let id = line.parent.as_ref().unwrap_or(&line.id);
        let at = self.items.iter().position(|item| item.line.id == *id).unwrap_or_else(|| {
            let line = Line::new(id.clone(), Status::Working, "Pulling");
            let (layers, pace) = (BTreeMap::new(), VecDeque::new());
            self.items.push(Item { line, began: now, took: None, layers, pace });
            self.items.len() - 1
        });
        let item = &mut self.items[at];
        if line.parent.is_some() {
            return item.layer(line, now);
        }
        item.took = (line.status != Status::Working).then(|| now.saturating_duration_since(item.began));
        item.line = line.clone();
    }

    /// Whether something goes on, so that the drawing changes by itself.
    pub(super) fn is_busy(&self) -> bool {
        self.items.iter().any(|item| item.took.is_none())
    }

    /// The drawing at a moment; `turn` turns the spinner.
    pub(super) fn frame(&self, operation: &str, now: Instant, turn: usize, form: Form) -> Vec<String> {
        let done = self.items.iter().filter(|item| item.took.is_some()).count();
        let header = format!("[+] {operation} {done}/{}", self.items.len());
        let mut lines = vec![cut(&header, form.columns)];
        let places = form.rows.map_or(usize::MAX, |rows| rows.saturating_sub(1));
        let shown = self.shown(places);
        lines.extend(shown.iter().map(|item| item.draw(now, Some(turn), form)));
        let hidden = self.items.len() - shown.len();
        if hidden > 0 && lines.len() <= places {
            lines.push(cut(&format!(" ... {hidden} more"), form.columns));
        }
        lines
    }

    /// The last drawing: every line but those of steps that went well.
    pub(super) fn summary(&self, operation: &str, now: Instant, form: Form) -> Vec<String> {
        let is_kept = |item: &&Item| !item.line.passing || item.line.status != Status::Done;
        let kept: Vec<&Item> = self.items.iter().filter(is_kept).collect();
        let done = kept.iter().filter(|item| item.took.is_some()).count();
        let header = cut(&format!("[+] {operation} {done}/{}", kept.len()), form.columns);
        std::iter::once(header).chain(kept.into_iter().map(|item| item.draw(now, None, form))).collect()
    }

    /// The items that have a place, in their order: what failed or goes on before what is done, and of that
    /// the latest. One place is left for how many have none.
    fn shown(&self, places: usize) -> Vec<&Item> {
        if self.items.len() <= places {
            return self.items.iter().collect();
        }
        let mut ranked: Vec<(usize, &Item)> = self.items.iter().enumerate().collect();
        ranked.sort_by_key(|(at, item)| match item.line.status {
            Status::Error => (0, *at),
            Status::Working => (1, *at),
            Status::Warning => (2, *at),
            Status::Done => (3 + usize::from(item.line.passing), usize::MAX - at),
        });
        ranked.truncate(places.saturating_sub(1));
        ranked.sort_by_key(|(at, _)| *at);
        ranked.into_iter().map(|(_, item)| item).collect()
    }
}

impl Item {
    fn layer(&mut self, line: &Line, now: Instant) {
        let known = self.layers.entry(line.id.clone()).or_insert((0, 0));
        match line.bytes {
            Some(bytes) => *known = bytes,
            None if line.status == Status::Done => known.0 = known.1.max(1),
            None => {}
        }
        let done = self.layers.values().map(|(done, all)| done.min(all)).sum();
        while self.pace.len() > 1 && now.saturating_duration_since(self.pace[1].0) >= WINDOW {
            self.pace.pop_front();
        }
        self.pace.push_back((now, done));
        // Every byte of a slow pull would be a moment of its own.
        if self.pace.len() > 2
            && now.saturating_duration_since(self.pace[self.pace.len() - 3].0) < WINDOW / 30
        {
            self.pace.remove(self.pace.len() - 2);
        }
    }

    /// Bytes a second over the last while, if that is long enough to say.
    fn speed(&self, now: Instant) -> Option<u64> {
        let (from, before) = self.pace.front()?;
        let (_, after) = self.pace.back()?;
        let span = now.saturating_duration_since(*from).as_millis();
        let bytes = u128::from(after.saturating_sub(*before));
        (span >= 200 && bytes > 0).then(|| u64::try_from(bytes * 1000 / span).unwrap_or(u64::MAX))
    }

    /// `turn` turns the spinner; without one nothing goes on any more.
    fn draw(&self, now: Instant, turn: Option<usize>, form: Form) -> String {
        let (sign, code) = match self.line.status {
            Status::Working => (turn.map_or('·', |turn| SPINNER[turn % SPINNER.len()]), "34"),
            Status::Done => ('✔', "32"),
            Status::Warning => ('!', "33"),
            Status::Error => ('✘', "31"),
        };
        let took = self.took.unwrap_or_else(|| now.saturating_duration_since(self.began));
        let took = format!(" {:.1}s", took.as_secs_f64());
        let pieces = self.pieces(now, form.columns.saturating_sub(3 + took.width()));
        let used: usize = pieces.iter().map(|(text, _)| text.width()).sum();
        let blanks = form.columns.saturating_sub(3 + used + took.width());
        let painted =
            |text: &str| if form.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
        let body: String = pieces
            .iter()
            .map(|(text, is_status)| if *is_status { painted(text) } else { text.clone() })
            .collect();
        if form.columns < 3 + took.width() {
            return cut(&sign.to_string(), form.columns);
        }
        format!(" {} {body}{}{took}", painted(&sign.to_string()), " ".repeat(blanks))
    }

    /// Name, layers, sizes, status and details in so many columns; the status is marked.
    fn pieces(&self, now: Instant, columns: usize) -> Vec<(String, bool)> {
        let bar = if self.took.is_none() && !self.layers.is_empty() {
            bar(self.layers.values())
        } else {
            String::new()
        };
        let sizes = if bar.is_empty() { String::new() } else { self.sizes(now) };
        let status = if self.line.text.is_empty() { String::new() } else { format!(" {}", self.line.text) };
        let details = ui::clean(&self.line.details);
        let details = if details.is_empty() { String::new() } else { format!(" {details}") };
        let fixed = self.line.id.width() + bar.width() + status.width();
        let sizes = if fixed + sizes.width() <= columns { sizes } else { String::new() };
        let left = columns.saturating_sub(fixed + sizes.width());
        let details =
            if details.width() <= left || left >= LEAST { cut(&details, left) } else { String::new() };
        let bar = if fixed <= columns { bar } else { String::new() };
        let left = columns.saturating_sub(bar.width() + status.width());
        // A beginning that all have in common tells nothing.
        let parts = self.line.id.split_once(' ').filter(|_| left < self.line.id.width());
        let parts = parts.filter(|(kind, _)| kind.chars().all(char::is_alphabetic));
        let name = parts.map_or(self.line.id.as_str(), |(_, name)| name);
        let name = cut(name, left);
        vec![(name, false), (bar, false), (sizes, false), (cut(&status, columns), true), (details, false)]
    }

    /// ` 12MB / 40MB 3.2MB/s`
    fn sizes(&self, now: Instant) -> String {
        let (done, all) =
            self.layers.values().fold((0, 0), |(done, all), one| (done + one.0.min(one.1), all + one.1));
        if all <= 1 {
            return String::new();
        }
        let speed = self.speed(now).map_or_else(String::new, |speed| format!(" {}/s", size::human(speed)));
        format!(" {} / {}{speed}", size::human(done), size::human(all))
    }
}

/// One character a layer, filled as the layer is: ` [⣿⣷⣄⠀]`.
fn bar<'a>(layers: impl Iterator<Item = &'a (u64, u64)>) -> String {
    const STEPS: [char; 9] = ['⠀', '⡀', '⣀', '⣄', '⣤', '⣦', '⣶', '⣷', '⣿'];
    let filled = layers.map(|(current, total)| {
        let step = (current.min(total) * 8).checked_div(*total).unwrap_or(0);
        STEPS[usize::try_from(step).unwrap_or(8).min(8)]
    });
    format!(" [{}]", filled.collect::<String>())
}

/// The text in at most so many columns, with `…` where something was cut off.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 1);
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > columns {
            break;
        }
        kept.push(letter);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(id: &str, bytes: (u64, u64)) -> Line {
        let layer = Line::new(id, Status::Working, "Downloading");
        Line { parent: Some("Image redis:7".to_owned()), bytes: Some(bytes), ..layer }
    }

    /// A pull, a network, a wait, and a build that failed, two seconds after the beginning.
    fn sample() -> (Board, Instant) {
        let began = Instant::now();
        let later = |milliseconds| began + Duration::from_millis(milliseconds);
        let mut board = Board::default();
        board.tell(&pull("aaa", (0, 30_000_000)), began);
        board.tell(&Line::new("Network shop_default", Status::Done, "Created"), later(10));
        board.tell(
            &Line::new("Container shop-db-1", Status::Working, "Waiting").details("until healthy, for web"),
            later(20),
        );
        let step = Line { passing: true, ..Line::new("[web 1/2] FROM busybox", Status::Done, "Done") };
        board.tell(&step, later(30));
        let failed = Line { passing: true, ..Line::new("[web 2/2] RUN make", Status::Working, "Building") };
        board.tell(&failed, later(30));
        board.tell(&Line { status: Status::Error, text: "Error".to_owned(), ..failed }, later(1530));
        board.tell(&pull("bbb", (0, 10_000_000)), later(1000));
        board.tell(&pull("aaa", (12_000_000, 30_000_000)), later(2000));
        (board, later(2000))
    }

    fn drawn(columns: usize, rows: Option<usize>) -> String {
        let (board, now) = sample();
        let lines = board.frame("up", now, 2, Form { columns, rows, colour: false });
        assert!(lines.iter().all(|line| line.width() <= columns), "{lines:#?}");
        lines.join("\n")
    }

    #[test]
    fn everything_has_a_line() {
        let expected = "\
[+] up 3/5
 ⠹ Image redis:7 [⣄⠀] 12MB / 40MB 6MB/s Pulling                          2.0s
 ✔ Network shop_default Created                                          0.0s
 ⠹ Container shop-db-1 Waiting until healthy, for web                    2.0s
 ✔ [web 1/2] FROM busybox Done                                           0.0s
 ✘ [web 2/2] RUN make Error                                              1.5s";
        assert_eq!(drawn(77, Some(24)), expected);
    }

    #[test]
    fn narrow_terminals_have_less_of_each_line() {
        let expected = "\
[+] up 3/5
 ⠹ Image redis:7 [⣄⠀] Pulling      2.0s
 ✔ Network shop_default Created    0.0s
 ⠹ Container shop-db-1 Waiting     2.0s
 ✔ [web 1/2] FROM busybox Done     0.0s
 ✘ [web 2/2] RUN make Error        1.5s";
        assert_eq!(drawn(39, Some(24)), expected);
        let expected = "\
[+] up 3/5
 ⠹ redis:7 Pulling 2.0s
 ✔ shop_d… Created 0.0s
 ⠹ shop-d… Waiting 2.0s
 ✔ [web 1/2]… Done 0.0s
 ✘ [web 2/2… Error 1.5s";
        assert_eq!(drawn(23, Some(24)), expected);
        (0..24).for_each(|columns| drop(drawn(columns, None)));
    }

    #[test]
    fn low_terminals_show_what_goes_on() {
        let expected = "\
[+] up 3/5
 ⠹ Image redis:7 [⣄⠀] 12MB / 40MB 6MB/s Pulling                          2.0s
 ✘ [web 2/2] RUN make Error                                              1.5s
 ... 3 more";
        assert_eq!(drawn(77, Some(4)), expected);
        (0..4).for_each(|rows| assert!(drawn(77, Some(rows)).lines().count() <= rows.max(1)));
    }

    #[test]
    fn the_summary_leaves_steps_out_that_went_well() {
        let (board, now) = sample();
        let lines = board.summary("up", now, Form { columns: 60, rows: None, colour: false });
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(lines[0].contains("2/4") && !lines.join("").contains("FROM busybox"), "{lines:#?}");
        assert!(lines[1].starts_with(" · Image redis:7"), "nothing turns any more: {lines:#?}");
    }

    #[test]
    fn colours_take_no_place() {
        let (board, now) = sample();
        let form = Form { columns: 60, rows: None, colour: true };
        let coloured = board.frame("up", now, 0, form);
        let plain = board.frame("up", now, 0, Form { colour: false, ..form });
        let stripped: Vec<String> = coloured.iter().map(|line| ui::clean(line)).collect();
        assert_eq!(stripped, plain);
        assert!(coloured[2].contains("\x1b[32m✔\x1b[0m"), "{coloured:#?}");
    }

    #[test]
    fn layers_are_drawn_by_how_full_they_are() {
        assert_eq!(bar([(0, 100), (50, 100), (100, 100)].iter()), " [⠀⣤⣿]");
    }

    #[test]
    fn details_of_programs_cannot_command_the_terminal() {
        let mut board = Board::default();
        let now = Instant::now();
        board.tell(
            &Line::new("[web 1/1] RUN x", Status::Working, "Building").details("\x1b[2Jgone\rhere"),
            now,
        );
        let lines = board.frame("build", now, 0, Form { columns: 60, rows: None, colour: false });
        assert!(lines[1].contains("Building here") && !lines[1].contains('\x1b'), "{lines:#?}");
    }
}
