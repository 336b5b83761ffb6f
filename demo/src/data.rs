//! Handwritten digits: the data set (`data/README.md` says whose), read from the text that is compiled in.

use std::fmt;

/// Pixels of one picture.
pub const PIXELS: usize = 64;

const TEXT: &str = include_str!("../data/digits.csv");

/// One picture and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The user who asks about it, by the number of its line from 0: `user-0017`.
    pub user: String,
    /// 8 x 8 pixels, row by row from the top, 0 (white) to 16 (black).
    pub pixels: Vec<u8>,
    /// The digit that it shows, 0 to 9: ground truth.
    pub digit: u8,
}

/// A line that is not 64 pixels and a digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataError {
    line: usize,
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "demo/data/digits.csv, line {}: expected {PIXELS} pixels of 0 to 16 and a digit; restore the file",
            self.line
        )
    }
}

impl std::error::Error for DataError {}

/// All rows, in the order of the file.
///
/// # Errors
/// The first line that is not 64 pixels and a digit.
pub fn rows() -> Result<Vec<Row>, DataError> {
    TEXT.lines().enumerate().map(|(i, line)| row(i, line).ok_or(DataError { line: i + 1 })).collect()
}

/// Every third row: what the models learn from.
pub fn teachers(rows: &[Row]) -> impl Iterator<Item = &Row> + Clone {
    rows.iter().step_by(3)
}

/// The other rows: no model has seen them. Each is one user.
pub fn users(rows: &[Row]) -> impl Iterator<Item = &Row> + Clone {
    rows.iter().enumerate().filter(|(i, _)| i % 3 != 0).map(|(_, row)| row)
}

fn row(i: usize, line: &str) -> Option<Row> {
    let mut numbers = line.split(',').map(|text| text.parse::<u8>().ok()).collect::<Option<Vec<u8>>>()?;
    let digit = numbers.pop()?;
    let whole = numbers.len() == PIXELS && numbers.iter().all(|&pixel| pixel <= 16) && digit <= 9;
    whole.then(|| Row { user: format!("user-{i:04}"), pixels: numbers, digit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_set_is_whole() {
        let rows = rows().unwrap();
        assert_eq!(rows.len(), 1_797);
        let of_digit = |digit| rows.iter().filter(|row| row.digit == digit).count();
        // As the data set's own description counts them.
        assert_eq!((0..10).map(of_digit).collect::<Vec<_>>(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn nobody_asks_about_what_was_learned_from() {
        let rows = rows().unwrap();
        assert_eq!((teachers(&rows).count(), users(&rows).count()), (599, 1_198));
        assert!(users(&rows).all(|user| teachers(&rows).all(|row| row.user != user.user)));
    }

    #[test]
    fn a_broken_line_is_refused() {
        assert_eq!(row(0, "1,2,3"), None);
        let line = |pixel: &str, digit: &str| format!("{}{pixel},{digit}", "0,".repeat(63));
        assert!(row(0, &line("16", "9")).is_some());
        assert_eq!(row(0, &line("17", "9")), None);
        assert_eq!(row(0, &line("16", "10")), None);
    }
}
