//! Log lines: `web-1  | text`, the names aligned by the longest, each in its own colour.

use super::time;
use std::collections::BTreeMap;

/// The rotation of colours: cyan, yellow, green, magenta, blue, then the same in bold.
const COLOURS: [&str; 10] = ["36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1"];

/// How lines of several containers are told apart.
#[derive(Debug)]
pub(crate) struct Prefixes {
    colour: bool,
    shown: bool,
    width: usize,
    given: BTreeMap<String, usize>,
}

impl Prefixes {
    /// Prefixes for lines; `shown` is false with `--no-log-prefix`.
    pub(crate) fn new(colour: bool, shown: bool) -> Self {
        Self { colour, shown, width: 0, given: BTreeMap::new() }
    }

    /// Makes room for a name and gives it its colour. Names known beforehand are added sorted, so
    /// that colours are the same in every run.
    pub(crate) fn add(&mut self, name: &str) {
        self.width = self.width.max(name.chars().count());
        let next = self.given.len() % COLOURS.len();
        self.given.entry(name.to_owned()).or_insert(next);
    }

    /// What stands in front of a line of this container.
    pub(crate) fn prefix(&self, name: &str) -> String {
        if !self.shown {
            return String::new();
        }
        let padded = format!("{name:<width$} | ", width = self.width + 1);
        match self.given.get(name).filter(|_| self.colour) {
            Some(colour) => format!("\x1b[{}m{padded}\x1b[0m", COLOURS[*colour]),
            None => padded,
        }
    }

    /// A whole line, ended.
    pub(crate) fn line(&self, name: &str, time: Option<resource::Timestamp>, text: &str) -> String {
        let time = time.map_or_else(String::new, |time| format!("{} ", time::utc(time)));
        format!("{}{time}{}\n", self.prefix(name), text.trim_end_matches(['\n', '\r']))
    }
}

/// A container's name without the project in front; a name the user chose is shown whole.
pub(crate) fn display_name(container: &str, project: &str) -> String {
    let rest = container.strip_prefix(project).and_then(|rest| rest.strip_prefix(['-', '_']));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(container).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_aligned_by_the_longest() {
        let mut prefixes = Prefixes::new(false, true);
        prefixes.add("database-1");
        prefixes.add("web-1");
        assert_eq!(prefixes.line("web-1", None, "hello\r\n"), "web-1       | hello\n");
        assert_eq!(prefixes.line("database-1", None, ""), "database-1  | \n");
    }

    #[test]
    fn colours_go_round() {
        let mut prefixes = Prefixes::new(true, true);
        for number in 0..11 {
            prefixes.add(&format!("s{number:02}"));
        }
        assert!(prefixes.prefix("s00").starts_with("\x1b[36ms00"));
        assert!(prefixes.prefix("s05").starts_with("\x1b[36;1m"));
        assert!(prefixes.prefix("s10").starts_with("\x1b[36ms10"));
    }

    #[test]
    fn without_prefix_a_line_is_itself() {
        let mut prefixes = Prefixes::new(true, false);
        prefixes.add("web-1");
        let time = "2026-03-01T12:00:00.5Z".parse().unwrap();
        assert_eq!(prefixes.line("web-1", Some(time), "x"), "2026-03-01T12:00:00.500000000Z x\n");
    }

    #[test]
    fn the_project_is_left_out_of_a_name() {
        assert_eq!(display_name("shop-web-1", "shop"), "web-1");
        assert_eq!(display_name("shop_web_1", "shop"), "web_1");
        assert_eq!(display_name("wp-so", "shop"), "wp-so");
    }
}
