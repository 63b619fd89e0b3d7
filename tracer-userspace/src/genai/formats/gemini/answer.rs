//! Folds responses of the generate-content API, one or many, into what they said.
//! Takes whole responses; gives [`Answered`]. Counts are cumulative, so the last ones stand.

use serde::Deserialize;
use serde_json::Value;

use crate::genai::{
    formats::{
        Answer, Answered, MAX_CALLS, Nothing, Step,
        content::{self, Kind, Parts},
        error::{self, ErrorMember},
    },
    json::{
        Document, Fault,
        lax::{Count, Filled, Flag, List, Object, Text},
    },
    operation::{Modalities, ProviderError, Response, Usage},
};

/// Candidates of one answer that are told apart.
const MAX_CANDIDATES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Gemini {
    capture_content: bool,
    response: Response,
    usage: Usage,
    error: Option<ProviderError>,
    candidates: Vec<Chosen>,
    fits: bool,
    truncated: bool,
    overflow: bool,
}

#[derive(Debug, Default)]
struct Chosen {
    index: u64,
    reason: Option<String>,
    calls: Vec<String>,
    parts: Parts,
    overflow: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    candidates: Option<List<Candidate<'a>>>,
    #[serde(rename = "promptFeedback", borrow)]
    feedback: Object<Feedback<'a>>,
    #[serde(rename = "usageMetadata", borrow)]
    usage: Object<Box<Tokens<'a>>>,
    #[serde(rename = "modelVersion", borrow)]
    model: Text<'a>,
    #[serde(rename = "responseId", borrow)]
    id: Text<'a>,
    embedding: Object<Nothing>,
    embeddings: Filled,
    #[serde(borrow)]
    error: ErrorMember<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Feedback<'a> {
    #[serde(rename = "blockReason", borrow)]
    block_reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Candidate<'a> {
    index: Count,
    #[serde(rename = "finishReason", borrow)]
    finish_reason: Text<'a>,
    #[serde(borrow)]
    content: Object<Message<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    parts: List<Part<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    thought: Flag,
    #[serde(rename = "functionCall", borrow)]
    call: Object<Call<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    args: Option<Value>,
}

/// `usageMetadata`: thoughts are not among the candidates' tokens, nor results of the provider's
/// own tools among the prompt's; cached tokens are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Tokens<'a> {
    prompt_token_count: Count,
    tool_use_prompt_token_count: Count,
    cached_content_token_count: Count,
    /// The second is the Live API's name.
    #[serde(alias = "responseTokenCount")]
    candidates_token_count: Count,
    thoughts_token_count: Count,
    #[serde(borrow)]
    prompt_tokens_details: List<Counted<'a>>,
    #[serde(borrow)]
    tool_use_prompt_tokens_details: List<Counted<'a>>,
    #[serde(borrow)]
    cache_tokens_details: List<Counted<'a>>,
    /// The second is the Live API's name.
    #[serde(alias = "responseTokensDetails", borrow)]
    candidates_tokens_details: List<Counted<'a>>,
}

/// Tokens of one modality.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counted<'a> {
    #[serde(borrow)]
    modality: Text<'a>,
    token_count: Count,
}

/// Counts of one modality that are told more than once are parts of it.
fn by_modality<'a>(parts: impl IntoIterator<Item = Counted<'a>>) -> Modalities {
    let mut sums = Modalities::default();
    for part in parts {
        let known = match part.modality.as_str() {
            Some("TEXT") => &mut sums.text,
            Some("AUDIO") => &mut sums.audio,
            Some("IMAGE") => &mut sums.image,
            Some("VIDEO") => &mut sums.video,
            // The conventions have no name for the others (documents).
            _ => continue,
        };
        if let Some(count) = part.token_count.0 {
            *known = Some(known.unwrap_or(0).saturating_add(count));
        }
    }
    sums
}

impl Tokens<'_> {
    pub(super) fn usage(self) -> Usage {
        let sum = |a: Count, b: Count| match (a.0, b.0) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        Usage {
            input_tokens: sum(self.prompt_token_count, self.tool_use_prompt_token_count),
            output_tokens: sum(self.candidates_token_count, self.thoughts_token_count),
            cache_read_input_tokens: self.cached_content_token_count.0,
            cache_write_input_tokens: None,
            reasoning_output_tokens: self.thoughts_token_count.0,
            input: by_modality(
                self.prompt_tokens_details
                    .into_objects()
                    .chain(self.tool_use_prompt_tokens_details.into_objects()),
            ),
            output: by_modality(self.candidates_tokens_details.into_objects()),
            cache_read: by_modality(self.cache_tokens_details.into_objects()),
        }
    }
}

