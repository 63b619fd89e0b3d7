//! Whole exchanges through [`Calls`], written by hand for each behaviour.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use serde_json::{Value, json};

use super::{
    Calls, ChunkTimes, Modalities, Operation, OperationName, Options, ProviderError, Usage,
};
use crate::{
    capture::{ConnectionId, Timestamp},
    http::{End, Ended, ExchangeEvent, ExchangeId, Kind, RequestHead, ResponseHead, Role},
};

mod anthropic;
mod bedrock;
mod bedrock_others;
mod cohere;
mod counting;
mod dashscope;
mod errors;
mod gemini;
mod gemini_live;
mod google_others;
mod grpc;
mod grpc_others;
mod hostile;
mod hosts;
mod named;
mod ollama;
mod openai_agents;
mod openai_chat;
mod openai_dialects;
mod openai_media;
mod openai_others;
mod openai_sockets;
pub(super) mod page;
mod recognition;
mod routes;
pub(super) mod schemas;
mod servers;
mod servers_others;
mod times;
mod vendors;
mod watsonx;

/// An exchange to feed. Every event advances the clock by one.
pub(super) struct Exchange<'a> {
    pub method: Method,
    pub target: &'a str,
    pub host: &'a str,
    pub request: Vec<u8>,
    pub status: u16,
    pub kind: &'a str,
    pub response: Vec<u8>,
    pub how: Ended,
    pub capture_content: bool,
    pub headers: Vec<(&'static str, &'static str)>,
    pub response_headers: Vec<(&'static str, &'static str)>,
}

impl<'a> Exchange<'a> {
    pub(super) fn json(target: &'a str, host: &'a str, request: &Value, response: &Value) -> Self {
        Self {
            method: Method::POST,
            target,
            host,
            request: request.to_string().into_bytes(),
            status: 200,
            kind: "application/json",
            response: response.to_string().into_bytes(),
            how: Ended::Complete,
            capture_content: false,
            headers: Vec::new(),
            response_headers: Vec::new(),
        }
    }

    pub(super) fn sse(target: &'a str, host: &'a str, request: &Value, response: &str) -> Self {
        let mut exchange = Self::json(target, host, request, &Value::Null);
        exchange.kind = "text/event-stream; charset=utf-8";
        exchange.response = response.as_bytes().to_vec();
        exchange
    }

    /// Runs with bodies in pieces of `size` bytes.
    pub(super) fn run_in(&self, size: usize) -> Option<Operation> {
        let capture_content = self.capture_content;
        self.run_with(Calls::new(Options { capture_content }), size)
    }

    pub(super) fn run_with(&self, mut calls: Calls, size: usize) -> Option<Operation> {
        let exchange = ExchangeId { connection: ConnectionId(7), index: 3 };
        let mut now = 100;
        let mut on = |kind: Kind<'_>| {
            now += 1;
            calls.on(&ExchangeEvent { exchange, time: Timestamp(now), kind })
        };
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(self.host).unwrap());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            if *name == "content-type" {
                headers.remove("content-type");
            }
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let target = self.target.to_owned();
        let head =
            RequestHead { method: self.method.clone(), target, version: Version::HTTP_11, headers };
        on(Kind::Request { head: &head, role: Role::Client, started: Timestamp(100) });
        for piece in self.request.chunks(size) {
            on(Kind::RequestBody(piece));
        }
        on(Kind::RequestEnd);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_str(self.kind).unwrap());
        headers.insert("x-request-id", HeaderValue::from_static("req_1"));
        for (name, value) in &self.response_headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let status = StatusCode::from_u16(self.status).unwrap();
        let head = ResponseHead { status, version: Version::HTTP_11, headers };
        on(Kind::Response { head: &head, role: Role::Client, started: Timestamp(100) });
        for piece in self.response.chunks(size) {
            on(Kind::ResponseBody(piece));
        }
        if self.how == Ended::Complete {
            on(Kind::ResponseEnd);
        }
        let end =
            End { how: self.how, missing_request: 0, missing_response: 0, joined_late: false };
        let operations = on(Kind::End(end));
        assert_eq!(calls.open(), 0, "an exchange that ended is still held");
        assert!(operations.len() <= 1);
        operations.iter().for_each(page::seen);
        operations.into_iter().next()
    }

    /// Runs whole and in pieces, which must agree but for times.
    pub(super) fn run(&self) -> Operation {
        let whole = self.run_in(usize::MAX).expect("an LLM call");
        for size in [1, 7, 64] {
            let mut cut = self.run_in(size).expect("an LLM call");
            cut.timing = whole.timing;
            assert_eq!(format!("{cut:?}"), format!("{whole:?}"), "in pieces of {size}");
        }
        whole
    }
}

pub(super) fn reasons(operation: &Operation) -> Vec<&str> {
    operation.response.finish_reasons.iter().map(String::as_str).collect()
}
