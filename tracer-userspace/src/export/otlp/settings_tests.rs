use std::io::Write;

use super::*;

fn resolve(options: &OtlpOptions, variables: &[(&str, &str)]) -> Option<OtlpSettings> {
    OtlpSettings::resolve(options, &variables.iter().copied().collect()).unwrap()
}

fn error(options: &OtlpOptions, variables: &[(&str, &str)]) -> String {
    OtlpSettings::resolve(options, &variables.iter().copied().collect()).unwrap_err().to_string()
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
