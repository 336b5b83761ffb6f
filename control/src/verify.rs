//! Confirmed means confirmed: whether a revision is in force on every proxy.
//!
//! A revision is applied when a proxy's acknowledgements grew by workers + 1 since before the write and its revision gauge
//! shows it. What is neither seen applied nor seen rejected is pending, and says so. [`judge`] is pure; [`watch`] asks until
//! everything is decided or the time is over.

use std::time::{Duration, Instant};

use crate::proxy::{Client, each};
use crate::stats::Reading;
use crate::target::Target;

/// What became of a revision on a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// In force in every VM.
    Applied,
    /// A later revision is in force, which was merged from this one.
    Superseded,
    /// Not seen in force.
    Pending,
    /// Refused: what was in force stays in force.
    Rejected,
}

/// A proxy's answer.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// The proxy's name.
    pub(crate) proxy: String,
    pub(crate) state: State,
    /// Why, in words.
    pub(crate) why: String,
    /// From the write until it was seen, in milliseconds; none while it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) milliseconds: Option<f64>,
    /// The revision that it has in force.
    pub(crate) in_force: Option<u64>,
}

/// Judges one reading against the one from before the write (`None`: the proxy did not answer then).
pub(crate) fn judge(before: Option<&Reading>, now: &Reading, revision: u64) -> (State, String) {
    let earlier = before.map_or(0, |b| b.acknowledgements);
    // Fewer than before: the proxy was started anew, and has counted from nothing.
    let grown = if now.acknowledgements < earlier { now.acknowledgements } else { now.acknowledgements - earlier };
    let refused = now.rejected > before.map_or(0, |b| b.rejected) && before.is_some();
    match (now.revision, now.workers) {
        (Some(r), _) if r > revision => (State::Superseded, format!("revision {r} is in force already")),
        (Some(r), Some(workers)) if r == revision && grown > workers => {
            (State::Applied, format!("acknowledged by {workers} workers and the main thread"))
        }
        _ if refused => {
            let filter = if now.refused > before.map_or(0, |b| b.refused) {
                "the filter refused it"
            } else {
                "Envoy refused it"
            };
            (State::Rejected, format!("{filter}; the reason is in the proxy's log"))
        }
        (Some(r), Some(workers)) if r == revision => {
            (State::Pending, format!("acknowledged by {grown} of {} threads", workers + 1))
        }
        (Some(r), None) if r == revision => {
            (State::Pending, "the proxy does not show server.concurrency: let its stats through".to_owned())
        }
        (Some(r), _) => (State::Pending, format!("revision {r} is in force")),
        (None, _) => (
            State::Pending,
            format!(
                "it shows no headgate_revision for this target: is the filter in it, and its target's name the same ({} acknowledgements)?",
                now.acknowledgements
            ),
        ),
    }
}

/// Asks every proxy until each has applied or rejected the revision, or `patience` is over. `before` are their readings
/// from before the write, in the target's order.
pub(crate) fn watch(
    client: &Client,
    target: &Target,
    resource: &str,
    before: &[Result<Reading, String>],
    revision: u64,
    since: Instant,
    patience: Duration,
) -> Vec<Verdict> {
    let earlier = |name: &str| {
        let at = target.proxies.iter().position(|p| p.name == name)?;
        before.get(at)?.as_ref().ok()
    };
    each(&target.proxies, |proxy| {
        loop {
            let asked = Instant::now();
            let answer = client.read(proxy, &target.name, resource);
            let took = since.elapsed();
            let in_force = answer.as_ref().ok().and_then(|r| r.revision);
            let (state, why) = match &answer {
                Ok(now) => judge(earlier(&proxy.name), now, revision),
                Err(e) => (State::Pending, format!("it cannot be asked: {e}")),
            };
            if state != State::Pending || took >= patience {
                let milliseconds = (state != State::Pending).then_some(took.as_secs_f64() * 1e3);
                return Verdict { proxy: proxy.name.clone(), state, why, milliseconds, in_force };
            }
            // At most half of a proxy's time goes into answering, however many series it has.
            std::thread::sleep(
                asked.elapsed().clamp(Duration::from_millis(2), Duration::from_millis(200)).min(patience),
            );
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(acknowledgements: u64, revision: Option<u64>, rejected: u64) -> Reading {
        Reading { workers: Some(2), acknowledgements, revision, rejected, ..Reading::default() }
    }

    #[test]
    fn applied_needs_every_thread_and_the_revision() {
        let before = read(6, Some(7), 1);
        let state = |now: &Reading| judge(Some(&before), now, 8).0;
        assert_eq!(state(&read(9, Some(8), 1)), State::Applied);
        assert_eq!(state(&read(8, Some(8), 1)), State::Pending);
        assert_eq!(state(&read(9, Some(7), 1)), State::Pending);
        assert_eq!(state(&read(6, Some(7), 2)), State::Rejected);
        assert_eq!(state(&read(12, Some(9), 1)), State::Superseded);
        assert_eq!(state(&read(3, Some(8), 0)), State::Applied, "started anew");
        assert_eq!(state(&Reading { workers: None, ..read(9, Some(8), 1) }), State::Pending);
        assert_eq!(judge(None, &read(3, Some(8), 5), 8).0, State::Applied);
        assert_eq!(judge(None, &read(0, None, 5), 8).0, State::Pending);
    }
}
