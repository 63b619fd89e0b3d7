//! Every way in which a field can be written, cut anywhere; then fields of any kind.

use proptest::prelude::*;

use super::*;
use crate::http::h2::hpack::FieldList;

const SECRET: &[u8] = b"Bearer sk-0123456789-abcdefghij";

fn secrecy(name: Option<&str>) -> Secrecy {
    match name {
        Some("authorization" | "x-api-key") | None => Secrecy::Secret,
        Some(":path") => Secrecy::Within(|url| {
            let key = url.windows(4).position(|part| part == b"key=").map(|at| at + 4);
            let end = |from: usize| url[from..].iter().position(|byte| *byte == b'&');
            key.map(|from| from..end(from).map_or(url.len(), |len| from + len))
                .into_iter()
                .collect()
        }),
        Some(_) => Secrecy::Open,
    }
}

/// What comes back of segments, with `~` for each byte that is withheld.
fn redact(redactor: &mut Redactor, segments: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = |data: Data<'_>| match data {
        Data::Bytes(bytes) => out.extend_from_slice(bytes),
        Data::Gap(len) => out.resize(out.len() + usize::try_from(len).unwrap(), b'~'),
    };
    for segment in segments {
        redactor.segment(segment, &mut sink);
    }
    redactor.lose(&mut sink);
    assert_eq!(out.len(), segments.iter().map(|segment| segment.len()).sum::<usize>());
    out
}

fn from_start(bytes: &[u8]) -> Vec<u8> {
    redact(&mut Redactor::from_start(false, secrecy), &[bytes])
}

