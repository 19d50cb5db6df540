//! What the dashboard knows, and what a key does to it.
//!
//! ```text
//! browse ─▶ `/`      what is searched  ─▶ browse
//!        ─▶ `r`,`s`  a question        ─▶ Request on `y`
//!        ─▶ `x`      a command line    ─▶ Request
//!        ─▶ `g`,`?`  the graph, help   ─▶ browse
//! ```

use crate::log::Log;
use crate::{Entry, Key, Row, Usage};
use std::collections::BTreeMap;

/// Rows that a page of the log has, for scrolling.
const PAGE: isize = 10;

/// What an act is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every service of the project.
    Project,
    /// This service, with all its containers.
    Service(String),
}

/// What whoever has the engine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Leave.
    Quit,
    /// Leave, as an interrupt would have it.
    Interrupt,
    /// Stop this program until the shell continues it.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Restart containers.
    Restart(Target),
    /// Stop containers.
    Stop(Target),
    /// Start containers that exist.
    Start(Target),
    /// A shell in a container: its service and number.
    Shell(String, u32),
    /// A command in a container: its service and number, and the line as it was typed.
    Execute(String, u32, String),
}

/// What is in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Front {
    /// The list and the log.
    #[default]
    Browse,
    /// The same, while a search is typed.
    Search(String),
    /// A question, and what a yes leads to.
    Confirm(String, Request),
    /// A command line for the container of this service and number.
    Command(String, u32, String),
    /// The graph, scrolled down by so many lines.
    Graph(u16),
    /// The keys, scrolled down by so many.
    Help(u16),
}

/// Everything that is shown.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub(crate) project: String,
    pub(crate) rows: Vec<Row>,
    /// Place in the list: 0 is the whole project, then the rows.
    pub(crate) chosen: usize,
    pub(crate) log: Log,
    /// The log has the whole screen.
    pub(crate) wide_log: bool,
    pub(crate) graph: String,
    pub(crate) front: Front,
    pub(crate) notice: String,
    /// The colour of each name, by its place among those that were known.
    colours: BTreeMap<String, usize>,
}

impl Model {
    /// A project about which nothing is known yet.
    pub fn new(project: &str) -> Self {
        Self { project: project.to_owned(), ..Self::default() }
    }

    /// Takes the containers as they are now, sorted. The chosen one stays chosen while it is there.
    pub fn set_rows(&mut self, rows: Vec<Row>) {
        let chosen = self.chosen_row().map(|row| row.name.clone());
        self.rows = rows;
        for row in &self.rows {
            let next = self.colours.len();
            self.colours.entry(row.name.clone()).or_insert(next);
        }
        let found = chosen.and_then(|name| self.rows.iter().position(|row| row.name == name));
        self.choose(found.map_or(self.chosen.min(self.rows.len()), |at| at + 1));
    }

    /// Takes the graph, drawn as text.
    pub fn set_graph(&mut self, text: String) {
        self.graph = text;
    }

    /// Takes a line of a log.
    pub fn add_line(&mut self, entry: Entry) {
        self.log.push(entry);
    }

    /// Says something at the bottom, until the next key.
    pub fn say(&mut self, text: &str) {
        let text = crate::clean(text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default());
        text.trim().clone_into(&mut self.notice);
    }

    /// What the whole project uses; `None` when nothing of it is counted.
    pub(crate) fn total(&self) -> Option<Usage> {
        Usage::sum(self.rows.iter().filter_map(|row| row.usage))
    }

    /// The place of a name's colour.
    pub(crate) fn colour(&self, name: &str) -> Option<usize> {
        self.colours.get(name).copied()
    }

    pub(crate) fn chosen_row(&self) -> Option<&Row> {
        self.chosen.checked_sub(1).and_then(|at| self.rows.get(at))
    }

    fn choose(&mut self, at: usize) {
        self.chosen = at.min(self.rows.len());
        let only = self.chosen_row().map(|row| row.name.clone());
        self.log.show(only);
    }

