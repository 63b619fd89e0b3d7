//! One SDK's calls against a server that gives back the answers, with the tracer around its program.
//! Takes an [`Sdk`] and how many recordings to play; gives what the SDK said, and the spans.
//! Every case has a port of its own, by which its spans are found. Hosts keep their names: the client
//! runs in a mount namespace whose `/etc/hosts` has them on loopback.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{Exchange, Runtime, Sdk, table::Call};
use crate::{Lab, Record, Running, Span, Trace, records};

/// Recordings that a call is played with, whole, as a stream and failed each; all with `--full`.
const RECORDINGS: usize = 5;
/// What the server answers where it was asked too often.
pub(super) const SURPLUS: u16 = 599;
const START: Duration = Duration::from_secs(30);

/// One call as it was planned.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// In the order of the requests.
    pub answers: Vec<Exchange>,
    pub asynchronous: bool,
    call: &'static str,
}

/// One call, and what came of it.
#[derive(Debug)]
pub struct Played {
    pub case: Case,
    /// What the SDK's object says.
    pub said: Record,
    /// What the server did, a record a request.
    pub served: Vec<Record>,
    /// In the order of their starts.
    pub spans: Vec<Span>,
}

/// Makes all calls of an SDK.
///
/// # Errors
/// Something did not run, or ended otherwise than it should.
pub fn play(sdk: &Sdk) -> Result<(Vec<Played>, Trace)> {
    let cases = cases(sdk)?;
    let hosts: BTreeSet<&str> =
        cases.iter().flat_map(|case| &case.answers).map(|answer| answer.host.as_str()).collect();
    let hosts: Vec<_> = hosts.into_iter().filter(|host| *host != "127.0.0.1").collect();
    let lab = Lab::open_for(&hosts)?;
    let (_server, ports, log) = serve(&lab, &cases)?;
    let jobs = lab.file("jobs.jsonl");
    write_lines(&jobs, cases.iter().map(|case| job(sdk, case, ports[&case.name])))?;
    let names = lab.file("hosts");
    fs::write(&names, format!("127.0.0.1 localhost {}\n", hosts.join(" ")))?;
    let client = client(&lab, sdk.runtime, &jobs)?;
    let trace = lab.tracer_where(&names).arg("--capture-content").run(&client)?;
    ensure!(trace.status.success(), "{}: {}\n{}", trace.status, trace.errors, trace.output);
    let played = gather(cases, &ports, &trace, &fs::read_to_string(&log)?)?;
    Ok((played, trace))
}

fn cases(sdk: &Sdk) -> Result<Vec<Case>> {
    let (own, recorded) = (Exchange::own()?, Exchange::recorded()?);
    let mut cases = Vec::new();
    let mut add = |call: &Call, answers: Vec<Exchange>, asynchronous: bool| {
        let manner = if asynchronous { "async" } else { "sync" };
        let exchanges: Vec<_> = answers.iter().map(|answer| answer.name.as_str()).collect();
        let exchanges = exchanges.join("+");
        let name = format!("{} {} {manner} {exchanges}", sdk.name, call.name);
        cases.push(Case { name, answers, asynchronous, call: call.name });
    };
    for call in sdk.calls {
        for (at, asynchronous) in sdk.asynchronous.iter().enumerate() {
            for exchange in own.iter().filter(|exchange| call.takes(exchange)) {
                add(call, vec![exchange.clone()], *asynchronous);
            }
            for exchange in chosen(call, recorded, at, sdk.asynchronous.len()) {
                add(call, vec![exchange.clone()], *asynchronous);
            }
        }
    }
    for (first, then) in sdk.retried {
        let find = |name: &str| own.iter().find(|exchange| exchange.name == name).context("retry");
        let (first, then) = (find(first)?, find(then)?);
        let call = sdk.calls.iter().find(|call| call.takes(then)).context("whose call?")?;
        for asynchronous in sdk.asynchronous {
            add(call, vec![first.clone(), then.clone()], *asynchronous);
        }
    }
    Ok(cases)
}

