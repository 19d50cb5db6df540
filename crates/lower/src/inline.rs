//! Where a Dockerfile that is written in the Compose file stands there, so that what is wrong with it is shown there.

use diagnostic::{Sources, Span};

/// The file that has `text` at `span`, and the line and column where it begins, every line of it in that column.
/// `None` where it is not written as it is read: folded, in quotes with escapes, in an order of lines of its own.
pub(crate) fn place(text: &str, span: Span, sources: &Sources) -> Option<(String, usize, usize)> {
    let file = sources.text(span.file);
    let above = file.get(..span.start as usize)?.matches('\n').count();
    let written: Vec<&str> = file.lines().skip(above).collect();
    let read: Vec<&str> = text.trim_end().lines().collect();
    let name = sources.name(span.file).to_owned();
    if let [line] = read.as_slice()
        && let Some(at) = written.first()?.find(line)
    {
        return Some((name, above + 1, written[0][..at].chars().count() + 1));
    }
    // A block is at its first line, or at the `|` above that.
    let block = |skip: usize| Some((skip, indent(written.get(skip..)?, &read)?));
    let (skip, indent) = block(0).or_else(|| block(1))?;
    Some((name, above + skip + 1, indent + 1))
}

/// How far all lines of a block are indented in the file, when it has just these lines.
fn indent(written: &[&str], read: &[&str]) -> Option<usize> {
    let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let first = read.iter().position(|line| !line.trim().is_empty())?;
    let indent = spaces(written.get(first)?).checked_sub(spaces(read[first]))?;
    let is_same = |(written, read): (&&str, &&str)| match written.get(indent..) {
        // Variables of the Compose file have their values in what is read.
        Some(line) => line == *read || line.contains('$') || line.trim().is_empty() && read.is_empty(),
        None => read.is_empty(),
    };
    (written.len() >= read.len() && written.iter().zip(read).all(is_same)).then_some(indent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(file: &str, text: &str) -> Option<(usize, usize)> {
        let mut sources = Sources::new();
        let id = sources.add("compose.yaml", file);
        let start = file.find("inline: ").unwrap() + "inline: ".len();
        place(text, Span::new(id, start, start + 1), &sources).map(|(_, line, column)| (line, column))
    }

    #[test]
    fn a_block_begins_in_the_line_below_in_its_own_column() {
        let file = "a:\n  inline: |\n    FROM a\n\n    RUN <<E\n      x $$Y\n    E\nb:\n";
        assert_eq!(of(file, "FROM a\n\nRUN <<E\n  x $Y\nE\n"), Some((3, 5)));
        let mut sources = Sources::new();
        let id = sources.add("compose.yaml", file);
        let content = Span::new(id, file.find("FROM").unwrap(), file.len());
        assert_eq!(place("FROM a\n\nRUN <<E\n  x $Y\nE\n", content, &sources).map(|place| place.1), Some(3));
        assert_eq!(of("inline: |2-\n    FROM a\n  RUN b\n", "  FROM a\nRUN b"), Some((2, 3)));
    }

    #[test]
    fn one_line_begins_where_it_stands() {
        assert_eq!(of("é: 1\ninline: FROM a\n", "FROM a"), Some((2, 9)));
        assert_eq!(of("inline: \"FROM a\"\n", "FROM a"), Some((1, 10)));
    }

    #[test]
    fn what_is_written_otherwise_has_no_place() {
        assert_eq!(of("inline: >\n  FROM a\n\n  RUN b\n", "FROM a\nRUN b\n"), None);
        assert_eq!(of("inline: \"FROM a\\nRUN b\"\n", "FROM a\nRUN b"), None);
    }
}
