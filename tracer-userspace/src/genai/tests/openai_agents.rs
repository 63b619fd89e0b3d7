//! OpenAI's Assistants: agents that are made, and their runs.

use super::*;

const HOST: &str = "api.openai.com";

fn run(status: &str) -> Value {
    json!({"id": "run_1", "object": "thread.run", "assistant_id": "asst_1",
        "thread_id": "thread_1", "status": status, "model": "gpt-x", "usage": null,
        "required_action": null, "last_error": null, "incomplete_details": null})
}

#[test]
pub(super) fn assistant_is_an_agent_that_is_made() {
    let request = json!({"model": "gpt-x", "name": "Tutor", "description": "Helps",
        "instructions": "Be kind", "tools": [{"type": "code_interpreter"},
            {"type": "function", "function": {"name": "look"}}]});
    let response =
        json!({"id": "asst_1", "object": "assistant", "name": "Tutor", "model": "gpt-x"});
    let mut exchange = Exchange::json("/v1/assistants", HOST, &request, &response);
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!(call.name, OperationName::CreateAgent);
    assert_eq!(call.request.agent.description.as_deref(), Some("Helps"));
    assert_eq!(call.response.agent.id.as_deref(), Some("asst_1"));
    assert_eq!(call.response.id, None);
    assert_eq!(call.request.tools, Some(2));
    let content = call.content.unwrap();
    assert_eq!(content.tool_definitions.unwrap()[1]["name"], "look");
    assert_eq!(content.system_instructions.unwrap()[0]["content"], "Be kind");
    // One of the same path elsewhere must say that it is one.
    let other = Exchange::json("/v1/assistants", "hr.example.org", &request, &json!({"id": 7}));
    assert!(other.run_in(usize::MAX).is_none());
}

#[test]
pub(super) fn run_is_told_of_its_agent() {
    let request = json!({"assistant_id": "asst_1", "max_completion_tokens": 9, "thread":
        {"messages": [{"role": "user", "content": "Hi"}]}});
    let mut exchange = Exchange::json("/v1/threads/runs", HOST, &request, &run("queued"));
    exchange.capture_content = true;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!((call.name, call.request.max_tokens), (OperationName::InvokeAgent, Some(9)));
    assert_eq!(call.request.agent.id.as_deref(), Some("asst_1"));
    assert_eq!(call.response.run_id.as_deref(), Some("run_1"));
    assert_eq!(call.response.conversation_id.as_deref(), Some("thread_1"));
    assert_eq!(call.response.status.as_deref(), Some("queued"));
    assert_eq!(call.usage, Usage::default());
    let input = call.content.unwrap().input_messages.unwrap();
    assert_eq!(input[0]["parts"][0]["content"], "Hi");
}

#[test]
pub(super) fn polled_run_tells_usage_and_failure() {
    let mut done = run("completed");
    done["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11,
        "prompt_token_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1}});
    let path = "/openai/threads/thread_1/runs/run_1?api-version=1";
    let mut exchange = Exchange::json(path, "x.openai.azure.com", &Value::Null, &done);
    exchange.method = Method::GET;
    exchange.request.clear();
    let call = exchange.run();
    assert_eq!((call.name, &*call.provider), (OperationName::InvokeAgent, "azure.ai.openai"));
    let Usage { input_tokens, output_tokens, cache_read_input_tokens, .. } = call.usage;
    assert_eq!((input_tokens, output_tokens, cache_read_input_tokens), (Some(5), Some(6), Some(2)));
    assert_eq!(call.usage.reasoning_output_tokens, Some(1));

    let mut failed = run("failed");
    failed["last_error"] = json!({"code": "rate_limit_exceeded", "message": "slow down"});
    exchange.response = failed.to_string().into_bytes();
    assert_eq!(exchange.run().error.unwrap().kind, "rate_limit_exceeded");

    let mut waits = run("requires_action");
    waits["required_action"] = json!({"type": "submit_tool_outputs", "submit_tool_outputs":
        {"tool_calls": [{"id": "c1", "type": "function",
            "function": {"name": "look", "arguments": "{}"}}]}});
    exchange.response = waits.to_string().into_bytes();
    assert_eq!(exchange.run().response.tool_calls, ["look"]);
}

#[test]
pub(super) fn what_is_about_threads_is_no_run() {
    for (method, path) in [
        (Method::POST, "/v1/threads"),
        (Method::POST, "/v1/threads/thread_1/messages"),
        (Method::GET, "/v1/threads/thread_1/runs"),
        (Method::GET, "/v1/threads/thread_1/runs/run_1/steps"),
        (Method::POST, "/v1/assistants/asst_1"),
    ] {
        let mut exchange = Exchange::json(path, HOST, &json!({"model": "m"}), &json!({}));
        exchange.method = method;
        assert!(exchange.run_in(usize::MAX).is_none(), "{path}");
    }
}

fn streamed(status: &str, last: &Value) -> String {
    let event = |name: &str, data: &Value| format!("event: {name}\ndata: {data}\n\n");
    let text = |text: &str| {
        json!({"id": "msg_1", "object": "thread.message.delta",
            "delta": {"content": [{"index": 0, "type": "text", "text": {"value": text}}]}})
    };
    let step = json!({"id": "step_1", "object": "thread.run.step.delta", "delta": {"step_details":
        {"type": "tool_calls", "tool_calls": [{"index": 0, "id": "c1", "type": "function",
            "function": {"name": "look", "arguments": "{}"}}]}}});
    [
        event("thread.run.created", &run("queued")),
        event("thread.run.step.delta", &step),
        event("thread.message.created", &json!({"id": "msg_1", "object": "thread.message"})),
        event("thread.message.delta", &text("Hel")),
        event("thread.message.delta", &text("lo")),
        event(&format!("thread.run.{status}"), last),
        "event: done\ndata: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

#[test]
pub(super) fn streamed_run_is_folded() {
    let mut last = run("completed");
    last["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 6});
    let request = json!({"assistant_id": "asst_1", "stream": true});
    let body = streamed("completed", &last);
    let mut exchange = Exchange::sse("/v1/threads/thread_1/runs", HOST, &request, &body);
    exchange.capture_content = true;
    exchange.how = Ended::ClientGone;
    let call = exchange.run();
    schemas::check_all(&call);
    assert_eq!(call.end.how, Ended::Complete);
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(5), Some(6)));
    assert_eq!((call.request.stream, call.response.chunks), (true, 3));
    let timing = exchange.run_in(1).unwrap().timing;
    assert!(timing.first_content > timing.first_chunk);
    let output = call.content.unwrap().output_messages.unwrap();
    assert_eq!(output[0]["finish_reason"], "stop");
    assert_eq!(output[0]["parts"][0]["name"], "look");
    assert_eq!(output[0]["parts"][1]["content"], "Hello");
}

#[test]
pub(super) fn run_may_fail_while_it_streams() {
    let request = json!({"assistant_id": "asst_1", "stream": true});
    let body = "event: error\ndata: {\"error\": {\"type\": \"server_error\"}}\n\n";
    let call = Exchange::sse("/v1/threads/thread_1/runs", HOST, &request, body).run();
    assert_eq!(call.error.unwrap().kind, "server_error");
}
