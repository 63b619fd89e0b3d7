//! `llmtap doctor` about real programs: held against what the programs say of themselves.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Lab, Running};
use serde_json::Value;

const WAIT: Duration = Duration::from_secs(60);

/// The one program of `llmtap doctor --pid`.
fn examined(lab: &Lab, pid: u32) -> Result<Value> {
    let pid = pid.to_string();
    let command = lab.llmtap(&["doctor", "--pid", &pid, "--output", "json"]);
    let ended = Running::start(command)?.finish(WAIT)?.success()?;
    let report: Value = serde_json::from_str(&ended.output).context(ended.output)?;
    let programs = report["programs"].as_array().context("no list of programs")?;
    ensure!(programs.len() == 1 && programs[0]["pid"] == pid.parse::<u32>()?, "{report:#}");
    Ok(programs[0].clone())
}

/// A program that says the version of its TLS library, and listens.
fn listening(mut command: Command, code: &str) -> Result<(Running, String)> {
    command.arg(code);
    let program = Running::start(command)?;
    let version = program.output.wait_for(WAIT, |line| line.starts_with("version "))?;
    let version = version.trim_start_matches("version ").to_owned();
    Ok((program, version))
}

const PYTHON: &str = "
import socket, time
server = socket.create_server(('127.0.0.1', 0))
TLS
time.sleep(60)";

fn python(lab: &Lab, tls: &str) -> Result<(Running, String)> {
    let mut command = Command::new(&lab.parts.python);
    command.arg("-c");
    listening(command, &PYTHON.replace("TLS", tls))
}

/// The library that is a shared one, and the one that the program holds.
#[test]
fn library_version_and_sites_are_told() -> Result<()> {
    let lab = Lab::open()?;
    let by_python = "import ssl; print('version', ssl.OPENSSL_VERSION.split()[1], flush=True)";
    let (python, of_python) = python(&lab, by_python)?;
    let mut node = Command::new(&lab.parts.node);
    node.arg("-e");
    let code = "require('net').createServer().listen(0, () => \
                console.log('version', process.versions.openssl))";
    let (node, of_node) = listening(node, code)?;
    for (program, version) in [(&python, of_python), (&node, of_node)] {
        let told = examined(&lab, program.pid())?;
        ensure!(told["coverage"] == "covered", "{told:#}");
        ensure!(told["tcp_connections"]["listening"] == 1, "{told:#}");
        let libraries = told["libraries"].as_array().context("no libraries")?;
        let of_version = libraries.iter().find(|library| {
            library["stack"] == "OpenSSL" && library["version"].as_str() == Some(version.as_str())
        });
        let library = of_version.with_context(|| format!("no OpenSSL {version}: {told:#}"))?;
        ensure!(library["found_by"] == "symbols", "{told:#}");
        let probes = library["probes"].as_array().context("no probes")?;
        let is_told = |probe: &Value| probe["reason"].is_string() && probe["cost"].is_string();
        ensure!(probes.len() > 4 && probes.iter().all(is_told), "{told:#}");
        ensure!(told["why"].as_str().is_some_and(|why| why.contains(&version)), "{told:#}");
    }
    Ok(())
}

/// Python maps no TLS library before it needs one.
#[test]
fn program_without_tls_is_explained() -> Result<()> {
    let lab = Lab::open()?;
    let (program, _) = python(&lab, "print('version none', flush=True)")?;
    let told = examined(&lab, program.pid())?;
    ensure!(told["coverage"] == "not_covered", "{told:#}");
    ensure!(told["why"].as_str().is_some_and(|why| why.contains("no TLS library")), "{told:#}");
    // And for people.
    let pid = program.pid().to_string();
    let text = Running::start(lab.llmtap(&["doctor", "--pid", &pid]))?.finish(WAIT)?.success()?;
    for part in ["not covered", "listens on 1", "uprobes"] {
        ensure!(text.output.contains(part), "{part}: {}", text.output);
    }
    ensure!(!text.output.contains('\x1b'), "colours in a pipe: {}", text.output);
    Ok(())
}
