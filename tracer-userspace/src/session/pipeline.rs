//! The stages joined: capture's events in, spans to the outputs.
//! Takes events in order, on one thread; gives counts for the summary.
//! Keeps what belongs to no single stage: which process a connection belongs to, and its addresses.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use foldhash::HashMap;

use crate::{
    capture::{Closed, ConnectionId, Event, Opened, ProcessId, Timestamp, Use},
    discover::Process,
    export::{MetricsReading, Outputs},
    genai::{Calls, Operation},
    http::{self, ExchangeEvent, Exchanges, Passing},
    meter::{Overflow, Temporality},
    session::{Filters, Measuring, Processes, Scrape, Status, measuring::Points},
    trace::{Spans, Transport, semconv},
};

/// What the summary tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub calls: u64,
    /// Calls of the Model Context Protocol.
    pub mcp_calls: u64,
    pub errors: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Calls with bytes missing, or seen from their middle only.
    pub incomplete: u64,
    /// Calls that were not exported: not sampled.
    pub unsampled: u64,
    /// Calls of which no content was kept under overload.
    pub shed_contents: u64,
}

struct Connection {
    process: ProcessId,
    transport: Transport,
}

pub struct Pipeline {
    filters: Arc<Filters>,
    exchanges: Exchanges,
    calls: Calls,
    spans: Spans,
    measuring: Measuring,
    outputs: Outputs,
    processes: Processes,
    connections: HashMap<ConnectionId, Connection>,
    counts: Counts,
}

impl Pipeline {
    pub fn new(filters: Arc<Filters>, calls: Calls, spans: Spans, outputs: Outputs) -> Self {
        let measuring = Measuring::new(spans.conventions().profile, spans.clock());
        Self {
            measuring,
            filters,
            exchanges: Exchanges::new(),
            calls,
            spans,
            outputs,
            processes: Processes::told_of(),
            connections: HashMap::default(),
            counts: Counts::default(),
        }
    }

    /// Other filters, for calls that end from now on.
    pub fn filter(&mut self, filters: Arc<Filters>) {
        self.filters = filters;
    }

    /// Measures operations for outputs that take metrics, as `reading` says, and for Prometheus.
    #[must_use]
    pub fn measured(mut self, reading: MetricsReading, scrape: Option<Scrape>) -> Self {
        if self.outputs.wants_metrics() {
            self.measuring = self.measuring.pushing(reading);
        }
        if let Some(scrape) = scrape {
            self.measuring = self.measuring.scraped(scrape);
        }
        self
    }

