//! `compose explain`: what a diagnostic code means and how to mend it; without a code, all of them.

use crate::exit::{Exit, Failure};
use crate::output;
use crate::view::table::table;

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A code, as in `error[CODE]`; all by default
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
}

/// Prints the page, or the list of codes.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let Some(given) = &args.code else {
        let rows: Vec<Vec<String>> =
            diagnostic::codes().map(|(code, summary)| vec![code.to_owned(), summary.to_owned()]).collect();
        output::result(&table(&["CODE", "MEANING"], &rows))?;
        return Ok(Exit::Success);
    };
    // As it is copied from a message.
    let code = given.trim_start_matches("error").trim_start_matches("warning").trim_matches(['[', ']', ':']);
    let Some(page) = diagnostic::page(code) else {
        let failure = Failure::new(format!("there is no diagnostic code `{code}`"));
        return Err(match diagnostic::nearest(code, diagnostic::codes().map(|(code, _)| code)) {
            Some(near) => failure.hint(format!("a similar one exists: `{near}`")),
            None => failure.hint("`compose explain` lists them"),
        });
    };
    output::result(&plain(page))?;
    Ok(Exit::Success)
}

/// A page without its marks: the example indented instead of fenced.
fn plain(page: &str) -> String {
    let mut text = String::with_capacity(page.len() + 64);
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside;
            continue;
        }
        if inside && !line.is_empty() {
            text.push_str("    ");
        }
        text.push_str(line.strip_prefix("# ").filter(|_| !inside).unwrap_or(line));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_indented() {
        let page = plain("# code: what\n\nText.\n\n```yaml\n# a\nb:\n```\n\nEnd.\n");
        assert_eq!(page, "code: what\n\nText.\n\n    # a\n    b:\n\nEnd.\n");
    }
}
