//! Providers and routes as data: which host is whose, and which path speaks which wire format.
//! Takes nothing; `recognize` reads these tables.
//! A provider that speaks a known format is one row here.

use ::http::Method;

use super::{
    formats::{
        Format, aleph_alpha, anthropic, bedrock_agents, bedrock_converse, bedrock_invoke,
        cloudflare, cohere, embed, gemini, gemini_interactions, llama_cpp, mistral_conversations,
        ollama, openai_assistants, openai_audio, openai_chat, openai_completions,
        openai_embeddings, openai_images, openai_moderations, openai_realtime, openai_responses,
        replicate, rerank, sagemaker, sglang, tgi, vertex_predict, watsonx,
    },
    protobuf::Schema,
    socket::Dialect,
};

/// What a path speaks. A pattern is matched against the end of a path, segment by segment; `*` at
/// the start of a pattern's segment stands for any characters.
#[derive(Debug)]
pub(super) struct Route {
    pub method: Method,
    pub path: &'static str,
    pub format: &'static Format,
    /// The `*`s behind this segment are the model's name.
    pub model_after: Option<&'static str>,
    /// The path's segment behind this one is the id of the agent or of the data source.
    pub id_after: Option<&'static str>,
    /// The path asks for a stream.
    pub streams: bool,
    /// The path serves other things too.
    pub shared: bool,
    /// Of gRPC: what its messages are.
    pub messages: Option<&'static Schema>,
}

const fn route(method: Method, path: &'static str, format: &'static Format) -> Route {
    Route {
        method,
        path,
        format,
        model_after: None,
        id_after: None,
        streams: false,
        shared: false,
        messages: None,
    }
}

const fn post(path: &'static str, format: &'static Format) -> Route {
    route(Method::POST, path, format)
}

const fn post_model(path: &'static str, after: &'static str, format: &'static Format) -> Route {
    let mut route = post(path, format);
    route.model_after = Some(after);
    route
}

const fn post_stream(
    path: &'static str,
    model_after: Option<&'static str>,
    format: &'static Format,
) -> Route {
    let mut route = post(path, format);
    route.model_after = model_after;
    route.streams = true;
    route
}

const fn get(path: &'static str, format: &'static Format) -> Route {
    route(Method::GET, path, format)
}

const fn grpc(path: &'static str, format: &'static Format, messages: &'static Schema) -> Route {
    let mut route = post(path, format);
    route.messages = Some(messages);
    route
}

const fn grpc_stream(
    path: &'static str,
    format: &'static Format,
    messages: &'static Schema,
) -> Route {
    let mut route = grpc(path, format, messages);
    route.streams = true;
    route
}

const fn post_id(path: &'static str, after: &'static str, format: &'static Format) -> Route {
    let mut route = post(path, format);
    route.id_after = Some(after);
    route
}

const fn shared(mut route: Route) -> Route {
    route.shared = true;
    route
}

