//! Goals: which conversions a request may be, and for whom they would count.
//!
//! A goal stands in the route whose versions are compared, and any request may reach it. What can be known when the request arrives is
//! decided then ([`Credit`]); the answer is looked at when it is there ([`RoutingTable::reached`]). A configuration
//! without goals asks for nothing and decides nothing here. It does not count: that is the shell's.

use headgate_contract::limits::GOALS;
use headgate_contract::{Route, check_header_name};

use crate::RoutingTable;
use crate::checks::Checks;
use crate::condition::Condition;
use crate::matcher::Matcher;

/// A goal, ready.
#[derive(Debug)]
pub(crate) struct Goal {
    /// The route whose variants it is credited to.
    pub(crate) route: usize,
    /// Its place in that route.
    pub(crate) index: usize,
    pub(crate) matcher: Matcher,
    /// First and last status code.
    statuses: Vec<(u16, u16)>,
    headers: Vec<(String, Condition)>,
}

/// A goal that a request reaches if its answer fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Index among all goals of the table.
    goal: usize,
    /// Index of the route that it stands in.
    pub route: usize,
    /// Index of the goal in that route.
    pub index: usize,
    /// Index of the variant that the hash gives the key there.
    pub variant: usize,
    /// As in [`crate::Decision`].
    pub segment: usize,
    /// The key's replicate bucket.
    pub replicate: u8,
}

impl Credit {
    pub(crate) fn new(goal: usize, of: &Goal, variant: usize, segment: usize, replicate: u8) -> Self {
        Self { goal, route: of.route, index: of.index, variant, segment, replicate }
    }
}

impl RoutingTable {
    /// Whether an answer makes a credit good. `header` gives the first value of a response header and is asked for what
    /// the goal names alone. Of gRPC only what its headers say is looked at: the status in its trailers is the shell's.
    pub fn reached(&self, credit: &Credit, status: u16, header: &dyn Fn(&str) -> Option<Vec<u8>>) -> bool {
        self.goals.get(credit.goal).is_some_and(|goal| {
            goal.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status))
                && goal.headers.iter().all(|(name, condition)| condition.holds(header(name).as_deref()))
        })
    }
}

/// The goals of a route.
pub(crate) fn compile(route: &Route, number: usize, path: &str, checks: &mut Checks, out: &mut Vec<Goal>) {
    let at = format!("{path}.goals");
    checks.at_most(&at, "goals", route.goals.len(), GOALS);
    checks.unique(route.goals.iter().map(|goal| goal.name.as_str()), |i| format!("{at}[{i}].name"));
    if !route.goals.is_empty() {
        if route.key.is_none() {
            checks.push(&at, "are credited by key, but the route has no `key`: say where keys come from");
        }
        if route.inbound.as_ref().is_some_and(|inbound| inbound.accept) {
            checks.push(&at, "cannot be credited by hash where `inbound.accept` takes over decisions: count them where the decision is made");
        }
    }
    for (index, goal) in route.goals.iter().enumerate().take(GOALS) {
        let at = format!("{at}[{index}]");
        checks.name(&format!("{at}.name"), &goal.name);
        let matcher =
            goal.matches.as_ref().map(|of| Matcher::compile(of, &format!("{at}.match"), checks)).unwrap_or_default();
        let mut statuses = Vec::new();
        for (i, text) in goal.status.iter().enumerate() {
            match status(text) {
                Some(range) => statuses.push(range),
                None => checks
                    .push(format!("{at}.status[{i}]"), format!("`{text}`: write a code as `201` or a class as `2xx`")),
            }
        }
        if goal.status.is_empty() {
            checks.push(format!("{at}.status"), "is empty, so no answer fits: leave it out for `2xx` and `3xx`");
        }
        let headers = goal.response_headers.iter().enumerate().map(|(i, field)| {
            let at = format!("{at}.responseHeaders[{i}]");
            if let Err(reason) = check_header_name(&field.name) {
                checks.push(format!("{at}.name"), reason);
            }
            (field.name.clone(), Condition::field(field, &at, checks))
        });
        let headers = headers.collect();
        out.push(Goal { route: number, index, matcher, statuses, headers });
    }
}

/// The codes that `201` or `2xx` names.
fn status(text: &str) -> Option<(u16, u16)> {
    match text.as_bytes() {
        [digit @ b'1'..=b'5', b'x', b'x'] => {
            let first = u16::from(digit - b'0') * 100;
            Some((first, first + 99))
        }
        [_, _, _] => text.parse().ok().filter(|code| (100..=599).contains(code)).map(|code| (code, code)),
        _ => None,
    }
}
