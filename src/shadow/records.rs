//! Records of pairs: made, kept until they are delivered, and counted.
//!
//! To a cluster they go in batches, and a batch that does not arrive is lost: nothing is sent twice and nothing waits. To Envoy's log
//! each goes at once.

use headgate_compare::Outcome;
use headgate_compare::record::{Answer, Record, VERSION};
use headgate_contract::{Records as To, Route};
use headgate_routing::Sampled;

use super::board::Series;
use super::notes::Notes;
use super::queue::{Batch, LeftOut, Queue};
use crate::headers::HeaderMap;
use crate::{counters, host};

/// How long a batch's answer is waited for, in milliseconds.
pub(crate) const TIMEOUT: u32 = 5_000;

/// Where the records of a target go.
#[derive(Debug)]
pub(crate) struct Records {
    target: String,
    to: To,
    /// The value of `authorization`.
    token: Option<Vec<u8>>,
    queue: Queue,
    /// Whether records are still made; those that wait are delivered either way.
    open: bool,
}

/// What a record is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'f> {
    pub(crate) route: &'f Route,
    pub(crate) series: &'f Series,
    pub(crate) sampled: &'f Sampled,
    pub(crate) notes: &'f Notes,
}

impl Facts<'_> {
    /// A record without its answers. The time is that of the request: now, less what has gone by since.
    fn record(&self, now: u64) -> Record {
        let cluster = self.route.shadow.as_ref().map(|shadow| shadow.cluster.as_str());
        let variant = self.route.variants.iter().find(|variant| variant.cluster.as_deref() == cluster);
        Record {
            record: VERSION,
            time: host::now_milliseconds().saturating_sub(now.saturating_sub(self.notes.started) / 1_000_000),
            route: self.series.route.clone(),
            variant: variant.map(|variant| variant.name.clone()).unwrap_or_default(),
            segment: self.series.segment.clone(),
            request_id: self.notes.id.clone(),
            key: self.sampled.key.map(|hash| format!("{hash:016x}")),
            bucket: Some(self.sampled.bucket),
            input: self.notes.input.clone(),
            ..Record::default()
        }
    }
}

/// Both answers of a record.
#[derive(Debug)]
pub(crate) struct Told<'o> {
    pub(crate) primary: Answer,
    pub(crate) shadow: Answer,
    /// What comparing them came to; none when the shadow gave no answer.
    pub(crate) outcome: Option<&'o Outcome>,
    pub(crate) only_noise: bool,
    /// What stable's second answer came to.
    pub(crate) noise: Option<&'o Outcome>,
    /// Parts of 10,000 of such records that are kept.
    pub(crate) share: u32,
}

impl Records {
    pub(crate) fn new(target: &str, to: &To, token: Option<Vec<u8>>) -> Self {
        Self { target: target.to_owned(), to: to.clone(), token, queue: Queue::new(to), open: true }
    }

    /// Another configuration's wishes. What waits goes on waiting, or to the log at once if that is where records go now.
    pub(crate) fn set(&mut self, to: &To, token: Option<Vec<u8>>) {
        self.queue.set(to);
        self.to = to.clone();
        self.token = token;
        self.open = true;
        if to.log {
            for line in self.queue.empty() {
                self.log(&line);
            }
        }
    }

    /// No more records are made.
    pub(crate) const fn close(&mut self) {
        self.open = false;
    }

    /// Whether records are made.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// Makes a record unless too many were made. `now` is monotonic, in nanoseconds.
    pub(crate) fn note(&mut self, facts: &Facts<'_>, told: Told<'_>, now: u64) {
        match self.queue.may(now) {
            Ok(()) => {}
            Err(LeftOut::Rate) => return self.count("rate", 1),
            Err(LeftOut::Full) => return self.count("full", 1),
        }
        let mut record = facts.record(now);
        record.primary = told.primary;
        record.shadow = told.shadow;
        if let Some(outcome) = told.outcome {
            record.compared(outcome);
            record.only_noise = told.only_noise;
        }
        if let Some(noise) = told.noise {
            record.stable_compared(noise);
        }
        record.share = (told.share < 10_000).then(|| f64::from(told.share) / 10_000.0);
        let line = record.to_line(self.to.record_bytes as usize);
        match self.to.log {
            true => self.log(&line),
            false => self.queue.push(&line),
        }
    }

    /// Writes a record to Envoy's log.
    fn log(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let result = if host::tell(&format!("headgate-shadow {}", text.trim_end())).is_ok() { "sent" } else { "lost" };
        self.count(result, 1);
    }

    /// Whether a batch waits that is full.
    pub(crate) fn is_due(&self) -> bool {
        self.queue.is_due()
    }

    /// Milliseconds after which a batch is sent that is not full; none when nothing is sent.
    pub(crate) fn every(&self) -> Option<u32> {
        let delivers = self.to.cluster.is_some() && (self.open || !self.queue.is_empty());
        delivers.then_some(self.to.every_ms)
    }

    /// The next batch, with the cluster that it is for, and the request's headers.
    pub(crate) fn take(&mut self) -> Option<(Batch, String, Vec<u8>)> {
        let cluster = self.to.cluster.clone()?;
        let batch = self.queue.take()?;
        let mut headers: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"POST"),
            (b":path", self.to.path.as_bytes()),
            (b":authority", cluster.as_bytes()),
            (b"content-type", b"application/x-ndjson"),
            (b"x-headgate-target", self.target.as_bytes()),
        ];
        if let Some(token) = &self.token {
            headers.push((b"authorization", token));
        }
        let headers = HeaderMap::default().edited(|_, _| false, headers.into_iter());
        Some((batch, cluster, headers))
    }

    /// A batch that was taken has arrived, or is lost.
    pub(crate) fn arrived(&mut self, records: u32, whole: bool) {
        self.queue.arrived();
        self.count(if whole { "sent" } else { "lost" }, records);
    }

    fn count(&self, result: &str, records: u32) {
        counters::add("headgate_shadow_records", &[("target", &self.target), ("result", result)], records);
    }
}
