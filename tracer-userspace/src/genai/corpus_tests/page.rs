//! `docs/corpus.md`, as far as the test goes by it.
//! Takes the page; gives its tables and its list of differences.

use std::{collections::BTreeSet, fs};

use super::{Record, root};

#[derive(Debug, Default)]
pub(super) struct Page {
    /// Family and key.
    pub never_told: BTreeSet<(String, String)>,
    pub rows: Vec<Row>,
    /// Exchange and key.
    pub differences: BTreeSet<(String, String)>,
}

/// Requests of which the reader says one thing and llmtap another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    method: String,
    /// A `*` at the end of a segment stands for any characters.
    path: String,
    /// `None` where it is no operation.
    pub operation: Option<String>,
}

impl Page {
    pub(super) fn read() -> Self {
        let text = fs::read_to_string(root().join("docs/corpus.md")).unwrap();
        let mut page = Self::default();
        let mut section = "";
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                section = title;
            }
            // What stands in backquotes is for the test, what does not is for people.
            let cells: Vec<_> = line.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            match (section, &cells[..]) {
                ("Of definition", [family, key, ..]) if line.starts_with("| ") => {
                    page.never_told.insert((family.clone(), key.clone()));
                }
                (
                    "No operation" | "Operations beside inference",
                    [method, path, operation @ ..],
                ) if line.starts_with("| ") => {
                    let (method, path) = (method.clone(), path.clone());
                    page.rows.push(Row { method, path, operation: operation.first().cloned() });
                }
                ("Differences", [id, keys @ ..]) if line.starts_with("- ") => {
                    let keys = keys.iter().map(|key| (id.clone(), key.clone()));
                    page.differences.extend(keys);
                }
                _ => {}
            }
        }
        assert!(!page.rows.is_empty() && !page.differences.is_empty(), "the page is not read");
        page
    }

    /// The row that is about an exchange.
    pub(super) fn row(&self, record: &Record) -> Option<&Row> {
        let path = record.path.split('?').next().unwrap_or_default();
        // A row of an operation is about what the reader counts as none, and the other way round.
        let other = record.family == "other";
        self.rows.iter().find(|row| {
            row.method == record.method && row.operation.is_some() == other && row.fits(path)
        })
    }
}

impl Row {
    fn fits(&self, path: &str) -> bool {
        let (mut wanted, mut got) = (self.path.split('/'), path.split('/'));
        loop {
            match (wanted.next(), got.next()) {
                (None, None) => return true,
                (Some(wanted), Some(got)) => match wanted.strip_suffix('*') {
                    Some(start) if got.starts_with(start) => {}
                    None if wanted == got => {}
                    _ => return false,
                },
                _ => return false,
            }
        }
    }
}
