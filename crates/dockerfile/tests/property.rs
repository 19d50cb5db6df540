//! Whatever the text is, reading it does not panic, and every place is in the text.

use diagnostic::{Diagnostic, Sources};
use dockerfile::*;
use proptest::prelude::*;
use resource::Platform;
use std::collections::BTreeMap;

/// Pieces of Dockerfiles, put together without sense.
fn text() -> impl Strategy<Value = String> {
    const PIECES: [&str; 52] = [
        "FROM ",
        "FROM a AS b",
        "COPY ",
        "ADD ",
        "RUN ",
        "ENV ",
        "ARG ",
        "LABEL ",
        "ONBUILD ",
        "HEALTHCHECK ",
        "SHELL ",
        "EXPOSE ",
        "VOLUME ",
        "CMD ",
        "--from=",
        "--mount=type=cache,target=/x",
        "--link",
        "--",
        "<<EOF",
        "<<-'E'",
        "EOF",
        "\n",
        "\n",
        "\n",
        "\\\n",
        "\\",
        "`",
        "# escape=`\n",
        "# check=skip=all\n",
        "#c\n",
        " ",
        "\t",
        "\"",
        "'",
        "[",
        "[\"a\"]",
        "]",
        ",",
        "=",
        "a=b ",
        "$",
        "${",
        "${a:-b}",
        "}",
        "${a//x/y}",
        "é",
        "\u{feff}",
        "\r\n",
        "\0",
        "a",
        "/",
        "b",
    ];
    let piece = prop_oneof![
        9 => proptest::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| format!("FROM x\n{}", pieces.concat()))
}

fn places_are_in(text: &str, diagnostics: &[Diagnostic]) {
    for span in diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels).map(|label| label.span) {
        let (start, end) = (span.start as usize, span.end as usize);
        assert!(start <= end && text.get(start..end).is_some(), "{span:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_and_judged(text in text()) {
        let mut sources = Sources::new();
        let file = sources.add("Dockerfile", text.as_str());
        let (none, host) = (BTreeMap::new(), Platform::parse("linux/amd64").unwrap());
        let given = Given { build_args: &none, build: &host, target: &host, target_stage: "default" };
        match parse(file, &text) {
            Err(faults) => {
                prop_assert!(diagnostic::has_errors(&faults));
                places_are_in(&text, &faults);
                diagnostic::render(&sources, &faults, false);
            }
            Ok(dockerfile) => {
                for instruction in dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
                    let span = instruction.span;
                    prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
                }
                let bases = [("x".to_owned(), BaseImage::default())].into();
                let around = Surroundings { given: &given, ignore: None, bases: &bases };
                let findings = lint(&dockerfile, &around);
                places_are_in(&text, &findings);
                diagnostic::render(&sources, &findings, false);
            }
        }
    }

    #[test]
    fn any_pattern_matches_in_bounded_time(pattern in "[*?/ab!\\[\\]\\\\^-]{0,40}", path in "[ab/]{0,60}") {
        if let Ok(ignore) = Ignore::of([pattern.as_str()]) {
            let (ignored, entered) = (ignore.is_ignored(&path), ignore.may_take_back_below(&path));
            prop_assert!(!(ignored && entered), "a single pattern either leaves out or takes back");
        }
    }
}
