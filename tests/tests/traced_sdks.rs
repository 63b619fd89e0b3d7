//! Real SDKs against recorded answers: their spans carry what the SDKs' own objects say.

use anyhow::{Context, Result, ensure};
use llmtap_tests::{
    no_bytes_lost,
    sdks::{NODE, PYTHON, Sdk, differences, play},
};

fn agrees(sdks: &[Sdk], name: &str) -> Result<()> {
    let sdk = sdks.iter().find(|sdk| sdk.name == name).context("no such SDK")?;
    let (played, trace) = play(sdk)?;
    no_bytes_lost(&trace.errors)?;
    let refused: Vec<_> = played.iter().filter(|one| one.said.get("refused").is_some()).collect();
    for one in &refused {
        println!("the SDK can't read {}: {}", one.case.name, one.said["refused"]);
    }
    println!("{} calls, {} not read by the SDK", played.len(), refused.len());
    ensure!(2 * refused.len() < played.len(), "the SDK can't read most of them");
    let differences: Vec<_> = played.iter().flat_map(differences).collect();
    let shown = &differences[..differences.len().min(20)];
    ensure!(differences.is_empty(), "{} differences: {shown:#?}", differences.len());
    Ok(())
}

#[test]
fn python_openai() -> Result<()> {
    agrees(PYTHON, "openai")
}

#[test]
fn python_anthropic() -> Result<()> {
    agrees(PYTHON, "anthropic")
}

#[test]
fn python_mistral() -> Result<()> {
    agrees(PYTHON, "mistral")
}

#[test]
fn python_google() -> Result<()> {
    agrees(PYTHON, "google")
}

#[test]
fn python_boto3() -> Result<()> {
    agrees(PYTHON, "boto3")
}

#[test]
fn python_cohere() -> Result<()> {
    agrees(PYTHON, "cohere")
}

#[test]
fn python_groq() -> Result<()> {
    agrees(PYTHON, "groq")
}

#[test]
fn python_ollama() -> Result<()> {
    agrees(PYTHON, "ollama")
}

#[test]
fn python_litellm() -> Result<()> {
    agrees(PYTHON, "litellm")
}

#[test]
fn node_openai() -> Result<()> {
    agrees(NODE, "openai")
}

#[test]
fn node_anthropic() -> Result<()> {
    agrees(NODE, "anthropic")
}

#[test]
fn node_google() -> Result<()> {
    agrees(NODE, "google")
}

#[test]
fn node_ai() -> Result<()> {
    agrees(NODE, "ai")
}
