//! OpenAI's `usage`, under the names that each of its APIs gives the same counts.
//! Takes the object of a body or an event; adds it to a [`Usage`].
//! Cached, reasoning and a modality's tokens are parts of input and output tokens already.

use serde::Deserialize;

use super::times::Seconds;
use crate::genai::{
    json::lax::{Count, Number, Object},
    operation::{Modalities, ServerTimes, Usage},
};

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    /// Of chats, completions and runs …
    prompt_tokens: Count,
    completion_tokens: Count,
    prompt_tokens_details: Object<Details>,
    completion_tokens_details: Object<Details>,
    /// … of runs alone …
    prompt_token_details: Object<Details>,
    /// … of responses and images …
    input_tokens: Count,
    output_tokens: Count,
    input_tokens_details: Object<Details>,
    output_tokens_details: Object<Details>,
    /// … of audio and realtime.
    input_token_details: Object<Details>,
    output_token_details: Object<Details>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Count,
    total_tokens: Count,
    /// Groq's times, in seconds.
    queue_time: Number,
    prompt_time: Number,
    completion_time: Number,
    total_time: Number,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    reasoning_tokens: Count,
    text_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
    cached_tokens_details: Object<Parts>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Parts {
    text_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
}

impl Tokens {
    /// Counts that are told replace those told before: streams repeat them cumulatively.
    pub(super) fn add_to(self, usage: &mut Usage) {
        let input = self
            .prompt_tokens_details
            .0
            .or(self.input_tokens_details.0)
            .or(self.input_token_details.0)
            .or(self.prompt_token_details.0)
            .unwrap_or_default();
        let output = self
            .completion_tokens_details
            .0
            .or(self.output_tokens_details.0)
            .or(self.output_token_details.0)
            .unwrap_or_default();
        let cached = input.cached_tokens.0.or(self.prompt_cache_hit_tokens.0);
        for (known, told) in [
            (&mut usage.input_tokens, self.prompt_tokens.0.or(self.input_tokens.0)),
            (&mut usage.output_tokens, self.output(output.reasoning_tokens.0)),
            (&mut usage.cache_read_input_tokens, cached),
            (&mut usage.cache_write_input_tokens, input.cache_write_tokens.0),
            (&mut usage.reasoning_output_tokens, output.reasoning_tokens.0),
        ] {
            *known = told.or(*known);
        }
        let cached = input.cached_tokens_details.0.unwrap_or_default();
        cached.add_to(&mut usage.cache_read);
        input.parts().add_to(&mut usage.input);
        output.parts().add_to(&mut usage.output);
    }

    /// What else stands beside the counts.
    pub(super) fn times(&self) -> ServerTimes {
        let Self { queue_time, prompt_time, completion_time, total_time, .. } = *self;
        Seconds { queue_time, prompt_time, completion_time, total_time }.times()
    }

    /// xAI counts reasoning beside a chat's completion, not in it: the total says so.
    fn output(&self, reasoning: Option<u64>) -> Option<u64> {
        let Some(completion) = self.completion_tokens.0 else { return self.output_tokens.0 };
        let both = completion.checked_add(reasoning.unwrap_or(0));
        let all =
            self.prompt_tokens.0.zip(both).and_then(|(prompt, both)| prompt.checked_add(both));
        if all.is_some() && all == self.total_tokens.0 { both } else { Some(completion) }
    }
}

impl Details {
    fn parts(self) -> Parts {
        let Self { text_tokens, audio_tokens, image_tokens, .. } = self;
        Parts { text_tokens, audio_tokens, image_tokens }
    }
}

impl Parts {
    fn add_to(self, known: &mut Modalities) {
        known.text = self.text_tokens.0.or(known.text);
        known.audio = self.audio_tokens.0.or(known.audio);
        known.image = self.image_tokens.0.or(known.image);
    }
}
