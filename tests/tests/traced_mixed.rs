//! Every kind of exchange from several programs at once: each paired, and right to the byte.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use llmtap::http::{Counts, Ended};
use llmtap_tests::{
    Lab, Running, Span, Trace,
    mixed::{Call, Coding, Exchange, Form, Load, Programs, Recorded, Seen, answer, decode, encode},
    no_bytes_lost,
};

/// KiB that the tracer may have resident at most: its ring of 32 MiB is mapped twice.
const MEMORY: u64 = 200 * 1024;
const LIMIT: Duration = Duration::from_secs(600);

/// The load and its servers.
struct Mixed {
    lab: Lab,
    load: Load,
    command: Command,
    logs: [PathBuf; 2],
    servers: [Running; 2],
}

impl Mixed {
    /// A tenth, or all by `cargo xtask test --full`.
    fn start() -> Result<Self> {
        let lab = Lab::open()?;
        let load = Load::of(if env::var_os("LLMTAP_FULL").is_some() { 10 } else { 1 })?;
        let (server, log) = lab.serve(Command::new(env!("CARGO_BIN_EXE_mixed_server")))?;
        let (sockets, socket_log) = lab.serve(lab.python("mixed_sockets.py", &[]))?;
        let (servers, logs) = ([server, sockets], [log, socket_log]);
        let command = load.command(Programs {
            lab: &lab,
            rust: Path::new(env!("CARGO_BIN_EXE_mixed_client")),
            port: servers[0].port()?,
            socket_port: servers[1].port()?,
        })?;
        Ok(Self { lab, load, command, logs, servers })
    }

    /// What the servers logged, by id.
    fn truth(&self) -> Result<HashMap<String, Exchange>> {
        let mut truth = HashMap::new();
        for (server, log) in self.servers.iter().zip(&self.logs) {
            ensure!(!server.errors.text().contains("rror"), "{}", server.errors.text());
            truth.extend(Exchange::logged(log)?);
        }
        let planned = self.load.calls().count();
        ensure!(truth.len() == planned, "{} of {planned} calls reached a server", truth.len());
        Ok(truth)
    }

    fn plans(&self) -> HashMap<&str, &Call> {
        self.load.calls().map(|call| (call.plan.id.as_str(), call)).collect()
    }
}

/// All that is not as the server has it.
fn differences(seen: &Seen, call: &Call, truth: &Exchange) -> Vec<String> {
    let plan = &call.plan;
    let mut found = Vec::new();
    let mut hold = |fits: bool, what: &str| {
        if !fits {
            found.push(format!("{}: {what}: {seen:?}\n  the server has {truth:?}", plan.id));
        }
    };
    hold(seen.ids == (plan.id.clone(), plan.id.clone()), "the response is another request's");
    hold(seen.end.missing_request + seen.end.missing_response == 0, "bytes are missing");
    hold(!seen.end.joined_late, "joined late");
    let messages = if plan.status == 101 { plan.pieces } else { 0 };
    hold(seen.messages == (messages, messages), "messages of the WebSocket");
    if !plan.hangs {
        hold(seen.exchange == *truth, "not what was sent");
        hold(seen.end.how == Ended::Complete, "not whole");
        return found;
    }
    let so_far = Exchange { response: seen.exchange.response, ..truth.clone() };
    hold(seen.exchange == so_far, "not what was sent");
    // Lost: data that still came made the library fail while the client was closing.
    let left =
        matches!(seen.end.how, Ended::ClientGone | Ended::StreamReset(8) | Ended::ConnectionLost);
    hold(left, "the client left");
    found
}

/// The pieces that the server sent of an answer, before their coding.
fn sent(call: &Call) -> Result<Vec<Vec<u8>>> {
    let coding = call.headers.iter().find(|(name, _)| name == "content-encoding");
    let coding = Coding::of_name(coding.map(|(_, value)| value.as_str()));
    let request = decode(coding.context("what coding?")?, &call.pieces()?.concat())?;
    answer(&call.plan, &call.method, &request)
}

fn told(differences: &[String], of: usize) -> Result<()> {
    let shown = &differences[..differences.len().min(10)];
    ensure!(differences.is_empty(), "{} of {of} differ: {shown:#?}", differences.len());
    Ok(())
}

