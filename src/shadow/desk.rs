//! Where a worker's copied requests are kept, each from its admission until nothing more of it will come.
//!
//! A desk belongs to a target and outlives its configurations: a copy that was sent under one is counted to its end under
//! it, while the next one is in force. Only what is in force says what is admitted.

use core::cell::RefCell;
use std::rc::Rc;

use fnv::FnvHashMap;
use headgate_compare::noise::{Rule, Tally};
use headgate_compare::record::Answer;
use headgate_compare::{Rules, Side, Verdict, Wanted};
use headgate_contract::{Comparison, NoiseCopy, PluginConfig};
use headgate_routing::{CopyRefusal, RoutingTable, Sampled};
use rustc_hash::FxHashMap;

use super::backoff::{Backoff, Sign};
use super::board::{Board, Compared};
use super::budget::{Budget, Over};
use super::copy::{self, Copied};
use super::notes::Notes;
use super::pair::{Answers, Ending, Failure, Noise, Pair, Request, Role};
use super::records::{Facts, Records, Told};
use crate::host;
use crate::live::Live;

thread_local! {
    static DESKS: RefCell<FnvHashMap<String, Rc<RefCell<Desk>>>> = RefCell::default();
}

/// What a configuration in force has for its shadows.
#[derive(Debug)]
pub(crate) struct Shadows {
    pub(crate) board: Board,
    /// By route: the headers of its copies.
    pub(crate) copied: Vec<Copied>,
    /// `authorization` of batches of records, as this process has it.
    pub(crate) token: Option<Vec<u8>>,
    /// None where no route has a shadow.
    pub(crate) desk: Option<Rc<RefCell<Desk>>>,
}

impl Shadows {
    /// Of a table that may come into force.
    pub(crate) fn new(table: &RoutingTable, env: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let config = table.config();
        let copied = config.routes.iter().map(|route| {
            let Some(shadow) = &route.shadow else { return Copied::default() };
            let value = |value: Option<&String>, name: Option<&String>| match value {
                Some(value) => Some(value.clone().into_bytes()),
                None => name.and_then(|name| env(name)),
            };
            let headers = shadow.replace_headers.iter();
            let replaced = headers.map(|of| (of.name.clone(), value(of.value.as_ref(), of.env.as_ref()))).collect();
            Copied::new(shadow, copy::own(config, route), replaced)
        });
        let copied = copied.collect();
        let wanted = config.routes.iter().any(|route| route.shadow.is_some());
        let desk = DESKS.with(|desks| {
            let mut desks = desks.try_borrow_mut().ok()?;
            match desks.get(&config.target) {
                Some(desk) => Some(Rc::clone(desk)),
                None if !wanted => None,
                None => {
                    let desk = Rc::new(RefCell::new(Desk::new(config)));
                    desks.insert(config.target.clone(), Rc::clone(&desk));
                    Some(desk)
                }
            }
        });
        let token = (config.shadowing.records.as_ref())
            .and_then(|records| env(records.token_env.as_ref()?))
            .map(|token| [b"Bearer ", token.as_slice()].concat());
        Self { board: Board::new(table), copied, token, desk }
    }
}

impl Shadows {
    /// A tick: records that wait are sent by the configuration in force. In how many milliseconds it wants the next; 0 is never.
    pub(crate) fn tick(&self, root: u32) -> u32 {
        let Some(desk) = &self.desk else { return 0 };
        let every =
            desk.try_borrow().ok().filter(|desk| desk.root == root).and_then(|desk| desk.records.as_ref()?.every());
        if every.is_some() {
            super::calls::deliver(desk);
        }
        every.unwrap_or(0)
    }
}

/// One copied request.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) live: Rc<Live>,
    pub(crate) route: usize,
    pub(crate) sampled: Sampled,
    pub(crate) pair: Pair,
    /// Bytes that Envoy holds of what was sent.
    pub(crate) sent_bytes: usize,
    pub(crate) notes: Notes,
}

/// What is kept of a route beyond a configuration.
#[derive(Debug, Default)]
struct Kept {
    comparison: Comparison,
    noise: Option<NoiseCopy>,
    /// In what stable differs from itself.
    tally: Tally,
    /// Parts of 10,000 towards the next second copy.
    twice: u32,
    /// Parts of 10,000 towards the next record of a match.
    matches: u32,
}

/// The copied requests of one target on one worker.
#[derive(Debug)]
pub(crate) struct Desk {
    budget: Budget,
    /// Clusters that did not take the last copies.
    pub(crate) backoff: Backoff,
    entries: FxHashMap<u32, Box<Entry>>,
    next: u32,
    routes: FnvHashMap<String, Kept>,
    /// Where records go, if anywhere.
    pub(crate) records: Option<Records>,
    /// The root context of the configuration in force.
    pub(crate) root: u32,
    /// Whether a kill is on, for all or for these routes.
    killed: bool,
    killed_routes: Vec<String>,
}

