//! Programs that hold rustls, which is found by its code: HTTP/1.1 and HTTP/2, one connection and many.
//!
//! What the program is depends on provider and way of building (`xtask/src/setup/rustls.rs`): every test
//! of the own client runs with each of them and says which one it was.

use std::{
    collections::HashSet,
    env,
    fs::File,
    io::BufReader,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use llmtap::{
    capture::{Event, Origin},
    recording::{Item, Reader},
};
use llmtap_tests::{
    Lab, Running, differences,
    matrix::{CODEX, every_answer},
    mixed::{
        self, Connection, Count, both_versions, calls, every_call_logged, every_span, job,
        recording_is_right,
    },
    no_bytes_lost, records,
};

const LIMIT: Duration = Duration::from_secs(120);

fn variable(name: &str) -> Result<PathBuf> {
    let value = env::var_os(name).with_context(|| {
        format!("{name} is not set: run this by `cargo xtask test traced_rustls`")
    })?;
    Ok(value.into())
}

/// Over HTTP/1.1 and HTTP/2.
const LOAD: [Count; 2] =
    [Count { connections: 20, calls: 6 }, Count { connections: 4, calls: 2 * Connection::STREAMS }];

/// Does it with every program there is.
fn with_each(act: impl Fn(&Path) -> Result<()>) -> Result<()> {
    mixed::with_each("LLMTAP_RUSTLS", act)
}

fn load() -> Result<Vec<Connection>> {
    both_versions(LOAD, |_| Ok(()))
}

/// The client as `xtask` built it; `newest`: the newest TLS that it speaks, or whatever it does.
fn client(
    lab: &Lab,
    program: &Path,
    port: u16,
    connections: &[Connection],
    newest: Option<&str>,
) -> Result<Command> {
    let mut command = Command::new(program);
    command.arg(port.to_string()).arg(job(lab, connections)?).args(newest);
    lab.authority.trust(&mut command);
    Ok(command)
}

/// Every connection was there from its first byte, and the far end of each that carried something is the
/// server. A client that makes one too many closes it unused; its socket is not asked for.
fn connections_are_whole(file: &Path, port: u16) -> Result<()> {
    let (mut opened, mut known, mut used) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut reader = Reader::open(BufReader::new(File::open(file)?))?;
    while let Some(item) = reader.next_item()? {
        let Item::Event(event) = item else { continue };
        match event {
            Event::Opened(one) => {
                ensure!(one.origin == Origin::Created, "{one:?}");
                opened.insert(one.connection);
            }
            Event::Addresses { connection, addresses } => {
                ensure!(addresses.peer == (Ipv4Addr::LOCALHOST, port).into(), "{addresses:?}");
                known.insert(connection);
            }
            Event::Segment(segment) => {
                used.insert(segment.connection);
            }
            _ => {}
        }
    }
    let least: usize = LOAD.iter().map(|count| count.connections).sum();
    ensure!(used.len() >= least, "{} connections", used.len());
    ensure!(used.is_subset(&opened), "{} of {} opened", opened.len(), used.len());
    ensure!(used.is_subset(&known), "{} of {} have addresses", known.len(), used.len());
    Ok(())
}

#[test]
fn every_exchange_of_a_client_is_right() -> Result<()> {
    with_each(|program| {
        let lab = Lab::open()?;
        let connections = load()?;
        let (server, log) = lab.serve(Command::new(env!("CARGO_BIN_EXE_mixed_server")))?;
        let port = server.port()?;
        let command = client(&lab, program, port, &connections, None)?;
        let file = lab.file("client.rec");
        let ended = Running::start(lab.recorder(&file, &command))?.finish(LIMIT)?.success()?;
        no_bytes_lost(&ended.errors)?;
        recording_is_right(&file, every_call_logged(&log, &connections)?, &connections)?;
        connections_are_whole(&file, port)
    })
}

#[test]
fn every_llm_call_of_a_client_is_a_span() -> Result<()> {
    for newest in [None, Some("1.2")] {
        with_each(|program| {
            let lab = Lab::open()?;
            let connections = load()?;
            let (server, log) = lab.serve(Command::new(env!("CARGO_BIN_EXE_mixed_server")))?;
            let command = client(&lab, program, server.port()?, &connections, newest)?;
            let trace = lab.tracer().run(&command)?;
            ensure!(trace.status.success(), "{}: {}", trace.status, trace.errors);
            every_call_logged(&log, &connections)?;
            no_bytes_lost(&trace.errors)?;
            every_span(&trace.spans, calls(&connections))
        })
        .with_context(|| format!("newest TLS: {newest:?}"))?;
    }
    Ok(())
}

/// A program of others, from threads that share what it schedules on.
#[test]
fn primp_loses_nothing() -> Result<()> {
    for options in [r#"{"chunks": 10, "delay_ms": 5}"#, r#"{"body_bytes": 1048576}"#] {
        let lab = Lab::open()?;
        let server = lab.server()?;
        let mut command =
            lab.python("load_primp.py", &[&server.port.to_string(), "20", "4", options]);
        command.env("PYTHONPATH", variable("LLMTAP_PRIMP")?);
        let trace = lab.tracer().run(&command)?;
        let calls = records(&trace.output);
        ensure!(calls.len() == 80, "{} calls: {}", calls.len(), trace.errors);
        let wrong = differences(&trace.spans, &calls);
        ensure!(wrong.is_empty(), "{} differences, the first: {:#?}", wrong.len(), &wrong[..1]);
        trace.nothing_lost()?;
    }
    Ok(())
}

/// The largest program of others that there is, with nothing but the code to find rustls by.
#[test]
fn codex_is_seen() -> Result<()> {
    let lab = Lab::open()?;
    let (server, log) = CODEX.serve(&lab)?;
    let command = CODEX.command(&lab, &variable("LLMTAP_CODEX")?, server.port()?)?;
    let trace = lab.tracer().run(&command)?;
    ensure!(trace.status.success(), "{}: {}", trace.status, trace.errors);
    no_bytes_lost(&trace.errors)?;
    every_answer(&trace.spans, &log).with_context(|| trace.errors.clone())?;
    for span in &trace.spans {
        ensure!(span.text("gen_ai.request.model") == Some("model-1"), "{span:#?}");
    }
    Ok(())
}
