//! Every kind of exchange from several programs at once: each paired, and right to the byte.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, ensure};
use llmtap_tests::{
    Lab, Running,
    mixed::{Call, Exchange, Load, Programs, Recorded, all_right, every_span},
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

#[test]
fn every_exchange_is_paired_and_right() -> Result<()> {
    let mixed = Mixed::start()?;
    let file = mixed.lab.file("mixed.rec");
    let recorder = mixed.lab.recorder(&file, &mixed.command);
    let ended = Running::start(recorder)?.finish(LIMIT)?.success()?;
    no_bytes_lost(&ended.errors)?;
    ensure!(ended.peak_memory < MEMORY, "{} KiB resident", ended.peak_memory);

    let (truth, plans) = (mixed.truth()?, mixed.plans());
    all_right(&Recorded::read(&file)?, truth, &plans)
}

#[test]
fn every_llm_call_is_a_span() -> Result<()> {
    let mixed = Mixed::start()?;
    let trace = mixed.lab.tracer().run(&mixed.command)?;
    ensure!(trace.status.success(), "{}: {}", trace.status, trace.errors);
    mixed.truth()?;
    no_bytes_lost(&trace.errors)?;
    ensure!(trace.peak_memory < MEMORY, "{} KiB resident", trace.peak_memory);
    every_span(&trace.spans, mixed.load.calls())
}

#[test]
fn replay_of_every_llm_call_is_the_same() -> Result<()> {
    let mixed = Mixed::start()?;
    let file = mixed.lab.file("mixed.rec");
    let live = mixed.lab.tracer().arg("--record").arg(&file).run(&mixed.command)?;
    ensure!(live.status.success(), "{}: {}", live.status, live.errors);
    no_bytes_lost(&live.errors)?;
    every_span(&live.spans, mixed.load.calls())?;
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
