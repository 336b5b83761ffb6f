//! Records that wait to be delivered: bounded, and so many a second.
//!
//! What is beyond is left out and told to the caller, who counts it. It sends nothing.

use headgate_contract::Records;

use super::rate::Rate;

/// Batches that may be on their way at a time; while so many are, records wait.
const ON_THEIR_WAY: usize = 2;
/// Batches' worth of records that may wait.
const WAITING: usize = 4;

/// Why a record is left out. Label `result` of `headgate_shadow_records`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// Too many a second.
    Rate,
    /// Too many wait: whoever takes them is slow, or gone.
    Full,
}

/// Records of one worker.
#[derive(Debug)]
pub(crate) struct Queue {
    rate: Rate,
    batch: usize,
    lines: Vec<u8>,
    /// Where each record that waits ends.
    ends: std::collections::VecDeque<usize>,
    on_their_way: usize,
}

/// Records that go together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// One a line.
    pub(crate) lines: Vec<u8>,
    /// How many.
    pub(crate) records: u32,
}

impl Queue {
    /// An empty one.
    pub(crate) fn new(of: &Records) -> Self {
        Self {
            rate: Rate::new(of.per_second),
            batch: of.batch_bytes as usize,
            lines: Vec::new(),
            ends: std::collections::VecDeque::new(),
            on_their_way: 0,
        }
    }

    /// Another configuration's limits; what waits goes on waiting.
    pub(crate) fn set(&mut self, of: &Records) {
        self.rate.set(of.per_second);
        self.batch = of.batch_bytes as usize;
    }

    /// Whether one more may be made now, which is monotonic, in nanoseconds. Asked before a record is made, since that costs.
    pub(crate) fn may(&mut self, now: u64) -> Result<(), LeftOut> {
        if self.lines.len() >= WAITING * self.batch {
            return Err(LeftOut::Full);
        }
        if self.rate.take(now) { Ok(()) } else { Err(LeftOut::Rate) }
    }

    /// One more waits: a line with its end.
    pub(crate) fn push(&mut self, line: &[u8]) {
        self.lines.extend_from_slice(line);
        self.ends.push_back(self.lines.len());
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether a batch is full, and may go.
    pub(crate) fn is_due(&self) -> bool {
        self.lines.len() >= self.batch && self.on_their_way < ON_THEIR_WAY
    }

    /// The records that waited longest, as many as one batch holds; none when enough are on their way. Once it is sent it must be told to [`Self::arrived`].
    pub(crate) fn take(&mut self) -> Option<Batch> {
        if self.ends.is_empty() || self.on_their_way >= ON_THEIR_WAY {
            return None;
        }
        let mut records = 0;
        let mut end = 0;
        while let Some(next) = self.ends.front().copied() {
            // A record alone may be as large as a batch.
            if records > 0 && next > self.batch {
                break;
            }
            end = next;
            records += 1;
            self.ends.pop_front();
        }
        let rest = self.lines.split_off(end);
        let lines = core::mem::replace(&mut self.lines, rest);
        for later in &mut self.ends {
            *later -= end;
        }
        self.on_their_way += 1;
        Some(Batch { lines, records })
    }

    /// All records that wait, one by one, and none afterwards: nobody takes batches any more.
    pub(crate) fn empty(&mut self) -> Vec<Vec<u8>> {
        let lines = core::mem::take(&mut self.lines);
        let mut from = 0;
        let ends = core::mem::take(&mut self.ends).into_iter();
        ends.filter_map(|end| Some(lines.get(core::mem::replace(&mut from, end)..end)?.to_vec())).collect()
    }

    /// A batch that was taken has arrived, or is lost.
    pub(crate) const fn arrived(&mut self) {
        self.on_their_way = self.on_their_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(per_second: u32, batch_bytes: u32) -> Queue {
        Queue::new(&Records { per_second, batch_bytes, ..Records::default() })
    }

    #[test]
    fn a_batch_holds_whole_records_in_their_order() {
        let mut queue = queue(100, 10);
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddddddddddd\n"] {
            queue.push(line.as_bytes());
        }
        assert!(queue.is_due());
        let batch = |lines: &str, records| Some(Batch { lines: lines.as_bytes().to_vec(), records });
        assert_eq!(queue.take(), batch("aaaa\nbbbb\n", 2));
        assert_eq!(queue.take(), batch("cccc\n", 1));
        assert_eq!(queue.take(), None, "two are on their way");
        queue.arrived();
        assert_eq!(queue.take(), batch("dddddddddddd\n", 1));
        queue.arrived();
        assert_eq!(queue.take(), None);
        queue.push(b"e\n");
        queue.push(b"ff\n");
        assert_eq!(queue.empty(), [b"e\n".to_vec(), b"ff\n".to_vec()]);
        assert!(queue.is_empty() && queue.empty().is_empty() && !queue.is_due());
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let mut queue = queue(2, 10);
        assert_eq!([queue.may(1), queue.may(1), queue.may(1)], [Ok(()), Ok(()), Err(LeftOut::Rate)]);
        queue.push(&[b'a'; 40]);
        assert_eq!(queue.may(10_000_000_000), Err(LeftOut::Full));
        queue.take();
        assert_eq!(queue.may(10_000_000_000), Ok(()));
    }
}
