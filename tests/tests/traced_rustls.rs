//! Programs that hold rustls, which is found by its code: HTTP/1.1 and HTTP/2, one connection and many.
//!
//! What the program is depends on provider and way of building (`xtask/src/setup/rustls.rs`): every test
//! of the own client runs with each of them and says which one it was.

use std::{
    collections::{HashMap, HashSet},
    env, fs,
    fs::File,
    io::BufReader,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use llmtap::{
    capture::{Event, Origin},
    recording::{Item, Reader},
};
use llmtap_tests::{
    Lab, Running, differences,
    mixed::{Call, Connection, Exchange, Form, Protocol, Recorded, all_right, every_span},
    no_bytes_lost, records,
};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(120);

/// Connections of each protocol, all at once, and the calls on each.
const CONNECTIONS: [(Protocol, usize, usize); 2] =
    [(Protocol::Http1, 20, 6), (Protocol::Http2, 4, 2 * Connection::STREAMS)];

/// Of the calls that a client can leave (over HTTP/1.1 the last of a connection), one in so many is.
const LEAVE: [u64; 2] = [3, 15];

/// Bytes of the request's text that is too large for a TLS record, and many times so.
const LARGE: usize = 1 << 20;

fn variable(name: &str) -> Result<PathBuf> {
    let value = env::var_os(name).with_context(|| {
        format!("{name} is not set: run this by `cargo xtask test traced_rustls`")
    })?;
    Ok(value.into())
}

/// Does it with every program there is; `act` gets the program.
fn with_each(act: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let folder = variable("LLMTAP_RUSTLS")?;
    let mut programs: Vec<_> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    programs.sort();
    ensure!(!programs.is_empty(), "no program in {}", folder.display());
    for program in programs {
        println!("with {}", program.display());
        act(&program).with_context(|| program.display().to_string())?;
    }
    Ok(())
}

fn load() -> Result<Vec<Connection>> {
    let mut numbers = 1..;
    let mut connections = Vec::new();
    for ((protocol, count, calls), leave) in CONNECTIONS.into_iter().zip(LEAVE) {
        for _ in 0..count {
            let calls = numbers.by_ref().take(calls).map(Call::of);
            let mut calls = calls.collect::<Result<Vec<_>, _>>()?;
            let last = calls.len() - 1;
            for (index, call) in calls.iter_mut().enumerate() {
                let may_leave = protocol == Protocol::Http2 || index == last;
                call.plan.hangs = may_leave
                    && call.plan.number % leave == 0
                    && call.plan.status == 200
                    && call.method != "HEAD";
                if call.plan.hangs {
                    // One to send, and one that never comes.
                    call.plan.pieces = call.plan.pieces.max(2);
                }
            }
            connections.push(Connection { protocol, calls });
        }
        let of_protocol = connections.iter_mut().rev().take(count);
        let mut calls = of_protocol.flat_map(|connection| &mut connection.calls);
        enlarge(calls.find(|call| call.plan.form == Form::Chat).context("no chat")?);
    }
    Ok(connections)
}

fn enlarge(call: &mut Call) {
    let body = json!({
        "model": format!("model-{}", call.plan.number % 5),
        "max_tokens": call.plan.number,
        "user": call.plan.id,
        "messages": [{"role": "user", "content": "l".repeat(LARGE)}],
    });
    call.body = vec![STANDARD.encode(body.to_string())];
    call.headers.retain(|(name, _)| name != "content-encoding");
}

fn calls(connections: &[Connection]) -> impl Iterator<Item = &Call> {
    connections.iter().flat_map(|connection| &connection.calls)
}

/// The client as `xtask` built it; `newest`: the newest TLS that it speaks, or whatever it does.
fn client(
    lab: &Lab,
    program: &Path,
    port: u16,
    connections: &[Connection],
    newest: Option<&str>,
) -> Result<Command> {
    let lines: Vec<_> = connections.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let job = lab.file("job.jsonl");
    fs::write(&job, lines.join("\n"))?;
    let mut command = Command::new(program);
    command.arg(port.to_string()).arg(job).args(newest);
    lab.authority.trust(&mut command);
    Ok(command)
}

/// What the server logged has every call.
fn logged(log: &Path, connections: &[Connection]) -> Result<HashMap<String, Exchange>> {
    let truth = Exchange::logged(log)?;
    let planned = calls(connections).count();
    ensure!(truth.len() == planned, "{} of {planned} calls reached the server", truth.len());
    Ok(truth)
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
    let least: usize = CONNECTIONS.iter().map(|(_, count, _)| count).sum();
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
        let plans = calls(&connections).map(|call| (call.plan.id.as_str(), call)).collect();
        all_right(&Recorded::read(&file)?, logged(&log, &connections)?, &plans)?;
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
            logged(&log, &connections)?;
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
    let (server, log) = lab.serve(lab.python("responses.py", &[]))?;
    let home = lab.folder().join("codex");
    fs::create_dir_all(&home)?;
    let configuration = format!(
        "model = \"model-1\"\nmodel_provider = \"test\"\n[model_providers.test]\nname = \"test\"\n\
         base_url = \"https://localhost:{}/v1\"\nwire_api = \"responses\"\nenv_key = \"TEST_KEY\"\n\
         request_max_retries = 0\nstream_max_retries = 0\n",
        server.port()?
    );
    fs::write(home.join("config.toml"), configuration)?;
    let mut command = Command::new(variable("LLMTAP_CODEX")?);
    command.args(["exec", "--skip-git-repo-check", "--cd"]).arg(lab.folder()).arg("say done");
    command.env("CODEX_HOME", &home).env("TEST_KEY", "none");
    lab.authority.trust(&mut command);
    command.env("CODEX_CA_CERTIFICATE", &lab.authority.root);
    let trace = lab.tracer().run(&command)?;
    ensure!(trace.status.success(), "{}: {}", trace.status, trace.errors);
    no_bytes_lost(&trace.errors)?;
    let asked: Vec<_> = records(&fs::read_to_string(log)?)
        .into_iter()
        .filter(|record| record["path"] == "/v1/responses")
        .collect();
    ensure!(!asked.is_empty(), "Codex asked for nothing: {}", trace.errors);
    for record in &asked {
        let span = trace.span(record["response_id"].as_str().context("no id")?)?;
        let number = record["number"].as_i64().context("no number")?;
        ensure!(span.text("gen_ai.request.model") == Some("model-1"), "{span:#?}");
        ensure!(span.number("gen_ai.usage.input_tokens") == Some(1000 + number), "{span:#?}");
        ensure!(span.number("gen_ai.usage.output_tokens") == Some(2000 + number), "{span:#?}");
    }
    ensure!(trace.spans.len() == asked.len(), "{:#?}", trace.spans);
    Ok(())
}
