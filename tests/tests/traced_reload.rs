//! Filters of a daemon that runs change as its file is edited, and what fits both is not cut.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::ChildStdin,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{
    Attached, Finished, Lab, Record, Running, Server, Span, differences, no_bytes_lost, records,
    wait_until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// Kinds of filters, with their values.
type Filters<'a> = &'a [(&'a str, &'a [&'a str])];

/// The daemon, and the file that it follows.
struct Daemon {
    running: Running,
    file: PathBuf,
    spans: PathBuf,
}

impl Daemon {
    fn start(lab: &Lab, filters: Filters<'_>) -> Result<Self> {
        let (file, spans) = (lab.file("llmtap.yaml"), lab.file("spans.jsonl"));
        let command = lab.llmtap(&["run", "--config", &file.to_string_lossy()]);
        // Started below, when the file is there.
        fs::write(&file, text(&spans, filters))?;
        let running = Running::start(command)?;
        running.errors.wait_for(Attached::READY, |line| line.starts_with("llmtap: ready"))?;
        Ok(Self { running, file, spans })
    }

    /// Saves the file by a rename, as most editors do.
    fn save(&self, text: &str) -> Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, &self.file)?)
    }

    /// Other filters, in force when this returns.
    fn refilter(&self, filters: Filters<'_>) -> Result<()> {
        self.save(&text(&self.spans, filters))?;
        self.is_in_force(filters)
    }

    fn is_in_force(&self, filters: Filters<'_>) -> Result<()> {
        let said: Vec<_> =
            filters.iter().map(|(kind, values)| format!("{kind} {}", values.join(", "))).collect();
        self.says(&format!("filters in force: {}; tracing", said.join("; ")))
    }

    /// Waits for a line of the log with this in it.
    fn says(&self, words: &str) -> Result<()> {
        self.running.errors.wait_for(LIMIT, |line| line.contains(words)).map(drop)
    }

    /// Waits for the span of the call with this id.
    fn shows(&self, id: &str) -> Result<()> {
        let found = wait_until(&format!("the span of {id}"), LIMIT, || {
            let text = fs::read_to_string(&self.spans).unwrap_or_default();
            // The last line may be half written.
            let spans = Span::parse(text.rfind('\n').map_or("", |end| &text[..end])).ok()?;
            spans.iter().any(|span| is_of(span, id)).then_some(())
        });
        found.with_context(|| self.running.errors.text())
    }

    /// The value of a metric, as its line has it.
    fn metric(&self, name: &str) -> Result<String> {
        let place = "llmtap: metrics at http://";
        let line = self.running.errors.wait_for(LIMIT, |line| line.starts_with(place))?;
        let address = line.trim_start_matches(place).trim_end_matches("/metrics");
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let found = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map(str::to_owned).with_context(|| format!("no {name} in\n{answer}"))
    }

    /// Ends it; what it said, and every span.
    fn end(self) -> Result<(Finished, Vec<Span>)> {
        self.running.signal(Signal::TERM)?;
        let ended = self.running.finish(LIMIT)?.success()?;
        no_bytes_lost(&ended.errors)?;
        Ok((ended, Span::parse(&fs::read_to_string(&self.spans)?)?))
    }
}

/// A configuration.
fn text(spans: &std::path::Path, filters: Filters<'_>) -> String {
    let filters: String =
        filters.iter().map(|(kind, values)| format!("  {kind}: {}\n", json!(values))).collect();
    format!(
        "filters:\n{filters}output:\n  format: otlp-json\n  file: {}\nmetrics:\n  listen: 127.0.0.1:0\n",
        spans.display()
    )
}

fn is_of(span: &Span, id: &str) -> bool {
    span.text("gen_ai.response.id") == Some(&format!("chatcmpl-{id}"))
}

/// A client that makes the calls it is told, over connections that it keeps.
struct Client {
    running: Running,
    input: ChildStdin,
    /// What its command line alone matches.
    pattern: String,
}

impl Client {
    fn start(lab: &Lab, name: &str) -> Result<Self> {
        // A name that no other program of this machine has.
        let name = format!("{name}-{}", std::process::id());
        let (running, input) = Running::start_with_input(lab.python("told.py", &[&name]))?;
        running.errors.wait_for(LIMIT, |line| line == "waiting")?;
        Ok(Self { running, input, pattern: format!("*told.py {name}") })
    }

