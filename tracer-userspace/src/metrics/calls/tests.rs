use std::{sync::Arc, time::UNIX_EPOCH};

use prometheus_client::{encoding::text, registry::Registry};

use super::*;
use crate::{
    export::{Host, Resources, Variables},
    meter::{Bounds, Meter, Temporality},
    trace::{
        sample::{self, TLS},
        semconv::{self, Profile},
    },
};

fn written(collected: Vec<Collected<Service, About>>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Calls(collected)));
    let mut text = String::new();
    text::encode(&mut text, &registry).unwrap();
    text
}

/// One call of each of two processes of one service, and one of another's.
fn collected() -> Vec<Collected<Service, About>> {
    let variables =
        [("OTEL_RESOURCE_ATTRIBUTES", "team=red,service.namespace=eu,1st=x,a.b=1,a_b=2")];
    let resources = Resources::of_host(
        Host { name: "h".into(), machine: String::new() },
        &variables.into_iter().collect::<Variables>(),
    );
    let mut meter = Meter::new(Bounds::default(), Temporality::Cumulative);
    for (pid, service) in [(1, "shop"), (2, "shop"), (3, "bank")] {
        let process = sample::process(pid, service);
        let mut operation = sample::operation();
        operation.response.model = Some("a \"b\"\\\nc".into());
        let list = semconv::measurements(&operation, TLS, Profile::Latest);
        let about = || resources.of_service(&Arc::clone(&process));
        meter.record((resources.service(&process), about), UNIX_EPOCH, &list);
    }
    meter.collect(UNIX_EPOCH, |_| true)
}

#[test]
fn names_follow_the_rules() {
    let text = written(collected());
    let labels = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",\
         gen_ai_request_model=\"gpt-4o-mini\",gen_ai_response_model=\"a \\\"b\\\"\\\\\\nc\",\
         job=\"eu/shop\",otel_scope_name=\"llmtap\"";
    let version = env!("CARGO_PKG_VERSION");
    let rest = format!(
        "otel_scope_version=\"{version}\",server_address=\"api.openai.com\",server_port=\"443\""
    );
    let with = labels.replace(",job=", ",gen_ai_token_modality=\"unknown\",job=");
    for line in [
        "# TYPE gen_ai_client_inference_duration_seconds histogram".to_owned(),
        "# UNIT gen_ai_client_inference_duration_seconds seconds".to_owned(),
        format!("gen_ai_client_inference_duration_seconds_count{{{labels},{rest}}} 2"),
        format!("gen_ai_client_inference_duration_seconds_sum{{{labels},{rest}}} 3.0"),
        format!("gen_ai_client_inference_usage_input_tokens_total{{{with},{rest}}} 2408"),
        format!("gen_ai_client_inference_operation_input_tokens_sum{{{labels},{rest}}} 2408.0"),
    ] {
        assert!(text.lines().any(|there| there == line), "no {line} in\n{text}");
    }
    let buckets = text.lines().filter(|line| {
        line.starts_with("gen_ai_client_inference_duration_seconds_bucket{")
            && line.contains("job=\"eu/shop\"")
    });
    let counts: Vec<_> = buckets
        .map(|line| {
            let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next());
            (bound.unwrap().to_owned(), line.rsplit(' ').next().unwrap().to_owned())
        })
        .collect();
    let expected = [
        ("0.01", "0"),
        ("0.02", "0"),
        ("0.04", "0"),
        ("0.08", "0"),
        ("0.16", "0"),
        ("0.32", "0"),
        ("0.64", "0"),
        ("1.28", "0"),
        ("2.56", "2"),
        ("5.12", "2"),
        ("10.24", "2"),
        ("20.48", "2"),
        ("40.96", "2"),
        ("81.92", "2"),
        ("+Inf", "2"),
    ];
    assert_eq!(counts, expected.map(|(bound, count)| (bound.to_owned(), count.to_owned())));
}

#[test]
fn services_have_their_target() {
    let text = written(collected());
    let infos: Vec<_> = text.lines().filter(|line| line.starts_with("target_info{")).collect();
    assert_eq!(infos.len(), 2, "{infos:?}");
    for part in
        ["job=\"eu/bank\"", "team=\"red\"", "key_1st=\"x\"", "a_b=\"1;2\"", "host_name=\"h\""]
    {
        assert!(infos[0].contains(part), "{part} in {}", infos[0]);
    }
    assert!(!text.contains("process_pid"), "{text}");
}

#[test]
fn nothing_measured_is_nothing_told() {
    assert_eq!(written(Vec::new()), "# EOF\n");
}
