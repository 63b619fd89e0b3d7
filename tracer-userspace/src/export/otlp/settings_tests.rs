use std::io::Write;

use super::*;

fn resolve(options: &OtlpOptions, variables: &[(&str, &str)]) -> Option<OtlpSettings> {
    signal(Signal::Traces, options, variables)
}

fn signal(
    signal: Signal,
    options: &OtlpOptions,
    variables: &[(&str, &str)],
) -> Option<OtlpSettings> {
    OtlpSettings::resolve(signal, options, &variables.iter().copied().collect()).unwrap()
}

fn error(options: &OtlpOptions, variables: &[(&str, &str)]) -> String {
    let variables = variables.iter().copied().collect();
    OtlpSettings::resolve(Signal::Traces, options, &variables).unwrap_err().to_string()
}

fn option(endpoint: &str) -> OtlpOptions {
    OtlpOptions { endpoint: Some(endpoint.to_owned()), ..OtlpOptions::default() }
}

const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

#[test]
fn nobody_asked_means_none() {
    let none = OtlpOptions::default();
    assert!(resolve(&none, &[]).is_none());
    assert!(resolve(&none, &[(GENERAL, "")]).is_none());
    assert!(resolve(&none, &[(PROTOCOL, "grpc")]).is_none());
    assert!(resolve(&none, &[("OTEL_TRACES_EXPORTER", "none"), (GENERAL, "http://h")]).is_none());
    assert!(resolve(&option("http://h"), &[("OTEL_TRACES_EXPORTER", "none")]).is_some());
}

