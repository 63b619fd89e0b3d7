use std::{fs, num::NonZero};

use serde_json::Value;

use super::*;
use crate::{
    export::{Compression, Protocol},
    genai::WireFormat,
    meter::Temporality,
};

const EXAMPLE: &str = include_str!("../../../deploy/llmtap.yaml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("llmtap.yaml"))
}

fn sentence(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn all_settings_are_read() {
    let config = parse(
        "filters: {pid: [1, 2], exe: ['/usr/bin/python*'], port: [443, 8000-8100], cgroup: [/a],
  cmdline: ['*agent*'], container: [0123456789ab], host: ['*.openai.com'], all: true}
output: {format: otlp-json, signals: [traces, logs], file: /tmp/x}
capture_content: event_only
semconv: v1.41
events: true
ring_bytes: 131072
max_connections: 12
overload: {content: 1, bodies: 2, connections: 3}
metrics: {listen: 9464}
otlp:
  endpoint: http://h:4317
  protocol: http/protobuf
  headers: {authorization: Bearer x}
  timeout_ms: 5000
  compression: gzip
  certificate: ca.pem
  client_certificate: c.pem
  client_key: k.pem
  queue_spans: 7
  queue_bytes: 8
  signals: [metrics]
  metric_interval_ms: 9
  metric_temporality: delta
providers:
  - {host: llm.internal, path: /gw, format: openai-chat, provider: openai}
  - {host: .example.org}
estimate_tokens: true
prices: /etc/llmtap/prices.yaml
offsets: /etc/llmtap/offsets.yaml
cache_folder: /tmp/inspections
",
    )
    .unwrap();
    assert_eq!(config.filters.pid.iter().map(|pid| pid.get()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(config.filters.exe, ["/usr/bin/python*"]);
    let ports: Vec<_> = config.filters.port.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["443", "8000-8100"]);
    assert_eq!(config.filters.cmdline, ["*agent*"]);
    assert_eq!(config.filters.container, ["0123456789ab"]);
    assert_eq!(config.filters.host, ["*.openai.com"]);
    assert_eq!(config.filters.cgroup, [PathBuf::from("/a")]);
    assert!(config.filters.all);
    assert_eq!(config.output.format, Some(OutputFormat::OtlpJson));
    assert_eq!(config.output.file, Some("/tmp/x".into()));
    assert_eq!(config.output.signals, Some(vec![Signal::Traces, Signal::Logs]));
    assert_eq!(config.capture_content, Some(ContentPlace::Events));
    assert_eq!(config.semconv, Some(Profile::V1_41));
    assert_eq!(config.events, Some(true));
    assert_eq!(config.ring_bytes, Some(131_072));
    let thresholds = Thresholds { content: 1, bodies: 2, connections: 3 };
    assert_eq!(config.limits(), Limits { ring_bytes: 131_072, connections: 12, thresholds });
    assert_eq!(config.metrics.listen, Some(Listen("127.0.0.1:9464".parse().unwrap())));
    let otlp = config.otlp;
    assert_eq!(otlp.endpoint.as_deref(), Some("http://h:4317"));
    assert_eq!(otlp.protocol, Some(Protocol::HttpProtobuf));
    assert_eq!(otlp.headers["authorization"], "Bearer x");
    assert_eq!(otlp.timeout_ms, Some(5000));
    assert_eq!(otlp.compression, Some(Compression::Gzip));
    assert_eq!(otlp.certificate, Some("ca.pem".into()));
    assert_eq!(otlp.client_certificate, Some("c.pem".into()));
    assert_eq!(otlp.client_key, Some("k.pem".into()));
    assert_eq!(otlp.queue_spans.map(NonZero::get), Some(7));
    assert_eq!(otlp.queue_bytes.map(NonZero::get), Some(8));
    assert_eq!(otlp.signals, Some(vec![Signal::Metrics]));
    assert_eq!(otlp.metric_interval_ms.map(NonZero::get), Some(9));
    assert_eq!(otlp.metric_temporality, Some(Temporality::Delta));
    assert!(config.estimate_tokens);
    assert_eq!(config.prices, Some("/etc/llmtap/prices.yaml".into()));
    assert_eq!(config.offsets, Some("/etc/llmtap/offsets.yaml".into()));
    assert_eq!(config.cache_folder, Some("/tmp/inspections".into()));
    let gateway = Named {
        host: "llm.internal".into(),
        path: Some("/gw".into()),
        format: Some(WireFormat::OpenaiChat),
        provider: Some("openai".into()),
    };
    let below = Named { host: ".example.org".into(), ..Named::default() };
    assert_eq!(config.providers, [gateway, below]);
}

#[test]
fn filters_alone_change_while_running() {
    let old = parse("filters: {exe: [a], pid: [1, 2], port: [443, 8000-8100]}\n").unwrap();
    assert_eq!(old.filters.to_string(), "pid 1, 2; exe a; port 443, 8000-8100");
    let new = parse("filters: {all: true, host: ['*.b']}\n").unwrap();
    assert_eq!(new.filters.to_string(), "host *.b; all true");
    assert_eq!(old.fixed_changes(&new), [""; 0]);
    // Each key of the example changes what it is named for, and that alone.
    for (key, value) in [
        ("output", "{format: none}"),
        ("capture_content", "true"),
        ("semconv", "dup"),
        ("events", "true"),
        ("ring_bytes", "65536"),
        ("max_connections", "7"),
        ("overload", "{content: 1}"),
        ("metrics", "{listen: 1}"),
        ("otlp", "{timeout_ms: 1}"),
        ("providers", "[{host: a}]"),
        ("estimate_tokens", "true"),
        ("prices", "/a"),
        ("offsets", "/a"),
        ("cache_folder", "/a"),
    ] {
        let new = parse(&format!("filters: {{all: true}}\n{key}: {value}\n")).unwrap();
        assert_eq!(old.fixed_changes(&new), [key]);
        assert_eq!(new.fixed_changes(&new), [""; 0]);
    }
}

#[test]
fn wrong_files_are_refused_with_their_place() {
    for (text, line, word) in [
        ("filters:\n  all: true\nfiltres:\n  all: true\n", 3, "filtres"),
        ("filters:\n  all: true\n  prot: [443]\n", 3, "prot"),
        ("filters: {all: true}\noutput:\n  format: xml\n", 3, "xml"),
        ("filters: {all: true}\notlp:\n\n  endpont: http://h\n", 4, "endpont"),
        ("filters:\n  port: [0]\n", 2, "0"),
        ("filters:\n  port: [65536]\n", 2, "65536"),
        ("filters:\n  port: [9-8]\n", 2, "end before they begin"),
        ("filters:\n  host: [localhost]\n", 0, "nothing says what to trace"),
        ("filters:\n  pid: [-1]\n", 2, "-1 is no process id"),
        ("filters:\n  pid: [1, 99999999999]\n", 2, "no process id"),
        ("filters: {all: true}\nring_bytes: 100000\n", 2, "power of two"),
        ("filters: {all: true}\nring_bytes: 4096\n", 2, "power of two"),
        ("filters: {all: true}\nmax_connections: 0\n", 2, "0"),
        ("filters: {all: true}\noverload:\n  bodies: 101\n", 3, "101 is no percentage"),
        (
            "filters: {all: true}\noverload: {content: 80}\n",
            0,
            "smaller number than the one before",
        ),
        ("filters: {all: true}\nmetrics:\n  listen: localhost\n", 3, "give ADDRESS:PORT"),
        ("filters: {all: true}\ncapture_content: everywhere\n", 2, "span_and_event"),
        ("filters: {all: true}\nsemconv: v1.36\n", 2, "v1.36"),
        ("filters: {all: true}\notlp: {signals: [profiles]}\n", 2, "profiles"),
        ("filters: {all: true}\nfilters: {all: false}\n", 2, "filters"),
        ("filters: {all: true}\nproviders:\n  - {host: h, format: soap}\n", 3, "soap"),
        ("filters: {all: true}\nproviders:\n  - {path: /gw}\n", 3, "host"),
        ("filters: [\n", 0, ""),
        ("- a\n", 1, ""),
    ] {
        let sentence = sentence(text);
        println!("{sentence}");
        assert!(sentence.starts_with("llmtap.yaml:"), "{sentence}");
        assert!(line == 0 || sentence.starts_with(&format!("llmtap.yaml:{line}:")), "{sentence}");
        assert!(sentence.contains(word), "{sentence}");
        assert!(!sentence.trim().contains('\n'), "{sentence}");
    }
}

#[test]
fn port_alone_listens_on_loopback() {
    for (text, address) in
        [("80", "127.0.0.1:80"), ("[::]:81", "[::]:81"), ("10.0.0.1:82", "10.0.0.1:82")]
    {
        assert_eq!(text.parse(), Ok(Listen(address.parse().unwrap())));
    }
    for text in ["", ":80", "65536", "host:80", "::1"] {
        assert!(text.parse::<Listen>().is_err(), "{text}");
    }
}

#[test]
fn nothing_to_trace_lists_the_choices() {
    for text in ["", "capture_content: true\n", "filters: {}\n"] {
        let sentence = sentence(text);
        for choice in ["pid", "exe", "port", "cgroup", "all"] {
            assert!(sentence.contains(choice), "{sentence}");
        }
    }
}

#[test]
fn missing_file_is_named() {
    let error = Watch::open(Path::new("/nonexistent/llmtap.yaml")).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/llmtap.yaml"), "{error}");
}

#[test]
fn content_is_kept_only_when_asked() {
    const NAME: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    for (option, variable, expected) in [
        (None, "", ContentPlace::Nowhere),
        (None, "true", ContentPlace::Spans),
        (None, "SPAN_ONLY", ContentPlace::Spans),
        (None, "span_and_event", ContentPlace::Both),
        (None, "event_only", ContentPlace::Events),
        (None, "no_content", ContentPlace::Nowhere),
        (None, "yes please", ContentPlace::Nowhere),
        (Some(ContentPlace::Nowhere), "true", ContentPlace::Nowhere),
        (Some(ContentPlace::Events), "false", ContentPlace::Events),
    ] {
        let config = Config { capture_content: option, ..Config::default() };
        let variables = [(NAME, variable)].into_iter().collect();
        let conventions = config.conventions(&variables);
        assert_eq!(conventions.content, expected, "{option:?} {variable}");
        assert_eq!(conventions.details, expected.on_events(), "{option:?} {variable}");
    }
}

#[test]
fn true_and_false_are_places_for_content() {
    for (text, expected) in [
        ("true", ContentPlace::Spans),
        ("false", ContentPlace::Nowhere),
        ("span_and_event", ContentPlace::Both),
    ] {
        let config = parse(&format!("filters: {{all: true}}\ncapture_content: {text}\n")).unwrap();
        assert_eq!(config.capture_content, Some(expected), "{text}");
    }
}

#[test]
fn conventions_are_chosen() {
    let chosen = |config: &Config, variables: &[(&str, &str)]| {
        let conventions = config.conventions(&variables.iter().copied().collect());
        (conventions.profile, conventions.details)
    };
    const EMIT: &str = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT";
    let none = Config::default();
    assert_eq!(chosen(&none, &[]), (Profile::Latest, false));
    assert_eq!(chosen(&none, &[(semconv::OPT_IN, "http,gen_ai/v1.41")]).0, Profile::V1_41);
    assert_eq!(chosen(&none, &[(semconv::OPT_IN, "http/dup")]).0, Profile::Latest);
    let own = Config { semconv: Some(Profile::Dup), events: Some(false), ..Config::default() };
    let variables = [(semconv::OPT_IN, "gen_ai_latest_experimental"), (EMIT, "true")];
    assert_eq!(chosen(&own, &variables), (Profile::Dup, false));
    assert!(chosen(&none, &variables).1);
    assert!(!chosen(&none, &[(EMIT, "perhaps")]).1);
    let events = Config { capture_content: Some(ContentPlace::Both), ..Config::default() };
    assert!(!chosen(&events, &[(EMIT, "False")]).1);
}

#[test]
fn prometheus_is_served_where_the_variables_say() {
    let listen = |config: &Config, variables: &[(&str, &str)]| {
        let address = config.metrics_listen(&variables.iter().copied().collect());
        address.map(|address| address.to_string())
    };
    const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
    const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
    const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
    let none = Config::default();
    assert_eq!(listen(&none, &[]), None);
    assert_eq!(listen(&none, &[(EXPORTER, "otlp"), (PORT, "1")]), None);
    let default = Some("127.0.0.1:9464".to_owned());
    assert_eq!(listen(&none, &[(EXPORTER, "otlp, prometheus")]), default);
    let variables = [(EXPORTER, "prometheus"), (HOST, "::"), (PORT, "1234")];
    assert_eq!(listen(&none, &variables).as_deref(), Some("[::]:1234"));
    assert_eq!(listen(&none, &[(EXPORTER, "prometheus"), (PORT, "x")]), None);
    let metrics = Metrics { listen: "99".parse().ok() };
    let own = Config { metrics, ..Config::default() };
    assert_eq!(listen(&own, &variables).as_deref(), Some("127.0.0.1:99"));
}

/// The keys of the file, `section.key`, with kind and meaning, from the declarations themselves.
fn keys() -> Vec<(String, String, String)> {
    let schema = serde_json::to_value(schemars::schema_for!(Raw)).unwrap();
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    keys
}

fn collect(root: &Value, schema: &Value, prefix: &str, keys: &mut Vec<(String, String, String)>) {
    for (name, property) in schema["properties"].as_object().unwrap() {
        let target = resolved(root, property);
        let path = format!("{prefix}{name}");
        let element = resolved(root, &target["items"]);
        if target["properties"].is_object() {
            collect(root, target, &format!("{path}."), keys);
        } else if element["properties"].is_object() {
            collect(root, element, &format!("{path}[]."), keys);
        } else {
            let meaning = property["description"].as_str().unwrap_or_default().replace('\n', " ");
            assert!(!meaning.is_empty(), "{path} is not documented");
            keys.push((path, kind(root, property), meaning));
        }
    }
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// A kind in words, for the table.
fn kind(root: &Value, schema: &Value) -> String {
    let schema = resolved(root, schema);
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let kinds: Vec<_> = choices.iter().map(|choice| kind(root, choice)).collect();
        return kinds.into_iter().filter(|kind| kind != "null").collect::<Vec<_>>().join(", ");
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().map(|value| format!("`{}`", value.as_str().unwrap()));
        return values.collect::<Vec<_>>().join(", ");
    }
    if let Some(value) = schema["const"].as_str() {
        return format!("`{value}`");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names[0].as_str().unwrap(),
        name => name.as_str().unwrap(),
    };
    match name {
        "array" => format!("list of {}", kind(root, &schema["items"])),
        "object" => "map of text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "number".to_owned(),
        "string" => "text".to_owned(),
        other => other.to_owned(),
    }
}

const RELOADING: &str = "
## Changing filters while llmtap runs

Edit the file. llmtap looks at it each second, and applies what says something else once it has stayed the same
from one look to the next; on SIGHUP at once, which is for whoever writes it in several steps. A rename over
the file, and links that are replaced (Kubernetes' ConfigMaps), are followed; what is no regular file is read once,
at the start. One line of the log says what is in force then; `/metrics` counts (`llmtap_reloads_total`).

- A file that is wrong, or gone, changes nothing: a warning names line and column, and the filters stay as they
  are until the file is right again.
- Only `filters` are applied. A warning names other keys that differ: they take effect at the next start.
- Programs (`pid`, `exe`, `cmdline`, `container`, `cgroup`) are judged anew at once. What fits both the old filters and
  the new goes on without a gap. What fits no longer ends as when llmtap ends: calls under way become spans with
  `llmtap.ended` = `tracer_stopped`. What fits now is seen from its next message on: a connection that is open
  already is joined late, and a call whose request has passed gives no span. In no moment is a program read that neither
  the old filters nor the new let through.
- `port` is compared anew with each connection whose socket is known, when next something passes on it, in the
  same way: it ends, is joined late, or goes on.
- `host`, and `port` where the socket is not known, hold for calls that end from then on.
- A process of `pid` that has ended by then is told in a warning. It stays in the filter, so that nobody else
  is let through in its place.
";

fn page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         `llmtap run --config FILE` takes the settings of `llmtap trace` from a YAML file. An unknown \
         key or value is refused\nwith its line. The standard `OTEL_*` variables hold for what the \
         file does not say. This page is made from\nthe declarations in `tracer-userspace/src/config` \
         by `LLMTAP_WRITE_DOCS=1 cargo test -p tracer-userspace config`.\n\n\
         | key | value | meaning |\n|---|---|---|\n",
    );
    for (key, kind, meaning) in keys() {
        page += &format!("| `{key}` | {kind} | {meaning} |\n");
    }
    page += RELOADING;
    page += &format!("\nAn example, `deploy/llmtap.yaml`:\n\n```yaml\n{EXAMPLE}```\n");
    page
}

#[test]
fn reference_page_is_the_declarations() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("LLMTAP_WRITE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/configuration.md is out of date: it says how to write it anew"
    );
}

#[test]
fn example_is_valid_and_shows_every_section() {
    parse(EXAMPLE).unwrap();
    for (key, _, _) in keys() {
        let key = key.rsplit('.').next().unwrap();
        assert!(EXAMPLE.contains(&format!("{key}:")), "{key} is not in the example");
    }
}
