//! The configuration's file while a run goes on: whether it says something else.
//! Takes looks at the file, now and then; gives what it says now, or what is wrong with it, once for
//! each change. Costs a `stat` while nothing changes.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Config, ConfigError};

/// A file that changed less than this ago may change again with no sign of it but its content: clocks of
/// filesystems tick coarsely, some by the second.
const SETTLED: Duration = Duration::from_secs(2);

/// A file that is looked at.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// As it was when its content was read, if that has settled.
    stamp: Option<Stamp>,
    /// What was taken, or told to be wrong.
    taken: Content,
    /// What was seen last, if that is another.
    seen: Option<Content>,
}

/// What a file was at one look; a text has the same content while it has the same stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    Unreadable(io::ErrorKind),
}

/// How to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// What is new is taken when the next look finds it unchanged: whoever writes the file may be in the
    /// middle of it, and the beginning of a file may be a valid one that means something else.
    Patient,
    /// Whoever asks says that the file is whole.
    AtOnce,
}

impl Watch {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is no YAML, has a key or a value that is not known, or names nothing to
    /// trace.
    pub fn open(path: &Path) -> Result<(Config, Self), ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| unreadable(path, source))?;
        let config = Config::parse(&text, path)?;
        let taken = Content::Text(text);
        Ok((config, Self { path: path.to_owned(), stamp: None, taken, seen: None }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says, if that is something else than at the last time, or why it cannot be used.
    ///
    /// # Errors
    /// As [`Watch::open`]. Told once for each content.
    pub fn look(&mut self, how: Look) -> Option<Result<Config, ConfigError>> {
        // What is no file can't be read twice, and may make its reader wait.
        if fs::metadata(&self.path).is_ok_and(|metadata| !metadata.is_file()) {
            return None;
        }
        let stamp = stamp(&self.path);
        if stamp.is_some() && stamp == self.stamp && how == Look::Patient {
            return None;
        }
        let read = fs::read_to_string(&self.path);
        let content = match &read {
            Ok(text) => Content::Text(text.clone()),
            Err(error) => Content::Unreadable(error.kind()),
        };
        if content == self.taken {
            self.seen = None;
            self.stamp = stamp;
            return None;
        }
        if how == Look::Patient && self.seen.as_ref() != Some(&content) {
            self.seen = Some(content);
            return None;
        }
        self.seen = None;
        self.stamp = stamp;
        self.taken = content;
        let read = read.map_err(|source| unreadable(&self.path, source));
        Some(read.and_then(|text| Config::parse(&text, &self.path)))
    }
}

/// `None`: it is not there, or changed so lately that its content has to be compared.
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    let age = SystemTime::now().duration_since(metadata.modified().ok()?).ok()?;
    (age >= SETTLED).then(|| Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn unreadable(path: &Path, source: io::Error) -> ConfigError {
    ConfigError::Read { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::symlink};

    use tempfile::TempDir;

    use super::*;

    const LONG_AGO: Duration = Duration::from_secs(60);

    fn of(pattern: &str) -> String {
        format!("filters:\n  exe: [{pattern}]\n")
    }

    /// A file with `exe: [first]`, watched.
    fn begun() -> (TempDir, PathBuf, Watch) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("llmtap.yaml");
        fs::write(&path, of("first")).unwrap();
        let (config, watch) = Watch::open(&path).unwrap();
        assert_eq!(config.filters.exe, ["first"]);
        (folder, path, watch)
    }

    /// The pattern that a look gives, or the words of what is wrong.
    fn looks(watch: &mut Watch, how: Look) -> Option<String> {
        watch.look(how).map(|result| match result {
            Ok(config) => config.filters.exe.join(","),
            Err(error) => error.to_string(),
        })
    }

    /// As often as it takes for a content to be taken that stays.
    fn settles(watch: &mut Watch) -> Option<String> {
        let looks: Vec<_> = (0..3).filter_map(|_| looks(watch, Look::Patient)).collect();
        assert!(looks.len() <= 1, "told more than once: {looks:?}");
        looks.into_iter().next()
    }

    #[test]
    fn edit_is_taken_when_it_stays() {
        let (_folder, path, mut watch) = begun();
        assert_eq!(settles(&mut watch), None);
        fs::write(&path, of("second")).unwrap();
        assert_eq!(looks(&mut watch, Look::Patient), None, "it may be in the middle");
        fs::write(&path, of("second, third")).unwrap();
        assert_eq!(looks(&mut watch, Look::Patient), None, "and it was");
        assert_eq!(looks(&mut watch, Look::Patient).as_deref(), Some("second,third"));
        assert_eq!(settles(&mut watch), None);
    }

    #[test]
    fn look_at_once_takes_what_is_there() {
        let (_folder, path, mut watch) = begun();
        assert_eq!(looks(&mut watch, Look::AtOnce), None, "nothing is new");
        fs::write(&path, of("second")).unwrap();
        assert_eq!(looks(&mut watch, Look::AtOnce).as_deref(), Some("second"));
        assert_eq!(settles(&mut watch), None);
    }

    #[test]
    fn touched_file_is_the_same() {
        let (_folder, path, mut watch) = begun();
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
        assert_eq!(settles(&mut watch), None);
        fs::write(&path, of("first")).unwrap();
        assert_eq!(settles(&mut watch), None);
    }

    /// As editors do it.
    #[test]
    fn file_that_is_renamed_over_is_taken() {
        let (folder, path, mut watch) = begun();
        let new = folder.path().join("new");
        fs::write(&new, of("other")).unwrap();
        fs::rename(new, &path).unwrap();
        assert_eq!(settles(&mut watch).as_deref(), Some("other"));
    }

    /// As Kubernetes does it: the file is a link through a link, which is replaced. The files have the
    /// same size and age.
    #[test]
    fn link_to_another_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let old = SystemTime::now() - LONG_AGO;
        for name in ["one", "two"] {
            fs::create_dir(at(name)).unwrap();
            let file = at(name).join("llmtap.yaml");
            fs::write(&file, of(name)).unwrap();
            File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
        }
        symlink("one", at("data")).unwrap();
        symlink("data/llmtap.yaml", at("llmtap.yaml")).unwrap();
        let (_, mut watch) = Watch::open(&at("llmtap.yaml")).unwrap();
        assert_eq!(settles(&mut watch), None);
        assert!(watch.stamp.is_some(), "an old file is known by its stamp");
        symlink("two", at("new")).unwrap();
        fs::rename(at("new"), at("data")).unwrap();
        assert_eq!(settles(&mut watch).as_deref(), Some("two"));
    }

    #[test]
    fn wrong_file_is_told_once_and_mended() {
        let (_folder, path, mut watch) = begun();
        fs::write(&path, "filters:\n  exe: [first]\n  prot: [1]\n").unwrap();
        let said = settles(&mut watch).unwrap();
        assert!(said.contains(":3:") && said.contains("prot"), "{said}");
        assert_eq!(settles(&mut watch), None);
        fs::write(&path, of("second")).unwrap();
        assert_eq!(settles(&mut watch).as_deref(), Some("second"));
        // What is right again is told too, though it was there before.
        fs::write(&path, "filters: {}\n").unwrap();
        assert!(settles(&mut watch).is_some_and(|said| said.contains("nothing says")));
        fs::write(&path, of("second")).unwrap();
        assert_eq!(settles(&mut watch).as_deref(), Some("second"));
    }

    #[test]
    fn file_may_go_and_come_back() {
        let (_folder, path, mut watch) = begun();
        fs::remove_file(&path).unwrap();
        let said = settles(&mut watch).unwrap();
        assert!(said.starts_with("cannot read the configuration"), "{said}");
        assert_eq!(settles(&mut watch), None);
        fs::write(&path, of("back")).unwrap();
        assert_eq!(settles(&mut watch).as_deref(), Some("back"));
    }

    /// Between the steps of an editor that does not rename.
    #[test]
    fn file_that_is_missing_for_a_moment_is_no_fault() {
        let (_folder, path, mut watch) = begun();
        fs::remove_file(&path).unwrap();
        assert_eq!(looks(&mut watch, Look::Patient), None);
        fs::write(&path, of("first")).unwrap();
        assert_eq!(settles(&mut watch), None);
    }

    #[test]
    fn what_is_no_file_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || fs::write(path, of("first")).unwrap())
        };
        let (config, mut watch) = Watch::open(&path).unwrap();
        writer.join().unwrap();
        assert_eq!(config.filters.exe, ["first"]);
        assert_eq!(looks(&mut watch, Look::Patient), None);
        assert_eq!(looks(&mut watch, Look::AtOnce), None);
    }
}
