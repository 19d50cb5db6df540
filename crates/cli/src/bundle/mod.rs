//! A project made portable: the model as it was loaded, with paths in its folder and without what a bundle
//! replaces, and the files that it needs.
//!
//! | of the project | in the bundle |
//! |---|---|
//! | variables, `env_file`, `extends`, `include` | resolved: the values of now |
//! | `build` | the image that was built |
//! | `develop`, `pull_policy` | left out |
//! | bind mounts and configs in the project's folder | their files |
//! | bind mounts elsewhere | named as they are, and told |
//! | configs elsewhere or of a variable | their content |
//! | secrets | their paths, and with `--with-secrets` their content |

mod yaml;

use crate::exit::Failure;
use compose_spec::Project;
use engine::{BundleContent, BundleFile};
use resource::Desired;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where what has no place in the project's folder is in a bundle's.
const OWN: &str = ".bundle";

/// The project of a bundle.
pub(crate) struct Portable {
    /// Its Compose file.
    pub(crate) text: String,
    /// The other files.
    pub(crate) files: Vec<BundleFile>,
    /// Paths below the folder that are needed and not packed.
    pub(crate) left_out: Vec<String>,
    /// What will not work as it does here.
    pub(crate) warnings: Vec<String>,
}

impl Portable {
    /// Makes a project portable. `desired` says how images of services that are built are called.
    ///
    /// # Errors
    /// A file of it is not there.
    pub(crate) fn of(project: &Project, desired: &Desired, with_secrets: bool) -> Result<Self, Failure> {
        let mut whole: Value = serde_json::from_str(&compose_spec::render_json(project))
            .map_err(|error| Failure::because("cannot read the resolved project", error))?;
        let mut packer =
            Packer { project, with_secrets, files: BTreeMap::new(), left_out: vec![], warnings: vec![] };
        for (name, service) in objects(&mut whole, "services") {
            let service = service.as_object_mut();
            let Some(service) = service else { continue };
            let built = desired.services.iter().find(|wanted| wanted.name == *name);
            if service.remove("build").is_some()
                && let Some(wanted) = built
            {
                service.insert("image".to_owned(), json!(wanted.image.reference.familiar()));
            }
            for key in ["develop", "pull_policy"] {
                service.remove(key);
            }
            packer.mounts(name, service);
        }
        for (name, config) in objects(&mut whole, "configs") {
            packer.config(name, config)?;
        }
        for (name, secret) in objects(&mut whole, "secrets") {
            packer.secret(name, secret)?;
        }
        for section in ["networks", "volumes", "configs", "secrets"] {
            for (key, value) in objects(&mut whole, section) {
                default_name(project, key, value);
            }
        }
        let text = format!("# `{}`, as it was bundled.\n{}", project.name, yaml::text(&whole));
        let Packer { files, left_out, warnings, .. } = packer;
        let files = once(files).into_iter().map(|(name, content)| BundleFile { name, content }).collect();
        Ok(Self { text, files, left_out, warnings })
    }
}

/// The files without those that come with a folder.
fn once(files: BTreeMap<String, BundleContent>) -> BTreeMap<String, BundleContent> {
    let is_folder = |content: &BundleContent| matches!(content, BundleContent::Path(path) if path.is_dir());
    let folders: Vec<PathBuf> =
        files.iter().filter(|(_, content)| is_folder(content)).map(|(name, _)| PathBuf::from(name)).collect();
    let comes_along = |name: &str| {
        Path::new(name).ancestors().skip(1).any(|above| folders.iter().any(|folder| folder == above))
    };
    files.into_iter().filter(|(name, _)| !comes_along(name)).collect()
}

/// The entries of a section.
fn objects<'a>(whole: &'a mut Value, section: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    whole.get_mut(section).and_then(Value::as_object_mut).into_iter().flatten()
}

/// Takes a name away that is made of the project's: under another name of the project it is another one.
fn default_name(project: &Project, key: &str, value: &mut Value) {
    let own = format!("{}_{key}", project.name);
    if let Some(object) = value.as_object_mut().filter(|object| object.get("name") == Some(&json!(own))) {
        object.remove("name");
    }
}

