//! A page's figures, of which some are measured anew and the others stay.

/// The figures of `new` in place of those of `old` under the same headings (`## …`), and the others of `old` as they are. What stands above the
/// first heading is `new`'s.
pub(crate) fn merged(old: &str, new: &str) -> String {
    let (head, fresh) = sections(new);
    let (_, mut all) = sections(old);
    for section in fresh {
        match all.iter_mut().find(|known| title(known) == title(section)) {
            Some(known) => *known = section,
            None => all.push(section),
        }
    }
    let all: Vec<&str> = core::iter::once(head).chain(all).map(str::trim).collect();
    all.join("\n\n")
}

fn title(section: &str) -> &str {
    section.lines().next().unwrap_or_default()
}

/// What stands above the first heading, and the sections with their headings.
fn sections(text: &str) -> (&str, Vec<&str>) {
    let mut starts: Vec<usize> = text.match_indices("\n## ").map(|(at, _)| at + 1).collect();
    let head = text.get(..starts.first().copied().unwrap_or(text.len())).unwrap_or_default();
    starts.push(text.len());
    (head, starts.windows(2).filter_map(|ends| text.get(ends[0]..ends[1])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_stays() {
        let old = "\nold machine\n\n## A\n\na 1\n\n## B\n\nb 1\n";
        let new = "new machine\n\n## B\n\nb 2\n\n## C\n\nc 2\n";
        assert_eq!(merged(old, new), "new machine\n\n## A\n\na 1\n\n## B\n\nb 2\n\n## C\n\nc 2");
        assert_eq!(merged("", new).trim(), new.trim());
    }
}
