//! The table of legs: found by place (per packet) or by id (per command).

use std::collections::HashMap;

use crate::entry::Entry;
use crate::limits;
use crate::routes::Index;
use crate::spec::LegId;

/// All legs of a shard.
#[derive(Default)]
pub(crate) struct Legs {
    places: Vec<Option<Box<Entry>>>,
    free: Vec<Index>,
    by_id: HashMap<LegId, Index>,
}

impl Legs {
    pub fn is_full(&self) -> bool {
        self.by_id.len() >= limits::LEGS
    }

    pub fn contains(&self, id: LegId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub fn insert(&mut self, entry: Entry) -> Index {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.by_id.insert(entry.id, index);
        self.places[index] = Some(Box::new(entry));
        index
    }

    pub fn remove(&mut self, index: Index) -> Option<Box<Entry>> {
        let entry = self.places.get_mut(index)?.take()?;
        self.by_id.remove(&entry.id);
        self.free.push(index);
        Some(entry)
    }

    pub fn get_mut(&mut self, index: Index) -> Option<&mut Entry> {
        self.places.get_mut(index)?.as_deref_mut()
    }

    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.places.get(index)?.as_deref()
    }

    pub fn index_of(&self, id: LegId) -> Option<Index> {
        self.by_id.get(&id).copied()
    }

    /// Places that may be taken: for loops that change the table as they go.
    pub fn places(&self) -> std::ops::Range<Index> {
        0..self.places.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().filter_map(Option::as_deref)
    }
}
