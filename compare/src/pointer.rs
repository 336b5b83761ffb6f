//! JSON Pointers (RFC 6901) with `*` for every position of an array and every name of an object.
//!
//! Rules are lists of at most 64 of them, followed downwards all at once: one bit says whether a pointer has matched so
//! far. A name that is `*` itself cannot be told from all others.

use headgate_contract::Problems;

use crate::limits::POINTERS;

/// A pointer as it is compared, name by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Any,
    Name(String),
}

impl Step {
    fn takes(&self, at: At<'_>) -> bool {
        match (self, at) {
            (Self::Any, _) => true,
            (Self::Name(name), At::Name(other)) => name == other,
            (Self::Name(name), At::Position(position)) => position_of(name) == Some(position),
        }
    }
}

/// The position of an array that a name means, as RFC 6901 writes it: digits without a leading zero.
pub(crate) fn position_of(name: &str) -> Option<usize> {
    name.parse().ok().filter(|_| name == "0" || !name.starts_with(['0', '+']))
}

/// One step downwards in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At<'n> {
    Name(&'n str),
    Position(usize),
}

impl Pointer {
    /// Reads a pointer: empty for the whole document, else `/` and a name for each step, with `~1` for `/` and `~0` for `~`.
    ///
    /// # Errors
    /// What is wrong with it and the way out.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self { text: String::new(), steps: Vec::new() });
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("a JSON Pointer begins with `/`: write `/{}`", text.trim_start_matches("$.")));
        };
        let steps = rest.split('/').map(|name| match name {
            "*" => Ok(Step::Any),
            _ if name.replace("~0", "").replace("~1", "").contains('~') => {
                Err("in a JSON Pointer `~` is written `~0` and `/` in a name `~1`".to_owned())
            }
            _ => Ok(Step::Name(name.replace("~1", "/").replace("~0", "~"))),
        });
        Ok(Self { text: text.to_owned(), steps: steps.collect::<Result<_, _>>()? })
    }

    /// Steps from the top.
    pub(crate) const fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it names one place alone.
    pub(crate) fn is_one_place(&self) -> bool {
        !self.steps.contains(&Step::Any)
    }

    /// The names on the way, as far as it names one place.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map_while(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Any => None,
        })
    }

    /// Whether `other` leads by a position, written as a number, into the array that this names.
    pub(crate) fn numbers(&self, other: &Self) -> bool {
        let position = other.steps.get(self.steps.len());
        let leads = self
            .steps
            .iter()
            .zip(&other.steps)
            .all(|(mine, theirs)| mine == theirs || *mine == Step::Any || *theirs == Step::Any);
        leads
            && matches!(position, Some(Step::Name(name)) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()))
    }

    /// Whether everything that `other` names is at or below what this names.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.steps.len() <= other.steps.len()
            && self.steps.iter().zip(&other.steps).all(|(mine, theirs)| *mine == Step::Any || mine == theirs)
    }
}

/// Pointers that are followed together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pointers(Vec<Pointer>);

/// Which pointers have matched on the way down to a place; bit `i` is pointer `i`.
pub(crate) type Mask = u64;

impl Pointers {
    /// Reads a list; what is wrong goes to `problems` under `path`.
    pub(crate) fn compile(texts: &[String], path: &str, problems: &mut Problems) -> Self {
        Self::compile_at(texts, path, "", problems)
    }

    /// Likewise, where each stands in a field of an item of the list: `.path`.
    pub(crate) fn compile_at(texts: &[String], path: &str, field: &str, problems: &mut Problems) -> Self {
        if texts.len() > POINTERS {
            problems.push(path, format!("{} pointers, at most {POINTERS} are taken", texts.len()));
        }
        let mut pointers = Vec::new();
        for (i, text) in texts.iter().enumerate().take(POINTERS) {
            match Pointer::parse(text) {
                Ok(pointer) if pointers.contains(&pointer) => {
                    problems.push(format!("{path}[{i}]{field}"), format!("`{text}` is there already: remove it"));
                    pointers.push(pointer);
                }
                Ok(pointer) => pointers.push(pointer),
                Err(reason) => {
                    problems.push(format!("{path}[{i}]{field}"), reason);
                    // Keeps the numbering, and meets no other.
                    pointers.push(Pointer { text: String::new(), steps: vec![Step::Name(format!("\0{path}[{i}]"))] });
                }
            }
        }
        Self(pointers)
    }

