//! What the `h2` crate writes, once its secrets are overwritten: read by ours and by that crate.

use ::http::HeaderMap;
use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::{
    real_h2::{Call, hear, recorded},
    *,
};
use crate::http::{Redactor, Secrecy};

fn secrecy(name: Option<&str>) -> Secrecy {
    match name {
        Some(name) if name.starts_with("x-secret") => Secrecy::Secret,
        Some(_) => Secrecy::Open,
        None => Secrecy::Secret,
    }
}

/// The steps as a recording has them.
fn redacted(steps: &[Step]) -> Vec<Step> {
    let mut client = Redactor::from_start(true, secrecy);
    let mut server = Redactor::from_start(false, secrecy);
    let pass = |redactor: &mut Redactor, bytes: &[u8]| {
        let mut kept = Vec::new();
        redactor.segment(bytes, &mut |data| match data {
            Data::Bytes(bytes) => kept.extend_from_slice(bytes),
            Data::Gap(len) => panic!("{len} bytes are withheld"),
        });
        kept
    };
    let step = |step: &Step| match step {
        Step::Sent(_, bytes) => sent(pass(&mut client, bytes)),
        Step::Received(_, bytes) => received(pass(&mut server, bytes)),
        other => other.clone(),
    };
    steps.iter().map(step).collect()
}

fn bytes_sent(steps: &[Step]) -> Vec<u8> {
    let bytes = |step: &Step| match step {
        Step::Sent(_, bytes) => bytes.clone(),
        _ => Vec::new(),
    };
    steps.iter().flat_map(bytes).collect()
}

/// The requests' fields, by a server of the `h2` crate that gets these bytes.
fn served(bytes: &[u8], count: usize) -> Vec<HeaderMap> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(bytes.len() + (1 << 20));
        client.write_all(bytes).await.expect("written");
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(1000).initial_window_size(16 << 20);
        builder.initial_connection_window_size(16 << 20);
        let mut connection = builder.handshake::<_, Bytes>(server).await.expect("handshake");
        let (mut heads, mut open) = (Vec::new(), Vec::new());
        while heads.len() < count {
            let next = connection.accept().await.expect("a request").expect("a sound one");
            heads.push(next.0.headers().clone());
            open.push(next);
        }
        heads
    })
}

/// Without secrets, whose values say nothing.
fn open_fields(fields: &HeaderMap) -> HeaderMap {
    let hidden = |value: &::http::HeaderValue| value.as_bytes().iter().all(|byte| *byte == b'X');
    let mut open = fields.clone();
    for (name, value) in fields {
        if name.as_str().starts_with("x-secret") {
            assert!(hidden(value), "{value:?}");
            open.remove(name);
        }
    }
    open
}

fn original(fields: &[(String, String)]) -> HeaderMap {
    let open = fields.iter().filter(|(name, _)| !name.starts_with("x-secret"));
    HeaderMap::from_iter(open.map(|(name, value)| {
        let name = ::http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, value.parse().expect("a value"))
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn everything_but_secrets_is_read_as_it_was(
        calls in prop::collection::vec(
            (
                prop::collection::btree_map("x-(secret-)?[a-c]", "[A-Za-z0-9._-]{10,80}", 1..6),
                0usize..5_000,
            ),
            1..12,
        ),
        // Small tables forget all the time.
        table_size in prop::sample::select(vec![0_u32, 200, 4096]),
    ) {
        let calls: Vec<(Vec<(String, String)>, usize)> =
            calls.into_iter().map(|(fields, body)| (fields.into_iter().collect(), body)).collect();
        let of_crate: Vec<Call> = calls
            .iter()
            .map(|(fields, body)| {
                let bytes = |(name, value): &(String, String)| (name.clone(), value.clone().into());
                Call { fields: fields.iter().map(bytes).collect(), body: *body, is_reset: false }
            })
            .collect();
        let order: Vec<_> = (0..calls.len()).collect();
        let steps = recorded(&of_crate, table_size, &order);
        let clean = redacted(&steps);
        for cut in [usize::MAX, 7] {
            let heard = hear(&clean, cut);
            prop_assert_eq!(heard.len(), calls.len());
            for ((fields, body), heard) in calls.iter().zip(heard.values()) {
                let mut asked = open_fields(&heard.asked);
                asked.remove("host");
                prop_assert_eq!(&asked, &original(fields));
                prop_assert_eq!(&open_fields(&heard.answered), &original(fields));
                prop_assert_eq!((heard.request.len(), heard.response.len()), (*body, *body));
                prop_assert_eq!(heard.unknown, 0);
            }
        }
        // Its own table has 4,096 bytes, as long as it does not say otherwise.
        if table_size <= 4096 {
            let heads = served(&bytes_sent(&clean), calls.len());
            for ((fields, _), head) in calls.iter().zip(&heads) {
                prop_assert_eq!(&open_fields(head), &original(fields));
            }
        }
    }
}
