//! The example on the page of a build check is a piece of a Dockerfile that gets this check's finding.

use diagnostic::{Sources, codes, page};
use dockerfile::{BaseImage, Given, Ignore, Surroundings, lint, parse};
use resource::Platform;
use std::collections::BTreeMap;

/// What is between the fences of the first block of a Dockerfile.
fn example(page: &str) -> Option<&str> {
    page.split_once("```dockerfile\n")?.1.split_once("```\n").map(|(example, _)| example)
}

#[test]
fn the_example_of_each_page_gets_its_code() {
    let host = Platform::host();
    let (build_args, target_stage) = (BTreeMap::new(), "default");
    let given = Given { build_args: &build_args, build: &host, target: &host, target_stage };
    let mut tried = 0;
    for (code, _) in codes() {
        let Some(example) = page(code).and_then(example) else { continue };
        let text =
            if example.contains("FROM ") { example.to_owned() } else { format!("FROM busybox\n{example}") };
        let text = format!("# check=experimental=all\n{text}");
        let read = parse(Sources::new().add("Dockerfile", text.clone()), &text);
        let file = read.unwrap_or_else(|faults| panic!("{code}: {faults:?}\n{text}"));
        let ignored = Ignore::of(["*.log"]).expect("it is a pattern");
        let other = Platform::parse("linux/s390x").map(|other| (other, host.clone()));
        let elsewhere = BaseImage { other, ..BaseImage::default() };
        let bases = BTreeMap::from([
            ("busybox".to_owned(), BaseImage::default()),
            ("example/for-s390x".to_owned(), elsewhere),
        ]);
        let around = Surroundings { given: &given, ignore: Some(&ignored), bases: &bases };
        let told: Vec<&str> = lint(&file, &around).iter().map(|finding| finding.code).collect();
        assert!(told.contains(&code), "the example of {code} gets {told:?}:\n{text}");
        tried += 1;
    }
    assert_eq!(tried, 22, "each check has an example");
}
