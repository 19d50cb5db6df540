//! Logs: what containers write, as Docker's json-file lines.
//!
//! ```text
//! container --FIFO--> spool --pump--> SERVICE-NUMBER.log  --rotation--> .log.1, .log.2, …  --packing--> .log.1.gz, …
//!                        position: how far the spool has been turned into lines
//! ```
//! [`record`] is the form of a line, [`Reader`] reads, [`Watch`] tells when there is more to read.

pub(crate) mod attributes;
mod pack;
mod position;
pub(crate) mod pump;
pub(crate) mod reader;
pub(crate) mod record;
mod watch;

pub use reader::{Query, Reader};
pub use record::{Line, Stream};
pub use watch::Watch;
