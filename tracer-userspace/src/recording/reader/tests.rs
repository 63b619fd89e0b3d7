use std::{net::SocketAddr, num::NonZeroU64};

use proptest::prelude::*;

use super::*;
use crate::{
    capture::{
        Addresses, Caller, CloseCause, Closed, ConnectionId, Data, Direction, Event, Opened,
        Origin, PeerEnd, ProcessEvent, ProcessId, Security, Segment, Timestamp,
    },
    discover::Process,
    recording::{Finish, Writer, format::DATA_LIMIT},
};

/// An item that owns its bytes.
#[derive(Clone, Debug)]
enum Owned {
    Process(Process),
    Event(Event<'static>),
    Bytes(Segment<'static>, Vec<u8>),
}

impl Owned {
    fn item(&self) -> Item<'_> {
        match self {
            Self::Process(process) => Item::Process(process.clone()),
            Self::Event(event) => Item::Event(*event),
            Self::Bytes(segment, bytes) => {
                Item::Event(Event::Segment(Segment { data: Data::Bytes(bytes), ..*segment }))
            }
        }
    }
}

fn start() -> Start {
    Start {
        boot: -5,
        seed: u64::MAX,
        version: "1.2.3".into(),
        host_name: "host".into(),
        machine: "x86_64".into(),
        ports: vec!["443".parse().unwrap(), "8000-8443".parse().unwrap()],
        hosts: vec!["*.openai.com".into()],
        credentials_kept: true,
    }
}

/// A recording of the items, with a new frame after each that says so.
fn write(items: &[(Owned, bool)], finish: bool) -> Vec<u8> {
    let mut writer = Writer::start(Vec::new(), &start()).unwrap();
    let mut ends = Vec::new();
    for (item, flush) in items {
        match item.item() {
            Item::Process(process) => writer.process(&process).unwrap(),
            Item::Event(event) => writer.event(&event).unwrap(),
            Item::Finish(_) => {}
        }
        if *flush {
            writer.flush().unwrap();
            ends.push(writer.recorded().file);
        }
    }
    if finish {
        return writer.finish(&Finish::default()).unwrap().0;
    }
    writer.flush().unwrap();
    let mut file = writer.finish(&Finish::default()).unwrap().0;
    file.truncate(usize::try_from(ends.last().copied().unwrap_or(0)).unwrap());
    file
}

/// Everything that can be read of a file, and how that ended.
fn read(file: &[u8]) -> (Vec<String>, Result<(), ReadError>) {
    let mut told = Vec::new();
    let mut reader = match Reader::open(file) {
        Ok(reader) => reader,
        Err(error) => return (told, Err(error)),
    };
    loop {
        match reader.next_item() {
            Ok(Some(Item::Finish(_))) => {}
            Ok(Some(item)) => told.push(format!("{item:?}")),
            Ok(None) => return (told, Ok(())),
            Err(error) => return (told, Err(error)),
        }
    }
}

fn texts(items: &[(Owned, bool)]) -> Vec<String> {
    items.iter().map(|(item, _)| format!("{:?}", item.item())).collect()
}

fn opened(connection: ConnectionId, process: ProcessId, time: Timestamp) -> Opened {
    let (origin, security) = (Origin::Created, Security::Tls);
    Opened { connection, process, time, origin, security }
}

fn process_id() -> impl Strategy<Value = ProcessId> {
    (any::<u32>(), any::<u64>()).prop_map(|(pid, incarnation)| ProcessId { pid, incarnation })
}

fn process() -> impl Strategy<Value = Process> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = prop::collection::vec(1_u8.., 1..20)
        .prop_map(|bytes| std::ffi::OsString::from_vec(bytes).into());
    (
        process_id(),
        any::<Option<u32>>(),
        prop::option::of(path),
        prop::collection::vec(any::<String>(), 0..4),
        any::<Option<u32>>(),
        any::<Option<String>>(),
        any::<Option<String>>(),
    )
        .prop_map(|(id, parent_pid, executable, command, uid, name, attributes)| Process {
            id,
            parent_pid,
            executable,
            command,
            uid,
            otel_service_name: name,
            otel_resource_attributes: attributes,
        })
}

fn process_event() -> impl Strategy<Value = ProcessEvent> {
    (0..5, process_id(), process_id(), any::<u64>()).prop_map(|(kind, process, other, time)| {
        let time = Timestamp(time);
        match kind {
            0 => ProcessEvent::Appeared { process, time },
            1 => ProcessEvent::Forked { parent: process, child: other, time },
            2 => ProcessEvent::Executed { previous: other, process, time },
            3 => ProcessEvent::Exited { process, time },
            _ => ProcessEvent::LibrariesChanged { process, time },
        }
    })
}

