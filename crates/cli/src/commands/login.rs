//! `compose login`: proves who one is at a registry, and keeps it.

use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::{output, prompt};
use engine::{Engine, Kept};
use std::io::Read as _;

/// Flags of `login`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The user's name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// The password; others on this machine can see it there
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
    /// The registry, such as quay.io or registry.example.com:5000
    #[arg(default_value = "docker.io")]
    registry: String,
}

/// Logs in.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if session.globals.dry_run {
        return Err(Failure::without_dry_run("login", "a login is what the registry says of it"));
    }
    if args.password.is_some() {
        session.warn("a password on the command line can be seen by others; --password-stdin is safer");
    }
    let user = match &args.username {
        Some(user) => user.clone(),
        None if args.password_stdin => {
            return Err(Failure::new("--password-stdin needs --username"));
        }
        None => prompt::line("Username: ")?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None if args.password_stdin => from_input()?,
        None => prompt::secret("Password: ")?,
    };
    if user.is_empty() || user.contains(':') || password.is_empty() {
        return Err(Failure::new("a login is a user's name, without a colon, and a password"));
    }
    runtime::interruptible(Size::One, async {
        let kept = Engine::log_in(&args.registry, &user, &password).await;
        let kept = kept.map_err(|error| {
            let failure = Failure::new(crate::perform::chain(&error));
            match crate::remedies::of_login(&error) {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })?;
        let place = match kept {
            Kept::File(path) => format!("kept in {}", path.display()),
            Kept::Helper(helper) => format!("kept by docker-credential-{helper}"),
        };
        output::line(&format!("Login Succeeded ({place})"))?;
        Ok(Exit::Success)
    })
}

/// All of standard input, without the end of its line.
fn from_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(PASSWORD_LIMIT).read_to_string(&mut text);
    read.map_err(|error| Failure::because("cannot read the password", error))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// Bytes that a password may have; tokens have some thousands.
const PASSWORD_LIMIT: u64 = 1 << 16;
