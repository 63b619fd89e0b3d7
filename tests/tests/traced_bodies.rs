//! Large bodies and long streams: whole, with the numbers that come last, in bounded memory.

use anyhow::{Result, ensure};
use llmtap_tests::{Lab, differences, records};

/// KiB that the tracer may have resident at most.
const MEMORY: u64 = 150 * 1024;

fn one_call_is_right(call: &str) -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let trace =
        lab.tracer().run(&lab.python("cases.py", &["plain", &server.port.to_string(), call]))?;
    let calls = records(&trace.output);
    ensure!(calls.len() == 1, "{}", trace.errors);
    ensure!(calls[0]["error"].is_null() && calls[0]["output_tokens"].is_number(), "{calls:?}");
    let wrong = differences(&trace.spans, &calls);
    ensure!(wrong.is_empty(), "{wrong:#?}\n{}", trace.errors);
    trace.nothing_lost()?;
    ensure!(trace.peak_memory < MEMORY, "{} KiB resident", trace.peak_memory);
    Ok(())
}

/// `http.client` hands the whole body to one `SSL_write_ex`; what the request asks for beside the
/// model stands behind the megabyte.
#[test]
fn mebibyte_request_is_whole() -> Result<()> {
    one_call_is_right(r#"{"id": "large", "n": 11, "body_bytes": 1048576}"#)
}

/// The usage stands behind the text.
#[test]
fn twenty_mebibyte_response_is_whole() -> Result<()> {
    one_call_is_right(r#"{"id": "long", "n": 12, "stream": false, "bytes": 20971520}"#)?;
    one_call_is_right(
        r#"{"id": "long", "n": 13, "stream": false, "bytes": 20971520, "path": "/v1/messages"}"#,
    )
}

#[test]
fn long_stream_keeps_usage() -> Result<()> {
    one_call_is_right(r#"{"id": "many", "n": 14, "chunks": 2000}"#)?;
    one_call_is_right(r#"{"id": "many", "n": 15, "chunks": 2000, "path": "/v1/messages"}"#)
}
