//! How many words two texts have in common.
//!
//! Jaccard's index over multisets (Jaccard 1912; as Ruzicka 1958 has it for counts): the sum of each word's lesser count over
//! the sum of its greater one. It is symmetric, 1 for equal texts alone in their words, and does not look at order, so a
//! model that says the same things in another order agrees with itself. It knows no meaning.

use crate::digest;

/// The overlap of two texts' words, 0 to 1; 1 when neither has any. A word is a run of letters and digits, in ASCII whatever its case; of scripts that
/// set no spaces (from U+2E80 up) each character is one. What is not UTF-8 separates words.
pub(crate) fn overlap(a: &[u8], b: &[u8]) -> f64 {
    let (a, b) = (words(a), words(b));
    let (mut common, mut i, mut j) = (0_usize, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        i += usize::from(x <= y);
        j += usize::from(y <= x);
        common += usize::from(x == y);
    }
    let all = a.len() + b.len() - common;
    #[expect(clippy::cast_precision_loss, reason = "bodies are below 2^53 bytes")]
    if all == 0 { 1.0 } else { common as f64 / all as f64 }
}

/// The words' hashes, sorted: eight bytes a word, however long it is. Two words share a hash once in 2^64.
fn words(text: &[u8]) -> Vec<u64> {
    let mut hashes = Vec::new();
    let mut word = Vec::new();
    let mut end = |word: &mut Vec<u8>| {
        if !word.is_empty() {
            #[expect(clippy::cast_possible_truncation, reason = "half of a digest is a hash")]
            hashes.push(digest::of(word) as u64);
            word.clear();
        }
    };
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let spaceless = c >= '\u{2e80}';
            let between = c.is_whitespace() || (c.is_ascii() && !c.is_ascii_alphanumeric());
            if spaceless || between {
                end(&mut word);
            }
            if !between {
                word.extend_from_slice(c.to_ascii_lowercase().encode_utf8(&mut [0; 4]).as_bytes());
            }
            if spaceless {
                end(&mut word);
            }
        }
        if !chunk.invalid().is_empty() {
            end(&mut word);
        }
    }
    end(&mut word);
    hashes.sort_unstable();
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_common_over_all_words() {
        let of = |a: &str, b: &str| overlap(a.as_bytes(), b.as_bytes());
        assert_eq!(of("", ""), 1.0);
        assert_eq!(of("", "a"), 0.0);
        assert_eq!(of("The cat sat.", "the CAT, sat"), 1.0);
        assert_eq!(of("a b c d", "d c b x"), 3.0 / 5.0);
        // Each word as often as it is there: two of three.
        assert_eq!(of("a a b", "a b b"), 2.0 / 4.0);
        assert_eq!(of("日本語", "日本人"), 2.0 / 4.0);
        assert_eq!(of("straße", "strasse"), 0.0);
    }

    #[test]
    fn what_is_no_text_has_words_too() {
        assert_eq!(overlap(b"a\xffb", b"b \xfe a"), 1.0);
    }
}
