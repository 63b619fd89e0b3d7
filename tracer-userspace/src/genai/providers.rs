//! Providers and routes as data: which host is whose, and which path speaks which wire format.
//! Takes nothing; `recognize` reads these tables.
//! A provider that speaks a known format is one row here.

use ::http::Method;

use super::{
    formats::{
        Format, aleph_alpha, anthropic, bedrock_agents, bedrock_converse, bedrock_flows,
        bedrock_invoke, cloudflare, cohere, count_tokens, dashscope, embed, gemini,
        gemini_interactions, llama_cpp, mistral_conversations, mistral_ocr, ollama,
        openai_assistants, openai_audio, openai_chat, openai_completions, openai_embeddings,
        openai_images, openai_moderations, openai_realtime, openai_responses, palm, replicate,
        rerank, sagemaker, sglang, tgi, vertex_predict, watsonx,
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
    post_model("/deployments/*/extensions/chat/completions", "deployments", &openai_chat::FORMAT),
    // OpenAI's first form of paths.
    post_model("/engines/*/completions", "engines", &openai_completions::SERVED),
    post_model("/engines/*/embeddings", "engines", &openai_embeddings::SERVED),
    post("/chat/completions", &openai_chat::FORMAT),
    get("/chat/completions/*", &openai_chat::FETCH),
    get("/chat/deferred-completion/*", &openai_chat::FETCH),
    post("/completions", &openai_completions::FORMAT),
    post("/completions", &llama_cpp::COMPLETION),
    post("/api/embed", &ollama::EMBED),
    post("/api/embeddings", &ollama::EMBED),
    post("/embeddings", &openai_embeddings::FORMAT),
    post("/responses", &openai_responses::FORMAT),
    get("/responses/*", &openai_responses::FETCH),
    post("/responses/*/cancel", &openai_responses::FETCH),
    post("/responses/input_tokens", &count_tokens::OPENAI),
    post("/responses/compact", &openai_responses::COMPACT),
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
    post("/messages/count_tokens", &count_tokens::ANTHROPIC),
    post("/v1/complete", &anthropic::COMPLETE),
    post("/api/chat", &ollama::CHAT),
    post("/api/generate", &ollama::GENERATE),
    post_model("/models/*:generateContent", "models", &gemini::GENERATE),
    post_stream("/models/*:streamGenerateContent", Some("models"), &gemini::GENERATE),
    post_model("/tunedModels/*:generateContent", "tunedModels", &gemini::GENERATE),
    post_stream("/tunedModels/*:streamGenerateContent", Some("tunedModels"), &gemini::GENERATE),
    // A model that was tuned on Vertex answers at an endpoint of its own.
    post_model("/endpoints/*:generateContent", "endpoints", &gemini::GENERATE),
    post_stream("/endpoints/*:streamGenerateContent", Some("endpoints"), &gemini::GENERATE),
    post_model("/endpoints/*:predict", "endpoints", &vertex_predict::PREDICT),
    post_model("/endpoints/*:rawPredict", "endpoints", &openai_chat::SERVED),
    post_stream("/endpoints/*:streamRawPredict", Some("endpoints"), &openai_chat::SERVED),
    post("/v1internal:generateContent", &gemini::code_assist::GENERATE),
    post_stream("/v1internal:streamGenerateContent", None, &gemini::code_assist::GENERATE),
    post_model("/models/*:countTokens", "models", &count_tokens::GEMINI),
    post_model("/models/*:generateText", "models", &palm::TEXT),
    post_model("/models/*:generateMessage", "models", &palm::MESSAGE),
    post_model("/models/*:embedText", "models", &palm::EMBED),
    post_model("/models/*:batchEmbedText", "models", &palm::EMBED),
    post_model("/models/*:embedContent", "models", &gemini::EMBED),
    post_model("/models/*:batchEmbedContents", "models", &gemini::EMBED),
    post_model("/models/*:predict", "models", &vertex_predict::PREDICT),
    post("/anthropic/models/count-tokens:rawPredict", &count_tokens::ANTHROPIC),
    post_model("/anthropic/models/*:rawPredict", "models", &anthropic::MESSAGES),
    post_stream("/anthropic/models/*:streamRawPredict", Some("models"), &anthropic::MESSAGES),
    post_model("/publishers/*/models/*:rawPredict", "models", &openai_chat::SERVED),
    post_stream("/publishers/*/models/*:streamRawPredict", Some("models"), &openai_chat::SERVED),
    post_model("/model/*/invoke", "model", &bedrock_invoke::FORMAT),
    post_stream("/model/*/invoke-with-response-stream", Some("model"), &bedrock_invoke::FORMAT),
    post_model("/model/*/converse", "model", &bedrock_converse::FORMAT),
    post_stream("/model/*/converse-stream", Some("model"), &bedrock_converse::FORMAT),
    post_model("/model/*/count-tokens", "model", &count_tokens::BEDROCK),
    post("/guardrail/*/version/*/apply", &bedrock_flows::GUARDRAIL),
    shared(post("/rerank", &rerank::RERANK)),
    shared(post("/rerank", &rerank::TEI)),
    shared(post("/reranking", &rerank::RERANK)),
    shared(post("/score", &rerank::SCORE)),
    shared(post("/ranking", &rerank::RERANK)),
    shared(post("/pooling", &openai_embeddings::SERVED)),
    shared(post("/classify", &openai_moderations::CLASSIFY)),
    shared(post("/classifications", &openai_moderations::CLASSIFY)),
    // gRPC: a version stands within the service's name.
    grpc("/*.PredictionService/GenerateContent", &gemini::GENERATE, &gemini::grpc::VERTEX),
    grpc_stream(
        "/*.PredictionService/StreamGenerateContent",
        &gemini::GENERATE,
        &gemini::grpc::VERTEX,
    ),
    grpc("/*.PredictionService/CountTokens", &count_tokens::GEMINI, &gemini::grpc::VERTEX_COUNT),
    grpc("/*.GenerativeService/CountTokens", &count_tokens::GEMINI, &gemini::grpc::GEMINI_COUNT),
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
    grpc("/xai_api.Chat/GetStoredCompletion", &openai_chat::FETCH, &openai_chat::grpc::STORED),
    grpc("/xai_api.Sample/SampleText", &openai_completions::FORMAT, &openai_chat::grpc::SAMPLE),
    grpc_stream(
        "/xai_api.Sample/SampleTextStreaming",
        &openai_completions::FORMAT,
        &openai_chat::grpc::SAMPLE,
    ),
    grpc("/xai_api.Embedder/Embed", &openai_embeddings::FORMAT, &openai_chat::grpc::EMBED),
    grpc("/xai_api.Image/GenerateImage", &openai_images::FORMAT, &openai_chat::grpc::IMAGE),
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
    // The same inside the container.
    shared(post("/invocations", &tgi::GENERATE)),
    shared(post("/invocations", &openai_chat::SERVED)),
    shared(post("/invocations", &openai_completions::SERVED)),
];

const SERVING: &str = "serving-endpoints";

/// Formats that a body at an unknown path and host may be written in.
pub(super) const SHAPES: &[&Format] =
    &[&openai_chat::FORMAT, &anthropic::MESSAGES, &anthropic::COMPLETE, &openai_responses::FORMAT];

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
            "bedrock-runtime.*.amazonaws.com.cn",
            "bedrock-runtime-fips.*.amazonaws.com",
            "bedrock-runtime.*.api.aws",
            "bedrock-agent-runtime.*.amazonaws.com",
            "bedrock-agent-runtime-fips.*.amazonaws.com",
            "bedrock-mantle.*.api.aws",
        ],
        routes: &[
            post_id("/agents/*/agentAliases/*/sessions/*/text", "agents", &bedrock_agents::AGENT),
            post("/agents/*", &bedrock_agents::AGENT),
            post("/retrieveAndGenerate", &bedrock_agents::GENERATE),
            post_stream("/retrieveAndGenerateStream", None, &bedrock_agents::GENERATE),
            post_id("/knowledgebases/*/retrieve", "knowledgebases", &bedrock_agents::RETRIEVE),
            post("/flows/*/aliases/*", &bedrock_flows::FLOW),
            post("/rerank", &bedrock_flows::RERANK),
            post("/async-invoke", &bedrock_flows::LATER),
        ],
    },
    provider(
        "aws.sagemaker",
        &["runtime.sagemaker.*.amazonaws.com", "runtime-fips.sagemaker.*.amazonaws.com"],
    ),
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
            // Cohere's models, in its own API.
            post("/v1/chat", &cohere::CHAT),
            post("/v2/chat", &cohere::CHAT),
            post("/v1/embed", &cohere::EMBED),
            post("/v2/embed", &cohere::EMBED),
        ],
    },
    provider(
        "azure.ai.openai",
        &[
            ".openai.azure.com",
            ".openai.azure.us",
            ".openai.azure.cn",
            ".cognitiveservices.azure.com",
            ".services.ai.azure.com",
        ],
    ),
    provider("baseten", &["inference.baseten.co", ".api.baseten.co"]),
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
            post("/v1/summarize", &cohere::SUMMARIZE),
            post("/v1/classify", &openai_moderations::CLASSIFY),
            post("/rerank", &rerank::RERANK),
        ],
    },
    Provider {
        name: "dashscope",
        hosts: &[
            "dashscope.aliyuncs.com",
            "dashscope-intl.aliyuncs.com",
            "dashscope-us.aliyuncs.com",
            ".maas.aliyuncs.com",
        ],
        routes: &[
            post("/text-generation/generation", &dashscope::GENERATE),
            post("/multimodal-generation/generation", &dashscope::GENERATE),
            post("/text-embedding/text-embedding", &dashscope::EMBED),
            post("/multimodal-embedding/multimodal-embedding", &dashscope::EMBED),
            post("/text-rerank/text-rerank", &dashscope::RERANK),
            post("/reranks", &rerank::RERANK),
            post_id("/apps/*/completion", "apps", &dashscope::APPLICATION),
        ],
    },
    provider("databricks", &[".databricks.com", ".azuredatabricks.net"]),
    provider("deepinfra", &["api.deepinfra.com"]),
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
    provider(
        "gcp.vertex_ai",
        &[
            "*-aiplatform.googleapis.com",
            "aiplatform.googleapis.com",
            "aiplatform.*.rep.googleapis.com",
        ],
    ),
    provider("github", &["models.github.ai"]),
    provider("github_copilot", &[".githubcopilot.com"]),
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
            shared(post_model("/models/*/*/pipeline/text-generation", "models", &tgi::GENERATE)),
            shared(post_model("/models/*/*/pipeline/feature-extraction", "models", &embed::TEI)),
            shared(post_model(
                "/pipeline/feature-extraction/*/*",
                "feature-extraction",
                &embed::TEI,
            )),
        ],
    },
    Provider {
        name: "ibm.watsonx.ai",
        hosts: &["*.ml.cloud.ibm.com", "private.*.ml.cloud.ibm.com"],
        routes: &[
            post("/text/generation", &watsonx::GENERATE),
            post_stream("/text/generation_stream", None, &watsonx::GENERATE),
            post("/text/chat", &watsonx::CHAT),
            post_stream("/text/chat_stream", None, &watsonx::CHAT),
            post("/text/embeddings", &watsonx::EMBED),
            post("/text/rerank", &watsonx::RERANK),
            // Before version 1.
            post("/generation/text", &watsonx::GENERATE),
            post_stream("/generation/text_stream", None, &watsonx::GENERATE),
        ],
    },
    Provider {
        name: "jina_ai",
        hosts: &["api.jina.ai", "deepsearch.jina.ai"],
        routes: &[
            post("/rerank", &rerank::RERANK),
            post("/classify", &openai_moderations::CLASSIFY),
        ],
    },
    Provider {
        name: "minimax",
        hosts: &["api.minimax.io", "api.minimaxi.com", "api.minimax.chat"],
        routes: &[post("/text/chatcompletion_v2", &openai_chat::FORMAT)],
    },
    Provider {
        name: "mistral_ai",
        hosts: &["api.mistral.ai", "codestral.mistral.ai"],
        routes: &[
            post("/v1/agents/completions", &openai_chat::SERVED),
            post("/v1/conversations", &mistral_conversations::FORMAT),
            post("/v1/conversations/*", &mistral_conversations::FORMAT),
            post("/v1/conversations/*/restart", &mistral_conversations::FORMAT),
            post("/ocr", &mistral_ocr::FORMAT),
            post("/classifications", &openai_moderations::CLASSIFY),
        ],
    },
    provider("moonshot_ai", &["api.moonshot.ai", "api.moonshot.cn"]),
    provider(
        "nebius",
        &["api.studio.nebius.com", "api.studio.nebius.ai", "api.tokenfactory.nebius.com"],
    ),
    provider("novita", &["api.novita.ai"]),
    Provider {
        name: "nvidia",
        hosts: &["integrate.api.nvidia.com", "ai.api.nvidia.com"],
        routes: &[post("/reranking", &rerank::RERANK), post("/ranking", &rerank::RERANK)],
    },
    provider("ollama", &["ollama.com"]),
    // The third is Codex's own way, for those who signed in.
    provider("openai", &["api.openai.com", ".api.openai.com", "chatgpt.com"]),
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
    provider("sambanova", &["api.sambanova.ai"]),
    provider("scaleway", &["api.scaleway.ai"]),
    provider("siliconflow", &["api.siliconflow.cn", "api.siliconflow.com"]),
    Provider {
        name: "snowflake",
        hosts: &[".snowflakecomputing.com"],
        routes: &[
            post("/cortex/inference:complete", &openai_chat::FORMAT),
            post("/cortex/inference:embed", &openai_embeddings::FORMAT),
        ],
    },
    Provider {
        name: "together_ai",
        hosts: &["api.together.xyz", "api.together.ai"],
        routes: &[post("/rerank", &rerank::RERANK)],
    },
    provider("upstage", &["api.upstage.ai"]),
    provider("vercel", &["ai-gateway.vercel.sh"]),
    provider("volcengine", &["ark.*.volces.com"]),
    Provider {
        name: "voyage_ai",
        hosts: &["api.voyageai.com"],
        routes: &[
            post("/rerank", &rerank::RERANK),
            post("/multimodalembeddings", &openai_embeddings::FORMAT),
            post("/contextualizedembeddings", &openai_embeddings::FORMAT),
        ],
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
