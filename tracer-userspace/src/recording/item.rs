//! What a recording consists of, and how each part is a record of the file.
//! Takes capture's values; gives the file's, and the other way round.
//! A record that says what no version of ours writes is refused, not interpreted.

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    num::NonZeroU64,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use super::format::{self as file, Kind};
use crate::{
    capture::{
        Addresses, Caller, CloseCause, Closed, ConnectionId, Data, Direction, Event, Lost,
        LostCount, Opened, Origin, PeerEnd, PortRange, ProcessEvent, ProcessId, Security, Segment,
        Timestamp,
    },
    discover::Process,
};

/// What a recording says of itself at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Unix time in nanoseconds at which the clock of all [`Timestamp`]s was 0.
    pub boot: i64,
    /// Ids of spans are made from this, so that every replay gives the same.
    pub seed: u64,
    /// Of the llmtap that recorded; empty where it was none.
    pub version: String,
    /// `uname`'s node name of the recorded machine; empty where it is not known.
    pub host_name: String,
    /// `uname`'s machine, as `x86_64`; empty where it is not known.
    pub machine: String,
    /// The port filter: connections without known addresses are still to be held against it.
    pub ports: Vec<PortRange>,
    /// The host filter, by patterns: it holds for the calls, not for what is recorded.
    pub hosts: Vec<String>,
    /// Nothing was replaced or withheld.
    pub credentials_kept: bool,
}

/// What a recording says when it was ended in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    pub time: Timestamp,
    /// What the kernel side lost.
    pub lost: Lost,
    /// Records of the ring that were not understood.
    pub unreadable: u64,
    /// Captured bytes that were left out because they may hold credentials.
    pub withheld: u64,
}

/// One thing that a recording tells.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    Process(Process),
    Event(Event<'a>),
    Finish(Finish),
}

impl From<&Start> for Kind {
    fn from(start: &Start) -> Self {
        let Start { boot, seed, version, host_name, machine, ports, hosts, credentials_kept } =
            start.clone();
        let ports = ports.into_iter().map(written).collect();
        Self::Start(file::Start {
            boot,
            seed,
            version,
            host_name,
            machine,
            ports,
            credentials_kept,
            hosts,
        })
    }
}

impl file::Start {
    pub(super) fn read(self) -> Option<Start> {
        let ports = self.ports.into_iter().map(range);
        Some(Start {
            boot: self.boot,
            seed: self.seed,
            version: self.version,
            host_name: self.host_name,
            machine: self.machine,
            ports: ports.collect::<Option<_>>()?,
            hosts: self.hosts,
            credentials_kept: self.credentials_kept,
        })
    }
}

/// The last port above the first; one alone has nothing above.
fn written(range: PortRange) -> u32 {
    let above = if range.first() == range.last() { 0 } else { u32::from(range.last()) << 16 };
    above | u32::from(range.first())
}

fn range(number: u32) -> Option<PortRange> {
    let (first, above) = (number as u16, (number >> 16) as u16);
    PortRange::new(first, if above == 0 { first } else { above })
}

fn id(id: ProcessId) -> Option<file::ProcessId> {
    Some(file::ProcessId { pid: id.pid, incarnation: id.incarnation })
}

fn read_id(id: Option<file::ProcessId>) -> Option<ProcessId> {
    id.map(|id| ProcessId { pid: id.pid, incarnation: id.incarnation })
}

/// A description, without what is too long for one.
pub(super) fn process(process: &Process) -> Kind {
    let short = |text: &Option<String>| text.clone().filter(|text| text.len() <= file::TEXT_LIMIT);
    let mut room = file::TEXT_LIMIT;
    // Left out from the first that does not fit on, so that none takes another's place.
    let fits = |argument: &&String| {
        room = room.saturating_sub(argument.len() + 1);
        room > 0
    };
    let executable = process.executable.as_ref().map(|path| path.as_os_str().as_bytes().to_vec());
    Kind::Process(file::Process {
        id: id(process.id),
        parent_pid: process.parent_pid,
        executable: executable.filter(|path| path.len() <= file::TEXT_LIMIT),
        command: process.command.iter().take_while(fits).cloned().collect(),
        uid: process.uid,
        otel_service_name: short(&process.otel_service_name),
        otel_resource_attributes: short(&process.otel_resource_attributes),
    })
}

impl file::Process {
    fn read(self) -> Option<Process> {
        Some(Process {
            id: read_id(self.id)?,
            parent_pid: self.parent_pid,
            executable: self.executable.map(|path| OsString::from_vec(path).into()),
            command: self.command,
            uid: self.uid,
            otel_service_name: self.otel_service_name,
            otel_resource_attributes: self.otel_resource_attributes,
        })
    }
}

