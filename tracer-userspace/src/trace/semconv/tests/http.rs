//! What is told of the HTTP messages.

use super::*;
use crate::{
    genai::HeaderFact,
    trace::resends::{Basis, Resent},
};

#[test]
fn url_is_told_by_role() {
    let mut operation = sample::operation();
    operation.http.query = Some("api-version=1&key=REDACTED".into());
    operation.http.authority = Some("user:secret@api.openai.com:8443".into());
    let full = "https://api.openai.com:8443/v1/chat/completions?api-version=1&key=REDACTED";
    assert_eq!(find(&operation, "url.full"), Some(full.into()));
    assert_eq!(find(&operation, "url.query"), None);
    operation.role = Role::Server;
    assert_eq!(find(&operation, "url.full"), None);
    assert_eq!(find(&operation, "url.query"), Some("api-version=1&key=REDACTED".into()));
    operation.role = Role::Client;
    operation.http.path = format!("/{}", "ü".repeat(5000));
    let Some(Value::String(full)) = find(&operation, "url.full") else { panic!("no URL") };
    assert!((2046..=2048).contains(&full.as_str().len()), "{}", full.as_str().len());
    operation.http.authority = Some("a b".into());
    assert_eq!(find(&operation, "url.full"), None);
}

#[test]
fn headers_and_agent_are_told() {
    let mut operation = sample::operation();
    let header = |name: &str, values: &[&str]| HeaderFact {
        name: name.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    operation.http.response_headers =
        vec![header("retry-after", &["59"]), header("x-request-id", &["a", "b"])];
    operation.http.user_agent = Some("OpenAI/Python 2.8.1".into());
    operation.http.version = Some("2");
    for (key, value) in [
        ("http.response.header.retry-after", strings(&["59"])),
        ("http.response.header.x-request-id", strings(&["a", "b"])),
        ("user_agent.original", "OpenAI/Python 2.8.1".into()),
        ("network.protocol.version", "2".into()),
    ] {
        assert_eq!(find(&operation, key), Some(value), "{key}");
    }
}

#[test]
fn resends_tell_how_they_are_known() {
    for (basis, word) in [(Basis::Header, "header"), (Basis::SameRequest, "same_request")] {
        let list = beside(Some(Resent { count: 2, basis }), None, None);
        let told: Vec<_> = list.iter().map(|one| (one.key.as_str(), one.value.clone())).collect();
        let expected =
            [("http.request.resend_count", 2.into()), ("llmtap.http.resend_basis", word.into())];
        assert_eq!(told, expected);
    }
}
