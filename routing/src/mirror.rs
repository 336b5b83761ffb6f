//! Which requests Envoy copies: a share of users or of requests, and of those only what can be copied without harm.

use std::sync::Arc;

use headgate_contract::{Mirror, MirrorBy};

use crate::checks::Checks;
use crate::output::check_header;
use crate::reads::Reads;
use crate::split::{Bucketer, purpose, reduce};
use crate::{Copy, CopyRefusal, Env};

/// Parts of a mirror's share: 10,000 is every request.
pub(crate) const SHARE: u64 = 10_000;
/// Largest `maxBodyBytes`, from what Envoy was seen to copy without stalling the primary.
const BODY_BYTES: u32 = 4 << 20;
/// The header by which Envoy marks a copy (`request_headers_mutations` of the mirror policy).
pub const MARK: &str = "x-headgate-copy";
/// What Envoy appends to a copy's host.
const SHADOW: &[u8] = b"-shadow";

/// A mirror, ready.
#[derive(Debug)]
pub(crate) struct Mirroring {
    share: u64,
    by: MirrorBy,
    bucketer: Bucketer,
    max_body_bytes: u64,
    pub(crate) state: Option<Arc<str>>,
    /// Name and value.
    pub(crate) header: Option<(String, String)>,
}

impl Mirroring {
    pub(crate) fn compile(of: &Mirror, salt: &str, path: &str, checks: &mut Checks) -> Self {
        checks.share_of_requests(&format!("{path}.share"), of.share);
        if of.max_body_bytes > BODY_BYTES {
            checks.push(
                format!("{path}.maxBodyBytes"),
                format!(
                    "{} bytes, at most {BODY_BYTES}: a larger copy can stall the request itself",
                    of.max_body_bytes
                ),
            );
        }
        if of.filter_state.is_none() && of.request_header.is_none() {
            checks.push(path, "tells nobody what to copy: set filterState or requestHeader");
        }
        if let Some(state) = &of.filter_state {
            checks.name(&format!("{path}.filterState"), state);
        }
        if let Some(header) = &of.request_header {
            check_header(header, &format!("{path}.requestHeader"), checks);
        }
        Self {
            share: u64::from(of.share),
            by: of.by,
            bucketer: Bucketer::new(salt, purpose::MIRROR),
            max_body_bytes: u64::from(of.max_body_bytes),
            state: of.filter_state.as_ref().map(|state| checks.share(state)),
            header: of
                .request_header
                .as_ref()
                .map(|header| (header.name.clone(), header.nonce.clone().unwrap_or_else(|| "1".to_owned()))),
        }
    }

    /// Whether the share goes by the key.
    pub(crate) fn by_key(&self) -> bool {
        self.share > 0 && self.by == MirrorBy::Hash
    }

    /// Whether a request with this key is copied. Without randomness where it is needed, it is not.
    pub(crate) fn decide(&self, key: Option<&[u8]>, reads: &Reads<'_, '_>, env: &Env<'_>) -> Copy {
        let chosen = match key {
            _ if self.share == 0 => false,
            _ if self.share >= SHARE => true,
            Some(key) if self.by == MirrorBy::Hash => self.bucketer.bucket(key, SHARE) < self.share,
            // The upper half: the lower one may already have picked the variant.
            _ => (env.random)().is_some_and(|random| reduce((random >> 64) as u64, SHARE) < self.share),
        };
        match chosen.then(|| refusal(reads, self.max_body_bytes)) {
            None => Copy::None,
            Some(None) => Copy::Sent,
            Some(Some(refusal)) => Copy::Refused(refusal),
        }
    }
}

/// Why a request must not be copied by anybody, if there is a reason.
pub(crate) fn refusal(reads: &Reads<'_, '_>, max_body_bytes: u64) -> Option<CopyRefusal> {
    if reads.has(MARK) || reads.host().is_some_and(|host| host.ends_with(SHADOW)) {
        return Some(CopyRefusal::Marked);
    }
    if reads.has("upgrade") || reads.header(":method").is_some_and(|method| *method == *b"CONNECT") {
        return Some(CopyRefusal::Upgrade);
    }
    if reads.ends_with_headers() {
        return None;
    }
    let length = reads.header("content-length");
    let length = length.as_deref().and_then(|text| std::str::from_utf8(text).ok()?.trim().parse::<u64>().ok());
    match length {
        None => Some(CopyRefusal::UnknownLength),
        Some(bytes) if bytes > max_body_bytes => Some(CopyRefusal::TooLarge),
        Some(_) => None,
    }
}
