//! Two builds of OpenSSL's shared library beside the system's, for tests that replace one by the other.
//! Takes the workspace; gives a folder with one folder for each version, unpacked from Debian's packages.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::system;
use crate::workspace::Workspace;

/// Named so up to Debian 12; a later one has another name for it.
const PACKAGES: [&str; 2] = ["libssl3", "libssl3t64"];

/// # Errors
/// The archives are out of reach, or have one version alone.
pub(crate) fn ready(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target("libssl");
    let known = PACKAGES.into_iter().find(|package| system::available(workspace, package));
    let versions = known.map(system::all_offered).unwrap_or_default();
    ensure!(
        versions.len() > 1,
        "the package archives have no two versions of libssl3 ({versions:?}): the tests replace one by \
         the other; are the updates of the distribution among the sources of apt?"
    );
    for version in [&versions[0], &versions[versions.len() - 1]] {
        let package = format!("{}={version}", known.unwrap_or(PACKAGES[0]));
        let unpacked = folder.join(version.replace(['~', ':'], "-"));
        system::unpacked(workspace, &unpacked, &[package])?;
    }
    Ok(folder)
}
