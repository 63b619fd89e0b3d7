//! Streamed answers as providers send them.
//! Takes how many events; gives the body of the answer, and of the request for it.

use std::fmt::Write as _;

pub const CHAT_REQUEST: &str = r#"{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"system","content":"You are terse."},{"role":"user","content":"Why is the sky blue?"}]}"#;

pub const MESSAGES_REQUEST: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":1024,"stream":true,"messages":[{"role":"user","content":"Why is the sky blue?"}]}"#;

pub const CHAT_ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1763898000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"Blue light scatters more."},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}}"#;

/// A chat with user messages of these lengths, and what else is asked for behind them.
pub fn chat_request(texts: &[usize]) -> String {
    const SENTENCE: &str = r#"The quick brown fox said \"jump\".\n"#;
    let messages: Vec<_> = texts
        .iter()
        .map(|len| {
            // No escape is cut in two.
            let text: String = SENTENCE.chars().cycle().take(*len).collect();
            let text = text.trim_end_matches('\\');
            format!("{{\"role\":\"user\",\"content\":\"{text}\"}}")
        })
        .collect();
    let messages = messages.join(",");
    format!("{{\"messages\":[{messages}],\"model\":\"gpt-4o-mini\",\"max_tokens\":7}}")
}

/// An answer, event by event.
pub type Events = Vec<String>;

/// OpenAI's, each event 300 bytes.
pub fn chat(events: usize) -> Events {
    let mut all: Events = (0..events).map(|n| {
        let mut event = format!(
            "data: {{\"id\":\"chatcmpl-BxYz0123456789abcdefghijkl\",\"object\":\"chat.completion.chunk\",\"created\":1763898000,\"model\":\"gpt-4o-mini-2024-07-18\",\"system_fingerprint\":\"fp_560af6e559\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{n:04}\"}},\"finish_reason\":null}}],\"usage\":null,\"obfuscation\":\""
        );
        let rest = 300 - event.len() - "\"}\n\n".len();
        event.extend(std::iter::repeat_n('x', rest));
        event + "\"}\n\n"
    }).collect();
    all.push("data: {\"id\":\"chatcmpl-BxYz0123456789abcdefghijkl\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":400,\"total_tokens\":420}}\n\n".into());
    all.push("data: [DONE]\n\n".into());
    all
}

/// Anthropic's, each delta 300 bytes: these carry more text at a time.
pub fn messages(events: usize) -> Events {
    let mut all: Events = vec![
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01ABCdefGHIjkl\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5-20250929\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":14,\"output_tokens\":1}}}\n\n".into(),
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n".into(),
    ];
    all.extend((0..events).map(|n| {
        let mut event = format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{n:04} ");
        let rest = 300 - event.len() - "\"}}\n\n".len();
        event.extend("the quick brown fox ".chars().cycle().take(rest));
        event + "\"}}\n\n"
    }));
    all.push(
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n".into(),
    );
    all.push("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":400}}\n\n".into());
    all.push("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".into());
    all
}

/// Each event a chunk of HTTP/1.1, as servers send it; the end of the body last.
pub fn in_chunks(events: &Events) -> Vec<Vec<u8>> {
    let chunk = |event: &String| {
        let mut bytes = String::new();
        // Writing to a string does not fail.
        let _ = write!(bytes, "{:x}\r\n{event}\r\n", event.len());
        bytes.into_bytes()
    };
    events.iter().map(chunk).chain([b"0\r\n\r\n".to_vec()]).collect()
}
