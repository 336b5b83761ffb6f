//! Two proportions by the z test.

use super::super::reason::{Reason, counted};
use super::{Alternative, Look, Test};

/// Events among units, each of which has one at most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Proportion {
    /// Units with the event.
    pub events: f64,
    /// All units.
    pub units: f64,
}

impl Proportion {
    /// `events` of `units`: whole or fractional (divided by a design effect), not negative, `events <= units`, `units > 0`.
    pub fn new(events: f64, units: f64) -> Result<Proportion, Reason> {
        counted("a number of events", events)?;
        if counted("a number of units", units)? == 0.0 {
            return Err(Reason::NoData("proportion"));
        }
        if events > units {
            return Err(Reason::EventsAboveUnits { events, units });
        }
        Ok(Proportion { events, units })
    }

    /// Events per unit.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.events / self.units
    }

    /// Variance of one unit: `p (1 - p)`.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let rate = self.rate();
        rate * (1.0 - rate)
    }
}

/// How the standard error of the difference is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// From both together, as the hypothesis of equality has it. The rule for tests.
    #[default]
    Pooled,
    /// From each by itself (Wald), as an interval has it.
    Unpooled,
}

/// z test of `b` against `a`. Statistic: z of `b - a`.
///
/// Fleiss, Levin and Paik 2003, "Statistical Methods for Rates and Proportions", eq. 3.3 without continuity correction (pooled), 3.15
/// (unpooled). Assumes independent units and at least about 5 events and 5 non-events in each. Degenerate:
/// [`Reason::ZeroVariance`] when no unit, or every unit, had the event.
pub fn z_test(
    a: Proportion,
    b: Proportion,
    spread: Spread,
    alternative: Alternative,
    look: Look,
) -> Result<Test, Reason> {
    look.once()?;
    let variance = match spread {
        Spread::Pooled => {
            let rate = (a.events + b.events) / (a.units + b.units);
            rate * (1.0 - rate) * (1.0 / a.units + 1.0 / b.units)
        }
        Spread::Unpooled => a.variance() / a.units + b.variance() / b.units,
    };
    if variance <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let statistic = (b.rate() - a.rate()) / variance.sqrt();
    Ok(Test { statistic, df: f64::INFINITY, p: alternative.normal(statistic) })
}
