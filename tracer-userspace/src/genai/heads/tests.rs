use ::http::{HeaderName, HeaderValue, Method, StatusCode};

use super::*;

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn asked(target: &str, list: &[(&str, &str)]) -> HttpFacts {
    let (target, headers) = (target.to_owned(), headers(list));
    request(&RequestHead { method: Method::POST, target, version: Version::HTTP_11, headers })
}

fn answered(list: &[(&str, &str)]) -> HttpFacts {
    let mut facts = HttpFacts::default();
    let head =
        ResponseHead { status: StatusCode::OK, version: Version::HTTP_11, headers: headers(list) };
    response(&mut facts, &head);
    facts
}

#[test]
fn queries_lose_their_credentials() {
    for (target, expected) in [
        ("/v1", None),
        ("/v1?", None),
        ("/v1?#a=1", None),
        ("/v1?api-version=2024-06-01", Some("api-version=2024-06-01")),
        ("/v1?alt=sse&key=AIzaSECRET", Some("alt=sse&key=REDACTED")),
        ("/v1?KEY=AIzaSECRET&alt=sse", Some("KEY=REDACTED&alt=sse")),
        (
            "/v1?api_key=a&apikey=b&api-key=c",
            Some("api_key=REDACTED&apikey=REDACTED&api-key=REDACTED"),
        ),
        ("/v1?access_token=ya29.x&x=1", Some("access_token=REDACTED&x=1")),
        ("/v1?sig=a%2Bb&sv=2022", Some("sig=REDACTED&sv=2022")),
        (
            "/v1?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=0a&X-Amz-Security-Token=t&X-Amz-Date=1",
            Some(
                "X-Amz-Credential=REDACTED&X-Amz-Signature=REDACTED&X-Amz-Security-Token=REDACTED&X-Amz-Date=1",
            ),
        ),
        (
            "/v1?AWSAccessKeyId=AKIA1&Signature=s",
            Some("AWSAccessKeyId=REDACTED&Signature=REDACTED"),
        ),
        ("/v1?X-Goog-Signature=s", Some("X-Goog-Signature=REDACTED")),
        ("/v1?client_secret=s;code=c", Some("client_secret=REDACTED")),
        ("/v1?code=c&state=1", Some("code=REDACTED&state=1")),
        ("/v1?k%65y=AIzaSECRET", Some("k%65y=REDACTED")),
        ("/v1?key=", Some("key=")),
        ("/v1?key", Some("key")),
        ("http://u:p@h/v1?token=s", Some("token=REDACTED")),
    ] {
        assert_eq!(asked(target, &[]).query.as_deref(), expected, "{target}");
    }
}

#[test]
fn queries_are_bounded() {
    let target = format!("/v1?a={}", "ü".repeat(5000));
    let query = asked(&target, &[]).query.unwrap();
    assert!(query.len() <= MAX_QUERY && query.len() > MAX_QUERY - 4, "{}", query.len());
    let names: Vec<_> = (0..3000).map(|n| format!("key{n}key=secret")).collect();
    let query = asked(&format!("/?{}", names.join("&")), &[]).query.unwrap();
    assert!(query.len() <= MAX_QUERY && !query.contains("secret"));
}

#[test]
fn resends_are_what_the_client_says() {
    for (list, expected) in [
        (&[][..], None),
        (&[("x-stainless-retry-count", "0")], Some(0)),
        (&[("x-stainless-retry-count", "2")], Some(2)),
        (&[("x-stainless-retry-count", "two")], None),
        (&[("x-stainless-retry-count", "-1")], None),
        (&[("x-stainless-retry-count", "99999999999")], None),
        (&[("amz-sdk-request", "attempt=1")], Some(0)),
        (&[("amz-sdk-request", "ttl=20261122T000000Z; attempt=3; max=5")], Some(2)),
        (&[("amz-sdk-request", "attempt=0; max=3")], None),
        (&[("amz-sdk-request", "max=3")], None),
        (&[("grpc-previous-rpc-attempts", "1")], Some(1)),
    ] {
        assert_eq!(asked("/", list).resent, expected, "{list:?}");
    }
}

#[test]
fn agent_and_version_are_told() {
    let facts = asked("/v1", &[("user-agent", "OpenAI/Python 1.93.0")]);
    assert_eq!(facts.user_agent.as_deref(), Some("OpenAI/Python 1.93.0"));
    assert_eq!(facts.version, Some("1.1"));
    let facts = asked("/v1", &[("user-agent", &"a".repeat(5000))]);
    assert_eq!(facts.user_agent.map(|agent| agent.len()), Some(MAX_VALUE));
}

