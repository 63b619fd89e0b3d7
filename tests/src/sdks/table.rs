//! Which SDK makes which calls, and whose answers it gets.
//! Data alone: an SDK is a row, and a call is a row within it.

use serde_json::Value;

use super::Exchange;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    Python,
    Node,
}

#[derive(Debug)]
pub struct Sdk {
    pub runtime: Runtime,
    /// Name of its adapter in the client program.
    pub name: &'static str,
    /// Whether its calls are awaited: both ways, where it has both.
    pub asynchronous: &'static [bool],
    pub calls: &'static [Call],
    /// Exchanges of which the first is answered before the second, when the SDK asks again.
    pub retried: &'static [(&'static str, &'static str)],
}

/// A function of an SDK, and the exchanges whose answers it can be given.
#[derive(Debug)]
pub struct Call {
    /// Its name in the adapter.
    pub name: &'static str,
    /// A name that begins with `.` stands for all below it.
    pub hosts: &'static [&'static str],
    /// What the path ends with, without the query.
    pub path: &'static str,
    /// Of these exchanges the SDK's object would tell less than the bytes do.
    pub but: fn(&Exchange) -> bool,
}

impl Call {
    pub fn takes(&self, exchange: &Exchange) -> bool {
        let host = exchange.host.as_str();
        let is_host = |name: &&str| {
            if name.starts_with('.') { host.ends_with(*name) } else { host == *name }
        };
        let path = exchange.path.split('?').next().unwrap_or_default();
        self.hosts.iter().any(is_host) && path.ends_with(self.path) && !(self.but)(exchange)
    }
}

const fn call(name: &'static str, hosts: &'static [&'static str], path: &'static str) -> Call {
    Call { name, hosts, path, but: |_| false }
}

const fn call_but(
    name: &'static str,
    hosts: &'static [&'static str],
    path: &'static str,
    but: fn(&Exchange) -> bool,
) -> Call {
    Call { but, ..call(name, hosts, path) }
}

const BOTH: &[bool] = &[false, true];
const OPENAI: &[&str] = &["api.openai.com"];
/// Whoever speaks OpenAI's format and reports usage where OpenAI does.
const LIKES: &[&str] = &[
    "api.openai.com",
    ".openai.azure.com",
    "localhost",
    "api.together.xyz",
    "api.deepseek.com",
    "openrouter.ai",
];
const ANTHROPIC: &[&str] = &["api.anthropic.com"];
const MISTRAL: &[&str] = &["api.mistral.ai"];
const GROQ: &[&str] = &["api.groq.com"];
const GEMINI: &[&str] = &["generativelanguage.googleapis.com"];
const GOOGLE: &[&str] =
    &["generativelanguage.googleapis.com", "us-central1-aiplatform.googleapis.com"];
const BEDROCK: &[&str] = &["bedrock-runtime.us-east-1.amazonaws.com"];
const COHERE: &[&str] = &["api.cohere.com", "api.cohere.ai"];
const OLLAMA: &[&str] = &["localhost", "127.0.0.1"];

const OPENAI_CALLS: &[Call] = &[
    call_but("chat", LIKES, "/chat/completions", told_as_success),
    call("completions", LIKES, "/v1/completions"),
    call("responses", OPENAI, "/responses"),
    call("embeddings", LIKES, "/v1/embeddings"),
    call("embeddings", &[".openai.azure.com"], "/embeddings"),
];

pub const PYTHON: &[Sdk] = &[
    Sdk {
        runtime: Runtime::Python,
        name: "openai",
        asynchronous: BOTH,
        calls: OPENAI_CALLS,
        retried: &[
            ("openai-limited", "openai-chat"),
            ("openai-limited", "openai-chat-stream"),
            ("openai-limited", "openai-responses"),
        ],
    },
    Sdk {
        runtime: Runtime::Python,
        name: "anthropic",
        asynchronous: BOTH,
        calls: &[call("messages", ANTHROPIC, "/v1/messages")],
        retried: &[
            ("anthropic-limited", "anthropic-messages"),
            ("anthropic-limited", "anthropic-messages-stream"),
        ],
    },
    Sdk {
        runtime: Runtime::Python,
        name: "mistral",
        asynchronous: BOTH,
        calls: &[
            call("chat", MISTRAL, "/chat/completions"),
            call("embeddings", MISTRAL, "/embeddings"),
        ],
        retried: &[("mistral-limited", "mistral-chat")],
    },
    Sdk {
        runtime: Runtime::Python,
        name: "google",
        asynchronous: BOTH,
        calls: &[
            call("generate", GOOGLE, ":generateContent"),
            // The recorded streams are arrays, which this SDK never asks for.
            call_but("generate", GOOGLE, ":streamGenerateContent", |exchange| !exchange.streams()),
            call("embed", GEMINI, ":batchEmbedContents"),
        ],
        retried: &[("gemini-limited", "gemini")],
    },
    Sdk {
        runtime: Runtime::Python,
        name: "boto3",
        asynchronous: &[false],
        calls: &[
            call("converse", BEDROCK, "/converse"),
            call("converse", BEDROCK, "/converse-stream"),
            call("invoke", BEDROCK, "/invoke"),
            call("invoke", BEDROCK, "/invoke-with-response-stream"),
        ],
        retried: &[("bedrock-limited", "bedrock-converse")],
    },
    Sdk {
        runtime: Runtime::Python,
        name: "cohere",
        asynchronous: BOTH,
        calls: &[
            call("chat", COHERE, "/v2/chat"),
            call("chat", COHERE, "/v1/chat"),
            call("embed", COHERE, "/embed"),
            call("rerank", COHERE, "/rerank"),
        ],
        retried: &[("cohere-limited", "cohere-chat")],
    },
    Sdk {
        runtime: Runtime::Python,
        name: "groq",
        asynchronous: BOTH,
        calls: &[call("chat", GROQ, "/chat/completions")],
        retried: &[("groq-limited", "groq-chat"), ("groq-limited", "groq-chat-stream")],
    },
    Sdk {
        runtime: Runtime::Python,
        name: "ollama",
        asynchronous: BOTH,
        calls: &[
            call("chat", OLLAMA, "/api/chat"),
            call("generate", OLLAMA, "/api/generate"),
            call("embed", OLLAMA, "/api/embed"),
            call("embeddings", OLLAMA, "/api/embeddings"),
        ],
        retried: &[],
    },
    Sdk {
        runtime: Runtime::Python,
        name: "litellm",
        asynchronous: BOTH,
        calls: &[
            call_but("chat", OPENAI, "/chat/completions", not_of_litellm),
            call("chat", &["localhost"], "/llm/chat/completions"),
            call("chat", ANTHROPIC, "/v1/messages"),
            call("chat", MISTRAL, "/chat/completions"),
            call("embeddings", OPENAI, "/embeddings"),
        ],
        retried: &[("openai-limited", "openai-chat")],
    },
];

