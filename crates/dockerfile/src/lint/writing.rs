//! Checks of how the file is written.

use diagnostic::Diagnostic;

use crate::tree::{Command, Dockerfile, Instruction, InstructionKind, Stage, Word};

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Vec<Diagnostic>) {
    keywords(dockerfile, findings);
    stage_names(dockerfile, findings);
    for span in &dockerfile.form.empty_continuations {
        let finding =
            Diagnostic::warning("NoEmptyContinuation", "an empty line inside an instruction that goes on");
        findings.push(finding.at(*span, "").help("take it out, or make it a comment"));
    }
    for (span, keyword) in &dockerfile.form.legacy_pairs {
        let finding =
            Diagnostic::warning("LegacyKeyValueFormat", format!("`{keyword}` in its old form, without `=`"));
        findings.push(finding.at(*span, "").help(format!("write `{keyword} key=value`")));
    }
    for description in &dockerfile.form.descriptions {
        let finding = Diagnostic::warning(
            "InvalidDefinitionDescription",
            format!("the comment above this {} does not describe it", description.what),
        );
        let help = format!("write `# {} TEXT`, or put an empty line between", description.name);
        findings.push(finding.at(description.span, "").help(help));
    }
    for stage in &dockerfile.stages {
        used_once(stage, findings);
        for instruction in &stage.instructions {
            instruction_form(instruction, findings);
        }
    }
    shell_forms(dockerfile, findings);
}

fn keywords(dockerfile: &Dockerfile, findings: &mut Vec<Diagnostic>) {
    let is_upper = |text: &str| !text.contains(|c: char| c.is_ascii_lowercase());
    let is_lower = |text: &str| !text.contains(|c: char| c.is_ascii_uppercase());
    let keywords = &dockerfile.form.keywords;
    let lower = keywords.iter().filter(|word| is_lower(&word.text)).count();
    let upper = keywords.iter().filter(|word| is_upper(&word.text)).count();
    let (fits, majority): (fn(&str) -> bool, _) =
        if lower > upper { (is_lower, "lower case") } else { (is_upper, "capitals") };
    for word in keywords.iter().filter(|word| !fits(&word.text)) {
        let message = format!("`{}` is not in {majority} like most instructions here", word.text);
        findings.push(Diagnostic::warning("ConsistentInstructionCasing", message).at(word.span, ""));
    }
    for (from, r#as) in &dockerfile.form.as_keywords {
        if is_lower(&from.text) != is_lower(&r#as.text) {
            let message = format!("`{}` and `{}` differ in case", from.text, r#as.text);
            findings.push(Diagnostic::warning("FromAsCasing", message).at(r#as.span, ""));
        }
    }
}

fn stage_names(dockerfile: &Dockerfile, findings: &mut Vec<Diagnostic>) {
    let names: Vec<_> = dockerfile.stages.iter().filter_map(|stage| stage.name.as_ref()).collect();
    for (index, name) in names.iter().enumerate() {
        let text = name.text.as_str();
        if text.contains(|c: char| c.is_ascii_uppercase()) {
            let message = format!("the stage name `{text}` is not in lower case");
            findings.push(Diagnostic::warning("StageNameCasing", message).at(name.span, ""));
        }
        if ["context", "scratch"].contains(&text.to_ascii_lowercase().as_str()) {
            let message = format!("`{text}` means something else where a stage is named");
            findings.push(Diagnostic::warning("ReservedStageName", message).at(name.span, ""));
        }
        if let Some(earlier) = names[..index].iter().find(|earlier| earlier.text.eq_ignore_ascii_case(text)) {
            let finding =
                Diagnostic::warning("DuplicateStageName", format!("two stages are called `{text}`"));
            findings.push(finding.at(name.span, "again here").at(earlier.span, "first here"));
        }
    }
}

/// Of several `CMD`s only the last one counts.
fn used_once(stage: &Stage, findings: &mut Vec<Diagnostic>) {
    for keyword in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let same: Vec<_> = stage.instructions.iter().filter(|own| own.kind.keyword() == keyword).collect();
        for pair in same.windows(2) {
            let message = format!("a later `{keyword}` of this stage makes this one ineffective");
            let finding = Diagnostic::warning("MultipleInstructionsDisallowed", message);
            findings.push(finding.at(pair[0].span, "").at(pair[1].span, "the later one"));
        }
    }
}

fn instruction_form(instruction: &Instruction, findings: &mut Vec<Diagnostic>) {
    match &instruction.kind {
        InstructionKind::Maintainer(name) => {
            let finding = Diagnostic::warning("MaintainerDeprecated", "`MAINTAINER` is out of use");
            let help = format!("write `LABEL org.opencontainers.image.authors=\"{name}\"`");
            findings.push(finding.at(instruction.span, "").help(help));
        }
        InstructionKind::Env(pairs) => {
            for pair in pairs.iter().filter(|pair| is_secret(&pair.key.text)) {
                findings.push(secret("ENV", &pair.key));
            }
        }
        InstructionKind::Arg(args) => {
            for arg in args.iter().filter(|arg| is_secret(&arg.name.text)) {
                findings.push(secret("ARG", &arg.name));
            }
        }
        InstructionKind::Expose(ports) => ports.iter().for_each(|port| findings.extend(exposed(port))),
        _ => {}
    }
}

/// Whether a name has a part that stands for something secret, and none that says the opposite.
fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "passwd",
        "password",
        "pword",
        "secret",
        "token",
    ];
    let name = name.to_ascii_lowercase();
    let mut parts = name.split('_');
    let is_public = parts.clone().any(|part| part == "public");
    !is_public && parts.any(|part| SECRET.contains(&part))
}

