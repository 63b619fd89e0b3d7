//! The kernel's records for the fuzz targets: what [`super::Reader`] does with the ring, without it.
//! Takes the bytes of records; gives [`Event`]s and how many records were not understood.

use super::{
    connections::{Connections, Positions},
    event::{Event, Timestamp},
    record,
};

/// Takes every record, then stops. `known`: how far each direction of a connection came by the
/// kernel's table, by its process and object.
pub fn records<'a>(
    records: impl IntoIterator<Item = &'a [u8]>,
    known: impl Fn(u64, u64) -> Option<(u64, u64)>,
    sink: &mut dyn FnMut(&Event<'_>),
) -> u64 {
    let mut connections = Connections::default();
    let mut forget = |key: tracer_ebpf::ObjectKey| {
        known(key.process, key.object).map(|(received, sent)| Positions { received, sent })
    };
    let mut unreadable = 0;
    for bytes in records {
        match record::read(bytes) {
            Some(record) => connections.apply(&record, &mut forget, sink),
            None => unreadable += 1,
        }
    }
    connections.stop(Timestamp(u64::MAX), sink);
    unreadable
}
