//! Names that nobody else has.

use std::fs::File;
use std::io::{self, Read as _};

/// Where random bytes come from.
pub const SOURCE: &str = "/dev/urandom";

/// 64 random hexadecimal digits.
///
/// # Errors
/// What the kernel says of [`SOURCE`].
pub fn id() -> io::Result<String> {
    use std::fmt::Write as _;
    let mut bytes = [0; 32];
    File::open(SOURCE)?.read_exact(&mut bytes)?;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    Ok(text)
}
