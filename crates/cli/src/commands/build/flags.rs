//! What the words of `build`'s flags have to be, also of those that have no effect here: what is misspelt is not
//! what was meant.

use super::Args;
use crate::given::Given;

/// Notes the words that cannot be used.
pub(super) fn check(args: &Args, given: &mut Given) {
    if let Some(text) = &args.memory {
        let span = given.word("--memory", "memory", text);
        if let Err(why) = compose_spec::units::bytes(text) {
            given.wrong(span, format!("`{text}` is no size such as `512m`: {why}"));
        }
    }
    for (flag, value, modes) in
        [("--provenance", &args.provenance, &["min", "max"][..]), ("--sbom", &args.sbom, &[])]
    {
        let Some(text) = value else { continue };
        let span = given.word(flag, flag, text);
        if !is_attestation(text, modes) {
            let others = modes.iter().map(|mode| format!(", `{mode}`")).collect::<String>();
            given.wrong(
                span,
                format!("`{text}` is neither `true`, `false`{others} nor of the form KEY=VALUE"),
            );
        }
    }
    if let Some(text) = &args.ssh {
        let span = given.word("--ssh", "ssh", text);
        let (id, path) = text.split_once('=').unwrap_or((text, ""));
        if id.is_empty() && !text.is_empty() {
            given.wrong(span, format!("`{text}` has no name: write ID=PATH"));
        } else if path.is_empty() && !matches!(id, "" | "default") {
            given.wrong(span, format!("`{text}` names no socket and no key: write {id}=PATH"));
        }
    }
}

fn is_attestation(text: &str, modes: &[&str]) -> bool {
    let is_pair = |field: &str| field.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    text.is_empty()
        || crate::arguments::boolean(text).is_ok()
        || modes.contains(&text)
        || text.split(',').all(is_pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn told(words: &[&str]) -> String {
        let line = Line::try_parse_from(["build"].iter().chain(words)).unwrap();
        let mut given = Given::default();
        check(&line.args, &mut given);
        given.text()
    }

    #[test]
    fn what_is_right_is_taken() {
        for words in [
            &["--memory", "1.5g"][..],
            &["-m", "512"],
            &["--build-arg", "A=b", "--build-arg", "C", "--build-arg", "D="],
            &["--provenance", "max", "--sbom", "false"],
            &["--provenance=mode=max,builder-id=x", "--sbom=generator=image"],
            &["--ssh", "default"],
            &["--ssh", "key=/a/b"],
        ] {
            assert_eq!(told(words), "", "{words:?}");
        }
    }

    #[test]
    fn what_is_none_is_shown_at_its_flag() {
        for (words, place, why) in [
            (["--memory", "much"], "--> --memory:1:1", "`much` is no size"),
            (["--memory", ""], "--memory", "no size"),
            (
                ["--provenance", "maximal"],
                "--> --provenance:1:1",
                "neither `true`, `false`, `min`, `max` nor",
            ),
            (["--sbom", "max"], "--> --sbom:1:1", "neither `true`, `false` nor"),
            (["--ssh", "=/a"], "--> --ssh:1:1", "`=/a` has no name"),
            (["--ssh", "key"], "--> --ssh:1:1", "write key=PATH"),
            (["--ssh", "key="], "--> --ssh:1:1", "names no socket"),
        ] {
            let told = told(&words);
            assert!(told.contains(place) && told.contains(why), "{told}");
        }
    }
}
