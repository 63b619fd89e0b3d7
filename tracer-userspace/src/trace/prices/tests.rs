use std::path::Path;

use super::*;
use crate::trace::sample;

const EXAMPLE: &str = include_str!("../../../../deploy/prices.yaml");

fn parse(text: &str) -> Result<Prices, PricesError> {
    Prices::parse(text, Path::new("prices.yaml"))
}

/// One row for the model of the sample operation.
fn list(row: &str) -> Prices {
    parse(&format!(
        "date: 2026-11-20\ncurrency: USD\nprices:\n  - {{provider: openai, model: gpt-4o-mini, {row}}}\n"
    ))
    .unwrap()
}

fn operation(usage: Usage) -> Operation {
    let mut operation = sample::operation();
    operation.usage = usage;
    operation
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage { input_tokens: Some(input), output_tokens: Some(output), ..Usage::default() }
}

fn cost(prices: &Prices, usage: Usage) -> Option<String> {
    prices.cost(&operation(usage)).map(|cost| cost.total.to_string())
}

#[test]
fn tokens_cost_what_the_list_says() {
    let prices = list("input: 0.15, output: 0.60");
    // 1204 × 0.15 / 10⁶ + 356 × 0.60 / 10⁶
    assert_eq!(cost(&prices, tokens(1204, 356)).as_deref(), Some("0.0003942"));
    let told = prices.cost(&operation(tokens(1_000_000, 0))).unwrap();
    assert_eq!((told.currency.as_str(), told.date.as_str()), ("USD", "2026-11-20"));
    assert_eq!(told.total.to_string(), "0.15");
}

/// No rounding: a third of a cent stays what it is, and so does a count of 64 bits.
#[test]
fn decimals_are_exact() {
    let prices = list("input: 0.1, output: 0.2");
    assert_eq!(cost(&prices, tokens(3, 3)).as_deref(), Some("0.0000009"));
    let prices = list("input: 0.000000001, output: 999999.999999999");
    assert_eq!(cost(&prices, tokens(1, 0)).as_deref(), Some("0.000000000000001"));
    let most = tokens(1, 1_000_000_000_000);
    assert_eq!(cost(&prices, most).as_deref(), Some("999999999999.999000000000001"));
    // No call has so many, and not every decimal is held exactly.
    assert_eq!(cost(&prices, tokens(1_000_000_000_001, 0)), None);
    assert_eq!(cost(&prices, tokens(u64::MAX, u64::MAX)), None);
}

#[test]
fn each_kind_has_its_price() {
    let prices = list(
        "input: 3, output: 15, cache_read: 0.3, cache_write: 3.75, reasoning: 20, \
         audio_input: 40, audio_output: 80",
    );
    let usage = Usage {
        cache_read_input_tokens: Some(500_000),
        cache_write_input_tokens: Some(100_000),
        reasoning_output_tokens: Some(200_000),
        ..tokens(1_000_000, 1_000_000)
    };
    // 0.4 × 3 + 0.5 × 0.3 + 0.1 × 3.75 + 0.8 × 15 + 0.2 × 20
    assert_eq!(cost(&prices, usage).as_deref(), Some("17.725"));
    let mut usage = tokens(1_000_000, 1_000_000);
    usage.input.audio = Some(250_000);
    usage.output.audio = Some(500_000);
    // 0.75 × 3 + 0.25 × 40 + 0.5 × 15 + 0.5 × 80
    assert_eq!(cost(&prices, usage).as_deref(), Some("59.75"));
}

#[test]
fn what_has_no_price_has_no_cost() {
    let prices = list("input: 3, output: 15");
    let with = |change: fn(&mut Usage)| {
        let mut usage = tokens(100, 100);
        change(&mut usage);
        cost(&prices, usage)
    };
    assert_eq!(with(|usage| usage.cache_read_input_tokens = Some(1)), None);
    assert_eq!(with(|usage| usage.cache_write_input_tokens = Some(1)), None);
    assert_eq!(with(|usage| usage.input.audio = Some(1)), None);
    assert_eq!(with(|usage| usage.output.audio = Some(1)), None);
    // None of it was used.
    let same = cost(&prices, tokens(100, 100));
    assert_eq!(with(|usage| usage.cache_read_input_tokens = Some(0)), same);
    // As other output and input, by the format's definition.
    assert_eq!(with(|usage| usage.reasoning_output_tokens = Some(50)), same);
    assert_eq!(with(|usage| usage.input.image = Some(50)), same);
    assert_eq!(cost(&list("input: 3"), tokens(100, 1)), None);
}

#[test]
fn what_was_not_reported_has_no_cost() {
    let prices = list("input: 3, output: 15");
    assert_eq!(cost(&prices, Usage::default()), None);
    assert_eq!(cost(&prices, Usage { input_tokens: None, ..tokens(1, 1) }), None);
    assert_eq!(cost(&prices, Usage { output_tokens: None, ..tokens(1, 1) }), None);
    // More of a kind than of all.
    let prices = list("input: 3, output: 15, cache_read: 1");
    let usage = Usage { cache_read_input_tokens: Some(2), ..tokens(1, 1) };
    assert_eq!(cost(&prices, usage), None);
    // An embedding has no output.
    let mut embeddings = operation(Usage { output_tokens: None, ..tokens(1_000_000, 0) });
    embeddings.name = OperationName::Embeddings;
    let told = list("input: 0.02").cost(&embeddings).map(|cost| cost.total.to_string());
    assert_eq!(told.as_deref(), Some("0.02"));
}

