//! Files, inspected with what is known besides: what the user says of them, and what was found before.
//! Takes open files; gives [`Target`]s. What is in a file itself is found by `inspect`.
//! Without anything besides it gives the same as `inspect`.

use std::{
    fs::File,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Cache, Finding, Image, Offsets, Stack, Target, inspect, tls};

/// An inspection that took longer is kept: to read the whole file for its digest takes a part of that.
const LONG: Duration = Duration::from_millis(200);

/// Inspects files. Clones share what is known.
#[derive(Clone, Debug, Default)]
pub struct Inspector {
    offsets: Arc<Offsets>,
    cache: Option<Cache>,
    /// Also what took no time is kept.
    keeps_all: bool,
}

impl Inspector {
    pub fn new(offsets: Offsets, cache: Option<Cache>) -> Self {
        Self { offsets: Arc::new(offsets), cache, keeps_all: false }
    }

    /// As [`inspect`](super::inspect()) does.
    ///
    /// # Errors
    /// The file cannot be looked at.
    pub fn inspect(&self, file: File, path: &Path) -> io::Result<Option<Target>> {
        inspect::with(file, path, |image, file| self.findings(image, file, path))
    }

    fn findings(&self, image: &Image<'_>, file: &File, path: &Path) -> Vec<Finding> {
        let mut told = Vec::new();
        for said in self.offsets.find(image) {
            match said {
                Ok(finding) => told.push(finding),
                Err(why) => tracing::warn!(
                    path = %path.display(), %why,
                    "what the offsets say of this file cannot be so and is not used"
                ),
            }
        }
        let mut findings = self.found(image, file, path);
        // Who names the functions knows better; probes on both would see the same bytes twice.
        findings.retain(|found| !told.iter().any(|told| is_same(told.stack, found.stack)));
        told.extend(findings);
        told
    }

    /// What is in the file itself, from the cache if it is known there.
    fn found(&self, image: &Image<'_>, file: &File, path: &Path) -> Vec<Finding> {
        let Some(cache) = &self.cache else { return tls::find(image) };
        if let Some(findings) = cache.find(image, file) {
            tracing::debug!(path = %path.display(), "what is in this file was found before");
            return findings;
        }
        let start = Instant::now();
        let findings = tls::find(image);
        if (start.elapsed() > LONG || self.keeps_all)
            && let Err(error) = cache.keep(image, file, &findings)
        {
            tracing::debug!(path = %path.display(), %error, "an inspection cannot be kept");
        }
        findings
    }
}

/// The functions of one are those of the other.
fn is_same(one: Stack, other: Stack) -> bool {
    let interface = |stack| if stack == Stack::BoringSsl { Stack::OpenSsl } else { stack };
    interface(one) == interface(other)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::discover::Basis;

    const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/libssl.so.3";

    fn sites(inspector: &Inspector) -> Vec<(Basis, u64)> {
        let file = File::open(LIBRARY).unwrap();
        let target = inspector.inspect(file, Path::new(LIBRARY)).unwrap().unwrap();
        let of = |finding: &Finding| {
            let basis = finding.basis;
            finding.sites.iter().map(|site| (basis, site.offset)).collect::<Vec<_>>()
        };
        target.findings.iter().flat_map(of).collect()
    }

    /// An entry that was changed shows where a finding comes from.
    #[test]
    fn what_is_kept_is_not_looked_for_again() {
        if !Path::new(LIBRARY).exists() {
            println!("not run: no {LIBRARY}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let cache = || Some(Cache::open(folder.path()).unwrap());
        let quick = Inspector::new(Offsets::default(), cache());
        let found = sites(&quick);
        assert_eq!(found, sites(&Inspector::default()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it took no time");
        let keeping = Inspector { keeps_all: true, ..quick.clone() };
        assert_eq!(sites(&keeping), found);
        let entry = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let text = fs::read_to_string(&entry).unwrap();
        let first = format!("\"offset\":{},", found[0].1);
        fs::write(&entry, text.replace(&first, "\"offset\":1,")).unwrap();
        assert_eq!(sites(&quick)[0].1, 1);
        assert_eq!(sites(&quick)[1..], found[1..]);
    }
}
