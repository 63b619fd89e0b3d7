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
    total_tokens: Count,
    /// Beside the counts, in no details: DeepSeek's cached tokens …
    prompt_cache_hit_tokens: Count,
    /// … those of Moonshot and Together, of Mistral …
    cached_tokens: Count,
    num_cached_tokens: Count,
    /// … and of servers that pass Anthropic's models on, which count them among the prompt's.
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    /// SGLang's and Perplexity's.
    reasoning_tokens: Count,
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
    /// DashScope's and LiteLLM's names for it.
    cache_creation_input_tokens: Count,
    cache_creation_tokens: Count,
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
        let input = Details::union([
            self.prompt_tokens_details,
            self.input_tokens_details,
            self.input_token_details,
            self.prompt_token_details,
        ]);
        let output = Details::union([
            self.completion_tokens_details,
            self.output_tokens_details,
            self.output_token_details,
        ]);
        let reasoning = output.reasoning_tokens.0.or(self.reasoning_tokens.0);
        for (known, told) in [
            (&mut usage.input_tokens, self.prompt_tokens.0.or(self.input_tokens.0)),
            (&mut usage.output_tokens, self.output(reasoning)),
            (&mut usage.cache_read_input_tokens, self.cache_read(&input)),
            (&mut usage.cache_write_input_tokens, self.cache_write(&input)),
            (&mut usage.reasoning_output_tokens, reasoning),
        ] {
            *known = told.or(*known);
        }
        let cached = input.cached_tokens_details.0.unwrap_or_default();
        cached.add_to(&mut usage.cache_read);
        input.parts().add_to(&mut usage.input);
        output.parts().add_to(&mut usage.output);
    }

    fn cache_read(&self, input: &Details) -> Option<u64> {
        let names = [
            input.cached_tokens,
            self.prompt_cache_hit_tokens,
            self.cached_tokens,
            self.num_cached_tokens,
            self.cache_read_input_tokens,
        ];
        names.iter().find_map(|name| name.0)
    }

    fn cache_write(&self, input: &Details) -> Option<u64> {
        let names = [
            input.cache_write_tokens,
            input.cache_creation_input_tokens,
            input.cache_creation_tokens,
            self.cache_creation_input_tokens,
        ];
        names.iter().find_map(|name| name.0)
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
    /// What any of them tells, the first before the others (DashScope has two at once).
    fn union<const N: usize>(names: [Object<Self>; N]) -> Self {
        let mut told = names.into_iter().filter_map(|details| details.0);
        let Some(mut all) = told.next() else { return Self::default() };
        for more in told {
            for (known, told) in [
                (&mut all.cached_tokens, more.cached_tokens),
                (&mut all.cache_write_tokens, more.cache_write_tokens),
                (&mut all.cache_creation_input_tokens, more.cache_creation_input_tokens),
                (&mut all.cache_creation_tokens, more.cache_creation_tokens),
                (&mut all.reasoning_tokens, more.reasoning_tokens),
                (&mut all.text_tokens, more.text_tokens),
                (&mut all.audio_tokens, more.audio_tokens),
                (&mut all.image_tokens, more.image_tokens),
            ] {
                known.0 = known.0.or(told.0);
            }
        }
        all
    }

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
