//! `RUN`.

use diagnostic::{Diagnostic, nearest};

use crate::arguments::{Listed, listed};
use crate::flag::{Flag, Flags, Takes};
use crate::heredoc::{self, Heredoc};
use crate::line::Piece;
use crate::mount::{Mount, MountOption, truth};
use crate::tree::{DeviceRequest, InstructionKind, Run, RunCommand, RunNetwork, RunSecurity, Word};

const FLAGS: [(&str, Takes); 4] = [
    ("device", Takes::Values),
    ("mount", Takes::Values),
    ("network", Takes::Value),
    ("security", Takes::Value),
];

const NETWORKS: [(&str, RunNetwork); 3] =
    [("default", RunNetwork::Default), ("none", RunNetwork::None), ("host", RunNetwork::Host)];

const SECURITIES: [(&str, RunSecurity); 2] =
    [("sandbox", RunSecurity::Sandbox), ("insecure", RunSecurity::Insecure)];

pub(crate) fn read(
    flags: Vec<Flag>,
    rest: Piece<'_>,
    heredocs: &[Heredoc],
    faults: &mut Vec<Diagnostic>,
) -> Result<InstructionKind, Diagnostic> {
    let flags = Flags::check("RUN", flags, &FLAGS, faults);
    let mounts: Vec<Mount> = flags.values("mount").iter().map(mount).collect();
    faults.extend(mounts.iter().filter_map(|mount| mount.check().err()));
    let network = chosen("network", flags.value("network"), &NETWORKS, faults);
    let security = chosen("security", flags.value("security"), &SECURITIES, faults);
    let devices = flags.values("device").iter().filter_map(|flag| device(flag, faults)).collect();
    Ok(InstructionKind::Run(Run { command: command(rest, heredocs)?, mounts, network, security, devices }))
}

fn command(rest: Piece<'_>, heredocs: &[Heredoc]) -> Result<RunCommand, Diagnostic> {
    if let Listed::Json(arguments) = listed(rest)? {
        if arguments.is_empty() {
            return Err(Diagnostic::error("missing-arguments", "`RUN` needs a program").at(rest.span(), ""));
        }
        return Ok(RunCommand::Exec(arguments));
    }
    let alone = heredoc::opening(rest.text()).and_then(|_| heredocs.first());
    if let Some(heredoc) = alone {
        let content = heredoc.content();
        return Ok(if content.starts_with("#!") {
            RunCommand::Script { name: heredoc.opening.name.clone(), content }
        } else {
            RunCommand::Shell(content)
        });
    }
    // The shell reads heredocs beside other words itself.
    let mut line = rest.text().to_owned();
    for heredoc in heredocs {
        line.push('\n');
        line.push_str(&heredoc.raw);
        line.push_str(&heredoc.opening.name);
    }
    Ok(RunCommand::Shell(line))
}

fn chosen<T: Copy + Default>(
    flag: &str,
    value: Option<Word>,
    known: &[(&'static str, T)],
    faults: &mut Vec<Diagnostic>,
) -> T {
    let Some(word) = value else { return T::default() };
    if let Some((_, value)) = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.text)) {
        return *value;
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
    let help = match nearest(&word.text, known.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    };
    let message = format!("`--{flag}` has no value `{}`", word.text);
    faults.push(Diagnostic::error("bad-value", message).at(word.span, "").help(help));
    T::default()
}

/// `NAME[,required]`, where the name has an `=` of its own.
fn device(flag: &Word, faults: &mut Vec<Diagnostic>) -> Option<DeviceRequest> {
    let (mut name, mut required, mut start) = (None, false, 0);
    for part in flag.text.split(',') {
        let place = flag.place(start, start + part.len());
        start += part.len() + 1;
        let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
        match (key, value.map(truth)) {
            ("required", None) => required = true,
            ("required", Some(Some(value))) => required = value,
            ("name", Some(_)) if name.is_none() => name = value.map(|value| (value, place)),
            _ if name.is_none() && !part.is_empty() => name = Some((part, place)),
            _ => {
                let message = format!("`{part}` is no option of `--device`");
                let fault = Diagnostic::error("bad-value", message).at(place, "");
                faults
                    .push(fault.help("write `--device=vendor.com/class=name`, with `,required` if need be"));
                return None;
            }
        }
    }
    let Some((name, span)) = name.filter(|(name, _)| !name.is_empty()) else {
        let fault = Diagnostic::error("missing-value", "`--device` names no device").at(flag.span, "");
        faults.push(fault.help("write it like `--device=vendor.com/class=name`"));
        return None;
    };
    Some(DeviceRequest { name: Word { text: name.to_owned(), span, escape: flag.escape }, required })
}

/// Cuts `type=cache,target=/x` at its commas; a field in double quotes may have commas in it.
fn mount(flag: &Word) -> Mount {
    let mut options = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    for (at, c) in flag.text.char_indices().chain([(flag.text.len(), ',')]) {
        quoted ^= c == '"';
        if c == ',' && (!quoted || at == flag.text.len()) {
            options.push(option(flag, start, at));
            start = at + 1;
        }
    }
    Mount { span: flag.span, options }
}

fn option(flag: &Word, start: usize, end: usize) -> MountOption {
    let part = |from: usize, to: usize| Word {
        text: flag.text[from..to].replace('"', ""),
        span: flag.place(from, to),
        escape: flag.escape,
    };
    match flag.text[start..end].find('=') {
        Some(equals) => {
            MountOption { key: part(start, start + equals), value: Some(part(start + equals + 1, end)) }
        }
        None => MountOption { key: part(start, end), value: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_name_and_may_be_needed() {
        let read = |text: &str| {
            let word = Word { text: text.to_owned(), span: diagnostic::Span::NOWHERE, escape: '\\' };
            device(&word, &mut vec![]).map(|device| (device.name.text, device.required))
        };
        let named = |name: &str, required| Some((name.to_owned(), required));
        assert_eq!(read("vendor.com/class=name"), named("vendor.com/class=name", false));
        assert_eq!(read("vendor.com/class=*,required"), named("vendor.com/class=*", true));
        assert_eq!(read("required=false,name=fast"), named("fast", false));
        for none in ["", "required", "a,b", "a,required=maybe", "name="] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
