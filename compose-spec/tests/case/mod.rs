//! A folder of `cases/` as the loader sees it: as `/project`.

use std::io;
use std::path::{Path, PathBuf};

use compose_spec::Files;
use compose_spec::discovery::Request;

/// Where the loader finds it.
const PROJECT: &str = "/project";

/// The folder of a case.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Where a path of the loader really is.
    pub(crate) fn real(&self, path: &Path) -> Option<PathBuf> {
        let inside =
            if path == Path::new("-") { Path::new("stdin") } else { path.strip_prefix(PROJECT).ok()? };
        Some(self.0.join(inside))
    }
}

impl Files for Folder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(self.real(path).ok_or(io::ErrorKind::NotFound)?)
    }
    fn is_file(&self, path: &Path) -> bool {
        self.real(path).is_some_and(|path| path.is_file())
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.real(path).is_some_and(|path| path.is_dir())
    }
}

/// What the file `request` of the folder asks for.
pub(crate) fn request(folder: &Folder) -> Request {
    let mut request = Request { current: PROJECT.into(), ..Request::default() };
    request.environment.insert("HOME".to_owned(), "/home/user".to_owned());
    let text = std::fs::read_to_string(folder.0.join("request")).unwrap_or_default();
    for line in text.lines() {
        let (flag, value) = line.split_once(' ').unwrap_or((line, ""));
        match flag {
            "--file" => request.files.push(value.to_owned()),
            "--current" => request.current = Path::new(PROJECT).join(value),
            "--profile" => request.profiles.push(value.to_owned()),
            "--env-file" => request.env_files.push(value.to_owned()),
            "--project-name" => request.project_name = Some(value.to_owned()),
            "--as" => request.copy = Some(value.to_owned()),
            "--project-directory" => request.project_directory = Some(value.to_owned()),
            "--no-interpolate" => request.options.interpolate = false,
            "--no-normalize" => request.options.normalize = false,
            "--no-path-resolution" => request.options.resolve_paths = false,
            "--no-consistency" => request.options.check_consistency = false,
            "--no-env-resolution" => request.options.resolve_environment = false,
            "--all-resources" => request.options.all_resources = true,
            _ => match line.split_once('=') {
                Some((name, value)) => {
                    request.environment.insert(name.to_owned(), value.to_owned());
                }
                None => request.services.push(line.to_owned()),
            },
        }
    }
    request
}
