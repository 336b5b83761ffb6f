//! A plugin configuration in the forms that proxies take it. Pure: text in, text out.

pub(crate) mod ecds;
pub(crate) mod istio;
