//! Where a provider's program is: a plugin of the Docker CLI, else in PATH, or at the path that is its name.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where plugins of the Docker CLI are, besides the user's own folder.
const SHARED: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// The program of a provider.
pub(super) fn find(kind: &str, environment: &BTreeMap<String, String>, directory: &Path) -> Option<PathBuf> {
    candidates(kind, environment, directory).into_iter().find(|path| is_executable(path))
}

/// The places to look at, in order.
fn candidates(kind: &str, environment: &BTreeMap<String, String>, directory: &Path) -> Vec<PathBuf> {
    if kind.contains('/') {
        return vec![directory.join(kind)];
    }
    let filled = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let own = filled("DOCKER_CONFIG").map(PathBuf::from);
    let own = own.or_else(|| filled("HOME").map(|home| Path::new(home).join(".docker")));
    let plugins = own.map(|own| own.join("cli-plugins")).into_iter().chain(SHARED.map(PathBuf::from));
    let plugin = format!("docker-{kind}");
    let mut found: Vec<PathBuf> = plugins.map(|folder| folder.join(&plugin)).collect();
    let folders = filled("PATH").map(std::env::split_paths).into_iter().flatten();
    // What PATH says of the current folder is not meant for whatever project one is in.
    found.extend(folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(kind)));
    found
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_at(kind: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let paths = candidates(kind, &environment, Path::new("/project"));
        paths.iter().map(|path| path.display().to_string()).filter(|path| !path.starts_with("/usr")).collect()
    }

    #[test]
    fn plugins_come_before_what_is_in_path() {
        let variables = [("HOME", "/home/u"), ("PATH", "/bin:.::/opt/bin")];
        assert_eq!(
            looked_at("cloud", &variables),
            ["/home/u/.docker/cli-plugins/docker-cloud", "/bin/cloud", "/opt/bin/cloud"]
        );
        let variables = [("HOME", "/home/u"), ("DOCKER_CONFIG", "/etc/docker")];
        assert_eq!(looked_at("cloud", &variables), ["/etc/docker/cli-plugins/docker-cloud"]);
    }

    #[test]
    fn a_path_counts_from_the_projects_folder() {
        assert_eq!(looked_at("./bin/cloud", &[("PATH", "/bin")]), ["/project/./bin/cloud"]);
        assert_eq!(looked_at("/opt/cloud", &[]), ["/opt/cloud"]);
    }
}
