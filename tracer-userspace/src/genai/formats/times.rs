//! Times that servers tell in bodies, under the names that they give them.
//! Takes members of answers; gives [`ServerTimes`]. The unit is the server's, by its documentation.

use serde::Deserialize;

use crate::genai::{
    json::lax::{Count, Number, Object},
    operation::ServerTimes,
    server_times::{milliseconds, nanoseconds, seconds},
};

/// In seconds: Groq's beside the tokens of `usage`, Cerebras' in `time_info`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Seconds {
    pub(super) queue_time: Number,
    pub(super) prompt_time: Number,
    pub(super) completion_time: Number,
    pub(super) total_time: Number,
}

impl Seconds {
    pub(super) fn times(self) -> ServerTimes {
        ServerTimes {
            queue: self.queue_time.0.and_then(seconds),
            prompt: self.prompt_time.0.and_then(seconds),
            completion: self.completion_time.0.and_then(seconds),
            total: self.total_time.0.and_then(seconds),
            ..ServerTimes::default()
        }
    }
}

/// `timings` of the llama.cpp server, in milliseconds. A stream may repeat them, each time up to there.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Timings {
    /// Tokens of the prompt that were taken from the cache.
    pub(super) cache_n: Count,
    prompt_ms: Number,
    predicted_ms: Number,
}

impl Timings {
    pub(super) fn times(self) -> ServerTimes {
        ServerTimes {
            prompt: self.prompt_ms.0.and_then(milliseconds),
            completion: self.predicted_ms.0.and_then(milliseconds),
            ..ServerTimes::default()
        }
    }
}

/// Ollama's durations, in nanoseconds, in the last line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Durations {
    pub(super) total: Count,
    pub(super) load: Count,
    pub(super) prompt: Count,
    pub(super) eval: Count,
}

impl Durations {
    pub(super) fn times(self) -> ServerTimes {
        ServerTimes {
            total: self.total.0.and_then(nanoseconds),
            load: self.load.0.and_then(nanoseconds),
            prompt: self.prompt.0.and_then(nanoseconds),
            completion: self.eval.0.and_then(nanoseconds),
            ..ServerTimes::default()
        }
    }
}

/// `metrics` of Bedrock's Converse, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    #[serde(rename = "latencyMs")]
    latency: Number,
}

impl Latency {
    pub(super) fn of(metrics: Object<Self>) -> ServerTimes {
        let latency = metrics.0.unwrap_or_default().latency.0;
        ServerTimes { total: latency.and_then(milliseconds), ..ServerTimes::default() }
    }
}