/// Paths of the formats, whatever the host. The first that matches counts, and with it those of the
/// same path: the bodies decide between them.
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
    post_model("/models/*:predict", "models", &vertex_predict::PREDICT),
    post_model("/anthropic/models/*:rawPredict", "models", &anthropic::MESSAGES),
    post_stream("/anthropic/models/*:streamRawPredict", Some("models"), &anthropic::MESSAGES),
    post_model("/publishers/*/models/*:rawPredict", "models", &openai_chat::SERVED),
    post_stream("/publishers/*/models/*:streamRawPredict", Some("models"), &openai_chat::SERVED),
    post_model("/model/*/invoke", "model", &bedrock_invoke::FORMAT),
    post_stream("/model/*/invoke-with-response-stream", Some("model"), &bedrock_invoke::FORMAT),
    post_model("/model/*/converse", "model", &bedrock_converse::FORMAT),
    post_stream("/model/*/converse-stream", Some("model"), &bedrock_converse::FORMAT),
    shared(post("/rerank", &rerank::RERANK)),
    shared(post("/rerank", &rerank::TEI)),
    // gRPC: a version stands within the service's name.
    grpc("/*.PredictionService/GenerateContent", &gemini::GENERATE, &gemini::grpc::VERTEX),
    grpc_stream(
        "/*.PredictionService/StreamGenerateContent",
        &gemini::GENERATE,
        &gemini::grpc::VERTEX,
    ),
    grpc("/*.PredictionService/Predict", &vertex_predict::PREDICT, &gemini::grpc::PREDICT),
    grpc("/*.GenerativeService/GenerateContent", &gemini::GENERATE, &gemini::grpc::GEMINI),
    grpc_stream(
        "/*.GenerativeService/StreamGenerateContent",
        &gemini::GENERATE,
        &gemini::grpc::GEMINI,
    ),
    grpc("/*.GenerativeService/EmbedContent", &gemini::EMBED, &gemini::grpc::EMBED),
    grpc("/*.GenerativeService/BatchEmbedContents", &gemini::EMBED, &gemini::grpc::BATCH_EMBED),
    grpc("/xai_api.Chat/GetCompletion", &openai_chat::FORMAT, &openai_chat::grpc::WHOLE),
    grpc_stream(
        "/xai_api.Chat/GetCompletionChunk",
        &openai_chat::FORMAT,
        &openai_chat::grpc::STREAMED,
    ),
    // Of local servers, whose paths are words that anyone may use.
    shared(post("/generate", &tgi::GENERATE)),
    shared(post("/generate", &sglang::GENERATE)),
    shared(post_stream("/generate_stream", None, &tgi::GENERATE)),
    shared(post("/completion", &llama_cpp::COMPLETION)),
    shared(post("/infill", &llama_cpp::COMPLETION)),
    shared(post("/embed", &embed::TEI)),
    shared(post("/embedding", &embed::LLAMA_CPP)),
    // Served models of any kind, under names that the user gave.
    shared(post("/endpoints/*/invocations", &tgi::GENERATE)),
    shared(post("/endpoints/*/invocations", &openai_chat::SERVED)),
    shared(post("/endpoints/*/invocations", &openai_completions::SERVED)),
    shared(post_stream("/endpoints/*/invocations-response-stream", None, &sagemaker::GENERATE)),
    shared(post_stream("/endpoints/*/invocations-response-stream", None, &sagemaker::CHAT)),
    shared(post_model("/serving-endpoints/*/invocations", SERVING, &openai_chat::SERVED)),
    shared(post_model("/serving-endpoints/*/invocations", SERVING, &openai_completions::SERVED)),
    shared(post_model("/serving-endpoints/*/invocations", SERVING, &openai_embeddings::SERVED)),
];

const SERVING: &str = "serving-endpoints";

/// Formats that a body at an unknown path and host may be written in.
pub(super) const SHAPES: &[&Format] =
    &[&openai_chat::FORMAT, &anthropic::MESSAGES, &openai_responses::FORMAT];

