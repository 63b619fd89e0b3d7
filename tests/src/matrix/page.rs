//! The page of the matrix: `docs/tls-coverage.md`.
//! Takes the outcomes and the reasons for what was not run; gives Markdown.

use anyhow::Result;

use super::{
    outcome::Outcome,
    part::Parts,
    rows::{ROWS, Row},
};

const HEAD: &str = "# TLS coverage

Which programs' TLS llmtap sees, by what was run: this page is made by `cargo xtask matrix --write` of what the last
`cargo xtask test traced_matrix --full` left. Every row is a program that nobody changed, run under `llmtap trace`:
a small call, a stream of 200 pieces, a request of 1 MiB, and 20 connections at once with four calls each, over each
protocol that it speaks. \"Right\" means that each exchange that the server logged was seen once and equal to the byte
(method, status, sizes and checksums of both bodies), that each LLM call became one span with the right numbers, the
first call of the process among them, and that no byte was lost.

| program | version | TLS library | found in | protocols | result |
|---|---|---|---|---|---|
";

/// # Errors
/// An outcome can't be read.
pub fn page(parts: &Parts) -> Result<String> {
    let mut text = HEAD.to_owned();
    for row in &ROWS {
        text += &line(row, Outcome::of(parts, row.name)?, parts.reason(row.name));
    }
    Ok(text)
}

fn line(row: &Row, outcome: Option<Outcome>, reason: Option<&str>) -> String {
    let Row { program, stack, .. } = row;
    let Some(outcome) = outcome else {
        let reason = reason.unwrap_or("nobody has tried it here");
        return format!("| {program} | – | {stack} | – | – | not run: {reason} |\n");
    };
    let result = match &outcome.failure {
        None => format!("{} exchanges, all right ({})", outcome.exchanges, outcome.day),
        Some(failure) => format!("wrong ({}): {}", outcome.day, failure.replace('|', "\\|")),
    };
    let list = |what: &[String], between: &str| match what {
        [] => "–".to_owned(),
        what => what.join(between),
    };
    format!(
        "| {program} | {} | {stack} | {} | {} | {result} |\n",
        outcome.version,
        list(&outcome.found, "<br>"),
        list(&outcome.protocols, ", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_says_what_was_not_run_and_why() {
        let text = line(&ROWS[0], None, Some("no such package"));
        assert!(text.ends_with("| not run: no such package |\n"), "{text}");
    }

    #[test]
    fn failure_is_told() {
        let failed = Outcome { failure: Some("3 of 4".into()), ..Outcome::default() };
        let text = line(&ROWS[0], Some(failed), None);
        assert!(text.contains("wrong") && text.contains("3 of 4"), "{text}");
    }
}