    fn tell(&mut self, server: &Server, call: &Value, is_fresh: bool) -> Result<()> {
        let line = json!({"port": server.port, "call": call, "fresh": is_fresh});
        Ok(writeln!(self.input, "{line}")?)
    }

    /// One call, to its end.
    fn call(&mut self, server: &Server, id: &str, n: u32) -> Result<Record> {
        self.tell(server, &json!({"id": id, "n": n}), false)?;
        self.ended(id)
    }

    /// A call that is in the middle of its answer when this returns.
    fn begin(&mut self, server: &Server, id: &str, chunks: u32, delay_ms: u32) -> Result<()> {
        let before = self.running.errors.text().lines().count();
        let call = json!({"id": id, "n": 5, "chunks": chunks, "delay_ms": delay_ms});
        self.tell(server, &call, false)?;
        wait_until("a chunk", LIMIT, || {
            (self.running.errors.text().lines().count() > before + 2).then_some(())
        })
    }

    /// Waits for the record of a call that was told.
    fn ended(&self, id: &str) -> Result<Record> {
        let of = format!(r#""id": "{id}""#);
        let line = self.running.output.wait_for(LIMIT, |line| line.contains(&of))?;
        records(&line).pop().context(line)
    }
}

#[test]
fn other_programs_are_traced_from_their_next_message() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let [mut left, mut cut, mut taken, mut kept] = {
        let start = |name| Client::start(&lab, name);
        [start("left")?, start("cut")?, start("taken")?, start("kept")?]
    };
    let patterns = [&left, &cut, &taken, &kept].map(|client| client.pattern.clone());
    let [for_left, for_cut, for_taken, for_kept] = patterns.each_ref().map(String::as_str);
    let daemon = Daemon::start(&lab, &[("cmdline", &[for_left, for_cut, for_kept])])?;
    let mut seen = vec![left.call(&server, "left1", 1)?, kept.call(&server, "kept1", 2)?];
    taken.call(&server, "taken1", 3)?;
    kept.begin(&server, "kept2", 100, 50)?;
    cut.begin(&server, "cut1", 1000, 50)?;

    daemon.refilter(&[("cmdline", &[for_taken, for_kept])])?;
    ensure!(!kept.running.output.text().contains("kept2"), "it was to be under way");
    daemon.shows("cut1")?;
    left.call(&server, "left2", 6)?;
    seen.push(taken.call(&server, "taken2", 7)?);
    taken.tell(&server, &json!({"id": "taken3", "n": 8}), true)?;
    seen.extend([taken.ended("taken3")?, kept.ended("kept2")?]);
    for id in ["taken2", "taken3", "kept2"] {
        daemon.shows(id)?;
    }
    let (ended, mut spans) = daemon.end()?;
    let cut_short = spans.iter().position(|span| is_of(span, "cut1")).context("no cut1")?;
    let cut_short = spans.swap_remove(cut_short);
    ensure!(cut_short.text("llmtap.ended") == Some("tracer_stopped"), "{cut_short:#?}");
    let wrong = differences(&spans, &seen);
    ensure!(wrong.is_empty(), "{wrong:#?}\n{}", ended.errors);
    // What began behind the change, and what was under way at it, is whole.
    for span in spans.iter().filter(|span| is_of(span, "taken3") || is_of(span, "kept2")) {
        let mut names = span.attributes.keys();
        ensure!(!names.any(|name| name.starts_with("llmtap.capture.")), "{span:#?}");
    }
    Ok(())
}

