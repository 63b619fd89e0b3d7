//! Userspace's part of the degradation under overload: its thresholds, and what to leave out.
//! Takes percentages, and what later stages know of a connection; gives what the kernel side reads.
//! Pure; the level itself is the kernel side's, which alone sees the ring at every call.

use tracer_ebpf::{ANY_POSITION, LEVELS, Mark, Passage, Verdict};

use super::{connections::Positions, event::Direction};

/// How full the ring is when each step is taken, in percent; 100: never. A step ends when the ring
/// is less than half as full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// No message text is kept of calls that begin.
    pub content: u8,
    /// Bodies that belong to no LLM call are left out.
    pub bodies: u8,
    /// New connections are left out, and of others those without an LLM call under way.
    pub connections: u8,
}

impl Thresholds {
    pub const NEVER: Self = Self { content: 100, bodies: 100, connections: 100 };

    pub(super) fn marks(self, ring_bytes: u32) -> [Mark; LEVELS] {
        [self.content, self.bodies, self.connections].map(|percent| match percent {
            100.. => Mark::NEVER,
            percent => {
                let raise = u64::from(ring_bytes) * u64::from(percent) / 100;
                Mark { raise, lower: raise / 2 }
            }
        })
    }

    /// Bytes of the ring that are not kept for LLM calls under way.
    pub(super) fn common_bytes(self, ring_bytes: u32) -> u64 {
        let reserved = if self == Self::NEVER { 0 } else { ring_bytes / RESERVED_PART };
        u64::from(ring_bytes - reserved)
    }
}

/// Of the ring, so much is kept for LLM calls under way: one part in so many.
const RESERVED_PART: u32 = 16;

impl Default for Thresholds {
    fn default() -> Self {
        Self { content: 50, bodies: 75, connections: 90 }
    }
}

/// What a connection is used for, as far as the later stages know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Unknown,
    /// An LLM call is under way.
    Call,
    /// What passes in this direction is the body of a message that belongs to no LLM call: so many
    /// bytes more where that is known, else until something passes in the other direction.
    Body {
        direction: Direction,
        left: Option<u64>,
    },
    /// Nothing that passes will belong to an LLM call.
    Foreign,
}

/// What the kernel side is told of a connection whose directions stand at `positions`.
pub(super) fn verdict(usage: Use, positions: Positions) -> Verdict {
    match usage {
        Use::Unknown => Verdict::default(),
        Use::Call => Verdict { call: 1, ..Verdict::default() },
        Use::Body { direction, left } => {
            let Positions { received, sent } = positions;
            let (here, opposite) = match direction {
                Direction::Received => (received, sent),
                Direction::Sent => (sent, received),
            };
            // The largest position is an end that is not known; nothing ever gets there.
            let until = left.map_or(u64::MAX, |left| here.saturating_add(left));
            let passage = Passage { until, opposite };
            match direction {
                Direction::Received => Verdict { received: passage, ..Verdict::default() },
                Direction::Sent => Verdict { sent: passage, ..Verdict::default() },
            }
        }
        Use::Foreign => {
            let all = Passage { until: u64::MAX, opposite: ANY_POSITION };
            Verdict { call: 0, received: all, sent: all }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracer_ebpf::level;

    use super::*;

    const RING: u32 = 1 << 20;

    fn levels(fills: &[u64]) -> Vec<u32> {
        let marks = Thresholds::default().marks(RING);
        let mut current = 0;
        let of = |fill: &u64| {
            current = level(&marks, current, *fill * u64::from(RING) / 100);
            current
        };
        fills.iter().map(of).collect()
    }

    #[test]
    fn steps_come_one_by_one_and_all_at_once() {
        assert_eq!(levels(&[0, 49, 51, 74, 76, 89, 91, 100]), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(levels(&[95]), [3]);
    }

    #[test]
    fn step_holds_until_half_of_its_threshold() {
        assert_eq!(levels(&[91, 46, 44, 38, 36, 26, 24]), [3, 3, 2, 2, 1, 1, 0]);
        assert_eq!(levels(&[91, 0]), [3, 0]);
        // Below the first threshold nothing begins, whatever was before it ended.
        assert_eq!(levels(&[51, 24, 49]), [1, 0, 0]);
    }

    #[test]
    fn thresholds_at_the_ends_are_always_and_never() {
        let marks = Thresholds { content: 0, bodies: 100, connections: 100 }.marks(RING);
        for current in 0..=LEVELS as u32 {
            assert_eq!(level(&marks, current, 0), 1);
            assert_eq!(level(&marks, current, u64::from(RING)), 1);
        }
    }

    proptest! {
        /// What is on may only stay on: with more before, no less after; with more in the ring too.
        #[test]
        fn level_is_monotonic(fill in 0..=u64::from(RING), more in 0..=u64::from(RING), current in 0u32..=3) {
            let marks = Thresholds::default().marks(RING);
            let now = level(&marks, current, fill);
            prop_assert!(level(&marks, current, fill.max(more)) >= now);
            prop_assert!(level(&marks, now, fill) == now, "the same fill changes nothing");
            prop_assert!(now >= level(&marks, 0, fill) && now <= level(&marks, 3, fill));
        }
    }

    #[test]
    fn passage_ends_with_its_body() {
        let positions = Positions { received: 100, sent: 7 };
        let body = |left| Use::Body { direction: Direction::Received, left };
        let known = verdict(body(Some(50)), positions);
        assert_eq!(known.received, Passage { until: 150, opposite: 7 });
        assert_eq!((known.call, known.sent), (0, Passage::default()));
        let unknown = verdict(body(None), positions);
        assert_eq!(unknown.received, Passage { until: u64::MAX, opposite: 7 });
        let sent = Use::Body { direction: Direction::Sent, left: Some(u64::MAX) };
        assert_eq!(verdict(sent, positions).sent, Passage { until: u64::MAX, opposite: 100 });
        // Nothing lies before position 0: a default passage allows nothing.
        assert_eq!(verdict(Use::Unknown, positions), Verdict::default());
    }
}
