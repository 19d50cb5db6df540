//! The log pane: a title, and lines from the bottom up, broken where they are too long.

use super::Look;
use crate::text::breaks;
use crate::{Entry, Model};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &mut Model, look: Look) {
    if area.height == 0 {
        return;
    }
    let columns = usize::from(area.width).saturating_sub(front(model).unwrap_or(0));
    model.log.fill(usize::from(area.height - 1), columns);
    frame.render_widget(title(model, area.width, look), Rect { height: 1, ..area });
    if model.log.is_at_top() {
        let all = model.log.downwards();
        let lines = all.flat_map(|(entry, found)| lines(model, entry, found, area.width, look));
        for (y, line) in (area.y + 1..area.bottom()).zip(lines) {
            frame.render_widget(line, Rect { y, height: 1, ..area });
        }
        return;
    }
    let mut y = area.bottom();
    let mut below = model.log.below();
    for (entry, found) in model.log.upwards() {
        let lines = lines(model, entry, found, area.width, look);
        // A pane that has become wider may have fewer rows below it.
        let below = std::mem::take(&mut below).min(lines.len() - 1);
        for line in lines.into_iter().rev().skip(below) {
            y -= 1;
            if y == area.y {
                return;
            }
            frame.render_widget(line, Rect { y, height: 1, ..area });
        }
    }
}

/// `── log: web-1 ── following ───`
fn title(model: &Model, width: u16, look: Look) -> Line<'static> {
    let rule = look.either("─", "-");
    let whose = model.chosen_row().map_or("all", |row| &row.name);
    let state = if model.log.follows() { "following" } else { "held, f follows" };
    let searched = model.log.search();
    let search = match model.log.counted() {
        _ if searched.is_empty() => String::new(),
        (_, 0) => format!(" /{searched} not found {rule}{rule}"),
        (place, all) => format!(" /{searched} {place} of {all} {rule}{rule}"),
    };
    let text = format!("{rule}{rule} log: {whose} {rule}{rule}{search} {state} ");
    let left = usize::from(width).saturating_sub(text.width());
    Line::styled(format!("{text}{}", rule.repeat(left)), Style::new().add_modifier(Modifier::BOLD))
}

/// One entry: its name where several are shown, and its text on as many lines as that takes.
fn lines<'a>(model: &Model, entry: &'a Entry, found: bool, width: u16, look: Look) -> Vec<Line<'a>> {
    let name = front(model).map_or_else(String::new, |columns| prefix(entry, columns));
    let columns = usize::from(width).saturating_sub(name.width());
    let starts = breaks(&entry.text, columns);
    let ends = starts.iter().skip(1).copied().chain([entry.text.len()]);
    let style = if found { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let pieces = starts.iter().zip(ends).map(|(&start, end)| &entry.text[start..end]);
    let lines = pieces.enumerate().map(|(at, piece)| {
        let front = if at == 0 { name.clone() } else { " ".repeat(name.width()) };
        Line::from_iter([
            Span::styled(front, look.name(model.colour(&entry.name))),
            Span::styled(piece, style),
        ])
    });
    lines.collect()
}

/// Columns of what stands in front of each line: the longest name, but no more than a name may take of a narrow
/// screen, and a bar. Nothing does where the lines of one container are shown.
fn front(model: &Model) -> Option<usize> {
    const WIDEST: usize = 20;
    let widest = model.rows.iter().map(|row| row.name.width()).max().unwrap_or(0);
    model.chosen_row().is_none().then_some(widest.clamp(1, WIDEST) + BAR.len())
}

/// Between a name and its line.
const BAR: &str = " | ";

/// `web-1 | ` in so many columns.
fn prefix(entry: &Entry, columns: usize) -> String {
    format!("{}{BAR}", crate::text::fit(&entry.name, columns - BAR.len(), false))
}
