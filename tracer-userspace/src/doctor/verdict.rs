//! Whether what a program sends and receives is seen, and why not.
//! Takes its TLS libraries and what else is known of it; gives a verdict and one sentence.
//! Says what is sure; a library that is mapped need not be used.

use std::path::PathBuf;

use serde::Serialize;

use super::Library;
use crate::discover::{Basis, Hint};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Every TLS library that is known of.
    Covered,
    Partly,
    NotCovered,
}

impl Coverage {
    /// As the report's JSON and the metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Partly => "partly",
            Self::NotCovered => "not_covered",
        }
    }
}

/// What is known beside the libraries.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files that could not be looked into, and why.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// Nothing can be read of what it has mapped.
    pub(super) nothing_mapped: bool,
    /// A Java virtual machine.
    pub(super) jvm: bool,
    pub(super) hint: Option<Hint>,
}

const JSSE: &str = "Java's own TLS (JSSE) is Java code, which no probe reaches: a client that uses \
                    netty-tcnative or Conscrypt is seen";

pub(super) fn of(libraries: &[Library], found: &Found) -> (Coverage, String) {
    if libraries.is_empty() {
        return (Coverage::NotCovered, nothing(found));
    }
    let seen = seen(libraries);
    if found.jvm {
        return (Coverage::Partly, format!("{seen}; {JSSE}"));
    }
    match found.unreadable.first() {
        Some((path, error)) => {
            let missing = format!("{} cannot be looked into ({error})", path.display());
            (Coverage::Partly, format!("{seen}; {missing}, so TLS in it is not"))
        }
        None => (Coverage::Covered, seen),
    }
}

fn seen(libraries: &[Library]) -> String {
    let mut names: Vec<String> = Vec::new();
    for library in libraries {
        let name = match &library.version {
            Some(version) => format!("{} {version}", library.stack),
            None => library.stack.to_string(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let has = |basis| libraries.iter().any(|library| library.found_by == basis);
    let proof = if has(Basis::Inference) {
        ", as soon as what flows proves what was inferred"
    } else if has(Basis::Told) {
        ", as soon as what flows proves the addresses that were given"
    } else {
        ""
    };
    format!("what passes {} is seen{proof}", names.join(" and "))
}

fn nothing(found: &Found) -> String {
    if found.jvm {
        return JSSE.to_owned();
    }
    if found.nothing_mapped {
        return "what it has mapped cannot be read: llmtap needs CAP_SYS_PTRACE, and the process to live"
            .to_owned();
    }
    if let Some((path, error)) = found.unreadable.first() {
        return format!(
            "{} cannot be looked into ({error}): llmtap needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
            path.display()
        );
    }
    match &found.hint {
        Some(Hint::OtherMachine) => {
            "its executable is no 64-bit program of this machine, and llmtap probes no other"
                .to_owned()
        }
        Some(Hint::Go(version)) => {
            let version = version.as_deref().unwrap_or("go of an unknown version");
            format!(
                "it was built with {version} and has no crypto/tls that llmtap knows: TLS of Go is seen \
                 from Go 1.17 on, and a program without TLS has none"
            )
        }
        Some(Hint::Rustls(version)) => format!(
            "it has rustls {version} in a form that is not known: rustls is seen from 0.22 on, on x86-64"
        ),
        None => {
            "no TLS library that llmtap knows is among what it has mapped; connections without TLS \
                 are not read"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Stack;

    fn library(stack: Stack, version: Option<&str>, found_by: Basis) -> Library {
        Library {
            path: "/lib/x".into(),
            stack,
            version: version.map(str::to_owned),
            found_by,
            evidence: Vec::new(),
            probes: Vec::new(),
        }
    }

    #[test]
    fn libraries_are_named_once() {
        let libraries = [
            library(Stack::OpenSsl, Some("3.0.17"), Basis::Symbols),
            library(Stack::OpenSsl, Some("3.0.17"), Basis::Symbols),
            library(Stack::GnuTls, None, Basis::Symbols),
        ];
        let expected = "what passes OpenSSL 3.0.17 and GnuTLS is seen";
        assert_eq!(of(&libraries, &Found::default()), (Coverage::Covered, expected.into()));
        let inferred = [library(Stack::Rustls, None, Basis::Inference)];
        assert!(of(&inferred, &Found::default()).1.ends_with("proves what was inferred"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let jvm = || Found { jvm: true, ..Found::default() };
        let libraries = [library(Stack::OpenSsl, None, Basis::Symbols)];
        assert_eq!(of(&libraries, &jvm()).0, Coverage::Partly);
        assert_eq!(of(&[], &jvm()), (Coverage::NotCovered, JSSE.into()));
        let refused = Found {
            unreadable: vec![("/lib/y".into(), "Permission denied".into())],
            ..Found::default()
        };
        let (coverage, why) = of(&libraries, &refused);
        assert_eq!(coverage, Coverage::Partly);
        assert!(why.contains("/lib/y cannot be looked into (Permission denied)"), "{why}");
        assert!(of(&[], &refused).1.contains("CAP_SYS_PTRACE"));
        let old = Found { hint: Some(Hint::Rustls("0.21.12".into())), ..Found::default() };
        assert!(of(&[], &old).1.contains("rustls 0.21.12"));
    }
}
