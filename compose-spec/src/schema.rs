//! What a Compose file may hold: one table of keys, kinds, merge rules and short forms.
//!
//! `check` walks a tree by it, `merge` merges by it, `complete` looks for what is missing by it. The fields
//! of an object are sorted by name, which is the order people are told them in; a test watches over that.

mod about;
mod build;
mod deploy;
mod fields;
mod json;
mod resources;
mod service;

pub(crate) use self::fields::Fields;
use self::resources::{CONFIG, EXTERNAL_NAME, MODEL, NETWORK, SECRET, VOLUME};
use self::service::{FILE_MOUNT, ULIMIT};
use crate::forms;
use crate::merge::Merge;
use crate::scope::Scope;
use crate::tree::{Map, Node};

pub use json::json_schema;
pub(crate) use service::SERVICE;

/// Turns a checked value into its canonical form.
pub(crate) type Form = fn(&mut Node, &mut Scope<'_>);

/// A text with a grammar of its own.
pub(crate) struct Grammar {
    /// Says what is wrong with a text; the words complete "`x` …".
    pub(crate) check: fn(&str) -> Result<(), String>,
    /// A regular expression for editors that takes every text that passes, and perhaps more.
    pub(crate) pattern: &'static str,
}

/// What a value must be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Anything.
    Any,
    /// Never: a shape that [`Kind::Shapes`] does not allow.
    Never,
    /// A string.
    Text,
    /// A string that passes a check.
    Checked(&'static Grammar),
    /// A string, number or boolean; becomes a string.
    Scalar,
    /// A string or a number; becomes a string.
    TextOrNumber,
    /// A boolean or a text that means one.
    Bool,
    /// A boolean proper.
    StrictBool,
    /// A whole number within bounds, or a text that holds one.
    Int(i64, i64),
    /// A number, or a text that holds one.
    Number,
    /// A time span; becomes canonical text.
    Duration,
    /// A size; becomes a decimal text.
    Bytes,
    /// One of a few words.
    Enum(&'static [&'static str]),
    /// A list.
    List(&'static Kind),
    /// A mapping with keys of the user.
    Map(&'static Kind),
    /// The same, where keys are names of services, volumes and the like.
    Named(&'static Kind),
    /// A mapping with fixed keys.
    Object(&'static Object),
    /// By shape: a scalar, a list or a mapping.
    Shapes(&'static Kind, &'static Kind, &'static Kind),
}

/// A mapping with fixed keys.
pub(crate) struct Object {
    /// As messages call it, with its article: "a service".
    pub(crate) name: &'static str,
    /// Its keys, sorted.
    pub(crate) fields: Fields,
    /// The keys it must have after merging: of each group one at least.
    pub(crate) required: &'static [&'static [&'static str]],
}

/// One key of an object.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) merge: Merge,
    pub(crate) form: Option<Form>,
    /// Whether it may be null after merging.
    pub(crate) null: bool,
}

impl Field {
    const fn merge(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }
    const fn form(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }
    const fn null(mut self) -> Self {
        self.null = true;
        self
    }
}

impl Object {
    /// Whether an entry of a mapping of these may be empty.
    pub(crate) fn may_be_null(&self) -> bool {
        matches!(self.name, "a network" | "a volume" | "a service's network" | "a use of a model")
    }

    /// The groups of required keys that a mapping has none of.
    pub(crate) fn missing(&self, map: &Map) -> impl Iterator<Item = &'static [&'static str]> {
        self.required.iter().copied().filter(|keys| !keys.iter().any(|key| map.contains_key(key)))
    }

    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.get(name)
    }

    /// Where a key stands among the fields.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.fields.position(name)
    }
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, merge: Merge::Deep, form: None, null: false }
}
const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}
const fn flag(name: &'static str) -> Field {
    field(name, Kind::Bool)
}
const fn int(name: &'static str) -> Field {
    field(name, Kind::Int(i64::MIN, i64::MAX))
}
const fn count(name: &'static str) -> Field {
    field(name, Kind::Int(0, i64::MAX))
}
const fn bytes(name: &'static str) -> Field {
    field(name, Kind::Bytes)
}
const fn duration(name: &'static str) -> Field {
    field(name, Kind::Duration)
}
/// A list of strings without duplicates.
const fn set(name: &'static str) -> Field {
    field(name, Kind::List(&Kind::Text)).merge(Merge::Unique(forms::by_text))
}
/// A string or a list of strings; becomes a list.
const fn one_or_more(name: &'static str) -> Field {
    field(name, Kind::Shapes(&Kind::Text, &Kind::List(&Kind::Text), &Kind::Never)).form(forms::list)
}
/// `K=V` list or mapping; becomes a mapping of texts, a missing value being the empty text.
const fn labels(name: &'static str) -> Field {
    field(name, LIST_MAP).merge(Merge::Entries).form(forms::labels)
}
/// `K=V` list or mapping; becomes a mapping of texts or null.
const fn variables(name: &'static str) -> Field {
    field(name, LIST_MAP).merge(Merge::Entries).form(forms::variables)
}
/// A mapping of string or number; becomes a mapping of texts.
const fn options(name: &'static str) -> Field {
    field(name, Kind::Map(&Kind::TextOrNumber))
}

