//! What is told of the programs that are traced: held against the sockets that these have.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Attached, Lab, Running, records, wait_until};
use rustix::process::Signal;
use serde_json::Value;

const WAIT: Duration = Duration::from_secs(60);

/// A connection of TLS on which something passes again and again, made anew once the file is there, so
/// that its socket is seen; and a plain one to itself.
const TALKS: &str = "
import http.client, os, socket, ssl, sys, time
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
tls = http.client.HTTPSConnection('127.0.0.1', int(sys.argv[1]), context=ssl._create_unverified_context())
tls.connect()
renewed = False
print('ports', client.getsockname()[1], peer.getsockname()[1], flush=True)
for _ in range(600):
    tls.request('POST', '/v1/chat/completions', '{\"model\":\"m\",\"messages\":[]}', {'x-test': '{}'})
    tls.getresponse().read()
    if not renewed and os.path.exists(sys.argv[2]):
        tls.close()
        renewed = True
    time.sleep(0.1)";

/// Plain connections alone, and no TLS library.
const PLAIN: &str = "
import socket, time
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
print('ports', client.getsockname()[1], client.getpeername()[1], flush=True)
time.sleep(60)";

/// The program, and the ports of both ends of its plain connection.
fn started(lab: &Lab, code: &str, arguments: &[&str]) -> Result<(Running, Vec<u16>)> {
    let mut command = Command::new(&lab.parts.python);
    command.args(["-c", code]).args(arguments);
    let program = Running::start(command)?;
    let ports = program.output.wait_for(WAIT, |line| line.starts_with("ports "))?;
    let ports = ports.split(' ').skip(1).map(str::parse).collect::<Result<_, _>>()?;
    Ok((program, ports))
}

#[test]
fn doctor_tells_which_connections_are_followed() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let renew = lab.file("renew");
    let arguments = [&*server.port.to_string(), &*renew.to_string_lossy()];
    let (program, mut ports) = started(&lab, TALKS, &arguments)?;
    let pid = program.pid().to_string();
    let command = lab.llmtap(&["doctor", "--pid", &pid, "--watch", "3", "--output", "json"]);
    let doctor = Running::start(command)?;
    doctor.errors.wait_for(WAIT, |line| line.starts_with("llmtap: watching 1 "))?;
    fs::write(&renew, "")?;
    let ended = doctor.finish(WAIT)?.success()?;
    let report: Value = serde_json::from_str(&ended.output).context(ended.output)?;
    let told = &report["programs"][0];
    ensure!(told["tcp_connections"]["established"] == 3, "{report:#}");
    let plaintext = &told["plaintext"];
    ensure!(plaintext["connections"] == 1 && plaintext["without_socket"] == 0, "{report:#}");
    ensure!(plaintext["other_sockets"] == 2, "{report:#}");
    let peers = plaintext["other_peers"].as_array().context("no peers")?;
    let mut others: Vec<u16> = peers
        .iter()
        .map(|peer| Ok(peer.as_str().context("no text")?.parse::<std::net::SocketAddr>()?.port()))
        .collect::<Result<_>>()?;
    others.sort_unstable();
    ports.sort_unstable();
    ensure!(others == ports, "{others:?}, not {ports:?}");
    // Without being traced nothing is said of it.
    let quiet = Running::start(lab.llmtap(&["doctor", "--pid", &pid, "--output", "json"]))?;
    let report: Value = serde_json::from_str(&quiet.finish(WAIT)?.success()?.output)?;
    ensure!(report["programs"][0]["plaintext"].is_null(), "{report:#}");
    Ok(())
}

#[test]
fn daemon_tells_each_program_once_and_in_its_metrics() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let renew = lab.file("renew");
    let arguments = [&*server.port.to_string(), &*renew.to_string_lossy()];
    let (talks, _) = started(&lab, TALKS, &arguments)?;
    let (plain, _) = started(&lab, PLAIN, &[])?;
    let file = lab.file("llmtap.yaml");
    let config = format!(
        "filters:\n  pid: [{}, {}]\noutput:\n  format: none\nmetrics:\n  listen: '127.0.0.1:0'\n",
        talks.pid(),
        plain.pid()
    );
    fs::write(&file, config)?;
    let daemon = Running::start(lab.llmtap(&["run", "--config", &file.to_string_lossy()]))?;
    let metrics =
        daemon.errors.wait_for(Attached::READY, |line| line.starts_with("llmtap: metrics at "))?;
    daemon.errors.wait_for(Attached::READY, |line| line.starts_with("llmtap: ready"))?;
    fs::write(&renew, "")?;
    let url = metrics.trim_start_matches("llmtap: metrics at ").to_owned();
    for (program, said) in [(&talks, " is covered: "), (&plain, " is not covered: ")] {
        let pid = format!("pid={} ", program.pid());
        daemon.errors.wait_for(WAIT, |line| line.contains(said) && line.contains(&pid))?;
    }
    let shown = wait_until("programs in the metrics", WAIT, || {
        let script = lab.python("metrics.py", &[&url]);
        let shown = Running::start(script).ok()?.finish(WAIT).ok()?.success().ok()?;
        let samples = records(&shown.output).pop()?;
        let has = |name: &str| name.starts_with("llmtap_program_connections{");
        samples.as_object().is_some_and(|all| all.keys().any(|name| has(name))).then_some(samples)
    })?;
    let samples = shown.as_object().context("no object")?;
    for (metric, labels, number) in [
        ("llmtap_program_connections{", ["coverage=covered,", "plaintext=followed"], 1.0),
        ("llmtap_program_connections{", ["coverage=covered,", "plaintext=other"], 2.0),
        ("llmtap_program_connections{", ["coverage=not_covered,", "plaintext=other"], 1.0),
        ("llmtap_program_processes{", ["coverage=not_covered,", "why=no TLS library"], 1.0),
    ] {
        let is_meant = |name: &str| {
            name.starts_with(metric) && labels.iter().all(|label| name.contains(label))
        };
        let told: Vec<_> = samples.iter().filter(|(name, _)| is_meant(name)).collect();
        ensure!(
            told.len() == 1 && told[0].1.as_f64() == Some(number),
            "{metric} {labels:?}: {shown:#}"
        );
    }
    daemon.signal(Signal::TERM)?;
    let ended = daemon.finish(WAIT)?;
    let covered = ended.errors.lines().filter(|line| line.contains(" is covered: ")).count();
    ensure!(covered == 1, "{covered} times: {}", ended.errors);
    Ok(())
}
