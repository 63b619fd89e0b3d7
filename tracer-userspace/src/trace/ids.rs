//! Where the ids of traces and spans come from: chance, or a recording's seed.
//! Takes the exchange that a span is of, and which of its operations; gives its ids.
//! With a seed the same operation gets the same ids, whichever others are replayed beside it.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use crate::http::ExchangeId;

/// A source of ids.
#[derive(Clone, Copy, Debug, Default)]
pub enum Ids {
    #[default]
    Random,
    Seeded(u64),
}

/// Keep the ids of one operation apart.
const TRACE_HIGH: u64 = 1;
const TRACE_LOW: u64 = 2;
const SPAN: u64 = 3;

impl Ids {
    pub(super) fn trace(self, exchange: ExchangeId, turn: u64) -> TraceId {
        match self {
            Self::Random => RandomIdGenerator::default().new_trace_id(),
            Self::Seeded(seed) => {
                let high = derive(seed, exchange, turn, TRACE_HIGH);
                let low = derive(seed, exchange, turn, TRACE_LOW);
                TraceId::from(u128::from(high) << 64 | u128::from(low))
            }
        }
    }

    pub(super) fn span(self, exchange: ExchangeId, turn: u64) -> SpanId {
        match self {
            Self::Random => RandomIdGenerator::default().new_span_id(),
            Self::Seeded(seed) => SpanId::from(derive(seed, exchange, turn, SPAN)),
        }
    }
}

fn derive(seed: u64, exchange: ExchangeId, turn: u64, purpose: u64) -> u64 {
    let parts = [exchange.connection.0, exchange.index, turn, purpose];
    let mixed = parts.into_iter().fold(mix(seed), |mixed, part| mix(mixed ^ part));
    // Zero is no id (W3C Trace Context §3.2.2.3).
    mixed.max(1)
}

/// The step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
/// 2014): every bit of the result depends on every bit of the argument, and no two arguments meet.
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::capture::ConnectionId;

    #[test]
    fn mixing_is_splitmix64() {
        // The first outputs of the reference generator for seed 1234567.
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let outputs = (0..3_u64).map(|n| mix(1_234_567_u64.wrapping_add(step.wrapping_mul(n))));
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(outputs.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn seeded_ids_repeat_and_differ() {
        let mut seen = HashSet::new();
        for (seed, connection, index) in
            (0..20).flat_map(|a| (0..20).flat_map(move |b| (0..20).map(move |c| (a, b, c))))
        {
            let exchange = ExchangeId { connection: ConnectionId(connection), index };
            let ids = Ids::Seeded(seed);
            assert_eq!(ids.trace(exchange, 0), ids.trace(exchange, 0));
            for turn in 0..2 {
                assert!(seen.insert(ids.trace(exchange, turn).to_bytes()[..8].to_vec()));
                assert!(seen.insert(ids.span(exchange, turn).to_bytes().to_vec()));
            }
        }
    }

    #[test]
    fn random_ids_do_not_repeat() {
        let exchange = ExchangeId { connection: ConnectionId(1), index: 1 };
        assert_ne!(Ids::Random.trace(exchange, 0), Ids::Random.trace(exchange, 0));
        assert_ne!(Ids::Random.span(exchange, 0), Ids::Random.span(exchange, 0));
    }
}
