//! What is lost is counted to the byte, under overload too, and the numbers of a call survive it.

use std::{collections::HashMap, fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use llmtap_tests::{Attached, Finished, Lab, Record, Running, Span, records, wait_until};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(60);

/// Numbers of a line, in order.
fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// What a run told of itself at its end.
struct Told {
    spans: Vec<Span>,
    errors: String,
    /// What the program says.
    passed: u64,
    gone: [u64; 2],
    captured: u64,
    /// By cause, in the summary's words.
    lost: HashMap<String, u64>,
}

impl Told {
    fn lost(&self, cause: &str) -> Result<u64> {
        self.lost.get(cause).copied().with_context(|| format!("no {cause} in {:?}", self.lost))
    }

    /// Every byte is captured or counted.
    fn adds_up(&self) -> Result<()> {
        let lost: u64 = self.lost.values().sum();
        let (passed, captured) = (self.passed, self.captured);
        ensure!(
            captured + lost == passed,
            "{captured} captured and {lost} lost of {passed}: {}",
            self.errors
        );
        Ok(())
    }

    /// The spans of both ends of one call.
    fn both_ends(&self, response_id: &str) -> Result<[&Span; 2]> {
        let has = |span: &&Span| span.text("gen_ai.response.id") == Some(response_id);
        let found: Vec<_> = self.spans.iter().filter(has).collect();
        <[&Span; 2]>::try_from(found)
            .ok()
            .with_context(|| format!("{response_id}: {:#?}\n{}", self.spans, self.errors))
    }
}

fn is_whole(span: &Span) -> Result<()> {
    for (name, value) in &span.attributes {
        ensure!(!name.starts_with("llmtap.capture."), "{name} is {value} in {span:#?}");
    }
    Ok(())
}

/// `passes.c` with `llmtap run` at it.
struct Passes {
    lab: Lab,
    program: Running,
    daemon: Running,
    metrics: String,
    spans: PathBuf,
}

impl Passes {
    /// Goes on with the steps once the probes are in place. `settings`: of the configuration.
    fn start(settings: &str, steps: &[&str]) -> Result<Self> {
        let lab = Lab::open()?;
        let mut command = lab.passes()?;
        command.args(["say:waiting", "wait:start"]).args(steps);
        let program = Running::start(command)?;
        program.errors.wait_for(LIMIT, |line| line == "waiting")?;
        let (file, spans) = (lab.file("llmtap.yaml"), lab.file("spans.jsonl"));
        let (pid, output) = (program.pid(), spans.display());
        let common = format!(
            "filters: {{pid: [{pid}]}}\noutput: {{format: otlp-json, file: {output}}}\n\
             metrics: {{listen: \"0\"}}\n"
        );
        fs::write(&file, common + settings)?;
        let daemon = Running::start(lab.llmtap(&["run", "--config", &file.to_string_lossy()]))?;
        let at = "llmtap: metrics at ";
        let line = daemon.errors.wait_for(Attached::READY, |line| line.starts_with(at))?;
        let metrics = line.trim_start_matches(at).to_owned();
        daemon.errors.wait_for(Attached::READY, |line| line.starts_with("llmtap: ready"))?;
        let passes = Self { lab, program, daemon, metrics, spans };
        passes.let_on("start")?;
        Ok(passes)
    }

    /// The program waits for a file of that name.
    fn let_on(&self, name: &str) -> Result<()> {
        Ok(fs::write(self.lab.folder().join(name), "")?)
    }

    fn metrics(&self) -> Result<Record> {
        let script = self.lab.python("metrics.py", &[&self.metrics]);
        let output = Running::start(script)?.finish(LIMIT)?.success()?.output;
        records(&output).pop().context("no metrics")
    }

    fn metric(&self, name: &str) -> Result<f64> {
        let metrics = self.metrics()?;
        metrics[name].as_f64().with_context(|| format!("no {name} in {metrics}"))
    }

    fn wait_for_metric(&self, name: &str, least: f64) -> Result<()> {
        let enough = || self.metric(name).ok().filter(|value| *value >= least);
        wait_until(&format!("{least} of {name}"), LIMIT, enough).map(drop)
    }

    /// Waits for the program's end, then ends the daemon.
    fn finish(self) -> Result<Told> {
        let output = self.program.finish(LIMIT)?.success()?.output;
        self.daemon.signal(Signal::TERM)?;
        let Finished { status, errors, .. } = self.daemon.finish(LIMIT)?;
        ensure!(status.success(), "{status}: {errors}");
        let said = records(&output).pop().with_context(|| output.clone())?;
        let number = |value: &Record| value.as_u64().with_context(|| said.to_string());
        let line = |start: &str| {
            let line = errors.lines().rfind(|line| line.starts_with(start));
            line.with_context(|| format!("no {start:?} in {errors}"))
        };
        let captured = numbers(line("llmtap: bytes captured: ")?);
        let lost = line("llmtap: bytes lost: ")?.trim_start_matches("llmtap: bytes lost: ");
        // As `ring full 0, memory fault 12, oversize 0 (3 notices)`.
        let lost = lost.split(", ").filter_map(|cause| {
            let name = cause.split(|c: char| c.is_ascii_digit()).next()?;
            Some((name.trim().to_owned(), *numbers(cause).first()?))
        });
        Ok(Told {
            spans: Span::parse(&fs::read_to_string(&self.spans)?)?,
            passed: number(&said["passed"])?,
            gone: [number(&said["gone"][0])?, number(&said["gone"][1])?],
            captured: captured.first().copied().context("no number")?,
            lost: lost.collect(),
            errors,
        })
    }
}

/// A body of 64 MiB handed over in one call, and a ring of 1 MiB: most of it has no room.
#[test]
fn overflow_is_counted_to_the_byte() -> Result<()> {
    let lab = Lab::open()?;
    let server = lab.server()?;
    let call = r#"{"id": "flood", "n": 41, "body_bytes": 67108864}"#;
    let client = lab.python("cases.py", &["plain", &server.port.to_string(), call]);
    let trace = lab.tracer().arg("--ring-size").arg("1").run(&client)?;
    let calls = records(&trace.output);
    let span = trace.spans.first().with_context(|| trace.errors.clone())?;
    let missing = span
        .number("llmtap.capture.missing_request_bytes")
        .with_context(|| format!("nothing is missing: {span:#?}"))?;
    let lost: u64 = numbers(trace.summary("bytes lost:")?).iter().sum();
    ensure!(missing.unsigned_abs() == lost, "{missing} missing, {lost} lost: {}", trace.errors);
    ensure!(missing < 67_108_864 && missing > 0, "{missing}");
    // The answer came after the flood, and is whole.
    let expected = calls[0]["output_tokens"].as_i64();
    ensure!(span.number("gen_ai.usage.output_tokens") == expected, "{span:#?}\n{calls:?}");
    ensure!(trace.summary("calls,")?.contains("1 calls incomplete"), "{}", trace.errors);
    Ok(())
}

/// The memory is gone when the library returns: what was in it can't be read any more.
#[test]
fn faults_are_counted_to_the_byte() -> Result<()> {
    let told = Passes::start("", &["call:a", "faulty:a", "call:a"])?.finish()?;
    told.adds_up()?;
    let [sent, received] = told.gone;
    ensure!(sent > 0 && received > 0, "{:?}", told.gone);
    ensure!(told.lost("memory fault")? == sent + received, "{:?}", told.lost);
    ensure!(told.lost.values().sum::<u64>() == sent + received, "{:?}", told.lost);
    let mut missing = Vec::new();
    for span in told.both_ends("chatcmpl-1")? {
        missing.extend(span.number("llmtap.capture.missing_request_bytes"));
        ensure!(span.number("gen_ai.usage.output_tokens") == Some(11), "{span:#?}");
    }
    missing.sort_unstable();
    let mut gone = told.gone.map(u64::cast_signed);
    gone.sort_unstable();
    ensure!(missing == gone, "{missing:?} and {gone:?}");
    for id in ["chatcmpl-0", "chatcmpl-2"] {
        told.both_ends(id)?.into_iter().try_for_each(is_whole)?;
    }
    Ok(())
}

/// There is room for one connection: the client's, which is made first.
#[test]
fn connections_beyond_the_bound_are_counted() -> Result<()> {
    let told = Passes::start("max_connections: 1\n", &["call:a", "call:a"])?.finish()?;
    told.adds_up()?;
    // What one end sends the other receives.
    ensure!(told.lost("map full")? == told.passed / 2, "{:?} of {}", told.lost, told.passed);
    ensure!(told.captured == told.passed / 2, "{} of {}", told.captured, told.passed);
    ensure!(told.spans.len() == 2, "{:#?}", told.spans);
    told.spans.iter().try_for_each(is_whole)
}

/// More than the kernel copies for one call, on both ends; and everything else at once.
#[test]
fn causes_together_are_counted_to_the_byte() -> Result<()> {
    let settings = "ring_bytes: 65536\nmax_connections: 3\n";
    let steps = ["faulty:a", "huge:a:200000000", "call:b", "faulty:b", "huge:b:150000000"];
    let told = Passes::start(settings, &steps)?.finish()?;
    told.adds_up()?;
    for cause in ["memory fault", "oversize", "ring full", "map full"] {
        ensure!(told.lost(cause)? > 0, "no {cause}: {:?}", told.lost);
    }
    Ok(())
}

/// Bodies of other messages are left out, and the connection is followed again behind them.
#[test]
fn bodies_of_other_calls_are_shed() -> Result<()> {
    let settings = "overload: {content: 0, bodies: 0, connections: 100}\ncapture_content: true\n";
    let passes = Passes::start(
        settings,
        &["stream:s", "blob:b", "until:b:stop", "chunk:s", "end:b", "call:b", "done:s"],
    )?;
    passes.wait_for_metric("llmtap_lost_bytes_total{cause=shed_body}", 10_000_000.0)?;
    passes.let_on("stop")?;
    let told = passes.finish()?;
    told.adds_up()?;
    let shed = told.lost("shed body")?;
    ensure!(told.lost.values().sum::<u64>() == shed, "{:?}", told.lost);
    for span in told.both_ends("chatcmpl-stream")? {
        is_whole(span)?;
        ensure!(span.number("llmtap.response.chunks") == Some(2), "{span:#?}");
        ensure!(span.number("gen_ai.usage.output_tokens") == Some(6), "{span:#?}");
        ensure!(span.attribute("gen_ai.input.messages").is_none(), "{span:#?}");
        ensure!(span.attribute("llmtap.content.shed").is_some(), "{span:#?}");
    }
    told.both_ends("chatcmpl-0")?.into_iter().try_for_each(is_whole)?;
    ensure!(told.errors.contains("did not keep up"), "{}", told.errors);
    Ok(())
}

#[test]
fn new_connections_are_shed_whole() -> Result<()> {
    let settings = "overload: {content: 0, bodies: 0, connections: 0}\n";
    let told = Passes::start(settings, &["call:a", "call:b"])?.finish()?;
    told.adds_up()?;
    ensure!(told.lost("shed connection")? == told.passed, "{:?} of {}", told.lost, told.passed);
    ensure!(told.spans.is_empty(), "{:#?}", told.spans);
    Ok(())
}

/// Every thread of the process is stopped (proc_pid_stat(5)).
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    })
}

