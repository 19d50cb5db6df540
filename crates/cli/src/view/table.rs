//! Tables: a header, rows, columns as wide as their widest cell with three blanks between them.

/// Lays a table out. The last column is not padded. Rows may be shorter than the header.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0).max(header.len());
    let mut widths = vec![0; columns];
    for (column, cell) in header.iter().enumerate() {
        widths[column] = cell.chars().count();
    }
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut row = String::new();
        for (column, cell) in cells.enumerate() {
            let padding = widths[column] + 3 - cell.chars().count();
            row.push_str(cell);
            row.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    };
    line(&mut header.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// The rows of a table that was laid out with its header.
pub(crate) fn without_header(table: &str) -> &str {
    table.split_once('\n').map_or("", |(_, rows)| rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["shop-database-1".to_owned(), "running".to_owned()],
            vec!["ä".to_owned(), "x".to_owned()],
        ];
        assert_eq!(
            table(&["NAME", "STATUS"], &rows),
            "NAME              STATUS\nshop-database-1   running\nä                 x\n"
        );
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        assert_eq!(table(&["NAME", "STATUS"], &[]), "NAME   STATUS\n");
    }
}
