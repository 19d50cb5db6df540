//! Progress of builds, on standard error.
//!
//! | mode | form |
//! |---|---|
//! | tty | a line for each step, with the last line of its output; in the end only the image's |
//! | plain | `#N [web build 2/5] RUN …`, `#N 0.412 output`, `#N DONE 1.2s`, `#N CACHED`, `#N CANCELED`, `#N ERROR …` |
//! | json | one object for each event, the step's number as its id |
//! | quiet | nothing |

use super::progress::{Line, Mode, Progress, Status};
use crate::output;
use engine::{BuildEvent, BuildEventKind};
use std::collections::HashMap;
use std::time::Instant;

/// Shows the steps of one build.
pub(crate) struct BuildView<'a> {
    progress: &'a Progress,
    steps: HashMap<u32, Step>,
    /// What the build checks say, to be told in the end.
    found: Vec<String>,
}

struct Step {
    title: String,
    build: String,
    began: Instant,
}

impl<'a> BuildView<'a> {
    pub(crate) fn new(progress: &'a Progress) -> Self {
        // Steps may have much to say before anything else is told.
        output::behind::begin();
        Self { progress, steps: HashMap::new(), found: vec![] }
    }

    /// Shows what happened.
    pub(crate) fn show(&mut self, event: BuildEvent) {
        let number = event.step;
        if let BuildEventKind::Found { place, check, message } = event.kind {
            self.found.push(format!("{place}: {message} ({check})"));
            return;
        }
        if let BuildEventKind::Begun { build, label, text } = &event.kind {
            let first = text.lines().next().unwrap_or_default();
            let title = format!("[{label}] {first}");
            self.steps.insert(number, Step { title, build: build.clone(), began: Instant::now() });
        }
        let Some(step) = self.steps.get(&number) else { return };
        match self.progress.mode() {
            Mode::Quiet => {}
            Mode::Plain => output::message(&format!("{}\n", plain(number, step, &event.kind))),
            Mode::Json => output::message(&format!("{}\n", json(number, step, &event.kind))),
            Mode::Tty => self.progress.tell(&line(step, &event.kind)),
        }
    }

    /// Tells what the build checks have found.
    pub(crate) fn end(self) {
        if self.progress.mode() != Mode::Quiet {
            self.found.iter().for_each(|found| self.progress.warning(found));
        }
    }
}

fn plain(number: u32, step: &Step, kind: &BuildEventKind) -> String {
    let rest = match kind {
        BuildEventKind::Begun { .. } => step.title.clone(),
        BuildEventKind::Output(line) => format!("{:.3} {line}", step.began.elapsed().as_secs_f64()),
        BuildEventKind::Cached => "CACHED".to_owned(),
        BuildEventKind::Done(took) => format!("DONE {:.1}s", took.as_secs_f64()),
        BuildEventKind::Failed(why) => format!("ERROR: {why}"),
        BuildEventKind::Cancelled => "CANCELED".to_owned(),
        BuildEventKind::Ready(image) => format!("image {image}"),
        BuildEventKind::Found { message, .. } => message.clone(),
    };
    format!("#{number} {rest}")
}

fn json(number: u32, step: &Step, kind: &BuildEventKind) -> serde_json::Value {
    let (status, text, details) = match kind {
        BuildEventKind::Begun { .. } => ("Working", "Building", String::new()),
        BuildEventKind::Output(line) => ("Working", "Output", line.clone()),
        BuildEventKind::Cached => ("Done", "Cached", String::new()),
        BuildEventKind::Done(took) => ("Done", "Built", format!("{:.3}s", took.as_secs_f64())),
        BuildEventKind::Failed(why) => ("Error", "Error", why.clone()),
        BuildEventKind::Cancelled => ("Warning", "Cancelled", String::new()),
        BuildEventKind::Ready(image) => ("Done", "Built", image.to_string()),
        BuildEventKind::Found { message, .. } => ("Warning", "Found", message.clone()),
    };
    let mut object = serde_json::json!({
        "id": format!("#{number} {}", step.title),
        "parent_id": format!("Build {}", step.build),
        "status": status,
        "text": text,
    });
    if !details.is_empty() {
        object["details"] = details.into();
    }
    object
}

fn line(step: &Step, kind: &BuildEventKind) -> Line {
    let line = |status, text: &str| Line { passing: true, ..Line::new(step.title.clone(), status, text) };
    match kind {
        BuildEventKind::Begun { .. } => line(Status::Working, "Building"),
        BuildEventKind::Output(text) => line(Status::Working, "Building").details(text.clone()),
        BuildEventKind::Cached => line(Status::Done, "Cached"),
        BuildEventKind::Done(_) | BuildEventKind::Ready(_) => line(Status::Done, "Done"),
        BuildEventKind::Failed(_) => line(Status::Error, "Error"),
        BuildEventKind::Cancelled => line(Status::Warning, "Cancelled"),
        BuildEventKind::Found { message, .. } => line(Status::Warning, "Found").details(message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_step_is_told_by_its_number() {
        let step =
            Step { title: "[web 2/5] RUN make".to_owned(), build: "web".to_owned(), began: Instant::now() };
        assert_eq!(plain(3, &step, &BuildEventKind::Cached), "#3 CACHED");
        assert_eq!(plain(3, &step, &BuildEventKind::Done(Duration::from_millis(1240))), "#3 DONE 1.2s");
        assert!(plain(3, &step, &BuildEventKind::Output("gcc".to_owned())).ends_with(" gcc"));
        let begun = BuildEventKind::Begun { build: String::new(), label: String::new(), text: String::new() };
        assert_eq!(plain(3, &step, &begun), "#3 [web 2/5] RUN make");
        assert_eq!(
            json(3, &step, &BuildEventKind::Failed("no".to_owned())).to_string(),
            r##"{"details":"no","id":"#3 [web 2/5] RUN make","parent_id":"Build web","status":"Error","text":"Error"}"##
        );
    }
}