impl Budget {
    /// After anything happened to a request: what it holds now. If that is too much, it lets go.
    fn reckon(&mut self, entry: &mut Entry) {
        let (before, after) = (entry.pair.reckoned, entry.pair.held(entry.sent_bytes));
        // What was reckoned for a body that is still to come stays reckoned.
        let after = if entry.pair.gathers() { after.max(before) } else { after };
        entry.pair.reckoned = after;
        if !self.change(before, after) {
            entry.pair.spoil(Ending::Dropped(Over::Bytes));
            let less = entry.pair.held(entry.sent_bytes);
            self.change(after, less);
            entry.pair.reckoned = less;
        }
    }
}

impl Desk {
    fn new(config: &PluginConfig) -> Self {
        Self {
            budget: Budget::new(&config.shadowing.budget),
            backoff: Backoff::default(),
            entries: FxHashMap::default(),
            next: 0,
            routes: FnvHashMap::default(),
            records: None,
            root: 0,
            killed: false,
            killed_routes: Vec::new(),
        }
    }

    /// A configuration is in force from now on.
    pub(crate) fn in_force(&mut self, config: &PluginConfig, token: Option<&Vec<u8>>, root: u32) {
        self.root = root;
        let token = token.cloned();
        match (&mut self.records, &config.shadowing.records) {
            (Some(records), Some(to)) => records.set(to, token),
            (records, Some(to)) => *records = Some(Records::new(&config.target, to, token)),
            (Some(records), None) => records.close(),
            (None, None) => {}
        }
        self.budget.set(&config.shadowing.budget);
        let shadows = || config.routes.iter().filter_map(|route| route.shadow.as_ref());
        self.backoff.keep(|cluster| {
            shadows().any(|of| of.cluster == cluster || of.noise.as_ref().is_some_and(|noise| noise.cluster == cluster))
        });
        self.killed = config.kill_switch;
        let killed = config.routes.iter().filter(|route| route.kill_switch);
        self.killed_routes = killed.map(|route| route.name.clone()).collect();
        let mut before = core::mem::take(&mut self.routes);
        for route in &config.routes {
            let Some(shadow) = &route.shadow else { continue };
            // What was counted by other rules says nothing.
            let kept = before
                .remove(&route.name)
                .filter(|kept| kept.comparison == shadow.compare && kept.noise == shadow.noise);
            let kept = kept.unwrap_or_else(|| {
                let rule = (shadow.noise.as_ref())
                    .map_or_else(Rule::default, |noise| Rule { relative: noise.relative, absolute: noise.absolute });
                let (comparison, noise) = (shadow.compare.clone(), shadow.noise.clone());
                Kept { comparison, noise, tally: Tally::new(rule), ..Kept::default() }
            });
            self.routes.insert(route.name.clone(), kept);
        }
    }

    /// Whether a kill forbids to send what was taken in before it.
    pub(crate) fn is_killed(&self, route: &str) -> bool {
        self.killed || self.killed_routes.iter().any(|killed| killed == route)
    }

    /// Whether the next copied request of a route is copied twice.
    pub(crate) fn twice(&mut self, route: &str, share: u32) -> bool {
        self.routes.get_mut(route).is_some_and(|kept| due(&mut kept.twice, share))
    }

    /// Whether the budget has no room for another, whatever it holds.
    pub(crate) const fn is_full(&self) -> bool {
        self.budget.is_full()
    }

    /// Takes a request in, which then has a number.
    pub(crate) fn admit(
        &mut self,
        live: &Rc<Live>,
        route: usize,
        sampled: &Sampled,
        request: Request,
        bytes: usize,
        notes: Notes,
    ) -> Result<u32, Over> {
        self.budget.admit(bytes, notes.started)?;
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let entry = Entry {
            live: Rc::clone(live),
            route,
            sampled: sampled.clone(),
            pair: Pair::new(request, bytes),
            sent_bytes: 0,
            notes,
        };
        self.entries.insert(number, Box::new(entry));
        Ok(number)
    }

    /// A request by its number. What it holds and whether it is over are not looked at: see [`Self::with`].
    pub(crate) fn entry(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries.get_mut(&number).map(|entry| &mut **entry)
    }

    /// Does something to a request: reckons what it then holds, and ends it when nothing more will come.
    pub(crate) fn with<T>(&mut self, number: u32, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(&number)?;
        let result = change(entry);
        self.budget.reckon(entry);
        if entry.pair.is_over()
            && let Some(entry) = self.entries.remove(&number)
        {
            self.budget.release(entry.pair.reckoned);
            self.end(&entry);
        }
        Some(result)
    }

    /// Takes a request in whose shadow is not to be asked now: what becomes of the user's answer is looked at all the same.
    pub(crate) fn admit_unsent(
        &mut self,
        live: &Rc<Live>,
        route: usize,
        sampled: &Sampled,
        now: u64,
    ) -> Result<u32, Over> {
        let notes = Notes { started: now, ..Notes::default() };
        let number = self.admit(live, route, sampled, Request::none(), 0, notes)?;
        if let Some(entry) = self.entry(number) {
            entry.pair.send(now);
            entry.pair.called(Role::Shadow, Err(Failure::BackedOff));
        }
        Ok(number)
    }

