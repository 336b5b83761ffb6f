//! Pearson's chi-square: of independence in a table, and of agreement with given shares.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::super::reason::{Reason, amount, counted};
use super::{Look, Test};

/// Independence of rows and columns. Statistic: chi-square. `yates`: the continuity correction, for 2 x 2 tables alone.
///
/// Pearson 1900; Yates 1934; Agresti 2013, "Categorical Data Analysis", eq. 3.10. Assumes independent units, expected counts of about 5 or more.
/// Degenerate: [`Reason::TooFew`] rows or columns, [`Reason::ZeroVariance`] for an empty row or column.
pub fn independence(rows: &[&[f64]], yates: bool, look: Look) -> Result<Test, Reason> {
    look.once()?;
    let width = rows.first().map_or(0, |row| row.len());
    if rows.len() < 2 || width < 2 {
        return Err(Reason::TooFew { what: "rows and columns", have: rows.len().min(width) as f64, need: 2.0 });
    }
    let mut columns = vec![0.0; width];
    for row in rows {
        if row.len() != width {
            return Err(Reason::LengthsDiffer { left: width, right: row.len() });
        }
        for (sum, count) in columns.iter_mut().zip(*row) {
            *sum += counted("a count", *count)?;
        }
    }
    let total: f64 = columns.iter().sum();
    let correct = yates && rows.len() == 2 && width == 2;
    let mut chi = 0.0;
    for row in rows {
        let of_row: f64 = row.iter().sum();
        for (count, of_column) in row.iter().zip(&columns) {
            let expected = of_row * of_column / total;
            if expected.is_nan() || expected <= 0.0 {
                return Err(Reason::ZeroVariance);
            }
            let off = (count - expected).abs();
            let off = if correct { off - off.min(0.5) } else { off };
            chi += off * off / expected;
        }
    }
    test(chi, ((rows.len() - 1) * (width - 1)) as f64)
}

/// Agreement of counts with `shares` (relative weights above 0). Statistic: chi-square. For a sample ratio that is looked at
/// more than once, take [`crate::stats::srm`].
pub fn agreement(counts: &[f64], shares: &[f64], look: Look) -> Result<Test, Reason> {
    look.once()?;
    if counts.len() != shares.len() {
        return Err(Reason::LengthsDiffer { left: counts.len(), right: shares.len() });
    }
    if counts.len() < 2 {
        return Err(Reason::TooFew { what: "counts", have: counts.len() as f64, need: 2.0 });
    }
    let (mut total, mut weight) = (0.0, 0.0);
    for (count, share) in counts.iter().zip(shares) {
        total += counted("a count", *count)?;
        if amount("a share", *share)? == 0.0 {
            return Err(Reason::OutOfRange { what: "a share", value: *share, allowed: "above 0" });
        }
        weight += share;
    }
    if total <= 0.0 {
        return Err(Reason::NoData("counts"));
    }
    let one = |(count, share): (&f64, &f64)| {
        let expected = total * share / weight;
        (count - expected).powi(2) / expected
    };
    test(counts.iter().zip(shares).map(one).sum(), counts.len() as f64 - 1.0)
}

fn test(statistic: f64, df: f64) -> Result<Test, Reason> {
    let law = ChiSquared::new(df).map_err(|_| Reason::NotFinite("the degrees of freedom"))?;
    Ok(Test { statistic, df, p: law.sf(statistic) })
}
