//! What is lost is counted to the byte, and the numbers of a call survive it.

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Lab, records};

/// Numbers of a line, in order.
fn numbers(line: &str) -> Vec<i64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// A body of 64 MiB handed over in one call, and a ring of 1 MiB: most of it has no room.
#[test]
fn overflow_is_counted_to_the_byte() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let call = r#"{"id": "flood", "n": 41, "body_bytes": 67108864}"#;
    let client = lab.python("cases.py", &["plain", &server.port.to_string(), call]);
    let trace = lab.tracer().arg("--ring-size").arg("1").run(&client)?;
    let calls = records(&trace.output);
    let span = trace.spans.first().with_context(|| trace.errors.clone())?;
    let missing = span
        .number("llmtap.capture.missing_request_bytes")
        .with_context(|| format!("nothing is missing: {span:#?}"))?;
    let lost: i64 = numbers(trace.summary("bytes lost:")?).iter().sum();
    ensure!(missing == lost, "{missing} missing in the span, {lost} lost: {}", trace.errors);
    ensure!(missing < 67_108_864 && missing > 0, "{missing}");
    // The answer came after the flood, and is whole.
    let expected = calls[0]["output_tokens"].as_i64();
    ensure!(span.number("gen_ai.usage.output_tokens") == expected, "{span:#?}\n{calls:?}");
    ensure!(trace.summary("calls,")?.contains("1 calls incomplete"), "{}", trace.errors);
    Ok(())
}
