//! `compose export`: writes all files of a container as a tar archive.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::progress::{Line, Status};
use crate::{output, select, terminal};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Flags of `export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of the replica, the first by default
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) index: u32,
    /// A file to write to, standard output by default
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
}

/// Bytes written at once.
const BUFFER: usize = 1 << 18;

/// Writes the archive.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    select::services(std::slice::from_ref(&args.service), subject.known(&observed))?;
    let container = select::existing(&observed.containers, &args.service, args.index)?;
    if args.output.is_none() && terminal::stdout() {
        return Err(Failure::new("an archive would not do a terminal good")
            .hint("name a file with `-o`, or send it through a pipe"));
    }
    if !session.globals.dry_run {
        session.begin()?;
    }
    let progress = session.progress("export");
    let id = format!("Service {}", args.service);
    progress.tell(&Line::new(&id, Status::Working, "Exporting"));
    if !session.globals.dry_run {
        let name = &container.record.spec.name;
        let failed = |error| Failure::because(format!("cannot export container `{name}`"), error);
        let engine = session.engine()?;
        match &args.output {
            None => engine
                .export(container, BufWriter::with_capacity(BUFFER, io::stdout()))
                .map_err(|error| output::unread(failed(error)))?,
            Some(path) => {
                let mut file = Whole::create(path).map_err(|error| cannot_write(path, error))?;
                engine.export(container, &mut file).map_err(failed)?;
                file.publish().map_err(|error| cannot_write(path, error))?;
            }
        }
    }
    progress.tell(&Line::new(&id, Status::Done, "Exported"));
    progress.finish();
    Ok(Exit::Success)
}

fn cannot_write(path: &Path, error: io::Error) -> Failure {
    Failure::because(format!("cannot write `{}`", path.display()), error)
}

/// A file that appears under its name when it is whole, mode 0600; dropped before, it leaves nothing.
struct Whole {
    file: BufWriter<std::fs::File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Whole {
    fn create(path: &Path) -> io::Result<Self> {
        let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let file =
            std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        Ok(Self { file: BufWriter::with_capacity(BUFFER, file), temporary, path: path.to_owned() })
    }

    fn publish(mut self) -> io::Result<()> {
        self.file.flush()?;
        std::fs::rename(&self.temporary, &self.path)
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // Gone already when it was published.
        let _ = std::fs::remove_file(&self.temporary);
    }
}
