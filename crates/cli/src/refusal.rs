//! What is said about a command line that cannot be read: clap's own words, with the nearest flag or verb,
//! and what people who come from Docker Compose have to know besides.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Words of Docker's that there are not, and what to use.
const ELSEWHERE: [(&str, &str); 11] = [
    ("alpha", "experiments of Docker Compose are left out"),
    (
        "bake",
        "`compose build` builds all services together, side by side; `build --print` shows the bake file",
    ),
    ("buildx", "leave the word out: `compose build` has its own builder"),
    ("docker", "there is no docker here: `compose` has its own engine; leave the word out"),
    ("docker-compose", "leave the word out: this program is called `compose`"),
    ("container", "containers belong to projects: `compose ps -a` lists one's, `compose ls -a` all projects"),
    ("context", NO_DAEMON),
    ("stack", "there is no swarm: `compose up -d` runs the stack on this machine"),
    ("swarm", "there is no swarm: projects run on this machine"),
    ("connect", ON_NETWORKS),
    ("disconnect", ON_NETWORKS),
];

const ON_NETWORKS: &str = "containers are on the networks that their file names: change `networks` of the service, and `compose up -d`";

/// Experiments of Docker Compose that became something else, here or there.
const EXPERIMENTS: [(&str, &str); 5] = [
    ("dry-run", "`--dry-run` is a flag of every verb, and `compose plan` shows what `up` would do"),
    ("publish", "Compose files are not kept in registries; `compose bundle` packs a project into a file"),
    ("scale", "it is a verb of its own: `compose scale`"),
    ("viz", "`compose graph --format dot` draws the same, with what runs"),
    ("watch", "it is a verb of its own: `compose watch`"),
];

/// Flags of Docker's that there are not, and why.
const FLAGS: [(&str, &str); 26] = [
    ("-H", NO_DAEMON),
    ("--host", NO_DAEMON),
    ("-c", NO_DAEMON),
    ("--context", NO_DAEMON),
    ("--tls", NO_DAEMON),
    ("--tlscacert", NO_DAEMON),
    ("--tlscert", NO_DAEMON),
    ("--tlskey", NO_DAEMON),
    ("--tlsverify", NO_DAEMON),
    ("--config", "Docker's settings are read from where DOCKER_CONFIG says: credentials, and nothing else"),
    ("-D", LOUDER),
    ("--debug", LOUDER),
    ("-l", LOUDER),
    ("--log-level", LOUDER),
    ("--config-from", ONE_MACHINE),
    ("--config-only", ONE_MACHINE),
    ("--ingress", ONE_MACHINE),
    ("--secret", "secrets are the file's: `secrets` of the service, `build.secrets` for its build"),
    (
        "--platform",
        "platforms are the file's: `platform`, `build.platforms`; or DOCKER_DEFAULT_PLATFORM says one for all",
    ),
    ("--shm-size", "it is the file's: `shm_size` of the service, `build.shm_size` for its build"),
    ("--tag", "names of images are the file's: `image` and `build.tags`"),
    ("--target", "the stage is the file's: `build.target`"),
    ("--cache-from", "caches are the file's: `build.cache_from`"),
    ("--cache-to", "caches are the file's: `build.cache_to`"),
    ("--build-context", "contexts are the file's: `build.additional_contexts`"),
    ("--load", "what is built is in the store at once: leave the flag out"),
];
const NO_DAEMON: &str =
    "there is no daemon to connect to: the engine is in this program, and works on this machine";
const ONE_MACHINE: &str = "there is no swarm: networks are this machine's";
const LOUDER: &str = "there are no levels of logging: `compose --verbose VERB` says more";

/// Why a verb that is known is not supported.
pub(crate) fn reason(verb: &str) -> &'static str {
    match verb {
        "publish" => "Compose files are not kept in registries; `compose config` writes the resolved file",
        _ => "files for other systems are not made",
    }
}

/// What is written about a line that does not parse, and its words.
pub(crate) fn text(error: &clap::Error, grammar: &clap::Command, words: &[String]) -> String {
    let said = plain(&error.render().to_string());
    match hint(error, grammar, words) {
        Some(hint) => format!("{}\n\n  = help: {hint}\n", without_tip(&said).trim_end()),
        None => said,
    }
}

/// The words of the standard library about numbers, as people say it.
fn plain(said: &str) -> String {
    let said = said.replace("invalid digit found in string", "a whole number is expected");
    let said = said.replace("cannot parse integer from empty string", "a whole number is expected");
    said.replace("number too large to fit in target type", "the number is too large")
}

