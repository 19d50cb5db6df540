//! `compose image save`: writes images into a file or a folder, with the digests that they have.

use super::{find, places};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::progress::{Line, Status};
use engine::ArchiveForm;
use resource::{Image, Reference};
use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// Flags of `image save`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// oci-archive, oci-dir or docker-archive
    #[arg(long, value_name = "FORMAT", default_value = "oci-archive", hide_default_value = true,
        value_parser = ["oci-archive", "oci-dir", "docker-archive"])]
    format: String,
    /// The file, or folder, to write; standard output by default
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    /// Several images in one archive, which is always so
    #[arg(short, long, hide = true)]
    multi_image_archive: bool,
    /// References, or ids and beginnings of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// Saves images.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let form = match args.format.as_str() {
        "oci-dir" => ArchiveForm::OciFolder,
        "docker-archive" => ArchiveForm::DockerArchive,
        _ => ArchiveForm::OciArchive,
    };
    let known = session.viewer()?.store().images();
    let images = chosen(&known, &args.images)?;
    if session.globals.dry_run {
        let names = images.iter().flat_map(|(_, names)| names).map(Reference::familiar);
        let path =
            args.output.as_ref().map_or("standard output".to_owned(), |path| path.display().to_string());
        output::planned(&format!("save {} to {path}", names.collect::<Vec<_>>().join(", ")));
        return Ok(Exit::Success);
    }
    let (path, stream) = match &args.output {
        Some(path) => (path.as_path(), None),
        None => (Path::new("standard output"), Some(standard_output(form)?)),
    };
    let progress = session.progress_unless(args.quiet || stream.is_some(), "save");
    let title = path.display().to_string();
    let engine = session.engine()?;
    session.work(async {
        progress.tell(&Line::new(title.clone(), Status::Working, "Saving"));
        let saved = match engine.gather(&images).await {
            Ok(gathered) => {
                gathered.packed_anew().iter().for_each(|image| session.warn(&places::packed_anew(image)));
                engine.save(&gathered, form, path, stream).await
            }
            Err(error) => Err(error),
        };
        let (status, text) = if saved.is_ok() { (Status::Done, "Saved") } else { (Status::Error, "Error") };
        progress.tell(&Line::new(title.clone(), status, text));
        progress.finish();
        saved.map_err(|error| {
            let failure = places::failure("cannot save", error);
            if args.output.is_none() { output::unread(failure) } else { failure }
        })?;
        Ok(Exit::Success)
    })
}

/// The images that are meant, each once, with the names that they were given by; one that was named by its id
/// has all of its names.
fn chosen(known: &[Image], words: &[String]) -> Result<Vec<(Image, Vec<Reference>)>, Failure> {
    let mut chosen: Vec<(Image, Vec<Reference>)> = vec![];
    for word in words {
        let image = find::one(known, word)?;
        let is_name = Reference::parse(word).is_ok_and(|name| name == image.reference);
        let names = known.iter().filter(|other| other.id == image.id && other.manifest == image.manifest);
        let names =
            names.map(|image| image.reference.clone()).filter(|name| !is_name || *name == image.reference);
        match chosen.iter_mut().find(|(other, _)| other.manifest == image.manifest) {
            Some((_, all)) => all.extend(names),
            None => chosen.push((image.clone(), names.collect())),
        }
    }
    for (_, names) in &mut chosen {
        names.sort();
        names.dedup();
    }
    Ok(chosen)
}

fn standard_output(form: ArchiveForm) -> Result<File, Failure> {
    let output = std::io::stdout();
    if form == ArchiveForm::OciFolder || output.is_terminal() {
        let what = if output.is_terminal() {
            "an archive is nothing for a terminal"
        } else {
            "a folder cannot be written to standard output"
        };
        return Err(Failure::new(what).hint("name a file with `--output`"));
    }
    let file = output.as_fd().try_clone_to_owned();
    file.map(File::from).map_err(|error| Failure::because("cannot write to standard output", error))
}
