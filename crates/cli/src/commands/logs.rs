//! `compose logs`: shows what containers wrote.

use crate::exit::{Exit, Failure};
use crate::output::behind;
use crate::runtime::{self, Size};
use crate::session::{Session, Subject};
use crate::view::duration;
use crate::view::logs::{Prefixes, display_name};
use crate::{output, select};
use engine::{LogLine, LogQuery, LogStream};
use resource::Timestamp;

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with what is written later
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Number of the replica; needs one service
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) index: u32,
    /// Lines from the end of each container's log, or all
    #[arg(short = 'n', long, default_value = "all", value_name = "LINES", allow_hyphen_values = true)]
    pub(crate) tail: String,
    /// Not older than this time, or this duration before now
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Older than this time, or this duration before now
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Show times
    #[arg(short, long)]
    pub(crate) timestamps: bool,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// No names in front of lines
    #[arg(long)]
    pub(crate) no_log_prefix: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Bytes written at once while there are more lines to read.
const CHUNK: usize = 64 * 1024;

/// Shows logs.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if args.index > 0 && args.services.len() != 1 {
        return Err(Failure::new("`--index` needs exactly one service"));
    }
    let query = Query::of(args).read(Timestamp::now())?;
    let subject = session.subject(&[])?;
    let observed = session.containers(&subject.pod)?;
    let chosen = select::services(&args.services, subject.known(&observed))?;
    let services =
        if chosen.is_empty() { shown_by_default(&subject, &observed) } else { chosen.into_iter().collect() };
    let mut prefixes = Prefixes::new(session.colour && !args.no_color, !args.no_log_prefix);
    let project = subject.pod.as_str();
    for container in &observed.containers {
        let spec = &container.record.spec;
        if spec.number.is_some() && (services.is_empty() || services.contains(&spec.service)) {
            prefixes.add(&display_name(spec.name.as_str(), project));
        }
        if spec.log.none && services.contains(&spec.service) {
            session.warn(&format!("`{}` keeps no log (driver `none`)", spec.name));
        }
    }
    runtime::interruptible(Size::One, async {
        let engine = session.engine()?;
        let failed = |error| Failure::because("cannot read the logs", error);
        // Without a supervisor nothing reaches the log.
        engine.adopt(&subject.pod).await.map_err(failed)?;
        let lines = engine.logs(&subject.pod, &services, query).map_err(failed)?;
        let mut known = args.index == 0;
        let exit = write(lines, |text, line| {
            known |= wanted(line, args.index);
            show(text, &mut prefixes, line, args, project);
        })
        .await?;
        // A replica that is gone may have left lines.
        if let ([service], false) = (args.services.as_slice(), known) {
            select::existing(&observed.containers, service, args.index)?;
        }
        Ok(exit)
    })
}

/// Writes lines as they come, each in the form that `show` gives it; many at once where there are many.
pub(super) async fn write(
    mut lines: LogStream,
    mut show: impl FnMut(&mut String, &LogLine),
) -> Result<Exit, Failure> {
    let mut text = String::new();
    behind::begin();
    loop {
        behind::room().await;
        tokio::select! {
            biased;
            line = lines.next() => match line.map_err(|error| Failure::because("cannot read the logs", error))? {
                Some(line) => {
                    show(&mut text, &line);
                    if text.len() >= CHUNK {
                        output::result(&std::mem::take(&mut text))?;
                    }
                }
                None => break,
            },
            () = behind::broken() => output::result("")?,
            // Nothing more for the moment: what there is must not wait.
            () = std::future::ready(()), if !text.is_empty() => output::result(&std::mem::take(&mut text))?,
        }
    }
    output::result(&text)?;
    Ok(Exit::Success)
}

fn show(text: &mut String, prefixes: &mut Prefixes, line: &LogLine, args: &Args, project: &str) {
    if wanted(line, args.index) {
        let name = display_name(line.container.as_str(), project);
        prefixes.add(&name);
        text.push_str(&prefixes.line(&name, args.timestamps.then_some(line.time), &line.text));
    }
}

/// Services that `attach: false` does not hide; empty means all.
fn shown_by_default(subject: &Subject, observed: &resource::Observed) -> Vec<String> {
    let Some((project, _)) = &subject.loaded else { return vec![] };
    let hidden = |name: &str| project.services.get(name).is_some_and(|service| !service.attach);
    if !project.services.keys().any(|name| hidden(name)) {
        return vec![];
    }
    subject.known(observed).into_iter().filter(|name| !hidden(name)).map(str::to_owned).collect()
}

fn wanted(line: &LogLine, index: u32) -> bool {
    match line.number {
        None => false,
        Some(number) => index == 0 || number == index,
    }
}

/// The flags that say which lines are wanted, as they were written.
pub(super) struct Query<'a> {
    /// Go on with what is written later.
    pub(super) follow: bool,
    /// `all`, or a number of lines.
    pub(super) tail: &'a str,
    /// A time or a duration.
    pub(super) since: Option<&'a String>,
    /// A time or a duration.
    pub(super) until: Option<&'a String>,
}

impl<'a> Query<'a> {
    fn of(args: &'a Args) -> Self {
        let (since, until) = (args.since.as_ref(), args.until.as_ref());
        Self { follow: args.follow, tail: &args.tail, since, until }
    }

    /// What they mean.
    ///
    /// # Errors
    /// The flag that cannot be read.
    pub(super) fn read(&self, now: Timestamp) -> Result<LogQuery, Failure> {
        let point = |flag: &str, text: Option<&String>| match text {
            None => Ok(None),
            Some(text) => duration::point(text, now).map(Some).ok_or_else(|| {
                Failure::new(format!("invalid value for --{flag}: `{text}`"))
                    .hint("use a time such as `2026-01-02T15:04:05Z`, or a duration such as `42m`")
            }),
        };
        let tail = match self.tail {
            "all" | "" => None,
            text => match text.parse::<i64>() {
                Ok(lines) => usize::try_from(lines).ok(),
                Err(_) => {
                    return Err(Failure::new(format!("invalid value for --tail: `{text}`"))
                        .hint("use a number or `all`"));
                }
            },
        };
        let (since, until) = (point("since", self.since)?, point("until", self.until)?);
        Ok(LogQuery { follow: self.follow, tail, since, until, container: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(words: &[&str]) -> Result<LogQuery, String> {
        let line = Line::parse_from([&["logs"], words].concat());
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        Query::of(&line.args).read(now).map_err(|failure| failure.line())
    }

    #[test]
    fn the_query_is_what_the_flags_say() {
        assert_eq!(read(&[]).unwrap(), LogQuery::default());
        let query = read(&["-f", "-n", "5", "--since", "1h"]).unwrap();
        assert!(query.follow);
        assert_eq!(query.tail, Some(5));
        assert_eq!(query.since.unwrap().to_string(), "2026-03-01T11:00:00Z");
        assert_eq!(read(&["--tail", "-1"]).unwrap().tail, None);
        assert!(read(&["--tail", "some"]).unwrap_err().contains("--tail"));
        assert!(read(&["--until", "never"]).unwrap_err().contains("--until"));
    }
}
