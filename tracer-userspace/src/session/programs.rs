//! Which programs to trace, by what can be known of one when it starts.
//! Takes patterns for its executable and its command line, and ids of containers; says of a process
//! whether it fits. What cannot be read of a process fits nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::discover::{self, container};

/// Fewest digits of a container's id; runtimes show twelve.
const CONTAINER_MIN: usize = 6;

/// Kinds that are given must all match; of one kind any value.
#[derive(Debug, Default)]
pub struct Programs {
    executables: Executables,
    commands: GlobSet,
    containers: Vec<String>,
    /// Patterns as they were given, of executables and of command lines.
    patterns: [Vec<String>; 2],
}

#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    #[error("the pattern for executables or command lines is not understood: {0}")]
    BadGlob(#[from] globset::Error),
    #[error(
        "{0} is no container's id: they are hexadecimal, and at least {CONTAINER_MIN} digits are needed \
         (`docker ps`, `crictl ps` list them)"
    )]
    BadContainer(String),
}

impl Programs {
    /// # Errors
    /// A pattern or an id is not understood.
    pub fn new(
        executables: &[String],
        commands: &[String],
        containers: Vec<String>,
    ) -> Result<Self, ProgramsError> {
        let is_id = |id: &String| {
            id.len() >= CONTAINER_MIN && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if let Some(other) = containers.iter().find(|id| !is_id(id)) {
            return Err(ProgramsError::BadContainer(other.clone()));
        }
        Ok(Self {
            executables: Executables::new(executables)?,
            commands: set(commands)?,
            containers: containers.into_iter().map(|id| id.to_ascii_lowercase()).collect(),
            patterns: [executables.to_vec(), commands.to_vec()],
        })
    }

    /// The same programs fit.
    pub fn are_asked_as(&self, other: &Self) -> bool {
        self.patterns == other.patterns && self.containers == other.containers
    }

    /// Every program fits.
    pub fn is_empty(&self) -> bool {
        self.executables.is_empty() && self.commands.is_empty() && self.containers.is_empty()
    }

    pub fn matches(&self, pid: u32) -> bool {
        let by_executable = || {
            fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|executable| self.executables.matches(&executable))
        };
        let by_command =
            || discover::command_line(pid).is_ok_and(|command| self.commands.is_match(command));
        let by_container =
            || container::of_process(pid).ok().flatten().is_some_and(|id| self.is_wanted(&id));
        (self.executables.is_empty() || by_executable())
            && (self.commands.is_empty() || by_command())
            && (self.containers.is_empty() || by_container())
    }

    fn is_wanted(&self, id: &str) -> bool {
        self.containers.iter().any(|wanted| id.starts_with(wanted))
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        builder.add(Glob::new(pattern)?);
    }
    builder.build()
}

/// Patterns for executables.
#[derive(Debug, Default)]
struct Executables {
    paths: GlobSet,
    names: GlobSet,
}

impl Executables {
    /// A pattern with a `/` is held against the whole path, another against the file name.
    fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        let (paths, names): (Vec<_>, Vec<_>) =
            patterns.iter().cloned().partition(|pattern| pattern.contains('/'));
        Ok(Self { paths: set(&paths)?, names: set(&names)? })
    }

    fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.names.is_empty()
    }

    fn matches(&self, executable: &Path) -> bool {
        let name = executable.file_name().map(PathBuf::from);
        self.paths.is_match(executable) || name.is_some_and(|name| self.names.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_without_slash_matches_the_name() {
        let executables = Executables::new(&["python3*".into(), "/opt/*/bin/node".into()]).unwrap();
        assert!(executables.matches(Path::new("/usr/bin/python3.11")));
        assert!(executables.matches(Path::new("/opt/node-20/bin/node")));
        assert!(!executables.matches(Path::new("/usr/bin/node")));
        assert!(!executables.matches(Path::new("/python3/sh")));
    }

    #[test]
    fn every_kind_that_is_given_must_match() {
        let own = std::process::id();
        let of = |executables: &[&str], commands: &[&str]| {
            let list =
                |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            Programs::new(&list(executables), &list(commands), Vec::new()).unwrap()
        };
        assert!(of(&["llmtap-*"], &[]).matches(own));
        assert!(of(&["llmtap-*"], &["*/llmtap-*"]).matches(own));
        assert!(!of(&["llmtap-*"], &["python *"]).matches(own));
        assert!(!of(&["python"], &["*/llmtap-*"]).matches(own));
        assert!(of(&[], &[]).is_empty() && of(&[], &[]).matches(own));
        // One that is gone.
        assert!(!of(&["*"], &[]).matches(u32::MAX));
    }

    #[test]
    fn same_patterns_fit_the_same() {
        let of = |executable: &str, command: &str, container: &str| {
            let one = |text: &str| vec![text.to_owned()];
            Programs::new(&one(executable), &one(command), one(container)).unwrap()
        };
        let first = of("a", "b", "0123456789AB");
        assert!(first.are_asked_as(&of("a", "b", "0123456789ab")));
        for other in [
            of("b", "a", "0123456789ab"),
            of("a", "c", "0123456789ab"),
            of("a", "b", "0123456789ac"),
            Programs::default(),
        ] {
            assert!(!first.are_asked_as(&other) && !other.are_asked_as(&first));
        }
    }

    #[test]
    fn containers_go_by_the_beginning_of_their_id() {
        let of = |id: &str| Programs::new(&[], &[], vec![id.to_owned()]);
        assert!(of("0123456789AB").unwrap().is_wanted("0123456789abcdef"));
        assert!(!of("0123456789ac").unwrap().is_wanted("0123456789abcdef"));
        for bad in ["", "01234", "my-container", "0123 45"] {
            assert!(matches!(of(bad), Err(ProgramsError::BadContainer(_))), "{bad}");
        }
        // This process is in none that is called so.
        assert!(!of("0123456789abcdef").unwrap().matches(std::process::id()));
    }
}