fn secret(keyword: &str, name: &Word) -> Diagnostic {
    let message = format!("`{keyword}` `{}` looks like a secret, and the image keeps it", name.text);
    Diagnostic::warning("SecretsUsedInArgOrEnv", message)
        .at(name.span, "")
        .help("use `RUN --mount=type=secret` where it is needed")
}

fn exposed(port: &Word) -> Option<Diagnostic> {
    if port.has_variables() {
        return None;
    }
    let (number, protocol) = port.text.split_once('/').unwrap_or((&port.text, ""));
    if number.contains(':') {
        let message = format!("`EXPOSE` names a container's port, nothing of the host: `{}`", port.text);
        return Some(Diagnostic::warning("ExposeInvalidFormat", message).at(port.span, ""));
    }
    protocol.contains(|c: char| c.is_ascii_uppercase()).then(|| {
        let message = format!("the protocol `{protocol}` is not in lower case");
        Diagnostic::warning("ExposeProtoCasing", message).at(port.span, "")
    })
}

/// `CMD` and `ENTRYPOINT` as lines for the shell, where no `SHELL` says that this is wanted.
fn shell_forms(dockerfile: &Dockerfile, findings: &mut Vec<Diagnostic>) {
    let mut chosen: Vec<bool> = Vec::new();
    for (index, stage) in dockerfile.stages.iter().enumerate() {
        let base = dockerfile.base_stage(index, &stage.from.text);
        let mut has_shell = base.is_some_and(|base| chosen[base]);
        has_shell |= stage.instructions.iter().any(|own| matches!(own.kind, InstructionKind::Shell(_)));
        chosen.push(has_shell);
        for instruction in stage.instructions.iter().filter(|_| !has_shell) {
            if let InstructionKind::Cmd(Command::Shell(_)) | InstructionKind::Entrypoint(Command::Shell(_)) =
                instruction.kind
            {
                let keyword = instruction.kind.keyword();
                let message = format!("`{keyword}` runs a shell, which does not pass signals on");
                let finding = Diagnostic::warning("JSONArgsRecommended", message).at(instruction.span, "");
                findings.push(finding.help(format!("write `{keyword} [\"program\", \"argument\"]`")));
            }
        }
    }
}
