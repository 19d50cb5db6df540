//! `compose completion`: what makes a shell complete our words.
//!
//! Verbs and flags are in the script; names of services, profiles, projects and images it asks for with
//! [`super::complete`] when they are wanted.

use crate::arguments;
use crate::exit::{Exit, Failure};
use crate::output;
use clap_complete::Shell;

/// Flags of `completion`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Adds names to what `_compose` found, and takes out what only stands for names.
const BASH: &str = r#"
_compose_with_names() {
    _compose "$@"
    local found=() name
    for name in "${COMPREPLY[@]}"; do
        [[ $name == [\[\<]* ]] || found+=("$name")
    done
    while IFS= read -r name; do
        found+=("$name")
    done < <("$1" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    COMPREPLY=("${found[@]}")
}
complete -F _compose_with_names -o bashdefault -o default compose
"#;

/// Names where the grammar has nothing to say, and files where there are none. The line is taken as it is
/// typed: `_arguments` has cut `words`.
const ZSH: &str = r#"
_compose_names() {
    local -a line names
    line=("${(@Q)${(z)LBUFFER}}")
    [[ $LBUFFER == *[[:space:]] ]] && line+=("")
    names=("${(@f)$("${line[1]}" __complete -- "${(@)line[2,-1]}" 2>/dev/null)}")
    names=("${(@)names:#}")
    if (( ${#names} )); then
        compadd -a names
    else
        _default "$@"
    fi
}
"#;

const FISH: &str = r#"
complete -c compose -a '(compose __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
"#;

/// Writes the script to standard output.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut arguments::shown(), "compose", &mut script);
    let script = String::from_utf8_lossy(&script);
    output::result(&match args.shell {
        Shell::Bash => format!("{script}{BASH}"),
        Shell::Fish => format!("{script}{FISH}"),
        Shell::Zsh => {
            let (head, rest) = script.split_once('\n').unwrap_or((&script, ""));
            format!("{head}\n{ZSH}{}", rest.replace(":_default'", ":_compose_names'"))
        }
        _ => script.into_owned(),
    })?;
    Ok(Exit::Success)
}
