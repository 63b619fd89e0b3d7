//! An operation, its process and its span, for the tests of this stage and the next.

use std::sync::Arc;

use super::{Clock, Ids, Sampler, Span, Spans, Transport};
use crate::{
    capture::{ConnectionId, ProcessId, Security, Timestamp},
    discover::Process,
    genai::{
        ChunkTimes, HttpFacts, Operation, OperationName, Request, Response, ServerTimes, Timing,
        Usage,
    },
    http::{End, Ended, ExchangeId, Role},
};

/// 2023-11-14 22:13:20 UTC.
pub(crate) const BOOT: i64 = 1_700_000_000_000_000_000;

const MILLISECOND: u64 = 1_000_000;

pub(crate) const TLS: Transport = Transport { security: Some(Security::Tls), addresses: None };

pub(crate) fn process(pid: u32, service: &str) -> Arc<Process> {
    Arc::new(Process {
        id: ProcessId { pid, incarnation: u64::from(pid) },
        parent_pid: Some(1),
        executable: Some("/usr/bin/python3.11".into()),
        command: vec!["python3".into(), "agent.py".into(), "--api-key=secret".into()],
        uid: Some(1000),
        otel_service_name: Some(service.to_owned()),
        otel_resource_attributes: None,
    })
}

/// A streamed chat of 1.5 s whose first chunk came after 250 ms.
pub(crate) fn operation() -> Operation {
    Operation {
        exchange: ExchangeId { connection: ConnectionId(1), index: 0 },
        turn: 0,
        role: Role::Client,
        name: OperationName::Chat,
        provider: "openai".into(),
        api_type: Some("chat_completions"),
        request: Request { model: Some("gpt-4o-mini".into()), stream: true, ..Request::default() },
        response: Response {
            id: Some("chatcmpl-1".into()),
            model: Some("gpt-4o-mini-2024-07-18".into()),
            finish_reasons: vec!["stop".into()],
            chunks: 12,
            ..Response::default()
        },
        usage: Usage { input_tokens: Some(1204), output_tokens: Some(356), ..Usage::default() },
        timing: Timing {
            start: Timestamp(1000 * MILLISECOND),
            request_end: Some(Timestamp(1001 * MILLISECOND)),
            first_chunk: Some(Timestamp(1250 * MILLISECOND)),
            first_content: Some(Timestamp(1300 * MILLISECOND)),
            last_content: Some(Timestamp(2300 * MILLISECOND)),
            output_chunk_times: ChunkTimes::default(),
            end: Timestamp(2500 * MILLISECOND),
        },
        server_times: ServerTimes::default(),
        error: None,
        http: HttpFacts {
            method: "POST".into(),
            authority: Some("api.openai.com".into()),
            path: "/v1/chat/completions".into(),
            status: Some(200),
            ..HttpFacts::default()
        },
        fingerprint: None,
        content: None,
        end: End {
            how: Ended::Complete,
            missing_request: 0,
            missing_response: 0,
            joined_late: false,
        },
        unknown_fields: 0,
        unreadable: None,
        mcp: None,
    }
}

pub(crate) fn span_of(operation: Operation, process: &Arc<Process>) -> Span {
    let clock = Clock::Recorded { boot: BOOT };
    let mut spans = Spans::new(Sampler::default(), clock, Ids::Random);
    spans.span(operation, process, TLS, clock.measure()).expect("kept by the default sampler")
}

pub(crate) fn span() -> Span {
    span_of(operation(), &process(42, "shop"))
}
