//! The words on the command line: flags before the verb, the verbs, and how they are read.
//!
//! Flags keep Docker Compose's spelling and its habits: a boolean flag takes `--flag=false`, what
//! does not parse ends with exit code 1, global flags stand before the verb (`--dry-run` anywhere).

#[cfg(test)]
mod table;

use crate::commands;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "compose",
    bin_name = "compose",
    about = "Define and run multi-container applications, with the engine inside",
    disable_version_flag = true,
    disable_help_subcommand = false,
    arg_required_else_help = false,
    max_term_width = 110
)]
pub(crate) struct Arguments {
    /// Flags before the verb.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// The verb; none prints help.
    #[command(subcommand)]
    pub(crate) verb: Option<commands::Verb>,
}

/// Flags that stand before the verb.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Globals {
    /// Compose configuration files
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Project name
    #[arg(short = 'p', long, value_name = "NAME")]
    pub(crate) project_name: Option<String>,
    /// Work on a copy beside the project, with containers, networks, volumes and host ports of its own
    #[arg(long = "as", value_name = "NAME", global = true)]
    pub(crate) copy: Option<String>,
    /// Working directory; by default the folder of the first Compose file
    #[arg(long, value_name = "PATH", conflicts_with = "workdir")]
    pub(crate) project_directory: Option<PathBuf>,
    /// A profile to enable; `*` enables all
    #[arg(long = "profile", value_name = "NAME")]
    pub(crate) profiles: Vec<String>,
    /// An alternate environment file
    #[arg(long = "env-file", value_name = "FILE")]
    pub(crate) env_files: Vec<String>,
    /// Include all resources, even those no service uses
    #[arg(long)]
    pub(crate) all_resources: bool,
    /// Most pulls at the same time, -1 for unlimited
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) parallel: Option<i64>,
    /// Type of progress output: auto, tty, plain, json, quiet
    #[arg(long, value_name = "TYPE")]
    pub(crate) progress: Option<String>,
    /// When to print colours: never, always, auto
    #[arg(long, value_name = "WHEN", conflicts_with = "no_ansi")]
    pub(crate) ansi: Option<String>,
    /// Name containers as Compose version 1 did, with `_`
    #[arg(long)]
    pub(crate) compatibility: bool,
    /// Show what would be done and do nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Keep the engine's state below this folder instead of the machine's
    #[arg(long, value_name = "PATH")]
    pub(crate) root: Option<PathBuf>,
    /// Print the time each stage took to standard error
    #[arg(long, hide = true)]
    pub(crate) trace_timing: bool,
    /// More output
    #[arg(long, hide = true)]
    pub(crate) verbose: bool,
    /// Print the version
    #[arg(short = 'v', long, hide = true)]
    pub(crate) version: bool,
    /// Former spelling of `--ansi never`
    #[arg(long, hide = true)]
    pub(crate) no_ansi: bool,
    /// Former spelling of `--project-directory`
    #[arg(long, hide = true, value_name = "PATH")]
    pub(crate) workdir: Option<PathBuf>,
    /// Registries that may be spoken to without TLS
    #[arg(long, hide = true, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
}

/// Reads the command line.
///
/// Building the grammar of all verbs takes longer than most of what `ps` does, so a line is first read
/// with that of the one verb it seems to have; what does not fit is left to the whole grammar.
///
/// # Errors
/// clap's error, help and version requests among them.
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some(grammar) = words.iter().skip(1).find_map(|word| only(word.to_str()?))
        && let Ok(matches) = grammar.try_get_matches_from(&words)
    {
        return Arguments::from_arg_matches(&matches);
    }
    match command().try_get_matches_from(&words) {
        Ok(matches) => Arguments::from_arg_matches(&matches),
        // Said without the `[=<BOOL>]` of every flag, if it can be said without.
        Err(error) => match Arguments::command().try_get_matches_from(&words) {
            Err(plain) if plain.kind() == error.kind() => Err(plain),
            _ => Err(error),
        },
    }
}

/// The command line's grammar.
pub(crate) fn command() -> clap::Command {
    loosened(Arguments::command())
}

/// The same as it is shown to people: flags without the values that they may have.
pub(crate) fn shown() -> clap::Command {
    Arguments::command()
}

/// The help of the program.
pub(crate) fn help() -> String {
    shown().render_help().to_string()
}

/// The grammar of lines with this verb.
fn only(verb: &str) -> Option<clap::Command> {
    let (name, with_flags) = commands::GRAMMARS.iter().find(|(name, _)| *name == verb)?;
    let top = clap::Command::new("compose").disable_version_flag(true).disable_help_subcommand(true);
    let verb = with_flags(clap::Command::new(*name));
    Some(loosened(Globals::augment_args(top).subcommand(verb)))
}