/// Tokens that were only counted were not used.
#[test]
fn count_has_no_cost() {
    let prices = list("input: 1, output: 1");
    let mut counted = operation(Usage { input_tokens: Some(9), ..Usage::default() });
    counted.name = OperationName::CountTokens;
    assert!(prices.cost(&counted).is_none());
}

#[test]
fn other_models_have_no_cost() {
    let prices = list("input: 3, output: 15");
    let none = |change: fn(&mut Operation)| {
        let mut operation = operation(tokens(1, 1));
        change(&mut operation);
        prices.cost(&operation).is_none()
    };
    assert!(!none(|_| {}));
    assert!(none(|operation| operation.provider = "azure.ai.openai".into()));
    assert!(none(|operation| {
        operation.request.model = Some("gpt-4o-mini-2024-07-18".into());
    }));
    assert!(none(|operation| {
        (operation.request.model, operation.response.model) = (None, None);
    }));
    // Not the usual price.
    assert!(none(|operation| operation.response.service_tier = Some("flex".into())));
    assert!(!none(|operation| operation.response.service_tier = Some("default".into())));
}

#[test]
fn first_row_that_fits_counts() {
    let prices = parse(
        "date: 2026-11-20
currency: EUR
prices:
  - {provider: openai, model: [gpt-4o-mini-2024-07-18, other], input: 1, output: 0, max_input_tokens: 10}
  - {provider: openai, model: gpt-4o-mini-2024-07-18, input: 2, output: 0}
  - {provider: openai, model: gpt-4o-mini, input: 4, output: 0}
  - {provider: openai, model: gpt-4o-mini, input: 8, output: 0, service_tier: flex}
",
    )
    .unwrap();
    // The model that answered goes before the alias that was asked for.
    assert_eq!(cost(&prices, tokens(10, 0)).as_deref(), Some("0.00001"));
    assert_eq!(cost(&prices, tokens(11, 0)).as_deref(), Some("0.000022"));
    let mut flex = operation(tokens(10, 0));
    flex.response.service_tier = Some("flex".into());
    assert_eq!(prices.cost(&flex).map(|cost| cost.total.to_string()).as_deref(), Some("0.00008"));
}

#[test]
fn json_is_read_too() {
    let prices = parse(
        r#"{"date": "2026-11-20", "currency": "USD", "prices": [
            {"provider": "openai", "model": ["gpt-4o-mini"], "input": 0.15, "output": "0.60"}]}"#,
    )
    .unwrap();
    assert_eq!(cost(&prices, tokens(1204, 356)).as_deref(), Some("0.0003942"));
}

#[test]
fn wrong_lists_are_refused_with_their_place() {
    let row = |row: &str| format!("date: 2026-11-20\ncurrency: USD\nprices:\n  - {{{row}}}\n");
    for (text, line, word) in [
        ("date: soon\ncurrency: USD\nprices: []\n".to_owned(), 1, "2026-11-20"),
        ("date: 2026-13-01\ncurrency: USD\nprices: []\n".to_owned(), 1, "date"),
        ("date: 2026-11-20\ncurrency: $\nprices: []\n".to_owned(), 2, "USD"),
        ("date: 2026-11-20\nprices: []\n".to_owned(), 0, "currency"),
        ("date: 2026-11-20\ncurrency: USD\nprice: []\n".to_owned(), 3, "price"),
        (row("provider: openai, model: m, input: -1"), 4, "\"-1\" is no price"),
        (row("provider: openai, model: m, input: cheap"), 4, "no price"),
        (row("provider: openai, model: m, input: 1e3"), 4, "no price"),
        (row("provider: openai, model: m, input: 0.0000000001"), 4, "no price"),
        (row("provider: openai, model: m, input: 1000001"), 4, "no price"),
        (row("provider: openai, model: m"), 4, "input"),
        (row("provider: openai, input: 1"), 4, "model"),
        (row("provider: openai, model: [], input: 1"), 4, "at least one"),
        (row("provider: openai, model: m, input: 1, outptu: 2"), 4, "outptu"),
        (row("provider: openai, model: m, input: 1, max_input_tokens: -5"), 4, ""),
        (
            row("provider: openai, model: m, input: 1")
                + "  - {provider: openai, model: [m2, m], input: 2}\n",
            5,
            "given in line 4 already",
        ),
        ("prices: [\n".to_owned(), 0, ""),
    ] {
        let sentence = parse(&text).unwrap_err().to_string();
        assert!(sentence.starts_with("prices.yaml:"), "{sentence}");
        assert!(line == 0 || sentence.starts_with(&format!("prices.yaml:{line}:")), "{sentence}");
        assert!(sentence.contains(word), "{sentence}");
        assert!(!sentence.trim().contains('\n'), "{sentence}");
    }
    let missing = Prices::read(Path::new("/nonexistent/prices.yaml")).unwrap_err().to_string();
    assert!(missing.contains("/nonexistent/prices.yaml"), "{missing}");
}

#[test]
fn example_is_valid() {
    let prices = parse(EXAMPLE).unwrap();
    assert!(!prices.rows.is_empty());
}
