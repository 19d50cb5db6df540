//! `compose top`: shows the processes of running containers.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::{table, time};
use crate::{output, select};
use engine::ProcessRow;
use resource::Status;

/// Flags of `top`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Shows processes, containers sorted by name.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    let chosen = select::services(&args.services, subject.known(&observed))?;
    let engine = session.engine()?;
    let mut rows = vec![];
    for container in &observed.containers {
        let spec = &container.record.spec;
        let up = matches!(container.state.status, Status::Running | Status::Paused);
        if !up || !(chosen.is_empty() || chosen.contains(&spec.service)) {
            continue;
        }
        let processes = engine.top(&subject.pod, &container.record.id).map_err(|error| {
            Failure::because(format!("cannot list the processes of `{}`", spec.name), error)
        })?;
        let number = spec.number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        rows.extend(processes.processes.iter().map(|process| cells(&spec.service, &number, process)));
    }
    let header = ["SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
    output::result(&table::table(&header, &rows))?;
    session.supervise(&subject.pod, &observed);
    Ok(Exit::Success)
}

fn cells(service: &str, number: &str, process: &ProcessRow) -> Vec<String> {
    let seconds = process.time.as_secs();
    vec![
        service.to_owned(),
        number.to_owned(),
        process.user.clone(),
        process.pid.to_string(),
        process.parent.to_string(),
        process.cpu.to_string(),
        time::clock(process.started, &time::zone()),
        process.terminal.clone(),
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        process.command.clone(),
    ]
}