#[test]
fn endpoints_follow_the_specification() {
    let none = OtlpOptions::default();
    for (variables, protocol, endpoint) in [
        (
            &[("OTEL_TRACES_EXPORTER", "otlp")][..],
            Protocol::HttpProtobuf,
            "http://localhost:4318/v1/traces",
        ),
        (
            &[("OTEL_TRACES_EXPORTER", "otlp"), (PROTOCOL, "grpc")],
            Protocol::Grpc,
            "http://localhost:4317/",
        ),
        (&[(GENERAL, "http://h:4318")], Protocol::HttpProtobuf, "http://h:4318/v1/traces"),
        (&[(GENERAL, "http://h:4318/")], Protocol::HttpProtobuf, "http://h:4318/v1/traces"),
        (&[(GENERAL, "https://h/base")], Protocol::HttpProtobuf, "https://h/base/v1/traces"),
        (&[(GENERAL, "https://h/base/")], Protocol::HttpProtobuf, "https://h/base/v1/traces"),
        (&[(TRACES, "http://h:4318")], Protocol::HttpProtobuf, "http://h:4318/"),
        (&[(TRACES, "http://h/custom")], Protocol::HttpProtobuf, "http://h/custom"),
        (&[(TRACES, "http://t/x"), (GENERAL, "http://g")], Protocol::HttpProtobuf, "http://t/x"),
        (&[(TRACES, ""), (GENERAL, "http://g")], Protocol::HttpProtobuf, "http://g/v1/traces"),
        (&[(GENERAL, "http://h:4317")], Protocol::Grpc, "http://h:4317/"),
        (
            &[(GENERAL, "http://h:4317"), (PROTOCOL, "http/protobuf")],
            Protocol::HttpProtobuf,
            "http://h:4317/v1/traces",
        ),
        (
            &[
                (GENERAL, "http://h"),
                (PROTOCOL, "http/protobuf"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ],
            Protocol::Grpc,
            "http://h/",
        ),
        (
            &[(GENERAL, "http://h"), (PROTOCOL, "carrier/pigeon")],
            Protocol::HttpProtobuf,
            "http://h/v1/traces",
        ),
        (&[(GENERAL, "h:4317"), (PROTOCOL, "grpc")], Protocol::Grpc, "https://h:4317/"),
        (
            &[(GENERAL, "h:4317"), (PROTOCOL, "grpc"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")],
            Protocol::Grpc,
            "http://h:4317/",
        ),
        (
            &[(GENERAL, "https://h"), (PROTOCOL, "grpc"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")],
            Protocol::Grpc,
            "https://h/",
        ),
    ] {
        let settings = resolve(&none, variables).unwrap();
        assert_eq!(settings.endpoint.as_str(), endpoint, "{variables:?}");
        assert_eq!(settings.protocol, protocol, "{variables:?}");
    }
}

#[test]
fn options_win_over_variables() {
    let options = OtlpOptions {
        protocol: Some(Protocol::HttpProtobuf),
        headers: [("x-key".into(), "mine".into())].into(),
        timeout_ms: Some(1000),
        compression: Some(Compression::None),
        ..option("http://mine:4317")
    };
    let settings = resolve(
        &options,
        &[
            (TRACES, "http://theirs"),
            (PROTOCOL, "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=theirs,x-other=kept%20whole"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ],
    )
    .unwrap();
    assert_eq!(settings.endpoint.as_str(), "http://mine:4317/v1/traces");
    assert_eq!(settings.timeout, Duration::from_secs(1));
    assert_eq!(settings.compression, Compression::None);
    assert_eq!(settings.headers["x-key"], "mine");
    assert_eq!(settings.headers["x-other"], "kept whole");
}

#[test]
fn whole_url_of_traces_is_taken() {
    let settings = resolve(&option("http://h:6006/v1/traces"), &[]).unwrap();
    assert_eq!(settings.endpoint.as_str(), "http://h:6006/v1/traces");
}

#[test]
fn numbers_come_from_their_variables() {
    let settings = resolve(
        &option("http://h"),
        &[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "7000"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3"),
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ],
    )
    .unwrap();
    assert_eq!(settings.timeout, Duration::from_secs(7));
    assert_eq!(settings.compression, Compression::Gzip);
    assert_eq!((settings.queue.items, settings.batch_items), (10, 3));
    assert_eq!(settings.schedule_delay, Duration::from_millis(250));
}

#[test]
fn values_not_understood_are_defaults() {
    let settings = resolve(
        &option("http://h"),
        &[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "lzma"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "broken"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "x"),
        ],
    )
    .unwrap();
    assert_eq!(settings.timeout, Duration::from_secs(10));
    assert_eq!(settings.compression, Compression::None);
    assert!(settings.headers.is_empty());
    assert_eq!((settings.queue.items, settings.batch_items), (2048, 512));
    assert_eq!(settings.schedule_delay, Duration::from_secs(5));
}

#[test]
fn bad_endpoints_get_a_sentence() {
    for bad in [
        "collector",
        "localhost:4318",
        "/v1/traces",
        "ftp://h",
        "http://",
        "http://h:0",
        "http://h:99999",
        "http:h",
    ] {
        let sentence = error(&option(bad), &[]);
        assert!(sentence.contains(bad) && sentence.contains("http://localhost:4318"), "{sentence}");
    }
    assert!(error(&OtlpOptions::default(), &[(GENERAL, "nonsense")]).contains(GENERAL));
}

#[test]
fn bad_options_get_a_sentence() {
    let with = |change: fn(&mut OtlpOptions)| {
        let mut options = option("http://h");
        change(&mut options);
        error(&options, &[])
    };
    assert!(with(|options| options.headers = [("a b".into(), "c".into())].into()).contains("a b"));
    assert!(
        with(|options| options.certificate = Some("/nonexistent/ca.pem".into())).contains("ca.pem")
    );
}

#[test]
fn client_certificate_needs_its_key() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"pem").unwrap();
    let path = file.path().to_str().unwrap();
    let sentence = error(&option("http://h"), &[("OTEL_EXPORTER_OTLP_CLIENT_KEY", path)]);
    assert!(sentence.contains("certificate"), "{sentence}");
}

#[test]
fn secrets_are_not_shown() {
    let settings = resolve(
        &option("https://user:hidden@h:9?token=hidden"),
        &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hidden")],
    )
    .unwrap();
    assert_eq!(settings.receiver(), "https://h:9");
    assert!(!format!("{:?}", settings.headers).contains("hidden"));
}

/// What is sent, by `TML`.
fn sent(options: &OtlpOptions, variables: &[(&str, &str)]) -> String {
    let all = [(Signal::Traces, 'T'), (Signal::Metrics, 'M'), (Signal::Logs, 'L')];
    let is_sent = |one| signal(one, options, variables).is_some();
    all.into_iter().filter(|(one, _)| is_sent(*one)).map(|(_, letter)| letter).collect()
}

#[test]
fn signals_are_sent_unless_they_are_excluded() {
    const OWN_METRICS: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
    let none = OtlpOptions::default();
    let http = option("http://h");
    let whole = option("http://h/v1/traces");
    let listed =
        |signals: &[Signal]| OtlpOptions { signals: Some(signals.to_vec()), ..option("http://h") };
    for (options, variables, expected) in [
        (&none, &[][..], ""),
        (&http, &[], "TML"),
        (&none, &[(GENERAL, "http://h")], "TML"),
        (&none, &[(TRACES, "http://h")], "T"),
        (&none, &[(OWN_METRICS, "http://h")], "M"),
        (&none, &[("OTEL_LOGS_EXPORTER", "otlp")], "L"),
        (&none, &[("OTEL_METRICS_EXPORTER", "prometheus,otlp")], "M"),
        (&http, &[("OTEL_METRICS_EXPORTER", "none")], "TL"),
        (&http, &[("OTEL_METRICS_EXPORTER", "prometheus")], "TL"),
        (&http, &[("OTEL_METRICS_EXPORTER", "pigeon")], "TML"),
        (&none, &[(GENERAL, "http://h"), ("OTEL_LOGS_EXPORTER", "none")], "TM"),
        (&whole, &[], "T"),
        (&whole, &[(OWN_METRICS, "http://m")], "T"),
        (&listed(&[Signal::Metrics]), &[("OTEL_METRICS_EXPORTER", "none")], "M"),
        (&listed(&[]), &[], ""),
        (&OtlpOptions { endpoint: None, ..listed(&[Signal::Logs]) }, &[(GENERAL, "http://h")], "L"),
    ] {
        assert_eq!(sent(options, variables), expected, "{options:?} {variables:?}");
    }
}

#[test]
fn signals_have_their_own_paths_and_variables() {
    let http = option("http://h:4318/base/");
    for (one, path) in
        [(Signal::Traces, "traces"), (Signal::Metrics, "metrics"), (Signal::Logs, "logs")]
    {
        let word = path.to_ascii_uppercase();
        let expected = format!("http://h:4318/base/v1/{path}");
        assert_eq!(signal(one, &http, &[]).unwrap().endpoint.as_str(), expected);
        let whole =
            OtlpOptions { signals: Some(vec![one]), ..option("http://h:4318/base/v1/traces") };
        assert_eq!(signal(one, &whole, &[]).unwrap().endpoint.as_str(), expected);
        let own = format!("OTEL_EXPORTER_OTLP_{word}_ENDPOINT");
        let timeout = format!("OTEL_EXPORTER_OTLP_{word}_TIMEOUT");
        let variables = [(GENERAL, "http://g"), (&own, "http://o/x"), (&timeout, "7000")];
        let settings = signal(one, &OtlpOptions::default(), &variables).unwrap();
        assert_eq!(settings.endpoint.as_str(), "http://o/x");
        assert_eq!(settings.timeout, Duration::from_secs(7));
    }
}

#[test]
fn log_records_are_batched_by_their_variables() {
    let variables = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "10"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "3"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "250"),
    ];
    let settings = signal(Signal::Logs, &option("http://h"), &variables).unwrap();
    assert_eq!((settings.queue.items, settings.batch_items), (10, 3));
    assert_eq!(settings.schedule_delay, Duration::from_millis(250));
    let defaults = signal(Signal::Logs, &option("http://h"), &[]).unwrap();
    assert_eq!((defaults.queue.items, defaults.batch_items), (2048, 512));
    assert_eq!(defaults.schedule_delay, Duration::from_secs(1));
}

#[test]
fn metrics_are_read_as_the_variables_say() {
    const PREFERENCE: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let read = |options: &OtlpOptions, variables: &[(&str, &str)]| {
        let reading =
            MetricsReading::resolve(options, &variables.iter().copied().collect::<Variables>());
        (reading.interval.as_millis(), reading.temporality)
    };
    let none = OtlpOptions::default();
    assert_eq!(read(&none, &[]), (60_000, Temporality::Cumulative));
    for (word, expected) in [
        ("delta", Temporality::Delta),
        ("LowMemory", Temporality::Delta),
        ("cumulative", Temporality::Cumulative),
        ("both", Temporality::Cumulative),
    ] {
        let variables = [(PREFERENCE, word), ("OTEL_METRIC_EXPORT_INTERVAL", "500")];
        assert_eq!(read(&none, &variables), (500, expected));
    }
    let options = OtlpOptions {
        metric_interval_ms: NonZeroU64::new(9),
        metric_temporality: Some(Temporality::Delta),
        ..none
    };
    let variables = [(PREFERENCE, "cumulative"), ("OTEL_METRIC_EXPORT_INTERVAL", "0")];
    assert_eq!(read(&options, &variables), (9, Temporality::Delta));
    assert_eq!(read(&OtlpOptions::default(), &variables).0, 60_000);
}
