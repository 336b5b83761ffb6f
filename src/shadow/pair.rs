//! One copied request: what the user got, what the shadow answered, and when both are there.
//!
//! Either answer may come first, and either may never come. A pair is over when the user's answer has ended, one way or
//! the other, and no call is waited for; then it has exactly one [`Ending`]. It compares nothing and sends nothing.

use headgate_compare::Side;

use super::backoff::Sign;
use super::budget::Over;

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The copy for the new version.
    Shadow,
    /// The second copy, for the stable version.
    Noise,
}

/// Why a pair was not compared though its copy was not refused. Label `reason` of `headgate_shadow_failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The shadow did not answer in time.
    Timeout,
    /// The shadow could not be reached, or reset the connection.
    Unreachable,
    /// Envoy did not take the call: there is no such cluster, no healthy host in it, or its circuit breaker is open.
    NotSent,
    /// The shadow's answer broke off, or was larger than Envoy holds: Envoy does not tell which.
    Incomplete,
    /// The user's request or answer did not come to its end.
    Aborted,
    /// The configuration that sent the copy was gone before its answer came.
    Reconfigured,
    /// A kill came before the copy was sent.
    Killed,
    /// It was not sent, because those before it did not arrive.
    BackedOff,
}

impl Failure {
    /// Every one's label, in the order of their numbers.
    pub(crate) const ALL: [&'static str; 8] =
        ["timeout", "unreachable", "not_sent", "incomplete", "aborted", "reconfigured", "killed", "backed_off"];

    /// What it tells of the cluster that the copy was for.
    pub(crate) const fn sign(self) -> Sign {
        match self {
            Self::Unreachable | Self::NotSent => Sign::Unreached,
            Self::Incomplete => Sign::Reached,
            Self::Timeout => Sign::Unclear,
            Self::Aborted | Self::Reconfigured | Self::Killed | Self::BackedOff => Sign::Unknown,
        }
    }

    /// Whether it is the shadow's fault.
    pub(crate) const fn is_the_shadows(self) -> bool {
        matches!(self, Self::Timeout | Self::Unreachable | Self::NotSent | Self::Incomplete | Self::BackedOff)
    }

    /// Whether a record tells it: where something was tried.
    pub(crate) const fn is_recorded(self) -> bool {
        self.is_the_shadows() && !matches!(self, Self::BackedOff)
    }
}

/// The answer of a copy.
#[derive(Debug)]
pub(crate) enum Call {
    /// Not sent, or not yet.
    None,
    /// Sent.
    Waiting,
    /// Answered, so many microseconds after it was sent.
    Answered(Side, u64),
    /// Never answered.
    Failed(Failure),
}

/// How far the user's answer came.
#[derive(Debug)]
enum Progress {
    /// Not all of it yet: nothing, or from its headers on.
    Open,
    /// All of it, so many microseconds after the copy was sent.
    Ended(u64),
    /// Never all of it.
    Aborted,
}

/// A request that waits for its end before it is copied.
#[derive(Debug)]
pub(crate) struct Request {
    /// The copy's headers, serialized.
    pub(crate) headers: Vec<u8>,
    /// Its body so far.
    pub(crate) body: Vec<u8>,
    /// Largest body.
    pub(crate) most: usize,
    /// Whether a second copy is sent.
    pub(crate) twice: bool,
}

impl Request {
    /// One that is not going to be sent.
    pub(crate) const fn none() -> Self {
        Self { headers: Vec::new(), body: Vec::new(), most: 0, twice: false }
    }

    fn held(&self) -> usize {
        self.headers.capacity() + self.body.capacity()
    }
}

/// A copied request.
#[derive(Debug)]
pub(crate) struct Pair {
    request: Option<Request>,
    /// Monotonic, in nanoseconds.
    sent: u64,
    /// What the user got, from its headers on.
    primary: Option<Side>,
    progress: Progress,
    shadow: Call,
    noise: Call,
    /// What made it pointless, whatever else comes.
    spoiled: Option<Ending<()>>,
    /// Bytes that are reckoned for it.
    pub(crate) reckoned: usize,
}

/// How a pair ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending<T> {
    /// Both answers are there.
    Both(T),
    /// It went beyond the budget after all.
    Dropped(Over),
    /// Its body turned out larger than is copied.
    Refused,
    /// One answer never came.
    Failed(Failure),
}

