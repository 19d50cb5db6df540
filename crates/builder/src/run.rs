//! `RUN`: a process in a container of the layers so far.

use crate::error::{at, chain};
use crate::foreign;
use crate::machine::{GivenUp, Job, Ran};
use crate::mounts::Mounted;
use crate::stage::{Stop, Told, Worker, met};
use crate::state::Key;
use diagnostic::Diagnostic;
use dockerfile::{Instruction, Run, RunCommand, RunNetwork, RunSecurity};
use resource::{BuildNetwork, Digest, MountSpec, Platform, ProcessSpec};
use std::collections::VecDeque;
use std::path::PathBuf;

/// Lines of a step's output that its failure shows.
const LAST_LINES: usize = 20;
/// Bytes after which a line of a step's output is told in parts, as lines of containers' logs are.
const LONGEST_LINE: usize = 16 << 10;

impl Worker<'_> {
    pub(crate) fn run(&mut self, instruction: &Instruction, run: &Run) -> Result<(), Stop> {
        let layers = self.state.all_layers();
        let (argv, script) = self.program(run);
        let network = match run.network {
            RunNetwork::Default => self.target.spec.network.clone(),
            RunNetwork::None => BuildNetwork::None,
            RunNetwork::Host => BuildNetwork::Host,
        };
        self.check_rights(instruction, run)?;
        let mounts = self.mounts(run)?;
        let devices: Vec<(String, bool)> = run
            .devices
            .iter()
            .map(|device| Ok((self.expand(&device.name)?, device.required)))
            .collect::<Result<_, Stop>>()?;
        let environment: Vec<String> =
            self.state.scope.environment().map(|(name, value)| format!("{name}={value}")).collect();
        let key = Key::new("run")
            .with_all(layers.iter().map(Digest::as_str))
            .with_all(&argv)
            .with_all(&environment)
            .with(script.as_ref().map_or("", |(_, content)| content))
            .with(self.state.folder())
            .with(&self.state.config.user)
            .with(format!("{network:?} {:?}", run.security))
            .with_all(mounts.key());
        let key = match devices.as_slice() {
            [] => key,
            devices => key.with_all(devices.iter().map(|(name, required)| format!("{name} {required}"))),
        };
        // A name that is asked for is seen by the step.
        let key = match self.hostname() {
            None => key,
            Some(name) => key.with(format!("hostname {name}")),
        };
        let key = self.surroundings().into_iter().fold(key, Key::with).finish();
        let text = told(instruction, run);
        let noted = self.noted(&match heredoc(instruction, run) {
            Some(content) => format!("{}\n{}", instruction.original, content.trim_end()),
            None => text.clone(),
        });
        self.layered_as(instruction, &text, &noted, &key, |worker, told| {
            worker.execute(instruction, run, Program { argv, script, network, layers, devices }, mounts, told)
        })
    }

    /// The host name that a build argument of the builder asks for.
    fn hostname(&self) -> Option<&str> {
        let name = self.target.spec.args.get("BUILDKIT_SANDBOX_HOSTNAME");
        name.map(String::as_str).filter(|name| !name.is_empty())
    }

    /// What of the build besides is seen by its steps, where it is asked for: names of hosts, though not where they
    /// are, limits, the size of /dev/shm.
    fn surroundings(&self) -> Vec<String> {
        let spec = &self.target.spec;
        let hosts = spec.extra_hosts.iter().map(|(host, _)| format!("host {host}"));
        let limits = spec.rlimits.iter().map(|limit| format!("limit {limit:?}"));
        hosts.chain(limits).chain(spec.shm_size.map(|size| format!("shm {size}"))).collect()
    }

    /// A `RUN` in the image's history: with the values that arguments had, `RUN |2 A=1 B=2 make`.
    fn noted(&self, text: &str) -> String {
        let given: Vec<String> =
            self.state.scope.arguments().map(|(name, value)| format!("{name}={value}")).collect();
        match text.split_once(char::is_whitespace) {
            Some((keyword, rest)) if !given.is_empty() => {
                format!("{keyword} |{} {} {}", given.len(), given.join(" "), rest.trim_start())
            }
            _ => text.to_owned(),
        }
    }

    /// What is run; of a script its path and content, too.
    fn program(&self, run: &Run) -> (Vec<String>, Option<(String, String)>) {
        match &run.command {
            RunCommand::Exec(argv) => (argv.clone(), None),
            RunCommand::Shell(text) => (self.state.shell().into_iter().chain([text.clone()]).collect(), None),
            RunCommand::Script { name, content } => {
                let path = format!("/dev/pipes/{name}");
                (vec![path.clone()], Some((path, content.clone())))
            }
        }
    }

    /// Refuses what the build was not allowed, and what this machine cannot execute.
    fn check_rights(&self, instruction: &Instruction, run: &Run) -> Result<(), Stop> {
        let spec = &self.target.spec;
        let denied = |what: &str, entitlement: &str| -> Stop {
            let message = format!("`{what}` needs the entitlement `{entitlement}`");
            let help = format!("add it to `entitlements` of the build of `{}`", spec.name);
            at(instruction.span, "not-entitled", message).help(help).into()
        };
        if run.security == RunSecurity::Insecure && !spec.allow_insecure {
            return Err(denied("--security=insecure", "security.insecure"));
        }
        if run.network == RunNetwork::Host && !spec.allow_host_network {
            return Err(denied("--network=host", "network.host"));
        }
        if !run.devices.is_empty() && !spec.allow_devices {
            return Err(denied("--device", "device"));
        }
        let host = Platform::host();
        let platform = self.state.base.as_ref().map_or(&host, |base| &base.platform);
        foreign::check_one(platform, instruction.span)?;
        Ok(())
    }

    fn execute(
        &mut self,
        instruction: &Instruction,
        run: &Run,
        program: Program,
        mounts: Mounted,
        told: &Told<'_>,
    ) -> Result<PathBuf, Stop> {
        let span = instruction.span;
        let store = self.site.store;
        let Program { argv, script, network, layers, devices } = program;
        let (passwd, group) =
            store.users_in(&layers).map_err(|error| met(span, "read the image's users", &error))?;
        let mut ready = mounts.ready(store, span)?;
        if let Some((target, content)) = script {
            ready.mounts.push(MountSpec::Content { content, target, uid: 0, gid: 0, mode: 0o755 });
        }
        let own = self.state.scope.environment();
        let mut environment: std::collections::BTreeMap<_, _> = self
            .target
            .global
            .proxies()
            .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
            .collect();
        environment.extend(own.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))));
        environment.extend(ready.environment.drain(..).map(|(name, value)| (name, Some(value))));
        let spec = &self.target.spec;
        let job = Job {
            layers,
            process: ProcessSpec {
                entrypoint: Some(argv),
                environment,
                working_dir: Some(self.state.folder().to_owned()),
                user: Some(self.state.config.user.clone()),
                ..ProcessSpec::default()
            },
            passwd,
            group,
            mounts: std::mem::take(&mut ready.mounts),
            places: std::mem::take(&mut ready.places),
            network,
            insecure: run.security == RunSecurity::Insecure,
            devices,
            hostname: self.hostname().unwrap_or("build").to_owned(),
            extra_hosts: spec.extra_hosts.clone(),
            shm_size: spec.shm_size,
            rlimits: spec.rlimits.clone(),
        };
        let mut lines = Lines::default();
        let ran = self.site.machine.run(&job, &mut |bytes| lines.take(bytes, &|line| told.line(line)));
        lines.end(&|line| told.line(line));
        match ran {
            Ok(Ran::Well(changes)) => Ok(changes),
            Ok(Ran::Badly(code)) => Err(failure(instruction, run, code, &lines).into()),
            Err(error) if error.is::<GivenUp>() => Err(Stop::Over),
            Err(error) => {
                let help = self.site.machine.remedy(&*error);
                let failed = at(span, "step-failed", format!("cannot run the step: {}", chain(&*error)));
                Err(help.into_iter().fold(failed, Diagnostic::help).into())
            }
        }
    }
}

