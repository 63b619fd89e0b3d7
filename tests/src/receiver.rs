//! An OTLP receiver that shares no code with llmtap: `receiver.py`.
//! Takes a protocol and how it shall behave; gives an endpoint and the requests that arrived.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Event, Parts, Point, Running, Span, records};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    Http,
}

#[derive(Debug)]
pub struct Receiver {
    pub port: u16,
    log: PathBuf,
    _process: Running,
}

impl Receiver {
    /// `port` 0: a free one. `mode`: see `receiver.py`. `log` is appended to.
    ///
    /// # Errors
    /// It did not start.
    pub fn start(
        parts: &Parts,
        protocol: Protocol,
        port: u16,
        mode: &str,
        log: PathBuf,
    ) -> Result<Self> {
        let name = match protocol {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        };
        let mut command = Command::new(&parts.python);
        command
            .arg(Parts::program("python/receiver.py"))
            .args([name, &port.to_string()])
            .arg(&log)
            .arg(mode);
        let process = Running::start(command)?;
        Ok(Self { port: process.port()?, log, _process: process })
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Requests that were taken so far: `{protocol, signal, headers, request}`, the request in Protobuf's
    /// JSON form (bytes in base64, 64-bit integers as strings).
    ///
    /// # Errors
    /// The log can't be read.
    pub fn requests(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(&self.log)
            .with_context(|| format!("can't read {}", self.log.display()))?;
        Ok(records(&text))
    }

    /// The spans of all requests.
    ///
    /// # Errors
    /// As [`Receiver::requests`], or a request is not one of OTLP.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let mut spans = Vec::new();
        for request in self.requests()? {
            spans.extend(Span::all(&request["request"])?);
        }
        Ok(spans)
    }

    /// The points of metrics of all requests.
    ///
    /// # Errors
    /// As [`Receiver::spans`].
    pub fn points(&self) -> Result<Vec<Point>> {
        let requests = self.requests()?;
        let points = requests.iter().map(|request| Point::all(&request["request"]));
        Ok(points.collect::<Result<Vec<_>>>()?.concat())
    }

    /// The events of all requests.
    ///
    /// # Errors
    /// As [`Receiver::spans`].
    pub fn events(&self) -> Result<Vec<Event>> {
        let requests = self.requests()?;
        let events = requests.iter().map(|request| Event::all(&request["request"]));
        Ok(events.collect::<Result<Vec<_>>>()?.concat())
    }
}