/// Both answers of a pair.
#[derive(Debug)]
pub(crate) struct Answers<'p> {
    pub(crate) primary: &'p Side,
    /// Microseconds from the copy's sending to the end of the user's answer.
    pub(crate) primary_us: u64,
    pub(crate) shadow: &'p Side,
    pub(crate) shadow_us: u64,
    /// The stable version's second answer.
    pub(crate) noise: Noise<'p>,
}

/// What came of a second copy.
#[derive(Debug)]
pub(crate) enum Noise<'p> {
    /// None was sent.
    None,
    Answered(&'p Side),
    Failed,
}

impl Pair {
    /// A pair whose request is gathered.
    pub(crate) fn new(request: Request, reckoned: usize) -> Self {
        Self {
            request: Some(request),
            sent: 0,
            primary: None,
            progress: Progress::Open,
            shadow: Call::None,
            noise: Call::None,
            spoiled: None,
            reckoned,
        }
    }

    /// Whether more of the request is waited for.
    pub(crate) const fn gathers(&self) -> bool {
        self.request.is_some()
    }

    /// The next piece of the request's body. `false` when it is larger than is copied; then it is over.
    pub(crate) fn gather(&mut self, bytes: Vec<u8>) -> bool {
        let Some(request) = &mut self.request else { return true };
        if request.body.len().saturating_add(bytes.len()) > request.most {
            self.spoil(Ending::Refused);
            return false;
        }
        match request.body.is_empty() {
            // Mostly it comes whole.
            true => request.body = bytes,
            false => request.body.extend_from_slice(&bytes),
        }
        true
    }

    /// The request has ended and goes out: now, monotonic, in nanoseconds.
    pub(crate) fn send(&mut self, now: u64) -> Option<Request> {
        self.sent = now;
        self.request.take()
    }

    /// A call was sent, or why not.
    pub(crate) fn called(&mut self, role: Role, sent: Result<(), Failure>) {
        let call = sent.map_or_else(Call::Failed, |()| Call::Waiting);
        match role {
            Role::Shadow => self.shadow = call,
            Role::Noise => self.noise = call,
        }
    }

    /// When its copy was sent; 0 before. Monotonic, in nanoseconds.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// A call's answer came, or never will. `now` is monotonic, in nanoseconds.
    pub(crate) fn answered(&mut self, role: Role, answer: Result<Side, Failure>, now: u64) {
        let after = self.after(now);
        let call = match (answer, self.spoiled.is_some()) {
            // Nothing is kept of what is not compared.
            (Ok(_), true) => Call::None,
            (Ok(side), false) => Call::Answered(side, after),
            (Err(failure), _) => Call::Failed(failure),
        };
        match role {
            Role::Shadow => self.shadow = call,
            Role::Noise => self.noise = call,
        }
    }

    /// The user's answer has begun.
    pub(crate) fn begins(&mut self, side: Side) {
        if matches!(self.progress, Progress::Open) && self.primary.is_none() && self.spoiled.is_none() {
            self.primary = Some(side);
        }
    }

    /// Whether anything more of the user's body could change what is told of it.
    pub(crate) const fn reads_primary(&self) -> bool {
        match (&self.progress, &self.primary, &self.shadow) {
            (.., Call::Failed(Failure::BackedOff)) => false,
            (Progress::Open, Some(side), _) => side.wants_body(),
            _ => false,
        }
    }

    /// The user's answer as far as it came, if anybody wants to know.
    pub(crate) const fn primary(&mut self) -> Option<&mut Side> {
        match self.progress {
            Progress::Open => self.primary.as_mut(),
            _ => None,
        }
    }

    /// The user's answer is whole. `now` is monotonic, in nanoseconds.
    pub(crate) fn ends(&mut self, now: u64) {
        let after = self.after(now);
        if let Some(side) = self.primary() {
            side.finish();
            self.progress = Progress::Ended(after);
        } else if matches!(self.progress, Progress::Open) {
            self.progress = Progress::Aborted;
        }
    }

    /// The user's stream is over: what is not whole now never will be.
    pub(crate) fn is_gone(&mut self) {
        if self.request.take().is_some() {
            // The request itself did not come to its end: nothing was ever sent.
            self.spoil(Ending::Failed(Failure::Aborted));
        }
        if matches!(self.progress, Progress::Open) {
            self.aborts();
        }
    }

