//! How alpha is shared out over steps and criteria.
//!
//! By the union bound (Bonferroni): each criterion of each judged step may fail falsely with an equal share, so that the
//! rollout as a whole does with at most alpha, whatever depends on what. Steps are judged on data of their own, but a
//! better bound would gain little: the price of a k-th test is ln k in the evidence it needs.

use super::Plan;
use crate::file::Importance;

/// Gives every criterion its share. Criteria of a dry run take none from the others, and are judged at the same share; those with an alpha of their own keep it.
pub(crate) fn share_alpha(plan: &mut Plan) {
    let steps = || plan.steps.iter().chain([&plan.monitoring]);
    let acting = steps()
        .flat_map(|s| &s.criteria)
        .filter(|c| !matches!(c.importance, Importance::DryRun) && c.own_alpha.is_none())
        .count()
        .max(1);
    #[expect(clippy::cast_precision_loss, reason = "some dozens")]
    let share = plan.judging.alpha / acting as f64;
    for criterion in plan.steps.iter_mut().chain([&mut plan.monitoring]).flat_map(|s| &mut s.criteria) {
        criterion.alpha = criterion.own_alpha.unwrap_or(share);
    }
}
