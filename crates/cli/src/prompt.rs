//! Questions to a person.

use crate::exit::Failure;
use crate::output;
use std::io::BufRead as _;

/// Asks for a yes; everything else, and the end of input, is a no.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    output::message(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::because("cannot read the answer", error))?;
    if !answer.ends_with('\n') {
        output::message("\n");
    }
    Ok(output::truthy(answer.trim()))
}
