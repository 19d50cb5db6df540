//! `COPY` and `ADD`.

use diagnostic::Diagnostic;

use crate::arguments::{Listed, listed, words};
use crate::flag::{Flag, Flags, Takes};
use crate::heredoc::{self, Heredoc};
use crate::line::Piece;
use crate::tree::{Add, Copy, Inline, InstructionKind, Transfer, TransferSource, Word};

const COPY_FLAGS: [(&str, Takes); 6] = [
    ("from", Takes::Value),
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("link", Takes::Truth),
    ("parents", Takes::Truth),
    ("exclude", Takes::Values),
];

const ADD_FLAGS: [(&str, Takes); 7] = [
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("link", Takes::Truth),
    ("exclude", Takes::Values),
    ("checksum", Takes::Value),
    ("keep-git-dir", Takes::Truth),
    ("unpack", Takes::Truth),
];

pub(crate) fn copy(
    flags: Vec<Flag>,
    rest: Piece<'_>,
    heredocs: Vec<Heredoc>,
    faults: &mut Vec<Diagnostic>,
) -> Result<InstructionKind, Diagnostic> {
    let flags = Flags::check("COPY", flags, &COPY_FLAGS, faults);
    let from = flags.value("from");
    if let Some(from) = from.as_ref().filter(|from| from.has_variables()) {
        faults.push(
            Diagnostic::error("variable-in-from", "`--from` cannot have variables")
                .at(from.span, "")
                .help("give the image a stage of its own: `FROM $IMAGE AS name`, and `--from=name` here"),
        );
    }
    let transfer = transfer("COPY", &flags, rest, heredocs)?;
    let inline = transfer.sources.iter().any(|source| matches!(source, TransferSource::Inline(_)));
    if let Some(from) = from.as_ref().filter(|_| inline) {
        faults.push(
            Diagnostic::error("heredoc-with-from", "a heredoc comes from this file, not from `--from`")
                .at(from.span, ""),
        );
    }
    let parents = flags.truth("parents").unwrap_or(false);
    Ok(InstructionKind::Copy(Copy { transfer, from, parents }))
}

pub(crate) fn add(
    flags: Vec<Flag>,
    rest: Piece<'_>,
    heredocs: Vec<Heredoc>,
    faults: &mut Vec<Diagnostic>,
) -> Result<InstructionKind, Diagnostic> {
    let flags = Flags::check("ADD", flags, &ADD_FLAGS, faults);
    let transfer = transfer("ADD", &flags, rest, heredocs)?;
    Ok(InstructionKind::Add(Add {
        transfer,
        checksum: flags.value("checksum"),
        keep_git_dir: flags.truth("keep-git-dir").unwrap_or(false),
        unpack: flags.truth("unpack"),
    }))
}

fn transfer(
    keyword: &str,
    flags: &Flags,
    rest: Piece<'_>,
    heredocs: Vec<Heredoc>,
) -> Result<Transfer, Diagnostic> {
    let is_json = matches!(listed(rest)?, Listed::Json(_));
    let mut words = words(rest)?;
    let Some(destination) = words.pop().filter(|_| !words.is_empty()) else {
        return Err(Diagnostic::error(
            "missing-arguments",
            format!("`{keyword}` needs a source and a destination"),
        )
        .at(rest.span(), "")
        .help(format!("write `{keyword} SOURCE… DESTINATION`")));
    };
    if !is_json && heredoc::opening(&destination.text).is_some() {
        return Err(Diagnostic::error("heredoc-as-destination", "a heredoc cannot be the destination")
            .at(destination.span, "")
            .help(format!("write `{keyword} {} PATH`", destination.text)));
    }
    let mut heredocs = heredocs.into_iter();
    let sources = words
        .into_iter()
        .map(|word| match heredoc::opening(&word.text).filter(|_| !is_json).and_then(|_| heredocs.next()) {
            Some(heredoc) => TransferSource::Inline(inline(heredoc, &word)),
            None => TransferSource::Path(word),
        })
        .collect();
    Ok(Transfer {
        sources,
        destination,
        chown: flags.value("chown"),
        chmod: flags.value("chmod"),
        link: flags.truth("link").unwrap_or(false),
        exclude: flags.values("exclude"),
    })
}

fn inline(heredoc: Heredoc, word: &Word) -> Inline {
    Inline {
        content: Word { text: heredoc.content(), span: heredoc.span, escape: word.escape },
        name: heredoc.opening.name,
        expands: heredoc.opening.expands,
    }
}