/// What one of a few connections does next.
#[derive(Clone, Debug)]
enum Step {
    Opened(ProcessId, u64),
    Addresses(SocketAddr, SocketAddr),
    Bytes(bool, Vec<u8>),
    Gap(bool, u64),
    PeerEnded(usize),
    Closed(usize, Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (process_id(), 0..3_u64).prop_map(|(id, origin)| Step::Opened(id, origin)),
        any::<(SocketAddr, SocketAddr)>().prop_map(|(local, peer)| {
            // Flow labels and scopes are no part of an address.
            let plain = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
            Step::Addresses(plain(local), plain(peer))
        }),
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(sent, bytes)| Step::Bytes(sent, bytes)),
        (any::<bool>(), 0..1_u64 << 40).prop_map(|(sent, missing)| Step::Gap(sent, missing)),
        (0..4_usize).prop_map(Step::PeerEnded),
        (0..4_usize, any::<Option<u64>>()).prop_map(|(cause, last)| Step::Closed(cause, last)),
    ]
}

/// Items as capture could give them: connections are opened before anything is told of them.
fn items() -> impl Strategy<Value = Vec<(Owned, bool)>> {
    let any_item = prop_oneof![
        1 => process().prop_map(Ok),
        1 => process_event().prop_map(|event| Err(Err(event))),
        6 => (0..3_u64, step(), any::<u64>()).prop_map(|step| Err(Ok(step))),
    ];
    prop::collection::vec((any_item, any::<bool>()), 0..30).prop_map(|steps| {
        let mut positions = std::collections::HashMap::new();
        let mut items = Vec::new();
        for (step, flush) in steps {
            let owned = match step {
                Ok(process) => Owned::Process(process),
                Err(Err(event)) => Owned::Event(Event::Process(event)),
                Err(Ok((connection, step, time))) => {
                    let open = positions.contains_key(&connection);
                    if open == matches!(step, Step::Opened(..)) {
                        continue;
                    }
                    event(connection, step, Timestamp(time), &mut positions)
                }
            };
            items.push((owned, flush));
        }
        items
    })
}

fn event(
    connection: u64,
    step: Step,
    time: Timestamp,
    positions: &mut std::collections::HashMap<u64, [u64; 2]>,
) -> Owned {
    let id = ConnectionId(connection);
    let mut segment = |sent: bool, len: u64, data: Data<'static>| {
        let position = &mut positions.entry(connection).or_default()[usize::from(sent)];
        let offset = *position;
        *position += len;
        let direction = if sent { Direction::Sent } else { Direction::Received };
        let caller = Caller { thread: 1 + time.0 as u32 % 7, task: NonZeroU64::new(time.0 % 5) };
        let caller = (!time.0.is_multiple_of(3)).then_some(caller);
        Segment { connection: id, direction, offset, time, data, caller }
    };
    match step {
        Step::Opened(process, origin) => {
            positions.insert(connection, [0; 2]);
            let origins = [Origin::Created, Origin::JoinedLate, Origin::Inherited(ConnectionId(7))];
            let origin = origins[origin as usize];
            let security = if time.0.is_multiple_of(2) { Security::Tls } else { Security::Plain };
            Owned::Event(Event::Opened(Opened { connection: id, process, time, origin, security }))
        }
        Step::Addresses(local, peer) => {
            let addresses = Addresses { local, peer };
            Owned::Event(Event::Addresses { connection: id, addresses })
        }
        Step::Bytes(sent, bytes) => {
            Owned::Bytes(segment(sent, bytes.len() as u64, Data::Gap(0)), bytes)
        }
        Step::Gap(sent, missing) => {
            Owned::Event(Event::Segment(segment(sent, missing, Data::Gap(missing))))
        }
        Step::PeerEnded(how) => {
            use PeerEnd::{Broken, CloseNotify, EndOfStream, SystemCall};
            let how = [CloseNotify, Broken, SystemCall, EndOfStream][how];
            Owned::Event(Event::PeerEnded { connection: id, time, how })
        }
        Step::Closed(cause, last) => {
            positions.remove(&connection);
            let causes = [
                CloseCause::Freed,
                CloseCause::ProcessExited,
                CloseCause::ProcessExecuted,
                CloseCause::TracerStopped,
                CloseCause::Unseen,
            ];
            let (cause, last_empty_read) = (causes[cause], last.map(Timestamp));
            Owned::Event(Event::Closed(Closed { connection: id, time, cause, last_empty_read }))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(items in items()) {
        let (told, end) = read(&write(&items, true));
        prop_assert_eq!(told, texts(&items));
        prop_assert!(end.is_ok());
    }

    #[test]
    fn whatever_is_cut_off_the_rest_stands(items in items(), cut in any::<prop::sample::Index>()) {
        let file = write(&items, true);
        let (told, end) = read(&file[..cut.index(file.len())]);
        prop_assert!(texts(&items).starts_with(&told));
        prop_assert!(end.is_err());
    }

    #[test]
    fn damage_is_noticed_before_it_is_told(
        items in items(),
        at in any::<prop::sample::Index>(),
        damage in 1_u8..,
    ) {
        let mut file = write(&items, true);
        // The minor version may be any.
        let at = at.index(file.len());
        prop_assume!(!(OPENING_LEN - 2..OPENING_LEN).contains(&at));
        file[at] ^= damage;
        let (told, end) = read(&file);
        prop_assert!(texts(&items).starts_with(&told), "byte {} changed by {}", at, damage);
        // A bit of a frame's header may mean nothing.
        prop_assert!(end.is_err() || told == texts(&items));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).1.is_err());
        // Behind a good start, as a frame and as what a frame holds.
        let good = write(&[], true);
        let _ = read(&[&good[..], &bytes].concat());
        let frame = zstd::bulk::compress(&bytes, 1).unwrap();
        let _ = read(&[&good[..OPENING_LEN], &frame].concat());
    }
}

