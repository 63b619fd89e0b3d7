//! What long inspections found, kept on disk for the next start.
//! Takes a folder that nobody else may write into; gives the findings of a file whose contents are the
//! same to the byte. A build id alone would not do: whoever makes a file chooses it.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::{Finding, Image};

/// Bytes of an entry that is read; what is found in a file takes some thousand.
const ENTRY_LIMIT: u64 = 256 << 10;

/// Entries that are kept; the oldest go.
const ENTRIES: usize = 256;

/// Bytes of a file that are in memory at a time.
const PIECE: usize = 1 << 20;

/// A folder with one file for each that was inspected.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    /// Which llmtap wrote an entry: another may find something else.
    inspector: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("the folder {path} for inspections cannot be used: {source}")]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "others than its owner may write into the folder {0} for inspections, or it is another user's; \
         make it yours alone (chmod 700)"
    )]
    Shared(PathBuf),
    #[error("this llmtap was built without a build id, so it cannot know what it found itself")]
    NoBuildId,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    inspector: String,
    len: u64,
    sha256: String,
    findings: Vec<Finding>,
}

impl Cache {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// It cannot be made or looked at, or others may write into it.
    pub fn open(folder: &Path) -> Result<Self, CacheError> {
        let wrong = |source| CacheError::Folder { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong)?;
        let about = fs::metadata(folder).map_err(wrong)?;
        let is_ours = about.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || about.mode() & 0o022 != 0 {
            return Err(CacheError::Shared(folder.to_owned()));
        }
        let own = File::open("/proc/self/exe").map_err(wrong)?;
        let build_id = Image::read(&own).and_then(|image| image.build_id());
        let inspector = hexadecimal(&build_id.ok_or(CacheError::NoBuildId)?);
        Ok(Self { folder: folder.to_owned(), inspector })
    }

    /// What was found in this file before. `None`: nothing is known of it.
    pub(super) fn find(&self, image: &Image<'_>, file: &File) -> Option<Vec<Finding>> {
        let len = file.metadata().ok()?.len();
        let kept = File::open(self.place(image, len)).ok()?;
        let mut text = Vec::new();
        kept.take(ENTRY_LIMIT).read_to_end(&mut text).ok()?;
        let entry: Entry = serde_json::from_slice(&text).ok()?;
        let may_be = entry.inspector == self.inspector && entry.len == len;
        (may_be && entry.sha256 == sha256(file).ok()?).then_some(entry.findings)
    }

    /// # Errors
    /// The file cannot be read, or the entry not be written.
    pub(super) fn keep(
        &self,
        image: &Image<'_>,
        file: &File,
        findings: &[Finding],
    ) -> io::Result<()> {
        let len = file.metadata()?.len();
        let entry = Entry {
            inspector: self.inspector.clone(),
            len,
            sha256: sha256(file)?,
            findings: findings.to_vec(),
        };
        self.drop_oldest()?;
        // Whole or not at all, whoever reads meanwhile.
        let place = self.place(image, len);
        let unfinished = self.folder.join(format!(".{}.unfinished", std::process::id()));
        let mut written = File::create(&unfinished)?;
        written.set_permissions(Permissions::from_mode(0o600))?;
        written.write_all(&serde_json::to_vec(&entry)?)?;
        fs::rename(unfinished, place)
    }

    /// The entry of a file, by its build id; of one without, by its length.
    fn place(&self, image: &Image<'_>, len: u64) -> PathBuf {
        let build_id = image.build_id().map(|id| hexadecimal(&id));
        self.folder.join(format!("{}.json", build_id.unwrap_or_else(|| format!("length-{len}"))))
    }

    /// Makes room for one more.
    fn drop_oldest(&self) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.folder)?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
            })
            .collect();
        entries.sort();
        let surplus = (entries.len() + 1).saturating_sub(ENTRIES);
        entries.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

fn sha256(file: &File) -> io::Result<String> {
    let mut digest = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let len = file.read_at(&mut piece, at)?;
        if len == 0 {
            return Ok(hexadecimal(digest.finish().as_ref()));
        }
        digest.update(&piece[..len]);
        at += len as u64;
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
