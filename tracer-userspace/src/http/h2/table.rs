//! HPACK's dynamic table (RFC 7541 §2.3.2, §4), in little more memory than its octets.
//! Takes entries as they are inserted; gives the octets of each by its place, the newest first.
//! An entry may be unknown: then it has its place, and nothing is told of it.

use std::collections::VecDeque;

/// Octets added to an entry's size by §4.1.
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// Octets of entries (§4.1) kept of a direction, whatever size its ends agreed on.
pub(super) const SIZE_LIMIT: usize = 64 * 1024;

/// Octets that the storage grows by, at least.
const GROWTH: usize = 256;

/// Holds at most a quarter and [`GROWTH`] more octets than its entries have, and nothing before the
/// first of them: most connections are idle, and hold but a few hundred octets.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Name and value of each entry, one behind the other, the oldest first.
    octets: Vec<u8>,
    /// Position of `octets`' first byte among all that were ever inserted; it may wrap.
    begin: u32,
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    max_size: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Position of its name.
    start: u32,
    /// Lengths; an entry that is kept is smaller than [`SIZE_LIMIT`].
    name: u16,
    value: u16,
    is_known: bool,
}

impl Entry {
    fn len(self) -> usize {
        usize::from(self.name) + usize::from(self.value)
    }

    fn size(self) -> usize {
        self.len() + ENTRY_OVERHEAD
    }
}

impl Table {
    pub(super) fn new(max_size: usize) -> Self {
        Self { max_size, ..Self::default() }
    }

    /// Name and value of the entry at this place, if it is known.
    pub(super) fn get(&self, place: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(place).filter(|entry| entry.is_known)?;
        let start = entry.start.wrapping_sub(self.begin) as usize;
        let octets = self.octets.get(start..start + entry.len())?;
        Some(octets.split_at(usize::from(entry.name)))
    }

    /// Inserts an entry (§4.4); one that is larger than the table empties it.
    ///
    /// In place of one that is too large stands an unknown entry: the peer's table may be larger
    /// than what is kept of it, and where it is not, nothing refers to that place.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let lengths = (u16::try_from(name.len()), u16::try_from(value.len()));
        let (Ok(name_len), Ok(value_len)) = lengths else { return self.replace() };
        let start = self.begin.wrapping_add(self.octets.len() as u32);
        let mut entry = Entry { start, name: name_len, value: value_len, is_known: true };
        if entry.size() > self.max_size {
            return self.replace();
        }
        self.evict(self.max_size - entry.size());
        self.make_room(entry.len());
        entry.start = self.begin.wrapping_add(self.octets.len() as u32);
        self.octets.extend_from_slice(name);
        self.octets.extend_from_slice(value);
        self.push(entry);
    }

    /// Inserts an entry of which only is known that it is there.
    pub(super) fn insert_unknown(&mut self) {
        let start = self.begin.wrapping_add(self.octets.len() as u32);
        self.push(Entry { start, name: 0, value: 0, is_known: false });
        self.evict(self.max_size);
    }

    /// §4.3. What the table no longer has room for is given back.
    pub(super) fn resize(&mut self, max_size: usize) {
        self.max_size = max_size.min(SIZE_LIMIT);
        if self.size > self.max_size {
            self.evict(self.max_size);
            self.drop_evicted();
            self.octets.shrink_to_fit();
            self.entries.shrink_to_fit();
        }
    }

    fn push(&mut self, entry: Entry) {
        self.size += entry.size();
        self.entries.push_front(entry);
    }

    fn replace(&mut self) {
        self.evict(0);
        self.insert_unknown();
    }

    /// Forgets the oldest entries, down to that size. Places count from the newest, so forgetting
    /// early is always safe.
    fn evict(&mut self, size: usize) {
        while self.size > size {
            let Some(entry) = self.entries.pop_back() else { return };
            self.size -= entry.size();
        }
    }

    fn make_room(&mut self, octets: usize) {
        if self.octets.len() + octets <= self.octets.capacity() {
            return;
        }
        self.drop_evicted();
        if self.octets.len() + octets > self.octets.capacity() {
            self.octets.reserve_exact(octets.max(GROWTH).max(self.octets.len() / 4));
        }
    }

    /// Moves what is left to the front.
    fn drop_evicted(&mut self) {
        let end = self.begin.wrapping_add(self.octets.len() as u32);
        let start = self.entries.back().map_or(end, |oldest| oldest.start);
        self.octets.drain(..start.wrapping_sub(self.begin) as usize);
        self.begin = start;
    }

    /// Entries, and their size by §4.1.
    #[cfg(test)]
    pub(super) fn extent(&self) -> (usize, usize) {
        (self.entries.len(), self.size)
    }

    /// What holds at any time.
    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        let size: usize = self.entries.iter().map(|entry| entry.size()).sum();
        let within = self.octets.capacity() <= SIZE_LIMIT + SIZE_LIMIT / 4 + GROWTH;
        size == self.size && size <= self.max_size && within
    }
}
