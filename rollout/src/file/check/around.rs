//! Providers, notifications, webhooks: what stands around the steps.

use super::Checks;
use crate::file::{Bearer, Provider, Spec, Webhook};

/// Checks all that is not a step or a criterion.
pub(super) fn check(spec: &Spec, checks: &mut Checks) {
    for (name, provider) in &spec.providers {
        one_provider(provider, &format!("spec.providers.{name}"), checks);
    }
    for (index, notification) in spec.notifications.iter().enumerate() {
        checks.webhook(&format!("spec.notifications[{index}].webhook"), &notification.webhook);
    }
}

fn one_provider(provider: &Provider, at: &str, checks: &mut Checks) {
    let given = [provider.prometheus.is_some(), provider.webhook.is_some(), provider.outcomes.is_some()];
    if given.iter().filter(|g| **g).count() != 1 {
        checks.push(at, "is not exactly one source", "write one of `prometheus`, `webhook` and `outcomes`");
    }
    if let Some(prometheus) = &provider.prometheus {
        let at = format!("{at}.prometheus");
        checks.url(&format!("{at}.address"), &prometheus.address);
        checks.optional_span(&format!("{at}.timeout"), prometheus.timeout.as_ref());
        checks.bearer(&format!("{at}.bearer"), prometheus.bearer.as_ref());
        if prometheus.requests_per_user.is_some_and(|n| !(n >= 1.0 && n.is_finite())) {
            checks.push(
                format!("{at}.requestsPerUser"),
                "is less than 1",
                "write how many requests a user makes in a step, for example 20",
            );
        }
        checks.one_of(&format!("{at}.preset"), prometheus.preset.as_deref(), &["headgate", "istio"]);
        checks.one_of(
            &format!("{at}.reporter"),
            prometheus.reporter.as_deref(),
            &["source", "destination", "waypoint"],
        );
    }
    if let Some(webhook) = &provider.webhook {
        checks.webhook(&format!("{at}.webhook"), webhook);
    }
    if let Some(outcomes) = &provider.outcomes
        && outcomes.file.is_none()
        && outcomes.listen.is_none()
    {
        checks.push(
            format!("{at}.outcomes"),
            "names neither a file nor an address",
            "write `file` or `listen`, or both",
        );
    }
}

impl Checks {
    /// An `http` or `https` address.
    pub(super) fn url(&mut self, at: &str, url: &str) {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = rest.map(|r| r.split(['/', '?', '#']).next().unwrap_or_default());
        if host.is_none_or(str::is_empty) || url.contains(char::is_whitespace) {
            self.push(at, format!("`{url}` is no address"), "write one that begins with `http://` or `https://`");
        }
    }

    pub(super) fn webhook(&mut self, at: &str, webhook: &Webhook) {
        self.url(&format!("{at}.url"), &webhook.url);
        self.optional_span(&format!("{at}.interval"), webhook.interval.as_ref());
        self.optional_span(&format!("{at}.timeout"), webhook.timeout.as_ref());
        self.bearer(&format!("{at}.bearer"), webhook.bearer.as_ref());
        if webhook.pointer.as_ref().is_some_and(|p| !p.is_empty() && !p.starts_with('/')) {
            self.push(format!("{at}.pointer"), "is no JSON pointer", "begin it with `/`, for example `/data/value`");
        }
    }

    fn bearer(&mut self, at: &str, bearer: Option<&Bearer>) {
        if bearer.is_some_and(|b| b.env.is_some() == b.file.is_some()) {
            self.push(at, "is not exactly one place", "write `env` or `file`");
        }
    }

    fn one_of(&mut self, at: &str, given: Option<&str>, known: &[&str]) {
        if let Some(given) = given
            && !known.contains(&given)
        {
            self.push(at, format!("is `{given}`"), format!("write one of: {}", known.join(", ")));
        }
    }
}
