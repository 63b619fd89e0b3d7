//! Arize Phoenix, a backend of others that takes OTLP and has a web page.
//! Takes the Python of its environment; gives an endpoint, what Phoenix says it has, and pictures.
//! It is asked through its own REST interface, so nothing but Phoenix says what arrived.

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Parts, Record, Running, Span, nginx::free_port, records, without_span};

/// It makes its database first.
const START: Duration = Duration::from_secs(90);
/// Spans are written some time after their request was answered.
const WRITTEN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(250);
const ANSWER: Duration = Duration::from_secs(20);
const PICTURES: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub struct Phoenix {
    python: PathBuf,
    port: u16,
    _process: Running,
}

impl Phoenix {
    /// Name of the project that spans go to when [`Phoenix::RESOURCE`] is said of them.
    pub const PROJECT: &str = "llmtap-demo";
    /// For `OTEL_RESOURCE_ATTRIBUTES`.
    pub const RESOURCE: &str = "openinference.project.name=llmtap-demo";

    /// `folder`: for what it writes beside its database, which is in memory.
    ///
    /// # Errors
    /// It did not start.
    pub fn start(python: &Path, folder: &Path) -> Result<Self> {
        let port = free_port()?;
        // Ends with this process, however that ends.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(python.with_file_name("phoenix"))
            .arg("serve")
            .env("PHOENIX_HOST", "127.0.0.1")
            .env("PHOENIX_PORT", port.to_string())
            .env("PHOENIX_GRPC_PORT", free_port()?.to_string())
            .env("PHOENIX_WORKING_DIR", folder)
            .env("PHOENIX_SQL_DATABASE_URL", "sqlite:///:memory:")
            // Nothing leaves this machine.
            .env("PHOENIX_TELEMETRY_ENABLED", "false")
            .env("PHOENIX_ALLOW_EXTERNAL_RESOURCES", "false")
            .env("PHOENIX_DISABLE_AGENT_ASSISTANT", "true")
            .env("PHOENIX_AGENTS_DISABLE_WEB_ACCESS", "true")
            // Ctrl-C is for the traced programs: what they still send must arrive.
            .process_group(0);
        let process = Running::start(command)?;
        process
            .errors
            .wait_for(START, |line| line.contains("Application startup complete"))
            .context("Phoenix did not start")?;
        Ok(Self { python: python.to_path_buf(), port, _process: process })
    }

    /// Base URL of the web page, of REST, and of OTLP/HTTP.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The project's spans as soon as each record has its own, or those that are there after a while.
    /// Without kinds and resources, which Phoenix does not keep.
    ///
    /// # Errors
    /// Phoenix does not answer, or not as it should.
    pub fn spans(&self, calls: &[Record]) -> Result<Vec<Span>> {
        let started = Instant::now();
        loop {
            let output = self.program("spans.py", &[], ANSWER)?;
            let spans = records(&output).iter().map(span).collect::<Result<Vec<_>>>()?;
            if without_span(&spans, calls).is_empty() || started.elapsed() > WRITTEN {
                return Ok(spans);
            }
            thread::sleep(POLL);
        }
    }

    /// Writes `backend.png` (the calls) and `backend-call.png` (one of them) into `folder`.
    ///
    /// # Errors
    /// The browser does not start, or the page is not as it was when this was written.
    pub fn pictures(&self, browser: &Path, folder: &Path) -> Result<()> {
        self.program("pictures.py", &[browser, folder], PICTURES).map(|_| ())
    }

    /// What a program of `tests/programs/phoenix` prints.
    fn program(&self, name: &str, arguments: &[&Path], limit: Duration) -> Result<String> {
        let mut command = Command::new(&self.python);
        command
            .arg(Parts::program("phoenix").join(name))
            .args([&self.url(), Self::PROJECT])
            .args(arguments);
        Ok(Running::start(command)?
            .finish(limit)?
            .success()
            .with_context(|| name.to_owned())?
            .output)
    }
}

/// A line of `spans.py`.
fn span(line: &Record) -> Result<Span> {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str| line[key].as_u64().with_context(|| format!("{key} of {line}"));
    let attributes = line["attributes"].as_object().context("a span without attributes")?;
    Ok(Span {
        trace_id: text("trace_id"),
        span_id: text("span_id"),
        parent_span_id: text("parent_span_id"),
        name: text("name"),
        kind: 0,
        start: number("start")?,
        end: number("end")?,
        status: number("status")?.try_into()?,
        status_message: text("status_message"),
        attributes: attributes.clone().into_iter().collect::<BTreeMap<String, Value>>(),
        resource: BTreeMap::new(),
    })
}
