//! Questions to a person. A secret is asked of a terminal only, which does not show it meanwhile.

use crate::exit::Failure;
use crate::{output, terminal};
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

/// Asks for a line.
pub(crate) fn line(question: &str) -> Result<String, Failure> {
    output::message(question);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::because("cannot read the answer", error))?;
    if !answer.ends_with('\n') {
        output::message("\n");
    }
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for a line that is not to be seen.
pub(crate) fn secret(question: &str) -> Result<String, Failure> {
    let Some(unseen) = terminal::Unseen::enter() else {
        return Err(Failure::new("there is no terminal to ask for a password")
            .hint("give it on standard input: --password-stdin"));
    };
    let answer = line(question);
    drop(unseen);
    output::message("\n");
    answer
}
