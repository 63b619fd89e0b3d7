use std::{fs, io::Write as _, path::Path};

use super::*;
use crate::{
    capture::{
        CloseCause, Closed, ConnectionId, Data, Direction, Opened, Origin, Security, Segment,
    },
    export::{Format, Host, Lines, MetricsReading, Outputs, Resources, Signal, Variables},
    genai::{Calls, Options},
    meter::Temporality,
    recording::{Start, Writer},
    session::Filters,
    trace::{Clock, Ids, Sampler, Spans, sample},
};

/// Of the calls, which are milliseconds apart, the metrics are collected several times.
const INTERVAL: Duration = Duration::from_millis(100);

const SECRET: &str = "sk-0123456789-abc";
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const ANSWER: &str = r#"{"id":"c-1","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

fn start() -> Start {
    Start { boot: 1_700_000_000_000_000_000, seed: 7, ..Start::default() }
}

fn request() -> String {
    format!(
        "POST /v1/chat/completions?api_key={SECRET} HTTP/1.1\r\nHost: llm.example\r\n\
         Authorization: Bearer {SECRET}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
}

fn response() -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: {SECRET}\r\n\
         Content-Length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    )
}

/// Two connections with two calls each, the second of which is still open; cut in small segments.
fn run(sink: &mut dyn FnMut(Item<'_>)) {
    let process = sample::process(42, "shop");
    sink(Item::Process(process.as_ref().clone()));
    let mut time = 0;
    let mut now = || {
        time += 1_000_000;
        Timestamp(time)
    };
    let connections = [ConnectionId(1), ConnectionId(2)];
    for connection in connections {
        let (process, time, origin) = (process.id, now(), Origin::Created);
        let security = Security::Tls;
        sink(Item::Event(Event::Opened(Opened { connection, process, time, origin, security })));
    }
    let mut offsets = [[0_u64; 2]; 2];
    for call in 0..2 {
        for (n, connection) in connections.into_iter().enumerate() {
            for (direction, text) in
                [(Direction::Sent, request()), (Direction::Received, response())]
            {
                let whole = (call, n, direction) != (1, 1, Direction::Received);
                let text = if whole { text.as_str() } else { &text[..text.len() - 10] };
                for part in text.as_bytes().chunks(7) {
                    let offset = &mut offsets[n][usize::from(direction == Direction::Sent)];
                    let (time, data) = (now(), Data::Bytes(part));
                    let segment = Segment { connection, direction, offset: *offset, time, data };
                    *offset += part.len() as u64;
                    sink(Item::Event(Event::Segment(segment)));
                }
            }
        }
    }
    for (connection, cause) in
        connections.into_iter().zip([CloseCause::Freed, CloseCause::TracerStopped])
    {
        let closed = Closed { connection, time: now(), cause, last_empty_read: None };
        sink(Item::Event(Event::Closed(closed)));
    }
    sink(Item::Finish(Finish { time: now(), ..Finish::default() }));
}

fn pipeline(start: &Start, lines: &Path) -> Pipeline {
    pipeline_of(start, lines, &[Signal::Traces])
}

fn pipeline_of(start: &Start, lines: &Path, signals: &[Signal]) -> Pipeline {
    let resources = Arc::new(Resources::of_host(Host::default(), &Variables::default()));
    let lines = Lines::start("test", Box::new(fs::File::create(lines).unwrap())).unwrap();
    let outputs =
        Outputs::new(resources).with_lines(Format::OtlpJson(signals.to_vec()), lines).patient();
    let spans = Spans::new(
        Sampler::default(),
        Clock::Recorded { boot: start.boot },
        Ids::Seeded(start.seed),
    );
    let calls = Calls::new(Options { capture_content: true });
    Pipeline::new(Arc::new(Filters::default()), calls, spans, outputs)
        .measured(MetricsReading { interval: INTERVAL, temporality: Temporality::Cumulative }, None)
}

fn recording() -> Vec<u8> {
    let mut writer = Writer::start(Vec::new(), &start()).unwrap();
    let mut finish = Finish::default();
    run(&mut |item| match item {
        Item::Process(process) => writer.process(&process).unwrap(),
        Item::Event(event) => writer.event(&event).unwrap(),
        Item::Finish(told) => finish = told,
    });
    writer.finish(&finish).unwrap().0
}

/// Replays a file; gives the OTLP/JSON lines of its spans, and whether the file was whole.
fn replayed(directory: &Path, bytes: &[u8], pace: Pace) -> (String, bool) {
    replayed_as(directory, bytes, pace, &[Signal::Traces])
}

fn replayed_as(directory: &Path, bytes: &[u8], pace: Pace, signals: &[Signal]) -> (String, bool) {
    let file = directory.join("file");
    fs::File::create(&file).unwrap().write_all(bytes).unwrap();
    let mut source = Source::open(&file).unwrap();
    let lines = directory.join("lines");
    let mut pipeline = pipeline_of(source.start(), &lines, signals);
    let result = replay(&mut source, &mut pipeline, pace, &AtomicBool::new(false));
    let tallies = pipeline.into_outputs().finish(Duration::from_secs(30));
    assert_eq!(tallies.lines.map(|tally| tally.lost()), Some(0));
    (fs::read_to_string(lines).unwrap(), result.is_ok())
}

#[test]
fn replay_gives_what_the_run_gave() {
    let directory = tempfile::tempdir().unwrap();
    let lines = directory.path().join("live");
    let mut live = pipeline(&start(), &lines);
    run(&mut |item| match item {
        Item::Process(process) => live.processes().told(Arc::new(process)),
        Item::Event(event) => live.on(&event),
        Item::Finish(finish) => live.stop(finish.time),
    });
    live.into_outputs().finish(Duration::from_secs(30));
    let live = fs::read_to_string(lines).unwrap();
    assert_eq!(live.lines().count(), 4);
    assert_eq!(live.matches("llmtap.ended").count(), 1);
    let (first, whole) = replayed(directory.path(), &recording(), Pace::Full);
    assert!(whole);
    assert_eq!(first, live);
    assert_eq!(replayed(directory.path(), &recording(), Pace::Full).0, first);
    assert_eq!(replayed(directory.path(), &recording(), Pace::RealTime).0, first);
}

#[test]
fn no_credential_is_in_the_file() {
    let file = recording();
    let mut plain = Vec::new();
    zstd::stream::copy_decode(&file[..], &mut plain).unwrap();
    // In segments of seven bytes no secret stands in one piece.
    let plain = String::from_utf8_lossy(&plain);
    for part in SECRET.as_bytes().windows(5) {
        assert!(!plain.contains(std::str::from_utf8(part).unwrap()));
    }
    assert!(plain.contains("POST /v"));
}

#[test]
fn broken_off_recording_is_replayed_so_far() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::start(Vec::new(), &start()).unwrap();
    let mut ends = Vec::new();
    run(&mut |item| {
        match item {
            Item::Process(process) => writer.process(&process).unwrap(),
            Item::Event(event) => writer.event(&event).unwrap(),
            Item::Finish(_) => {}
        }
        writer.flush().unwrap();
        ends.push(usize::try_from(writer.recorded().file).unwrap());
    });
    let file = writer.finish(&Finish::default()).unwrap().0;
    let (all, whole) = replayed(directory.path(), &file, Pace::Full);
    assert!(whole);
    let (part, whole) = replayed(directory.path(), &file[..ends[ends.len() / 2] + 1], Pace::Full);
    assert!(!whole);
    let first = all.lines().next().unwrap();
    assert!(part.starts_with(first), "a call that was over is the same");
    assert!((2..4).contains(&part.lines().count()));
}

