//! For whom a request's goals would count: the version that the hash gives its key in the route of each goal.

use std::cell::OnceCell;

use headgate_contract::limits::REPLICATES;

use super::{Request, step};
use crate::goals::{Credit, Goal};
use crate::reads::Reads;
use crate::table::RoutingTable;
use crate::{Assigned, Env, Outcome, Reason};

impl RoutingTable {
    /// Notes every goal that the request reaches if its answer fits.
    #[inline(never)]
    pub(super) fn credit<'t>(&'t self, reads: &Reads<'t, '_>, env: &Env<'_>, out: &mut Outcome<'t>) {
        for (number, goal) in self.goals.iter().enumerate() {
            if goal.matcher.miss(reads, false).is_some() {
                continue;
            }
            step(env, || {
                (
                    format!("routes[{}].goals[{}]", goal.route, goal.index),
                    "may be reached, if the answer fits".to_owned(),
                )
            });
            let found = match &out.decision {
                Some(decision) if decision.route == goal.route => (decision.assigned == Assigned::Hash)
                    .then_some((decision.variant, decision.segment))
                    .zip(decision.replicate),
                _ => self.elsewhere(goal, reads, env),
            };
            if let Some(((variant, segment), replicate)) = found {
                out.credits.push(Credit::new(number, goal, variant, segment, replicate));
            }
        }
    }

    /// Variant, segment and replicate bucket of a request that another route decides; `None` where not the hash alone does.
    fn elsewhere<'t>(&'t self, goal: &Goal, reads: &Reads<'t, '_>, env: &Env<'_>) -> Option<((usize, usize), u8)> {
        let index = goal.route;
        let (route, ready) = (self.config.routes.get(index)?, self.ready.get(index)?);
        let killed = self.config.kill_switch || ready.kill;
        let request = Request { table: self, index, route, ready, killed, reads, env, key: OnceCell::new() };
        // What its tokens are worth is counted where they are used.
        if killed || request.overridden(&mut Outcome::default()).is_some() {
            return None;
        }
        let key = request.key()?;
        let choice = request.by_key(key);
        let hashed = (choice.reason == Reason::Hash).then_some((choice.variant, choice.segment));
        hashed.zip(request.replicate(key))
    }
}

impl Request<'_, '_, '_> {
    /// The key's bucket, where the configuration counts any.
    pub(super) fn replicate(&self, key: &[u8]) -> Option<u8> {
        u8::try_from(self.ready.replicate.as_ref()?.bucket(key, u64::from(REPLICATES))).ok()
    }
}
