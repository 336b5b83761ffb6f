//! Commands from other terminals on their way from the store to the rollouts of this process.
//!
//! Somebody may leave one at any moment, mostly nobody does: so the store's file is looked at from outside ten times a second, and the store is asked
//! when it was written to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::Wake;
use crate::store::{Stamp, Store};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// While nobody writes to it, the store is asked at every so many looks.
const CALM: u32 = 20;

/// Who carries them.
pub(super) struct Carrier<'a> {
    store: &'a Store,
    inboxes: &'a BTreeMap<String, Sender<Wake>>,
    carried: BTreeSet<i64>,
    seen: Option<Stamp>,
    /// Looks since the file was last seen to have changed.
    calm: u32,
}

impl<'a> Carrier<'a> {
    /// `known` to the rollouts already are those that wait at the start.
    pub(super) fn new(store: &'a Store, inboxes: &'a BTreeMap<String, Sender<Wake>>, known: BTreeSet<i64>) -> Self {
        Self { store, inboxes, carried: known, seen: None, calm: 0 }
    }

    /// As long as the process lives.
    pub(super) fn carry(mut self) {
        loop {
            self.look();
            std::thread::sleep(EVERY);
        }
    }

    fn look(&mut self) {
        // Before the store is asked: what is written meanwhile is seen at the next look.
        let stamp = self.store.stamp();
        self.calm = if self.seen == Some(stamp) { self.calm.wrapping_add(1) } else { 0 };
        self.seen = Some(stamp);
        // Once more after a change, since a second write may look like the first; and now and then whatever it looks like.
        if self.calm > 1 && !self.calm.is_multiple_of(CALM) {
            return;
        }
        // A store that cannot be read has told so elsewhere.
        for command in self.store.waiting().unwrap_or_default() {
            if let Some(inbox) = self.inboxes.get(&command.rollout)
                && self.carried.insert(command.id)
            {
                let _over = inbox.send(Wake::Command(command));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::store::Command;

    #[test]
    fn what_others_leave_is_carried_once_at_the_next_look_however_long_nobody_did() {
        let folder = tempfile::tempdir().unwrap();
        let (store, terminal) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
        let (sender, inbox) = channel();
        let inboxes = BTreeMap::from([("shop".to_owned(), sender)]);
        let wish = |rollout: &str, kind: &str| {
            let text = str::to_owned;
            let wish = Command {
                id: 0,
                at: 5,
                rollout: text(rollout),
                kind: text(kind),
                actor: text("ada"),
                reason: text(""),
            };
            terminal.wish(1, &wish).unwrap()
        };
        let known = wish("shop", "pause");
        let mut carrier = Carrier::new(&store, &inboxes, BTreeSet::from([known]));
        let mut told = |looks: usize| {
            (0..looks).for_each(|_| carrier.look());
            let carried = inbox.try_iter().filter_map(|wake| match wake {
                Wake::Command(command) => Some(command.kind),
                Wake::Look => None,
            });
            carried.collect::<Vec<_>>()
        };
        assert!(told(1).is_empty(), "known");
        wish("shop", "resume");
        assert_eq!(told(1), ["resume"]);
        assert!(told(45).is_empty(), "carried once");
        wish("other", "kill");
        wish("shop", "kill");
        assert_eq!(told(1), ["kill"], "not that of somebody else's rollout");
        wish("shop", "abort");
        wish("shop", "retry");
        assert_eq!(told(1), ["abort", "retry"]);
    }
}