pub const NODE: &[Sdk] = &[
    Sdk {
        runtime: Runtime::Node,
        name: "openai",
        asynchronous: &[true],
        calls: OPENAI_CALLS,
        retried: &[
            ("openai-limited", "openai-chat"),
            ("openai-limited", "openai-chat-stream"),
            ("openai-limited", "openai-responses"),
        ],
    },
    Sdk {
        runtime: Runtime::Node,
        name: "anthropic",
        asynchronous: &[true],
        calls: &[call("messages", ANTHROPIC, "/v1/messages")],
        retried: &[
            ("anthropic-limited", "anthropic-messages"),
            ("anthropic-limited", "anthropic-messages-stream"),
        ],
    },
    Sdk {
        runtime: Runtime::Node,
        name: "google",
        asynchronous: &[true],
        calls: &[
            call("generate", GEMINI, ":generateContent"),
            call_but("generate", GEMINI, ":streamGenerateContent", |exchange| !exchange.streams()),
            call("embed", GEMINI, ":batchEmbedContents"),
        ],
        retried: &[("gemini-limited", "gemini")],
    },
    Sdk {
        runtime: Runtime::Node,
        name: "ai",
        asynchronous: &[true],
        calls: &[
            call_but("chat", OPENAI, "/chat/completions", not_of_ai),
            call("responses", OPENAI, "/responses"),
            call("messages", ANTHROPIC, "/v1/messages"),
            call("embeddings", OPENAI, "/embeddings"),
        ],
        retried: &[("openai-limited", "openai-chat"), ("anthropic-limited", "anthropic-messages")],
    },
];

/// Asked for with functions, as before there were tools: today's generic SDKs do not tell such calls.
fn not_of_today(exchange: &Exchange) -> bool {
    exchange.request.get("functions").is_some()
}

/// An error in the body of an answer that says 200 (Azure's filter of prompts): OpenAI's SDKs raise
/// nothing.
fn told_as_success(exchange: &Exchange) -> bool {
    let body: Option<Value> = serde_json::from_slice(&exchange.body).ok();
    !exchange.failed() && body.is_some_and(|body| body["error"].is_object())
}

/// Of a stream with several choices it tells the first finish reason alone.
fn not_of_litellm(exchange: &Exchange) -> bool {
    not_of_today(exchange) || asks_for_several(exchange) && exchange.streams()
}

fn asks_for_several(exchange: &Exchange) -> bool {
    exchange.request.get("n").and_then(Value::as_u64).is_some_and(|count| count > 1)
}

/// It asks for one choice and tells one, and calls a refusal the answer's text.
fn not_of_ai(exchange: &Exchange) -> bool {
    let refused = br#""refusal":""#;
    let spaced = br#""refusal": ""#;
    let has = |words: &[u8]| exchange.body.windows(words.len()).any(|window| window == words);
    not_of_today(exchange) || asks_for_several(exchange) || has(refused) || has(spaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_an_exchange_of_our_own() {
        let own = Exchange::own().unwrap();
        for sdk in PYTHON.iter().chain(NODE) {
            for call in sdk.calls {
                let found = own.iter().any(|exchange| call.takes(exchange));
                assert!(found, "{} {}", sdk.name, call.path);
            }
            for name in sdk.retried.iter().flat_map(|(first, second)| [first, second]) {
                assert!(own.iter().any(|exchange| exchange.name == *name), "{name}");
            }
        }
    }
}