/// A number with a prefix of so many bits behind `first` (RFC 7541 §5.1).
fn integer(first: u8, prefix: u32, number: usize) -> Vec<u8> {
    let most = (1_usize << prefix) - 1;
    if number < most {
        return vec![first | number as u8];
    }
    let mut bytes = vec![first | most as u8];
    let mut rest = number - most;
    while rest >= 128 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn string(text: &[u8], huffman: bool) -> Vec<u8> {
    let mut coded = Vec::new();
    if huffman {
        httlib_huffman::encode(text, &mut coded).unwrap();
    } else {
        coded.extend_from_slice(text);
    }
    [integer(if huffman { 0x80 } else { 0 }, 7, coded.len()), coded].concat()
}

/// A literal (RFC 7541 §6.2): `0x40` to be indexed, `0x10` never, `0x00` not now. `index` 0: by name.
fn literal(kind: u8, index: usize, name: &str, value: &[u8], huffman: bool) -> Vec<u8> {
    let prefix = if kind == 0x40 { 6 } else { 4 };
    let mut bytes = integer(kind, prefix, index);
    if index == 0 {
        bytes.extend(string(name.as_bytes(), huffman));
    }
    bytes.extend(string(value, huffman));
    bytes
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let stream = u8::from(!matches!(kind, kind::SETTINGS | kind::PING));
    [&len[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

fn headers(block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, flag::END_HEADERS, block)
}

fn fields(decoder: &mut Decoder, block: &[u8]) -> (Vec<(String, String)>, u32) {
    let FieldList { fields, unknown } = decoder.decode(block).unwrap();
    let text = |field: &crate::http::h2::hpack::Field| {
        let value = String::from_utf8_lossy(field.value.as_bytes()).into_owned();
        (format!("{:?}", field.name), value)
    };
    (fields.iter().map(text).collect(), unknown)
}

/// Decodes blocks of one direction, each a frame of its own.
fn decoded(frames: &[u8], lens: &[usize]) -> Vec<(Vec<(String, String)>, u32)> {
    let (mut decoder, mut rest) = (Decoder::new(true), frames);
    let mut told = Vec::new();
    for len in lens {
        let (frame, behind) = rest.split_at(9 + len);
        told.push(fields(&mut decoder, &frame[9..]));
        rest = behind;
    }
    told
}

#[test]
fn every_way_to_write_a_credential_is_redacted() {
    for huffman in [false, true] {
        for kind in [0x40, 0x10, 0x00] {
            // By the static table's index, by name, and by the index of an entry before.
            let by_index = literal(kind, 23, "", SECRET, huffman);
            let by_name = literal(0x40, 0, "x-api-key", b"sk-9876543210-first", huffman);
            let by_entry = literal(kind, 62, "", SECRET, huffman);
            let other = literal(kind, 0, "x-other", b"open value", huffman);
            let first = [&by_name[..], &by_entry, &other].concat();
            let second = [&by_index[..], &other, &[0xbe]].concat();
            let whole = [headers(&first), headers(&second)].concat();
            let clean = from_start(&whole);
            let lens = [first.len(), second.len()];
            let (before, after) = (decoded(&whole, &lens), decoded(&clean, &lens));
            for ((before, _), (after, unknown)) in before.iter().zip(&after) {
                assert_eq!((before.len(), *unknown), (after.len(), 0));
                for ((name, value), (same, shown)) in before.iter().zip(after) {
                    assert_eq!(name, same);
                    if value == "open value" {
                        assert_eq!(shown, value);
                    } else {
                        assert!(shown.bytes().all(|byte| byte == b'X'), "{name}: {shown}");
                    }
                }
            }
        }
    }
}

#[test]
fn queries_lose_their_credentials_alone() {
    for huffman in [false, true] {
        for len in 1..40 {
            let key = &b"AIzaSyD-0123456789_abcdefghijKLMNOPQRSTUVWXYZ"[..len];
            let path = [b"/v1/m:generate?alt=sse&key=".as_slice(), key, b"&x=y"].concat();
            let block = literal(0x40, 4, "", &path, huffman);
            let whole = headers(&block);
            let clean = from_start(&whole);
            let told = decoded(&clean, &[block.len()]);
            let [(_, shown)] = &told[0].0[..] else { panic!("{told:?}") };
            let filler = shown.strip_prefix("/v1/m:generate?alt=sse&key=").unwrap();
            let filler = filler.strip_suffix("&x=y").unwrap();
            assert!(filler.bytes().all(|byte| b"XYAa".contains(&byte)), "{filler}");
            // A code of 5 to 7 bits is its own filler's length: one byte may come out the same.
            assert!(len < 3 || filler.as_bytes() != key, "{filler}");
        }
    }
}

#[test]
fn cuts_and_frames_change_nothing() {
    let block = [
        literal(0x40, 0, "x-api-key", SECRET, true),
        literal(0x40, 4, "", b"/a?key=secret&b=c", true),
        literal(0x00, 23, "", SECRET, false),
    ]
    .concat();
    for at in 0..=block.len() {
        let (left, right) = block.split_at(at);
        let padded = [&[3, 0, 0, 0, 0, 16][..], left, &[0; 3]].concat();
        let whole = [
            frame(kind::SETTINGS, 0, &[0; 12]),
            frame(kind::HEADERS, flag::PADDED | flag::PRIORITY, &padded),
            frame(kind::CONTINUATION, 0, b""),
            frame(kind::CONTINUATION, flag::END_HEADERS, right),
            frame(kind::DATA, flag::END_STREAM, b"body: Bearer sk-0123456789"),
            frame(kind::RST_STREAM, 0, &[0, 0, 0, 8]),
        ]
        .concat();
        let once = from_start(&whole);
        let find = |text: &[u8]| once.windows(text.len()).any(|part| part == text);
        assert!(!find(b"0123456789-") && find(b"body: Bearer sk-0123456789"));
        for cut in 0..=whole.len() {
            let (left, right) = whole.split_at(cut);
            let mut redactor = Redactor::from_start(false, secrecy);
            assert_eq!(redact(&mut redactor, &[left, right]), once, "{at}, {cut}");
        }
        let single: Vec<_> = whole.chunks(1).collect();
        assert_eq!(redact(&mut Redactor::from_start(false, secrecy), &single), once);
    }
}

#[test]
fn names_that_were_not_seen_are_taken_for_secret() {
    let block =
        [literal(0x40, 70, "", b"who knows", true), vec![0xc6], literal(0, 58, "", b"a/1", true)];
    let whole = headers(&block.concat());
    let mut redactor = Redactor::from_middle(secrecy);
    let clean = redact(&mut redactor, &[b"rest of something", &whole]);
    assert!(clean.starts_with(&[b'~'; 17]));
    let value = string(b"who knows", true);
    let hidden = integer(0x80, 7, value.len() - 1).into_iter().chain(vec![0xfc; value.len() - 1]);
    let expected = [integer(0x40, 6, 70), hidden.collect(), block[1].clone(), block[2].clone()];
    assert_eq!(clean[17..], headers(&expected.concat()));
}

#[test]
fn what_cannot_be_read_is_withheld() {
    let secret = literal(0x40, 23, "", SECRET, false);
    let good = headers(&secret);
    for bad in [
        // An index of nothing, a frame of a wrong length, a block that is interrupted.
        headers(&[&[0x80], &secret[..]].concat()),
        frame(kind::PING, 0, SECRET),
        [frame(kind::HEADERS, 0, &secret), frame(kind::DATA, 0, SECRET)].concat(),
        [frame(kind::HEADERS, 0, &secret), headers(&secret)].concat(),
        frame(kind::CONTINUATION, flag::END_HEADERS, &secret),
        frame(kind::HEADERS, 0, &secret),
    ] {
        for cut in 0..bad.len() {
            let (left, right) = bad.split_at(cut);
            let mut redactor = Redactor::from_start(false, secrecy);
            let clean = redact(&mut redactor, &[left, right]);
            assert!(!clean.windows(5).any(|part| SECRET.windows(5).any(|s| s == part)), "{bad:x?}");
        }
        let mut redactor = Redactor::from_start(false, secrecy);
        redact(&mut redactor, &[&bad]);
        let again = redact(&mut redactor, &[&good]);
        assert_eq!(again.len(), good.len());
        assert!(again.ends_with(&[b'X'; SECRET.len()]), "it goes on where frames begin");
    }
}

#[test]
fn gaps_in_blocks_withhold_their_rest() {
    let data = frame(kind::DATA, 0, &[b'd'; 100]);
    let secret = headers(&literal(0x40, 0, "x-api-key", SECRET, true));
    let mut redactor = Redactor::from_start(false, secrecy);
    let mut told = Vec::new();
    let mut sink = |data: Data<'_>| {
        told.push(data.wire_len() as i64 * if matches!(data, Data::Gap(_)) { -1 } else { 1 });
    };
    redactor.segment(&data[..50], &mut sink);
    redactor.gap(30, &mut sink);
    redactor.segment(&data[80..], &mut sink);
    redactor.segment(&secret[..20], &mut sink);
    redactor.gap(5, &mut sink);
    redactor.segment(&secret[25..], &mut sink);
    redactor.segment(&secret, &mut sink);
    let rest = secret.len() as i64;
    assert_eq!(told, [50, 29, 9, -11, -(rest - 25), 9, rest - 9]);
}

#[test]
fn what_waits_is_bounded() {
    let mut redactor = Redactor::from_start(false, secrecy);
    let (mut waits, mut withheld) = (0_usize, 0_usize);
    let mut pass = |bytes: &[u8]| {
        waits += bytes.len();
        redactor.segment(bytes, &mut |data| {
            waits -= usize::try_from(data.wire_len()).unwrap();
            withheld += usize::from(matches!(data, Data::Gap(_)));
        });
        assert!(waits <= HELD_LIMIT);
    };
    pass(&frame(kind::HEADERS, 0, b""));
    for _ in 0..2 * HELD_LIMIT / 9 {
        pass(&frame(kind::CONTINUATION, 0, b""));
    }
    assert!(withheld > 0);
}

/// The secret's Huffman code, as octets for each position within an octet that it may begin at.
fn codes(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    // Codes of 5 to 8 bits and their sums shift what follows to every position.
    for before in [&b""[..], b"a", b"A", b"Y", b"aa", b"aA", b"AA", b"aaaaa"] {
        let mut coded = Vec::new();
        httlib_huffman::encode(&[before, secret].concat(), &mut coded).unwrap();
        all.push(coded[before.len() + 1..coded.len() - 1].to_vec());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_credential_survives_and_nothing_else_changes(
        lines in prop::collection::vec(
            (
                prop::sample::select(vec!["x-api-key", "authorization", ":path", "x-a", "x-b"]),
                prop::sample::select(vec![0x40_u8, 0x10, 0]),
                any::<bool>(),
                "[A-Za-z0-9._-]{12,60}",
            ),
            1..12,
        ),
        per_block in 1..4_usize,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut whole = Vec::new();
        let mut lens = Vec::new();
        let mut secrets = Vec::new();
        for block in lines.chunks(per_block) {
            let mut bytes = Vec::new();
            for (name, kind, huffman, value) in block {
                let value = match *name {
                    ":path" => format!("/a?key={value}&n=1"),
                    _ => value.clone(),
                };
                bytes.extend(literal(*kind, 0, name, value.as_bytes(), *huffman));
            }
            secrets.extend(block.iter().filter(|(name, ..)| !name.starts_with("x-a") || name.len() > 3));
            lens.push(bytes.len());
            whole.extend(headers(&bytes));
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let segments: Vec<_> = cuts.windows(2).map(|cut| &whole[cut[0]..cut[1]]).collect();
        let clean = redact(&mut Redactor::from_start(false, secrecy), &segments);
        let (before, after) = (decoded(&whole, &lens), decoded(&clean, &lens));
        for ((before, _), (after, unknown)) in before.iter().zip(&after) {
            prop_assert_eq!((before.len(), *unknown), (after.len(), 0));
            for ((name, value), (same, shown)) in before.iter().zip(after) {
                prop_assert_eq!(name, same);
                if name.contains("x-a\"") || name.contains("x-b") {
                    prop_assert_eq!(value, shown);
                } else if name == "Path" {
                    prop_assert!(shown.starts_with("/a?key=") && shown.ends_with("&n=1"));
                }
            }
        }
        for (name, _, _, secret) in secrets.into_iter().filter(|(name, ..)| !matches!(*name, "x-a" | "x-b")) {
            let mut forms = codes(secret.as_bytes());
            forms.push(secret.as_bytes().to_vec());
            for form in forms {
                let found = clean.windows(form.len()).any(|part| part == form);
                // One that is sent openly as well is there by right.
                let open = lines.iter().any(|(name, .., value)| matches!(*name, "x-a" | "x-b") && value == secret);
                prop_assert!(!found || open, "{}: {}", name, secret);
            }
        }
    }

    #[test]
    fn any_value_leaves_what_is_told_right(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
        huffman in any::<bool>(),
    ) {
        let (mut whole, mut lens) = (Vec::new(), Vec::new());
        for value in &values {
            let block = [
                literal(0x40, 0, "x-api-key", value, huffman),
                literal(0x40, 0, "x-a", b"open", huffman),
                vec![0xbe, 0xbf],
                literal(0x40, 4, "", &[b"/?key=", &value[..], b"&"].concat(), huffman),
            ]
            .concat();
            lens.push(block.len());
            whole.extend(headers(&block));
        }
        let clean = from_start(&whole);
        prop_assert_eq!(clean.len(), whole.len());
        for (told, _) in decoded(&clean, &lens) {
            for (name, value) in told {
                prop_assert!(!name.contains("x-a\"") || value == "open");
                prop_assert!(!name.contains("x-api-key") || value.bytes().all(|byte| byte == b'X'));
            }
        }
    }

    #[test]
    fn any_bytes_come_back_in_number(
        parts in prop::collection::vec(
            (0..10_u8, any::<u8>(), prop::collection::vec(any::<u8>(), 0..30)), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        late in any::<bool>(),
    ) {
        let whole: Vec<u8> =
            parts.iter().flat_map(|(kind, flags, payload)| frame(*kind, *flags, payload)).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let segments: Vec<_> = cuts.windows(2).map(|cut| &whole[cut[0]..cut[1]]).collect();
        let mut redactor = Redactor::from_start(false, secrecy);
        if late {
            redactor = Redactor::from_middle(secrecy);
        }
        redact(&mut redactor, &segments);
    }
}
