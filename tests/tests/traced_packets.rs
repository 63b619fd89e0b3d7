//! What real programs send over plain HTTP, captured by tcpdump, as `llmtap replay` reads it.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Lab, Model, Running, Span, differences_of_attributes, records, wait_until};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(120);

fn tcpdump(file: &Path, options: &[&str], port: u16) -> Result<Running> {
    let mut command = Command::new("tcpdump");
    // As root it would become another user, who may not write here.
    command.args(["-Z", "root", "-U", "--immediate-mode"]);
    // A slot of its buffer is as large as a packet may be: by default there is room for eight packets.
    command.args(["--snapshot-length", "66000", "--buffer-size", "65536"]);
    command.arg("-w").arg(file).args(options);
    command.arg(format!("tcp port {port}"));
    let capture = Running::start(command)?;
    capture.errors.wait_for(LIMIT, |line| line.contains("listening on"))?;
    Ok(capture)
}

/// What the file has so far.
fn spans(lab: &Lab, file: &Path) -> Result<Vec<Span>> {
    let mut command = lab.llmtap(&["replay", "--output", "otlp-json"]);
    command.arg(file);
    Span::parse(&Running::start(command)?.finish(LIMIT)?.output)
}

/// The interface itself, and all of them as Linux's cooked form, in nanoseconds.
#[test]
fn calls_in_a_packet_capture_are_spans() -> Result<()> {
    let lab = Lab::open()?;
    let model = Model::start(&lab)?;
    let options: [&[&str]; 2] = [&["-i", "lo"], &["-i", "any", "--time-stamp-precision", "nano"]];
    for options in options {
        let (file, received) = (lab.file("packets.pcap"), lab.file("records.jsonl"));
        let capture = tcpdump(&file, options, model.port)?;
        let url = format!("http://127.0.0.1:{}", model.port);
        let clients = Model::clients(&lab, &format!("set -e; {}", Model::ROUND), &url, &received);
        Running::start(clients)?.finish(LIMIT)?.success()?;
        let received = records(&fs::read_to_string(received)?);
        ensure!(received.len() == Model::CALLS, "{received:#?}");
        // Its last packets may still be on their way to the file.
        let all = wait_until("every call in the capture", LIMIT, || {
            spans(&lab, &file).ok().filter(|spans| spans.len() >= received.len())
        });
        capture.signal(Signal::INT)?;
        let told = capture.finish(LIMIT)?.errors;
        all.with_context(|| format!("{options:?}: {told}"))?;
        let spans = spans(&lab, &file)?;
        let differences = differences_of_attributes(&spans, &received);
        ensure!(differences.is_empty(), "{options:?}: {differences:#?}\n{told}");
        for span in &spans {
            ensure!(span.text("url.scheme") == Some("http"), "{span:#?}");
            ensure!(span.text("server.address") == Some("127.0.0.1"), "{span:#?}");
            ensure!(span.text("network.peer.address") == Some("127.0.0.1"), "{span:#?}");
            for port in ["server.port", "network.peer.port"] {
                ensure!(span.number(port) == Some(model.port.into()), "{span:#?}");
            }
        }
    }
    Ok(())
}
