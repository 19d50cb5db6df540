//! The keys of an object, and a table that finds one by its name with one comparison.
//!
//! Every key of a file is looked up several times, so bisection with its seven comparisons of texts for a key
//! of a service was the costliest thing of all. The tables are made when the program is compiled.

use std::ops::Deref;

use super::Field;

/// Places of a table: more than twice the keys of a service, so that most stand where they are looked for first.
const PLACES: usize = 256;
/// What is at a place without a key.
const NONE: u8 = u8::MAX;

/// The fields of an object.
pub(crate) struct Fields {
    list: &'static [Field],
    /// By what [`place`] says of a name, or behind it where others stand: the position in the list.
    table: [u8; PLACES],
}

/// Where a name is looked for first. The factors spread the keys of a service about evenly.
const fn place(name: &str) -> usize {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return 0;
    }
    let (first, middle, last) = (bytes[0], bytes[bytes.len() / 2], bytes[bytes.len() - 1]);
    (bytes.len() * 71 + first as usize * 31 + middle as usize * 7 + last as usize * 13) % PLACES
}

impl Fields {
    /// The table of a list.
    pub(super) const fn of(list: &'static [Field]) -> Self {
        assert!(list.len() < PLACES / 2, "an object has too many keys for its table");
        let mut table = [NONE; PLACES];
        let mut at = 0;
        while at < list.len() {
            let mut place = place(list[at].name);
            while table[place] != NONE {
                place = (place + 1) % PLACES;
            }
            #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 128")]
            {
                table[place] = at as u8;
            }
            at += 1;
        }
        Self { list, table }
    }

    /// What is known of a key.
    pub(super) fn get(&self, name: &str) -> Option<&'static Field> {
        self.position(name).map(|at| &self.list[at])
    }

    /// Where a key stands in the list.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        let mut place = place(name);
        loop {
            let field = self.list.get(usize::from(self.table[place]))?;
            if field.name == name {
                return Some(usize::from(self.table[place]));
            }
            place = (place + 1) % PLACES;
        }
    }
}

impl Deref for Fields {
    type Target = [Field];

    fn deref(&self) -> &[Field] {
        self.list
    }
}
