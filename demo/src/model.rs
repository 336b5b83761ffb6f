//! Models that read digits: multinomial logistic regression, learned by stochastic gradient descent.
//!
//! Rows are taken in the order of the data and weights begin at zero, so there is nothing random in it: two trainings of a
//! version give the same weights to the last bit. Three versions differ in what they see and how long they learn; how good each
//! is, is for the ones who ask it to find out.
//!
//! Source: C. M. Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4, equations 4.104 (softmax) and 4.109 (gradient).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::{PIXELS, Row};

const DIGITS: usize = 10;
/// Step of the descent. Below 0.3 every version needs more passes, above 1 the weights swing.
const STEP: f64 = 0.3;
/// The darkest pixel.
const BLACK: f64 = 16.0;

/// A version of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// Sees a coarse picture, the means of 2 x 2 pixels, and passes over the data twice.
    V1,
    /// Sees every pixel, twenty passes.
    V2,
    /// As `V2`, three passes.
    V3,
}

impl Version {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::V1, Self::V2, Self::V3];

    /// The name as it stands in answers and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }

    const fn passes(self) -> usize {
        match self {
            Self::V1 => 2,
            Self::V2 => 20,
            Self::V3 => 3,
        }
    }

    /// What the version sees of a picture, each from 0 (white) to 1 (black), and a constant 1 for the intercept.
    fn sees(self, pixels: &[f64]) -> Vec<f64> {
        let mut seen: Vec<f64> = match self {
            Self::V1 => {
                let mut sums = vec![0.0; PIXELS / 4];
                for (i, pixel) in pixels.iter().enumerate() {
                    let (line, column) = (i / 8, i % 8);
                    if let Some(sum) = sums.get_mut(line / 2 * 4 + column / 2) {
                        *sum += pixel / 4.0;
                    }
                }
                sums
            }
            Self::V2 | Self::V3 => pixels.to_vec(),
        };
        seen.iter_mut().for_each(|value| *value /= BLACK);
        seen.push(1.0);
        seen
    }
}

/// What a model says of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The most probable digit, 0 to 9.
    pub digit: u8,
    /// Its probability in the model's eyes, above 0 and at most 1.
    pub score: f64,
}

/// A picture that is not 64 pixels of 0 to 16.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError(String);

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InputError {}

/// A model that has learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    version: Version,
    /// For each digit, one weight for each thing seen.
    weights: Vec<Vec<f64>>,
}

impl Model {
    /// Learns from rows, in their order.
    pub fn learn<'r>(version: Version, rows: impl Iterator<Item = &'r Row>) -> Self {
        let seen: Vec<(Vec<f64>, u8)> = rows
            .map(|row| {
                let pixels: Vec<f64> = row.pixels.iter().copied().map(f64::from).collect();
                (version.sees(&pixels), row.digit)
            })
            .collect();
        let width = seen.first().map_or(0, |(seen, _)| seen.len());
        let mut model = Self { version, weights: vec![vec![0.0; width]; DIGITS] };
        for _ in 0..version.passes() {
            for (seen, digit) in &seen {
                model.step(seen, *digit);
            }
        }
        model
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Reads a picture: 64 pixels, row by row from the top, 0 (white) to 16 (black).
    ///
    /// # Errors
    /// When there are not 64 of them, or one is outside of 0 to 16.
    pub fn predict(&self, pixels: &[f64]) -> Result<Prediction, InputError> {
        if pixels.len() != PIXELS {
            return Err(InputError(format!("features: {} numbers, a picture has {PIXELS}", pixels.len())));
        }
        if let Some(i) = pixels.iter().position(|pixel| !(0.0..=BLACK).contains(pixel)) {
            return Err(InputError(format!("features[{i}]: a pixel is a number from 0 to {BLACK}")));
        }
        let mut best = Prediction { digit: 0, score: 0.0 };
        for (digit, score) in (0..).zip(self.probabilities(&self.version.sees(pixels))) {
            if score > best.score {
                best = Prediction { digit, score };
            }
        }
        Ok(best)
    }

    fn probabilities(&self, seen: &[f64]) -> Vec<f64> {
        let logits: Vec<f64> =
            self.weights.iter().map(|weights| weights.iter().zip(seen).map(|(w, x)| w * x).sum()).collect();
        // The greatest is taken off, so that no exponential overflows.
        let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut powers: Vec<f64> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter_mut().for_each(|power| *power /= sum);
        powers
    }

    fn step(&mut self, seen: &[f64], truth: u8) {
        let probabilities = self.probabilities(seen);
        for ((digit, weights), probability) in (0..).zip(&mut self.weights).zip(probabilities) {
            let error = probability - if digit == truth { 1.0 } else { 0.0 };
            for (weight, x) in weights.iter_mut().zip(seen) {
                *weight -= STEP * error * x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{rows, teachers, users};

    fn right(version: Version) -> usize {
        let rows = rows().unwrap();
        let model = Model::learn(version, teachers(&rows));
        let right = |row: &&Row| {
            let pixels: Vec<f64> = row.pixels.iter().copied().map(f64::from).collect();
            model.predict(&pixels).unwrap().digit == row.digit
        };
        users(&rows).filter(right).count()
    }

    #[test]
    fn learning_twice_gives_the_same_model() {
        let rows = rows().unwrap();
        for version in Version::ALL {
            assert_eq!(Model::learn(version, teachers(&rows)), Model::learn(version, teachers(&rows)));
        }
    }

    #[test]
    fn every_version_reads_unseen_digits_and_the_second_reads_them_best() {
        let [v1, v2, v3] = Version::ALL.map(right);
        println!("right of 1198: v1 {v1}, v2 {v2}, v3 {v3}");
        // One in ten is what guessing gives; a model that learned nothing is far below this.
        assert!(v1 > 1_198 * 7 / 10, "{v1}");
        assert!(v2 > v3 && v3 > v1, "{v1} {v2} {v3}");
    }

    #[test]
    fn what_is_no_picture_is_refused_with_the_place() {
        let rows = rows().unwrap();
        let model = Model::learn(Version::V1, teachers(&rows));
        let refused = |pixels: &[f64]| model.predict(pixels).unwrap_err().to_string();
        assert_eq!(refused(&[0.0; 63]), "features: 63 numbers, a picture has 64");
        let mut pixels = [0.0; 64];
        for bad in [f64::NAN, -1.0, 16.5, f64::INFINITY] {
            pixels[5] = bad;
            assert_eq!(refused(&pixels), "features[5]: a pixel is a number from 0 to 16");
        }
    }
}