    /// A call's answer, or why none comes; it is read by `answer`. `now` is monotonic, in nanoseconds.
    pub(crate) fn answered(
        &mut self,
        number: u32,
        role: Role,
        answer: impl FnOnce(&Entry) -> Result<Side, Failure>,
        now: u64,
    ) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let answer = answer(entry);
        let shadow = entry.live.table.route(entry.route).and_then(|of| of.shadow.as_ref());
        let cluster = shadow.and_then(|shadow| match role {
            Role::Shadow => Some(&shadow.cluster),
            Role::Noise => shadow.noise.as_ref().map(|noise| &noise.cluster),
        });
        if let Some(cluster) = cluster {
            let sign = answer.as_ref().map_or_else(|failure| failure.sign(), |_| Sign::Reached);
            self.backoff.told(cluster, entry.pair.sent(), sign, now);
        }
        self.with(number, |entry| entry.pair.answered(role, answer, now));
    }

    /// Counts what became of a request.
    fn end(&mut self, entry: &Entry) {
        let Entry { live, route, sampled, pair, notes, .. } = entry;
        let (Some(series), Some(of)) =
            (live.shadows.board.series(&live.table, *route, sampled), live.table.route(*route))
        else {
            return;
        };
        let facts = Facts { route: of, series, sampled, notes };
        let primary = pair.whole_primary().map(|(side, us)| (side.failed(), answer(side, us)));
        match pair.ending() {
            Ending::Both(answers) => {
                if let Some(rules) = live.table.rules(*route) {
                    self.compare(rules, &facts, &answers);
                }
            }
            Ending::Dropped(over) => series.dropped(over),
            Ending::Refused => series.refused(CopyRefusal::TooLarge),
            Ending::Failed(failure) => {
                let (primary_failed, primary) = primary.unwrap_or_default();
                series.failed(failure, primary_failed, sampled.bucket);
                if let Some(records) = self.records.as_mut().filter(|of| of.is_open() && failure.is_recorded()) {
                    let error = Failure::ALL.get(failure as usize).map(|reason| (*reason).to_owned());
                    let shadow = Answer { error, ..Answer::default() };
                    let told = Told { primary, shadow, outcome: None, only_noise: false, noise: None, share: 10_000 };
                    records.note(&facts, told, host::monotonic());
                }
            }
        }
    }

    fn compare(&mut self, rules: &Rules, facts: &Facts<'_>, answers: &Answers<'_>) {
        let Facts { route: of, series, sampled, .. } = *facts;
        let Some(shadow) = &of.shadow else { return };
        let wanted = Wanted { values: shadow.record.values };
        let outcome = rules.compare(answers.primary, answers.shadow, wanted);
        let matched = matches!(outcome.verdict, Verdict::Matched);
        let opened = self.records.as_ref().is_some_and(Records::is_open);
        // A match says nothing of noise, and leaves nothing behind where nobody takes records.
        let wanted = !matched || opened || !matches!(answers.noise, Noise::None);
        let mut kept = if wanted { self.routes.get_mut(&of.name) } else { None };
        let mut noise = None;
        match &answers.noise {
            Noise::None => {}
            Noise::Failed => series.noise(None),
            Noise::Answered(side) => {
                let of_itself = rules.compare(answers.primary, side, Wanted::default());
                series.noise(Some(matches!(of_itself.verdict, Verdict::Matched)));
                noise = Some(of_itself);
            }
        }
        let only_noise = kept.as_mut().is_some_and(|kept| {
            if let Some(noise) = &noise {
                kept.tally.observe(&outcome, noise);
            }
            kept.tally.only_noise(&outcome)
        });
        let compared = Compared {
            outcome: &outcome,
            only_noise,
            failed: [answers.primary.failed(), answers.shadow.failed()],
            latency: [answers.primary_us, answers.shadow_us],
        };
        series.compared(&compared, sampled.bucket);
        let Some(records) = self.records.as_mut().filter(|records| records.is_open()) else { return };
        let share = if matched { shadow.record.matches } else { 10_000 };
        if matched && !kept.is_some_and(|kept| due(&mut kept.matches, share)) {
            return;
        }
        let told = Told {
            primary: answer(answers.primary, answers.primary_us),
            shadow: answer(answers.shadow, answers.shadow_us),
            outcome: Some(&outcome),
            only_noise,
            noise: noise.as_ref(),
            share,
        };
        records.note(facts, told, host::monotonic());
    }
}

/// A side as a record tells it.
fn answer(side: &Side, us: u64) -> Answer {
    Answer {
        status: Some(side.status()),
        grpc_status: side.grpc_status(),
        us: Some(us),
        bytes: Some(side.body_bytes() as u64),
        error: None,
    }
}

/// Of every 10,000 times that this is asked, so many are due, evenly spread.
fn due(towards: &mut u32, share: u32) -> bool {
    *towards = towards.saturating_add(share);
    let due = *towards >= 10_000;
    if due {
        *towards -= 10_000;
    }
    due
}
