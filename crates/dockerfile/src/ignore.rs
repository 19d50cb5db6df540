//! `.dockerignore` and its patterns, which `COPY --exclude` and `develop.watch` use as well.
//!
//! Of the patterns that match a path or a folder above it the last one decides; `!` takes back.
//! A pattern begins at the root, `*` and `?` stay within a name, `**` goes through folders, a slash at
//! its end means nothing.

use diagnostic::{Diagnostic, FileId, Span};

use crate::line::physical;

/// A list of patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// `!`: what matches is not ignored.
    takes_back: bool,
    glob: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `**/`: folders, or none.
    Folders,
    /// `**` at the end.
    Rest,
    /// `[a-z]`, or `[^a-z]` with `false`.
    Class(bool, Vec<(char, char)>),
}

impl Ignore {
    /// Reads a `.dockerignore`.
    ///
    /// # Errors
    /// Patterns that are none.
    pub fn parse(file: FileId, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut rules = Vec::new();
        let mut faults = Vec::new();
        for line in physical(text) {
            if line.text.starts_with('#') || line.is_blank() {
                continue;
            }
            match Rule::parse(line.text) {
                Ok(rule) => rules.extend(rule),
                Err(why) => {
                    let start = line.start + line.text.len() - line.text.trim_start().len();
                    let span = Span::new(file, start, start + line.text.trim().len());
                    faults.push(Diagnostic::error("bad-pattern", why).at(span, ""));
                }
            }
        }
        if faults.is_empty() { Ok(Self { rules }) } else { Err(faults) }
    }

    /// A list of patterns that stand in no file. Comments do not exist here.
    ///
    /// # Errors
    /// What is wrong with the first pattern that is none.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let rules = patterns.into_iter().map(Rule::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rules: rules.into_iter().flatten().collect() })
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether `path` is left out. It is relative to the root, its parts parted by single `/`.
    pub fn is_ignored(&self, path: &str) -> bool {
        let mut ignored = false;
        for rule in &self.rules {
            if rule.takes_back == ignored && rule.matches_here_or_above(path) {
                ignored = !rule.takes_back;
            }
        }
        ignored
    }

    /// Whether something below the ignored folder `path` might be taken back, so that it has to be entered.
    pub fn may_take_back_below(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.rules.iter().any(|rule| rule.takes_back && !rule.after(&below).is_empty())
    }
}

impl Rule {
    /// One pattern; `None` for an empty one.
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let text = text.trim();
        let (takes_back, pattern) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, text),
        };
        if pattern.is_empty() {
            return if takes_back { Err("`!` without a pattern".to_owned()) } else { Ok(None) };
        }
        let pattern = clean(pattern);
        let pattern = if pattern.len() > 1 { pattern.trim_start_matches('/') } else { &pattern };
        Ok(Some(Self { takes_back, glob: glob(pattern)? }))
    }

    fn matches_here_or_above(&self, path: &str) -> bool {
        let borders = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        // The states at each border are those of one walk over the path.
        let mut states = self.start();
        let mut from = 0;
        for border in borders {
            for c in path[from..border].chars() {
                states = self.step(&states, c);
            }
            if states.contains(&self.glob.len()) {
                return true;
            }
            states = self.step(&states, '/');
            from = (border + 1).min(path.len());
            if states.is_empty() {
                return false;
            }
        }
        false
    }

    /// The places in the pattern where a reader stands after `text`.
    fn after(&self, text: &str) -> Vec<usize> {
        text.chars().fold(self.start(), |states, c| self.step(&states, c))
    }

    fn start(&self) -> Vec<usize> {
        let mut states = Vec::new();
        self.enter(&mut states, 0);
        states
    }

    /// Stands at `at`, and behind everything that may be empty from there on.
    fn enter(&self, states: &mut Vec<usize>, at: usize) {
        let mut at = at;
        while !states.contains(&at) {
            states.push(at);
            match self.glob.get(at) {
                Some(Token::Many | Token::Folders | Token::Rest) => at += 1,
                _ => return,
            }
        }
    }

    fn step(&self, states: &[usize], c: char) -> Vec<usize> {
        let mut next = Vec::new();
        for &at in states {
            match self.glob.get(at) {
                Some(Token::Char(own)) if *own == c => self.enter(&mut next, at + 1),
                Some(Token::One) if c != '/' => self.enter(&mut next, at + 1),
                Some(Token::Many) if c != '/' => self.enter(&mut next, at),
                Some(Token::Rest) => self.enter(&mut next, at),
                Some(Token::Class(within, ranges))
                    if c != '/'
                        && *within == ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) =>
                {
                    self.enter(&mut next, at + 1);
                }
                Some(Token::Folders) => {
                    // Inside a name the reader stays without being able to leave; `/` lets it leave.
                    if c == '/' {
                        self.enter(&mut next, at + 1);
                    }
                    if !next.contains(&at) {
                        next.push(at);
                    }
                }
                _ => {}
            }
        }
        next
    }
}

