//! The terminal dashboard, without a terminal: what is known of a project ([`Model`]), what a key does to
//! it ([`Model::press`]), and how it is drawn ([`draw`]) on whatever it is given.
//!
//! ```text
//! engine's events, log lines, samples ─▶ Model ─▶ draw ─▶ frame
//! keys ─▶ Model::press ─▶ Request ─▶ whoever has the engine
//! ```
//! Nothing here waits, reads a clock or knows an engine. What comes from containers is cleaned before it is
//! kept ([`text::clean`]), so that no log line moves a cursor.

mod key;
mod log;
mod model;
mod row;
mod text;
mod view;

pub use key::Key;
pub use log::Entry;
pub use model::{Model, Request, Target};
pub use row::{Mood, Row, Usage};
pub use text::{bytes, clean};
pub use view::{Look, SMALLEST, draw};