    /// Makes it pointless; what it holds goes. The first reason counts.
    pub(crate) fn spoil(&mut self, ending: Ending<()>) {
        self.spoiled.get_or_insert(ending);
        self.request = None;
        for call in [&mut self.shadow, &mut self.noise] {
            if matches!(call, Call::Answered(..)) {
                *call = Call::None;
            }
        }
        match self.progress {
            Progress::Open => self.primary = None,
            _ => self.aborts(),
        }
    }

    /// What the user got is nothing that could be compared.
    fn aborts(&mut self) {
        self.primary = None;
        self.progress = Progress::Aborted;
    }

    /// Whether nothing more will come.
    pub(crate) const fn is_over(&self) -> bool {
        self.request.is_none()
            && !matches!(self.progress, Progress::Open)
            && !matches!(self.shadow, Call::Waiting)
            && !matches!(self.noise, Call::Waiting)
    }

    /// Bytes that are held for it, what Envoy holds of sent copies among them.
    pub(crate) fn held(&self, sent: usize) -> usize {
        let side = |call: &Call| match call {
            Call::Answered(side, _) => side.held(),
            _ => 0,
        };
        let primary = self.primary.as_ref().map_or(0, Side::held);
        self.request.as_ref().map_or(sent, Request::held) + primary + side(&self.shadow) + side(&self.noise)
    }

    /// The user's answer when it is whole, and the microseconds it took.
    pub(crate) const fn whole_primary(&self) -> Option<(&Side, u64)> {
        match (&self.primary, &self.progress) {
            (Some(side), Progress::Ended(us)) => Some((side, *us)),
            _ => None,
        }
    }

    /// What became of it. Asked when it is over.
    pub(crate) fn ending(&self) -> Ending<Answers<'_>> {
        match self.spoiled {
            Some(Ending::Dropped(over)) => return Ending::Dropped(over),
            Some(Ending::Refused) => return Ending::Refused,
            Some(Ending::Failed(failure)) => return Ending::Failed(failure),
            Some(Ending::Both(())) | None => {}
        }
        let (primary, shadow) = match (self.whole_primary(), &self.shadow) {
            // A kill or another configuration says nothing of the user's side, so it is named first.
            (_, Call::Failed(failure @ (Failure::Reconfigured | Failure::Killed))) => return Ending::Failed(*failure),
            (Some(primary), Call::Answered(shadow, shadow_us)) => (primary, (shadow, *shadow_us)),
            (Some(_), Call::Failed(failure)) => return Ending::Failed(*failure),
            _ => return Ending::Failed(Failure::Aborted),
        };
        let noise = match &self.noise {
            Call::None | Call::Waiting => Noise::None,
            Call::Answered(side, _) => Noise::Answered(side),
            Call::Failed(_) => Noise::Failed,
        };
        Ending::Both(Answers {
            primary: primary.0,
            primary_us: primary.1,
            shadow: shadow.0,
            shadow_us: shadow.1,
            noise,
        })
    }

    const fn after(&self, now: u64) -> u64 {
        if self.sent == 0 { 0 } else { now.saturating_sub(self.sent) / 1_000 }
    }
}

#[cfg(test)]
mod tests {
    use headgate_compare::Rules;
    use headgate_contract::{Comparison, Problems};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn side(body: &[u8]) -> Side {
        let rules = Rules::compile(&Comparison::default(), "compare", &mut Problems::default());
        let mut side = rules.side(200, |_| None::<Vec<u8>>);
        side.chunk(body);
        side
    }

    fn pair() -> Pair {
        Pair::new(Request { headers: vec![0; 100], body: Vec::new(), most: 8, twice: false }, 100)
    }

    /// One whose copy was sent a second after the clock began.
    fn sent() -> Pair {
        let mut pair = pair();
        assert!(
            pair.gather(b"12345678".to_vec()) && pair.send(SECOND).is_some_and(|request| request.body == b"12345678")
        );
        pair.called(Role::Shadow, Ok(()));
        pair
    }