/// Lets every boolean flag take `=true` and `=false`, and the last of several win as with every flag of Docker's, in
/// this command and those below it.
fn loosened(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let mut command = command.args_override_self(true).mut_args(|argument| match argument.get_action() {
        ArgAction::SetTrue => argument
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .hide_possible_values(true)
            .value_name("BOOL")
            .value_parser(boolean),
        _ => argument,
    });
    for name in names {
        command = command.mut_subcommand(name, loosened);
    }
    command
}

/// Reads `NAME=VALUE` or `NAME`.
///
/// # Errors
/// Nothing in front of the sign.
pub(crate) fn variable(text: &str) -> Result<String, String> {
    match text.starts_with('=') || text.is_empty() {
        true => Err("a name is missing before the `=`".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// The spellings of a boolean that Go's flags accept.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Verb;

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        read(line.split(' ').map(OsString::from))
    }

    fn verb(line: &str) -> Verb {
        parsed(line).unwrap_or_else(|error| panic!("{line}: {error}")).verb.unwrap()
    }

    #[test]
    fn the_last_of_several_wins_and_lists_grow() {
        let arguments = parsed(
            "compose --ansi never --as x -f a -f b --ansi always --as y up -t 1 --scale a=1 -t 2 --scale b=1",
        );
        let arguments = arguments.unwrap();
        assert_eq!(arguments.globals.ansi.as_deref(), Some("always"));
        assert_eq!((arguments.globals.copy.as_deref(), arguments.globals.files.len()), (Some("y"), 2));
        let Some(Verb::Up(up)) = arguments.verb else { panic!("no `up`") };
        assert_eq!((up.timeout, up.making.scale.len()), (Some(2), 2));
        assert!(parsed("compose up --build --no-build").is_err(), "what excludes each other still does");
    }

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }

    /// Ids of a grammar's arguments.
    fn ids(command: &clap::Command) -> Vec<String> {
        command.get_arguments().map(|argument| argument.get_id().to_string()).collect()
    }

    #[test]
    fn the_grammar_of_one_verb_is_that_of_the_whole() {
        let whole = command();
        for verb in whole.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let one = only(verb.get_name()).unwrap_or_else(|| panic!("no grammar of `{}`", verb.get_name()));
            one.clone().debug_assert();
            assert_eq!(ids(one.find_subcommand(verb.get_name()).unwrap()), ids(verb));
            assert_eq!(ids(&one), ids(&whole));
        }
    }

    #[test]
    fn a_project_may_be_named_like_a_verb() {
        assert!(matches!(verb("compose -p ps up"), Verb::Up(_)));
        assert!(matches!(verb("compose exec ps ls"), Verb::Exec(_)));
    }

    #[test]
    fn help_shows_flags_without_a_value_they_do_not_need() {
        let help = parsed("compose up --help").unwrap_err().to_string();
        assert!(help.contains("--detach") && !help.contains("BOOL"), "{help}");
        let wrong = parsed("compose up --detatch").unwrap_err().to_string();
        assert!(wrong.contains("'--detach'") && !wrong.contains("BOOL"), "{wrong}");
    }

    #[test]
    fn every_verb_takes_its_flags() {
        for line in [
            "compose attach --index 1 --detach-keys ctrl-c --no-stdin --sig-proxy=false web",
            "compose commit -a x -m y --index 1 -p=false -c CMD=x --change USER=y web name:tag",
            "compose cp -a -L --index 1 --all web:/a -",
            "compose cp - web:/a",
            "compose export --index 1 -o file web",
            "compose config --services --volumes --networks --models --hash * --profiles --images --variables \
             --environment --format json -o x -q --no-interpolate --no-normalize --no-path-resolution \
             --no-consistency --no-env-resolution --resolve-image-digests --lock-image-digests web",
            "compose convert",
            "compose create --build --pull missing --quiet-pull --force-recreate --remove-orphans --scale a=2 -y web",
            "compose create --no-build --no-recreate --y web db",
            "compose down --remove-orphans --rmi local -t 5 -v web",
            "compose down -t -1 --volumes=false",
            "compose events --json --since 1h --until 2026-01-01",
            "compose exec -d -e A=1 -e B --index 2 -T --privileged -u root -w /x web ls -l --color",
            "compose exec -it web sh -c true",
            "compose image import -c CMD=x --change WORKDIR=/x folder localhost/x",
            "compose image ls -aq --format json -f dangling=true --filter label!=a --digests --no-trunc name",
            "compose image rm --force a b",
            "compose image prune -af --filter until=1h",
            "compose system prune -af --volumes --filter label=a",
            "compose system df -v --format json",
            "compose apply file",
            "compose plan -o file --force-recreate --pull always --scale a=2 web",
            "compose why web db",
            "compose completion bash",
            "compose explain unknown-key",
            "compose graph --format dot --no-state web",
            "compose man folder",
            "compose watch --no-up --prune=false --quiet web",
            "compose images --format json -q web",
            "compose kill -s HUP --remove-orphans web",
            "compose logs -f --index 1 -n 10 --since 1m --until 1s -t --no-color --no-log-prefix web",
            "compose ls -a --filter name=x --format json -q",
            "compose pause web",
            "compose unpause",
            "compose pod exists web",
            "compose pod inspect -l --format {{.Name}}",
            "compose pod kill -s HUP -a",
            "compose pod logs -f -n -t -c web-1 --since 1m --until 1s --tail 5 shop",
            "compose pod pause a b",
            "compose pod unpause -l",
            "compose pod ps --ctr-ids --ctr-names --ctr-status -f name=x --filter label!=y --format json --ns -n",
            "compose pod ls -l --no-trunc -q --sort name",
            "compose pod restart a",
            "compose pod rm -f -i -t 1 a b",
            "compose pod rm -fa",
            "compose pod start -a",
            "compose pod stats --no-stream --no-reset --total --format {{.Name}} a",
            "compose pod stop -i -t 0 a",
            "compose pod top a pid,args",
            "compose port --index 1 --protocol udp web 53",
            "compose ps -a --filter status=exited --status running --format json --no-trunc --orphans=false -q --services web",
            "compose pull --ignore-buildable --ignore-pull-failures --include-deps --policy always -q --parallel web",
            "compose restart --no-deps -t 3 web",
            "compose rm -f -s -v -a web",
            "compose run --build --cap-add A --cap-drop B -d --entrypoint x -e A=1 --env-from-file f -i=false -l a=b \
             --name n --no-deps -T -p 80:80 --pull never -q --quiet-build --quiet-pull --remove-orphans --rm \
             --use-aliases -u 1 -v a:/b -w /x web cmd -x --rm",
            "compose run -P -t web",
            "compose scale --no-deps web=2 db=1",
            "compose start --wait --wait-timeout 5 web",
            "compose stats -a --format json --no-stream --no-trunc web",
            "compose stop -t 3 web",
            "compose top web",
            "compose ui",
            "compose up -d --build --pull always --quiet-pull --quiet-build --force-recreate --always-recreate-deps -V \
             --no-deps --no-start --scale a=2 --remove-orphans -t 3 --no-color --no-log-prefix --timestamps -y web",
            "compose up --wait --wait-timeout 3 --no-build --no-recreate",
            "compose up --abort-on-container-exit --exit-code-from web --attach web --no-attach db",
            "compose up --abort-on-container-failure --attach-dependencies -w --menu=false",
            "compose version -f json",
            "compose version --short",
            "compose volumes --format json -q web",
            "compose wait --down-project web db",
            "compose build --no-cache web",
        ] {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            drop(verb(&line));
        }
    }

    #[test]
    fn flags_of_a_command_in_a_container_are_its_own() {
        let Verb::Exec(args) = verb("compose exec -T web ls -T --index 3") else { panic!("not exec") };
        assert_eq!(args.words, ["web", "ls", "-T", "--index", "3"]);
        assert!(args.no_tty);
        assert_eq!(args.index, 0);
        let Verb::Run(args) = verb("compose run --rm web --rm -d") else { panic!("not run") };
        assert_eq!(args.words, ["web", "--rm", "-d"]);
        assert!(!args.detach);
    }

    #[test]
    fn booleans_take_a_value_and_cluster() {
        let Verb::Up(args) = verb("compose up -dV --build=false --yes=true") else { panic!("not up") };
        assert!(args.detach && args.renew_anon_volumes && args.making.yes && !args.making.build);
        let Verb::Ps(args) = verb("compose ps -aq --all=false") else { panic!("not ps") };
        assert!(!args.all && args.quiet);
        assert!(parsed("compose ps --all=maybe").is_err());
    }

    #[test]
    fn global_flags_stand_before_the_verb_and_dry_run_anywhere() {
        let line = "compose -f a.yaml -f b.yaml -p x --profile p --env-file e --parallel -1 --progress json \
                    --ansi never --compatibility --root /r --all-resources --project-directory d up -d --dry-run";
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let arguments = parsed(&line).unwrap();
        assert_eq!(arguments.globals.files, ["a.yaml", "b.yaml"]);
        assert_eq!(arguments.globals.parallel, Some(-1));
        assert!(arguments.globals.dry_run && arguments.globals.compatibility);
        assert!(parsed("compose up --project-name x").is_err());
        assert!(parsed("compose --ansi always --no-ansi ps").is_err());
        assert!(parsed("compose --workdir a --project-directory b ps").is_err());
    }
}
