//! Hosts and paths that the user names, and what they speak.
//! Takes a request's host and path; gives the first entry that both belong to.
//! For gateways and servers of one's own: what is known anyway needs no entry.

use serde::Deserialize;

use super::formats::{
    Format, anthropic, cohere, gemini, llama_cpp, ollama, openai_chat, openai_completions,
    openai_embeddings, openai_responses, rerank, sglang, tgi,
};

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Name without port. One that begins with `.` stands for every name below it.
    pub host: String,
    /// What the path begins with, as `/gateway`. Default: every path.
    #[serde(default)]
    pub path: Option<String>,
    /// What POST requests there are written in. Default: told by the rest of the path, and by the body.
    #[serde(default)]
    pub format: Option<WireFormat>,
    /// `gen_ai.provider.name`. Default: the format's own.
    #[serde(default)]
    pub provider: Option<String>,
}

/// The formats that servers of one's own speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WireFormat {
    AnthropicMessages,
    CohereChat,
    Gemini,
    LlamaCpp,
    OllamaChat,
    OllamaGenerate,
    OpenaiChat,
    OpenaiCompletions,
    OpenaiEmbeddings,
    OpenaiResponses,
    Rerank,
    Sglang,
    Tgi,
}

impl WireFormat {
    pub(super) fn format(self) -> &'static Format {
        match self {
            Self::AnthropicMessages => &anthropic::MESSAGES,
            Self::CohereChat => &cohere::CHAT,
            Self::Gemini => &gemini::GENERATE,
            Self::LlamaCpp => &llama_cpp::COMPLETION,
            Self::OllamaChat => &ollama::CHAT,
            Self::OllamaGenerate => &ollama::GENERATE,
            // A gateway may know the model by itself.
            Self::OpenaiChat => &openai_chat::SERVED,
            Self::OpenaiCompletions => &openai_completions::SERVED,
            Self::OpenaiEmbeddings => &openai_embeddings::SERVED,
            Self::OpenaiResponses => &openai_responses::FORMAT,
            Self::Rerank => &rerank::RERANK,
            Self::Sglang => &sglang::GENERATE,
            Self::Tgi => &tgi::GENERATE,
        }
    }
}

impl Named {
    /// `host` in lower case, without port; `path` without the query.
    pub(super) fn is_for(&self, host: &str, path: &str) -> bool {
        let name = self.host.to_ascii_lowercase();
        let is_host = if name.starts_with('.') { host.ends_with(&name) } else { host == name };
        is_host && self.path.as_deref().is_none_or(|prefix| begins(path, prefix))
    }
}

/// Segment by segment: `/gw` is no beginning of `/gwen`.
fn begins(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_must_both_match() {
        let named = |host: &str, path: Option<&str>| Named {
            host: host.to_owned(),
            path: path.map(str::to_owned),
            ..Named::default()
        };
        let gateway = named("LLM.internal", Some("/gw/"));
        assert!(gateway.is_for("llm.internal", "/gw") && gateway.is_for("llm.internal", "/gw/a/b"));
        assert!(!gateway.is_for("llm.internal", "/gwen") && !gateway.is_for("llm.internal", "/"));
        assert!(!gateway.is_for("xllm.internal", "/gw"));
        let below = named(".internal", None);
        assert!(below.is_for("a.b.internal", "/x") && !below.is_for("internal", "/x"));
    }
}
