//! Counting: from a decision to metric ids of the host.
//!
//! A metric is defined when it first counts something, and once in the life of a VM: Envoy hands out a new id for
//! every definition, so ids are kept by name and outlive configurations. A table's cells remember them by number, so
//! that a request looks up no name. A metric that cannot be defined counts nothing.
//!
//! What requests count waits in a tally for a tick, which the first of them asks for; what is seldom counted is told at once.

use core::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use fnv::FnvHashMap;

use headgate_contract::Replicate;
use headgate_routing::{Assigned, Credit, Decision, Reason, RoutingTable};
use proxy_wasm::types::MetricType;

use crate::delivery::Delivery;
use crate::host;
use crate::series::{self, CLASSES, GRPC, REPLICATES};
use crate::tally::Tally;

/// Milliseconds that counts wait at most: the host is told of many at once.
const HAND_OVER_AFTER: u32 = 100;

thread_local! {
    static KNOWN: RefCell<FnvHashMap<String, u32>> = RefCell::default();
    static TALLY: RefCell<Tally> = RefCell::default();
    /// Whether a tick is on its way, with which counts are handed over.
    static AWAITED: Cell<bool> = const { Cell::new(false) };
}

/// What a metric is known by, defined if it is not yet: a counter's place in the tally, any other's id. `None` when the host
/// refuses it.
fn known(kind: MetricType, name: String) -> Option<u32> {
    KNOWN.with(|known| {
        let mut known = known.try_borrow_mut().ok()?;
        if let Some(number) = known.get(&name) {
            return Some(*number);
        }
        let id = host::define(kind, &name).ok()?;
        let number = match kind {
            MetricType::Counter => TALLY.with(|tally| tally.try_borrow_mut().ok()?.take_in(id))?,
            _ => id,
        };
        known.insert(name, number);
        Some(number)
    })
}

/// Adds 1 to a counter that is not on every request's way.
pub(crate) fn count(metric: &str, labels: &[(&str, &str)]) {
    add(metric, labels, 1);
}

/// Adds to a counter that is not on every request's way.
pub(crate) fn add(metric: &str, labels: &[(&str, &str)], by: u32) {
    let place = known(MetricType::Counter, series::name(metric, labels));
    if let Some(id) = place.and_then(|place| TALLY.with(|tally| tally.try_borrow().ok()?.id(place))) {
        host::increment(id, u64::from(by));
    }
}

/// Sets a gauge.
pub(crate) fn gauge(metric: &str, labels: &[(&str, &str)], value: u64) {
    if let Some(id) = known(MetricType::Gauge, series::name(metric, labels)) {
        host::record(id, value);
    }
}

/// Something that went wrong in the filter. Label `kind` of `headgate_errors`.
pub(crate) fn error(kind: &str) {
    count("headgate_errors", &[("kind", kind)]);
}

/// A tick is on its way.
pub(crate) fn awaits_tick() {
    AWAITED.set(true);
}

/// Hands over what was counted; what is counted from now on asks for a tick of its own.
pub(crate) fn hand_over() {
    AWAITED.set(false);
    TALLY.with(|tally| {
        if let Ok(mut tally) = tally.try_borrow_mut() {
            tally.hand_over(host::increment);
            tally.hand_over_samples(host::record);
        }
    });
}

/// Adds to a counter with the next tick.
fn add_later(place: u32, by: u32) {
    TALLY.with(|tally| {
        if let Ok(mut tally) = tally.try_borrow_mut() {
            tally.add(place, by);
        }
    });
    ask_for_tick();
}

/// Takes a sample with the next tick, or when enough wait.
fn sample_later(id: u32, value: u64) {
    TALLY.with(|tally| {
        if let Ok(mut tally) = tally.try_borrow_mut()
            && tally.sample(id, value)
        {
            tally.hand_over_samples(host::record);
        }
    });
    ask_for_tick();
}

/// What waits is handed over with a tick, or at once if the host gives none.
fn ask_for_tick() {
    if !AWAITED.replace(true) {
        // Of a period that is already running, a shorter one would only be the next.
        #[cfg(feature = "shadow")]
        let _ = host::tick_every(0);
        if host::tick_every(HAND_OVER_AFTER).is_err() {
            hand_over();
        }
    }
}

/// A metric's id once it is known, of counters their place in the tally; 0 before. What the host refused is asked for
/// again at the next request: it is cheap beside being blind.
#[derive(Debug, Default)]
pub(crate) struct Slot(Cell<u32>);

