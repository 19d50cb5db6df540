//! The example on the page of a code is a Compose file that gets this code.

use std::io;
use std::path::Path;

use compose_spec::{Files, Input, load};
use diagnostic::{codes, page};

struct Example<'a>(&'a str);

impl Files for Example<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if self.is_file(path) { Ok(self.0.as_bytes().to_vec()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
    fn is_file(&self, path: &Path) -> bool {
        path == Path::new("/project/compose.yaml")
    }
    fn is_dir(&self, _: &Path) -> bool {
        false
    }
}

/// What is between the fences of the first block of YAML.
fn example(page: &str) -> Option<&str> {
    page.split_once("```yaml\n")?.1.split_once("```\n").map(|(example, _)| example)
}

#[test]
fn the_example_of_each_page_gets_its_code() {
    let mut tried = 0;
    for (code, _) in codes() {
        let Some(text) = page(code).and_then(example) else { continue };
        let files = vec!["/project/compose.yaml".into()];
        let input = Input { files, project_directory: "/project".into(), ..Input::default() };
        let told = load(&input, &Example(text)).diagnostics;
        let told: Vec<&str> = told.iter().map(|diagnostic| diagnostic.code).collect();
        assert!(told.contains(&code), "the example of {code} gets {told:?}:\n{text}");
        tried += 1;
    }
    assert!(tried > 70, "most codes of the loader have an example, not {tried}");
}
