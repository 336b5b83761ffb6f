//! Requests on their way, by the number of their context.
//!
//! Every entry into the VM looks one up. Envoy counts its contexts up and most requests are over soon, so the last bits of a number
//! name a place where mostly one request is, also where many long streams lie beside it. The memory of a request that is over is kept for the
//! next: asking for memory and giving it back would be a good part of what the filter does.

/// Places, a power of two; and how much memory is kept.
const PLACES: usize = 128;

/// Memory of a request: empty once it is over.
pub(crate) type Place<T> = Box<Option<T>>;

/// All requests on their way.
#[derive(Debug)]
pub(crate) struct Streams<T> {
    /// By the last bits of their numbers.
    places: [Vec<(u32, Place<T>)>; PLACES],
    spare: Vec<Place<T>>,
}

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self { places: [const { Vec::new() }; PLACES], spare: Vec::new() }
    }
}

impl<T> Streams<T> {
    fn near(&mut self, id: u32) -> Option<&mut Vec<(u32, Place<T>)>> {
        self.places.get_mut(id as usize % PLACES)
    }

    /// Takes a request in. No two have one number at a time.
    pub(crate) fn insert(&mut self, id: u32, stream: T) -> Option<&mut T> {
        let mut place = self.spare.pop().unwrap_or_default();
        *place = Some(stream);
        let near = self.near(id)?;
        near.push((id, place));
        (*near.last_mut()?.1).as_mut()
    }

    /// A request.
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let (_, place) = self.near(id)?.iter_mut().find(|(near, _)| *near == id)?;
        (**place).as_mut()
    }

    /// Lets a request go; its memory should come back by [`Self::keep`].
    pub(crate) fn remove(&mut self, id: u32) -> Option<Place<T>> {
        let near = self.near(id)?;
        let at = near.iter().position(|(near, _)| *near == id)?;
        Some(near.swap_remove(at).1)
    }

    /// Keeps the memory of a request that is over, once it is empty.
    pub(crate) fn keep(&mut self, place: Place<T>) {
        if place.is_none() && self.spare.len() < PLACES {
            self.spare.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_number_also_where_places_are_taken() {
        let mut streams = Streams::default();
        // Three for each place, and the last number there is.
        let ids: Vec<u32> = (1..=3 * 128).chain([u32::MAX]).collect();
        for id in &ids {
            assert_eq!(streams.insert(*id, *id), Some(&mut { *id }));
        }
        for id in &ids {
            assert_eq!(streams.get_mut(*id), Some(&mut { *id }));
        }
        assert_eq!(streams.get_mut(0), None);
        assert_eq!(streams.get_mut(3 * 128 + 1), None);
        for id in &ids {
            let mut place = streams.remove(*id).unwrap();
            assert_eq!(place.take(), Some(*id));
            streams.keep(place);
            assert!(streams.remove(*id).is_none() && streams.get_mut(*id).is_none());
        }
        assert!(streams.places.iter().all(Vec::is_empty));
    }

    #[test]
    fn memory_is_kept_when_it_is_empty() {
        let mut streams = Streams::default();
        streams.insert(7, "seven");
        let mut place = streams.remove(7).unwrap();
        let address: *const Option<&str> = &raw const *place;
        *place = None;
        streams.keep(place);
        streams.insert(8, "eight");
        let place = streams.remove(8).unwrap();
        assert!(core::ptr::eq(address, &raw const *place));
        streams.keep(place);
        assert_eq!(streams.spare.len(), 0, "it still holds the eighth");
    }

    #[test]
    fn no_more_memory_is_kept_than_is_of_use() {
        let mut streams = Streams::default();
        (0..1_000).for_each(|id| assert!(streams.insert(id, id).is_some()));
        for id in 0..1_000 {
            let mut place = streams.remove(id).unwrap();
            *place = None;
            streams.keep(place);
        }
        assert_eq!(streams.spare.len(), PLACES);
    }
}
