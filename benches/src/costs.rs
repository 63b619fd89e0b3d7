//! What one call costs, against the bound that issue and documentation set: time of one core.
//! Takes criterion; measures a streamed chat of 2,000 events and a prompt of 1 MiB, through `http` and `genai`.

use llmtap_benches::{answers, traffic};

use crate::{Bench, rates};

const EVENTS: usize = 2000;
const PROMPT: usize = 1 << 20;

pub(crate) fn all(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("one call");
    for (kept, content) in [("", false), (", content kept", true)] {
        for (name, parts) in [
            ("a chat stream of 2,000 events", rates::chat(EVENTS)),
            ("a messages stream of 2,000 events", rates::messages(EVENTS)),
        ] {
            let operations = traffic::operations(&parts, content);
            assert_eq!(operations[0].response.chunks, EVENTS as u64, "{name}");
            assert_eq!(operations[0].usage.output_tokens, Some(400), "{name}");
            group.bench_function(format!("{name}{kept}"), |bencher| {
                bencher.iter(|| traffic::operations(&parts, content));
            });
        }
        for (name, prompt) in [
            ("a prompt of 1 MiB in one text", vec![PROMPT]),
            ("a prompt of 1 MiB in 256 texts", vec![PROMPT / 256; 256]),
        ] {
            let request = answers::chat_request(&prompt);
            let parts = rates::asked(&request);
            let operations = traffic::operations(&parts, content);
            assert_eq!(operations[0].request.max_tokens, Some(7), "{name}");
            group.bench_function(format!("{name}{kept}"), |bencher| {
                bencher.iter(|| traffic::operations(&parts, content));
            });
        }
    }
    group.finish();
}
