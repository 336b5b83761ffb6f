//! Which requests the filter copies, and by what rules the answers are compared.
//!
//! A share of users or of requests is chosen as for a mirror (module `mirror`), out of those that the stable variant serves,
//! and of those only what can be copied without harm. It does not know how copies are sent or what they may cost: that is the
//! shell's.

use headgate_compare::Rules;
use headgate_contract::limits::REPLICATES;
use headgate_contract::{MirrorBy, PluginConfig, Problems, Route, Shadow, Shadowing, check_header_name};

use crate::checks::Checks;
use crate::mirror::{MARK, SHARE, refusal};
use crate::reads::Reads;
use crate::split::{Bucketer, list_hash, purpose, reduce};
use crate::{CopyRefusal, Env};

/// Largest `maxBodyBytes`.
const BODY_BYTES: u32 = 4 << 20;
/// Methods of one shadow.
const METHODS: usize = 16;
/// Headers that frame a copy or name its way: they are made, not taken over.
const FRAMING: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "proxy-connection",
    "x-headgate-copy",
];

/// Request headers that are never told.
const CREDENTIALS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// A request in the share of its route's shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// Segment, as [`crate::Decision::segment`], but looked at for every request.
    pub segment: usize,
    /// Replicate bucket of the key, 0 to 31. A request without a key is a user of its own: its bucket is random.
    pub bucket: u8,
    /// The key's hash ([`list_hash`]).
    pub key: Option<u64>,
    /// Why it is not copied after all.
    pub refused: Option<CopyRefusal>,
}

/// A shadow, ready.
#[derive(Debug)]
pub(crate) struct Shadowed {
    share: u64,
    /// By segment's index, 0 is `default`.
    segments: Vec<u64>,
    by: MirrorBy,
    sampler: Bucketer,
    replicate: Bucketer,
    methods: Vec<String>,
    max_body_bytes: u64,
    pub(crate) rules: Rules,
}

