//! Times and rates of an answer.

use std::time::Duration;

use super::*;
use crate::genai::{Operation, ServerTimes};

#[test]
fn times_are_told_in_seconds() {
    let mut operation = sample::operation();
    // Chunks of 0.25, 0.5 and 0.75 s behind each other.
    for milliseconds in [250, 500, 750] {
        operation.timing.output_chunk_times.record(milliseconds * 1_000_000);
    }
    // 1.5 s in all, of which 1 s between the first content and the last.
    operation.usage.output_tokens = Some(33);
    for (key, value) in [
        ("gen_ai.response.time_to_first_chunk", 0.25),
        ("llmtap.response.time_to_first_content", 0.3),
        ("llmtap.response.time_per_output_chunk", 0.5),
        ("llmtap.response.time_per_output_chunk_max", 0.75),
        ("llmtap.response.output_tokens_per_second", 22.0),
        ("llmtap.response.time_per_output_token", 0.03125),
    ] {
        assert_eq!(find(&operation, key), Some(value.into()), "{key}");
    }
}

#[test]
fn rates_are_told_of_reported_tokens_alone() {
    const RATE: &str = "llmtap.response.output_tokens_per_second";
    const EACH: &str = "llmtap.response.time_per_output_token";
    let told = |change: fn(&mut Operation)| {
        let mut operation = sample::operation();
        operation.usage.output_tokens = Some(33);
        change(&mut operation);
        (find(&operation, RATE).is_some(), find(&operation, EACH).is_some())
    };
    assert_eq!(told(|_| {}), (true, true));
    assert_eq!(told(|operation| operation.usage.output_tokens = None), (false, false));
    assert_eq!(told(|operation| operation.usage.output_tokens = Some(0)), (false, false));
    // One token takes no time between tokens.
    assert_eq!(told(|operation| operation.usage.output_tokens = Some(1)), (true, false));
    // What was thought need not have been streamed.
    assert_eq!(told(|operation| operation.usage.reasoning_output_tokens = Some(7)), (true, false));
    assert_eq!(told(|operation| operation.usage.reasoning_output_tokens = Some(0)), (true, true));
    // Not streamed, or in one chunk.
    assert_eq!(told(|operation| operation.timing.first_content = None), (true, false));
    assert_eq!(
        told(|operation| operation.timing.last_content = operation.timing.first_content),
        (true, false)
    );
    assert_eq!(told(|operation| operation.timing.end = operation.timing.start), (false, true));
}

#[test]
fn servers_own_times_are_told() {
    let mut operation = sample::operation();
    assert_eq!(find(&operation, "llmtap.server.total_time"), None);
    let time = |millis| Some(Duration::from_millis(millis));
    operation.server_times = ServerTimes {
        total: time(1000),
        queue: time(2),
        load: time(250),
        prompt: time(125),
        completion: time(500),
        inference: time(625),
        first_token: time(62),
    };
    for (key, value) in [
        ("llmtap.server.total_time", 1.0),
        ("llmtap.server.queue_time", 0.002),
        ("llmtap.server.load_time", 0.25),
        ("llmtap.server.prompt_time", 0.125),
        ("llmtap.server.completion_time", 0.5),
        ("llmtap.server.inference_time", 0.625),
        ("llmtap.server.time_to_first_token", 0.062),
    ] {
        assert_eq!(find(&operation, key), Some(value.into()), "{key}");
    }
}
