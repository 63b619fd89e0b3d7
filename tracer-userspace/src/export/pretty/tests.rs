use serde_json::json;

use super::*;
use crate::{
    genai::{Content, ProviderError},
    trace::sample,
};

fn pretty(width: usize, color: bool) -> Pretty {
    Pretty { zone: TimeZone::UTC, ..Pretty::new(width, color) }
}

fn lines(width: usize, span: &Span) -> Vec<String> {
    pretty(width, false).render(span).lines().map(str::to_owned).collect()
}

#[test]
fn call_is_one_aligned_line() {
    let lines = lines(120, &sample::span());
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        [
            "22:13:21",
            "→",
            "shop",
            "chat",
            "gpt-4o-mini",
            "250ms",
            "1.50s",
            "1,204",
            "356",
            "✓",
            "stop"
        ]
    );
    for (heading, cell) in [("SERVICE", "shop"), ("CALL", "chat"), ("ENDED", "✓")] {
        let column = |line: &str, word: &str| text::width(&line[..line.find(word).unwrap()]);
        assert_eq!(column(&lines[0], heading), column(&lines[1], cell), "{heading}");
    }
    for (heading, cell) in
        [("FIRST", "250ms"), ("TOTAL", "1.50s"), ("TOK IN", "1,204"), ("TOK OUT", "356")]
    {
        let end =
            |line: &str, word: &str| text::width(&line[..line.find(word).unwrap() + word.len()]);
        assert_eq!(end(&lines[0], heading), end(&lines[1], cell), "{heading}");
    }
}

#[test]
fn heading_comes_once() {
    let mut pretty = pretty(120, false);
    assert!(pretty.render(&sample::span()).contains("SERVICE"));
    assert!(!pretty.render(&sample::span()).contains("SERVICE"));
}

#[test]
fn every_width_is_kept() {
    let mut operation = sample::operation();
    operation.request.model = Some("m".repeat(300));
    operation.response.finish_reasons = vec!["f".repeat(300)];
    operation.response.tool_calls = vec!["t".repeat(300)];
    operation.error =
        Some(ProviderError { kind: "k".repeat(300), message: Some("w ".repeat(300)) });
    operation.content = Some(Content {
        input_messages: Some(
            json!([{"role": "r".repeat(300), "parts": [{"type": "text", "content": "words ".repeat(300)}]}]),
        ),
        ..Content::default()
    });
    let span = sample::span_of(operation, &sample::process(1, &"s".repeat(300)));
    for width in [66, 67, 80, 99, 100, 120, 200, 400] {
        for line in lines(width, &span) {
            assert!(text::width(&line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn failure_is_told_in_words() {
    let mut operation = sample::operation();
    operation.http.status = Some(429);
    operation.error = Some(ProviderError {
        kind: "rate_limit_error".into(),
        message: Some("Slow down, please.".into()),
    });
    let lines = lines(120, &sample::span_of(operation, &sample::process(1, "shop")));
    assert!(lines[1].ends_with("✗ 429 rate_limit_error"));
    assert_eq!(lines[2].trim(), "Slow down, please.");
}

#[test]
fn kind_that_was_cut_is_told_beneath() {
    let mut operation = sample::operation();
    operation.http.status = Some(429);
    operation.error = Some(ProviderError {
        kind: "rate_limit_of_the_organization_exceeded".into(),
        message: Some("Slow down, please.".into()),
    });
    let lines = lines(80, &sample::span_of(operation, &sample::process(1, "shop")));
    assert!(lines[1].ends_with('…'));
    let beneath: String = lines[2..].concat().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(beneath, "429 rate_limit_of_the_organization_exceeded: Slow down, please.");
}

#[test]
fn served_calls_point_inwards() {
    let mut operation = sample::operation();
    operation.role = Role::Server;
    let lines = lines(120, &sample::span_of(operation, &sample::process(1, "shop")));
    assert!(lines[1].contains("← shop"));
}

#[test]
fn hostile_strings_stay_in_their_cells() {
    let mut operation = sample::operation();
    operation.request.model = Some("\u{1b}]0;evil\u{7}\u{202e}\r\nforged line".into());
    operation.response.finish_reasons = vec!["\u{9b}2J".into()];
    operation.response.tool_calls = vec!["a\nb".into()];
    operation.error =
        Some(ProviderError { kind: "x\u{1b}[31m".into(), message: Some("\u{1b}c\u{8}".into()) });
    operation.content = Some(Content {
        output_messages: Some(
            json!([{"role": "\u{1b}[A", "parts": [{"type": "text", "content": "\u{1b}[1A\u{1b}[2K"}]}]),
        ),
        ..Content::default()
    });
    let span = sample::span_of(operation, &sample::process(1, "s\u{1b}[5m\n"));
    let shown = pretty(120, false).render(&span);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(!shown.contains('\u{202e}'));
    assert_eq!(shown.lines().filter(|line| line.contains("forged")).count(), 1);
    assert!(shown.lines().find(|line| line.contains("forged")).unwrap().contains("250ms"));
}

#[test]
fn colours_come_only_when_asked() {
    let span = sample::span();
    assert!(!pretty(120, false).render(&span).contains('\u{1b}'));
    let colored = pretty(120, true).render(&span);
    assert!(colored.contains('\u{1b}'));
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = after.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, pretty(120, false).render(&span));
}
