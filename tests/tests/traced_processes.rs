//! Whose calls are seen: the command's first, its children's, those of a library loaded late; no others.

use std::process::Command;

use anyhow::{Result, ensure};
use llmtap_tests::{Lab, differences, records};

/// The first thing that the program does is its call.
fn first_call_is_seen(late: bool) -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let mut command = Command::new(lab.compile(late)?);
    command.args([&server.port.to_string(), "31"]);
    for _ in 0..3 {
        let trace = lab.tracer().run(&command)?;
        ensure!(trace.status.success(), "{}", trace.errors);
        let span = trace.span("chatcmpl-c31")?;
        ensure!(span.number("gen_ai.usage.input_tokens") == Some(1031), "{span:#?}");
        ensure!(span.text("gen_ai.request.model") == Some("model-c"), "{span:#?}");
        trace.nothing_lost()?;
    }
    Ok(())
}

#[test]
fn linked_library_first_call() -> Result<()> {
    first_call_is_seen(false)
}

#[test]
fn library_opened_late_first_call() -> Result<()> {
    first_call_is_seen(true)
}

#[test]
fn children_of_children_are_followed() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let port = server.port.to_string();
    let python = lab.python("cases.py", &["plain", &port, r#"{"id": "deep", "n": 32}"#]);
    let line = std::iter::once(python.get_program())
        .chain(python.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("sh -c \"{}; true\"; true", line.replace('"', "\\\""))]);
    lab.authority.trust(&mut shell);
    let trace = lab.tracer().run(&shell)?;
    let calls = records(&trace.output);
    ensure!(calls.len() == 1, "{}", trace.errors);
    let wrong = differences(&trace.spans, &calls);
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn exit_status_and_output_pass_through() -> Result<()> {
    let lab = Lab::open()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf 'one\\ntwo'; echo words >&2; exit 37"]);
    let trace = lab.tracer().run(&shell)?;
    ensure!(trace.status.code() == Some(37), "{}", trace.status);
    ensure!(trace.output == "one\ntwo", "{:?}", trace.output);
    ensure!(trace.errors.lines().any(|line| line == "words"), "{}", trace.errors);
    ensure!(trace.spans.is_empty(), "{:#?}", trace.spans);
    Ok(())
}

/// A sandbox's mount namespace is out of reach of what holds a command's opens.
#[test]
fn child_in_another_mount_namespace_is_seen() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let call = r#"{"id": "sandboxed", "n": 40}"#;
    let client = lab.python("cases.py", &["plain", &server.port.to_string(), call]);
    let mut command = Command::new("unshare");
    command.arg("--mount").arg(client.get_program()).args(client.get_args());
    command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let trace = lab.tracer().run(&command)?;
    let wrong = differences(&trace.spans, &records(&trace.output));
    ensure!(wrong.is_empty(), "{wrong:#?}\n{}", trace.errors);
    trace.span("chatcmpl-sandboxed").map(|_| ())
}
