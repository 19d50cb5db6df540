//! How the model is drawn: from top to bottom the list, the log, and a line of keys.

mod front;
mod list;
mod log;

use crate::Model;
use crate::model::Front;
use crate::row::Mood;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

/// Columns and lines below which there is nothing sensible to draw.
pub const SMALLEST: (u16, u16) = (30, 8);

/// How many keys the help is about.
pub(crate) const HELP_KEYS: usize = front::HELP.len();

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub colour: bool,
    /// Only letters of ASCII.
    pub ascii: bool,
}

/// The colours of names in front of log lines, those of `compose logs`.
const NAMES: [Color; 5] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue];

impl Look {
    fn colour(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn mood(self, mood: Mood) -> Style {
        match mood {
            Mood::Well => self.colour(Color::Green),
            Mood::Between => self.colour(Color::Yellow),
            Mood::Ill => self.colour(Color::Red).add_modifier(Modifier::BOLD),
            Mood::Down => Style::new().add_modifier(Modifier::DIM),
        }
    }

    fn name(self, place: Option<usize>) -> Style {
        let Some(place) = place else { return Style::new() };
        let style = self.colour(NAMES[place % NAMES.len()]);
        if place / NAMES.len() % 2 == 1 { style.add_modifier(Modifier::BOLD) } else { style }
    }

    fn either(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }
}

/// Draws everything. The model learns how much of the log is seen, which scrolling goes by.
pub fn draw(frame: &mut Frame<'_>, model: &mut Model, look: Look) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return too_small(frame, area);
    }
    let [body, foot] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    match &model.front {
        Front::Graph(down) => front::graph(frame, body, model, *down),
        Front::Help(down) => front::help(frame, body, *down),
        _ if model.wide_log => log::draw(frame, body, model, look),
        _ => {
            let [list, log] = split(body, model.rows.len());
            list::draw(frame, list, model, look);
            log::draw(frame, log, model, look);
        }
    }
    front::foot(frame, foot, model, look);
}

/// The list has what it needs, but never more than half.
fn split(body: Rect, rows: usize) -> [Rect; 2] {
    const TITLES: u16 = 2;
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(TITLES);
    let list = wanted.min((body.height / 2).max(TITLES + 1));
    Layout::vertical([Constraint::Length(list), Constraint::Min(0)]).areas(body)
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let lines = [
        "terminal too small".to_owned(),
        format!("{}x{}, needs {}x{}", area.width, area.height, SMALLEST.0, SMALLEST.1),
        "q: leave".to_owned(),
    ];
    for (at, text) in (0..area.height).zip(lines) {
        frame.render_widget(Line::from(text), Rect { y: at, height: 1, ..area });
    }
}

#[cfg(test)]
mod tests;