impl Slot {
    fn known(&self, ask: impl FnOnce() -> Option<u32>) -> Option<u32> {
        if self.0.get() == 0 {
            self.0.set(ask()?);
        }
        Some(self.0.get())
    }

    /// Adds to a counter, with the next tick.
    pub(crate) fn increment(&self, by: u32, name: impl FnOnce() -> String) {
        if let Some(place) = self.known(|| known(MetricType::Counter, name())) {
            add_later(place, by);
        }
    }

    /// Takes a sample of a histogram, with the next tick.
    pub(crate) fn sample(&self, value: u64, name: impl FnOnce() -> String) {
        if let Some(id) = self.known(|| known(MetricType::Histogram, name())) {
            sample_later(id, value);
        }
    }
}

/// All series of one (route, variant, assigned, segment). What every request touches stands together, in front.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Series {
    /// Whether the right cluster serves it.
    pub(crate) delivery: Delivery,
    /// The cluster that should.
    pub(crate) cluster: Option<String>,
    latency: Slot,
    headers: Slot,
    requests: [Slot; Reason::ALL.len()],
    classes: [Slot; CLASSES.len()],
    timeouts: Slot,
    route: String,
    variant: String,
    assigned: &'static str,
    segment: String,
    grpc: OnceCell<Box<[Slot; GRPC.len()]>>,
    replicates: OnceCell<Box<[[Slot; 32]; REPLICATES.len()]>>,
    /// By goal of the route, by bucket.
    goals: OnceCell<Vec<[Slot; 32]>>,
    /// Which of [`REPLICATES`] the configuration names.
    replicated: [bool; REPLICATES.len()],
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Index in [`CLASSES`].
    pub(crate) class: usize,
    /// Index in [`GRPC`], of gRPC requests.
    pub(crate) grpc: Option<usize>,
    /// Whether an upstream did not answer in time.
    pub(crate) timed_out: bool,
    /// From the request's headers to the end of the stream, in microseconds.
    pub(crate) latency: u64,
    /// From the request's headers to the response's, in microseconds.
    pub(crate) headers: Option<u64>,
}

impl Series {
    fn name(&self, metric: &str, more: &[(&str, &str)]) -> String {
        let mut labels = vec![
            ("route", self.route.as_str()),
            ("variant", &self.variant),
            ("assigned", self.assigned),
            ("segment", &self.segment),
        ];
        labels.extend_from_slice(more);
        series::name(metric, &labels)
    }

    /// The label `route`.
    pub(crate) fn route(&self) -> &str {
        &self.route
    }

    /// A request that started.
    pub(crate) fn started(&self, reason: Reason, replicate: Option<u8>) {
        if let Some(slot) = self.requests.get(reason as usize) {
            slot.increment(1, || self.name("headgate_requests", &[("reason", reason.as_str())]));
        }
        self.replicate(Replicate::Requests, replicate, 1);
    }

    /// A request that ended.
    pub(crate) fn ended(&self, end: &End, replicate: Option<u8>) {
        if let (Some(slot), Some(class)) = (self.classes.get(end.class), CLASSES.get(end.class)) {
            slot.increment(1, || self.name("headgate_responses", &[("class", class)]));
        }
        self.latency.sample(end.latency, || self.name("headgate_latency_us", &[]));
        if let Some(headers) = end.headers {
            self.headers.sample(headers, || self.name("headgate_headers_us", &[]));
        }
        if end.timed_out {
            self.timeouts.increment(1, || self.name("headgate_timeouts", &[]));
        }
        if let Some(status) = end.grpc {
            let slots = self.grpc.get_or_init(Box::default);
            if let (Some(slot), Some(status)) = (slots.get(status), GRPC.get(status)) {
                slot.increment(1, || self.name("headgate_grpc", &[("status", status)]));
            }
        }
        if replicate.is_some() {
            self.replicate(Replicate::Finished, replicate, 1);
            if series::failed(end.class, end.grpc) {
                self.replicate(Replicate::Failures, replicate, 1);
            }
            if end.timed_out {
                self.replicate(Replicate::Timeouts, replicate, 1);
            }
            if end.class == series::CLIENT_ERROR {
                self.replicate(Replicate::ClientErrors, replicate, 1);
            }
            self.replicate(Replicate::Latency, replicate, u32::try_from(end.latency).unwrap_or(u32::MAX));
        }
    }

