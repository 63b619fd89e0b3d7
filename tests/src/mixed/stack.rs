//! What the tests of one TLS library share: its programs, their load, and the verdict on it.
//! Takes the folder of programs that `cargo xtask` built, or connections and what was logged and
//! recorded of them; runs a test with each program, gives the load, or fails with what is wrong.

use std::{collections::HashMap, env, fs, path::Path};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Call, Connection, Exchange, Form, Protocol, Recorded, all_right};

/// Of the calls that a client can leave (over HTTP/1.1 the last of a connection), one in so many is.
const LEAVE: [u64; 2] = [3, 15];

/// Bytes of the request's text that is too large for a TLS record, and many times so.
const LARGE: usize = 1 << 20;

/// Connections and the calls on each, all connections at once.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    pub connections: usize,
    pub calls: usize,
}

/// Does it with every program in the folder that a variable names; `act` gets the program.
///
/// # Errors
/// There is none, or `act` fails with one.
pub fn with_each(variable: &str, act: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let folder = env::var_os(variable)
        .with_context(|| format!("{variable} is not set: run this by `cargo xtask test`"))?;
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

/// Connections of either version of HTTP, some of which are left, and each with a large request.
/// `adjust` gets every call before that.
///
/// # Errors
/// A body could not be encoded, or `adjust` fails.
pub fn both_versions(
    counts: [Count; 2],
    adjust: impl Fn(&mut Call) -> Result<()>,
) -> Result<Vec<Connection>> {
    let mut numbers = 1..;
    let mut connections = Vec::new();
    let versions = [Protocol::Http1, Protocol::Http2];
    for ((protocol, count), leave) in versions.into_iter().zip(counts).zip(LEAVE) {
        for _ in 0..count.connections {
            let calls = numbers.by_ref().take(count.calls).map(Call::of);
            let mut calls = calls.collect::<Result<Vec<_>, _>>()?;
            calls.iter_mut().try_for_each(&adjust)?;
            leave_some(&mut calls, protocol, leave);
            connections.push(Connection { protocol, calls });
        }
        let of_protocol = connections.iter_mut().rev().take(count.connections);
        let mut calls = of_protocol.flat_map(|connection| &mut connection.calls);
        enlarge(calls.find(|call| call.plan.form == Form::Chat).context("no chat")?);
    }
    Ok(connections)
}

fn leave_some(calls: &mut [Call], protocol: Protocol, one_in: u64) {
    let last = calls.len() - 1;
    for (index, call) in calls.iter_mut().enumerate() {
        let may_leave = protocol == Protocol::Http2 || index == last;
        call.plan.hangs = may_leave
            && call.plan.number % one_in == 0
            && call.plan.status == 200
            && call.method != "HEAD";
        if call.plan.hangs {
            // One to send, and one that never comes.
            call.plan.pieces = call.plan.pieces.max(2);
        }
    }
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

pub fn calls(connections: &[Connection]) -> impl Iterator<Item = &Call> {
    connections.iter().flat_map(|connection| &connection.calls)
}

/// What the server logged, which has every call.
///
/// # Errors
/// As [`Exchange::logged`], or calls are missing.
pub fn every_call_logged(
    log: &Path,
    connections: &[Connection],
) -> Result<HashMap<String, Exchange>> {
    let truth = Exchange::logged(log)?;
    let planned = calls(connections).count();
    ensure!(truth.len() == planned, "{} of {planned} calls reached the server", truth.len());
    Ok(truth)
}

/// As [`all_right`], with the plans of the connections' calls.
///
/// # Errors
/// As [`all_right`], or the recording can't be read.
pub fn recording_is_right(
    file: &Path,
    truth: HashMap<String, Exchange>,
    connections: &[Connection],
) -> Result<()> {
    let plans = calls(connections).map(|call| (call.plan.id.as_str(), call)).collect();
    all_right(&Recorded::read(file)?, truth, &plans)
}