/// Recordings for one manner of a call: a stride of each kind, other ones for each of the manners.
fn chosen<'a>(
    call: &Call,
    recorded: &'a [Exchange],
    manner: usize,
    manners: usize,
) -> Vec<&'a Exchange> {
    let full = env::var_os("LLMTAP_FULL").is_some();
    let mut found = Vec::new();
    for (failed, streams) in [(false, false), (false, true), (true, false)] {
        let fits = |exchange: &&Exchange| {
            call.takes(exchange) && exchange.failed() == failed && exchange.streams() == streams
        };
        let all: Vec<_> = recorded.iter().filter(fits).collect();
        let step = if full { 1 } else { all.len().div_ceil(RECORDINGS * manners).max(1) * manners };
        let from = if full { 0 } else { manner * step / manners };
        // Where there are fewer than manners, each has them all.
        let few = !full && all.len() < manners;
        found.extend(all.into_iter().skip(if few { 0 } else { from }).step_by(step));
    }
    found
}

fn serve(
    lab: &Lab,
    cases: &[Case],
) -> Result<(Running, BTreeMap<String, u16>, std::path::PathBuf)> {
    let (plan, log) = (lab.file("plan.jsonl"), lab.file("served.jsonl"));
    let answer = |answer: &Exchange| {
        json!({
            "status": answer.status,
            "headers": answer.headers,
            "body": BASE64_STANDARD.encode(&answer.body),
        })
    };
    write_lines(
        &plan,
        cases.iter().map(|case| {
            let answers: Vec<_> = case.answers.iter().map(answer).collect();
            json!({"case": case.name, "answers": answers})
        }),
    )?;
    let mut command = lab.sdks_python("replay.py")?;
    command.args([&lab.authority.certificate, &lab.authority.key, &plan, &log]);
    let server = Running::start(command)?;
    let line = server
        .output
        .wait_for(START, |line| line.starts_with('{'))
        .with_context(|| server.errors.text())?;
    Ok((server, serde_json::from_str(&line)?, log))
}

/// What the client is told, see `job.py`.
fn job(sdk: &Sdk, case: &Case, port: u16) -> Value {
    // Of a case with several answers the last one's request is made.
    let exchange = case.answers.last();
    exchange.map_or(Value::Null, |exchange| {
        json!({
            "case": case.name,
            "sdk": sdk.name,
            "call": case.call,
            "url": format!("https://{}:{port}", exchange.host),
            "path": exchange.path,
            "request": exchange.request,
            "stream": exchange.streams(),
            "asynchronous": case.asynchronous,
            "retries": case.answers.len() - 1,
        })
    })
}

pub(super) fn client(lab: &Lab, runtime: Runtime, jobs: &Path) -> Result<Command> {
    let mut command = match runtime {
        Runtime::Python => lab.sdks_python("client.py")?,
        Runtime::Node => lab.node("sdks/client.cjs", &[]),
    };
    command.arg(jobs);
    Ok(command)
}

fn gather(
    cases: Vec<Case>,
    ports: &BTreeMap<String, u16>,
    trace: &Trace,
    log: &str,
) -> Result<Vec<Played>> {
    let mut said = by_case(&trace.output);
    let mut served = by_case(log);
    let mut spans: BTreeMap<u16, Vec<Span>> = BTreeMap::new();
    for span in &trace.spans {
        let port = span.number("server.port").and_then(|port| u16::try_from(port).ok());
        let port = port.with_context(|| format!("a span without a port: {span:#?}"))?;
        spans.entry(port).or_default().push(span.clone());
    }
    let mut played = Vec::new();
    for case in cases {
        let mut spans = spans.remove(&ports[&case.name]).unwrap_or_default();
        spans.sort_by_key(|span| span.start);
        let said = said.remove(&case.name).unwrap_or_default().pop();
        let said = said.with_context(|| format!("{}: no word from the SDK", case.name))?;
        let served = served.remove(&case.name).unwrap_or_default();
        played.push(Played { case, said, served, spans });
    }
    ensure!(spans.is_empty(), "spans of ports that are no case's: {spans:#?}");
    Ok(played)
}

fn by_case(lines: &str) -> BTreeMap<String, Vec<Record>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in records(lines) {
        let case = record["case"].as_str().unwrap_or_default().to_owned();
        found.entry(case).or_default().push(record);
    }
    found
}

pub(super) fn write_lines(file: &Path, lines: impl Iterator<Item = Value>) -> Result<()> {
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    fs::write(file, text).with_context(|| format!("can't write {}", file.display()))
}