#[test]
fn real_time_takes_its_time_and_stops_when_told() {
    let stop = AtomicBool::new(false);
    let mut metronome = Metronome { pace: Pace::RealTime, begun: None };
    let begun = Instant::now();
    metronome.wait_for(Some(Timestamp(5)), &stop);
    metronome.wait_for(Some(Timestamp(60_000_005)), &stop);
    metronome.wait_for(None, &stop);
    assert!(begun.elapsed() >= Duration::from_millis(60));
    stop.store(true, Ordering::Relaxed);
    metronome.wait_for(Some(Timestamp(u64::MAX)), &stop);
    let mut full = Metronome { pace: Pace::Full, begun: None };
    stop.store(false, Ordering::Relaxed);
    full.wait_for(Some(Timestamp(0)), &stop);
    full.wait_for(Some(Timestamp(u64::MAX)), &stop);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn process_that_was_not_described_is_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::start(Vec::new(), &start()).unwrap();
    run(&mut |item| {
        if let Item::Event(event) = item {
            writer.event(&event).unwrap();
        }
    });
    let file = writer.finish(&Finish::default()).unwrap().0;
    let (lines, _) = replayed(directory.path(), &file, Pace::Full);
    assert!(lines.contains("unknown_service") && !lines.contains("\"shop\""));
}

/// Points of the inference's duration by the lines they are in: time and count.
fn durations(lines: &str) -> Vec<(u64, u64)> {
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let metrics = |line: &str| -> Vec<serde_json::Value> {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let scope = &line["resourceMetrics"][0]["scopeMetrics"][0];
        scope["metrics"].as_array().cloned().unwrap_or_default()
    };
    lines
        .lines()
        .flat_map(metrics)
        .filter(|metric| metric["name"] == "gen_ai.client.inference.duration")
        .map(|metric| {
            let point = &metric["histogram"]["dataPoints"][0];
            (number(&point["timeUnixNano"]), number(&point["count"]))
        })
        .collect()
}

#[test]
fn metrics_are_the_same_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let replayed = |pace| replayed_as(directory.path(), &recording(), pace, &Signal::ALL).0;
    let first = replayed(Pace::Full);
    assert_eq!(replayed(Pace::Full), first);
    assert_eq!(replayed(Pace::RealTime), first);
    let points = durations(&first);
    assert!(points.len() > 2, "{points:?}");
    assert!(points.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{points:?}");
    // The fourth call was under way when the tracer stopped.
    assert_eq!(points.last().map(|(_, count)| *count), Some(3));
    let boot = u64::try_from(start().boot).unwrap();
    assert!(points.iter().all(|(time, _)| (boot..boot + 60_000_000_000).contains(time)));
}
