//! What all bodies that are being read hold together, and may.

use core::cell::Cell;

thread_local! {
    /// Bytes of this VM, which is one worker's.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// One body's part. It is given back when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held(usize);

impl Held {
    /// It holds so many bytes now. Whether all together hold at most `most`; it is reckoned either way.
    pub(crate) fn set(&mut self, bytes: usize, most: usize) -> bool {
        let all = HELD.get().saturating_sub(self.0).saturating_add(bytes);
        HELD.set(all);
        let grew = bytes > self.0;
        self.0 = bytes;
        !grew || all <= most
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(HELD.get().saturating_sub(self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_are_bounded_and_given_back() {
        let mut first = Held::default();
        assert!(first.set(600, 1_000));
        let mut second = Held::default();
        assert!(!second.set(500, 1_000));
        // What shrinks is welcome.
        assert!(second.set(450, 1_000));
        drop(second);
        assert_eq!(HELD.get(), 600);
        assert!(first.set(1_000, 1_000));
        drop(first);
        assert_eq!(HELD.get(), 0);
    }
}