impl Answer for Gemini {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        let (facts, fault) = body.facts::<Body<'_>>();
        self.take(facts);
        fault
    }

    fn event(&mut self, _name: &[u8], data: &mut Document) -> Step {
        let (facts, _) = data.facts::<Body<'_>>();
        self.take(facts)
    }

    fn finish(mut self: Box<Self>) -> Answered {
        self.candidates.sort_by_key(|candidate| candidate.index);
        let mut messages = Vec::new();
        for candidate in &mut self.candidates {
            let (parts, truncated) = candidate.parts.take();
            self.truncated |= truncated;
            self.overflow |= candidate.overflow;
            let called = !candidate.calls.is_empty();
            let reason = match candidate.reason.as_deref() {
                Some("STOP") if called => "tool_call",
                Some("STOP") => "stop",
                Some("MAX_TOKENS") => "length",
                Some("SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII") => {
                    "content_filter"
                }
                Some(reason) => reason,
                None => "error",
            };
            messages.push(content::output("assistant", &parts, reason));
            self.response.tool_calls.append(&mut candidate.calls);
            let reason = candidate.reason.take().unwrap_or_else(|| "error".to_owned());
            self.response.finish_reasons.push(reason);
        }
        let keep = self.capture_content && !messages.is_empty();
        Answered {
            response: self.response,
            usage: self.usage,
            error: self.error,
            output_messages: keep.then_some(Value::Array(messages)),
            truncated: self.truncated,
            overflow: self.overflow,
            fits: self.fits,
            operation: None,
        }
    }
}

impl Gemini {
    pub(super) fn new(capture_content: bool) -> Self {
        Self { capture_content, ..Self::default() }
    }

    pub(super) fn take(&mut self, body: Body<'_>) -> Step {
        if let Some(error) = error::member(body.error) {
            self.error.get_or_insert(error);
            return Step::Aside;
        }
        self.fits |= body.candidates.is_some()
            || body.usage.0.is_some()
            || body.embedding.0.is_some()
            || body.embeddings.0;
        self.response.id = body.id.into_filled().or(self.response.id.take());
        self.response.model = body.model.into_filled().or(self.response.model.take());
        if let Some(tokens) = body.usage.0 {
            self.usage = (*tokens).usage();
        }
        // A prompt that is blocked has no candidates and no finish reason.
        if let Some(kind) = body.feedback.0.and_then(|feedback| feedback.block_reason.into_filled())
        {
            self.error.get_or_insert(ProviderError { kind, message: None });
        }
        let mut step = Step::Frame;
        let candidates = body.candidates.unwrap_or_default();
        for (place, candidate) in candidates.into_objects().enumerate() {
            if self.candidate(place as u64, candidate) {
                step = Step::Piece;
            }
        }
        step
    }

    /// Folds one candidate in; gives whether it carried a piece of the answer.
    fn candidate(&mut self, place: u64, candidate: Candidate<'_>) -> bool {
        let index = candidate.index.0.unwrap_or(place);
        let at = match self.candidates.iter().position(|known| known.index == index) {
            Some(at) => at,
            None if self.candidates.len() < MAX_CANDIDATES => {
                self.candidates.push(Chosen { index, ..Chosen::default() });
                self.candidates.len() - 1
            }
            None => {
                self.overflow = true;
                return false;
            }
        };
        let known = &mut self.candidates[at];
        known.reason = candidate.finish_reason.into_filled().or(known.reason.take());
        let mut piece = false;
        let parts = candidate.content.0.unwrap_or_default().parts;
        for part in parts.into_objects() {
            piece |= known.part(part, self.capture_content);
        }
        piece
    }
}

impl Chosen {
    fn part(&mut self, part: Part<'_>, keep_text: bool) -> bool {
        if let Some(text) = part.text.filled() {
            if keep_text {
                let thought = part.thought.0 == Some(true);
                self.parts.push(if thought { Kind::Reasoning } else { Kind::Text }, text);
            }
            return true;
        }
        let Some(call) = part.call.0 else { return false };
        self.overflow |= self.calls.len() == MAX_CALLS;
        if self.calls.len() < MAX_CALLS {
            let name = call.name.into_filled().unwrap_or_default();
            if keep_text {
                let arguments = call.args.map(|args| args.to_string()).unwrap_or_default();
                let place = self.calls.len() as u64;
                let kind = Kind::Call { place, id: call.id.into_filled(), name: name.clone() };
                self.parts.push(kind, &arguments);
            }
            self.calls.push(name);
        }
        true
    }
}
