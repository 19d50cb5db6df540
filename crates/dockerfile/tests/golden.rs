//! Every folder of `cases` holds a `Dockerfile` and what is read from it: `expect.txt`, with the stages and the
//! findings of the build checks, or with the diagnostics. A `.dockerignore` beside it is used for the checks.
//! `BLESS=1` rewrites; read that diff as code.
#![expect(clippy::disallowed_methods, reason = "a test reads its cases and says so")]

use diagnostic::{Sources, Span, render};
use dockerfile::*;
use resource::Platform;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Prints what was read, variables replaced as in a build with `GIVEN=given` on another platform.
struct Printer<'a> {
    sources: &'a Sources,
    out: String,
}

impl Printer<'_> {
    fn line(&mut self, span: Span, text: std::fmt::Arguments<'_>) {
        let (line, column) = self.sources.line_and_column(span).expect("places are in the text");
        writeln!(self.out, "{line}:{column} {text}").expect("a text takes everything");
    }

    fn file(
        &mut self,
        dockerfile: &Dockerfile,
        given: &Given<'_>,
    ) -> Result<(), Vec<diagnostic::Diagnostic>> {
        let Directives { syntax, escape, .. } = &dockerfile.directives;
        if let Some(syntax) = syntax {
            self.line(syntax.span, format_args!("syntax {}", syntax.text));
        }
        if *escape != '\\' {
            writeln!(self.out, "escape {escape}").expect("a text takes everything");
        }
        let global = GlobalScope::new(dockerfile, given)?;
        for arg in &dockerfile.global_args {
            let value = global.value(&arg.name.text);
            self.line(arg.name.span, format_args!("ARG {} = {value:?} {:?}", arg.name.text, arg.description));
        }
        let mut ends: Vec<StageScope> = Vec::new();
        for (index, stage) in dockerfile.stages.iter().enumerate() {
            let from = expand(&stage.from, &global).map_err(|fault| vec![fault])?;
            let base = dockerfile.base_stage(index, &from);
            let name = stage.name.as_ref().map_or("", |name| &name.text);
            let platform = stage.platform.as_ref().map(|word| expand(word, &global).expect("it expands"));
            self.line(
                stage.span,
                format_args!("stage {index} {name:?} from {from:?} ({base:?}) {platform:?}"),
            );
            if let Some(description) = &stage.description {
                writeln!(self.out, "    is {description:?}").expect("a text takes everything");
            }
            let mut scope = base.map_or_else(|| global.stage([("BASE", "base")]), |base| ends[base].clone());
            for instruction in &stage.instructions {
                self.instruction(instruction, &mut scope, &global).map_err(|fault| vec![fault])?;
            }
            ends.push(scope);
        }
        Ok(())
    }

    fn instruction(
        &mut self,
        instruction: &Instruction,
        scope: &mut StageScope,
        global: &GlobalScope,
    ) -> Result<(), diagnostic::Diagnostic> {
        let keyword = instruction.kind.keyword();
        let what = match &instruction.kind {
            InstructionKind::Arg(args) => {
                args.iter().try_for_each(|arg| scope.declare(arg, global))?;
                let values = args.iter().map(|arg| (arg.name.text.as_str(), scope.value(&arg.name.text)));
                format!("{:?}", values.collect::<Vec<_>>())
            }
            InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => {
                let expanded = |pair: &Pair| Ok((expand(&pair.key, scope)?, expand(&pair.value, scope)?));
                let pairs = pairs.iter().map(expanded).collect::<Result<Vec<_>, _>>()?;
                if keyword == "ENV" {
                    pairs.iter().cloned().for_each(|(key, value)| scope.set_env(key, value));
                }
                format!("{pairs:?}")
            }
            InstructionKind::Expose(words) => {
                let lists =
                    words.iter().map(|word| expand_list(word, scope)).collect::<Result<Vec<_>, _>>()?;
                format!("{lists:?}")
            }
            InstructionKind::Volume(words) => format!("{:?}", all(words, scope)?),
            InstructionKind::StopSignal(word)
            | InstructionKind::User(word)
            | InstructionKind::Workdir(word) => {
                format!("{:?}", expand(word, scope)?)
            }
            InstructionKind::Cmd(command) | InstructionKind::Entrypoint(command) => format!("{command:?}"),
            InstructionKind::Shell(shell) => format!("{shell:?}"),
            InstructionKind::Maintainer(name) => format!("{name:?}"),
            InstructionKind::Healthcheck(check) => format!("{check:?}"),
            InstructionKind::Onbuild(onbuild) => {
                self.line(instruction.span, format_args!("ONBUILD {:?}", onbuild.trigger));
                return self.instruction(&onbuild.instruction, &mut scope.clone(), global);
            }
            InstructionKind::Run(run) => {
                let mounts: Result<Vec<_>, _> = run.mounts.iter().map(|mount| mount.expand(scope)).collect();
                let environment: Vec<_> =
                    scope.environment().map(|(name, value)| format!("{name}={value}")).collect();
                format!(
                    "{:?} {:?} {:?} {:?}\n    {environment:?}",
                    run.command, mounts?, run.network, run.security
                )
            }
            InstructionKind::Copy(copy) => {
                let from = copy.from.as_ref().map(|word| &word.text);
                format!("{} from {from:?} parents {}", transfer(&copy.transfer, scope)?, copy.parents)
            }
            InstructionKind::Add(add) => {
                let checksum = all(add.checksum.as_slice(), scope)?;
                let transfer = transfer(&add.transfer, scope)?;
                format!("{transfer} checksum {checksum:?} git {} unpack {:?}", add.keep_git_dir, add.unpack)
            }
        };
        self.line(instruction.span, format_args!("{keyword} {what}"));
        Ok(())
    }
}

