//! How things look on a terminal, in a pipe and as JSON. Everything in here is text in, text out,
//! but for the progress view, which also has a terminal to redraw.

pub(crate) mod build;
pub(crate) mod diagnostics;
pub(crate) mod duration;
pub(crate) mod logs;
pub(crate) mod ports;
pub(crate) mod progress;
pub(crate) mod row;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod time;
pub(crate) mod usage;
