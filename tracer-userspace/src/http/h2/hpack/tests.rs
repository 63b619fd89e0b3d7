//! The RFC's own examples, tables of unknown contents, hostile blocks.

use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn text(list: &FieldList) -> Vec<String> {
    let line = |field: &Field| {
        format!("{}: {}", field.name.as_str(), String::from_utf8_lossy(field.value.as_bytes()))
    };
    list.fields.iter().map(line).collect()
}

fn decode(decoder: &mut Decoder, hex: &str) -> Vec<String> {
    let list = decoder.decode(&bytes(hex)).expect("sound block");
    assert_eq!(list.unknown, 0);
    text(&list)
}

/// RFC 7541, C.4.
const REQUESTS: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[test]
fn rfc_requests_decode() {
    let mut decoder = Decoder::new(true);
    let common = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
    assert_eq!(decode(&mut decoder, REQUESTS[0]), common);
    let second = [&common[..], &["cache-control: no-cache"]].concat();
    assert_eq!(decode(&mut decoder, REQUESTS[1]), second);
    let third = [
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        ":authority: www.example.com",
        "custom-key: custom-value",
    ];
    assert_eq!(decode(&mut decoder, REQUESTS[2]), third);
    // C.4.3: 54 + 53 + 57 bytes.
    assert_eq!(decoder.table.extent().1, 164);
}

/// RFC 7541, C.6, where the table holds 256 bytes; the first block sets that size.
const RESPONSES: [&str; 3] = [
    "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b \
     ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 \
     821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed \
     4ee5 b106 3d50 07",
];

#[test]
fn rfc_responses_evict() {
    let mut decoder = Decoder::new(true);
    let rest = [
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:21 GMT",
        "location: https://www.example.com",
    ];
    assert_eq!(decode(&mut decoder, RESPONSES[0]), [&[":status: 302"], &rest[..]].concat());
    assert_eq!(decoder.table.extent().1, 222);
    assert_eq!(decode(&mut decoder, RESPONSES[1]), [&[":status: 307"], &rest[..]].concat());
    assert_eq!(decoder.table.extent().1, 222);
    let third = [
        ":status: 200",
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:22 GMT",
        "location: https://www.example.com",
        "content-encoding: gzip",
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ];
    assert_eq!(decode(&mut decoder, RESPONSES[2]), third);
    assert_eq!(decoder.table.extent().1, 215);
}

#[test]
fn unseen_entries_are_left_out() {
    let mut decoder = Decoder::new(false);
    // The second and third request, the first was missed: `be` and `bf` refer to it.
    let second = decoder.decode(&bytes(REQUESTS[1])).expect("sound block");
    let known = [":method: GET", ":scheme: http", ":path: /", "cache-control: no-cache"];
    assert_eq!((text(&second), second.unknown), (known.map(String::from).to_vec(), 1));
    let third = decoder.decode(&bytes(REQUESTS[2])).expect("sound block");
    assert_eq!(third.unknown, 1);
    assert_eq!(text(&third).last().map(String::as_str), Some("custom-key: custom-value"));
    // What was inserted since is known: custom-key at 62, cache-control at 63, nothing at 64.
    let now = decoder.decode(&[0xbe, 0xbf, 0xc0]).expect("sound block");
    let known = ["custom-key: custom-value", "cache-control: no-cache"];
    assert_eq!((text(&now), now.unknown), (known.map(String::from).to_vec(), 1));
}

#[test]
fn literal_with_unseen_name_keeps_its_place() {
    let mut decoder = Decoder::new(false);
    // Inserted with the name of entry 70, which is unknown; then one that is known.
    let block = [&[0x7f, 70 - 63, 1, b'v'][..], &[0x40, 1, b'k', 1, b'w']].concat();
    let list = decoder.decode(&block).expect("sound block");
    assert_eq!((text(&list), list.unknown), (vec!["k: w".to_owned()], 1));
    let again = decoder.decode(&[0xbe, 0xbf]).expect("sound block");
    assert_eq!((text(&again), again.unknown), (vec!["k: w".to_owned()], 1));
}

#[test]
fn entry_larger_than_table_clears_it() {
    let mut decoder = Decoder::new(true);
    let mut block = vec![0x40, 1, b'k', 1, b'w', 0x40, 1, b'b', 0x7f];
    let len = 5000 - 127;
    block.extend([len as u8 & 0x7f | 0x80, (len >> 7) as u8]);
    block.extend(vec![b'x'; 5000]);
    decoder.decode(&block).expect("sound block");
    let gone = decoder.decode(&[0xbe, 0xbf]).expect("sound block");
    assert_eq!((gone.fields.len(), gone.unknown), (0, 2));
}

#[test]
fn size_update_to_zero_empties_table() {
    let mut decoder = Decoder::new(true);
    decoder.decode(&[0x40, 1, b'k', 1, b'w']).expect("sound block");
    decoder.decode(&[0x20]).expect("sound block");
    assert_eq!(decoder.table.extent(), (0, 0));
}

#[test]
fn never_indexed_fields_are_not_inserted() {
    let mut decoder = Decoder::new(true);
    let list = decoder.decode(&[0x10, 1, b'k', 1, b'w', 0x00, 1, b'l', 1, b'w']);
    assert_eq!(text(&list.expect("sound block")), ["k: w", "l: w"]);
    assert_eq!(decoder.table.extent().0, 0);
}

#[test]
fn invalid_fields_are_counted() {
    let list = Decoder::new(true).decode(&[0x00, 1, b'K', 1, b'w', 0x00, 1, b'k', 1, b'\n']);
    let list = list.expect("sound block");
    assert_eq!((list.fields.len(), list.unknown), (0, 2));
}

#[test]
fn broken_blocks_are_refused() {
    for (block, error) in [
        (&[0x80][..], HpackError::ZeroIndex),
        (&[0x40, 5, b'k'], HpackError::Truncated),
        (&[0x40], HpackError::Truncated),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], HpackError::Integer),
        (&[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], HpackError::Integer),
        (&[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0], HpackError::Huffman),
    ] {
        assert_eq!(Decoder::new(true).decode(block), Err(error), "{block:x?}");
    }
}

#[test]
fn bomb_of_references_is_bounded() {
    let mut decoder = Decoder::new(true);
    let mut block = vec![0x40, 1, b'k', 0x7f, 0x80 | 0x01, 0x1e];
    block.extend(vec![b'x'; 127 + 1 + (0x1e << 7)]);
    let inserted = decoder.decode(&block).expect("sound block");
    assert_eq!(inserted.unknown, 0);
    let list = decoder.decode(&[0xbe; 200_000]).expect("sound block");
    assert!(list.fields.len() * 4000 <= LIST_SIZE_LIMIT);
    assert_eq!(list.fields.len() + list.unknown as usize, 200_000);
}

proptest! {
    #[test]
    fn huffman_codes_of_any_text_decode(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut coded = Vec::new();
        httlib_huffman::encode(&text, &mut coded).expect("any byte has a code");
        let mut decoded = Vec::new();
        httlib_huffman::decode(&coded, &mut decoded, DecoderSpeed::FourBits).expect("sound");
        prop_assert_eq!(decoded, text);
    }

    #[test]
    fn random_blocks_never_panic(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..5),
        from_start in any::<bool>(),
    ) {
        let mut decoder = Decoder::new(from_start);
        for block in blocks {
            let _ = decoder.decode(&block);
            prop_assert!(decoder.table.is_sound());
        }
    }
}
