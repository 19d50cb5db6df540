//! Text to stages: directives, comments, joined lines, heredocs, and which instruction belongs to which stage.

use diagnostic::{Diagnostic, FileId, Span, has_errors};

use crate::directive;
use crate::flag::{Flags, Takes};
use crate::heredoc::{Heredoc, Opening};
use crate::instruction::{self, Findings, Parts, declarations};
use crate::line::{Line, Physical, Piece, continued, physical};
use crate::tree::{
    ArgDeclaration, Description, Directives, Dockerfile, Instruction, InstructionKind, Stage, Word,
};

/// Reads a Dockerfile. `file` is the text's id in the register that its diagnostics are drawn with.
///
/// # Errors
/// Everything that is wrong, in the order of the file.
pub fn parse(file: FileId, text: &str) -> Result<Dockerfile, Vec<Diagnostic>> {
    let mut found = Findings::default();
    let lines = physical(text);
    let (directives, at) = directive::read(file, &lines, &mut found.faults);
    let mut reader = Reader { file, text, lines, at, escape: directives.escape, comments: Vec::new(), found };
    reader.read(directives)
}

/// Reads what an image's `ONBUILD` kept: one instruction, heredocs included.
///
/// # Errors
/// Everything that is wrong with it.
pub fn trigger(file: FileId, text: &str) -> Result<Instruction, Vec<Diagnostic>> {
    let found = Findings::default();
    let mut reader =
        Reader { file, text, lines: physical(text), at: 0, escape: '\\', comments: Vec::new(), found };
    let mut instructions = Vec::new();
    while let Some(line) = reader.next_line() {
        instructions.extend(reader.instruction(Parts::of(line.piece())));
    }
    let mut faults = reader.found.faults;
    match <[Instruction; 1]>::try_from(instructions) {
        Ok([instruction]) if faults.is_empty() => match instruction.kind {
            InstructionKind::Onbuild(_) | InstructionKind::Maintainer(_) => {
                let message = format!("`{}` cannot be put off by `ONBUILD`", instruction.kind.keyword());
                Err(vec![Diagnostic::error("misplaced-instruction", message).at(instruction.span, "")])
            }
            _ => Ok(instruction),
        },
        _ => {
            if faults.is_empty() {
                let message = "a trigger of the base image is not one instruction";
                faults.push(Diagnostic::error("bad-trigger", message).at(Span::new(file, 0, text.len()), ""));
            }
            Err(faults)
        }
    }
}

struct Reader<'t> {
    file: FileId,
    text: &'t str,
    lines: Vec<Physical<'t>>,
    /// The next line.
    at: usize,
    escape: char,
    /// The comments directly above the line that is read.
    comments: Vec<Word>,
    found: Findings,
}

impl<'t> Reader<'t> {
    fn read(&mut self, directives: Directives) -> Result<Dockerfile, Vec<Diagnostic>> {
        let mut global_args: Vec<ArgDeclaration> = Vec::new();
        let mut stages: Vec<Stage> = Vec::new();
        // A broken `FROM` is said once, not again for everything below it.
        let mut broken_from = false;
        while let Some(line) = self.next_line() {
            let parts = Parts::of(line.piece());
            self.found.form.keywords.push(parts.written.word());
            match parts.keyword.as_str() {
                "FROM" => {
                    let stage = self.from(parts);
                    broken_from |= stage.is_none();
                    stages.extend(stage);
                }
                "ARG" if stages.is_empty() => global_args.extend(self.global(&parts)),
                keyword => {
                    let (known, written) = (instruction::KEYWORDS.contains(&keyword), parts.written.span());
                    let instruction = self.instruction(parts);
                    match stages.last_mut() {
                        Some(stage) => stage.instructions.extend(instruction),
                        None if broken_from || !known => {}
                        None => self.found.faults.push(outside(written)),
                    }
                }
            }
        }
        if stages.is_empty() && !has_errors(&self.found.faults) {
            let message = "the Dockerfile has no `FROM`, so there is nothing to build";
            let fault = Diagnostic::error("no-stage", message).at(Span::new(self.file, 0, 0), "");
            self.found.faults.push(fault.help("begin with `FROM IMAGE`, or `FROM scratch`"));
        }
        let Findings { mut faults, mut form } = std::mem::take(&mut self.found);
        if has_errors(&faults) {
            faults.sort_by_key(|fault| fault.span().start);
            return Err(faults);
        }
        form.warnings = faults;
        Ok(Dockerfile { directives, global_args, stages, form })
    }

    /// The next instruction's lines, joined. Comments and blank lines before and inside are left out.
    fn next_line(&mut self) -> Option<Line> {
        self.comments.clear();
        let first = loop {
            let line = *self.lines.get(self.at)?;
            self.at += 1;
            if line.is_comment() {
                self.comment(line);
            } else if line.is_blank() {
                self.comments.clear();
            } else {
                break line;
            }
        };
        let mut joined = Line::new(self.file, self.escape);
        let indent = first.text.len() - first.text.trim_start().len();
        let mut open = self.join(&mut joined, &first.text[indent..], first.start + indent);
        let mut hole: Option<Span> = None;
        while let Some(line) = self.lines.get(self.at).copied().filter(|_| open) {
            self.at += 1;
            if line.is_comment() {
                continue;
            }
            if line.is_blank() {
                let here = Span::new(self.file, line.start, line.end());
                hole = Some(hole.map_or(here, |first| Span { end: here.end, ..first }));
                continue;
            }
            open = self.join(&mut joined, line.text, line.start);
            self.found.form.empty_continuations.extend(hole.take());
        }
        // At the end of the file blank lines continue nothing.
        if joined.piece().is_empty() { self.next_line() } else { Some(joined) }
    }