    /// Does what a key means, or says who is to do it.
    pub fn press(&mut self, key: Key) -> Option<Request> {
        self.notice.clear();
        match key {
            Key::Ctrl('c') => return Some(Request::Interrupt),
            Key::Ctrl('z') => return Some(Request::Suspend),
            Key::Ctrl('l') => return Some(Request::Redraw),
            _ => {}
        }
        match std::mem::take(&mut self.front) {
            Front::Browse => self.browse(key),
            Front::Search(typed) => self.type_search(typed, key),
            Front::Confirm(_, request) => (key == Key::Char('y')).then_some(request),
            Front::Command(service, number, typed) => self.type_command(service, number, typed, key),
            Front::Graph(down) => {
                self.front =
                    scrolled(down, key, self.graph.lines().count()).map_or(Front::Browse, Front::Graph);
                None
            }
            Front::Help(down) => {
                self.front = scrolled(down, key, crate::view::HELP_KEYS).map_or(Front::Browse, Front::Help);
                None
            }
        }
    }

    fn browse(&mut self, key: Key) -> Option<Request> {
        match key {
            Key::Char('q') => return Some(Request::Quit),
            Key::Up | Key::Char('k') => self.choose(self.chosen.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.choose(self.chosen + 1),
            Key::Enter | Key::Char('l') | Key::Tab => self.wide_log = !self.wide_log,
            Key::Escape if !self.log.search().is_empty() => self.log.search_for(""),
            Key::Escape => self.wide_log = false,
            Key::PageUp => self.log.scroll(PAGE),
            Key::PageDown => self.log.scroll(-PAGE),
            Key::Char('[') => self.log.scroll(1),
            Key::Char(']') => self.log.scroll(-1),
            Key::Home => self.log.top(),
            Key::End => self.log.follow(),
            Key::Char('f') if self.log.follows() => self.log.hold(),
            Key::Char('f') => self.log.follow(),
            Key::Char('/') => self.front = Front::Search(String::new()),
            Key::Char('n') => self.log.step(true),
            Key::Char('N') => self.log.step(false),
            Key::Char('r') => self.ask("Restart", "it does not answer meanwhile", Request::Restart),
            Key::Char('s') => self.ask("Stop", "its data stays", Request::Stop),
            Key::Char('u') => return Some(Request::Start(self.target())),
            Key::Char('e') => {
                return self.running().map(|(service, number)| Request::Shell(service, number));
            }
            Key::Char('x') => {
                if let Some((service, number)) = self.running() {
                    self.front = Front::Command(service, number, String::new());
                }
            }
            Key::Char('g') => self.front = Front::Graph(0),
            Key::Char('?' | 'h') => self.front = Front::Help(0),
            _ => {}
        }
        None
    }

    fn type_search(&mut self, mut typed: String, key: Key) -> Option<Request> {
        match key {
            Key::Enter => return None,
            Key::Escape => typed.clear(),
            key => edit(&mut typed, key),
        }
        self.log.follow();
        self.log.search_for(&typed);
        if key != Key::Escape {
            self.front = Front::Search(typed);
        }
        None
    }

    fn type_command(&mut self, service: String, number: u32, mut typed: String, key: Key) -> Option<Request> {
        match key {
            Key::Escape => return None,
            Key::Enter => {
                return (!typed.trim().is_empty()).then_some(Request::Execute(service, number, typed));
            }
            key => edit(&mut typed, key),
        }
        self.front = Front::Command(service, number, typed);
        None
    }

    /// What an act is about: the chosen row's service, or everything.
    fn target(&self) -> Target {
        self.chosen_row().map_or(Target::Project, |row| Target::Service(row.service.clone()))
    }

    fn ask(&mut self, act: &str, loss: &str, request: fn(Target) -> Request) {
        let target = self.target();
        let whom = match &target {
            Target::Project => format!("the whole project {}", self.project),
            Target::Service(service) => {
                match self.rows.iter().filter(|row| row.service == *service).count() {
                    0 | 1 => service.clone(),
                    count => format!("{service} (all {count} containers)"),
                }
            }
        };
        self.front = Front::Confirm(format!("{act} {whom}? ({loss})"), request(target));
    }

    /// The chosen container, if something can be executed in it; says so when not.
    fn running(&mut self) -> Option<(String, u32)> {
        match self.chosen_row() {
            Some(Row { running: true, number: Some(number), service, .. }) => {
                Some((service.clone(), *number))
            }
            Some(row) => {
                self.notice = format!("{} does not run", row.name);
                None
            }
            None => {
                "choose a container first".clone_into(&mut self.notice);
                None
            }
        }
    }
}

/// Does to a line that is being typed what a key means.
fn edit(typed: &mut String, key: Key) {
    match key {
        Key::Char(letter) => typed.push(letter),
        Key::Backspace => drop(typed.pop()),
        Key::Ctrl('u') => typed.clear(),
        _ => {}
    }
}

/// How far down a page of so many places is after a key; `None` when the key leaves it.
fn scrolled(down: u16, key: Key, places: usize) -> Option<u16> {
    let last = u16::try_from(places.saturating_sub(1)).unwrap_or(u16::MAX);
    match key {
        Key::Up | Key::Char('k') => Some(down.saturating_sub(1)),
        Key::Down | Key::Char('j') => Some(last.min(down + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let mut model = Model::new("shop");
        let row = |name: &str, service: &str, running| Row {
            name: name.to_owned(),
            service: service.to_owned(),
            number: Some(1),
            running,
            ..Row::default()
        };
        model.set_rows(vec![row("db-1", "db", false), row("web-1", "web", true), row("web-2", "web", true)]);
        model
    }

    fn press(model: &mut Model, keys: &str) -> Option<Request> {
        keys.chars()
            .fold(None, |_, letter| model.press(if letter == '\n' { Key::Enter } else { Key::Char(letter) }))
    }

    #[test]
    fn what_interrupts_a_service_is_asked_first() {
        let mut model = model();
        assert_eq!(press(&mut model, "jjr"), None);
        assert!(matches!(&model.front, Front::Confirm(text, _) if text.contains("web (all 2 containers)")));
        assert_eq!(press(&mut model, "y"), Some(Request::Restart(Target::Service("web".to_owned()))));
        assert_eq!(press(&mut model, "sn"), None);
        assert_eq!((press(&mut model, "y"), &model.front), (None, &Front::Browse));
        assert_eq!(press(&mut model, "kku"), Some(Request::Start(Target::Project)));
    }

    #[test]
    fn a_command_goes_to_a_container_that_runs() {
        let mut model = model();
        assert_eq!((press(&mut model, "e"), model.notice.as_str()), (None, "choose a container first"));
        assert_eq!((press(&mut model, "jx"), model.notice.as_str()), (None, "db-1 does not run"));
        assert_eq!(press(&mut model, "je"), Some(Request::Shell("web".to_owned(), 1)));
        let asked = press(&mut model, "xls -q\n");
        assert_eq!(asked, Some(Request::Execute("web".to_owned(), 1, "ls -q".to_owned())));
        assert_eq!(press(&mut model, "x \n"), None);
    }

    #[test]
    fn the_chosen_container_stays_chosen() {
        let mut model = model();
        press(&mut model, "jj");
        let mut rows = model.rows.clone();
        rows.insert(0, Row { name: "cache-1".to_owned(), ..Row::default() });
        model.set_rows(rows);
        assert_eq!(model.chosen_row().unwrap().name, "web-1");
        assert_eq!(model.colour("web-1"), Some(1));
        model.set_rows(vec![]);
        assert_eq!((model.chosen, press(&mut model, "jjk")), (0, None));
    }

    #[test]
    fn a_search_is_typed_and_forgotten() {
        let mut model = model();
        for text in ["one", "two", "one more"] {
            model.add_line(Entry { name: "web-1".to_owned(), text: text.to_owned() });
        }
        assert_eq!(press(&mut model, "/one\nn"), None);
        assert_eq!(model.log.counted(), (1, 2));
        model.press(Key::Escape);
        assert_eq!(model.log.search(), "");
        assert_eq!(press(&mut model, "/q"), None);
        assert_eq!(press(&mut model, "\nq"), Some(Request::Quit));
    }
}
