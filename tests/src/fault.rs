//! What went wrong, for a person: a sentence that says so and, where it can, what to do.

/// What goes wrong in the kit and in tests. `Debug`, which a failed test prints, gives the sentence and its causes.
pub type Fault = anyhow::Error;

/// The kit's result.
pub type Result<T, E = Fault> = core::result::Result<T, E>;

/// A fault with this sentence.
pub(crate) fn fault(text: impl Into<String>) -> Fault {
    Fault::msg(text.into())
}