#[test]
fn start_is_what_was_written() {
    let file = write(&[], true);
    assert_eq!(Reader::open(&file[..]).unwrap().start(), &start());
}

#[test]
fn every_cut_is_told_as_one() {
    let id = ProcessId { pid: 1, incarnation: 1 };
    let item = |time| {
        let event = ProcessEvent::Appeared { process: id, time: Timestamp(time) };
        (Owned::Event(Event::Process(event)), true)
    };
    let items: Vec<_> = (0..5).map(item).collect();
    let file = write(&items, true);
    let mut most = 0;
    for cut in 0..file.len() {
        let (told, end) = read(&file[..cut]);
        assert!(texts(&items).starts_with(&told));
        most = most.max(told.len());
        assert!(told.len() >= most, "less is told of {cut} bytes than of fewer");
        match end {
            Err(ReadError::NotARecording) => assert!(cut < OPENING_LEN),
            Err(ReadError::Truncated) => assert!(cut >= OPENING_LEN),
            other => panic!("{cut}: {other:?}"),
        }
    }
    assert_eq!(most, items.len(), "a killed recorder leaves what it flushed");
    assert_eq!(write(&items, false).len(), file.len() - frame_of_finish(&file, &items));
}

/// Bytes of the last frame.
fn frame_of_finish(file: &[u8], items: &[(Owned, bool)]) -> usize {
    (1..file.len())
        .find(|len| {
            read(&file[..file.len() - len]).0.len() == items.len() && {
                let rest = &file[file.len() - len..];
                rest.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
            }
        })
        .unwrap()
}

#[test]
fn long_segments_are_written_as_several() {
    let bytes: Vec<u8> = (0..3 * DATA_LIMIT + 5).map(|n| (n % 251) as u8).collect();
    let (id, time) = (ConnectionId(1), Timestamp(9));
    let process = ProcessId { pid: 1, incarnation: 1 };
    let event = opened(id, process, time);
    let segment = Segment {
        connection: id,
        direction: Direction::Sent,
        offset: 0,
        time,
        data: Data::Gap(0),
        caller: None,
    };
    let items = [
        (Owned::Event(Event::Opened(event)), false),
        (Owned::Bytes(segment, bytes.clone()), false),
    ];
    let file = write(&items, true);
    let mut reader = Reader::open(&file[..]).unwrap();
    let mut joined = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Event(Event::Segment(segment)) = item {
            assert_eq!((segment.offset, segment.time), (joined.len() as u64, time));
            let Data::Bytes(part) = segment.data else { panic!("a gap") };
            assert!(part.len() <= DATA_LIMIT);
            joined.extend_from_slice(part);
        }
    }
    assert!(joined == bytes);
}

