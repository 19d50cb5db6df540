//! `compose exec`: runs a command in a running container and passes its exit code on.

use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::stream::{self, Joined};
use crate::{output, select, terminal};
use engine::{EngineError, ExecRequest, Stdio};
use resource::{ContainerId, PodName};

/// Flags of `exec`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Return at once
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// NAME=VALUE, or NAME to pass it on
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = crate::arguments::variable)]
    pub(crate) env: Vec<String>,
    /// Number of the replica, the first by default
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) index: u32,
    /// No terminal
    #[arg(short = 'T', long, alias = "no-TTY")]
    pub(crate) no_tty: bool,
    /// All capabilities
    #[arg(long)]
    pub(crate) privileged: bool,
    /// USER or USER:GROUP
    #[arg(short, long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "PATH")]
    pub(crate) workdir: Option<String>,
    /// Accepted for habit
    #[arg(short, long, hide = true)]
    pub(crate) interactive: bool,
    /// Accepted for habit
    #[arg(short, long, hide = true)]
    pub(crate) tty: bool,
    /// The service, and the command with its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_names = ["SERVICE", "COMMAND"])]
    pub(crate) words: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let (service, argv) = args.words.split_first().ok_or_else(|| Failure::new("no service was named"))?;
    if argv.is_empty() {
        return Err(Failure::new("no command was given")
            .hint(format!("write it after the service: `compose exec {service} sh`")));
    }
    let subject = session.named()?;
    let pod = &subject.pod;
    let observed = session.containers(pod)?;
    select::services(std::slice::from_ref(service), subject.known(&observed))?;
    let container = select::running(&observed.containers, service, args.index)?;
    session.timing("container found");
    let request = ExecRequest {
        argv: argv.to_vec(),
        environment: variables(&args.env, session),
        working_dir: args.workdir.clone(),
        user: args.user.clone(),
        privileged: args.privileged,
        detach: args.detach,
    };
    let tty = !args.detach && !args.no_tty && terminal::stdin() && terminal::stdout();
    let id = &container.record.id;
    if session.globals.dry_run {
        output::planned(&format!("exec {} in {}", argv.join(" "), container.record.spec.name));
        return Ok(Exit::Success);
    }
    let engine = session.engine()?;
    runtime::interruptible(Size::One, async {
        let stdio = match (args.detach, tty) {
            (true, _) => Stdio::Null,
            (false, true) => stream::terminal(),
            (false, false) => stream::own()
                .map_err(|error| Failure::because("cannot hand the standard streams on", error))?,
        };
        if args.detach {
            engine.exec(pod, id, request, stdio).await.map_err(failed)?;
            return Ok(Exit::Success);
        }
        attended(session, pod, id, request, stdio).await.map(Exit::Code)
    })
}

/// Runs a command in front of the user, and returns its exit code.
///
/// # Errors
/// It could not be started, or what became of it is not known.
pub(crate) async fn attended(
    session: &Session,
    pod: &PodName,
    id: &ContainerId,
    request: ExecRequest,
    stdio: Stdio,
) -> Result<i32, Failure> {
    let mut exec = session.engine()?.exec(pod, id, request, stdio).await.map_err(failed)?;
    session.timing("started");
    let joined = exec.terminal.take().map(Joined::join).transpose();
    let joined = joined.map_err(|error| Failure::because("cannot use the terminal", error))?;
    let code = exec.wait().await;
    let code = code.map_err(|error| Failure::because("cannot learn how the command ended", error))?;
    if let Some(joined) = joined {
        joined.finish();
    }
    Ok(code)
}

/// `NAME` alone is taken from the project's environment.
fn variables(given: &[String], session: &Session) -> Vec<String> {
    let environment = session.environment();
    given
        .iter()
        .filter_map(|entry| match entry.split_once('=') {
            Some(_) => Some(entry.clone()),
            None => environment.get(entry).map(|value| format!("{entry}={value}")),
        })
        .collect()
}

/// A command that could not be started ends with the code that a shell would give it.
fn failed(error: EngineError) -> Failure {
    let Some(code) = error.start_exit_code().and_then(|code| u8::try_from(code).ok()) else {
        return Failure::because("cannot run the command", error);
    };
    let failure = Failure::new(error.to_string()).with_code(code);
    if code == 127 {
        return failure
            .hint("the command is looked up inside the container; a small image may have no shell");
    }
    failure
}