#[test]
fn every_exchange_is_paired_and_right() -> Result<()> {
    let mixed = Mixed::start()?;
    let file = mixed.lab.file("mixed.rec");
    let recorder = mixed.lab.recorder(&file, &mixed.command);
    let ended = Running::start(recorder)?.finish(LIMIT)?.success()?;
    no_bytes_lost(&ended.errors)?;
    ensure!(ended.peak_memory < MEMORY, "{} KiB resident", ended.peak_memory);

    let (mut truth, plans) = (mixed.truth()?, mixed.plans());
    let recorded = Recorded::read(&file)?;
    let total = truth.len();
    let mut wrong = Vec::new();
    // What may come of a stream after its client has reset it belongs to no exchange (RFC 9113 §5.1).
    let mut in_flight = 0;
    for seen in &recorded.seen {
        let id = &seen.exchange.id;
        let (Some(truth), Some(call)) = (truth.remove(id), plans.get(id.as_str())) else {
            wrong.push(format!("seen twice, or never asked: {seen:?}"));
            continue;
        };
        wrong.extend(differences(seen, call, &truth));
        if call.plan.hangs {
            let sent = sent(call)?;
            if !sent.concat().starts_with(&seen.body) {
                wrong.push(format!("not what was sent so far: {seen:?}"));
            }
            in_flight += encode(call.plan.coding, &sent)?.concat().len() as u64;
        }
    }
    wrong.extend(truth.keys().map(|id| format!("{id} was not seen")));
    told(&wrong, total)?;
    ensure!(recorded.left_over == 0, "{} connections are left over", recorded.left_over);
    let Counts { skipped_bytes, .. } = recorded.counts;
    ensure!(skipped_bytes <= in_flight, "{skipped_bytes} bytes were skipped, of {in_flight}");
    let counts = Counts { exchanges: total as u64, skipped_bytes, ..Counts::default() };
    ensure!(recorded.counts == counts, "{:?}", recorded.counts);
    Ok(())
}

fn span_differences(span: &Span, call: &Call) -> Vec<String> {
    let plan = &call.plan;
    let (input, output) = plan.tokens();
    let whole = plan.status == 200 && !plan.hangs;
    let mut found = Vec::new();
    let mut hold = |fits: bool, what: &str| {
        if !fits {
            found.push(format!("{}: {what}: {span:#?}", plan.id));
        }
    };
    let model = format!("model-{}", plan.number % 5);
    hold(span.text("gen_ai.request.model") == Some(&model), "model");
    let number = |name| span.number(name).and_then(|number| u64::try_from(number).ok());
    let reported = |count| whole.then_some(count);
    hold(number("gen_ai.usage.input_tokens") == reported(input), "input tokens");
    hold(number("gen_ai.usage.output_tokens") == reported(output), "output tokens");
    let errors: &[_] = match plan.status {
        // Left with its connection, or with its stream alone (as in `differences`).
        200 if plan.hangs => &[Some("cancelled"), Some("stream_reset"), Some("connection_lost")],
        200 => &[None],
        // The code in the answer's body.
        _ => &[Some("told")],
    };
    hold(errors.contains(&span.text("error.type")), "error");
    hold(number("http.response.status_code") == Some(plan.status.into()), "status");
    if whole {
        hold(span.text("gen_ai.response.id") == Some(&plan.response_id()), "response");
        let surplus = |name: &String| name.starts_with("llmtap.capture.") || name == "llmtap.ended";
        hold(!span.attributes.keys().any(surplus), "not whole");
    }
    found
}

fn every_span(trace: &Trace, mixed: &Mixed) -> Result<()> {
    // The request's bound of tokens is the call's number, which no other call has.
    let mut calls: HashMap<i64, &Call> = mixed
        .load
        .calls()
        .filter(|call| call.plan.form == Form::Chat)
        .map(|call| (call.plan.number as i64, call))
        .collect();
    let total = calls.len();
    let mut wrong = Vec::new();
    for span in &trace.spans {
        let number = span.number("gen_ai.request.max_tokens");
        match number.and_then(|number| calls.remove(&number)) {
            Some(call) => wrong.extend(span_differences(span, call)),
            None => wrong.push(format!("a second span, or of no call: {span:#?}")),
        }
    }
    wrong.extend(calls.values().map(|call| format!("{} has no span", call.plan.id)));
    told(&wrong, total)
}

#[test]
fn every_llm_call_is_a_span() -> Result<()> {
    let mixed = Mixed::start()?;
    let trace = mixed.lab.tracer().run(&mixed.command)?;
    ensure!(trace.status.success(), "{}: {}", trace.status, trace.errors);
    mixed.truth()?;
    no_bytes_lost(&trace.errors)?;
    ensure!(trace.peak_memory < MEMORY, "{} KiB resident", trace.peak_memory);
    every_span(&trace, &mixed)
}

#[test]
fn replay_of_every_llm_call_is_the_same() -> Result<()> {
    let mixed = Mixed::start()?;
    let file = mixed.lab.file("mixed.rec");
    let live = mixed.lab.tracer().arg("--record").arg(&file).run(&mixed.command)?;
    ensure!(live.status.success(), "{}: {}", live.status, live.errors);
    no_bytes_lost(&live.errors)?;
    every_span(&live, &mixed)?;
    let mut replay = mixed.lab.llmtap(&["replay", "--output", "otlp-json"]);
    replay.arg(&file);
    let replayed = Running::start(replay)?.finish(LIMIT)?.success()?;
    for (live, replayed) in live.lines.lines().zip(replayed.output.lines()) {
        ensure!(live == replayed, "live:\n{live}\nreplayed:\n{replayed}");
    }
    let (spans, again) = (live.spans.len(), replayed.output.lines().count());
    ensure!(spans == again, "{spans} spans, {again} when replayed");
    Ok(())
}
