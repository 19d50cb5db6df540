//! What is wrong, where, and what to do: the diagnostics of everything that reads text.
//!
//! A [`Diagnostic`] is a value; it is made where the fault is found, collected, and drawn once, by the
//! program, with the texts kept in [`Sources`]. Nothing here reads a file.

mod diagnostic;
mod pages;
mod render;
mod source;
mod suggest;

pub use diagnostic::{Diagnostic, Label, Severity, has_errors};
pub use pages::{codes, page};
pub use render::render;
pub use source::{FileId, Sources, Span};
pub use suggest::nearest;
