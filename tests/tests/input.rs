//! Bad input gets a sentence and exit status 2, before anything is attached: what needs no privileges.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use llmtap_tests::{Lab, Running};

/// Runs `llmtap` and holds its end against the contract; the sentence must have all of `words`.
fn refused(lab: &Lab, arguments: &[&str], words: &[&str]) -> Result<()> {
    let ended = Running::start(lab.llmtap(arguments))?.finish(Duration::from_secs(20))?;
    let said = &ended.errors;
    ensure!(ended.status.code() == Some(2), "{arguments:?} ended with {}: {said}", ended.status);
    ensure!(!said.contains("llmtap: ready"), "{arguments:?} attached: {said}");
    for word in words {
        ensure!(said.contains(word), "{arguments:?} does not say {word:?}: {said}");
    }
    Ok(())
}

#[test]
fn neither_filter_nor_command_lists_choices() -> Result<()> {
    let lab = Lab::open()?;
    refused(
        &lab,
        &["trace"],
        &["--pid", "--exe", "--cmdline", "--port", "--cgroup", "--container", "--all", "--"],
    )
}

#[test]
fn port_out_of_range_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    refused(&lab, &["trace", "--port", "70000"], &["70000"])?;
    refused(&lab, &["trace", "--port", "0"], &["0"])?;
    refused(&lab, &["trace", "--port", "https"], &["https"])
}

#[test]
fn endpoint_without_url_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    for endpoint in ["not a url", "ftp://localhost:4317", "http://", "localhost:99999"] {
        refused(&lab, &["trace", "--otlp-endpoint", endpoint, "--", "true"], &[endpoint])?;
    }
    Ok(())
}

#[test]
fn unknown_output_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    refused(&lab, &["trace", "--output", "xml", "--", "true"], &["xml", "otlp-json"])
}

#[test]
fn unknown_configuration_key_is_named() -> Result<()> {
    let lab = Lab::open()?;
    let file = lab.file("llmtap.yaml");
    fs::write(&file, "# a comment\n\nno_such_key: 1\n")?;
    let path = file.to_string_lossy();
    refused(&lab, &["run", "--config", &path], &["no_such_key", "3"])
}

#[test]
fn missing_configuration_file_is_named() -> Result<()> {
    let lab = Lab::open()?;
    let file = lab.file("absent.yaml");
    let path = file.to_string_lossy();
    refused(&lab, &["run", "--config", &path], &[&path])
}

#[test]
fn doctor_of_a_process_that_is_not_there_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    // Above the largest pid that Linux gives (`PID_MAX_LIMIT`).
    refused(&lab, &["doctor", "--pid", "4194305"], &["4194305"])
}
