//! `config`: the project as YAML or JSON.

use crate::model::Project;

/// The project as YAML.
pub fn render_yaml(project: &Project) -> String {
    let _ = project;
    String::new()
}

/// The project as JSON.
pub fn render_json(project: &Project) -> String {
    let _ = project;
    String::new()
}