/// llmtap stands still while far more passes than the ring holds. What remains of the ring is for the
/// stream that it knew to be under way: all of its chunks are there.
#[test]
fn stream_under_way_survives_overload() -> Result<()> {
    let mut steps = vec!["stream:s", "blob:b", "bytes:b:1000", "say:begun", "wait:go"];
    for _ in 0..40 {
        steps.extend(["chunk:s", "bytes:b:4000000"]);
    }
    steps.extend(["call:c", "say:flooded", "wait:on", "end:b", "done:s"]);
    let passes = Passes::start("ring_bytes: 1048576\n", &steps)?;
    passes.program.errors.wait_for(LIMIT, |line| line == "begun")?;
    passes.wait_for_metric("llmtap_open_calls", 2.0)?;
    passes.daemon.signal(Signal::STOP)?;
    // The signal reaches one thread, and from there the others.
    let pid = passes.daemon.pid();
    wait_until("llmtap to stand still", LIMIT, || stands_still(pid).then_some(()))?;
    passes.let_on("go")?;
    passes.program.errors.wait_for(LIMIT, |line| line == "flooded")?;
    passes.daemon.signal(Signal::CONT)?;
    passes.let_on("on")?;
    let told = passes.finish()?;
    told.adds_up()?;
    for span in told.both_ends("chatcmpl-stream")? {
        is_whole(span)?;
        ensure!(span.number("llmtap.response.chunks") == Some(41), "{span:#?}");
        ensure!(span.number("gen_ai.usage.output_tokens") == Some(6), "{span:#?}");
    }
    // The connection that began in the midst of it is left out; its call is counted, not told.
    ensure!(told.lost("shed connection")? > 0, "{:?}", told.lost);
    ensure!(told.spans.len() == 2, "{} spans: {}", told.spans.len(), told.errors);
    Ok(())
}

