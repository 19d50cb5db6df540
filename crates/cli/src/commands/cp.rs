//! `compose cp`: copies files between a service's containers and the host.

use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::view::progress::{Line, Progress, Status};
use crate::view::row;
use crate::{converge, output, select, terminal};
use engine::{Destination, Engine, Owners, Source};
use resource::{ObservedContainer, Status as Life};
use std::io;
use std::path::{Path, PathBuf};

/// Flags of `cp`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep owners; by default files belong to root in a container, and to you outside
    #[arg(short, long)]
    pub(crate) archive: bool,
    /// Follow a link that is named as the source
    #[arg(short = 'L', long)]
    pub(crate) follow_link: bool,
    /// Number of the replica
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) index: u32,
    /// Containers that `run` made, too
    #[arg(long)]
    pub(crate) all: bool,
    /// SERVICE:PATH, a path of the host, or - for a tar archive, which keeps its owners
    #[arg(value_name = "SOURCE", allow_hyphen_values = true)]
    pub(crate) source: String,
    /// Likewise; a service's path is written to in every replica
    #[arg(value_name = "DESTINATION", allow_hyphen_values = true)]
    pub(crate) destination: String,
}

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
enum End<'a> {
    /// A path in a service's containers.
    Service(&'a str, &'a str),
    /// A path of the host.
    Host(&'a str),
    /// A tar archive on a standard stream.
    Stream,
}

impl<'a> End<'a> {
    fn parse(text: &'a str) -> Self {
        match text.split_once(':') {
            _ if text == "-" => Self::Stream,
            Some((service, path)) if !text.starts_with(['.', '/']) => Self::Service(service, path),
            _ => Self::Host(text),
        }
    }
}

/// Copies.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let hint = "write the service's path as `SERVICE:PATH`";
    match (End::parse(&args.source), End::parse(&args.destination)) {
        (End::Service(..), End::Service(..)) => Err(Failure::new(
            "files are not copied from one service to another",
        )
        .hint("copy them to the host first, or through a pipe: `compose cp a:/x - | compose cp - b:/y`")),
        (End::Service(service, path), outside) => from(args, session, service, inside(path), &outside),
        (outside, End::Service(service, path)) => into(args, session, service, inside(path), &outside),
        _ => Err(Failure::new("neither the source nor the destination names a service").hint(hint)),
    }
}

/// A path in a container begins at its root.
fn inside(path: &str) -> &Path {
    Path::new(if path.is_empty() { "/" } else { path })
}

/// A path of the host, with the dots and slashes at its end, which mean something.
fn host(session: &Session, path: &str) -> PathBuf {
    session.current().join(path)
}

fn from(
    args: &Args,
    session: &Session,
    service: &str,
    path: &Path,
    outside: &End<'_>,
) -> Result<Exit, Failure> {
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    select::services(&[service.to_owned()], subject.known(&observed))?;
    let container = select::existing(&observed.containers, service, args.index)?;
    if *outside == End::Stream && terminal::stdout() {
        return Err(Failure::new("an archive would not do a terminal good").hint("send it through a pipe"));
    }
    let owners = if args.archive { Owners::Kept } else { Owners::Copier };
    let copy = |engine: &Engine| {
        let destination = match outside {
            End::Host(text) => host(session, text),
            _ => {
                let archive = Destination::Archive(Box::new(io::stdout()));
                return engine.copy_out(container, path, args.follow_link, archive, owners);
            }
        };
        engine.copy_out(container, path, args.follow_link, Destination::Path(&destination), owners)
    };
    let progress = session.progress("cp");
    session.begin()?;
    runtime::interruptible(Size::One, async {
        let copied = copied(session, &progress, container, copy).await;
        copied.map_err(|failure| match outside {
            End::Stream => output::unread(failure),
            _ => failure,
        })?;
        progress.finish();
        Ok(Exit::Success)
    })
}

fn into(
    args: &Args,
    session: &Session,
    service: &str,
    path: &Path,
    outside: &End<'_>,
) -> Result<Exit, Failure> {
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    select::services(&[service.to_owned()], subject.known(&observed))?;
    let first = select::existing(&observed.containers, service, args.index)?;
    let mine = |container: &&ObservedContainer| {
        let record = &container.record;
        let one_off = row::is_one_off(container);
        match args.index {
            0 => record.spec.service == service && (args.all || !one_off),
            _ => record.id == first.record.id,
        }
    };
    let mut containers: Vec<_> = observed.containers.iter().filter(mine).collect();
    if containers.is_empty() {
        containers.push(first);
    }
    if *outside == End::Stream && containers.len() > 1 {
        return Err(Failure::new(format!(
            "service `{service}` has {} containers, and an archive can be read once",
            containers.len()
        ))
        .hint("name one of them with `--index`"));
    }
    let owners = |kept| if kept { Owners::Kept } else { Owners::Root };
    let progress = session.progress("cp");
    session.begin()?;
    runtime::interruptible(Size::One, async {
        for container in containers {
            let copy = |engine: &Engine| match outside {
                End::Host(text) => {
                    let source = host(session, text);
                    let source = Source::Path(&source, args.follow_link);
                    engine.copy_in(container, path, source, owners(args.archive))
                }
                _ => engine.copy_in(container, path, Source::Archive(Box::new(io::stdin())), owners(true)),
            };
            copied(session, &progress, container, copy).await?;
        }
        progress.finish();
        Ok(Exit::Success)
    })
}

/// Copies and tells of it; what does not run is not started meanwhile.
async fn copied(
    session: &Session,
    progress: &Progress,
    container: &ObservedContainer,
    copy: impl FnOnce(&Engine) -> Result<(), engine::EngineError>,
) -> Result<(), Failure> {
    let spec = &container.record.spec;
    let id = format!("Container {}", spec.name);
    progress.tell(&Line::new(&id, Status::Working, "Copying"));
    if !session.globals.dry_run {
        let engine = session.engine()?;
        let runs = matches!(container.state.status, Life::Running | Life::Paused);
        let lock = if runs {
            None
        } else {
            let waiting = || progress.message("waiting for another command on this project\n");
            Some(engine.lock(&spec.pod, waiting).await.map_err(converge::about(&spec.pod))?)
        };
        copy(engine).map_err(|error| Failure::because(format!("service `{}`", spec.service), error))?;
        drop(lock);
    }
    progress.tell(&Line::new(&id, Status::Done, "Copied"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_makes_a_service_unless_the_text_begins_as_a_path() {
        assert_eq!(End::parse("web:/srv"), End::Service("web", "/srv"));
        assert_eq!(End::parse("web:a:b"), End::Service("web", "a:b"));
        for path in ["./web:x", "/web:x", "../a", "file"] {
            assert_eq!(End::parse(path), End::Host(path));
        }
        assert_eq!(End::parse("-"), End::Stream);
    }
}