    fn name(pair: Pair) -> String {
        assert!(pair.is_over(), "{pair:?}");
        match pair.ending() {
            Ending::Both(answers) => format!("both {} {}", answers.primary_us, answers.shadow_us),
            Ending::Dropped(over) => Over::ALL[over as usize].to_owned(),
            Ending::Refused => "refused".to_owned(),
            Ending::Failed(failure) => Failure::ALL[failure as usize].to_owned(),
        }
    }

    #[test]
    fn either_answer_may_come_first() {
        for shadow_first in [true, false] {
            let mut pair = sent();
            for is_shadow in [shadow_first, !shadow_first] {
                assert!(!pair.is_over());
                if is_shadow {
                    pair.answered(Role::Shadow, Ok(side(b"a")), 3 * SECOND);
                } else {
                    pair.begins(side(b""));
                    pair.primary().unwrap().chunk(b"a");
                    pair.ends(2 * SECOND);
                }
            }
            pair.is_gone();
            assert_eq!(name(pair), "both 1000000 2000000");
        }
    }

    #[test]
    fn what_never_comes_has_its_reason() {
        let mut aborted = sent();
        aborted.begins(side(b"half"));
        aborted.is_gone();
        assert!(!aborted.is_over(), "the call is still out");
        aborted.answered(Role::Shadow, Ok(side(b"a")), SECOND);
        assert_eq!(name(aborted), "aborted");

        let mut unsent = pair();
        assert!(unsent.gather(b"half".to_vec()));
        unsent.is_gone();
        assert_eq!(name(unsent), "aborted");

        for (failure, expect) in [
            (Failure::Timeout, "timeout"),
            (Failure::Unreachable, "unreachable"),
            (Failure::Incomplete, "incomplete"),
            (Failure::Reconfigured, "reconfigured"),
        ] {
            let mut pair = sent();
            pair.begins(side(b"a"));
            pair.ends(2 * SECOND);
            pair.answered(Role::Shadow, Err(failure), 3 * SECOND);
            assert_eq!(pair.whole_primary().map(|(_, us)| us), Some(1_000_000));
            assert_eq!(name(pair), expect);
        }
        // Whose fault it is decides when both sides failed.
        for (failure, expect) in [(Failure::Timeout, "aborted"), (Failure::Reconfigured, "reconfigured")] {
            let mut pair = sent();
            pair.is_gone();
            pair.answered(Role::Shadow, Err(failure), 3 * SECOND);
            assert_eq!(name(pair), expect);
        }
        let mut refused = pair();
        refused.send(SECOND);
        refused.called(Role::Shadow, Err(Failure::NotSent));
        refused.begins(side(b"a"));
        refused.ends(2 * SECOND);
        assert_eq!(name(refused), "not_sent");
    }

    #[test]
    fn a_body_that_turns_out_too_large_is_refused_and_nothing_is_sent() {
        let mut pair = pair();
        assert!(pair.gather(b"12345678".to_vec()) && !pair.gather(b"9".to_vec()));
        assert!(!pair.gathers() && pair.send(SECOND).is_none() && pair.held(0) == 0);
        pair.begins(side(b"a"));
        assert!(pair.primary().is_none(), "nobody wants to know");
        pair.ends(2 * SECOND);
        assert_eq!(name(pair), "refused");
    }

    #[test]
    fn what_is_spoiled_holds_nothing_and_the_first_reason_counts() {
        let mut pair = sent();
        pair.begins(side(b"a"));
        assert!(pair.held(50) > 50);
        pair.spoil(Ending::Dropped(Over::Bytes));
        pair.spoil(Ending::Failed(Failure::Killed));
        pair.answered(Role::Shadow, Ok(side(b"a")), 3 * SECOND);
        assert_eq!(pair.held(50), 50);
        pair.is_gone();
        assert_eq!(name(pair), "bytes");
    }

    #[test]
    fn a_second_copy_is_waited_for_and_may_fail() {
        let mut pair = sent();
        pair.called(Role::Noise, Ok(()));
        pair.begins(side(b"a"));
        pair.ends(2 * SECOND);
        pair.answered(Role::Shadow, Ok(side(b"a")), 2 * SECOND);
        assert!(!pair.is_over());
        pair.answered(Role::Noise, Err(Failure::Timeout), 3 * SECOND);
        assert_eq!(name(pair), "both 1000000 1000000");
    }
}