impl From<&Event<'_>> for Kind {
    fn from(event: &Event<'_>) -> Self {
        match *event {
            Event::Process(event) => of_process(&event),
            Event::Opened(Opened { connection, process, time, origin, security }) => {
                let (origin, parent) = match origin {
                    Origin::Created => (file::Origin::Created, 0),
                    Origin::JoinedLate => (file::Origin::JoinedLate, 0),
                    Origin::Inherited(parent) => (file::Origin::Inherited, parent.0),
                };
                let security = match security {
                    Security::Tls => file::Security::Tls,
                    Security::Plain => file::Security::Plain,
                };
                Self::Opened(file::Opened {
                    connection: connection.0,
                    process: id(process),
                    time: time.0,
                    origin: origin.into(),
                    parent,
                    security: security.into(),
                })
            }
            Event::Addresses { connection, addresses } => Self::Addresses(file::Addresses {
                connection: connection.0,
                local: Some(endpoint(addresses.local)),
                peer: Some(endpoint(addresses.peer)),
            }),
            Event::Segment(segment) => {
                let data = match segment.data {
                    Data::Bytes(bytes) => file::Data::Bytes(bytes.to_vec().into()),
                    Data::Gap(missing) => file::Data::Gap(missing),
                };
                Self::Segment(file::Segment {
                    connection: segment.connection.0,
                    sent: segment.direction == Direction::Sent,
                    offset: segment.offset,
                    time: segment.time.0,
                    data: Some(data),
                    thread: segment.caller.map_or(0, |caller| caller.thread),
                    task: segment.caller.and_then(|caller| caller.task).map_or(0, NonZeroU64::get),
                })
            }
            Event::PeerEnded { connection, time, how } => {
                let how = match how {
                    PeerEnd::CloseNotify => file::PeerEnd::CloseNotify,
                    PeerEnd::Broken => file::PeerEnd::Broken,
                    PeerEnd::SystemCall => file::PeerEnd::SystemCall,
                    PeerEnd::EndOfStream => file::PeerEnd::EndOfStream,
                };
                let (connection, time, how) = (connection.0, time.0, how.into());
                Self::PeerEnded(file::PeerEnded { connection, time, how })
            }
            Event::Closed(Closed { connection, time, cause, last_empty_read }) => {
                let cause = match cause {
                    CloseCause::Freed => file::CloseCause::Freed,
                    CloseCause::ProcessExited => file::CloseCause::ProcessExited,
                    CloseCause::ProcessExecuted => file::CloseCause::ProcessExecuted,
                    CloseCause::TracerStopped => file::CloseCause::TracerStopped,
                    CloseCause::Unseen => file::CloseCause::Unseen,
                };
                let (connection, time, cause) = (connection.0, time.0, cause.into());
                let last_empty_read = last_empty_read.map(|time| time.0);
                Self::Closed(file::Closed { connection, time, cause, last_empty_read })
            }
        }
    }
}

fn of_process(event: &ProcessEvent) -> Kind {
    match *event {
        ProcessEvent::Appeared { process, time } => {
            Kind::Appeared(file::Appeared { process: id(process), time: time.0 })
        }
        ProcessEvent::Forked { parent, child, time } => {
            Kind::Forked(file::Forked { parent: id(parent), child: id(child), time: time.0 })
        }
        ProcessEvent::Executed { previous, process, time } => {
            let (previous, process) = (id(previous), id(process));
            Kind::Executed(file::Executed { previous, process, time: time.0 })
        }
        ProcessEvent::Exited { process, time } => {
            Kind::Exited(file::Exited { process: id(process), time: time.0 })
        }
        ProcessEvent::LibrariesChanged { process, time } => {
            Kind::LibrariesChanged(file::LibrariesChanged { process: id(process), time: time.0 })
        }
    }
}

fn endpoint(address: SocketAddr) -> file::Endpoint {
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    file::Endpoint { address: bytes, port: address.port().into() }
}

fn read_endpoint(endpoint: Option<&file::Endpoint>) -> Option<SocketAddr> {
    let file::Endpoint { address, port } = endpoint?;
    let ip = <[u8; 4]>::try_from(address.as_slice())
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(address.as_slice()).map(IpAddr::from))
        .ok()?;
    Some(SocketAddr::new(ip, u16::try_from(*port).ok()?))
}

impl From<&Finish> for Kind {
    fn from(finish: &Finish) -> Self {
        let count =
            |lost: LostCount| Some(file::LostCount { bytes: lost.bytes, records: lost.records });
        Self::Finish(file::Finish {
            time: finish.time.0,
            ring_full: count(finish.lost.ring_full),
            fault: count(finish.lost.fault),
            oversize: count(finish.lost.oversize),
            map_full: count(finish.lost.map_full),
            shed_body: count(finish.lost.shed_body),
            shed_connection: count(finish.lost.shed_connection),
            after_close: count(finish.lost.after_close),
            unjoined: count(finish.lost.unjoined),
            unreadable: finish.unreadable,
            withheld: finish.withheld,
        })
    }
}

impl file::Finish {
    fn read(self) -> Finish {
        let count = |lost: Option<file::LostCount>| {
            lost.map_or_else(LostCount::default, |lost| LostCount {
                bytes: lost.bytes,
                records: lost.records,
            })
        };
        let lost = Lost {
            ring_full: count(self.ring_full),
            fault: count(self.fault),
            oversize: count(self.oversize),
            map_full: count(self.map_full),
            shed_body: count(self.shed_body),
            shed_connection: count(self.shed_connection),
            after_close: count(self.after_close),
            unjoined: count(self.unjoined),
        };
        let (unreadable, withheld) = (self.unreadable, self.withheld);
        Finish { time: Timestamp(self.time), lost, unreadable, withheld }
    }
}