#[test]
fn ports_and_hosts_change_for_connections_that_are_kept() -> Result<()> {
    let lab = Lab::open()?;
    let (one, other) = (lab.server()?, lab.server()?);
    let mut client = Client::start(&lab, "ports")?;
    let pattern = client.pattern.clone();
    let ports = [&one, &other].map(|server| server.port.to_string());
    let [of_one, of_other] = ports.each_ref().map(String::as_str);
    let program = ("cmdline", &[pattern.as_str()][..]);
    let daemon = Daemon::start(&lab, &[program, ("port", &[of_one])])?;
    let mut seen = vec![client.call(&one, "a1", 1)?];
    client.call(&other, "b1", 2)?;

    daemon.refilter(&[program, ("port", &[of_other])])?;
    client.call(&one, "a2", 3)?;
    seen.push(client.call(&other, "b2", 4)?);
    daemon.shows("b2")?;

    daemon.refilter(&[program, ("port", &[of_one]), ("host", &["*.openai.com"])])?;
    client.call(&one, "a3", 5)?;
    client.call(&other, "b3", 6)?;

    daemon.refilter(&[program, ("port", &[of_one]), ("host", &["local*"])])?;
    seen.push(client.call(&one, "a4", 7)?);
    client.call(&other, "b4", 8)?;
    daemon.shows("a4")?;

    daemon.refilter(&[program])?;
    seen.extend([client.call(&one, "a5", 9)?, client.call(&other, "b5", 10)?]);
    daemon.shows("b5")?;
    let (ended, spans) = daemon.end()?;
    let wrong = differences(&spans, &seen);
    ensure!(wrong.is_empty(), "{wrong:#?}\n{}", ended.errors);
    Ok(())
}

#[test]
fn wrong_file_changes_nothing_until_it_is_mended() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let (mut first, mut second) = (Client::start(&lab, "first")?, Client::start(&lab, "second")?);
    let patterns = [first.pattern.clone(), second.pattern.clone()];
    let [of_first, of_second] = patterns.each_ref().map(String::as_str);
    let daemon = Daemon::start(&lab, &[("cmdline", &[of_first])])?;
    daemon.save(&format!("filters:\n  cmdline: [{of_second:?}]\n  prot: [443]\n"))?;
    daemon.says(&format!("{}:3:", daemon.file.display()))?;
    daemon.says("the filters stay as they are")?;
    let mut seen = vec![first.call(&server, "first1", 1)?];
    second.call(&server, "second1", 2)?;
    daemon.shows("first1")?;
    ensure!(daemon.metric("llmtap_reloads_total{result=\"refused\"}")? == "1.0");
    ensure!(daemon.metric("llmtap_reloads_total{result=\"applied\"}")? == "0.0");

    let mended = text(&daemon.spans, &[("cmdline", &[of_second])]);
    daemon.save(&format!("{mended}semconv: dup\nring_bytes: 65536\n"))?;
    daemon.is_in_force(&[("cmdline", &[of_second])])?;
    daemon.says("changes of semconv, ring_bytes take effect when llmtap is started again")?;
    first.call(&server, "first2", 3)?;
    seen.push(second.call(&server, "second2", 4)?);
    daemon.shows("second2")?;
    ensure!(daemon.metric("llmtap_reloads_total{result=\"applied\"}")? == "1.0");
    let (ended, spans) = daemon.end()?;
    let wrong = differences(&spans, &seen);
    ensure!(wrong.is_empty(), "{wrong:#?}\n{}", ended.errors);
    Ok(())
}

#[test]
fn signal_has_the_file_read_at_once() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let mut client = Client::start(&lab, "named")?;
    let other = Client::start(&lab, "other")?;
    let (pid, other_pid) = (client.running.pid().to_string(), other.running.pid().to_string());
    let daemon = Daemon::start(&lab, &[("cmdline", &[other.pattern.as_str()])])?;
    drop(other);
    daemon.running.signal(Signal::HUP)?;
    daemon.says("says what it said when it was last read")?;
    // A process that is gone, and one that is there.
    let filters = format!("  pid: [{other_pid}, {pid}]\n");
    let whole = text(&daemon.spans, &[]).replace("filters:\n", &format!("filters:\n{filters}"));
    fs::write(&daemon.file, whole)?;
    daemon.running.signal(Signal::HUP)?;
    daemon.says(&format!("there is no process {other_pid} any more"))?;
    daemon.says(&format!("filters in force: pid {other_pid}, {pid};"))?;
    let seen = [client.call(&server, "named1", 1)?];
    daemon.shows("named1")?;
    let (ended, spans) = daemon.end()?;
    let wrong = differences(&spans, &seen);
    ensure!(wrong.is_empty(), "{wrong:#?}\n{}", ended.errors);
    Ok(())
}
