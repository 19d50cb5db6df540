//! The mapping of the tree. Most have a few keys, and there are thousands of them: those are a sorted list of
//! their entries, where every search tree would take a kilobyte. Larger ones are a search tree, so that no
//! input makes inserting slow.
//!
//! Most questions are about keys that are not there: of a hundred attributes a service has ten. A word of marks,
//! one for each key by the look of it, answers nearly all of those without touching an entry.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::{mem, ops, slice, vec};

use super::Entry;

/// Entries from which on a mapping is a search tree.
const MANY: usize = 64;

/// Room that a mapping is read into, empty between two of them.
pub(crate) type Spare = Vec<(String, Entry)>;

/// A mapping, in order of its keys.
#[derive(Clone, Debug)]
pub struct Map {
    /// The marks of all keys that are there, perhaps of some that were.
    marks: u64,
    form: Form,
}

#[derive(Clone, Debug)]
#[expect(clippy::box_collection, reason = "few mappings are trees, and every node has room for one")]
enum Form {
    /// Sorted by key; fewer than [`MANY`].
    List(Vec<(String, Entry)>),
    Tree(Box<BTreeMap<String, Entry>>),
}

use Form::{List, Tree};

/// The mark of a key: one of 64, by its length and its first and last byte. The factors spread the keys of a
/// service about evenly.
#[inline]
fn mark(key: &str) -> u64 {
    let (first, last) = match key.as_bytes() {
        [] => (0, 0),
        [first, .., last] => (usize::from(*first), usize::from(*last)),
        [only] => (usize::from(*only), 0),
    };
    1 << ((first + 11 * last + 7 * key.len()) % 64)
}

/// Entries up to which a key is looked for one by one: to compare lengths is less than to find the middle.
const FEW: usize = 16;

/// Where a key is.
fn place(list: &[(String, Entry)], key: &str) -> Option<usize> {
    if list.len() > FEW { search(list, key).ok() } else { list.iter().position(|(other, _)| other == key) }
}

/// Where a key is, or where it would be.
fn search(list: &[(String, Entry)], key: &str) -> Result<usize, usize> {
    list.binary_search_by(|(other, _)| compare(other, key))
}

/// The order of the bytes. Most keys differ in the first.
fn compare(a: &str, b: &str) -> Ordering {
    match (a.as_bytes(), b.as_bytes()) {
        ([a, ..], [b, ..]) if a != b => a.cmp(b),
        _ => a.cmp(b),
    }
}

impl Map {
    /// The empty mapping.
    pub const fn new() -> Self {
        Self { marks: 0, form: List(Vec::new()) }
    }

    /// The empty mapping with room for so many keys.
    pub(crate) fn with_capacity(keys: usize) -> Self {
        Self::with_room(Vec::with_capacity(keys.min(MANY)))
    }

    /// The empty mapping with the room of `spare`, which is empty.
    pub(crate) fn with_room(spare: Spare) -> Self {
        Self { marks: 0, form: List(spare) }
    }

