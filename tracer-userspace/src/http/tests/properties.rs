//! What holds for every way of splitting, and for bytes of any kind.

use proptest::prelude::*;

use super::*;

const STREAM: [(bool, &str); 6] = [
    (true, "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"),
    (false, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    (false, "6;e=1\r\ndata: \r\n12\r\n012345678901234567\r\n0\r\nTrailer: t\r\n\r\n"),
    (true, "\r\nGET /b HTTP/1.1\nHost: x\n\nHEAD /c HTTP/1.1\r\n\r\n"),
    (false, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 204 No\r\n\r\n"),
    (true, "GET /d HTTP/1.0\r\n\r\n"),
];

fn script() -> Vec<Step> {
    let step = |(is_sent, text): (bool, &str)| if is_sent { sent(text) } else { received(text) };
    [created()].into_iter().chain(STREAM.map(step)).collect()
}

fn lines(steps: &[Step], cuts: Cuts<'_>) -> Vec<Line> {
    let lines = run_with(&mut Exchanges::new(), steps, cuts);
    lines.into_iter().map(|(line, _)| line).collect()
}

proptest! {
    #[test]
    fn any_split_gives_same_events(cuts in prop::collection::vec(prop::collection::vec(0usize..100, 0..12), 7)) {
        let steps = script();
        let expected = lines(&steps, &|_, _| Vec::new());
        let split = lines(&steps, &|number, len| {
            let mut cuts: Vec<_> = cuts[number].iter().map(|at| at % (len + 1)).collect();
            cuts.sort_unstable();
            cuts
        });
        prop_assert_eq!(split, expected);
    }

    /// Valid streams with bytes changed, cut, lost: every exchange told has one end, the last.
    #[test]
    fn hostile_bytes_end_every_exchange_once(
        damage in prop::collection::vec((0usize..7, 0usize..100, any::<u8>()), 0..6),
        gap in prop::option::of((1usize..7, 1u64..100)),
        late in any::<bool>(),
        peer in prop::option::of(0u8..4),
    ) {
        let mut steps = script();
        for (step, at, byte) in damage {
            if let Step::Sent(_, bytes) | Step::Received(_, bytes) = &mut steps[step] {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
        }
        if let Some((at, missing)) = gap {
            let gap = match steps[at] {
                Step::Sent(..) => SentGap(1, missing),
                _ => ReceivedGap(1, missing),
            };
            steps.insert(at, gap);
        }
        if late {
            steps[0] = Open(1, Origin::JoinedLate);
        }
        if let Some(how) = peer {
            use PeerEnd::{Broken, CloseNotify, EndOfStream, SystemCall};
            let ends = [CloseNotify, Broken, SystemCall, EndOfStream];
            steps.push(PeerEnded(1, ends[usize::from(how)]));
        }
        steps.push(closed(CloseCause::Freed));
        let mut exchanges = Exchanges::new();
        let told = run_with(&mut exchanges, &steps, &|_, _| Vec::new());
        prop_assert_eq!(exchanges.connections(), 0);
        let mut ended = std::collections::HashMap::new();
        for ((_, index, told), _) in &told {
            prop_assert!(!ended.get(index).is_some_and(|ended| *ended), "event after the end");
            ended.insert(*index, matches!(told, Told::End(_)));
        }
        prop_assert!(ended.values().all(|ended| *ended), "exchange without end: {:?}", told);
    }

    #[test]
    fn random_bytes_never_panic(
        parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..8),
        http in any::<bool>(),
    ) {
        let mut steps = vec![created()];
        if http {
            steps.extend([sent("GET / HTTP/1.1\r\n\r\n"), received("HTTP/1.1 200 OK\r\n")]);
        }
        steps.extend(parts.into_iter().map(|(is_sent, bytes)| {
            if is_sent { sent(bytes) } else { received(bytes) }
        }));
        steps.push(closed(CloseCause::Freed));
        let mut exchanges = Exchanges::new();
        run_with(&mut exchanges, &steps, &|_, _| Vec::new());
        prop_assert_eq!(exchanges.connections(), 0);
    }
}
