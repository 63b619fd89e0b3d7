//! What is seen of the traced programs, as samples: processes added up by program.
//! Takes the programs of the latest look; gives samples by label values, as many as are bounded here.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::declarations::{Sample, Source};
use crate::doctor::Program;

pub(super) const LABELS: [&str; 4] = ["program", "container", "coverage", "why"];
pub(super) const CONNECTION_LABELS: [&str; 4] = ["program", "container", "coverage", "plaintext"];

/// Programs with names of their own; the others are added up.
const MAX_PROGRAMS: usize = 256;

/// Digits of a container's id, as runtimes show it.
const CONTAINER_DIGITS: usize = 12;

/// Traced processes, by program.
pub(super) fn processes(source: &Source) -> Vec<Sample> {
    // Sentences of programs without names would be as many as they are.
    let why = |program: &Program, named| if named { program.why.clone() } else { String::new() };
    summed(&source.programs, |program, named| vec![(why(program, named).into(), 1)])
}

/// Their connections that are followed, and their sockets that are not known to be.
pub(super) fn connections(source: &Source) -> Vec<Sample> {
    summed(&source.programs, |program, _| match &program.plaintext {
        Some(plaintext) => vec![
            (Cow::from("followed"), plaintext.connections as u64),
            (Cow::from("other"), plaintext.other_sockets as u64),
        ],
        None => Vec::new(),
    })
}

/// Adds up what `each` gives: the last label, and a number. It is told whether the program has a name.
fn summed(
    programs: &[Program],
    each: impl Fn(&Program, bool) -> Vec<(Cow<'static, str>, u64)>,
) -> Vec<Sample> {
    let mut sums: BTreeMap<Vec<Cow<'static, str>>, u64> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for program in programs {
        let id = program.container_id.as_deref().unwrap_or_default();
        let container: String = id.chars().take(CONTAINER_DIGITS).collect();
        let mut name = (program.name.clone(), container);
        let named = names.contains(&name) || names.len() < MAX_PROGRAMS;
        if named {
            names.insert(name.clone());
        } else {
            name = Default::default();
        }
        for (last, number) in each(program, named) {
            let (name, container) = name.clone();
            let coverage = program.coverage.as_str();
            let labels = vec![name.into(), container.into(), coverage.into(), last];
            *sums.entry(labels).or_default() += number;
        }
    }
    sums.into_iter().map(|(labels, number)| (labels, number as f64)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        doctor::{Coverage, Plaintext},
        metrics::process::Usage,
        session::Status,
    };

    pub(in crate::metrics) fn program(name: &str, why: &str) -> Program {
        Program {
            pid: 1,
            name: name.to_owned(),
            executable: None,
            command: Vec::new(),
            container_id: Some("0123456789abcdef".into()),
            tcp_connections: None,
            plaintext: Some(Plaintext { connections: 2, other_sockets: 3, ..Plaintext::default() }),
            libraries: Vec::new(),
            coverage: Coverage::NotCovered,
            why: why.to_owned(),
        }
    }

    fn source(programs: Vec<Program>) -> Source {
        Source { status: Status::default(), programs, usage: Usage::default() }
    }

    #[test]
    fn processes_of_a_program_are_added_up() {
        let source = source(vec![program("sh", "none"), program("sh", "none")]);
        let labels = |last: &'static str| -> Vec<Cow<'_, str>> {
            ["sh", "0123456789ab", "not_covered", last].map(Cow::from).to_vec()
        };
        assert_eq!(processes(&source), [(labels("none"), 2.0)]);
        let expected = [(labels("followed"), 4.0), (labels("other"), 6.0)];
        assert_eq!(connections(&source), expected);
    }

    #[test]
    fn programs_beyond_the_bound_have_no_names() {
        let all = (0..MAX_PROGRAMS + 9).map(|n| program(&format!("p{n:04}"), &format!("why {n}")));
        let samples = processes(&source(all.collect()));
        assert_eq!(samples.len(), MAX_PROGRAMS + 1);
        assert_eq!((samples[0].0[0].as_ref(), samples[0].1), ("", 9.0));
    }
}
