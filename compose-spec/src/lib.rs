//! The Compose Specification: text → spanned tree → [`Project`].
//!
//! Pure: files, environment and the clock are handed in. See `loading.md` for the order of the steps.

mod advice;
mod assemble;
mod canonical;
mod check;
mod complete;
mod consistency;
mod copy;
mod decode;
pub mod discovery;
pub mod dotenv;
mod encoding;
mod environment;
mod explain;
mod forms;
mod images;
mod interpolate;
mod load;
mod merge;
pub mod model;
mod normalize;
mod number;
mod origin;
mod parse;
mod paths;
mod pod;
mod relations;
mod render;
mod schema;
mod scope;
mod select;
mod trace;
pub mod tree;
pub mod units;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use diagnostic::{Diagnostic, Sources};
pub use encoding::not_text;
pub use explain::{Explanation, Used, Written, explain};
pub use interpolate::Variable;
pub use load::{load, variables};
pub use model::{Project, Service};
pub use parse::documents;
pub use pod::{PodLimits, PodNamespace};
pub use render::{render_json, render_yaml};
pub use schema::json_schema;
pub use select::glob;
pub use trace::Trace;

/// What the loader reads through. Every path is absolute, except `-`, which is standard input.
pub trait Files {
    /// The whole content.
    ///
    /// # Errors
    /// As of `std::fs::read`.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Whether it exists and is no folder.
    fn is_file(&self, path: &Path) -> bool;
    /// Whether it is a folder.
    fn is_dir(&self, path: &Path) -> bool;
}

/// What is to be loaded, and how.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Compose files, absolute, merged in order; `-` is standard input. What is to be fetched is refused.
    pub files: Vec<PathBuf>,
    /// Base of relative paths, absolute.
    pub project_directory: PathBuf,
    /// The name from `-p` or `COMPOSE_PROJECT_NAME`; `None`: from the files, else the directory.
    pub project_name: Option<String>,
    /// The name of a copy of the project (`--as`), in normal form: it is loaded as what stands beside it.
    pub copy: Option<String>,
    /// Process environment over `--env-file` over `.env`.
    pub environment: BTreeMap<String, String>,
    /// The `--env-file` files, only to be told about in [`Project`].
    pub environment_files: Vec<PathBuf>,
    /// Active profiles; `*` is all.
    pub profiles: Vec<String>,
    /// Services named on the command line (`web*` matches enabled ones): their profiles become active, and
    /// a missing `env_file` of any service they do not need is no error. Empty: all.
    pub services: Vec<String>,
    /// Folder that shown paths are relative to; usually the current one.
    pub shown_from: PathBuf,
    /// What to leave undone.
    pub options: Options,
}

/// Steps that can be left out; all are done by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Replace variables.
    pub interpolate: bool,
    /// Add implicit things: default network, inferred dependencies, names.
    pub normalize: bool,
    /// Make paths absolute.
    pub resolve_paths: bool,
    /// Check references between things.
    pub check_consistency: bool,
    /// Read `env_file` and `label_file` and resolve variables without a value.
    pub resolve_environment: bool,
    /// Keep networks, volumes and the like that nothing uses.
    pub all_resources: bool,
    /// Keep what [`explain()`] needs.
    pub trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interpolate: true,
            normalize: true,
            resolve_paths: true,
            check_consistency: true,
            resolve_environment: true,
            all_resources: false,
            trace: false,
        }
    }
}

/// The outcome of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The project; `None` if any diagnostic is an error.
    pub project: Option<Project>,
    /// Errors and warnings, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts read, to draw diagnostics with.
    pub sources: Sources,
    /// What happened to values, if [`Options::trace`] asked for it.
    pub trace: Option<Trace>,
}