impl Shadowed {
    pub(crate) fn compile(of: &Shadow, route: &Route, salt: &str, path: &str, checks: &mut Checks) -> Self {
        if route.mirror.is_some() {
            checks.push(path, "stands beside `mirror`, and no request is copied by both: leave one of them out");
        }
        checks.cluster(&format!("{path}.cluster"), &of.cluster);
        checks.share_of_requests(&format!("{path}.share"), of.share);
        let names: Vec<&str> =
            std::iter::once("default").chain(route.segments.iter().map(|segment| segment.name.as_str())).collect();
        let mut segments = vec![u64::from(of.share); names.len()];
        for (name, value) in &of.segments {
            let at = format!("{path}.segments.{name}");
            checks.share_of_requests(&at, *value);
            if let Some(slot) = checks.find(&at, "segment", name, &names).and_then(|i| segments.get_mut(i)) {
                *slot = u64::from(*value);
            }
        }
        methods(&of.methods, path, checks);
        range(&format!("{path}.timeoutMs"), of.timeout_ms, 1, 60_000, "milliseconds", checks);
        range(&format!("{path}.maxBodyBytes"), of.max_body_bytes, 0, BODY_BYTES, "bytes", checks);
        if let Some(host) =
            of.host.as_ref().filter(|host| host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic()))
        {
            checks.push(format!("{path}.host"), format!("`{host}` is no host"));
        }
        headers(of, path, checks);
        if let Some(noise) = &of.noise {
            checks.cluster(&format!("{path}.noise.cluster"), &noise.cluster);
            checks.share_of_requests(&format!("{path}.noise.share"), noise.share);
            for (name, part) in [("relative", noise.relative), ("absolute", noise.absolute)] {
                if !(0.0..1.0).contains(&part) {
                    checks.push(format!("{path}.noise.{name}"), "must be at least 0 and below 1");
                }
            }
        }
        checks.share_of_requests(&format!("{path}.record.matches"), of.record.matches);
        range(&format!("{path}.record.bodyBytes"), of.record.body_bytes, 0, 4_096, "bytes", checks);
        for (i, name) in of.record.headers.iter().enumerate() {
            let at = format!("{path}.record.headers[{i}]");
            let kept_back = of.drop_headers.contains(name) || of.replace_headers.iter().any(|of| of.name == *name);
            if CREDENTIALS.contains(&name.as_str()) {
                checks.push(at, format!("`{name}` carries credentials, which no record tells: leave it out"));
            } else if kept_back {
                checks.push(at, format!("`{name}` is kept from copies, so no record tells it: leave it out"));
            } else {
                checks.read_header(&at, name);
            }
        }
        let mut problems = Problems::default();
        let rules = Rules::compile(&of.compare, &format!("{path}.compare"), &mut problems);
        for problem in problems.0 {
            checks.problems.0.push(problem);
        }
        Self {
            share: segments.iter().copied().max().unwrap_or_default(),
            segments,
            by: of.by,
            sampler: Bucketer::new(salt, purpose::SHADOW),
            replicate: Bucketer::new(salt, purpose::REPLICATE),
            methods: of.methods.clone(),
            max_body_bytes: u64::from(of.max_body_bytes),
            rules,
        }
    }

    /// Whether any request may be chosen.
    pub(crate) fn is_on(&self) -> bool {
        self.share > 0
    }

    /// Headers that a usual request is asked for, where most requests are chosen.
    pub(crate) fn usual_headers(&self) -> &'static [&'static str] {
        let usual = self.segments.first().is_some_and(|share| *share >= SHARE / 2);
        if usual { &[MARK, ":authority", "upgrade", ":method"] } else { &[] }
    }

    /// Whether shares differ by segment, so that it must be known.
    pub(crate) fn by_segment(&self) -> bool {
        self.segments.len() > 1
    }

    /// Whether a request in this segment is copied. Without randomness where it is needed, it is not. The key is asked for
    /// when the share needs it, or once the request is chosen.
    pub(crate) fn decide<'k>(
        &self,
        segment: usize,
        key: impl Fn() -> Option<&'k [u8]>,
        reads: &Reads<'_, '_>,
        env: &Env<'_>,
    ) -> Option<Sampled> {
        let share = self.segments.get(segment).copied().unwrap_or_default();
        // The upper half: the lower one may already have picked the variant.
        let random = || (env.random)().map(|random| (random >> 64) as u64);
        let chosen = match self.by {
            _ if share == 0 => false,
            _ if share >= SHARE => true,
            MirrorBy::Hash => match key() {
                Some(key) => self.sampler.bucket(key, SHARE) < share,
                None => random().is_some_and(|random| reduce(random, SHARE) < share),
            },
            MirrorBy::Random => random().is_some_and(|random| reduce(random, SHARE) < share),
        };
        if !chosen {
            return None;
        }
        reads.whole();
        let buckets = u64::from(REPLICATES);
        let bucket = match key() {
            Some(key) => self.replicate.bucket(key, buckets),
            None => reduce((env.random)()? as u64, buckets),
        };
        Some(Sampled {
            segment,
            bucket: u8::try_from(bucket).unwrap_or_default(),
            key: key().map(list_hash),
            refused: self.refusal(reads),
        })
    }

    fn refusal(&self, reads: &Reads<'_, '_>) -> Option<CopyRefusal> {
        let method = reads.header(":method");
        // Messages of gRPC say their own length, so their requests seldom do.
        let grpc = || reads.header("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"));
        match refusal(reads, self.max_body_bytes) {
            Some(why @ (CopyRefusal::Marked | CopyRefusal::Upgrade)) => Some(why),
            _ if !self.methods.iter().any(|name| method.as_deref() == Some(name.as_bytes())) => {
                Some(CopyRefusal::Method)
            }
            Some(CopyRefusal::UnknownLength) if grpc() => None,
            other => other,
        }
    }
}

