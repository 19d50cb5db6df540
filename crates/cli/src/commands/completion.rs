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

/// Names where there are some, else what `_compose` found but for what only stands for names, and for flags that
/// nobody has begun to type. bash takes `busybox:latest` for three words; then names go on behind the colon.
const BASH: &str = r#"
_compose_with_names() {
    local words=() word is_glued= before= found=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if (( ${#words[@]} )) && [[ $word == : || $is_glued ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        [[ $word == : ]] && is_glued=1 || is_glued=
    done
    word="${words[${#words[@]}-1]}"
    [[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && before="${word%"${word##*:}"}"
    while IFS= read -r word; do
        found+=("${word#"$before"}")
    done < <("$1" __complete -- "${words[@]}" 2>/dev/null)
    if (( ! ${#found[@]} )); then
        _compose "$@"
        for word in "${COMPREPLY[@]}"; do
            [[ $word == [\[\<]* || ( $word == -* && $2 != -* ) ]] || found+=("$word")
        done
    fi
    COMPREPLY=("${found[@]}")
}
complete -F _compose_with_names -o bashdefault -o default compose docker-compose
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

/// Names, and then no files beside them.
const FISH: &str = r#"
function __compose_names
    set -l words (commandline -opc)
    set -g __compose_found ($words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
    test -n "$__compose_found"
end
function __compose_values
    if __compose_names
        printf '%s\n' $__compose_found
    else
        __fish_complete_path (string replace -r '^--[^=]*=' '' -- (commandline -ct))
    end
end
complete -c compose -n __compose_names -f -a '$__compose_found'
complete -c docker-compose -w compose
"#;

/// What a flag's value is completed with, in fish: what stands for any other word is not asked then.
const FISH_VALUE: &str = " -r -f -a '(__compose_values)'";

/// Writes the script to standard output.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut arguments::shown(), "compose", &mut script);
    let script = without_hidden(&String::from_utf8_lossy(&script));
    output::result(&match args.shell {
        Shell::Bash => format!("{script}{BASH}"),
        Shell::Fish => format!("{}{FISH}", script.replace(" -r\n", &format!("{FISH_VALUE}\n"))),
        Shell::Zsh => {
            let rest = script.split_once('\n').map_or("", |(_, rest)| rest);
            let rest = rest.replace(":_default'", ":_compose_names'");
            let rest =
                rest.replace("compdef _compose compose\n", "compdef _compose compose docker-compose\n");
            format!("#compdef compose docker-compose\n{ZSH}{rest}")
        }
        _ => script,
    })?;
    Ok(Exit::Success)
}

/// Without the verbs that `--help` does not show, which the generator offers like all others.
fn without_hidden(script: &str) -> String {
    let grammar = arguments::shown();
    let hidden = grammar.get_subcommands().filter(|verb| verb.is_hide_set()).map(clap::Command::get_name);
    let hidden: Vec<&str> = hidden.collect();
    let lines = script.lines().filter(|line| {
        let offers =
            |name: &&str| line.contains(&format!("-a \"{name}\"")) || line.starts_with(&format!("'{name}:"));
        !hidden.iter().any(offers)
    });
    let shown = |line: &str| {
        // bash has all words of a place in one line.
        let Some((before, words)) = line.split_once("opts=\"") else { return format!("{line}\n") };
        let words = words.trim_end_matches('"').split(' ').filter(|word| !hidden.contains(word));
        format!("{before}opts=\"{}\"\n", words.collect::<Vec<_>>().join(" "))
    };
    lines.map(shown).collect()
}