/// Paths of WebSockets.
pub(super) const SOCKETS: &[(&str, Dialect)] = &[
    ("/realtime", openai_realtime::DIALECT),
    ("/responses", openai_responses::DIALECT),
    ("/*.GenerativeService.BidiGenerateContent", gemini::live::DIALECT),
    ("/*.LlmBidiService/BidiGenerateContent", gemini::live::DIALECT),
];

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
    provider("ai21", &["api.ai21.com"]),
    Provider {
        name: "aleph_alpha",
        hosts: &["api.aleph-alpha.com"],
        routes: &[
            post("/complete", &aleph_alpha::COMPLETE),
            post("/embed", &aleph_alpha::EMBED),
            post("/semantic_embed", &aleph_alpha::EMBED),
        ],
    },
    provider("anthropic", &["api.anthropic.com"]),
    Provider {
        name: "aws.bedrock",
        hosts: &[
            "bedrock-runtime.*.amazonaws.com",
            "bedrock-agent-runtime.*.amazonaws.com",
            "bedrock-mantle.*.api.aws",
        ],
        routes: &[
            post_id("/agents/*/agentAliases/*/sessions/*/text", "agents", &bedrock_agents::AGENT),
            post("/agents/*", &bedrock_agents::AGENT),
            post("/retrieveAndGenerate", &bedrock_agents::GENERATE),
            post_stream("/retrieveAndGenerateStream", None, &bedrock_agents::GENERATE),
            post_id("/knowledgebases/*/retrieve", "knowledgebases", &bedrock_agents::RETRIEVE),
        ],
    },
    provider("aws.sagemaker", &["runtime.sagemaker.*.amazonaws.com"]),
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
        name: "cloudflare",
        hosts: &["api.cloudflare.com"],
        routes: &[
            post_model("/ai/run/*/*/*", "run", &cloudflare::RUN),
            post_model("/ai/run/*/*", "run", &cloudflare::RUN),
        ],
    },
    Provider {
        name: "cohere",
        hosts: &["api.cohere.com", "api.cohere.ai"],
        routes: &[
            post("/v1/chat", &cohere::CHAT),
            post("/v2/chat", &cohere::CHAT),
            post("/v1/generate", &cohere::GENERATE),
            post("/v1/embed", &cohere::EMBED),
            post("/v2/embed", &cohere::EMBED),
            post("/rerank", &rerank::RERANK),
        ],
    },
    provider("dashscope", &["dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"]),
    provider("databricks", &[".databricks.com", ".azuredatabricks.net"]),
    provider("deepseek", &["api.deepseek.com"]),
    provider("fireworks", &["api.fireworks.ai"]),
    Provider {
        name: "gcp.gemini",
        hosts: &["generativelanguage.googleapis.com"],
        routes: &[
            post("/interactions", &gemini_interactions::FORMAT),
            get("/interactions/*", &gemini_interactions::FETCH),
        ],
    },
    provider("gcp.vertex_ai", &["*-aiplatform.googleapis.com", "aiplatform.googleapis.com"]),
    provider("groq", &["api.groq.com"]),
    Provider {
        name: "huggingface",
        hosts: &[
            "router.huggingface.co",
            "api-inference.huggingface.co",
            ".endpoints.huggingface.cloud",
        ],
        routes: &[
            shared(post_model("/models/*/*", "models", &tgi::GENERATE)),
            shared(post_model("/models/*/*", "models", &embed::TEI)),
        ],
    },
    Provider {
        name: "ibm.watsonx.ai",
        hosts: &["*.ml.cloud.ibm.com"],
        routes: &[
            post("/generation/text", &watsonx::FORMAT),
            post_stream("/generation/text_stream", None, &watsonx::FORMAT),
        ],
    },
    Provider {
        name: "jina_ai",
        hosts: &["api.jina.ai"],
        routes: &[post("/rerank", &rerank::RERANK)],
    },
    Provider {
        name: "mistral_ai",
        hosts: &["api.mistral.ai", "codestral.mistral.ai"],
        routes: &[
            post("/v1/agents/completions", &openai_chat::SERVED),
            post("/v1/conversations", &mistral_conversations::FORMAT),
            post("/v1/conversations/*", &mistral_conversations::FORMAT),
            post("/v1/conversations/*/restart", &mistral_conversations::FORMAT),
        ],
    },
    provider("moonshot_ai", &["api.moonshot.ai", "api.moonshot.cn"]),
    provider("nvidia", &["integrate.api.nvidia.com"]),
    provider("ollama", &["ollama.com"]),
    provider("openai", &["api.openai.com", ".api.openai.com"]),
    provider("openrouter", &["openrouter.ai"]),
    provider("perplexity", &["api.perplexity.ai"]),
    Provider {
        name: "replicate",
        hosts: &["api.replicate.com", "stream.replicate.com", ".replicate.net"],
        routes: &[
            post_model("/models/*/*/predictions", "models", &replicate::PREDICT),
            post("/predictions", &replicate::PREDICT),
            get("/predictions/*", &replicate::FETCH),
            get("/streams/*", &replicate::FETCH),
        ],
    },
    Provider {
        name: "snowflake",
        hosts: &[".snowflakecomputing.com"],
        routes: &[post("/cortex/inference:complete", &openai_chat::FORMAT)],
    },
    Provider {
        name: "together_ai",
        hosts: &["api.together.xyz", "api.together.ai"],
        routes: &[post("/rerank", &rerank::RERANK)],
    },
    Provider {
        name: "voyage_ai",
        hosts: &["api.voyageai.com"],
        routes: &[post("/rerank", &rerank::RERANK)],
    },
    Provider {
        name: "writer",
        hosts: &["api.writer.com"],
        routes: &[post("/v1/chat", &openai_chat::FORMAT)],
    },
    provider("x_ai", &["api.x.ai", ".api.x.ai"]),
    provider("z_ai", &["api.z.ai", "open.bigmodel.cn"]),
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
                earlier.method == route.method
                    && route.path != earlier.path
                    && route.path.ends_with(earlier.path)
            });
            assert!(!hidden, "{} is never reached", route.path);
        }
    }
}
