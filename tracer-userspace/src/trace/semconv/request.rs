//! What was asked for: `gen_ai.request.*` and what goes with it.
//! Takes the request, and the response where that knows better; gives attributes.
//! Knows nothing of how the call was carried.

use super::{list::Attributes, own::REQUEST_TOOLS, profile::Profile};
use crate::genai::{Request, Response};

impl Attributes {
    pub(super) fn request(&mut self, request: &Request) {
        self.text("gen_ai.request.model", request.model.as_deref());
        self.flag("gen_ai.request.stream", request.stream);
        self.int("gen_ai.request.max_tokens", request.max_tokens);
        self.double("gen_ai.request.temperature", request.temperature);
        self.double("gen_ai.request.top_p", request.top_p);
        match self.profile {
            Profile::V1_41 => self.double("gen_ai.request.top_k", request.top_k),
            // An int since; a request with a fraction in it has no top_k they could name.
            Profile::Latest | Profile::Dup => {
                self.int("gen_ai.request.top_k", request.top_k.and_then(whole));
            }
        }
        self.double("gen_ai.request.frequency_penalty", request.frequency_penalty);
        self.double("gen_ai.request.presence_penalty", request.presence_penalty);
        self.int("gen_ai.request.seed", request.seed);
        self.texts("gen_ai.request.stop_sequences", &request.stop_sequences);
        self.int("gen_ai.request.choice.count", request.choice_count);
        self.text("gen_ai.request.reasoning.level", request.reasoning_level.as_deref());
        self.text("gen_ai.output.type", request.output_type);
        self.text("openai.request.service_tier", request.service_tier.as_deref());
        self.text("gen_ai.request.previous_response.id", request.previous_response_id.as_deref());
        self.text("gen_ai.request.stream_cursor", request.stream_cursor.as_deref());
        self.text("gen_ai.prompt.name", request.prompt_name.as_deref());
        self.text("gen_ai.prompt.version", request.prompt_version.as_deref());
        self.int("gen_ai.embeddings.dimension.count", request.embedding_dimensions);
        self.texts("gen_ai.request.encoding_formats", &request.encoding_formats);
        self.text("gen_ai.data_source.id", request.data_source_id.as_deref());
        self.int(REQUEST_TOOLS, request.tools);
    }

    /// What the response says wins: it names the conversation that the answer became part of.
    pub(super) fn conversation(&mut self, request: &Request, response: &Response) {
        let id = response.conversation_id.as_ref().or(request.conversation_id.as_ref());
        self.text("gen_ai.conversation.id", id.map(String::as_str));
    }

    /// As the conversation: the response knows better.
    pub(super) fn agent(&mut self, request: &Request, response: &Response) {
        let (asked, told) = (&request.agent, &response.agent);
        for (key, told, asked) in [
            ("gen_ai.agent.id", &told.id, &asked.id),
            ("gen_ai.agent.name", &told.name, &asked.name),
            ("gen_ai.agent.description", &told.description, &asked.description),
        ] {
            self.text(key, told.as_ref().or(asked.as_ref()).map(String::as_str));
        }
    }
}

/// The integer that a number is, if it is one. Powers of two bound what an `i64` can be.
fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let is_whole = number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "checked above to be an i64")]
    is_whole.then_some(number as i64)
}
