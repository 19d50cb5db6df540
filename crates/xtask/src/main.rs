//! The project's chores: `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`, `cargo xtask vm`.

mod demo;
mod fixtures;
mod ordinary;
mod packages;
mod registries;
mod tally;
mod test;
mod vm;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// What went wrong with a chore, in a sentence.
type Failure = String;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["through", program, ref arguments @ ..] = words[..] {
        return fixtures::through(program, arguments).unwrap_or_else(|failure| {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        });
    }
    let outcome = match words[..] {
        ["demo"] => demo::run(),
        ["test", ref only @ ..] => test::run(only),
        ["bench", ref options @ ..] => bench(options),
        ["vm", machine, ref only @ ..] => vm::run_scenarios(machine, only),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "usage: cargo xtask COMMAND
  demo           build compose and bring up a first stack that needs no registry
  test [PART…]   install or name what is missing and run every test
                 (parts: format lint docs deny unit scenarios demo stacks; all of them by default)
  bench [NAME…]  measure against the bare kernel work, as ratios
  vm DIR [--part N/M] [NAME…]
                 run the scenarios, or a part of them, in the virtual machine DIR
                 (COMPOSE_TEST_VM names its tools)";

/// Builds the release program and measures it.
fn bench(options: &[&str]) -> Result<(), Failure> {
    packages::require(&[packages::BUSYBOX, packages::CURL, packages::NFT, packages::IP])?;
    packages::require(&[packages::UIDMAP, packages::PASST])?;
    cargo(&["build", "--release", "--package", "cli"])?;
    cargo(&["build", "--quiet", "--package", "scenarios", "--bin", "as-user"])?;
    cargo(&[&["bench", "--quiet", "--package", "scenarios", "--bench", "whole", "--"], options].concat())
}

/// The root of the checkout.
fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("this crate lies two folders below the root").to_owned()
}

/// Runs cargo in the checkout.
fn cargo(arguments: &[&str]) -> Result<(), Failure> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(program).args(arguments).current_dir(root()))
}

/// Runs a command with our terminal and fails when it does.
fn run(command: &mut Command) -> Result<(), Failure> {
    let line = shown(command);
    eprintln!("+ {line}");
    let status = command.status().map_err(|error| format!("{line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{line}: {status}")) }
}

/// A command as a shell would take it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.:=_+,@-".contains(&byte);
        if !word.is_empty() && word.bytes().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Whether this process is root, as most of what is tested needs.
fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
