//! A file as lines, in constant memory: no line is copied unless it lies across two pieces, and none is held that is longer than allowed.

use std::io::Read;

use memchr::memchr;

/// Bytes read at once.
const PIECE: usize = 1 << 20;
/// Longest line that is read: a record is capped far below.
pub(crate) const LONGEST: usize = 4 << 20;

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a line feed.
    Feed,
    /// With the file: it may be cut off.
    File,
    /// It is longer than [`LONGEST`]; its beginning alone is given.
    TooLong,
}

/// Gives each line that is not empty, without its line feed, to `take`; gives the number of bytes read.
///
/// # Errors
/// When reading fails.
pub(crate) fn each(mut file: impl Read, mut take: impl FnMut(&[u8], End)) -> std::io::Result<u64> {
    let mut piece = vec![0_u8; PIECE];
    let mut carried: Vec<u8> = Vec::new();
    let mut skipping = false;
    let mut bytes = 0_u64;
    loop {
        let read = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        bytes += read as u64;
        let mut rest = piece.get(..read).unwrap_or_default();
        while let Some(at) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            rest = after.get(1..).unwrap_or_default();
            if skipping {
                skipping = false;
            } else if carried.is_empty() {
                give(line, End::Feed, &mut take);
            } else {
                carried.extend_from_slice(line);
                give(&carried, End::Feed, &mut take);
            }
            carried.clear();
        }
        if !skipping {
            carried.extend_from_slice(rest);
            if carried.len() > LONGEST {
                give(&carried, End::TooLong, &mut take);
                carried.clear();
                skipping = true;
            }
        }
    }
    if !carried.is_empty() {
        give(&carried, End::File, &mut take);
    }
    Ok(bytes)
}

fn give(line: &[u8], end: End, take: &mut impl FnMut(&[u8], End)) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        take(line, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(usize, End)> {
        let mut out = Vec::new();
        let bytes = each(text, |line, end| out.push((line.len(), end))).unwrap();
        assert_eq!(bytes, text.len() as u64);
        out
    }

    #[test]
    fn lines_end_with_a_feed_or_with_the_file() {
        assert_eq!(lines(b"ab\r\n\n  \nabc\nd"), [(2, End::Feed), (3, End::Feed), (1, End::File)]);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn lines_across_pieces_stay_whole_and_endless_ones_are_not_held() {
        let mut text = vec![b'a'; PIECE - 3];
        text.extend_from_slice(b"\nbbbbbbbb\n");
        text.extend(std::iter::repeat_n(b'c', LONGEST + 2 * PIECE));
        text.extend_from_slice(b"\nlast\n");
        let found = lines(&text);
        assert_eq!((found[0], found[1]), ((PIECE - 3, End::Feed), (8, End::Feed)));
        assert!(found[2].1 == End::TooLong && found[2].0 <= LONGEST + PIECE);
        assert_eq!(found[3..], [(4, End::Feed)]);
    }
}