/// As each provider answers; the first that is there is the id of the call.
#[test]
fn each_providers_request_id_is_found() {
    for (list, expected) in [
        (&[("x-request-id", "req_1")][..], Some("req_1")),
        (&[("request-id", "req_011CS"), ("cf-ray", "87084f28-LAX")], Some("req_011CS")),
        (
            &[
                ("apim-request-id", "8a3a"),
                ("x-ms-client-request-id", "8a3a"),
                ("x-request-id", "0f63"),
            ],
            Some("0f63"),
        ),
        (&[("x-amzn-requestid", "32c10f95")], Some("32c10f95")),
        (&[("mistral-correlation-id", "019942a1"), ("x-kong-request-id", "k")], Some("019942a1")),
        (&[("x-debug-trace-id", "ded13e83")], Some("ded13e83")),
        (&[("x-ds-trace-id", "fca2d541")], Some("fca2d541")),
        (&[("x-global-transaction-id", "32e01464")], Some("32e01464")),
        (&[("x-litellm-call-id", "b980db26")], Some("b980db26")),
        (&[("cf-ray", "8bdd431b-HFA")], Some("8bdd431b-HFA")),
        (&[("x-request-id", ""), ("request-id", "r")], Some("r")),
        (&[("server", "uvicorn")], None),
    ] {
        let facts = answered(list);
        assert_eq!(facts.request_id.as_deref(), expected, "{list:?}");
        let told = facts.response_headers.len();
        assert_eq!(
            told,
            list.iter().filter(|(name, value)| *name != "server" && !value.is_empty()).count()
        );
    }
}

#[test]
fn limits_and_delays_are_told() {
    let list = [
        ("retry-after", "59"),
        ("retry-after-ms", "59000"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("x-ratelimit-limit-requests", "14400"),
        ("x-ratelimit-reset-tokens", "26ms"),
        ("x-ratelimit-renewalperiod-tokens", "60"),
        ("x-ratelimit-limit-req-10-second", "60"),
        ("ratelimit-remaining", "599"),
        ("x-ms-region", "East US 2"),
    ];
    let facts = answered(&list);
    for (name, value) in list {
        let told = facts.response_headers.iter().find(|header| header.name == name);
        assert_eq!(told.map(|header| header.values.as_slice()), Some(&[value.to_owned()][..]));
    }
}

#[test]
fn other_headers_are_not_told() {
    let facts = answered(&[
        ("set-cookie", "__cf_bm=SECRET"),
        ("authorization", "Bearer SECRET"),
        ("x-api-key", "SECRET"),
        ("anthropic-organization-id", "04aa8588"),
        ("openai-organization", "org"),
        // What begins as a limit and ends as a credential.
        ("x-ratelimit-api-key", "SECRET"),
        ("x-ratelimit-session-token", "SECRET"),
    ]);
    assert_eq!(facts.response_headers, []);
}

#[test]
fn headers_are_bounded() {
    let many: Vec<_> = (0..500).map(|n| (format!("x-ratelimit-{n}"), "v".repeat(4000))).collect();
    let list: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let facts = answered(&list);
    assert_eq!(facts.response_headers.len(), MAX_HEADERS);
    assert!(facts.response_headers.iter().all(|header| header.values[0].len() == MAX_VALUE));
    let name = format!("x-ratelimit-{}", "n".repeat(MAX_NAME));
    assert_eq!(answered(&[(name.as_str(), "1")]).response_headers, []);
    let repeated = answered(&vec![("retry-after", "1"); 100]);
    assert_eq!(repeated.response_headers[0].values.len(), MAX_VALUES);
}

#[test]
fn propagators_headers_are_kept_as_sent() {
    let sent = [("B3", "1-2"), ("x-b3-traceid", "a"), ("X-B3-TraceId", "b"), ("x-other", "c")];
    let facts = asked("/v1", &sent).trace_headers;
    let told: Vec<_> = facts.iter().map(|fact| (fact.name.as_str(), &fact.values[..])).collect();
    let (one, two) = (["1-2".to_owned()], ["a".to_owned(), "b".to_owned()]);
    assert_eq!(told, [("b3", &one[..]), ("x-b3-traceid", &two[..])]);
}

#[test]
fn propagators_header_beyond_the_bound_is_there_without_values() {
    for (length, values) in [(512, 1), (513, 0)] {
        let facts = asked("/v1", &[("x-datadog-tags", &"t".repeat(length))]).trace_headers;
        assert_eq!(facts.len(), 1);
        assert_eq!(facts[0].values.len(), values, "{length}");
    }
}