    pub(crate) fn one(pointer: Pointer) -> Self {
        Self(vec![pointer])
    }

    /// At most [`POINTERS`] of them are followed.
    pub(crate) const fn of(pointers: Vec<Pointer>) -> Self {
        Self(pointers)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every pointer, before the first step.
    pub(crate) fn all(&self) -> Mask {
        match self.0.len() {
            0 => 0,
            n => Mask::MAX >> (64 - n.min(64)),
        }
    }

    /// Those of `mask`, after `depth` steps, that match one step more.
    pub(crate) fn step(&self, mask: Mask, depth: usize, at: At<'_>) -> Mask {
        self.bits(mask, |pointer| pointer.steps.get(depth).is_some_and(|step| step.takes(at)))
    }

    /// Those of `mask` that end after `depth` steps.
    pub(crate) fn ended(&self, mask: Mask, depth: usize) -> Mask {
        self.bits(mask, |pointer| pointer.steps.len() == depth)
    }

    fn bits(&self, mask: Mask, holds: impl Fn(&Pointer) -> bool) -> Mask {
        let mut left = mask;
        let mut found = 0;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            left ^= bit;
            if self.0.get(bit.trailing_zeros() as usize).is_some_and(&holds) {
                found |= bit;
            }
        }
        found
    }

    /// The number of the first pointer that covers `other`.
    pub(crate) fn covering(&self, other: &Pointer) -> Option<usize> {
        self.0.iter().position(|pointer| pointer.covers(other))
    }

    /// Whether something at or below a pointer of this list, or on the way to it, can be named by `other`.
    pub(crate) fn meets(&self, other: &Pointer) -> bool {
        self.0.iter().any(|mine| {
            mine.steps
                .iter()
                .zip(&other.steps)
                .all(|(mine, theirs)| mine == theirs || *mine == Step::Any || *theirs == Step::Any)
        })
    }

    /// Those of `mask`, as they were written.
    pub(crate) fn texts(&self, mask: Mask) -> impl Iterator<Item = String> {
        self.0.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1).map(|(_, pointer)| pointer.text.clone())
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Pointer> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(pointer: &str, steps: &[At<'_>]) -> bool {
        let pointers = Pointers::one(Pointer::parse(pointer).unwrap());
        let mask = steps.iter().enumerate().fold(pointers.all(), |mask, (depth, at)| pointers.step(mask, depth, *at));
        pointers.ended(mask, steps.len()) != 0
    }

    #[test]
    fn names_positions_and_stars() {
        assert!(walk("", &[]));
        assert!(walk("/a~1b/m~0n", &[At::Name("a/b"), At::Name("m~n")]));
        assert!(walk("/items/*/id", &[At::Name("items"), At::Position(7), At::Name("id")]));
        assert!(walk("/items/7", &[At::Name("items"), At::Position(7)]));
        assert!(walk("/items/7", &[At::Name("items"), At::Name("7")]));
        assert!(!walk("/items/07", &[At::Name("items"), At::Position(7)]));
        assert!(!walk("/items/+7", &[At::Name("items"), At::Position(7)]));
        assert!(!walk("/items", &[At::Name("items"), At::Position(7)]));
        assert!(!walk("/items/7", &[At::Name("items")]));
        assert!(walk("/", &[At::Name("")]));
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_the_way_out() {
        for (bad, hint) in [("score", "/score"), ("$.score", "/score"), ("/a~b", "~0")] {
            let reason = Pointer::parse(bad).unwrap_err();
            assert!(reason.contains(hint), "{reason}");
        }
    }

    #[test]
    fn a_list_of_64_is_followed_whole() {
        let texts: Vec<String> = (0..65).map(|n| format!("/f{n}")).collect();
        let mut problems = Problems::default();
        let pointers = Pointers::compile(&texts, "only", &mut problems);
        assert_eq!(problems.0.len(), 1);
        let mask = pointers.step(pointers.all(), 0, At::Name("f63"));
        assert_eq!(mask, 1 << 63);
        assert_eq!(pointers.ended(mask, 1), mask);
    }
}
