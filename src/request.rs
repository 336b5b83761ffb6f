//! One request: decided, applied, counted.
//!
//! Every host call that a request costs is in these lines, and a test pins their number by kind of request. What a
//! route does not use is not asked for.

use std::rc::Rc;

use headgate_routing::{Copy, Credit, Env, Event, HeaderOp, IssuedCookie, Outcome};
use proxy_wasm::types::MapType;

use crate::counters::{self, End, Series};
use crate::host;
use crate::live::Live;
use crate::response;
use crate::series;
use crate::view::Request;

/// From this latency on, in microseconds, an answered request's flags are read too: it may have timed out in its body.
const SLOW: u64 = 100_000;
/// Likewise from this time on between its headers and its end, in microseconds: most bodies come with their headers.
const SLOW_BODY: u64 = 1_000;

/// A request on its way.
pub(crate) struct Stream {
    live: Rc<Live>,
    decided: Option<Decided>,
    /// Goals that it reaches if its answer fits; once it is answered, those that it reached.
    credits: Vec<Credit>,
    answered: bool,
    grpc: bool,
    /// Of gRPC, once it is known: it stands in the trailers, or in the headers of an answer that has no message.
    grpc_status: Option<u64>,
    /// Of a request that the filter copies.
    #[cfg(feature = "shadow")]
    pub(crate) watch: Option<crate::shadow::Watch>,
    /// Of a request whose predictions are read.
    #[cfg(feature = "shadow")]
    pub(crate) reading: Option<crate::predict::Reading>,
    /// The context of its plugin.
    #[cfg(feature = "shadow")]
    root: u32,
}

/// What is left to do of a decision, and to count.
struct Decided {
    series: Rc<Series>,
    replicate: Option<u8>,
    route: usize,
    variant: usize,
    cookie: Option<IssuedCookie>,
    /// Monotonic, in nanoseconds.
    started: u64,
    /// In microseconds after the start.
    headers: Option<u64>,
    status: u16,
}

impl Stream {
    /// A request that the configuration in force decides.
    pub(crate) fn new(live: Rc<Live>, #[cfg(feature = "shadow")] root: u32) -> Self {
        Self {
            live,
            decided: None,
            credits: Vec::new(),
            answered: false,
            grpc: false,
            grpc_status: None,
            #[cfg(feature = "shadow")]
            watch: None,
            #[cfg(feature = "shadow")]
            reading: None,
            #[cfg(feature = "shadow")]
            root,
        }
    }

    /// The request's headers are there, `count` of them; it `ends` with them, or has a body.
    pub(crate) fn decide(&mut self, count: usize, ends: bool) {
        let live = &*self.live;
        let view = Request::new(live.prefers_map, count, ends);
        let env = Env { now: &host::now, random: &random, keyring: &live.keyring, trace: None };
        let outcome = live.table.decide(&view, &env);
        apply(&outcome);
        for event in &outcome.events {
            match event {
                Event::Forged(header) => counters::count("headgate_forged_headers", &[("header", header)]),
                Event::BadToken(fault) => counters::count("headgate_bad_tokens", &[("reason", fault.as_str())]),
            }
        }
        if outcome.decision.is_some() || !outcome.credits.is_empty() {
            // A gRPC request has a body: its end stands on a DATA frame, if need be on an empty one.
            self.grpc = !ends && view.is_grpc();
        }
        self.credits = outcome.credits;
        let Some(decision) = outcome.decision else {
            counters::count("headgate_unmatched", &[]);
            return;
        };
        let Some(series) = live.board.series(&live.table, &decision).map(Rc::clone) else {
            counters::error("series");
            return;
        };
        series.started(decision.reason, decision.replicate);
        match decision.copy {
            Copy::None => {}
            Copy::Sent => counters::count("headgate_mirrored", &[("route", series.route())]),
            Copy::Refused(why) => {
                let labels = [("route", series.route()), ("reason", why.as_str())];
                counters::count("headgate_mirror_refused", &labels);
            }
        }
        let started = host::monotonic();
        #[cfg(feature = "shadow")]
        {
            self.reading = match decision.predicted {
                true => crate::predict::Reading::begin(&self.live, &decision, ends),
                false => None,
            };
            // Last: what comes after a copy that is sent would be about another context.
            self.watch = (decision.shadow.as_ref()).and_then(|sampled| {
                let request = crate::shadow::Seen { map: view.read(), changed: &outcome.headers, ends };
                crate::shadow::Watch::begin(&self.live, self.root, decision.route, sampled, &request, started)
            });
        }
        self.decided = Some(Decided {
            series,
            replicate: decision.replicate,
            route: decision.route,
            variant: decision.variant,
            cookie: decision.cookie,
            started,
            headers: None,
            status: 0,
        });
    }

    /// The response's headers are there: the version's, or Envoy's own. Who has read their status already tells it.
    pub(crate) fn answered(&mut self, status: Option<u16>) {
        if self.decided.is_none() && self.credits.is_empty() {
            return;
        }
        let now = if self.decided.is_some() { host::monotonic() } else { 0 };
        let map = MapType::HttpResponseHeaders;
        let ask = || host::header_as(map, ":status", series::status)?;
        let status = status.or_else(ask).unwrap_or(0);
        let table = &self.live.table;
        if !self.credits.is_empty() {
            self.credits.retain(|credit| table.reached(credit, status, &|name| host::header(map, name)));
        }
        self.answered = true;
        self.read_grpc(map);
        let Some(decided) = &mut self.decided else { return };
        (decided.headers, decided.status) = (Some(decided.until(now)), status);
        if self.live.touches_responses {
            if let Some((name, value)) = self.live.table.response_header(decided.route, decided.variant) {
                failed(host::set_header(map, name, value.as_bytes()).is_err(), "response_header");
            }
            if let Some(cookie) = decided.cookie.take() {
                response::issue(&cookie);
            }
        }
        served_by(&decided.series, now);
    }

