//! What came back: `gen_ai.response.*` and `gen_ai.usage.*`.
//! Takes the response, its times and its usage; gives attributes.
//! Knows nothing of how the call was carried.

use super::{
    list::Attributes,
    own::{RESPONSE_CHUNKS, RESPONSE_RUN_ID, RESPONSE_TOOL_CALLS},
};
use crate::genai::{Modalities, Operation, Response, Usage};

impl Attributes {
    pub(super) fn response(&mut self, response: &Response) {
        self.text("gen_ai.response.status", response.status.as_deref());
        self.text(RESPONSE_RUN_ID, response.run_id.as_deref());
        self.text("gen_ai.response.id", response.id.as_deref());
        self.text("gen_ai.response.model", response.model.as_deref());
        self.texts("gen_ai.response.finish_reasons", &response.finish_reasons);
        self.text("openai.response.service_tier", response.service_tier.as_deref());
        self.text("openai.response.system_fingerprint", response.system_fingerprint.as_deref());
        self.texts(RESPONSE_TOOL_CALLS, &response.tool_calls);
        self.int(RESPONSE_CHUNKS, Some(response.chunks).filter(|chunks| *chunks > 0));
    }

    /// In seconds, from the request's first byte.
    pub(super) fn time_to_first_chunk(&mut self, operation: &Operation) {
        let timing = operation.timing;
        let nanos = timing.first_chunk.map(|chunk| chunk.since(timing.start));
        self.double(
            "gen_ai.response.time_to_first_chunk",
            nanos.map(|nanos| std::time::Duration::from_nanos(nanos).as_secs_f64()),
        );
    }

    pub(super) fn usage(&mut self, usage: Usage) {
        self.int("gen_ai.usage.input_tokens", usage.input_tokens);
        self.int("gen_ai.usage.output_tokens", usage.output_tokens);
        self.int("gen_ai.usage.cache_read.input_tokens", usage.cache_read_input_tokens);
        // The older name and the newer: the profile has one of them, or both.
        self.int("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_input_tokens);
        self.int("gen_ai.usage.cache_write.input_tokens", usage.cache_write_input_tokens);
        self.int("gen_ai.usage.reasoning.output_tokens", usage.reasoning_output_tokens);
        let Modalities { text, audio, image, video } = usage.input;
        self.int("gen_ai.usage.text.input_tokens", text);
        self.int("gen_ai.usage.audio.input_tokens", audio);
        self.int("gen_ai.usage.image.input_tokens", image);
        self.int("llmtap.usage.video.input_tokens", video);
        let Modalities { text, audio, image, video } = usage.output;
        self.int("gen_ai.usage.text.output_tokens", text);
        self.int("gen_ai.usage.audio.output_tokens", audio);
        self.int("gen_ai.usage.image.output_tokens", image);
        self.int("llmtap.usage.video.output_tokens", video);
        let Modalities { text, audio, image, video } = usage.cache_read;
        self.int("gen_ai.usage.text.cache_read.input_tokens", text);
        self.int("gen_ai.usage.audio.cache_read.input_tokens", audio);
        self.int("gen_ai.usage.image.cache_read.input_tokens", image);
        self.int("llmtap.usage.video.cache_read.input_tokens", video);
    }
}