/// Drops `.`, `..` with what it undoes, doubled slashes and the last one.
fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn glob(pattern: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                if chars.peek() == Some(&'/') {
                    chars.next();
                }
                if chars.peek().is_some() { Token::Folders } else { Token::Rest }
            }
            '*' => Token::Many,
            '?' => Token::One,
            '\\' => Token::Char(
                chars.next().ok_or_else(|| format!("`{pattern}` ends in the middle of an escape"))?,
            ),
            '[' => class(&mut chars).ok_or_else(|| format!("`{pattern}` has a `[` without a proper end"))?,
            c => Token::Char(c),
        });
    }
    Ok(tokens)
}

/// What follows a `[`, to its `]`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let within = chars.next_if_eq(&'^').is_none();
    let mut ranges = Vec::new();
    loop {
        let first = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Token::Class(within, ranges)),
            ']' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        let last = match chars.next_if_eq(&'-') {
            Some(_) => match chars.next()? {
                '\\' => chars.next()?,
                ']' => return None,
                c => c,
            },
            None => first,
        };
        if last < first {
            return None;
        }
        ranges.push((first, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diagnostic::Sources;

    fn ignored(patterns: &[&str], path: &str) -> bool {
        Ignore::of(patterns.iter().copied()).unwrap().is_ignored(path)
    }

    #[test]
    fn one_pattern() {
        let cases = [
            ("temp", "temp", true),
            ("temp", "temp/a/b", true),
            ("temp", "a/temp", false),
            ("/temp/", "temp", true),
            ("./temp//x", "temp/x", true),
            ("a/../b", "b", true),
            ("*/temp*", "sub/temporary.txt", true),
            ("*/temp*", "sub/temp/x", true),
            ("*/temp*", "sub/sub/temp", false),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("temp?", "temp/", false),
            ("**/*.go", "main.go", true),
            ("**/*.go", "a/b/main.go", true),
            ("**/*.go", "main.gox", false),
            ("**", "a/b", true),
            ("**/", "a/b", true),
            ("dir/**", "dir", false),
            ("dir/**", "dir/a/b", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "ab", false),
            ("a**b", "ab", true),
            ("a**b", "ax/b", true),
            ("a**b", "axb", false),
            ("**/foo/bar", "foo/bar", true),
            ("**/foo/bar", "xfoo/bar", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a.b$", "a.b$", true),
            ("a.b", "axb", false),
            ("é?", "éé", true),
            (".", "a", false),
            ("/", "a", false),
            ("*", ".hidden", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(ignored(&[pattern], path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_match_decides() {
        assert!(!ignored(&["*.md", "!README.md"], "README.md"));
        assert!(ignored(&["*.md", "!README*.md", "README-secret.md"], "README-secret.md"));
        assert!(!ignored(&["*.md", "README-secret.md", "!README*.md"], "README-secret.md"));
        assert!(!ignored(&["dir", "!dir/keep"], "dir/keep"));
        assert!(!ignored(&["dir", "!dir/keep"], "dir/keep/below"));
        assert!(ignored(&["dir", "!dir/keep"], "dir/other"));
        assert!(!ignored(&["!a"], "a"));
    }

    #[test]
    fn an_ignored_folder_is_entered_only_for_what_may_be_taken_back() {
        let ignore = Ignore::of(["*", "!src/**/*.rs", "!a/b/c"]).unwrap();
        let enter = |path| ignore.may_take_back_below(path);
        assert!(enter("src") && enter("src/deep/er") && enter("a") && enter("a/b"));
        assert!(!enter("target") && !enter("a/x") && !enter("src2"));
        assert!(!Ignore::of(["*"]).unwrap().may_take_back_below("a"));
    }

    #[test]
    fn a_file_has_comments_and_faults_with_places() {
        let text = "\u{feff}# comment\n\n  node_modules  \r\n#\n !node_modules/kept\n";
        let mut sources = Sources::new();
        let file = sources.add(".dockerignore", text);
        let ignore = Ignore::parse(file, text).unwrap();
        assert_eq!(ignore.rules.len(), 2);
        assert!(ignore.is_ignored("node_modules/x") && !ignore.is_ignored("node_modules/kept"));
        let text = "a\n  [x\n!\nb\\\n";
        let file = sources.add(".dockerignore", text);
        let faults = Ignore::parse(file, text).unwrap_err();
        let places: Vec<_> = faults.iter().map(|fault| sources.place(fault.span())).collect();
        assert_eq!(places, [".dockerignore:2:3", ".dockerignore:3:1", ".dockerignore:4:1"]);
    }
}