/// What a record tells; `None` where it lacks something or has a value out of its range.
pub(super) fn read(kind: &mut Kind) -> Option<Item<'_>> {
    let event = match kind {
        // There is one, at the start.
        Kind::Start(_) => return None,
        Kind::Process(process) => return std::mem::take(process).read().map(Item::Process),
        Kind::Finish(finish) => return Some(Item::Finish(finish.read())),
        Kind::Opened(opened) => Event::Opened(opened.read()?),
        Kind::Addresses(addresses) => Event::Addresses {
            connection: ConnectionId(addresses.connection),
            addresses: Addresses {
                local: read_endpoint(addresses.local.as_ref())?,
                peer: read_endpoint(addresses.peer.as_ref())?,
            },
        },
        Kind::Segment(segment) => Event::Segment(segment.read()?),
        Kind::PeerEnded(ended) => Event::PeerEnded {
            connection: ConnectionId(ended.connection),
            time: Timestamp(ended.time),
            how: match ended.how() {
                file::PeerEnd::CloseNotify => PeerEnd::CloseNotify,
                file::PeerEnd::Broken => PeerEnd::Broken,
                file::PeerEnd::SystemCall => PeerEnd::SystemCall,
                file::PeerEnd::EndOfStream => PeerEnd::EndOfStream,
                file::PeerEnd::Unspecified => return None,
            },
        },
        Kind::Closed(closed) => Event::Closed(closed.read()?),
        kind => Event::Process(read_process_event(kind)?),
    };
    Some(Item::Event(event))
}

fn read_process_event(kind: &Kind) -> Option<ProcessEvent> {
    Some(match *kind {
        Kind::Appeared(file::Appeared { process, time }) => {
            ProcessEvent::Appeared { process: read_id(process)?, time: Timestamp(time) }
        }
        Kind::Forked(file::Forked { parent, child, time }) => {
            let (parent, child) = (read_id(parent)?, read_id(child)?);
            ProcessEvent::Forked { parent, child, time: Timestamp(time) }
        }
        Kind::Executed(file::Executed { previous, process, time }) => {
            let (previous, process) = (read_id(previous)?, read_id(process)?);
            ProcessEvent::Executed { previous, process, time: Timestamp(time) }
        }
        Kind::Exited(file::Exited { process, time }) => {
            ProcessEvent::Exited { process: read_id(process)?, time: Timestamp(time) }
        }
        Kind::LibrariesChanged(file::LibrariesChanged { process, time }) => {
            ProcessEvent::LibrariesChanged { process: read_id(process)?, time: Timestamp(time) }
        }
        _ => return None,
    })
}

impl file::Opened {
    fn read(self) -> Option<Opened> {
        Some(Opened {
            connection: ConnectionId(self.connection),
            process: read_id(self.process)?,
            time: Timestamp(self.time),
            origin: match self.origin() {
                file::Origin::Created => Origin::Created,
                file::Origin::JoinedLate => Origin::JoinedLate,
                file::Origin::Inherited => Origin::Inherited(ConnectionId(self.parent)),
                file::Origin::Unspecified => return None,
            },
            security: match file::Security::try_from(self.security).ok()? {
                file::Security::Tls => Security::Tls,
                file::Security::Plain => Security::Plain,
            },
        })
    }
}

impl file::Segment {
    fn read(&self) -> Option<Segment<'_>> {
        let data = match self.data.as_ref()? {
            file::Data::Bytes(bytes) => Data::Bytes(bytes),
            file::Data::Gap(missing) => Data::Gap(*missing),
        };
        // Positions past 2^64 do not exist; stages add to them.
        self.offset.checked_add(data.wire_len())?;
        Some(Segment {
            connection: ConnectionId(self.connection),
            direction: if self.sent { Direction::Sent } else { Direction::Received },
            offset: self.offset,
            time: Timestamp(self.time),
            data,
            caller: (self.thread != 0)
                .then(|| Caller { thread: self.thread, task: NonZeroU64::new(self.task) }),
        })
    }
}

impl file::Closed {
    fn read(self) -> Option<Closed> {
        Some(Closed {
            connection: ConnectionId(self.connection),
            time: Timestamp(self.time),
            cause: match self.cause() {
                file::CloseCause::Freed => CloseCause::Freed,
                file::CloseCause::ProcessExited => CloseCause::ProcessExited,
                file::CloseCause::ProcessExecuted => CloseCause::ProcessExecuted,
                file::CloseCause::TracerStopped => CloseCause::TracerStopped,
                file::CloseCause::Unseen => CloseCause::Unseen,
                file::CloseCause::Unspecified => return None,
            },
            last_empty_read: self.last_empty_read.map(Timestamp),
        })
    }
}