fn all(words: &[Word], scope: &StageScope) -> Result<Vec<String>, diagnostic::Diagnostic> {
    words.iter().map(|word| expand(word, scope)).collect()
}

fn transfer(transfer: &Transfer, scope: &StageScope) -> Result<String, diagnostic::Diagnostic> {
    let source = |source: &TransferSource| match source {
        TransferSource::Path(path) => expand(path, scope),
        TransferSource::Inline(inline) => Ok(format!("<<{} {}", inline.name, expand_inline(inline, scope)?)),
    };
    let sources = transfer.sources.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    let to = expand(&transfer.destination, scope)?;
    let (owner, mode) = (all(transfer.chown.as_slice(), scope)?, all(transfer.chmod.as_slice(), scope)?);
    let exclude = all(&transfer.exclude, scope)?;
    Ok(format!("{sources:?} -> {to:?} {owner:?} {mode:?} link {} exclude {exclude:?}", transfer.link))
}

fn case(path: &Path) -> datatest_stable::Result<()> {
    let folder = path.parent().ok_or("a case is in a folder")?;
    let text = std::fs::read_to_string(path)?;
    let mut sources = Sources::new();
    let file = sources.add("Dockerfile", text.as_str());
    let build_args: BTreeMap<String, String> =
        [("GIVEN", "given"), ("HTTP_PROXY", "proxy")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let (build, target) =
        (Platform::parse("linux/amd64").ok_or("")?, Platform::parse("linux/arm/v7").ok_or("")?);
    let given = Given { build_args: &build_args, build: &build, target: &target, target_stage: "default" };
    let ignore = std::fs::read_to_string(folder.join(".dockerignore")).ok();
    let ignore = ignore.map(|text| {
        let file = sources.add(".dockerignore", text.as_str());
        Ignore::parse(file, &text).expect("the patterns are right")
    });
    let environment = vec![("ALPINE".to_owned(), "1".to_owned())];
    let bases = [("alpine".to_owned(), BaseImage { environment, ..BaseImage::default() })].into();
    let mut printer = Printer { sources: &sources, out: String::new() };
    let read =
        parse(file, &text).and_then(|dockerfile| printer.file(&dockerfile, &given).map(|()| dockerfile));
    let actual = match read {
        Err(faults) => render(&sources, &faults, false),
        Ok(dockerfile) => {
            let around = Surroundings { given: &given, ignore: ignore.as_ref(), bases: &bases };
            let findings = render(&sources, &lint(&dockerfile, &around), false);
            if findings.is_empty() { printer.out } else { format!("{}\n{findings}", printer.out) }
        }
    };
    let expected = folder.join("expect.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&expected, &actual)?;
    }
    let expected = std::fs::read_to_string(&expected)?;
    if actual == expected {
        Ok(())
    } else {
        Err(format!("--- expected\n{expected}\n--- actual\n{actual}").into())
    }
}

datatest_stable::harness! { { test = case, root = "tests/cases", pattern = r"Dockerfile$" } }
