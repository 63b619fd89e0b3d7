//! How files are inspected: what the user says of them, and where long inspections are kept.
//! Takes flags or the configuration; gives an [`Inspector`].

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    config::Config,
    discover::{Cache, Inspector, Offsets, OffsetsError},
};

/// Where it is where nobody says otherwise (Filesystem Hierarchy Standard 3.0, §5.5).
const FOLDER: &str = "/var/cache/llmtap";

/// What systemd makes of `CacheDirectory=` (systemd.exec(5)): paths with `:` between them.
const VARIABLE: &str = "CACHE_DIRECTORY";

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "TLS libraries")]
pub(super) struct InspectionFlags {
    /// Where functions of TLS libraries are that llmtap does not find itself, by build id
    /// (docs/offsets.md)
    #[arg(long, value_name = "FILE")]
    offsets: Option<PathBuf>,

    /// Where inspections that took long are kept for the next start. Default: /var/cache/llmtap
    #[arg(long, value_name = "FOLDER")]
    cache_folder: Option<PathBuf>,
}

impl InspectionFlags {
    pub(super) fn fill(self, config: &mut Config) {
        config.offsets = self.offsets;
        config.cache_folder = self.cache_folder;
    }

    pub(super) fn inspector(&self) -> Result<Inspector, OffsetsError> {
        made(self.offsets.as_deref(), self.cache_folder.as_deref())
    }
}

/// # Errors
/// The file of offsets cannot be used.
pub(super) fn inspector(config: &Config) -> Result<Inspector, OffsetsError> {
    made(config.offsets.as_deref(), config.cache_folder.as_deref())
}

fn made(offsets: Option<&Path>, folder: Option<&Path>) -> Result<Inspector, OffsetsError> {
    let offsets = offsets.map(Offsets::read).transpose()?.unwrap_or_default();
    Ok(Inspector::new(offsets, cache(folder)))
}

/// Without it all works as well, some tenths of a second later.
fn cache(folder: Option<&Path>) -> Option<Cache> {
    let by_systemd = || env::split_paths(&env::var_os(VARIABLE)?).find(|path| path.is_absolute());
    let default = || by_systemd().unwrap_or_else(|| FOLDER.into());
    match (Cache::open(&folder.map_or_else(default, Path::to_owned)), folder) {
        (Ok(cache), _) => Some(cache),
        (Err(error), Some(_)) => {
            tracing::warn!(%error, "inspections are not kept");
            None
        }
        (Err(error), None) => {
            tracing::debug!(%error, "inspections are not kept");
            None
        }
    }
}
