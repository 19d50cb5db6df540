//! The part of Go's template language that people use with `--format`: `{{.Name}}`,
//! `{{json .}}`, `{{.Label "key"}}`, `{{upper .Name}}`, with `\t` and `\n`.

use crate::exit::Failure;
use serde_json::{Map, Value};

/// A template that has been read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Field { function: Option<Function>, path: Vec<String> },
    Label(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Json,
    Upper,
    Lower,
    Length,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A sentence that names the action this program does not know.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut pieces = vec![];
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut rest = text.as_str();
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                pieces.push(Piece::Text(rest[..start].to_owned()));
            }
            let end = rest[start..]
                .find("}}")
                .ok_or_else(|| Failure::new(format!("template `{text}`: `{{{{` without `}}}}`")))?;
            let action = rest[start + 2..start + end].trim().trim_matches('-').trim();
            pieces.push(Self::action(action)?);
            rest = &rest[start + end + 2..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    fn action(action: &str) -> Result<Piece, Failure> {
        let unknown = || {
            Failure::new(format!("the template action `{{{{{action}}}}}` is not understood"))
                .hint("known are {{.Field}}, {{json .}}, {{upper .Field}}, {{lower .Field}}, {{len .Field}} and {{.Label \"key\"}}")
        };
        let (head, argument) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
        let argument = argument.trim();
        if head == ".Label" {
            let key = argument.trim_matches(['"', '`']);
            return if key.is_empty() { Err(unknown()) } else { Ok(Piece::Label(key.to_owned())) };
        }
        let (function, field) = match head {
            "json" => (Some(Function::Json), argument),
            "upper" => (Some(Function::Upper), argument),
            "lower" => (Some(Function::Lower), argument),
            "len" => (Some(Function::Length), argument),
            _ if argument.is_empty() => (None, head),
            _ => return Err(unknown()),
        };
        let path = field.strip_prefix('.').ok_or_else(unknown)?;
        let path: Vec<String> = path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let plain = |part: &String| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if path.iter().all(plain) { Ok(Piece::Field { function, path }) } else { Err(unknown()) }
    }

    /// Whether it is `{{json .}}` and nothing else.
    pub(crate) fn is_json_of_all(&self) -> bool {
        matches!(&self.pieces[..], [Piece::Field { function: Some(Function::Json), path }] if path.is_empty())
    }

    /// The text for one row.
    ///
    /// # Errors
    /// A sentence that names the field this row does not have.
    pub(crate) fn render(
        &self,
        row: &Map<String, Value>,
        labels: &resource::Labels,
    ) -> Result<String, Failure> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Label(key) => text.push_str(labels.get(key).map_or("", String::as_str)),
                Piece::Field { function, path } => text.push_str(&field(row, path, *function)?),
            }
        }
        Ok(text)
    }

    /// The header of a `table` template: the fields' names in capitals, or their own titles.
    fn header(&self, titles: &[(&str, &str)]) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                // The last part of its name, as words.
                Piece::Label(key) => {
                    let last = key.rsplit('.').next().unwrap_or(key);
                    text.push_str(&last.replace(['-', '_'], " "));
                }
                Piece::Field { path, .. } => {
                    text.push_str(&title(path.last().map_or("", String::as_str), titles))
                }
            }
        }
        text
    }
}

/// What `raw` means for containers, as Docker has it.
pub(crate) const RAW_CONTAINER: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\n\
    created_at: {{.CreatedAt}}\nstatus: {{.Status}}\nnames: {{.Names}}\nlabels: {{.Labels}}\nports: {{.Ports}}\n";

/// What `raw` means for volumes, as Docker has it.
pub(crate) const RAW_VOLUME: &str = "name: {{.Name}}\ndriver: {{.Driver}}\n";

/// Titles of a container's fields that are not their names.
const OF_CONTAINER: [(&str, &str); 2] = [("ID", "CONTAINER ID"), ("RunningFor", "CREATED")];

/// `RunningFor` becomes `RUNNING FOR`, unless there is another title for it.
pub(crate) fn title(field: &str, titles: &[(&str, &str)]) -> String {
    if let Some((_, title)) = titles.iter().find(|(known, _)| *known == field) {
        return (*title).to_owned();
    }
    let mut text = String::new();
    for (at, letter) in field.char_indices() {
        if at > 0 && letter.is_uppercase() {
            text.push(' ');
        }
        text.extend(letter.to_uppercase());
    }
    text
}