/// A file with one more frame of these plain bytes.
fn with_frame(plain: &[u8]) -> Vec<u8> {
    let file = write(&[], true);
    let frame = zstd::bulk::compress(plain, 1).unwrap();
    // The start alone.
    let end = file.len() - frame_of_finish(&file, &[]);
    [&file[..end], &frame].concat()
}

#[test]
fn bombs_are_refused() {
    let (told, end) = read(&with_frame(&vec![0; FRAME_LIMIT + 1]));
    assert!(told.is_empty() && matches!(end, Err(ReadError::FrameTooLarge)));
    // A record that says it is longer than allowed.
    let mut plain = Vec::new();
    prost::encode_length_delimiter(RECORD_LIMIT + 1, &mut plain).unwrap();
    plain.resize(RECORD_LIMIT + 10, 0);
    assert!(matches!(read(&with_frame(&plain)).1, Err(ReadError::BrokenRecord)));
    let mut plain = Vec::new();
    prost::encode_length_delimiter(usize::MAX, &mut plain).unwrap();
    assert!(matches!(read(&with_frame(&plain)).1, Err(ReadError::BrokenRecord)));
}

#[test]
fn too_many_open_connections_are_refused() {
    let process = ProcessId { pid: 1, incarnation: 1 };
    let mut writer = Writer::start(Vec::new(), &start()).unwrap();
    let limit = crate::recording::format::CONNECTION_LIMIT as u64;
    for connection in 0..=limit {
        let (connection, time) = (ConnectionId(connection), Timestamp(1));
        let event = opened(connection, process, time);
        writer.event(&Event::Opened(event)).unwrap();
    }
    let file = writer.finish(&Finish::default()).unwrap().0;
    let (told, end) = read(&file);
    assert_eq!(told.len() as u64, limit);
    assert!(matches!(end, Err(ReadError::Rule(Broken::TooManyConnections))));
}

#[test]
fn impossible_amounts_are_refused() {
    let (process, time) = (ProcessId { pid: 1, incarnation: 1 }, Timestamp(1));
    let connection = ConnectionId(1);
    let mut writer = Writer::start(Vec::new(), &start()).unwrap();
    let event = opened(connection, process, time);
    writer.event(&Event::Opened(event)).unwrap();
    let direction = Direction::Sent;
    for (offset, missing) in [(0, 1 << 62), (1 << 62, 1)] {
        let data = Data::Gap(missing);
        let segment = Segment { connection, direction, offset, time, data, caller: None };
        writer.event(&Event::Segment(segment)).unwrap();
    }
    let file = writer.finish(&Finish::default()).unwrap().0;
    let (told, end) = read(&file);
    assert_eq!(told.len(), 2);
    assert!(matches!(end, Err(ReadError::Rule(Broken::TooManyBytes))));
}

#[test]
fn long_descriptions_of_many_processes_are_refused() {
    let mut process = crate::trace::sample::process(1, "a").as_ref().clone();
    process.otel_resource_attributes = Some("a".repeat(60 << 10));
    let mut writer = Writer::start(Vec::new(), &start()).unwrap();
    writer.process(&process).unwrap();
    for child in 2..6000 {
        let child = ProcessId { pid: child, incarnation: 1 };
        let event = ProcessEvent::Forked { parent: process.id, child, time: Timestamp(1) };
        writer.event(&Event::Process(event)).unwrap();
    }
    let file = writer.finish(&Finish::default()).unwrap().0;
    let (told, end) = read(&file);
    assert!((4000..4500).contains(&told.len()), "{}", told.len());
    assert!(matches!(end, Err(ReadError::Rule(Broken::TooMuchDescribed))));
}

#[test]
fn records_of_later_versions_are_passed_over() {
    // A field that no kind of record has: number 100, a text.
    let mut record = Vec::new();
    prost::encoding::string::encode(100, &"new".to_owned(), &mut record);
    let mut plain = Vec::new();
    prost::encode_length_delimiter(record.len(), &mut plain).unwrap();
    plain.extend(record);
    let file = with_frame(&plain);
    let mut reader = Reader::open(&file[..]).unwrap();
    assert!(matches!(reader.next_item(), Err(ReadError::Truncated)));
    assert_eq!(reader.unknown(), 1);
}

#[test]
fn other_major_version_is_refused() {
    let mut file = write(&[], true);
    file[OPENING_LEN - 4] += 1;
    assert!(matches!(Reader::open(&file[..]), Err(ReadError::Version(2))));
}
