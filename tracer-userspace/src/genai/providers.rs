//! Providers and routes as data: which host is whose, and which path speaks which wire format.
//! Takes nothing; `recognize` reads these tables.
//! A provider that speaks a known format is one row here.

use ::http::Method;

use super::{
    formats::{
        Format, anthropic, bedrock_converse, bedrock_invoke, cohere, gemini, ollama,
        openai_assistants, openai_audio, openai_chat, openai_completions, openai_embeddings,
        openai_images, openai_moderations, openai_realtime, openai_responses, watsonx,
    },
    socket::Dialect,
};

/// What a path speaks. A pattern is matched against the end of a path, segment by segment; `*` at
/// the start of a pattern's segment stands for any characters.
#[derive(Debug)]
pub(super) struct Route {
    pub method: Method,
    pub path: &'static str,
    pub format: &'static Format,
    /// The path's segment behind this one names the model.
    pub model_after: Option<&'static str>,
    /// The path asks for a stream.
    pub streams: bool,
}

const fn post(path: &'static str, format: &'static Format) -> Route {
    Route { method: Method::POST, path, format, model_after: None, streams: false }
}

const fn post_model(path: &'static str, after: &'static str, format: &'static Format) -> Route {
    Route { method: Method::POST, path, format, model_after: Some(after), streams: false }
}

const fn post_stream(
    path: &'static str,
    model_after: Option<&'static str>,
    format: &'static Format,
) -> Route {
    Route { method: Method::POST, path, format, model_after, streams: true }
}

const fn get(path: &'static str, format: &'static Format) -> Route {
    Route { method: Method::GET, path, format, model_after: None, streams: false }
}

/// Paths of the formats, whatever the host. The first that matches counts.
pub(super) const ROUTES: &[Route] = &[
    post_model("/deployments/*/chat/completions", "deployments", &openai_chat::FORMAT),
    post_model("/deployments/*/completions", "deployments", &openai_completions::FORMAT),
    post_model("/deployments/*/embeddings", "deployments", &openai_embeddings::FORMAT),
    post_model("/deployments/*/images/generations", "deployments", &openai_images::FORMAT),
    post_model("/deployments/*/images/edits", "deployments", &openai_images::FORMAT),
    post_model("/deployments/*/audio/transcriptions", "deployments", &openai_audio::TRANSCRIPTION),
    post_model("/deployments/*/audio/translations", "deployments", &openai_audio::TRANSCRIPTION),
    post_model("/deployments/*/audio/speech", "deployments", &openai_audio::SPEECH),
    post("/chat/completions", &openai_chat::FORMAT),
    post("/completions", &openai_completions::FORMAT),
    post("/api/embed", &ollama::EMBED),
    post("/api/embeddings", &ollama::EMBED),
    post("/embeddings", &openai_embeddings::FORMAT),
    post("/responses", &openai_responses::FORMAT),
    get("/responses/*", &openai_responses::FETCH),
    post("/responses/*/cancel", &openai_responses::FETCH),
    post("/images/generations", &openai_images::FORMAT),
    post("/images/edits", &openai_images::FORMAT),
    post("/images/variations", &openai_images::FORMAT),
    post("/audio/transcriptions", &openai_audio::TRANSCRIPTION),
    post("/audio/translations", &openai_audio::TRANSCRIPTION),
    post("/audio/speech", &openai_audio::SPEECH),
    post("/moderations", &openai_moderations::FORMAT),
    post("/v1/assistants", &openai_assistants::CREATE),
    post("/openai/assistants", &openai_assistants::CREATE),
    post("/threads/runs", &openai_assistants::RUN),
    post("/threads/*/runs", &openai_assistants::RUN),
    get("/threads/*/runs/*", &openai_assistants::RUN),
    post("/threads/*/runs/*", &openai_assistants::RUN),
    post("/threads/*/runs/*/submit_tool_outputs", &openai_assistants::RUN),
    post("/threads/*/runs/*/cancel", &openai_assistants::RUN),
    post("/v1/messages", &anthropic::MESSAGES),
    post("/v1/complete", &anthropic::COMPLETE),
    post("/api/chat", &ollama::CHAT),
    post("/api/generate", &ollama::GENERATE),
    post_model("/models/*:generateContent", "models", &gemini::GENERATE),
    post_stream("/models/*:streamGenerateContent", Some("models"), &gemini::GENERATE),
    post_model("/models/*:embedContent", "models", &gemini::EMBED),
    post_model("/models/*:batchEmbedContents", "models", &gemini::EMBED),
    post_model("/anthropic/models/*:rawPredict", "models", &anthropic::MESSAGES),
    post_stream("/anthropic/models/*:streamRawPredict", Some("models"), &anthropic::MESSAGES),
    post_model("/model/*/invoke", "model", &bedrock_invoke::FORMAT),
    post_stream("/model/*/invoke-with-response-stream", Some("model"), &bedrock_invoke::FORMAT),
    post_model("/model/*/converse", "model", &bedrock_converse::FORMAT),
    post_stream("/model/*/converse-stream", Some("model"), &bedrock_converse::FORMAT),
];