fn field(row: &Map<String, Value>, path: &[String], function: Option<Function>) -> Result<String, Failure> {
    let whole = Value::Object(row.clone());
    let mut value = &whole;
    for part in path {
        value = value.get(part).ok_or_else(|| {
            let known = row.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Failure::new(format!("the template names `.{part}`, which is not there"))
                .hint(format!("known fields: {known}"))
        })?;
    }
    let plain = plain(value);
    Ok(match function {
        None => plain,
        Some(Function::Json) => value.to_string(),
        Some(Function::Upper) => plain.to_uppercase(),
        Some(Function::Lower) => plain.to_lowercase(),
        Some(Function::Length) => match value {
            Value::Array(items) => items.len().to_string(),
            Value::Object(items) => items.len().to_string(),
            _ => plain.len().to_string(),
        },
    })
}

/// A value as a cell shows it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What `--format` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// The command's own table.
    Table,
    /// JSON.
    Json,
    /// A table with the columns of this template.
    TableOf(Template),
    /// One line a row.
    Lines(Template),
}

impl Format {
    /// The same, with `raw` for this template.
    ///
    /// # Errors
    /// As [`Format::parse`].
    pub(crate) fn parse_or_raw(text: &str, raw: &str) -> Result<Self, Failure> {
        if text.trim() == "raw" { Template::parse(raw).map(Self::Lines) } else { Self::parse(text) }
    }

    /// Reads `table`, `table TEMPLATE`, `json` or a template.
    ///
    /// # Errors
    /// What [`Template::parse`] says, or that the word is not a format.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        match text.trim() {
            "" | "table" | "pretty" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            other => match other.strip_prefix("table ") {
                Some(template) => Template::parse(template.trim()).map(Self::TableOf),
                None if other.contains("{{") => Template::parse(other).map(Self::Lines),
                None => Err(Failure::new(format!("`{other}` is not a format"))
                    .hint("use `table`, `json`, or a template such as `{{.Name}}`")),
            },
        }
    }
}

/// Rows of containers through a template: a table with its header, or lines.
///
/// # Errors
/// What [`Template::render`] says.
pub(crate) fn rows(
    template: &Template,
    as_table: bool,
    rows: &[(Map<String, Value>, &resource::Labels)],
) -> Result<String, Failure> {
    if as_table {
        return titled(template, &OF_CONTAINER, true, rows);
    }
    rows.iter().map(|(row, labels)| Ok(template.render(row, labels)? + "\n")).collect()
}

/// Rows through a template as a table, whose fields have these titles.
///
/// # Errors
/// What [`Template::render`] says.
pub(crate) fn titled(
    template: &Template,
    titles: &[(&str, &str)],
    heading: bool,
    rows: &[(Map<String, Value>, &resource::Labels)],
) -> Result<String, Failure> {
    let header = template.header(titles);
    let header: Vec<&str> = header.split('\t').collect();
    let cells = |(row, labels): &(Map<String, Value>, &resource::Labels)| {
        Ok(template.render(row, labels)?.split('\t').map(str::to_owned).collect())
    };
    let cells: Result<Vec<Vec<String>>, Failure> = rows.iter().map(cells).collect();
    let text = super::table::table(&header, &cells?);
    Ok(if heading { text } else { super::table::without_header(&text).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Map<String, Value> {
        let value = serde_json::json!({ "Name": "shop-web-1", "ExitCode": 0, "Publishers": [1, 2] });
        value.as_object().unwrap().clone()
    }

    fn shown(template: &str) -> Result<String, String> {
        let labels = resource::Labels::from([("a.b".to_owned(), "c".to_owned())]);
        let template = Template::parse(template).map_err(|failure| failure.line())?;
        template.render(&row(), &labels).map_err(|failure| failure.line())
    }

    #[test]
    fn fields_labels_and_functions_are_filled_in() {
        assert_eq!(shown("{{.Name}}\\t{{ .ExitCode }}").unwrap(), "shop-web-1\t0");
        assert_eq!(shown("{{upper .Name}} {{len .Publishers}}").unwrap(), "SHOP-WEB-1 2");
        assert_eq!(shown("{{.Label \"a.b\"}}|{{.Label \"x\"}}").unwrap(), "c|");
        assert_eq!(shown("{{json .Publishers}}").unwrap(), "[1,2]");
        assert!(shown("{{json .}}").unwrap().contains("\"Name\":\"shop-web-1\""));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(shown("{{range .Names}}").unwrap_err().contains("range"));
        assert!(shown("{{.Nmae}}").unwrap_err().contains(".Nmae"));
        assert!(shown("{{.Name").unwrap_err().contains("without"));
    }

    #[test]
    fn a_table_template_has_a_header() {
        let template = Template::parse("{{.Name}}\\t{{.ExitCode}}").unwrap();
        let labels = resource::Labels::new();
        let text = rows(&template, true, &[(row(), &labels)]).unwrap();
        assert_eq!(text, "NAME         EXIT CODE\nshop-web-1   0\n");
        let template = Template::parse("{{.Label \"a.b-c_d\"}}").unwrap();
        assert_eq!(rows(&template, true, &[]).unwrap(), "b c d\n");
    }
}