/// A scrape agrees with the summary.
#[test]
fn metrics_agree_with_the_summary() -> Result<()> {
    let passes = Passes::start("max_connections: 3\n", &["faulty:a", "call:b", "wait:stop"])?;
    passes.wait_for_metric("llmtap_spans_total{output=lines,result=exported}", 3.0)?;
    // The last bytes may come after the last span.
    let metrics = wait_until("metrics that stand still", LIMIT, || {
        let first = passes.metrics().ok()?;
        std::thread::sleep(Duration::from_secs(1));
        passes.metrics().ok().filter(|second| {
            second["llmtap_captured_records_total"] == first["llmtap_captured_records_total"]
        })
    })?;
    passes.let_on("stop")?;
    let told = passes.finish()?;
    told.adds_up()?;
    let metric = |name: &str| {
        metrics[name].as_f64().map(|value| value as u64).with_context(|| format!("no {name}"))
    };
    ensure!(metric("llmtap_captured_bytes_total")? == told.captured, "{metrics}");
    for (cause, lost) in &told.lost {
        let label = cause.replace(' ', "_");
        let counted = metric(&format!("llmtap_lost_bytes_total{{cause={label}}}"))?;
        ensure!(counted == *lost, "{cause}: {counted} and {lost}");
    }
    ensure!(metric("llmtap_calls_total{result=success}")? == 3, "{metrics}");
    ensure!(metric("llmtap_connections")? == 3 && metric("llmtap_processes")? == 1, "{metrics}");
    ensure!(metric("process_resident_memory_bytes")? > 0, "{metrics}");
    ensure!(metric("llmtap_ring_bytes")? == 32 << 20, "{metrics}");
    Ok(())
}
