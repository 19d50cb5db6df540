//! Dockerfile text to stages: the grammar, variables, build checks and `.dockerignore`, all of it pure.
//!
//! [`parse`] reads a whole file and says everything that is wrong with it. What a word means is asked later,
//! with [`expand`], when a [`StageScope`] knows the values at that place.

mod arguments;
mod directive;
mod flag;
mod heredoc;
mod ignore;
mod instruction;
mod line;
mod lint;
mod mount;
mod pattern;
mod read;
mod run;
mod scope;
mod transfer;
mod tree;
mod word;

pub use ignore::Ignore;
pub use lint::{BaseImage, RULES, Surroundings, lint};
pub use mount::{Mount, MountSpec, Ownership, Sharing, truth};
pub use read::{parse, trigger};
pub use scope::{Given, GlobalScope, PLATFORM_ARGS, PROXY_ARGS, StageScope, unused_build_args};
pub use tree::{
    Add, ArgDeclaration, CheckDirective, Chosen, Command, Copy, DeviceRequest, Directives, Dockerfile,
    Healthcheck, Inline, Instruction, InstructionKind, Onbuild, Pair, Run, RunCommand, RunNetwork,
    RunSecurity, Stage, Transfer, TransferSource, Word,
};
pub use word::{Lookup, expand, expand_inline, expand_list};
