//! How many metric series a configuration can lead to, so that no proxy drowns in labels.

use headgate_contract::limits::{REPLICATES, ROUTES, SERIES};
use headgate_contract::{PluginConfig, Route};

use crate::checks::Checks;

/// Reasons that only the hash or a random number gives, and so once per segment: exclude, hash, issued, random.
const BY_SEGMENT: usize = 4;
/// The other reasons.
const BY_ROUTE: usize = 6;
/// Per variant, way of assignment and segment: 6 classes of responses, 18 gRPC statuses, timeouts, two histograms.
const ANSWERS: usize = 6 + 18 + 1 + 2;
/// Reasons of a misrouted request.
const MISROUTED: usize = 2;
/// Per route: mirrored, and four reasons for refusing to.
const MIRRORED: usize = 5;

/// Per segment of a route with a shadow: sampled, 4 verdicts, 11 kinds, 5 refusals, 3 ways of dropping, 8 of failing, two latencies,
/// the difference, 3 of the noise copy.
#[cfg(feature = "shadow")]
const SHADOWED: usize = 1 + 4 + 11 + 5 + 3 + 8 + 2 + 1 + 3;
/// Per segment and replicate bucket: pairs, compared, mismatched, failures and latency of both sides.
#[cfg(feature = "shadow")]
const SHADOW_REPLICATES: usize = 3 + 2 + 2;

/// Per variant and segment: each prediction's bins by replicate bucket, and 9 reasons for not reading it.
#[cfg(feature = "shadow")]
fn predicted(route: &Route) -> usize {
    let fields = route.predictions.iter().flat_map(|of| &of.fields);
    fields
        .map(|of| (of.edges.len().max(of.classes.len()) + 1) * usize::from(REPLICATES) + crate::Unread::ALL.len())
        .sum()
}

#[cfg(not(feature = "shadow"))]
const fn predicted(_: &Route) -> usize {
    0
}

/// Series of one route when every request that can happen has happened.
pub fn of(route: &Route, replicates: usize) -> usize {
    let segments = route.segments.len() + 1;
    let requests = BY_SEGMENT * segments + BY_ROUTE;
    let answers = ANSWERS * (segments + 1);
    let replicated = replicates * segments * usize::from(REPLICATES);
    let goals = route.goals.len() * segments * usize::from(REPLICATES);
    let mirrored = if route.mirror.is_some() { MIRRORED } else { 0 };
    #[cfg(feature = "shadow")]
    let mirrored = match &route.shadow {
        Some(_) => mirrored + segments * (SHADOWED + SHADOW_REPLICATES * usize::from(REPLICATES)),
        None => mirrored,
    };
    let predicted = predicted(route) * segments;
    route.variants.len() * (predicted + requests + answers + replicated + goals + MISROUTED) + mirrored
}

pub(crate) fn check(config: &PluginConfig, checks: &mut Checks) {
    let count: usize = config.routes.iter().take(ROUTES).map(|route| of(route, config.metrics.replicates.len())).sum();
    if count > SERIES {
        checks.push(
            "routes",
            format!("lead to up to {count} metric series, at most {SERIES} are taken: fewer segments, variants, replicates or goals"),
        );
    }
}
