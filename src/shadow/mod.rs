//! Copies of requests that the filter sends itself, and whose answers it compares with what the user got.
//!
//! Life of a copied request: `watch` (sampled; refused, or taken in at the `desk`) -> its body is gathered as it streams past -> `calls`
//! sends it when it has ended -> the user's answer is read as it streams past, the shadow's when it is whole, in either order
//! (`pair`) -> compared (`headgate-compare`), counted (`board`), recorded (`records`, which wait in a `queue`).
//!
//! A copy is sent by the plugin's root context, not by the request's: so its answer comes also when the user's stream is long gone.
//! Nothing here holds a request or an answer up: every callback lets it go on, and only reads what passes. What copies may cost is
//! bounded (`budget`), and what is beyond is not copied; nor is what nobody would take (`backoff`).
//!
//! A module of the filter that has this feature alone: its callbacks cost every request an entry into the VM for every
//! piece of a body.

pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod copy;
pub(crate) mod notes;
pub(crate) mod pair;
pub(crate) mod queue;
pub(crate) mod rate;

#[cfg(target_arch = "wasm32")]
pub(crate) mod board;
#[cfg(target_arch = "wasm32")]
pub(crate) mod calls;
#[cfg(target_arch = "wasm32")]
pub(crate) mod desk;
#[cfg(target_arch = "wasm32")]
pub(crate) mod records;
#[cfg(target_arch = "wasm32")]
pub(crate) mod watch;

#[cfg(target_arch = "wasm32")]
pub(crate) use calls::{answered, root_is_gone};
#[cfg(target_arch = "wasm32")]
pub(crate) use desk::Shadows;
#[cfg(target_arch = "wasm32")]
pub(crate) use watch::{Seen, Watch};
