//! `cargo xtask test`: everything that guards the project, in the order in which it fails quickest.
//!
//! Nothing is skipped silently: a part that cannot run says so, and under CI (`CI=true`) that is a
//! failure.

use crate::{Failure, cargo, demo as first_stack, fixtures, is_root, packages, root};
use std::process::Command;

/// A part of the suite and the function that runs it.
type Part = (&'static str, fn() -> Result<(), Failure>);

const PARTS: [Part; 8] = [
    ("format", format),
    ("lint", lint),
    ("docs", docs),
    ("deny", deny),
    ("unit", unit),
    ("scenarios", scenarios),
    ("demo", demo),
    ("stacks", stacks),
];

/// Runs the named parts, or all of them.
pub(crate) fn run(only: &[&str]) -> Result<(), Failure> {
    if let Some(unknown) = only.iter().find(|name| !PARTS.iter().any(|(part, _)| part == *name)) {
        return Err(format!("there is no part `{unknown}`"));
    }
    for (name, part) in PARTS {
        if only.is_empty() || only.contains(&name) {
            eprintln!("== {name}");
            part()?;
        }
    }
    Ok(())
}

fn format() -> Result<(), Failure> {
    cargo(&["fmt", "--all", "--check"])
}

fn lint() -> Result<(), Failure> {
    cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn docs() -> Result<(), Failure> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    crate::run(
        Command::new(program)
            .args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
            // Private items are in these pages, so a link to one leads somewhere.
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")
            .current_dir(root()),
    )
}

/// Licences, sources and duplicates of what is linked in. Advisories need a database from the
/// network, which a build without one cannot ask.
fn deny() -> Result<(), Failure> {
    let installed = Command::new("cargo").args(["deny", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        cargo(&["install", "--quiet", "--locked", "cargo-deny"])?;
    }
    cargo(&["deny", "--config", ".deny.toml", "check", "bans", "licenses", "sources"])
}

fn unit() -> Result<(), Failure> {
    require_root("the tests of the engine's rooms")?;
    packages::require(&[packages::BUSYBOX, packages::NFT, packages::IP, packages::PYTHON])?;
    cargo(&["test", "--quiet", "--workspace", "--exclude", "scenarios"])
}

fn scenarios() -> Result<(), Failure> {
    require_root("the scenarios")?;
    packages::require(&[packages::BUSYBOX, packages::NFT, packages::IP, packages::CURL, packages::TMUX])?;
    packages::require(&[packages::UIDMAP, packages::PASST, packages::GIT, packages::SSH])?;
    packages::require(&[packages::ZSH, packages::FISH, packages::CRUN, packages::XZ])?;
    cargo(&["build", "--quiet", "--package", "cli"])?;
    let other = match only()? {
        None => return cargo(&["test", "--quiet", "--package", "scenarios"]),
        Some(Who::Root) => "::as_user",
        Some(Who::User) => "::as_root",
    };
    cargo(&["test", "--quiet", "--package", "scenarios", "--", "--skip", other])
}

/// What the README promises of the first minute.
fn demo() -> Result<(), Failure> {
    require_root("the demo")?;
    cargo(&["build", "--quiet", "--package", "cli"])?;
    packages::require(&[packages::UIDMAP, packages::PASST])?;
    first_stack::check(only()?)
}

/// The complete stacks with real images: the folder named by `COMPOSE_TEST_FIXTURES` makes and serves them.
fn stacks() -> Result<(), Failure> {
    let Some(folder) = std::env::var_os("COMPOSE_TEST_FIXTURES") else {
        return cannot("COMPOSE_TEST_FIXTURES names no folder with images and stacks: no stack was checked");
    };
    require_root("the stacks")?;
    cargo(&["build", "--quiet", "--release", "--package", "cli"])?;
    fixtures::check_stacks(folder.as_ref(), only()?)
}

/// Who runs the program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Root,
    User,
}

/// Whom `COMPOSE_TEST_ONLY` restricts scenarios and stacks to: `root` or `user`; by default it is both.
fn only() -> Result<Option<Who>, Failure> {
    match std::env::var("COMPOSE_TEST_ONLY").as_deref() {
        Err(_) => Ok(None),
        Ok("root") => Ok(Some(Who::Root)),
        Ok("user") => Ok(Some(Who::User)),
        Ok(other) => Err(format!("COMPOSE_TEST_ONLY is `{other}`, neither `root` nor `user`")),
    }
}

fn require_root(what: &str) -> Result<(), Failure> {
    if is_root() { Ok(()) } else { Err(format!("{what} need root: they make networks, mounts and cgroups")) }
}

/// Says that a part could not run; a failure under CI.
fn cannot(why: &str) -> Result<(), Failure> {
    if std::env::var_os("CI").is_some() {
        return Err(why.to_owned());
    }
    eprintln!("NOT RUN: {why}");
    Ok(())
}