    fn replicate(&self, what: Replicate, bucket: Option<u8>, by: u32) {
        let Some(bucket) = bucket else { return };
        let Some(index) = REPLICATES.iter().position(|(metric, _)| *metric == what) else { return };
        if self.replicated.get(index) != Some(&true) {
            return;
        }
        let slots = self.replicates.get_or_init(Box::default);
        let slot = slots.get(index).and_then(|buckets| buckets.get(usize::from(bucket)));
        if let (Some(slot), Some((_, metric))) = (slot, REPLICATES.get(index)) {
            slot.increment(by, || self.by_bucket(metric, bucket, None));
        }
    }

    fn by_bucket(&self, metric: &str, bucket: u8, goal: Option<&str>) -> String {
        let bucket = bucket.to_string();
        let mut labels = vec![("route", self.route.as_str()), ("variant", &self.variant), ("segment", &self.segment)];
        labels.extend(goal.map(|goal| ("goal", goal)));
        labels.push(("bucket", &bucket));
        series::name(metric, &labels)
    }

    /// Requests that another cluster served than the variant names.
    pub(crate) fn misrouted(&self, reason: &str, requests: u32) {
        let labels = [("route", self.route.as_str()), ("variant", &self.variant), ("reason", reason)];
        add("headgate_misrouted", &labels, requests);
    }
}

/// The series of a table, each made when a request first needs it.
#[derive(Debug)]
pub(crate) struct Board {
    /// By route: where its cells begin, and how many each variant has for one way of being assigned.
    places: Vec<(usize, usize)>,
    cells: Vec<OnceCell<Rc<Series>>>,
}

impl Board {
    /// An empty board for `table`.
    pub(crate) fn new(table: &RoutingTable) -> Self {
        let mut len = 0;
        let mut places = Vec::with_capacity(table.config().routes.len());
        for route in &table.config().routes {
            let each = route.segments.len() + 1;
            places.push((len, each));
            len += route.variants.len() * 2 * each;
        }
        let mut cells = Vec::new();
        cells.resize_with(len, OnceCell::new);
        Self { places, cells }
    }

    /// A goal that was reached.
    pub(crate) fn reached(&self, table: &RoutingTable, credit: &Credit) {
        let Some(goals) = table.route(credit.route).map(|route| &route.goals) else { return };
        let place = (credit.route, credit.variant, credit.segment);
        let (Some(series), Some(goal)) = (self.of(table, place, Assigned::Hash), goals.get(credit.index)) else {
            return;
        };
        let slots = series.goals.get_or_init(|| goals.iter().map(|_| Default::default()).collect());
        if let Some(slot) = slots.get(credit.index).and_then(|buckets| buckets.get(usize::from(credit.replicate))) {
            slot.increment(1, || series.by_bucket("headgate_goals", credit.replicate, Some(&goal.name)));
        }
    }

    /// The series of a decision.
    pub(crate) fn series(&self, table: &RoutingTable, decision: &Decision) -> Option<&Rc<Series>> {
        self.of(table, (decision.route, decision.variant, decision.segment), decision.assigned)
    }

    /// The series of a route, variant and segment.
    fn of(
        &self,
        table: &RoutingTable,
        (at, variant, segment): (usize, usize, usize),
        assigned: Assigned,
    ) -> Option<&Rc<Series>> {
        let forced = usize::from(assigned == Assigned::Forced);
        let (first, each) = self.places.get(at)?;
        let cell = self.cells.get(first + (variant * 2 + forced) * each + segment)?;
        if let Some(series) = cell.get() {
            return Some(series);
        }
        let route = table.route(at)?;
        let variant = route.variants.get(variant)?;
        let segment = match segment.checked_sub(1) {
            None => "default",
            Some(index) => route.segments.get(index)?.name.as_str(),
        };
        let named = &table.config().metrics.replicates;
        Some(cell.get_or_init(|| {
            Rc::new(Series {
                delivery: Delivery::default(),
                cluster: variant.cluster.clone(),
                latency: Slot::default(),
                headers: Slot::default(),
                requests: Default::default(),
                classes: Default::default(),
                timeouts: Slot::default(),
                route: route.name.clone(),
                variant: variant.name.clone(),
                assigned: assigned.as_str(),
                segment: segment.to_owned(),
                grpc: OnceCell::new(),
                replicates: OnceCell::new(),
                goals: OnceCell::new(),
                replicated: REPLICATES.map(|(metric, _)| named.contains(&metric)),
            })
        }))
    }
}
