use proptest::prelude::*;

use super::*;

/// What was delivered: bytes in order, with a `None` for each that is missing.
#[derive(Debug, Default)]
struct Told {
    bytes: Vec<Option<u8>>,
    latest: Timestamp,
}

impl Told {
    fn take(&mut self, time: Timestamp, offset: u64, data: Data<'_>) {
        assert_eq!(offset, self.bytes.len() as u64, "overlap or hole");
        assert!(time >= self.latest, "time goes back");
        self.latest = time;
        match data {
            Data::Bytes(bytes) => self.bytes.extend(bytes.iter().copied().map(Some)),
            Data::Gap(missing) => {
                self.bytes.resize(self.bytes.len() + usize::try_from(missing).unwrap(), None);
            }
        }
    }
}

struct Feed {
    stream: Stream,
    told: Told,
    first: u32,
}

impl Feed {
    fn new(first: u32) -> Self {
        let mut stream = Stream::default();
        stream.begins(first);
        Self { stream, told: Told::default(), first }
    }

    fn push(&mut self, time: u64, at: usize, bytes: &[u8], cut: u64) {
        let sequence = self.first.wrapping_add(at as u32);
        let part = Part { time: Timestamp(time), sequence, bytes, cut };
        let told = &mut self.told;
        self.stream.push(&part, &mut |time, offset, data| told.take(time, offset, data));
    }

    fn end(&mut self, at: usize) {
        self.stream.ends(self.first.wrapping_add(at as u32));
    }

    fn acknowledge(&mut self, at: usize, time: u64) {
        let (sequence, told) = (self.first.wrapping_add(at as u32), &mut self.told);
        self.stream.acknowledged(sequence, Timestamp(time), &mut |time, offset, data| {
            told.take(time, offset, data);
        });
    }

    fn flush(mut self) -> Vec<Option<u8>> {
        let told = &mut self.told;
        self.stream.flush(&mut |time, offset, data| told.take(time, offset, data));
        assert_eq!(self.stream.cost(), 0);
        self.told.bytes
    }

    fn text(&self) -> String {
        self.told.bytes.iter().map(|byte| byte.map_or('~', char::from)).collect()
    }
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 % 251) as u8).collect()
}

proptest! {
    #[test]
    fn any_order_gives_the_same_stream(
        len in 1..2000_usize,
        first in prop_oneof![any::<u32>(), (u32::MAX - 2000)..],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        repeats in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..20),
        seed in any::<u64>(),
    ) {
        let data = data(len);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
        cuts.extend([0, len]);
        cuts.sort_unstable();
        let mut parts: Vec<_> = cuts.windows(2).map(|cut| (cut[0], cut[1])).collect();
        parts.extend(repeats.iter().map(|(a, b)| {
            let (a, b) = (a.index(len + 1), b.index(len + 1));
            (a.min(b), a.max(b))
        }));
        let mut order = seed;
        parts.sort_by_cached_key(|_| {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order >> 33
        });
        let mut feed = Feed::new(first);
        feed.end(len);
        for (time, (start, end)) in parts.into_iter().enumerate() {
            feed.push(time as u64, start, &data[start..end], 0);
        }
        prop_assert!(feed.stream.is_over());
        prop_assert_eq!(feed.flush(), data.into_iter().map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn what_never_came_is_a_gap(
        len in 1..2000_usize,
        first in any::<u32>(),
        parts in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..12),
    ) {
        let data = data(len);
        let mut expected = vec![None; len];
        let mut feed = Feed::new(first);
        feed.end(len);
        for (a, b) in parts {
            let (a, b) = (a.index(len + 1), b.index(len + 1));
            let (start, end) = (a.min(b), a.max(b));
            feed.push(0, start, &data[start..end], 0);
            (start..end).for_each(|at| expected[at] = Some(data[at]));
        }
        prop_assert_eq!(feed.flush(), expected);
    }
}

#[test]
fn late_segment_fills_the_hole_when_it_comes() {
    let mut feed = Feed::new(u32::MAX - 1);
    feed.push(1, 3, b"de", 0);
    assert_eq!(feed.text(), "");
    feed.push(5, 0, b"abc", 0);
    assert_eq!(feed.text(), "abcde");
    // The program could not read them before.
    assert_eq!(feed.told.latest, Timestamp(5));
}

#[test]
fn acknowledged_bytes_are_not_waited_for_long() {
    let mut feed = Feed::new(10);
    feed.push(1, 3, b"de", 0);
    feed.acknowledge(5, REORDERING);
    assert_eq!(feed.text(), "", "a capture may be out of order");
    feed.acknowledge(2, 3 * REORDERING);
    assert_eq!(feed.text(), "", "not acknowledged: it may be sent again");
    feed.acknowledge(5, 3 * REORDERING);
    assert_eq!(feed.text(), "~~~de");
    feed.push(4 * REORDERING, 0, b"abc", 0);
    assert_eq!(feed.text(), "~~~de", "too late");
}

#[test]
fn packets_cut_by_the_capture_leave_a_gap() {
    let mut feed = Feed::new(10);
    feed.push(1, 0, b"ab", 3);
    feed.push(1, 0, b"ab", 3);
    feed.push(2, 5, b"f", 0);
    assert_eq!(feed.text(), "ab~~~f");
}

#[test]
fn held_bytes_are_bounded() {
    let mut feed = Feed::new(0);
    let megabyte = vec![b'x'; 1 << 20];
    for n in 0..8 {
        feed.push(n, 10 + ((n as usize) << 20), &megabyte, 0);
        assert!(feed.stream.cost() <= HELD_LIMIT);
    }
    assert_eq!(feed.told.bytes.len(), 10 + (8 << 20));
    assert_eq!(feed.told.bytes.iter().filter(|byte| byte.is_none()).count(), 10);
}

#[test]
fn strays_beyond_any_window_are_ignored() {
    let mut feed = Feed::new(0);
    feed.push(1, 1 << 30 | 1, b"x", 0);
    feed.push(1, 0, b"a", 0);
    // A keep-alive probe (RFC 9293 §3.8.4) repeats the byte before.
    feed.push(1, 0, b"?", 0);
    assert_eq!(feed.flush(), [Some(b'a')]);
}
