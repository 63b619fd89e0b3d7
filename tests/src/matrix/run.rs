//! Runs one row: the program under the tracer, and what the server logged against what was seen.
//! Takes its name; leaves its outcome for the page, right or wrong.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::{
    agent::{Agent, every_answer},
    clients::{self, Client, Start},
    gateways::Gateway,
    grpc,
    load::load,
    outcome::{self, Outcome},
    part::{Part, Parts},
    rows::{Row, Work},
};
use crate::{
    Lab, Running, Trace, Tracer,
    mixed::{self, Protocol, Recorded, every_span},
    no_bytes_lost_but, wait_until,
};

const LIMIT: Duration = Duration::from_secs(120);

/// Clients of gRPC's connections, besides the first.
const GRPC_CONNECTIONS: &str = "20";

/// Programs of this crate, which only a test knows the paths of.
#[derive(Clone, Copy, Debug)]
pub struct Programs<'a> {
    pub server: &'a Path,
    /// Calls a gateway, and is not traced.
    pub client: &'a Path,
}

/// # Errors
/// The row is not right; its outcome says so too.
pub fn run(name: &str, programs: Programs<'_>) -> Result<()> {
    let row = Row::of(name).with_context(|| format!("there is no row {name}"))?;
    let parts = Parts::find()?;
    let part = parts.of(name)?;
    clients::is_there(&part.program)?;
    let mut outcome =
        Outcome { version: part.version.clone(), day: today()?, ..Outcome::default() };
    let mut result = Ok(());
    for &protocol in row.protocols {
        result = one(row, part, protocol, programs, &mut outcome)
            .with_context(|| format!("{name}, {}", named(protocol)));
        if let Err(error) = &result {
            // What follows is for whoever mends it; the page has the sentence.
            let all = format!("{error:#}");
            outcome.failure =
                Some(all.lines().next().unwrap_or_default().chars().take(200).collect());
            break;
        }
        outcome.protocols.push(named(protocol).to_owned());
    }
    outcome.keep(&parts, name)?;
    result
}

fn named(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 | Protocol::Pipelined => "HTTP/1.1",
        Protocol::Http2 => "HTTP/2",
        Protocol::WebSocket => "WebSocket",
    }
}

fn today() -> Result<String> {
    let mut date = Command::new("date");
    date.args(["-u", "+%F"]);
    Ok(Running::start(date)?.finish(LIMIT)?.success()?.output.trim().to_owned())
}

fn one(
    row: &Row,
    part: &Part,
    protocol: Protocol,
    programs: Programs<'_>,
    outcome: &mut Outcome,
) -> Result<()> {
    match row.work {
        Work::Client(client) => of_client(client, None, part, protocol, programs, outcome),
        Work::Tunnelled(client) => {
            let mut proxy = Command::new(crate::Parts::find()?.python);
            proxy.arg(crate::Parts::program("matrix/connect_proxy.py"));
            let proxy = Running::start(proxy)?;
            of_client(client, Some(proxy.port()?), part, protocol, programs, outcome)
        }
        Work::Gateway(gateway) => of_gateway(gateway, part, protocol, programs, outcome),
        Work::Grpc => of_grpc(part, outcome),
        Work::Agent(agent) => of_agent(agent, part, outcome),
        Work::Absent => anyhow::bail!("there is nothing to run"),
    }
}

/// A tracer that says which files it put probes into.
fn tracer(lab: &Lab) -> Tracer {
    lab.tracer().env("LLMTAP_LOG", "warn,llmtap=info,llmtap::session::attach=debug")
}

/// Bytes of a GOAWAY frame without debug data (RFC 9113 §6.8): a peer that ends its connection sends
/// one, and a gateway may have closed it before it reads that.
const GOAWAY: u64 = 17;