const LIST_MAP: Kind = Kind::Shapes(&Kind::Never, &Kind::List(&Kind::Text), &Kind::Map(&Kind::Scalar));
const COMMAND: Kind = Kind::Shapes(&Kind::Text, &Kind::List(&Kind::Text), &Kind::Never);
const ULIMITS: Kind =
    Kind::Map(&Kind::Shapes(&Kind::Int(-1, i64::MAX), &Kind::Never, &Kind::Object(&ULIMIT)));
const FILE_MOUNTS: Kind = Kind::List(&Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&FILE_MOUNT)));
const EXTRA_HOSTS: Kind = Kind::Shapes(
    &Kind::Never,
    &Kind::List(&Kind::Text),
    &Kind::Map(&Kind::Shapes(&Kind::Text, &Kind::List(&Kind::Text), &Kind::Never)),
);
const EXTERNAL: Kind = Kind::Shapes(&Kind::Bool, &Kind::Never, &Kind::Object(&EXTERNAL_NAME));
const COUNT_OR_ALL: Kind = Kind::TextOrNumber;

/// The whole file.
pub(crate) static TOP: Object = Object {
    name: "a Compose file",
    required: &[],
    fields: Fields::of(&[
        field("configs", Kind::Named(&Kind::Object(&CONFIG))),
        field("include", Kind::List(&Kind::Shapes(&Kind::Text, &Kind::Never, &Kind::Object(&INCLUDE)))),
        field("models", Kind::Named(&Kind::Object(&MODEL))),
        text("name"),
        field("networks", Kind::Named(&Kind::Object(&NETWORK))),
        field("secrets", Kind::Named(&Kind::Object(&SECRET))),
        field("services", Kind::Named(&Kind::Object(&SERVICE))),
        field("version", Kind::Any).merge(Merge::Replace),
        field("volumes", Kind::Named(&Kind::Object(&VOLUME))),
    ]),
};

static INCLUDE: Object = Object {
    name: "an entry of `include`",
    required: &[&["path"]],
    fields: Fields::of(&[one_or_more("env_file"), one_or_more("path"), text("project_directory")]),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(object: &Object) {
        assert!(object.fields.is_sorted_by(|a, b| a.name < b.name), "{} is not sorted", object.name);
        for required in object.required.iter().copied().flatten() {
            assert!(object.field(required).is_some(), "{} requires {required}", object.name);
        }
        let words = about::TABLE.iter().find(|(name, _)| *name == object.name).map(|(_, keys)| *keys);
        let described: Vec<_> = words.unwrap_or_default().iter().map(|(key, _)| *key).collect();
        let keys: Vec<_> = object.fields.iter().map(|field| field.name).collect();
        assert_eq!(described, keys, "the words for {}", object.name);
        for field in object.fields.iter() {
            below(&field.kind);
        }
    }

    fn below(kind: &Kind) {
        match kind {
            Kind::Object(object) => sorted(object),
            Kind::List(inner) | Kind::Map(inner) | Kind::Named(inner) => below(inner),
            Kind::Shapes(scalar, list, map) => [scalar, list, map].into_iter().for_each(|kind| below(kind)),
            _ => {}
        }
    }

    #[test]
    fn the_fields_of_every_object_are_sorted_and_described() {
        sorted(&TOP);
    }
}