/// Without a word that only looks alike: it is known what was meant.
fn without_tip(said: &str) -> String {
    said.split("\n\n").filter(|part| !part.starts_with("  tip: ")).collect::<Vec<_>>().join("\n\n")
}

fn hint(error: &clap::Error, grammar: &clap::Command, words: &[String]) -> Option<String> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    if let Some(verb) = word(ContextKind::InvalidSubcommand) {
        let behind = words.iter().skip_while(|word| *word != verb).nth(1);
        let experiment = behind.filter(|_| verb == "alpha").and_then(|word| answer(&EXPERIMENTS, word));
        return experiment.or_else(|| answer(&ELSEWHERE, verb));
    }
    let flag = word(ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let name = flag.split('=').next().unwrap_or(flag);
    let is_it = |argument: &&clap::Arg| {
        argument.get_long().is_some_and(|long| name.strip_prefix("--") == Some(long))
            || argument.get_short().is_some_and(|short| name == format!("-{short}"))
    };
    if let Some(why) = answer(&FLAGS, name) {
        return Some(why);
    }
    let global = grammar.get_arguments().find(is_it)?;
    let value = if global.get_action().takes_values() { " …" } else { "" };
    Some(format!("`{name}` stands before the verb: `compose {name}{value} VERB`"))
}

fn answer(table: &[(&str, &str)], word: &str) -> Option<String> {
    table.iter().find(|(known, _)| *known == word).map(|(_, answer)| (*answer).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn said(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let error = crate::arguments::read(words.iter().map(OsString::from)).unwrap_err();
        text(&error, &crate::arguments::shown(), &words)
    }

    #[test]
    fn the_nearest_word_is_named() {
        assert!(said("compose upp").contains("'up'"));
        assert!(said("compose up --detatch").contains("'--detach'"));
        assert!(!said("compose up --detatch").contains("= help"));
    }

    #[test]
    fn a_global_flag_has_its_place() {
        let text = said("compose up --profile x");
        assert!(
            text.ends_with("= help: `--profile` stands before the verb: `compose --profile … VERB`\n"),
            "{text}"
        );
        assert!(said("compose ps --all-resources").contains("`compose --all-resources VERB`"));
        assert!(said("compose ps --project-name=x").contains("`compose --project-name … VERB`"));
    }

    #[test]
    fn a_value_that_is_none_is_told_in_plain_words() {
        assert!(said("compose up -t x").contains("'--timeout <SECONDS>': a whole number is expected"));
        assert!(said("compose up -t 99999999999999999999").contains("the number is too large"));
        assert!(said("compose exec -e =x web env").contains("a name is missing before the `=`"));
        assert!(!said("compose --no-ansi --ansi never ps").contains("stands before the verb"));
    }

    #[test]
    fn words_of_docker_have_an_answer() {
        assert!(said("compose alpha viz").contains("`compose graph --format dot`"));
        assert!(said("compose alpha watch web").contains("a verb of its own: `compose watch`"));
        assert!(said("compose alpha generate").contains("are left out"));
        assert!(said("compose swarm init").contains("no swarm"));
        assert!(!said("compose swarm init").contains("tip:"));
        assert!(said("compose docker ps").contains("leave the word out"));
        assert!(said("compose container ls").contains("`compose ps -a`"));
        assert!(said("compose network connect proxy web").contains("change `networks` of the service"));
        assert!(said("compose network create --ingress x").contains("there is no swarm"));
        assert!(said("compose network lss").contains("'ls'"));
        assert!(said("compose volume create --lable a=b").contains("'--label'"));
        assert!(said("compose -H tcp://x ps").contains("there is no daemon"));
        for flag in ["--context", "-c", "--tls", "--tlscacert=x", "--tlscert", "--tlskey", "--tlsverify"] {
            assert!(said(&format!("compose {flag} x ps")).contains("there is no daemon"), "{flag}");
        }
        assert!(said("compose --config x ps").contains("DOCKER_CONFIG"));
        for flag in ["-D", "--debug", "-l", "--log-level"] {
            assert!(said(&format!("compose {flag} ps")).contains("compose --verbose VERB"), "{flag}");
        }
        assert!(said("compose build --load").contains("in the store at once"));
        for (flag, key) in [
            ("--secret", "`build.secrets`"),
            ("--platform", "`build.platforms`"),
            ("--shm-size", "`build.shm_size`"),
            ("--tag", "`build.tags`"),
            ("--target", "`build.target`"),
            ("--cache-from", "`build.cache_from`"),
            ("--cache-to", "`build.cache_to`"),
            ("--build-context", "`build.additional_contexts`"),
        ] {
            assert!(said(&format!("compose build {flag} x")).contains(key), "{flag}");
        }
    }
}
