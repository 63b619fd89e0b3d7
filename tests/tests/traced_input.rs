//! Bad input whose check comes after that of privileges.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
    time::Duration,
};

use anyhow::{Result, ensure};
use llmtap_tests::{Lab, Running};

const LIMIT: Duration = Duration::from_secs(20);
/// The user and group `nobody`, by Linux's convention.
const NOBODY: u32 = 65534;

#[test]
fn absent_process_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    let ended = Running::start(Command::new("true"))?;
    let pid = ended.pid().to_string();
    ended.finish(LIMIT)?;
    let refused = Running::start(lab.llmtap(&["trace", "--pid", &pid]))?.finish(LIMIT)?;
    ensure!(refused.status.code() == Some(2), "{}: {}", refused.status, refused.errors);
    ensure!(refused.errors.contains(&pid), "{}", refused.errors);
    ensure!(!refused.errors.contains("llmtap: ready"), "{}", refused.errors);
    Ok(())
}

#[test]
fn absent_cgroup_is_refused() -> Result<()> {
    let lab = Lab::open()?;
    let arguments = ["trace", "--cgroup", "/no/such/cgroup"];
    let refused = Running::start(lab.llmtap(&arguments))?.finish(LIMIT)?;
    ensure!(refused.status.code() == Some(2), "{}: {}", refused.status, refused.errors);
    ensure!(refused.errors.contains("/no/such/cgroup"), "{}", refused.errors);
    Ok(())
}

#[test]
fn missing_capability_is_named() -> Result<()> {
    let lab = Lab::open()?;
    // Where `nobody` can reach it.
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let binary = folder.path().join("llmtap");
    fs::copy(&lab.parts.llmtap, &binary)?;
    fs::set_permissions(&binary, Permissions::from_mode(0o755))?;
    let mut command = Command::new(&binary);
    command.args(["trace", "--", "true"]).uid(NOBODY).gid(NOBODY).current_dir("/");
    let refused = Running::start(command)?.finish(LIMIT)?;
    ensure!(refused.status.code() == Some(2), "{}: {}", refused.status, refused.errors);
    ensure!(refused.errors.contains("CAP_"), "no capability is named: {}", refused.errors);
    Ok(())
}