/// What every row holds of a run. `late`: bytes that may come after the program closed a connection.
fn ended_well(trace: &Trace, late: u64, outcome: &mut Outcome) -> Result<()> {
    outcome.add_found(outcome::found(&trace.errors)?);
    ensure!(trace.status.success(), "{}: {}\n{}", trace.status, trace.output, trace.errors);
    no_bytes_lost_but(&trace.errors, late)
}

fn of_client(
    client: Client,
    proxy: Option<u16>,
    part: &Part,
    protocol: Protocol,
    programs: Programs<'_>,
    outcome: &mut Outcome,
) -> Result<()> {
    let lab = Lab::open()?;
    let connections = load(protocol);
    let (server, log) = lab.serve(Command::new(programs.server))?;
    let start = Start { lab: &lab, part, port: server.port()?, connections: &connections, proxy };
    let file = lab.file("matrix.rec");
    let trace = tracer(&lab).arg("--record").arg(&file).run(&client(&start)?)?;
    ended_well(&trace, 0, outcome)?;
    let truth = mixed::every_call_logged(&log, &connections)?;
    let wanted = if protocol == Protocol::Http2 { "HTTP/2.0" } else { "HTTP/1.1" };
    ensure!(truth.values().all(|one| one.protocol == wanted), "not spoken: {wanted}");
    outcome.exchanges += truth.len();
    mixed::recording_is_right(&file, truth, &connections).with_context(|| trace.errors.clone())?;
    every_span(&trace.spans, mixed::calls(&connections))
}

fn of_gateway(
    gateway: Gateway,
    part: &Part,
    protocol: Protocol,
    programs: Programs<'_>,
    outcome: &mut Outcome,
) -> Result<()> {
    let lab = Lab::open()?;
    let connections = load(protocol);
    let (server, log) = lab.serve(Command::new(programs.server))?;
    let (command, port) = gateway(&lab, part, server.port()?)?;
    let file = lab.file("matrix.rec");
    let traced = tracer(&lab).arg("--record").arg(&file).start(&command)?;
    wait_until("the gateway", LIMIT, || std::net::TcpStream::connect(("localhost", port)).ok())?;
    let mut client = Command::new(programs.client);
    client.arg(port.to_string()).arg(mixed::job(&lab, &connections)?);
    lab.authority.trust(&mut client);
    Running::start(client)?.finish(LIMIT)?.success()?;
    let trace = traced.end_with(Signal::TERM)?;
    ended_well(&trace, GOAWAY * connections.len() as u64, outcome)?;
    let truth = mixed::every_call_logged(&log, &connections)?;
    outcome.exchanges += 2 * truth.len();
    mixed::both_legs(&Recorded::read(&file)?, &truth).with_context(|| trace.errors.clone())
}

fn of_grpc(part: &Part, outcome: &mut Outcome) -> Result<()> {
    let lab = Lab::open()?;
    let (server, log) = lab.serve(lab.python("grpc_server.py", &[]))?;
    let mut client = Command::new(&part.program);
    client.arg(crate::Parts::program("python/grpc_client.py"));
    client.arg(server.port()?.to_string()).arg(GRPC_CONNECTIONS);
    if let Ok(folder) = part.library() {
        client.env("PYTHONPATH", folder);
    }
    lab.authority.trust(&mut client);
    let trace = tracer(&lab).run(&client)?;
    ended_well(&trace, 0, outcome)?;
    trace.nothing_lost()?;
    outcome.exchanges +=
        grpc::compare(&trace.spans, &trace.output, &log).with_context(|| trace.errors.clone())?;
    Ok(())
}

fn of_agent(agent: Agent, part: &Part, outcome: &mut Outcome) -> Result<()> {
    let lab = Lab::open()?;
    let (server, log) = agent.serve(&lab)?;
    let trace = tracer(&lab).run(&agent.command(&lab, &part.program, server.port()?)?)?;
    ended_well(&trace, 0, outcome)?;
    trace.nothing_lost()?;
    outcome.exchanges += every_answer(&trace.spans, &log)
        .with_context(|| format!("{}\n{}", trace.output, trace.errors))?;
    Ok(())
}