    /// Adds a line; says whether it goes on.
    fn join(&self, joined: &mut Line, text: &str, start: usize) -> bool {
        let before = continued(text, self.escape);
        joined.push(before.unwrap_or(text), start);
        before.is_some()
    }

    fn comment(&mut self, line: Physical<'_>) {
        let hash = line.text.len() - line.text.trim_start().len();
        let text = line.text[hash..].trim_start_matches('#').trim().to_owned();
        let span = Span::new(self.file, line.start + hash, line.start + line.text.trim_end().len());
        if text.is_empty() {
            self.comments.clear();
        } else {
            self.comments.push(Word { text, span, escape: self.escape });
        }
    }

    /// The description of `name` in the comments above, where they are one.
    fn description(&mut self, what: &'static str, name: &Word) -> Option<String> {
        let text = self.comments.iter().map(|comment| comment.text.as_str()).collect::<Vec<_>>().join("\n");
        let last = self.comments.last()?;
        let described = text
            .get(..name.text.len())
            .filter(|begin| begin.eq_ignore_ascii_case(&name.text))
            .map(|_| &text[name.text.len()..])
            .filter(|rest| rest.starts_with(char::is_whitespace));
        if let Some(rest) = described {
            return Some(rest.trim().to_owned());
        }
        let (span, text) = (last.span, text.clone());
        self.found.form.descriptions.push(Description { span, text, name: name.text.clone(), what });
        None
    }

    fn instruction(&mut self, parts: Parts<'_>) -> Option<Instruction> {
        let openings = parts.openings();
        let heredocs = self.heredocs(openings, parts.whole)?;
        let mut instruction = instruction::read(parts, heredocs, &mut self.found)?;
        if let InstructionKind::Arg(args) = &mut instruction.kind {
            self.describe(args);
        }
        Some(instruction)
    }

    fn describe(&mut self, args: &mut [ArgDeclaration]) {
        if let [arg] = args {
            arg.description = self.description("ARG", &arg.name.clone());
        }
    }

    fn global(&mut self, parts: &Parts<'_>) -> Vec<ArgDeclaration> {
        let taken = std::mem::take(&mut self.comments);
        let mut args = match declarations(parts.arguments) {
            Ok(args) if !args.is_empty() => args,
            Ok(_) => {
                let fault = Diagnostic::error("missing-arguments", "`ARG` needs a name");
                self.found.faults.push(fault.at(parts.written.span(), ""));
                Vec::new()
            }
            Err(fault) => {
                self.found.faults.push(fault);
                Vec::new()
            }
        };
        self.comments = taken;
        self.describe(&mut args);
        args
    }

    /// Reads the texts of heredocs below an instruction.
    fn heredocs(&mut self, openings: Vec<Opening>, whole: Piece<'_>) -> Option<Vec<Heredoc>> {
        let mut heredocs = Vec::new();
        for opening in openings {
            let first = self.at;
            let ends = |line: &Physical<'_>| {
                let text = if opening.chomps { line.text.trim_start_matches('\t') } else { line.text };
                text == opening.name
            };
            let Some(length) = self.lines[first..].iter().position(ends) else {
                let message = format!("the heredoc `{}` does not end", opening.name);
                let help = format!("a line with nothing but `{}` ends it", opening.name);
                self.found
                    .faults
                    .push(Diagnostic::error("unclosed-heredoc", message).at(whole.span(), "").help(help));
                self.at = self.lines.len();
                return None;
            };
            let (start, end) = (self.lines[first].start, self.lines[first + length]);
            self.at = first + length + 1;
            let raw = self.text[start..end.start].replace("\r\n", "\n");
            heredocs.push(Heredoc { opening, raw, span: Span::new(self.file, start, end.end()) });
        }
        Some(heredocs)
    }

    /// `FROM [--platform=…] IMAGE [AS NAME]`.
    fn from(&mut self, parts: Parts<'_>) -> Option<Stage> {
        let flags = Flags::check("FROM", parts.flags, &[("platform", Takes::Value)], &mut self.found.faults);
        let words = parts.arguments.split_whitespace();
        let (from, name) = match words.as_slice() {
            [from] => (from.word(), None),
            [from, keyword, name] if keyword.text().eq_ignore_ascii_case("as") => {
                self.found.form.as_keywords.push((parts.written.word(), keyword.word()));
                (from.word(), Some(name.word()))
            }
            _ => {
                let span = words.get(1).map_or(parts.whole.span(), |extra| extra.span());
                let fault = Diagnostic::error("bad-from", "`FROM` names one image").at(span, "");
                self.found.faults.push(fault.help("write `FROM IMAGE`, or `FROM IMAGE AS NAME`"));
                return None;
            }
        };
        if let Some(name) = name.as_ref().filter(|name| !is_stage_name(&name.text)) {
            let message = format!("`{}` cannot be the name of a stage", name.text);
            let fault = Diagnostic::error("bad-stage-name", message).at(name.span, "");
            let help = "a name begins with a letter and has letters, digits, `_`, `-` and `.`";
            self.found.faults.push(fault.help(help));
        }
        let description = name.as_ref().and_then(|name| self.description("stage", name));
        Some(Stage {
            span: parts.whole.span(),
            original: parts.whole.text().to_owned(),
            from,
            name,
            platform: flags.value("platform"),
            description,
            instructions: Vec::new(),
        })
    }
}

fn outside(span: Span) -> Diagnostic {
    Diagnostic::error("outside-stage", "only `ARG` may stand before the first `FROM`")
        .at(span, "")
        .help("move it below a `FROM`")
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}