/// What a step executes, and where.
struct Program {
    argv: Vec<String>,
    script: Option<(String, String)>,
    network: BuildNetwork,
    layers: Vec<Digest>,
    devices: Vec<(String, bool)>,
}

/// The text of a heredoc that is all that is run; the line above it says nothing of it.
fn heredoc<'r>(instruction: &Instruction, run: &'r Run) -> Option<&'r str> {
    match &run.command {
        RunCommand::Script { content, .. } => Some(content),
        // Where a line has more than the heredoc's word, the shell is given that line, too.
        RunCommand::Shell(text) if text.contains('\n') => {
            let first = text.lines().next().unwrap_or_default().trim_end();
            (first.is_empty() || !instruction.original.ends_with(first)).then_some(text)
        }
        _ => None,
    }
}

/// How a step is called while it is at work: `RUN <<EOF (set -e…)`.
fn told(instruction: &Instruction, run: &Run) -> String {
    let Some(content) = heredoc(instruction, run) else { return instruction.original.clone() };
    let mut lines = content.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let more = if lines.next().is_some() { "…" } else { "" };
    format!("{} ({first}{more})", instruction.original)
}

fn failure(instruction: &Instruction, run: &Run, code: i32, lines: &Lines) -> Diagnostic {
    let what = match code {
        137 => "was killed (exit code 137)".to_owned(),
        code => format!("ended with exit code {code}"),
    };
    let text = told(instruction, run);
    let mut diagnostic = at(instruction.span, "step-failed", format!("`{}` {what}", shortened(&text)));
    if !lines.last.is_empty() {
        let last: Vec<&str> = lines.last.iter().map(String::as_str).collect();
        diagnostic = diagnostic.note(format!("its last output was:\n{}", last.join("\n")));
    }
    diagnostic
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Cuts what a process writes into lines, and keeps the last ones.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
    last: VecDeque<String>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8], tell: &dyn Fn(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(LONGEST_LINE)) {
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end(tell);
            } else if self.begun.len() > LONGEST_LINE {
                // What is to be written over is not told at all.
                match self.begun.iter().rposition(|byte| *byte == b'\r').filter(|at| *at > 0) {
                    Some(at) => drop(self.begun.drain(..at)),
                    None => self.end(tell),
                }
            }
        }
    }

    fn end(&mut self, tell: &dyn Fn(String)) {
        if self.begun.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.begun);
        // What a carriage return has written over was progress.
        let text = text.trim_end_matches(['\n', '\r']);
        let text = text.rsplit('\r').next().unwrap_or_default().to_owned();
        self.begun.clear();
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(text.clone());
        tell(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn output_comes_in_lines_and_the_last_ones_are_kept() {
        let (mut lines, told) = (Lines::default(), RefCell::new(vec![]));
        let tell = |line: String| told.borrow_mut().push(line);
        lines.take(b"one\ntw", &tell);
        lines.take(b"o\n10%\r100%\nend", &tell);
        lines.end(&tell);
        lines.end(&tell);
        assert_eq!(*told.borrow(), ["one", "two", "100%", "end"]);
        told.borrow_mut().clear();
        lines.take(&b"50%\r".repeat(LONGEST_LINE), &tell);
        lines.take(b"done\n", &tell);
        assert_eq!(*told.borrow(), ["done"], "what is written over is not kept either");
        told.borrow_mut().clear();
        for _ in 0..5 {
            lines.take(&vec![b'x'; LONGEST_LINE], &tell);
        }
        lines.end(&tell);
        let lengths: Vec<usize> = told.borrow().iter().map(String::len).collect();
        assert_eq!((lengths.iter().sum::<usize>(), lengths.len()), (5 * LONGEST_LINE, 3));
        for number in 0..LAST_LINES {
            lines.take(format!("{number}\n").as_bytes(), &tell);
        }
        assert_eq!((lines.last.len(), lines.last[0].as_str()), (LAST_LINES, "0"));
    }
}
