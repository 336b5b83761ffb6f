//! How a request's headers are read: one by one, or all at once.
//!
//! A header that is there costs the host about five times one that is not (its value needs memory in the VM, and asking
//! for that is an entry into it), the first one asked for costs more (Envoy then sorts the headers by name), and the
//! whole map costs as much as two or three. So the table says beforehand which is cheaper. It does not say
//! which headers are read: that is `decide`'s, which asks for nothing twice.

use headgate_routing::TypicalReads;

/// Costs in hundredths of a microsecond, as measured in Envoy 1.40: only their ratios matter.
const FIRST: usize = 35;
const FOUND: usize = 75;
const MISSING: usize = 14;
const WHOLE: usize = 125;

/// Above so many headers a request's map is not fetched whole: its cost grows with them, and a client chooses how many.
pub(crate) const MANY: usize = 48;

/// After so many headers that were there, a request whose table did not want the map fetches it after all.
pub(crate) const SINGLE_READS: usize = 3;

/// Whether a usual request is cheaper read as a whole.
pub(crate) const fn prefers_map(reads: TypicalReads) -> bool {
    FIRST + reads.found * FOUND + reads.missing * MISSING > WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_reads_are_made_one_by_one_and_many_at_once() {
        for (found, missing, expect) in
            [(0, 0, false), (0, 6, false), (1, 1, false), (1, 2, true), (2, 0, true), (0, 20, true)]
        {
            assert_eq!(prefers_map(TypicalReads { found, missing }), expect, "{found} and {missing}");
        }
    }
}
