//! The statistics of releases: is the new version worse, better, or as good, and may one stop looking?
//!
//! Users are divided, requests are counted, so nothing here takes a request for an independent observation. The unit is
//! the replicate bucket of users ([`cell`]): a second hash of the key puts every user into one of 32, and variance
//! comes from between them. Everything works on sufficient statistics that add up (counts, sums, squares, histograms).
//!
//! | question | module |
//! |---|---|
//! | Is the canary worse than the baseline, looked at as often as you like? | [`compare`] |
//! | The same for a latency quantile | [`quantile`] |
//! | Bounds on one rate or mean, looked at as often as you like | [`anytime`] |
//! | By how much do they differ, by any procedure; how many units does it take? | [`experiment`] |
//! | Do readings without a variance lie beyond a limit, looked at as often as you like? | [`sign`] |
//! | What would a step notice? | [`detect`] |
//! | A difference, an interval, a sample size; one look at independent units | [`fixed`] |
//! | The same, looked at repeatedly | [`sequential`] |
//! | Do versions get the users that their weights say? | [`srm`] |
//! | Tests of a table of a million lines | [`many`] |
//! | Several metrics or segments | [`multiple`], [`segments`] |
//! | How likely is it better, and what is lost if not? | [`bayes`] |
//! | Two answers to the same request: how far apart, how alike? | [`paired`] |
//! | Has a distribution moved since then? | [`drift`] |
//! | What does each arm of a bandit earn, whose weights followed the rewards? | [`adaptive`] |
//!
//! Data that cannot answer give a [`Reason`], never NaN and never a panic. What this does not do: no thresholds, no
//! policy, no time. It says what numbers mean; `judge` says what follows from it.

pub mod adaptive;
pub mod anytime;
pub mod bayes;
mod beta;
pub mod cell;
pub mod compare;
mod contrast;
pub mod counts;
pub mod design;
pub mod detect;
pub mod drift;
pub mod evalue;
pub mod experiment;
pub mod fixed;
pub mod histogram;
pub mod many;
pub mod multiple;
pub mod normal;
pub mod paired;
pub mod quantile;
mod reason;
pub mod segments;
pub mod sequential;
pub mod sign;
pub mod srm;

pub use cell::{Arm, Cell, Stratum};
pub use compare::{Finding, Limit, Method, Worse};
pub use reason::Reason;
