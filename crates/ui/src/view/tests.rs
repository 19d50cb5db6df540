//! Screens of several sizes, drawn from the same project.

use super::{Look, draw};
use crate::{Entry, Key, Model, Mood, Row, Usage};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

const PLAIN: Look = Look { colour: false, ascii: false };

fn row(name: &str, state: &str, mood: Mood) -> Row {
    Row {
        name: name.to_owned(),
        service: name.trim_end_matches("-1").to_owned(),
        number: Some(1),
        state: state.to_owned(),
        mood,
        ..Row::default()
    }
}

fn sample() -> Model {
    let mut model = Model::new("shop");
    let runs = |name: &str, health: &str, processor: f64, memory: u64| Row {
        running: true,
        health: health.to_owned(),
        usage: Some(Usage { processor, memory, traffic: Some((1_200_000, 34_000)) }),
        ..row(name, "Up 2 minutes", Mood::Well)
    };
    let never = Row { number: None, ..row("worker", "not created", Mood::Down) };
    model.set_rows(vec![
        Row { ports: "0.0.0.0:5432->5432/tcp".to_owned(), ..runs("database-1", "healthy", 1.25, 45_300_000) },
        Row {
            why: "it exited with code 1".to_owned(),
            restarts: 12,
            ..row("queue-1", "Restarting (1) 3 seconds ago", Mood::Ill)
        },
        runs("web-1", "", 103.4, 387_000_000),
        never,
    ]);
    model.set_graph("web\n├─ database (healthy)  [running, healthy]\n└─ network back\n".to_owned());
    for number in 0..30 {
        let (name, text) = match number % 3 {
            0 => ("web-1", format!("GET /basket/{number} 200")),
            1 => (
                "database-1",
                format!(
                    "checkpoint {number} complete: wrote {} buffers (0.3%); 0 WAL file(s) added, 0 removed, 1 recycled",
                    number * 17
                ),
            ),
            _ => ("queue-1", format!("cannot reach the broker, attempt {number}")),
        };
        model.add_line(Entry { name: name.to_owned(), text });
    }
    model
}

fn screen(model: &mut Model, columns: u16, rows: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, model, PLAIN)).unwrap();
    terminal
}

fn typed(model: &mut Model, keys: &str) {
    keys.chars()
        .for_each(|letter| drop(model.press(if letter == '\n' { Key::Enter } else { Key::Char(letter) })));
}

#[test]
fn the_project_at_80_by_24() {
    insta::assert_snapshot!(screen(&mut sample(), 80, 24).backend());
}

#[test]
fn the_project_at_120_by_40() {
    insta::assert_snapshot!(screen(&mut sample(), 120, 40).backend());
}

#[test]
fn the_project_at_40_by_10() {
    insta::assert_snapshot!(screen(&mut sample(), 40, 10).backend());
}

#[test]
fn one_container_and_a_search() {
    let mut model = sample();
    typed(&mut model, "jj/attempt 1\n");
    insta::assert_snapshot!(screen(&mut model, 80, 16).backend());
}

#[test]
fn a_question_is_asked_at_the_bottom() {
    let mut model = sample();
    typed(&mut model, "jjjr");
    insta::assert_snapshot!(screen(&mut model, 40, 10).backend());
}

#[test]
fn help_and_the_graph() {
    let mut model = sample();
    typed(&mut model, "?");
    insta::assert_snapshot!("help", screen(&mut model, 80, 24).backend());
    typed(&mut model, "qg");
    insta::assert_snapshot!("graph", screen(&mut model, 60, 8).backend());
}

#[test]
fn help_on_a_small_screen_scrolls_to_its_last_key() {
    let mut model = sample();
    typed(&mut model, &format!("?{}", "j".repeat(100)));
    let last = screen(&mut model, 40, 12).backend().to_string();
    assert!(last.contains("q ctrl-c") && last.contains("leave; containers run on"), "{last}");
    typed(&mut model, &"k".repeat(100));
    insta::assert_snapshot!("help_at_40_by_12", screen(&mut model, 40, 12).backend());
    typed(&mut model, "?");
    assert!(screen(&mut model, 40, 12).backend().to_string().contains("log: all"));
}

#[test]
fn a_terminal_that_is_too_small_says_so() {
    insta::assert_snapshot!(screen(&mut sample(), 25, 5).backend());
    screen(&mut sample(), 1, 1);
    screen(&mut Model::new("empty"), 30, 8);
}

#[test]
fn many_containers_scroll_with_the_chosen_one() {
    let mut model = Model::new("many");
    model.set_rows(
        (1..=40).map(|number| row(&format!("s{number:02}-1"), "Up 1 second", Mood::Well)).collect(),
    );
    typed(&mut model, &"j".repeat(25));
    let shown = screen(&mut model, 60, 20).backend().to_string();
    assert!(shown.contains("s25-1") && !shown.contains("s26-1") && !shown.contains("s10-1"), "{shown}");
}

#[test]
fn the_oldest_line_is_at_the_top_and_lines_go_on_below_it() {
    let mut model = sample();
    screen(&mut model, 80, 16);
    model.press(Key::Home);
    insta::assert_snapshot!("oldest_lines", screen(&mut model, 80, 16).backend());
    let top = |model: &mut Model| screen(model, 80, 16).backend().to_string();
    let oldest = top(&mut model);
    model.press(Key::PageUp);
    assert_eq!(top(&mut model), oldest);
    // The first key that goes down is seen.
    typed(&mut model, "]");
    assert_ne!(top(&mut model), oldest);
    typed(&mut model, "[[");
    assert_eq!(top(&mut model), oldest);
}

#[test]
fn colours_are_used_only_where_they_are_wanted() {
    let cells = |look| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, &mut sample(), look)).unwrap();
        terminal.backend().buffer().content.clone()
    };
    assert!(cells(PLAIN).iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let coloured = cells(Look { colour: true, ascii: false });
    assert!(coloured.iter().any(|cell| cell.fg == Color::Red && cell.modifier.contains(Modifier::BOLD)));
    let ascii = cells(Look { colour: false, ascii: true });
    assert!(ascii.iter().all(|cell| cell.symbol().is_ascii()));
}
