//! Records of comparisons, as the proxies send them or other tools log them: read, collected, labelled, shown.
//!
//! `lines` cuts files into lines, `fields` says where in a line each thing stands, `record` reads one, `labels` keeps who was right, and `page`
//! draws what was found. What records mean is `headgate_rollout::shadow`'s.

pub(crate) mod collect;
pub(crate) mod fields;
pub(crate) mod labels;
pub(crate) mod lines;
pub(crate) mod page;
pub(crate) mod record;
pub(crate) mod table;