/// The document's own part: what copies may cost, and where records go.
pub(crate) fn check(config: &PluginConfig, checks: &mut Checks) {
    let Shadowing { budget, records } = &config.shadowing;
    range("shadowing.budget.inFlight", budget.in_flight, 1, 10_000, "copied requests", checks);
    range("shadowing.budget.perSecond", budget.per_second, 1, 1_000_000, "copied requests a second", checks);
    range("shadowing.budget.bytes", budget.bytes, 64 << 10, 1 << 30, "bytes", checks);
    for (i, route) in config.routes.iter().enumerate() {
        if let Some(shadow) = route.shadow.as_ref().filter(|shadow| shadow.max_body_bytes > budget.bytes) {
            checks.push(
                format!("routes[{i}].shadow.maxBodyBytes"),
                format!(
                    "{} bytes, but all copies together may hold {}: see shadowing.budget.bytes",
                    shadow.max_body_bytes, budget.bytes
                ),
            );
        }
    }
    let Some(records) = records else { return };
    checks.exactly_one("shadowing.records", &[("cluster", records.cluster.is_some()), ("log", records.log)]);
    if let Some(name) = &records.cluster {
        checks.cluster("shadowing.records.cluster", name);
    }
    if !records.path.starts_with('/') || !records.path.bytes().all(|b| b.is_ascii_graphic()) {
        checks.push("shadowing.records.path", format!("`{}` is no path: as `/shadow/records`", records.path));
    }
    if let Some(env) = &records.token_env {
        checks.variable("shadowing.records.tokenEnv", env);
    }
    range("shadowing.records.perSecond", records.per_second, 1, 100_000, "records a second", checks);
    range("shadowing.records.recordBytes", records.record_bytes, 2_048, 64 << 10, "bytes", checks);
    range("shadowing.records.batchBytes", records.batch_bytes, records.record_bytes, 1 << 20, "bytes", checks);
    range("shadowing.records.everyMs", records.every_ms, 10, 60_000, "milliseconds", checks);
}

fn range(path: &str, value: u32, least: u32, most: u32, unit: &str, checks: &mut Checks) {
    if !(least..=most).contains(&value) {
        checks.push(path, format!("{value} {unit}: {least} to {most} are taken"));
    }
}

fn methods(methods: &[String], path: &str, checks: &mut Checks) {
    let at = format!("{path}.methods");
    checks.at_most(&at, "methods", methods.len(), METHODS);
    if methods.is_empty() {
        checks.push(&at, "names no method, so nothing would be copied: leave the shadow out instead");
    }
    checks.unique(methods.iter().map(String::as_str), |i| format!("{at}[{i}]"));
    for (i, method) in methods.iter().enumerate() {
        if method == "CONNECT" {
            checks.push(format!("{at}[{i}]"), "tunnels are never copied");
        } else if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
            checks.push(format!("{at}[{i}]"), format!("`{method}` is no method: upper case, as `POST`"));
        }
    }
}

fn headers(of: &Shadow, path: &str, checks: &mut Checks) {
    let mut name = |at: String, name: &str| {
        if let Err(reason) = check_header_name(name) {
            checks.push(at, reason);
        } else if FRAMING.contains(&name) {
            checks.push(at, format!("`{name}` frames the copy or names its way: it is always made anew"));
        }
    };
    for (i, dropped) in of.drop_headers.iter().enumerate() {
        name(format!("{path}.dropHeaders[{i}]"), dropped);
    }
    for (i, replaced) in of.replace_headers.iter().enumerate() {
        name(format!("{path}.replaceHeaders[{i}].name"), &replaced.name);
    }
    for (i, replaced) in of.replace_headers.iter().enumerate() {
        let at = format!("{path}.replaceHeaders[{i}]");
        checks.exactly_one(&at, &[("value", replaced.value.is_some()), ("env", replaced.env.is_some())]);
        if replaced.value.as_ref().is_some_and(|value| value.bytes().any(|b| b < b' ' || b == 0x7f)) {
            checks.push(format!("{at}.value"), "has control characters, which no header may have");
        }
        if let Some(env) = &replaced.env {
            checks.variable(&format!("{at}.env"), env);
        }
        if of.drop_headers.contains(&replaced.name) {
            checks.push(&at, format!("`{}` is in dropHeaders too: drop it or replace it", replaced.name));
        }
    }
    let names = of.replace_headers.iter().map(|replaced| replaced.name.as_str());
    checks.unique(names, |i| format!("{path}.replaceHeaders[{i}].name"));
}
