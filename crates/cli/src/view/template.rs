//! What `--format` asks for, and rows through a template: as lines, or as a table with its header.

mod balance;
mod fault;
mod functions;
mod language;

pub(crate) use language::Template;

use crate::exit::Failure;
use serde_json::{Map, Value};

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

/// A row whose template may say `.ID` as well as `.Id`.
pub(crate) fn with_id(mut row: Map<String, Value>) -> Map<String, Value> {
    if let Some(id) = row.get("Id").cloned() {
        row.insert("ID".to_owned(), id);
    }
    row
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

/// What `inspect` commands show: one array of the objects, or each through a template.
///
/// # Errors
/// As [`Format::parse`], and what [`Template::render`] says.
pub(crate) fn inspected(
    format: &str,
    objects: Vec<(Map<String, Value>, &resource::Labels)>,
) -> Result<String, Failure> {
    match Format::parse(format)? {
        Format::Json | Format::Table => {
            let objects = objects.into_iter().map(|(object, _)| Value::Object(object)).collect();
            Ok(format!("{:#}\n", Value::Array(objects)))
        }
        Format::TableOf(template) | Format::Lines(template) => {
            let objects: Vec<_> =
                objects.into_iter().map(|(object, labels)| (with_id(object), labels)).collect();
            rows(&template, false, &objects)
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
    let header = template.header(&|field| title(field, titles));
    let header: Vec<&str> = header.split('\t').collect();
    let mut cells: Vec<Vec<String>> = vec![];
    for (row, labels) in rows {
        let text = template.render(row, labels)?;
        cells.extend(text.split('\n').map(|line| line.split('\t').map(str::to_owned).collect()));
    }
    let text = super::table::table(&header, &cells);
    Ok(if heading { text } else { super::table::without_header(&text).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Map<String, Value> {
        let value = serde_json::json!({
            "Name": "shop-web-1", "ExitCode": 0, "State": "running", "ID": "0123456789ab", "Labels": "a.b=c,d=e",
            "Publishers": [{ "URL": "0.0.0.0", "TargetPort": 80 }, { "URL": "::", "TargetPort": 81 }],
            "Map": { "a": "1", "b": "2" }, "List": ["a", "b"], "Nothing": null, "Empty": "", "Float": 1.5,
        });
        value.as_object().unwrap().clone()
    }

    fn labels() -> resource::Labels {
        [("a.b".to_owned(), "c".to_owned()), ("d".to_owned(), "e".to_owned())].into()
    }

    fn shown(template: &str) -> Result<String, String> {
        let template = Template::parse(template).map_err(|failure| failure.line())?;
        template.render(&row(), &labels()).map_err(|failure| failure.line())
    }

    /// What Go prints for each of these, with Docker's functions.
    #[test]
    fn templates_print_what_go_prints() {
        for (template, expected) in [
            ("{{.Name}}\\t{{ .ExitCode }}\\n", "shop-web-1\t0\n"),
            ("{{range .Publishers}}{{.URL}}:{{.TargetPort}} {{end}}", "0.0.0.0:80 :::81 "),
            ("{{range $i, $p := .Publishers}}{{if $i}}, {{end}}{{$p.TargetPort}}{{end}}", "80, 81"),
            ("{{range $key, $value := .Map}}{{$key}}={{$value}};{{end}}", "a=1;b=2;"),
            ("{{range .Empty | split \"a,b\"}}x{{else}}none{{end}}", "xxx"),
            ("{{if eq .State \"running\"}}up{{else}}down{{end}}", "up"),
            ("{{if eq .State \"exited\" \"running\"}}known{{end}}", "known"),
            ("{{if .Empty}}1{{else if .ExitCode}}2{{else if .Nothing}}3{{else}}4{{end}}", "4"),
            (
                "{{if and .Name (not .Empty) (ne .State \"exited\")}}yes{{end}} {{or .Empty \"none\"}}",
                "yes none",
            ),
            ("{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge .ExitCode 0}}", "true true false true"),
            (
                "{{join .List \",\"}} {{index .List 1}} {{len .List}} {{index (split .Labels \",\") 0}}",
                "a,b b 2 a.b=c",
            ),
            (
                "{{printf \"%-12s|%3d|%q|%v|%5.1f\" .Name .ExitCode .State .List .Float}}",
                "shop-web-1  |  0|\"running\"|[a b]|  1.5",
            ),
            ("{{.Name | upper | printf \"%s!\"}} {{title .State}}", "SHOP-WEB-1! Running"),
            ("{{truncate .ID 5}} [{{pad .State 1 2}}] {{slice .ID 1 3}}", "01234 [ running  ] 12"),
            ("{{print 1 2 \"x\"}}{{println .Name 3}}", "1 2xshop-web-1 3\n"),
            (
                "{{.Map}} {{.List}} {{.Nothing}} {{printf \"%v\" .Nothing}}",
                "map[a:1 b:2] [a b] <no value> <nil>",
            ),
            (
                "{{json .Map}} {{json .Name}} {{json .Nothing}}",
                "{\"a\":\"1\",\"b\":\"2\"} \"shop-web-1\" null",
            ),
            ("{{with .Map}}{{.a}}{{end}}{{with .Empty}}x{{else}}none{{end}}", "1none"),
            ("a  {{- .State -}}  b", "arunningb"),
            ("{{/* a comment */}}{{$x := .State}}{{$x = upper $x}}{{$x}}", "RUNNING"),
            ("{{.Label \"a.b\"}}|{{.Label \"x\"}}|{{$.Label \"d\" | upper}}", "c||E"),
            ("{{index .Labels \"a.b\"}}|{{index .Map \"a\"}}|{{index .Map \"x\"}}", "c|1|"),
            (
                "{{define \"port\"}}<{{.TargetPort}}>{{end}}{{range .Publishers}}{{template \"port\" .}}{{end}}",
                "<80><81>",
            ),
        ] {
            assert_eq!(shown(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_place_and_help() {
        for (template, caret, told) in [
            ("{{.Nmae}}", "{{.Nmae}}\n  |   ^^^^^", "`.Name`"),
            (
                "ä{{if .Name}} {{upper .Nmae}}{{end}}",
                "  |                       ^^^^^",
                "there is no field `.Nmae`",
            ),
            (
                "{{range .Publishers}}{{.Url}}{{end}}",
                "  |                        ^^^^",
                "the fields are TargetPort, URL",
            ),
            ("{{range .List}}{{$.Nope}}{{end}}", "  |                  ^^^^^^", "the fields are Empty"),
            (
                "{{if .Empty}}{{else}}{{.Map.c}}{{end}}",
                "  |                        ^^^^^^",
                "the fields are a, b",
            ),
            ("{{(index .Publishers 0).Uri}}", "  |   ^^^^^^", "the fields are TargetPort, URL"),
            ("{{range .Name}}{{end}}", "  |         ^^^^^", "`split`"),
            ("{{.State}} {{index .List 7}}", "  |              ^^^^^", "index out of range: 7"),
            ("{{upcase .Name}}", "  |   ^^^^^^", "functions are and, call"),
            ("{{uper .Name}}", "  |   ^^^^", "`upper`"),
            ("{{truncate .Name}}", "  |   ^^^^^^^^", "`truncate TEXT LENGTH`"),
            ("{{lt .Name 1}}", "  |   ^^", "incompatible types"),
            ("{{$x}}", "  |   ^^", "undefined variable: $x"),
            ("{{.Name", "^", "unclosed action"),
            ("ä{{if .Name}}x", "  |    ^^", "this `if` has no `end`"),
            ("{{.Name}}{{end}}", "  |            ^^^", "this `end` closes nothing"),
            ("ä{{.Name + 1}}", "  |          ^", "'+'"),
        ] {
            let text = shown(template).unwrap_err();
            assert!(text.contains("error[bad-template]") && text.contains(" --> --format:1:"), "{text}");
            assert!(text.contains(caret) && text.contains(told), "{template}:\n{text}");
        }
    }

    #[test]
    fn a_table_template_has_a_header() {
        let header = |text: &str, titles: &[(&str, &str)]| {
            Template::parse(text).unwrap().header(&|field| title(field, titles))
        };
        assert_eq!(header("{{.Name}}\\t{{.ExitCode}}", &[]), "NAME\tEXIT CODE");
        assert_eq!(header("{{.Label \"a.b-c_d\"}}\\t{{index .Labels \"x.y\"}}", &[]), "b c d\ty");
        assert_eq!(header("{{truncate .ID 3 | upper}}", &OF_CONTAINER), "CONTAINER ID");
        let branches =
            "{{if eq .State \"running\"}}up{{else}}down{{end}}\\t{{range .Publishers}}{{.URL}}{{end}}";
        assert_eq!(header(branches, &[]), "STATE\tPUBLISHERS");
        assert_eq!(header("{{$x := .Name}}{{$x}}\\t{{printf \"%d\" .ExitCode}}", &[]), "\tEXIT CODE");

        let template =
            Template::parse("{{.Name}}\\t{{range .Publishers}}{{.TargetPort}}\\n\\t{{end}}").unwrap();
        let text = rows(&template, true, &[(row(), &labels())]).unwrap();
        assert_eq!(text, "NAME         PUBLISHERS\nshop-web-1   80\n             81\n\n");
    }

    #[test]
    fn all_fields_as_json_are_known_as_such() {
        assert!(Template::parse("{{ json . }}").unwrap().is_json_of_all());
        assert!(!Template::parse("{{json .Name}}").unwrap().is_json_of_all());
        assert!(shown("{{json .}}").unwrap().contains("\"Name\":\"shop-web-1\""));
        assert_eq!(shown("{{/* nothing */}}").as_deref(), Ok(""));
    }
}
