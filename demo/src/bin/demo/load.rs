//! Users: each asks about the one picture that is theirs, over connections that stay open, and what they are told is kept.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use headgate_demo::{Answer, Question, Row, Version};
use headgate_tests::{Client, body};
use serde_json::json;
use tokio::task::JoinHandle;

/// Connections that are open at once.
const CONNECTIONS: usize = 8;
/// What a connection rests after each request while others are at work beside it, so that the machine is busy and not full.
const REST: Duration = Duration::from_millis(4);

/// Somebody who asks.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The value of `x-user-id`.
    pub(crate) name: String,
    /// What the picture shows: ground truth.
    pub(crate) digit: u8,
    /// The picture, as numbers.
    pub(crate) pixels: Vec<f64>,
    /// The request's body.
    pub(crate) body: String,
}

impl Person {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let pixels: Vec<f64> = row.pixels.iter().copied().map(f64::from).collect();
        let body = serde_json::to_string(&Question { features: pixels.clone() })?;
        Ok(Self { name: row.user.clone(), digit: row.digit, pixels, body })
    }
}

/// How somebody asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    /// What follows `/predict`.
    pub(crate) query: &'static str,
    /// Headers beside `x-user-id`.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// What came of one request.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Which of the people.
    pub(crate) person: usize,
    /// When it was begun.
    pub(crate) sent: SystemTime,
    /// When its answer, or the lack of it, was known.
    pub(crate) answered: SystemTime,
    /// The answer, or why there is none.
    pub(crate) answer: Result<Answer, String>,
}

/// All who may ask.
pub(crate) type People = Arc<Vec<Person>>;

/// Everybody asks once, in this manner. In the order of the people.
pub(crate) async fn pass(ingress: SocketAddr, people: &People, manner: &Manner) -> Result<Vec<Record>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (people, manner, next) = (Arc::clone(people), manner.clone(), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut line = Line { ingress, client: None };
            let mut records = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(person) = people.get(i) else { return records };
                records.push(line.ask(i, person, &manner).await);
            }
        }));
    }
    let mut records = gather(tasks).await?;
    records.sort_by_key(|record| record.person);
    Ok(records)
}

/// Where it is told which answers were right: one line of JSON for each, as `headgate` takes outcomes.
#[derive(Debug)]
pub(crate) struct Truth {
    file: Mutex<File>,
    /// The version that serves as stable; any other one is the new one.
    stable: Version,
    names: [&'static str; 2],
}

impl Truth {
    /// Into a file, made anew; `names` are those of the old and of the new variant.
    pub(crate) fn new(path: &Path, stable: Version, names: [&'static str; 2]) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { file: Mutex::new(file), stable, names })
    }

    fn tell(&self, person: &Person, record: &Record) {
        let Ok(answer) = &record.answer else { return };
        let [old, new] = self.names;
        let at = record.answered.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let line = json!({"key": person.name, "variant": if answer.model == self.stable { old } else { new },
            "success": answer.prediction == person.digit, "time": u64::try_from(at).unwrap_or(0)});
        // What is not told is missing from the measurement, and that is seen there.
        let _ = writeln!(self.file.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
    }
}

/// People who ask one after the other, round and round, until it is finished.
#[derive(Debug)]
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Vec<Record>>>,
}

impl Stream {
    pub(crate) fn start(ingress: SocketAddr, people: &People) -> Self {
        Self::telling(ingress, people, None)
    }

    /// The same, and what became of each answer is told.
    pub(crate) fn telling(ingress: SocketAddr, people: &People, truth: Option<Truth>) -> Self {
        let truth = truth.map(Arc::new);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicU64::new(0));
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let (people, next) = (Arc::clone(people), Arc::clone(&next));
            let (stop, asked, truth) = (Arc::clone(&stop), Arc::clone(&asked), truth.clone());
            tasks.push(tokio::spawn(async move {
                let mut line = Line { ingress, client: None };
                let mut records = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let i = next.fetch_add(1, Ordering::Relaxed) % people.len().max(1);
                    let Some(person) = people.get(i) else { break };
                    let record = line.ask(i, person, &Manner::default()).await;
                    if let Some(truth) = &truth {
                        truth.tell(person, &record);
                    }
                    records.push(record);
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(REST).await;
                }
                records
            }));
        }
        Self { stop, asked, tasks }
    }

    /// Waits until so many more have been answered; tells `each` how many are.
    pub(crate) async fn more(&self, count: u64, each: impl Fn(u64)) {
        let end = self.asked.load(Ordering::Relaxed) + count;
        loop {
            let asked = self.asked.load(Ordering::Relaxed);
            each(asked);
            if asked >= end || self.tasks.iter().all(JoinHandle::is_finished) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Nobody begins another request; what was begun is waited for.
    pub(crate) async fn finish(mut self) -> Result<Vec<Record>> {
        self.stop.store(true, Ordering::Relaxed);
        gather(std::mem::take(&mut self.tasks)).await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn gather(tasks: Vec<JoinHandle<Vec<Record>>>) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for task in tasks {
        records.extend(task.await?);
    }
    Ok(records)
}

/// One connection, made anew when it broke.
struct Line {
    ingress: SocketAddr,
    client: Option<Client>,
}

impl Line {
    async fn ask(&mut self, i: usize, person: &Person, manner: &Manner) -> Record {
        let sent = SystemTime::now();
        let answer = self.exchange(person, manner).await;
        if answer.is_err() {
            self.client = None;
        }
        Record { person: i, sent, answered: SystemTime::now(), answer: answer.map_err(|e| format!("{e:#}")) }
    }

    async fn exchange(&mut self, person: &Person, manner: &Manner) -> Result<Answer> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(Client::http1(self.ingress).await?),
        };
        let mut headers = vec![("content-type", "application/json"), ("x-user-id", person.name.as_str())];
        headers.extend(manner.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let path = format!("/predict{}", manner.query);
        let answer = client.request("POST".parse()?, &path, &headers, body(person.body.clone())).await?;
        anyhow::ensure!(answer.status == 200, "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
        Ok(serde_json::from_slice(&answer.body)?)
    }
}
