//! Diagnostics for editors: one JSON document.
//!
//! `{"version": 1, "diagnostics": [{severity, code, message, place, related, notes, help}]}`. A place is
//! `{file, start, end, text}`, its ends `{line, column, offset}`: line and column from 1, the column in
//! characters, the offset in bytes from 0; `end` is exclusive. `place` is null where there is none.

use crate::exit::Failure;
use compose_spec::Loaded;
use diagnostic::{Diagnostic, Label, Severity, Sources, Span};
use serde_json::{Value, json};

/// The document for what was found in loading.
pub(crate) fn document(loaded: &Loaded) -> String {
    entries(&loaded.sources, &loaded.diagnostics)
}

/// The document for a failure before anything was loaded.
pub(crate) fn failed(failure: &Failure) -> String {
    if let Failure::Diagnosed(told, _) = failure {
        return entries(&told.0, &told.1);
    }
    written(vec![json!({
        "severity": "error", "code": "not-loaded", "message": failure.line().trim_end(),
        "place": null, "related": [], "notes": [], "help": [],
    })])
}

fn entries(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    written(diagnostics.iter().map(|diagnostic| entry(sources, diagnostic)).collect())
}

fn written(diagnostics: Vec<Value>) -> String {
    format!("{:#}\n", json!({ "version": 1, "diagnostics": diagnostics }))
}

fn entry(sources: &Sources, diagnostic: &Diagnostic) -> Value {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut places = diagnostic.labels.iter().map(|label| place(sources, label));
    json!({
        "severity": severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "place": places.next(),
        "related": places.collect::<Vec<_>>(),
        "notes": diagnostic.notes,
        "help": diagnostic.help,
    })
}

fn place(sources: &Sources, label: &Label) -> Value {
    let span = label.span;
    json!({
        "file": sources.name(span.file),
        "start": end(sources, span, span.start),
        "end": end(sources, span, span.end),
        "text": label.text,
    })
}

fn end(sources: &Sources, span: Span, offset: u32) -> Value {
    let at = Span { start: offset, end: offset, ..span };
    let (line, column) = sources.line_and_column(at).unwrap_or((1, 1));
    json!({ "line": line, "column": column, "offset": offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_places_notes_and_help() {
        let mut sources = Sources::new();
        let file = sources.add("compose.yaml", "é: 1\nb: 2\n");
        let diagnostic = Diagnostic::warning("example", "two \u{1b}places")
            .at(Span::new(file, 6, 7), "here")
            .at(Span::new(file, 0, 2), "and here")
            .note("a note")
            .help("do this");
        let loaded = Loaded { project: None, diagnostics: vec![diagnostic], sources, trace: None };
        let text = document(&loaded);
        assert!(!text.contains('\u{1b}'), "{text}");
        let document: Value = serde_json::from_str(&text).unwrap();
        let entry = &document["diagnostics"][0];
        assert_eq!((&entry["severity"], &entry["code"]), (&json!("warning"), &json!("example")));
        assert_eq!(entry["place"]["start"], json!({ "line": 2, "column": 1, "offset": 6 }));
        assert_eq!(entry["place"]["end"], json!({ "line": 2, "column": 2, "offset": 7 }));
        assert_eq!(entry["related"][0]["text"], json!("and here"));
        assert_eq!(entry["help"], json!(["do this"]));
    }
}
