//! Bytes of keys whose connection is not known yet, held until the kernel side tells it.
//! Takes the ring's records; gives them on in an order in which every byte has its connection. Whose
//! never becomes known is counted, and given to no other.

use foldhash::HashMap;
use tracer_ebpf::{FLAG_APART, Header};

use super::{
    event::Direction,
    reader::LostCount,
    record::{Body, Record},
};

/// Bytes that are held at a time: what is encrypted before a connection's first system call, some 64 KiB
/// each.
const HELD_LIMIT: usize = 32 << 20;

#[derive(Debug, Default)]
pub(super) struct Apart {
    /// By the number of the epoch.
    held: HashMap<u64, Vec<Held>>,
    bytes: usize,
    lost: LostCount,
}

#[derive(Debug)]
struct Held {
    header: Header,
    direction: Direction,
    bytes: Vec<u8>,
}

impl Apart {
    /// Takes a record; `act` gets it, or what it sets free, or nothing.
    pub(super) fn pass(&mut self, record: &Record<'_>, act: &mut dyn FnMut(&Record<'_>)) {
        let header = record.header;
        match record.body {
            Body::Data(direction, bytes) if header.flags & FLAG_APART != 0 => {
                self.hold(header, direction, bytes);
            }
            Body::Joined(joined) => {
                for mut held in self.take(joined.epoch) {
                    let offset = held.header.offset.checked_add(joined.offset);
                    // The kernel side counted what it says will have no connection.
                    let (true, Some(offset)) = (header.connection != 0, offset) else { continue };
                    held.header.connection = header.connection;
                    held.header.offset = offset;
                    held.header.flags &= !FLAG_APART;
                    let body = Body::Data(held.direction, &held.bytes);
                    act(&Record { header: held.header, body });
                }
            }
            Body::Exited => {
                self.end_process(header.process);
                act(record);
            }
            Body::Executed(executed) => {
                self.end_process(executed.previous);
                act(record);
            }
            _ => act(record),
        }
    }

    /// Nothing more will be told.
    pub(super) fn stop(&mut self) {
        self.give_up(|_| true);
    }

    /// A process is not traced any more.
    pub(super) fn end_process(&mut self, process: u64) {
        self.give_up(|held| held.process == process);
    }

    /// What had to be given up, so far.
    pub(super) fn lost(&self) -> LostCount {
        self.lost
    }

    fn hold(&mut self, header: Header, direction: Direction, bytes: &[u8]) {
        if self.bytes + bytes.len() > HELD_LIMIT {
            self.lost.bytes += bytes.len() as u64;
            self.lost.records += 1;
            return;
        }
        self.bytes += bytes.len();
        let held = Held { header, direction, bytes: bytes.to_vec() };
        self.held.entry(header.connection).or_default().push(held);
    }

    fn take(&mut self, epoch: u64) -> Vec<Held> {
        let held = self.held.remove(&epoch).unwrap_or_default();
        self.bytes -= held.iter().map(|held| held.bytes.len()).sum::<usize>();
        held
    }

    fn give_up(&mut self, of: impl Fn(&Header) -> bool) {
        let is_over = |held: &Vec<Held>| held.first().is_some_and(|first| of(&first.header));
        let over = self.held.iter().filter(|(_, held)| is_over(held));
        let over: Vec<u64> = over.map(|(epoch, _)| *epoch).collect();
        for epoch in over {
            for held in self.take(epoch) {
                self.lost.bytes += held.bytes.len() as u64;
                self.lost.records += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::{Executed, FLAG_SENT, Joined};

    use super::*;

    const PROCESS: u64 = 7;

    fn header(connection: u64, offset: u64) -> Header {
        Header { connection, offset, process: PROCESS, ..Header::default() }
    }

    fn apart(epoch: u64, offset: u64, bytes: &[u8]) -> Record<'_> {
        let header = Header { flags: FLAG_APART | FLAG_SENT, ..header(epoch, offset) };
        Record { header, body: Body::Data(Direction::Sent, bytes) }
    }

    fn joined(connection: u64, epoch: u64, offset: u64) -> Record<'static> {
        Record { header: header(connection, 0), body: Body::Joined(Joined { epoch, offset }) }
    }

    /// What comes out: connection, offset and bytes of data, or 0 for others.
    fn run(apart: &mut Apart, records: Vec<Record<'_>>) -> Vec<(u64, u64, usize)> {
        let mut out = Vec::new();
        for record in records {
            apart.pass(&record, &mut |record| {
                let Header { connection, offset, flags, .. } = record.header;
                assert_eq!(flags & FLAG_APART, 0);
                let len = if let Body::Data(_, bytes) = record.body { bytes.len() } else { 0 };
                out.push((connection, offset, len));
            });
        }
        out
    }

    #[test]
    fn bytes_wait_for_their_connection() {
        let mut held = Apart::default();
        let records =
            vec![apart(50, 0, b"abc"), apart(51, 0, b"x"), apart(50, 3, b"de"), joined(9, 50, 100)];
        assert_eq!(run(&mut held, records), [(9, 100, 3), (9, 103, 2)]);
        assert_eq!(held.bytes, 1);
        assert_eq!(run(&mut held, vec![joined(9, 50, 105)]), []);
        assert_eq!(held.lost(), LostCount::default());
    }

    #[test]
    fn what_is_never_joined_is_counted() {
        let mut held = Apart::default();
        let exited = || Record { header: header(0, 0), body: Body::Exited };
        assert_eq!(run(&mut held, vec![apart(50, 0, b"abc"), exited()]), [(0, 0, 0)]);
        assert_eq!(held.lost(), LostCount { bytes: 3, records: 1 });
        let executed = Body::Executed(Executed { previous: PROCESS });
        let executed = Record { header: Header { process: 8, ..header(0, 0) }, body: executed };
        run(&mut held, vec![apart(51, 0, b"ab"), executed]);
        assert_eq!(held.lost(), LostCount { bytes: 5, records: 2 });
        run(&mut held, vec![apart(52, 0, b"a")]);
        held.stop();
        assert_eq!((held.lost().bytes, held.bytes), (6, 0));
    }

    #[test]
    fn what_the_kernel_side_gave_up_is_dropped_uncounted() {
        let mut held = Apart::default();
        assert_eq!(run(&mut held, vec![apart(50, 0, b"abc"), joined(0, 50, 0)]), []);
        assert_eq!((held.lost(), held.bytes), (LostCount::default(), 0));
    }

    #[test]
    fn holding_is_bounded() {
        let mut held = Apart::default();
        let piece = vec![0; 1 << 20];
        for index in 0..40 {
            run(&mut held, vec![apart(index, 0, &piece)]);
        }
        assert_eq!(held.bytes, HELD_LIMIT);
        assert_eq!(held.lost(), LostCount { bytes: 8 << 20, records: 8 });
    }
}