/// Formats that a body at an unknown path and host may be written in.
pub(super) const SHAPES: &[&Format] =
    &[&openai_chat::FORMAT, &anthropic::MESSAGES, &openai_responses::FORMAT];

/// Paths of WebSockets.
pub(super) const SOCKETS: &[(&str, Dialect)] =
    &[("/realtime", openai_realtime::DIALECT), ("/responses", openai_responses::DIALECT)];

#[derive(Debug)]
pub(super) struct Provider {
    /// `gen_ai.provider.name`.
    pub name: &'static str,
    /// Host names, which other rows may have too (`recognize::provider`). One that begins with `.` stands for every name below it; a `*` inside a name
    /// stands for the characters of one region.
    pub hosts: &'static [&'static str],
    /// Paths that only this provider uses; they are tried before [`ROUTES`].
    pub routes: &'static [Route],
}

const fn provider(name: &'static str, hosts: &'static [&'static str]) -> Provider {
    Provider { name, hosts, routes: &[] }
}

/// Sorted by name. Names are the conventions' where they have one, else the provider's own.
pub(super) const PROVIDERS: &[Provider] = &[
    provider("anthropic", &["api.anthropic.com"]),
    provider("aws.bedrock", &["bedrock-runtime.*.amazonaws.com", "bedrock-mantle.*.api.aws"]),
    Provider {
        name: "azure.ai.inference",
        hosts: &[
            "models.inference.ai.azure.com",
            ".models.ai.azure.com",
            ".inference.ai.azure.com",
            ".services.ai.azure.com",
        ],
        routes: &[
            post("/models/chat/completions", &openai_chat::FORMAT),
            post("/models/embeddings", &openai_embeddings::FORMAT),
            post("/models/images/embeddings", &openai_embeddings::FORMAT),
            post("/anthropic/v1/messages", &anthropic::MESSAGES),
        ],
    },
    provider(
        "azure.ai.openai",
        &[".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"],
    ),
    provider("cerebras", &["api.cerebras.ai"]),
    Provider {
        name: "cohere",
        hosts: &["api.cohere.com", "api.cohere.ai"],
        routes: &[
            post("/v1/chat", &cohere::CHAT),
            post("/v2/chat", &cohere::CHAT),
            post("/v1/generate", &cohere::GENERATE),
            post("/v1/embed", &cohere::EMBED),
            post("/v2/embed", &cohere::EMBED),
        ],
    },
    provider("deepseek", &["api.deepseek.com"]),
    provider("fireworks", &["api.fireworks.ai"]),
    provider("gcp.gemini", &["generativelanguage.googleapis.com"]),
    provider("gcp.vertex_ai", &["*-aiplatform.googleapis.com", "aiplatform.googleapis.com"]),
    provider("groq", &["api.groq.com"]),
    provider("huggingface", &["router.huggingface.co", "api-inference.huggingface.co"]),
    Provider {
        name: "ibm.watsonx.ai",
        hosts: &["*.ml.cloud.ibm.com"],
        routes: &[
            post("/generation/text", &watsonx::FORMAT),
            post_stream("/generation/text_stream", None, &watsonx::FORMAT),
        ],
    },
    provider("mistral_ai", &["api.mistral.ai", "codestral.mistral.ai"]),
    provider("moonshot_ai", &["api.moonshot.ai", "api.moonshot.cn"]),
    provider("ollama", &["ollama.com"]),
    provider("openai", &["api.openai.com", ".api.openai.com"]),
    provider("openrouter", &["openrouter.ai"]),
    provider("perplexity", &["api.perplexity.ai"]),
    provider("together_ai", &["api.together.xyz", "api.together.ai"]),
    provider("voyage_ai", &["api.voyageai.com"]),
    Provider {
        name: "writer",
        hosts: &["api.writer.com"],
        routes: &[post("/v1/chat", &openai_chat::FORMAT)],
    },
    provider("x_ai", &["api.x.ai", ".api.x.ai"]),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        assert!(PROVIDERS.is_sorted_by(|a, b| a.name < b.name));
        for row in PROVIDERS {
            assert_eq!(row.hosts.iter().collect::<HashSet<_>>().len(), row.hosts.len());
        }
        let mut hosts = PROVIDERS.iter().flat_map(|row| row.hosts);
        assert!(hosts.all(|host| *host == host.to_ascii_lowercase()));
    }

    #[test]
    fn earlier_routes_hide_none() {
        for (at, route) in ROUTES.iter().enumerate() {
            let hidden = ROUTES[..at].iter().any(|earlier| {
                earlier.method == route.method && route.path.ends_with(earlier.path)
            });
            assert!(!hidden, "{} is never reached", route.path);
        }
    }
}
