//! A hash table that grows a page at a time (extendible hashing): a page that is full becomes two. A table that grows
//! as a whole is at times three eighths full, and its old memory waits beside it; and whoever inserts just then pays
//! for moving all of it under the lock.

use hashbrown::HashTable;

/// Records that a page takes before it becomes two: seven eighths of the 256 places that they stand in.
pub(super) const PAGE: usize = 224;
/// How often pages are divided at most. Past that they grow like any table; keys that are MACs never get there before
/// some ten million records.
const MAX_DEPTH: u32 = 12;

/// Key and `until`, laid out so that no octet is padding.
#[derive(Clone, Copy)]
pub(super) struct Record {
    key: [u8; 16],
    until_secs: [u8; 4],
}

impl Record {
    /// Times past the range of four octets are their last one.
    pub(super) fn new(key: u128, until_secs: u64) -> Self {
        let until = u32::try_from(until_secs).unwrap_or(u32::MAX);
        Self { key: key.to_ne_bytes(), until_secs: until.to_ne_bytes() }
    }

    pub(super) fn until_secs(&self) -> u64 {
        u64::from(u32::from_ne_bytes(self.until_secs))
    }

    /// Keys are MACs already: any 64 of their bits do.
    pub(super) fn hash(&self) -> u64 {
        self.key.first_chunk().map_or(0, |half| u64::from_ne_bytes(*half))
    }

    /// Bits that neither the place in a page nor the choice of a shard goes by.
    fn page_bits(&self) -> usize {
        let [_, _, _, _, _, _, _, _, low, high, ..] = self.key;
        usize::from(u16::from_le_bytes([low, high]))
    }
}

/// The records of one shard.
pub(super) struct Pages {
    /// For each ending of [`Record::page_bits`] the page where such records are; its length is a power of two.
    pub(super) directory: Vec<u16>,
    pub(super) pages: Vec<Page>,
}

pub(super) struct Page {
    pub(super) records: HashTable<Record>,
    /// How many of the page bits all its records have in common.
    pub(super) depth: u32,
}

impl Pages {
    pub(super) fn new() -> Self {
        Self { directory: vec![0], pages: vec![Page { records: HashTable::new(), depth: 0 }] }
    }

    pub(super) fn len(&self) -> usize {
        self.pages.iter().map(|page| page.records.len()).sum()
    }

    pub(super) fn contains(&self, record: &Record) -> bool {
        let page = self.pages.get(self.page_of(record));
        page.is_some_and(|page| page.records.find(record.hash(), |known| known.key == record.key).is_some())
    }

    /// Adds a record that is not there.
    pub(super) fn insert(&mut self, record: Record) {
        // Each round divides by one more bit, and there are so many at most.
        for _ in 0..MAX_DEPTH {
            let index = self.page_of(&record);
            if !self.pages.get(index).is_some_and(Page::is_full) {
                break;
            }
            self.divide(index);
        }
        let index = self.page_of(&record);
        if let Some(page) = self.pages.get_mut(index) {
            page.insert(record);
        }
    }

    /// Keeps those records only. Pages stay: what was needed once will be needed again.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Record) -> bool) {
        for page in &mut self.pages {
            page.records.retain(|record| keep(record));
        }
    }

    fn page_of(&self, record: &Record) -> usize {
        let ending = record.page_bits() & (self.directory.len() - 1);
        self.directory.get(ending).map_or(0, |page| usize::from(*page))
    }

    /// Makes two pages of one: those whose next bit is set move to the new one.
    fn divide(&mut self, index: usize) {
        let Ok(new) = u16::try_from(self.pages.len()) else { return };
        let Some(page) = self.pages.get_mut(index) else { return };
        let bit = 1_usize << page.depth;
        page.depth += 1;
        let depth = page.depth;
        let mut moved = HashTable::with_capacity(PAGE);
        // Into new tables, both: a place that was left is not free until all are laid out anew.
        let before = std::mem::replace(&mut page.records, HashTable::with_capacity(PAGE));
        for record in before {
            let half = if record.page_bits() & bit == 0 { &mut page.records } else { &mut moved };
            half.insert_unique(record.hash(), record, Record::hash);
        }
        if self.directory.len() < bit << 1 {
            self.directory.extend_from_within(..);
        }
        for (ending, page) in self.directory.iter_mut().enumerate() {
            if usize::from(*page) == index && ending & bit != 0 {
                *page = new;
            }
        }
        self.pages.push(Page { records: moved, depth });
    }
}

impl Page {
    /// Where the places run out because records have left some, the rest is laid out anew in as many.
    fn insert(&mut self, record: Record) {
        if self.records.len() < PAGE && self.records.len() == self.records.capacity() {
            let before = std::mem::replace(&mut self.records, HashTable::with_capacity(PAGE));
            for record in before {
                self.records.insert_unique(record.hash(), record, Record::hash);
            }
        }
        self.records.insert_unique(record.hash(), record, Record::hash);
    }

    fn is_full(&self) -> bool {
        self.records.len() >= PAGE && self.depth < MAX_DEPTH
    }
}