struct Packer<'a> {
    project: &'a Project,
    with_secrets: bool,
    files: BTreeMap<String, BundleContent>,
    left_out: Vec<String>,
    warnings: Vec<String>,
}

impl Packer<'_> {
    fn mounts(&mut self, service: &str, object: &mut Map<String, Value>) {
        let mounts = object.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten();
        for mount in mounts.filter(|mount| mount["type"] == "bind") {
            let Some(source) = mount["source"].as_str().map(unescaped) else { continue };
            let path = PathBuf::from(&source);
            match self.below(&path) {
                Some(name) if name.is_empty() => {
                    mount["source"] = json!(".");
                    self.warnings.push(format!(
                        "service `{service}` mounts the whole project folder: its files are not in the bundle"
                    ));
                }
                Some(name) => {
                    mount["source"] = json!(escaped(&format!("./{name}")));
                    // One that is missing is made when it is mounted.
                    if let Ok(path) = path.canonicalize() {
                        self.files.insert(name, BundleContent::Path(path));
                    }
                }
                None => self.warnings.push(format!(
                    "service `{service}` mounts `{source}`, which is outside of the project's folder: it is not in the bundle"
                )),
            }
        }
    }

    fn config(&mut self, name: &str, config: &mut Value) -> Result<(), Failure> {
        let Some(object) = config.as_object_mut() else { return Ok(()) };
        if let Some(path) = object.get("file").and_then(Value::as_str).map(unescaped) {
            let own = self.place("configs", name, Path::new(&path));
            object.insert("file".to_owned(), json!(escaped(&format!("./{own}"))));
            return self.pack("config", name, own, PathBuf::from(path));
        }
        if let Some(variable) = object.get("environment").and_then(Value::as_str).map(str::to_owned) {
            let value = self.value("config", name, &variable)?;
            object.remove("environment");
            object.insert("content".to_owned(), json!(escaped(&value)));
        }
        Ok(())
    }

    fn secret(&mut self, name: &str, secret: &mut Value) -> Result<(), Failure> {
        let Some(object) = secret.as_object_mut() else { return Ok(()) };
        if let Some(path) = object.get("file").and_then(Value::as_str).map(unescaped) {
            let own = self.place("secrets", name, Path::new(&path));
            object.insert("file".to_owned(), json!(escaped(&format!("./{own}"))));
            if self.with_secrets {
                return self.pack("secret", name, own, PathBuf::from(path));
            }
            self.left_out.push(own);
            return Ok(());
        }
        let variable = object.get("environment").and_then(Value::as_str).map(str::to_owned);
        if let Some(variable) = variable.filter(|_| self.with_secrets) {
            let value = self.value("secret", name, &variable)?;
            let own = format!("{OWN}/secrets/{name}");
            object.remove("environment");
            object.insert("file".to_owned(), json!(format!("./{own}")));
            self.files.insert(own, BundleContent::Bytes(value.into_bytes()));
        }
        Ok(())
    }

    /// A file's name in the bundle: its own below the project's folder, or one of ours.
    fn place(&self, kind: &str, name: &str, path: &Path) -> String {
        self.below(path).filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{OWN}/{kind}/{name}"))
    }

    fn pack(&mut self, kind: &str, name: &str, own: String, path: PathBuf) -> Result<(), Failure> {
        // What a link leads to may be elsewhere.
        let path = path.canonicalize().map_err(|error| {
            Failure::because(format!("cannot read `{}` of {kind} `{name}`", path.display()), error)
        })?;
        self.files.insert(own, BundleContent::Path(path));
        Ok(())
    }

    fn value(&self, kind: &str, name: &str, variable: &str) -> Result<String, Failure> {
        let value = self.project.environment.get(variable).cloned();
        value.ok_or_else(|| {
            Failure::new(format!("{kind} `{name}` is of the variable `{variable}`, which is not set"))
        })
    }

    /// The path below the project's folder; `None` when it is elsewhere.
    fn below(&self, path: &Path) -> Option<String> {
        let below = path.strip_prefix(&self.project.directory).ok()?;
        Some(below.to_str()?.to_owned())
    }
}

/// A text that is no variable when it is read again.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}
