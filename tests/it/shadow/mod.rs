//! Shadows: copies that the filter sends, and whose answers it compares. Every sampled request is accounted for, exactly.

mod accounting;
mod answers;
mod copies;
mod records;
mod rules;
mod script;
mod told;
mod unreachable;
mod ways;
mod world;
