//! Which processes and connections to trace, as the file says it and the flags fill it.
//! Takes YAML; gives [`Filters`]. Whether what is named is there is checked where it is used.

use std::{fmt, num::NonZeroU32, path::PathBuf};

use serde::{Deserialize, Deserializer};

use crate::capture::PortRange;

/// Which processes and connections to trace. Several kinds must all match, several of one kind any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Filters {
    /// Process ids; what these processes start is traced too.
    #[serde(deserialize_with = "pids")]
    pub pid: Vec<NonZeroU32>,
    /// Patterns of executables' paths, as `/usr/bin/python*`; without `/` of their names.
    pub exe: Vec<String>,
    /// Patterns of command lines, the arguments with a space between, as `*uvicorn shop:app*`.
    pub cmdline: Vec<String>,
    /// Paths of control groups (version 2); those below them count as well.
    pub cgroup: Vec<PathBuf>,
    /// Ids of containers, or their first digits (at least 6).
    pub container: Vec<String>,
    /// TCP ports, or ranges as `8000-8100`, at either end of the connection.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub port: Vec<PortRange>,
    /// Patterns of the hosts that calls are made to, as `*.openai.com`: other calls are not shown.
    pub host: Vec<String>,
    /// Trace the whole host. Default: false.
    pub all: bool,
}

impl Filters {
    /// Nothing says what to trace. Hosts alone do not: every process would have to be read.
    pub fn is_empty(&self) -> bool {
        Self { host: Vec::new(), ..self.clone() } == Self::default()
    }
}

/// As in the file, on one line.
impl fmt::Display for Filters {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.cgroup.iter().map(|path| path.display()).collect();
        let kinds = [
            ("pid", list(&self.pid)),
            ("exe", list(&self.exe)),
            ("cmdline", list(&self.cmdline)),
            ("cgroup", list(&paths)),
            ("container", list(&self.container)),
            ("port", list(&self.port)),
            ("host", list(&self.host)),
            ("all", list(if self.all { &[true] } else { &[] })),
        ];
        let given = kinds.into_iter().filter(|(_, values)| !values.is_empty());
        let given: Vec<_> = given.map(|(kind, values)| format!("{kind} {values}")).collect();
        text.write_str(&given.join("; "))
    }
}

fn list(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A number of the file, so that one out of range is told in words.
#[derive(Deserialize)]
#[serde(try_from = "i64")]
struct Pid(NonZeroU32);

impl TryFrom<i64> for Pid {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let pid = u32::try_from(number).ok().and_then(NonZeroU32::new);
        pid.map(Self).ok_or_else(|| format!("{number} is no process id"))
    }
}

fn pids<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<NonZeroU32>, D::Error> {
    Ok(Vec::<Pid>::deserialize(list)?.into_iter().map(|pid| pid.0).collect())
}