    /// The answer's status, as it was read.
    #[cfg(feature = "shadow")]
    pub(crate) fn status(&self) -> u16 {
        self.decided.as_ref().map_or(0, |decided| decided.status)
    }

    /// The response has trailers, and they are there.
    pub(crate) fn trailed(&mut self) {
        self.read_grpc(MapType::HttpResponseTrailers);
    }

    /// The stream is over, answered or not.
    pub(crate) fn ended(&self) {
        #[cfg(feature = "shadow")]
        if let Some(watch) = &self.watch {
            watch.is_over();
        }
        #[cfg(feature = "shadow")]
        if let Some(reading) = &self.reading {
            reading.is_over();
        }
        let live = &*self.live;
        if self.answered && (!self.grpc || self.grpc_status == Some(0)) {
            self.credits.iter().for_each(|credit| live.board.reached(&live.table, credit));
        }
        let Some(decided) = &self.decided else { return };
        let latency = decided.until(host::monotonic());
        let grpc = self.grpc.then(|| series::grpc(self.grpc_status));
        let status = decided.status;
        let late =
            latency >= SLOW || decided.headers.is_some_and(|headers| latency.saturating_sub(headers) >= SLOW_BODY);
        let suspicious = late || status == 504 || status < 100 || matches!(grpc, Some(4 | 14 | 17));
        let timed_out = suspicious
            && host::property_number("response\0flags").is_some_and(|flags| series::timed_out(flags, status));
        let end = End { class: series::class(status), grpc, timed_out, latency, headers: decided.headers };
        decided.series.ended(&end, decided.replicate);
    }

    /// The status of a gRPC request, if `map` has it.
    fn read_grpc(&mut self, map: MapType) {
        if self.grpc
            && let Some(status) = host::header_as(map, "grpc-status", number)
        {
            self.grpc_status = status;
        }
    }
}

impl Decided {
    /// Microseconds from the start to `now`.
    const fn until(&self, now: u64) -> u64 {
        now.saturating_sub(self.started) / 1_000
    }
}

/// Compares the cluster that served with the one that should have, where that is due.
fn served_by(series: &Series, now: u64) {
    let Some(expected) = &series.cluster else { return };
    let Some(stands_for) = series.delivery.due(now) else { return };
    let wrong = match host::property_as("xds\0cluster_name", |name| (name == expected.as_bytes(), name.is_empty())) {
        Some((true, _)) => None,
        Some((_, false)) => Some("other_cluster"),
        _ => Some("no_cluster"),
    };
    series.delivery.seen(wrong.is_none());
    if let Some(reason) = wrong {
        series.misrouted(reason, stands_for);
    }
}

/// Does to the request what was decided. Filter state comes first: a header changed after it makes the router choose
/// anew by itself.
fn apply(outcome: &Outcome<'_>) {
    for (key, value) in &outcome.state {
        failed(host::set_state(key, value).is_err(), "filter_state");
    }
    for op in &outcome.headers {
        let result = match op {
            HeaderOp::Remove(name) => host::remove_header(MapType::HttpRequestHeaders, name),
            HeaderOp::Set(name, value) => host::set_header(MapType::HttpRequestHeaders, name, value.as_bytes()),
            HeaderOp::SetBytes(name, value) => host::set_header(MapType::HttpRequestHeaders, name, value),
        };
        failed(result.is_err(), "request_header");
    }
    if outcome.clear_route_cache && outcome.headers.is_empty() {
        failed(host::clear_route_cache().is_err(), "clear_route_cache");
    }
}

fn failed(it_did: bool, kind: &str) {
    if it_did {
        counters::error(kind);
    }
}

#[cfg(not(feature = "shadow"))]
fn random() -> Option<u128> {
    let mut bits = [0; 16];
    fill(&mut bits).then(|| u128::from_le_bytes(bits))
}

/// Random bits, drawn for many requests at once: of those that a share leaves out none is to cost a call.
#[cfg(feature = "shadow")]
fn random() -> Option<u128> {
    const DRAWS: usize = 256;
    thread_local! {
        static DRAWN: core::cell::RefCell<Vec<u128>> = const { core::cell::RefCell::new(Vec::new()) };
    }
    DRAWN.with(|drawn| {
        let mut drawn = drawn.try_borrow_mut().ok()?;
        if drawn.is_empty() {
            let mut bits = [0; 16 * DRAWS];
            if !fill(&mut bits) {
                return None;
            }
            drawn.extend(bits.as_chunks().0.iter().map(|bits| u128::from_le_bytes(*bits)));
        }
        drawn.pop()
    })
}

fn fill(bits: &mut [u8]) -> bool {
    let filled = getrandom::fill(bits).is_ok();
    failed(!filled, "random");
    filled
}

fn number<T: core::str::FromStr>(text: &[u8]) -> Option<T> {
    core::str::from_utf8(text).ok()?.parse().ok()
}