    /// The same mapping in no more room than it needs, and the room it had. A list grows by doubling, and most
    /// are never added to again.
    pub(crate) fn fitted(self) -> (Self, Spare) {
        let Self { marks, form } = self;
        match form {
            List(mut list) => {
                let mut fitted = Vec::with_capacity(list.len());
                fitted.append(&mut list);
                (Self { marks, form: List(fitted) }, list)
            }
            tree @ Tree(_) => (Self { marks, form: tree }, Vec::new()),
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        match &self.form {
            List(list) => list.len(),
            Tree(tree) => tree.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `key` may be there; if not, it surely is not.
    #[inline]
    fn may_have(&self, key: &str) -> bool {
        self.marks & mark(key) != 0
    }

    /// What is under `key`.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        if self.may_have(key) { self.found(key) } else { None }
    }

    fn found(&self, key: &str) -> Option<&Entry> {
        match &self.form {
            List(list) => place(list, key).map(|at| &list[at].1),
            Tree(tree) => tree.get(key),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        if self.may_have(key) { self.found_mut(key) } else { None }
    }

    fn found_mut(&mut self, key: &str) -> Option<&mut Entry> {
        match &mut self.form {
            List(list) => place(list, key).map(|at| &mut list[at].1),
            Tree(tree) => tree.get_mut(key),
        }
    }

    /// Whether something is under `key`.
    #[inline]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Puts `entry` under `key` and returns what was there.
    pub fn insert(&mut self, key: String, entry: Entry) -> Option<Entry> {
        match self.insert_first(key, entry) {
            Ok(()) => None,
            Err((key, entry)) => self.get_mut(&key).map(|earlier| mem::replace(earlier, entry)),
        }
    }

    /// Puts `entry` under `key` if nothing is there, with one search; else gives both back.
    pub(crate) fn insert_first(&mut self, key: String, entry: Entry) -> Result<(), (String, Entry)> {
        self.marks |= mark(&key);
        match &mut self.form {
            Tree(tree) => match tree.entry(key) {
                btree_map::Entry::Vacant(place) => {
                    place.insert(entry);
                }
                btree_map::Entry::Occupied(place) => return Err((place.key().clone(), entry)),
            },
            List(list) => match search(list, &key) {
                Ok(_) => return Err((key, entry)),
                Err(_) if list.len() + 1 >= MANY => {
                    let mut tree: BTreeMap<_, _> = mem::take(list).into_iter().collect();
                    tree.insert(key, entry);
                    self.form = Tree(Box::new(tree));
                }
                Err(at) => {
                    if list.len() == list.capacity() {
                        // A `Vec` would take four times the room of the one key that many have.
                        list.reserve_exact(list.len() / 2 + 1);
                    }
                    list.insert(at, (key, entry));
                }
            },
        }
        Ok(())
    }

    /// What is under `key`, which `entry` gives if there is nothing.
    pub(crate) fn or_insert_with(&mut self, key: String, entry: impl FnOnce() -> Entry) -> &mut Entry {
        if !self.contains_key(&key) {
            self.insert(key.clone(), entry());
        }
        self.get_mut(&key).expect("it was there or has been put there")
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        if self.may_have(key) { self.removed(key) } else { None }
    }

    fn removed(&mut self, key: &str) -> Option<Entry> {
        match &mut self.form {
            List(list) => place(list, key).map(|at| list.remove(at).1),
            Tree(tree) => tree.remove(key),
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &mut Entry) -> bool) {
        match &mut self.form {
            List(list) => list.retain_mut(|(key, entry)| keep(key, entry)),
            Tree(tree) => tree.retain(|key, entry| keep(key, entry)),
        }
    }

    /// The entries in order of their keys.
    pub fn iter(&self) -> Iter<'_> {
        match &self.form {
            List(list) => Iter::List(list.iter()),
            Tree(tree) => Iter::Tree(tree.iter()),
        }
    }

    pub(crate) fn iter_mut(&mut self) -> IterMut<'_> {
        match &mut self.form {
            List(list) => IterMut::List(list.iter_mut()),
            Tree(tree) => IterMut::Tree(tree.iter_mut()),
        }
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.iter().map(|(key, _)| key)
    }

    /// The values in order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &Entry> {
        self.iter().map(|(_, entry)| entry)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.iter_mut().map(|(_, entry)| entry)
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl ops::Index<&str> for Map {
    type Output = Entry;

    fn index(&self, key: &str) -> &Entry {
        self.get(key).expect("the key is there")
    }
}

impl FromIterator<(String, Entry)> for Map {
    /// Of several entries with one key the last stays.
    fn from_iter<I: IntoIterator<Item = (String, Entry)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let (least, most) = entries.size_hint();
        let mut map = Self::with_capacity(most.unwrap_or(least));
        for (key, entry) in entries {
            map.insert(key, entry);
        }
        map
    }
}

/// The entries of a [`Map`], borrowed.
#[derive(Clone)]
pub enum Iter<'a> {
    #[doc(hidden)]
    List(slice::Iter<'a, (String, Entry)>),
    #[doc(hidden)]
    Tree(btree_map::Iter<'a, String, Entry>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a String, &'a Entry);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::List(list) => list.next().map(|(key, entry)| (key, entry)),
            Self::Tree(tree) => tree.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::List(list) => list.size_hint(),
            Self::Tree(tree) => tree.size_hint(),
        }
    }
}

/// The entries of a [`Map`], to be changed.
pub enum IterMut<'a> {
    #[doc(hidden)]
    List(slice::IterMut<'a, (String, Entry)>),
    #[doc(hidden)]
    Tree(btree_map::IterMut<'a, String, Entry>),
}

impl<'a> Iterator for IterMut<'a> {
    type Item = (&'a String, &'a mut Entry);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::List(list) => list.next().map(|(key, entry)| (&*key, entry)),
            Self::Tree(tree) => tree.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::List(list) => list.size_hint(),
            Self::Tree(tree) => tree.size_hint(),
        }
    }
}

/// The entries of a [`Map`].
pub enum IntoIter {
    #[doc(hidden)]
    List(vec::IntoIter<(String, Entry)>),
    #[doc(hidden)]
    Tree(btree_map::IntoIter<String, Entry>),
}

impl Iterator for IntoIter {
    type Item = (String, Entry);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::List(list) => list.next(),
            Self::Tree(tree) => tree.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::List(list) => list.size_hint(),
            Self::Tree(tree) => tree.size_hint(),
        }
    }
}

impl IntoIterator for Map {
    type Item = (String, Entry);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        match self.form {
            List(list) => IntoIter::List(list.into_iter()),
            Tree(tree) => IntoIter::Tree(tree.into_iter()),
        }
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a String, &'a Entry);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a String, &'a mut Entry);
    type IntoIter = IterMut<'a>;

    fn into_iter(self) -> IterMut<'a> {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use diagnostic::Span;

    use super::*;
    use crate::tree::Node;

    fn entry(text: &str) -> Entry {
        Entry { key_span: Span::NOWHERE, node: Node::string(text, Span::NOWHERE) }
    }

    #[test]
    fn a_small_and_a_large_mapping_are_those_of_the_standard_library() {
        for count in [0_usize, 1, 5, MANY - 1, MANY, 3 * MANY] {
            let (mut map, mut known) = (Map::new(), BTreeMap::new());
            // Seven and the counts have no common divisor, so every key comes, and not in order.
            for key in (0..count).map(|at| format!("key{}", at * 7 % count)) {
                assert_eq!(map.insert(key.clone(), entry(&key)), known.insert(key.clone(), entry(&key)));
                assert_eq!(map.insert(key.clone(), entry("again")), known.insert(key, entry("again")));
            }
            assert!(map.remove("none").is_none());
            assert_eq!(map.remove("key0"), known.remove("key0"));
            map.retain(|key, _| !key.ends_with('3'));
            known.retain(|key, _| !key.ends_with('3'));
            assert_eq!(
                map.or_insert_with("key1".to_owned(), || entry("new")),
                known.entry("key1".to_owned()).or_insert_with(|| entry("new"))
            );
            assert!(map.iter().eq(known.iter()));
            assert_eq!((map.len(), map.get("key2")), (known.len(), known.get("key2")));
            assert!(map.clone().into_iter().eq(known));
        }
    }
}
