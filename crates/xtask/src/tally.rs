//! What became of scenarios, from the lines of the test program: pure, so that a run that was cut off is
//! told apart from one that went through.

use std::collections::BTreeMap;
use std::time::Duration;

/// How scenarios ended that were asked for.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Each that was asked for; `None` until its end is told.
    passed: BTreeMap<String, Option<bool>>,
}

impl Tally {
    /// Nothing is known yet of those that are asked for.
    pub(crate) fn of(asked: &[String]) -> Self {
        Self { passed: asked.iter().map(|name| (name.clone(), None)).collect() }
    }

    /// Reads a line of the test program: `test NAME ... ok`, or `FAILED` for its last word. Others say
    /// nothing of an end.
    pub(crate) fn read(&mut self, line: &str) {
        let told = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "));
        let Some((name, end)) = told else { return };
        if let (Some(passed), "ok" | "FAILED") = (self.passed.get_mut(name), end.trim()) {
            *passed = Some(end.trim() == "ok");
        }
    }

    /// Whether every one has passed.
    pub(crate) fn all_passed(&self) -> bool {
        self.passed.values().all(|passed| *passed == Some(true))
    }

    /// What is told at the end: every scenario with its end, those that did not pass last, and the sum.
    pub(crate) fn summary(&self, took: Duration) -> String {
        let named = |end: Option<bool>| {
            let names = self.passed.iter().filter(move |(_, passed)| **passed == end);
            names.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
        };
        let (passed, failed, lost) = (named(Some(true)), named(Some(false)), named(None));
        let mut text = String::new();
        for (names, end) in [(&passed, "passed"), (&failed, "FAILED"), (&lost, "NOT ENDED")] {
            names.iter().for_each(|name| text += &format!("{end:9} {name}\n"));
        }
        let (all, seconds) = (self.passed.len(), took.as_secs());
        text += &format!("{} of {all} scenarios passed", passed.len());
        text += &format!(", {} failed, {} did not end", failed.len(), lost.len());
        text + &format!("; {} min {} s", seconds / 60, seconds % 60)
    }
}

/// One of several parts of equal size: the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    number: usize,
    of: usize,
}

impl Part {
    /// All of it.
    pub(crate) const WHOLE: Self = Self { number: 1, of: 1 };

    /// Reads `2/4`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once('/')?;
        let (number, of) = (number.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&number).then_some(Self { number, of })
    }

    /// Its share of tests, whose names end with who runs them. Neighbours, which are often alike in what
    /// they cost, go to different parts; a scenario's two tests to the same.
    pub(crate) fn share(self, tests: Vec<String>) -> Vec<String> {
        let scenario =
            |test: &String| test.rsplit_once("::").map_or_else(String::new, |(name, _)| name.to_owned());
        let mut scenarios: Vec<_> = tests.iter().map(scenario).collect();
        scenarios.dedup();
        let mine = |test: &String| {
            let index = scenarios.iter().position(|name| *name == scenario(test));
            index.is_some_and(|index| index % self.of == self.number - 1)
        };
        tests.into_iter().filter(mine).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_did_not_end_is_told_apart_from_what_failed() {
        let mut tally = Tally::of(&names(&["a::as_root", "b::as_root", "c::as_root"]));
        for line in ["running 3 tests", "test a::as_root ... ok", "test b::as_root ... FAILED"] {
            tally.read(line);
        }
        tally.read("test c::as_root has been running for over 60 seconds");
        tally.read("test d::as_root ... ok");
        assert!(!tally.all_passed());
        let expected = "passed    a::as_root\nFAILED    b::as_root\nNOT ENDED c::as_root\n\
                        1 of 3 scenarios passed, 1 failed, 1 did not end; 2 min 5 s";
        assert_eq!(tally.summary(Duration::from_secs(125)), expected);
        tally.read("test b::as_root ... ok");
        tally.read("test c::as_root ... ok");
        assert!(tally.all_passed());
    }

    #[test]
    fn parts_are_disjoint_and_together_the_whole() {
        let all =
            names(&["a::x::as_root", "a::x::as_user", "a::y::as_root", "b::z::as_root", "b::z::as_user"]);
        assert_eq!(Part::WHOLE.share(all.clone()), all);
        let part = |text| Part::parse(text).unwrap().share(all.clone());
        assert_eq!(part("1/2"), names(&["a::x::as_root", "a::x::as_user", "b::z::as_root", "b::z::as_user"]));
        assert_eq!(part("2/2"), names(&["a::y::as_root"]));
        for nonsense in ["", "1", "0/2", "3/2", "1/0", "a/b"] {
            assert_eq!(Part::parse(nonsense), None, "{nonsense}");
        }
    }
}
