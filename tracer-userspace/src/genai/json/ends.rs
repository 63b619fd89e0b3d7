//! Which elements of a long list stay: those at its two ends, by their weight.
//! Takes each element's weight as it is added; lets go of the middle of the list.
//! What stays depends on the elements alone.

use serde_json::Value;

/// Weight of the elements kept at the head, and again at the tail.
pub(super) const MAX_END: usize = 64 << 10;

/// Bookkeeping of a list of which head and tail are kept.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Elements that belong to the head, and their weight.
    head: usize,
    head_weight: usize,
    /// Weights of the elements behind the head.
    tail: Vec<usize>,
    tail_weight: usize,
}

impl Ends {
    /// An element of `weight` was added; lets go of the middle. Gives whether anything went.
    pub(super) fn added(&mut self, items: &mut Vec<Value>, weight: usize) -> bool {
        if self.tail.is_empty() && self.head_weight + weight <= MAX_END {
            self.head += 1;
            self.head_weight += weight;
            return false;
        }
        self.tail.push(weight);
        self.tail_weight += weight;
        if self.tail_weight <= 2 * MAX_END {
            return false;
        }
        // Dropping in runs keeps the cost linear. The last element always stays.
        let mut excess = 0;
        let mut left = self.tail_weight;
        while left > MAX_END && excess + 1 < self.tail.len() {
            left -= self.tail[excess];
            excess += 1;
        }
        if excess > 0 {
            items.drain(self.head..self.head + excess);
            self.tail.drain(..excess);
            self.tail_weight = left;
        }
        excess > 0
    }
}