    /// One event of capture, all the way.
    pub fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Process(event) => {
                self.processes.on(event);
            }
            Event::Opened(opened) => self.opened(opened),
            Event::Addresses { connection, addresses } => {
                if let Some(connection) = self.connections.get_mut(connection) {
                    connection.transport.addresses = Some(*addresses);
                }
            }
            _ => {}
        }
        let mut finished = Vec::new();
        let calls = &mut self.calls;
        self.exchanges.on(event, &mut |event: ExchangeEvent<'_>| finished.extend(calls.on(&event)));
        for operation in finished {
            self.finished(operation);
        }
        if let Event::Closed(Closed { connection, .. }) = event {
            self.connections.remove(connection);
        }
    }

    /// What a connection is used for.
    pub fn usage(&self, connection: ConnectionId) -> Use {
        if self.calls.is_under_way_on(connection) {
            return Use::Call;
        }
        match self.exchanges.passing(connection) {
            Some(Passing::Body { direction, left, .. }) => Use::Body { direction, left },
            Some(Passing::Nothing) => Use::Foreign,
            None => Use::Unknown,
        }
    }

    /// Under overload no text is kept of calls that begin.
    pub fn hurry(&mut self, hurried: bool) {
        self.calls.hurry(hurried);
    }

    /// The tracer stops: what is under way ends as it is.
    pub fn stop(&mut self, time: Timestamp) {
        let mut finished = Vec::new();
        let calls = &mut self.calls;
        self.exchanges
            .stop(time, &mut |event: ExchangeEvent<'_>| finished.extend(calls.on(&event)));
        for operation in finished {
            self.finished(operation);
        }
        let points = self.measuring.collect(time, |_| false);
        self.push_points(points);
    }

    /// It is `now`: gives the outputs the metrics, where it is time for them.
    pub fn tick(&mut self, now: Timestamp) {
        let processes = &self.processes;
        let points = self.measuring.tick(now, |process| processes.get(*process).is_some());
        self.push_points(points);
    }

    /// How long until [`Pipeline::tick`] has something to do.
    pub fn patience(&self, now: Timestamp) -> Option<Duration> {
        self.measuring.patience(now)
    }

    fn push_points(&mut self, points: Option<(Points, SystemTime, Temporality)>) {
        if let Some((points, time, temporality)) = points {
            self.outputs.push_metrics(&points, time, temporality);
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What was met on the connections.
    pub fn http_counts(&self) -> http::Counts {
        self.exchanges.counts()
    }

    /// Tells what the stages counted.
    pub fn fill(&self, status: &mut Status) {
        status.http = self.exchanges.counts();
        status.open_calls = self.calls.open();
        status.calls = self.counts;
        status.outputs = self.outputs.tallies();
        status.overflow = self.measuring.overflow();
    }

    /// Measurements that had no place of their own.
    pub fn overflow(&self) -> Overflow {
        self.measuring.overflow()
    }

    pub fn into_outputs(self) -> Outputs {
        self.outputs
    }

    /// What describes the processes of this run.
    pub fn processes(&mut self) -> &mut Processes {
        &mut self.processes
    }

    fn opened(&mut self, opened: &Opened) {
        let transport = Transport { security: Some(opened.security), addresses: None };
        let connection = Connection { process: opened.process, transport };
        self.connections.insert(opened.connection, connection);
    }

    fn finished(&mut self, operation: Operation) {
        let connection = self.connections.get(&operation.connection());
        let transport = connection.map_or_else(Transport::default, |known| known.transport);
        let port = semconv::asked_port(&operation, transport.security);
        let passes_port = transport.addresses.is_some() || self.filters.authority_passes(port);
        if !passes_port || !self.filters.hosts.matches(operation.http.authority.as_deref()) {
            return;
        }
        let process = connection
            .and_then(|connection| self.processes.get(connection.process))
            .unwrap_or_else(|| Arc::new(undescribed(connection.map(|found| found.process))));
        self.count(&operation);
        let resources = self.outputs.resources();
        // One for both: a point must not begin behind what it counts.
        let offset = self.spans.clock().measure();
        let start = offset.system_time(operation.timing.start);
        self.measuring.operation(&operation, transport, &process, resources, start);
        match self.spans.span(operation, &process, transport, offset) {
            Some(span) => self.outputs.push(&span),
            None => self.counts.unsampled += 1,
        }
    }
}

impl Pipeline {
    fn count(&mut self, operation: &Operation) {
        let counts = &mut self.counts;
        match operation.mcp {
            Some(_) => counts.mcp_calls += 1,
            None => counts.calls += 1,
        }
        counts.errors += u64::from(semconv::failed(operation));
        counts.input_tokens += operation.usage.input_tokens.unwrap_or(0);
        counts.output_tokens += operation.usage.output_tokens.unwrap_or(0);
        let end = &operation.end;
        let whole = end.missing_request == 0
            && end.missing_response == 0
            && !end.joined_late
            && operation.unknown_fields == 0;
        counts.incomplete += u64::from(!whole);
        let shed = operation.content.as_ref().is_some_and(|content| content.shed);
        counts.shed_contents += u64::from(shed);
    }
}

/// A process that `/proc` no longer knew when it was looked at.
fn undescribed(id: Option<ProcessId>) -> Process {
    Process {
        id: id.unwrap_or(ProcessId { pid: 0, incarnation: 0 }),
        parent_pid: None,
        executable: None,
        command: Vec::new(),
        uid: None,
        otel_service_name: None,
        otel_resource_attributes: None,
    }
}
