use serde_json::json;

use super::*;
use crate::{genai::Usage, trace::sample};

fn text_part(text: &str) -> Value {
    json!({"type": "text", "content": text})
}

/// A chat of `gpt-4o-mini` without usage.
fn operation(input: &str, output: &str) -> Operation {
    let mut operation = sample::operation();
    operation.usage = Usage::default();
    operation.content = Some(Content {
        input_messages: Some(json!([{"role": "user", "parts": [text_part(input)]}])),
        output_messages: Some(json!([{"role": "assistant", "parts": [text_part(output)],
            "finish_reason": "stop"}])),
        ..Content::default()
    });
    operation
}

fn estimate(operation: &Operation) -> Option<(Option<u64>, Option<u64>, &'static str)> {
    let told = Estimator::new().of(operation)?;
    Some((told.input, told.output, told.tokenizer))
}

/// Counts that OpenAI's cookbook gives ("How to count tokens with tiktoken").
#[test]
fn published_counts_are_met() {
    for (model, text, tokens, tokenizer) in [
        ("gpt-4o-mini", "antidisestablishmentarianism", 6, "o200k_base"),
        ("gpt-4", "antidisestablishmentarianism", 6, "cl100k_base"),
        ("gpt-4o", "2 + 2 = 4", 7, "o200k_base"),
        ("gpt-3.5-turbo-0125", "2 + 2 = 4", 7, "cl100k_base"),
        ("gpt-4o", "お誕生日おめでとう", 8, "o200k_base"),
        ("gpt-4-0613", "お誕生日おめでとう", 9, "cl100k_base"),
        ("gpt-3.5-turbo", "tiktoken is great!", 6, "cl100k_base"),
    ] {
        let mut operation = operation("", text);
        operation.response.model = Some(model.to_owned());
        let expected = Some((None, Some(tokens), tokenizer));
        assert_eq!(estimate(&operation), expected, "{model}: {text}");
    }
}

#[test]
fn only_what_was_not_reported_is_estimated() {
    let mut operation = operation("tiktoken is great!", "2 + 2 = 4");
    assert_eq!(estimate(&operation), Some((Some(6), Some(7), "o200k_base")));
    operation.usage.input_tokens = Some(9);
    assert_eq!(estimate(&operation), Some((None, Some(7), "o200k_base")));
    operation.usage.output_tokens = Some(0);
    assert_eq!(estimate(&operation), None);
}

#[test]
fn nothing_is_guessed() {
    let whole = || operation("a", "b");
    let content = |operation: &mut Operation, change: fn(&mut Content)| {
        change(operation.content.as_mut().unwrap());
    };
    let mut other_model = whole();
    other_model.response.model = Some("claude-sonnet-4-5".into());
    let mut no_model = whole();
    (no_model.response.model, no_model.request.model) = (None, None);
    let mut old_model = whole();
    old_model.response.model = Some("text-davinci-003".into());
    let mut cut = whole();
    content(&mut cut, |content| content.truncated = true);
    let mut failed = whole();
    failed.http.status = Some(429);
    let mut no_content = whole();
    no_content.content = None;
    let mut long = operation(&"a ".repeat(20_000), "");
    content(&mut long, |content| content.output_messages = None);
    for (name, operation) in [
        ("another model", other_model),
        ("no model", no_model),
        ("a vocabulary of before", old_model),
        ("text that was cut", cut),
        ("a refused call", failed),
        ("no content", no_content),
        ("a text that is too long", long),
    ] {
        assert_eq!(estimate(&operation), None, "{name}");
    }
    // A direction with a part that is no text has no estimate, the other has.
    let mut image = whole();
    content(&mut image, |content| {
        content.input_messages = Some(json!([{"role": "user", "parts": [text_part("a"),
            {"type": "blob", "modality": "image", "content": ""}]}]));
    });
    assert_eq!(estimate(&image), Some((None, Some(1), "o200k_base")));
    let mut tools = whole();
    content(&mut tools, |content| {
        content.tool_definitions = Some(json!([{"type": "function", "name": "f"}]));
    });
    assert_eq!(estimate(&tools), Some((None, Some(1), "o200k_base")));
}

#[test]
fn system_instructions_are_input() {
    let mut operation = operation("tiktoken is great!", "b");
    operation.content.as_mut().unwrap().system_instructions = Some(json!([text_part("2 + 2 = 4")]));
    assert_eq!(estimate(&operation), Some((Some(13), Some(1), "o200k_base")));
}

/// Texts that other tokenizers fail on or take long for; the count is within what bytes allow.
#[test]
fn hostile_texts_are_counted() {
    for unit in
        ["a", " ", "\n", "^", "\u{0}", "aA", "!?", "\u{200d}", "é", "漢", "\u{fffd}", "'s", "1"]
    {
        let text = unit.repeat(MAX_TEXT / unit.len());
        let (_, output, _) = estimate(&operation("", &text)).unwrap();
        let output = output.unwrap();
        assert!(output > 0 && output <= text.len() as u64, "{unit:?}: {output}");
    }
    // Special tokens in a text are text.
    let (_, output, _) = estimate(&operation("", "<|endoftext|>")).unwrap();
    assert!(output.unwrap() > 1);
}

#[test]
fn content_that_was_not_asked_for_is_forgotten() {
    use crate::trace::{
        Clock, Ids, Sampler, Spans,
        semconv::{ContentPlace, Conventions},
    };
    for (content, keep) in [(ContentPlace::Nowhere, false), (ContentPlace::Spans, true)] {
        let conventions = Conventions { content, ..Conventions::default() };
        let clock = Clock::Recorded { boot: sample::BOOT };
        let mut spans = Spans::new(Sampler::default(), clock, Ids::Random)
            .speaking(conventions)
            .estimating_tokens();
        let operation = operation("tiktoken is great!", "2 + 2 = 4");
        let span =
            spans.span(operation, &sample::process(1, "a"), sample::TLS, clock.measure()).unwrap();
        let get = |key: &str| {
            let mut found = span.attributes.iter().filter(|one| one.key.as_str() == key);
            found.next().map(|one| one.value.clone())
        };
        assert_eq!(get("llmtap.estimate.input_tokens"), Some(6.into()));
        assert_eq!(get("llmtap.estimate.output_tokens"), Some(7.into()));
        assert_eq!(get("llmtap.estimate.tokenizer"), Some("o200k_base".into()));
        assert_eq!(get("gen_ai.usage.output_tokens"), None);
        assert_eq!(get("gen_ai.output.messages").is_some(), keep);
        assert_eq!(span.operation.content.is_some(), keep);
    }
}
