//! Bandits: traffic that follows rewards while it is being learnt which variant earns most.
//!
//! A policy ([`policy`]) turns what is known of each arm ([`posterior`]) into shares, batch by batch: shares change only
//! between batches, in whole parts of the weights, and as few users change their variant as that allows ([`weights`]).
//! Rewards are kept by weight epoch and credited to the variant that the user had at exposure ([`ledger`]); what an arm
//! earns is inferred from them by [`crate::stats::adaptive`], never by a test that takes the shares for fixed.
//!
//! Dice are thrown by nobody here: which user explores is the split's hash, and Thompson's rule in batches is the chance
//! of each arm to be best, which is calculated. So the same rewards give the same weights, also after a restart.
//!
//! It publishes nothing and looks at no guardrail: [`mod@crate::tick`] does.

pub mod ledger;
pub mod policy;
pub mod posterior;
pub mod rules;
pub mod weights;

pub use ledger::{Epoch, Ledger};
pub use policy::Policy;
pub use posterior::{Posterior, Reward};
pub use rules::Rules;
