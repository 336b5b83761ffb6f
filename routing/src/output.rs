//! How a decision is told: filter state, a request header, a response header.

use headgate_contract::{HeaderOutput, Output, Variant};

use crate::checks::Checks;

/// Letters and digits of a nonce.
const NONCE: std::ops::RangeInclusive<usize> = 8..=64;

/// A request header and its value for each variant.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
}

pub(crate) fn compile(of: &Output, variants: &[Variant], path: &str, checks: &mut Checks) -> Option<Told> {
    if of.filter_state.is_none() && of.request_header.is_none() {
        checks.push(path, "tells nobody the variant: set filterState or requestHeader");
    }
    if let Some(state) = &of.filter_state {
        checks.name(&format!("{path}.filterState"), state);
    }
    if let Some(name) = &of.response_header {
        checks.response_header(&format!("{path}.responseHeader"), name);
    }
    let header = of.request_header.as_ref()?;
    check_header(header, &format!("{path}.requestHeader"), checks);
    let value = |variant: &Variant| match &header.nonce {
        Some(nonce) => format!("{}.{nonce}", variant.name),
        None => variant.name.clone(),
    };
    Some(Told { name: header.name.clone(), values: variants.iter().map(value).collect() })
}

/// A nonce is 8 to 64 letters and digits. The name is checked where all own headers are.
pub(crate) fn check_header(header: &HeaderOutput, path: &str, checks: &mut Checks) {
    let Some(nonce) = &header.nonce else { return };
    if !NONCE.contains(&nonce.len()) || !nonce.bytes().all(|b| b.is_ascii_alphanumeric()) {
        checks.push(
            format!("{path}.nonce"),
            format!("a nonce is {} to {} random letters and digits", NONCE.start(), NONCE.end()),
        );
    }
}
