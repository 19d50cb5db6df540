//! What would be done, as a text that is read, kept and compared.

use crate::exit::Failure;
use plan::Plan;

/// What would be done.
pub(crate) struct Preview {
    /// Images that would be had first.
    pub(crate) images: Plan,
    /// Everything else, as far as it can be known without them.
    pub(crate) plan: Plan,
}

impl Preview {
    /// Whether nothing would be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.images.is_empty() && self.plan.is_empty()
    }

    /// Says what would be done, as `--dry-run` does.
    pub(crate) fn tell(&self) {
        for line in self.to_string().lines() {
            crate::output::planned(line);
        }
    }

    /// Refuses anything but what is expected, and says what differs.
    pub(super) fn is(&self, expected: &str) -> Result<(), Failure> {
        let found = self.to_string();
        if found == expected {
            return Ok(());
        }
        let mut text = "the world has moved since the plan was made; nothing was done".to_owned();
        let absent = |line: &&str, other: &str| !other.lines().any(|known| known == *line);
        let planned =
            expected.lines().filter(|line| absent(line, &found)).map(|line| format!("\n  - {line}"));
        let needed = found.lines().filter(|line| absent(line, expected)).map(|line| format!("\n  + {line}"));
        text.extend(planned.chain(needed));
        Err(Failure::new(text)
            .hint("`-` is in the plan, `+` is needed now; make the plan anew with `compose plan -o`"))
    }
}

impl std::fmt::Display for Preview {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}{}", self.images, self.plan);
        formatter.write_str(if text.is_empty() { "nothing to do\n" } else { &text })
    }
}
