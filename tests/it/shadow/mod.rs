//! Shadows: copies that the filter sends, and whose answers it compares. Every sampled request is accounted for, exactly.

mod accounting;
mod copies;
mod records;
mod ways;
mod world;
