//! `compose why`: what `up` would do to a service, and which values of the file that comes from.

use super::create::{Made, Making};
use crate::converge::Job;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::{output, select};
use compose_spec::{Explanation, Loaded, Options, Project};
use plan::{Change, Reason, Step, Verb};
use std::fmt::Write as _;

/// Values that are shown of a field that changed as a whole.
const SHOWN: usize = 8;

/// What happens to an image that is not here.
const PULLED: &str = "its image pulled";

/// Flags of `why`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Says why.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let options = Options { trace: true, ..Options::default() };
    let loaded = session.load_with(&args.services, options)?;
    let Made { desired, policy, tuning, .. } =
        Making::default().prepare_loaded(session, &loaded, &[], Verb::Up, false)?;
    let (project, loaded) = loaded;
    let chosen = select::services(&args.services, project.services.keys().map(String::as_str))?;
    let progress = session.progress("why");
    let preview = Job { session, progress: &progress, desired, policy, tuning }.look()?;
    let steps = || preview.images.steps().chain(preview.plan.steps()).map(|(_, planned)| planned);
    let mut text = String::new();
    for service in project.services.keys().filter(|name| chosen.is_empty() || chosen.contains(*name)) {
        let mut told: Vec<(String, &Reason)> = vec![];
        for planned in steps().filter(|planned| is_of(&planned.step, service)) {
            // The first step that says why; those that follow from it say no more. A pull comes before all.
            let is_told = |(act, reason): &(String, &Reason)| act != PULLED && **reason == planned.reason;
            if !told.iter().any(is_told) && tells(&planned.reason) {
                told.push((act(&planned.step).to_owned(), &planned.reason));
            }
        }
        if told.is_empty() {
            let _ = writeln!(text, "{service}: nothing would be done; it is as the file says");
        }
        for (act, reason) in told {
            let _ = writeln!(text, "{service}: {act}, because {reason}");
            if let Reason::Changed { changes, .. } = reason {
                for change in changes {
                    text.push_str(&origins(session, &project, &loaded, service, change));
                }
            }
        }
    }
    output::result(&text)?;
    Ok(Exit::Success)
}

/// Where the values of a changed field come from, a line each.
fn origins(session: &Session, project: &Project, loaded: &Loaded, service: &str, change: &Change) -> String {
    let environment = session.environment();
    let path = format!("services.{service}.{}", change.field);
    let all = compose_spec::explain(project, loaded, &path, &|name| environment.origin(name));
    let names = |explanation: &&Explanation| {
        change.keys.is_empty() || change.keys.iter().any(|key| explanation.path.ends_with(&format!(".{key}")))
    };
    let named: Vec<&Explanation> = all.iter().filter(names).collect();
    let mut text = String::new();
    let provided = provided(project, service, change, &named, &path);
    text.push_str(&provided);
    let shown = if named.is_empty() && provided.is_empty() { all.iter().collect() } else { named };
    for explanation in shown.iter().take(SHOWN) {
        // The value itself may be secret; its place is not.
        let place = explanation.written.as_ref().map_or("nothing in the file", |written| &written.place);
        let _ = write!(text, "  {} at {place}", explanation.path);
        for used in &explanation.variables {
            let from = used.from.as_deref().unwrap_or("nowhere");
            let _ = write!(text, ", with {} from {from}", used.name);
        }
        text.push('\n');
    }
    if shown.is_empty() && provided.is_empty() {
        let place = project.services.get(service).map(|service| loaded.sources.place(service.span));
        let gone = place.map_or_else(String::new, |place| format!(" ({place})"));
        let _ = writeln!(text, "  {path} is not in the file any more{gone}");
    }
    text
}

/// The variables that are not in the file, where a provider may have them, a line each.
fn provided(
    project: &Project,
    service: &str,
    change: &Change,
    in_file: &[&Explanation],
    path: &str,
) -> String {
    let is_provided = |name: &&String| project.services.get(*name).is_some_and(|on| on.provider.is_some());
    let Some(service) = project.services.get(service).filter(|_| change.field == "environment") else {
        return String::new();
    };
    let providers: Vec<&str> = service.depends_on.keys().filter(is_provided).map(String::as_str).collect();
    if providers.is_empty() {
        return String::new();
    }
    let is_in_file = |key: &&String| in_file.iter().any(|one| one.path.ends_with(&format!(".{key}")));
    let others = change.keys.iter().filter(|key| !is_in_file(key));
    others.map(|key| format!("  {path}.{key} from the provider of {}\n", providers.join(" or "))).collect()
}

/// Whether a reason says something by itself: that one step replaces another does not.
fn tells(reason: &Reason) -> bool {
    !matches!(reason, Reason::Replaces(_) | Reason::Replaced | Reason::New | Reason::DependsOn { .. })
}

fn is_of(step: &Step, service: &str) -> bool {
    match step {
        Step::CreateContainer { spec, .. } | Step::UpdateContainer { spec, .. } => spec.service == service,
        Step::StartContainer { service: of, .. } => of == service,
        Step::Provide(provide) => provide.service == service,
        Step::Pull { services, .. } | Step::Build { services, .. } => services.iter().any(|of| of == service),
        _ => false,
    }
}

fn act(step: &Step) -> &'static str {
    match step {
        Step::CreateContainer { replaces: Some(_), .. } => "recreated",
        Step::CreateContainer { .. } => "created",
        Step::UpdateContainer { .. } => "updated in place",
        Step::StartContainer { .. } => "started",
        Step::Provide(_) => "its provider asked",
        Step::Pull { .. } => PULLED,
        Step::Build { .. } => "built",
        _ => "changed",
    }
}
