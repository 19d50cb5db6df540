//! The list: a line of titles, one for the project with its totals, one for each container. Columns that
//! do not fit are left out, the least needed first.

use super::Look;
use crate::text::{bytes, fit};
use crate::{Model, Mood, Row, Usage};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    State,
    Health,
    Restarts,
    Processor,
    Memory,
    Network,
    Ports,
}

/// As they stand, each with its title.
const COLUMNS: [(Column, &str); 8] = [
    (Column::Name, "CONTAINER"),
    (Column::State, "STATE"),
    (Column::Health, "HEALTH"),
    (Column::Restarts, "RESTARTS"),
    (Column::Processor, "CPU %"),
    (Column::Memory, "MEM"),
    (Column::Network, "NET IN/OUT"),
    (Column::Ports, "PORTS"),
];

/// In the order in which they are left out.
const DISPENSABLE: [Column; 6] =
    [Column::Ports, Column::Network, Column::Restarts, Column::Health, Column::Memory, Column::Processor];

/// Columns that a name or a state has at least, where names and states are as long.
const SHORTEST: usize = 11;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) {
    let total = total(model);
    let rows: Vec<&Row> = std::iter::once(&total).chain(&model.rows).collect();
    let columns = fitting(&rows, area.width.into());
    let titles = columns.iter().map(|&(column, width)| {
        let title = COLUMNS.iter().find(|(known, _)| *known == column).map_or("", |(_, title)| title);
        Span::from(format!(" {}", cell(title, column, width, look)))
    });
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::from_iter(titles).style(bold), Rect { height: 1, ..area });
    let places = usize::from(area.height.saturating_sub(1));
    let first = (model.chosen + 1).saturating_sub(places);
    for (line, (at, row)) in (area.y + 1..area.bottom()).zip(rows.iter().enumerate().skip(first)) {
        let spans = columns.iter().map(|&(column, width)| {
            let style = match column {
                Column::State => look.mood(row.mood),
                Column::Health => health(row, look),
                Column::Name => look.name(model.colour(&row.name)),
                _ => Style::new(),
            };
            Span::styled(format!(" {}", cell(&content(row, column), column, width, look)), style)
        });
        let chosen = if at == model.chosen { Modifier::REVERSED } else { Modifier::empty() };
        let style = Style::new().add_modifier(chosen);
        frame.render_widget(Line::from_iter(spans).style(style), Rect { y: line, height: 1, ..area });
    }
}

/// The project as a row.
fn total(model: &Model) -> Row {
    let count = model.rows.iter().filter(|row| row.number.is_some()).count();
    let running = model.rows.iter().filter(|row| row.running).count();
    let ill = model.rows.iter().any(|row| row.mood == Mood::Ill);
    Row {
        name: model.project.clone(),
        state: if count == 0 { "no containers".to_owned() } else { format!("{running} of {count} running") },
        mood: match (ill, running) {
            (true, _) => Mood::Ill,
            (false, 0) => Mood::Down,
            (false, running) if running < count => Mood::Between,
            _ => Mood::Well,
        },
        restarts: model.rows.iter().map(|row| row.restarts).sum(),
        usage: model.total(),
        ..Row::default()
    }
}

fn health(row: &Row, look: Look) -> Style {
    match row.health.as_str() {
        "healthy" => look.mood(Mood::Well),
        "starting" => look.mood(Mood::Between),
        "unhealthy" => look.mood(Mood::Ill),
        _ => Style::new(),
    }
}

fn content(row: &Row, column: Column) -> String {
    let used = |show: &dyn Fn(&Usage) -> String| row.usage.as_ref().map_or_else(String::new, show);
    match column {
        Column::Name => row.name.clone(),
        Column::State if row.why.is_empty() => row.state.clone(),
        Column::State => format!("{}: {}", row.state, row.why),
        Column::Health => row.health.clone(),
        Column::Restarts if row.restarts == 0 => String::new(),
        Column::Restarts => row.restarts.to_string(),
        Column::Processor => used(&|usage| format!("{:.1}", usage.processor)),
        Column::Memory => used(&|usage| bytes(usage.memory)),
        Column::Network => used(&|usage| {
            usage.traffic.map_or_else(String::new, |(into, out)| format!("{}/{}", bytes(into), bytes(out)))
        }),
        Column::Ports => row.ports.clone(),
    }
}

/// A cell in its width, numbers to the right.
fn cell(text: &str, column: Column, width: usize, look: Look) -> String {
    let is_number = matches!(column, Column::Restarts | Column::Processor | Column::Memory | Column::Network);
    let blanks = if is_number { width.saturating_sub(text.width()) } else { 0 };
    format!("{}{}", " ".repeat(blanks), fit(text, width - blanks, look.ascii))
}

/// The columns that fit, with their widths; what is left over goes to the states.
fn fitting(rows: &[&Row], columns: usize) -> Vec<(Column, usize)> {
    let widest = |column: Column, title: &str| {
        rows.iter().map(|row| content(row, column).width()).chain([title.width()]).max().unwrap_or(0)
    };
    let mut kept: Vec<(Column, usize)> =
        COLUMNS.iter().map(|&(column, title)| (column, widest(column, title))).collect();
    let needed = |kept: &[(Column, usize)]| -> usize {
        let shortest = |&(column, width): &(Column, usize)| match column {
            // Reasons may be long; they have what is left.
            Column::State => width.min(2 * SHORTEST),
            Column::Name => width.min(2 * SHORTEST),
            _ => width,
        };
        kept.iter().map(|column| shortest(column) + 1).sum()
    };
    for dispensable in DISPENSABLE {
        if needed(&kept) <= columns {
            break;
        }
        kept.retain(|(column, _)| *column != dispensable);
    }
    let others: usize = kept.iter().filter(|(column, _)| !is_text(*column)).map(|(_, width)| width + 1).sum();
    let left = columns.saturating_sub(others + 2);
    let name = widest(Column::Name, "CONTAINER").min(left.saturating_sub(SHORTEST).max(left / 2));
    for (column, width) in &mut kept {
        match column {
            Column::Name => *width = name,
            Column::State => *width = (*width).min(left - name),
            _ => {}
        }
    }
    kept
}

fn is_text(column: Column) -> bool {
    matches!(column, Column::Name | Column::State)
}
