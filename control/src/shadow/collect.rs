//! Records of comparisons as proxies send them: taken in over HTTP, and written to a file by a thread of its own.
//!
//! Nothing waits: a batch goes into a bounded queue or is refused (503), and proxies count what is refused. What is written is whole: a write
//! that failed in the middle (a full disk) is cut off again, and the next one tries anew. The file is set aside at a size, and a number of those is kept.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use serde::de::IgnoredAny;

use super::lines;
use crate::exit::Failure;

/// Batches that wait for the disk: 64 MiB at most.
const QUEUE: usize = 64;
/// Largest batch.
const BATCH: usize = 1 << 20;
/// The environment variable with the token that senders must show.
pub(crate) const TOKEN: &str = "HEADGATE_RECORDS_TOKEN";
/// At this size the file is set aside, unless somebody says otherwise.
pub(crate) const ROTATE: u64 = 256 << 20;
/// How many that were set aside are kept, unless somebody says otherwise.
pub(crate) const KEEP: usize = 8;
/// Where batches are posted to.
pub(crate) const PATH: &str = "/shadow/records";

/// Where records go.
#[derive(Debug, Clone)]
pub(crate) struct Out {
    pub(crate) path: PathBuf,
    /// At this size the file is set aside.
    pub(crate) rotate: u64,
    /// How many that were set aside are kept.
    pub(crate) keep: usize,
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Collector {
    queue: SyncSender<Vec<u8>>,
    token: Option<String>,
    counts: Arc<Counts>,
}

/// What became of records.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    /// Lines that are no JSON objects.
    unreadable: AtomicU64,
    /// Batches that were taken and are not written yet.
    waiting: AtomicU64,
    /// Whether the last write failed.
    failing: AtomicBool,
}

impl Collector {
    /// Opens the file and begins to write. `say` is told what a person should know, once each time it begins or ends. `token`: what
    /// senders must show.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn start(
        out: Out,
        token: Option<String>,
        say: impl Fn(&str) + Send + 'static,
    ) -> Result<Arc<Self>, Failure> {
        let file = open(&out.path)?;
        let (queue, batches) = sync_channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || write(&out, file, &batches, &theirs, say))
            .map_err(|e| Failure::failed(format!("no thread can be started: {e}")))?;
        Ok(Arc::new(Self { queue, token, counts }))
    }

    /// Takes a batch in; gives the status to answer with.
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        if let Some(token) = &self.token {
            let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
            if !crate::server::same(given, &format!("Bearer {token}")) {
                return StatusCode::UNAUTHORIZED;
            }
        }
        let mut kept = Vec::with_capacity(body.len() + 1);
        let mut unreadable = 0;
        let _read = lines::each(body, |line, _| {
            let object = line.first() == Some(&b'{') && serde_json::from_slice::<IgnoredAny>(line).is_ok();
            if object {
                kept.extend_from_slice(line);
                kept.push(b'\n');
            } else {
                unreadable += 1;
            }
        });
        self.counts.unreadable.fetch_add(unreadable, Ordering::Relaxed);
        if kept.is_empty() {
            return StatusCode::BAD_REQUEST;
        }
        self.counts.waiting.fetch_add(1, Ordering::AcqRel);
        let sent = self.queue.try_send(kept);
        if sent.is_err() {
            self.counts.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        match sent {
            // While the disk is full a batch is still tried, and its sender told that it may be lost.
            Ok(()) if self.counts.failing.load(Ordering::Relaxed) => StatusCode::SERVICE_UNAVAILABLE,
            Ok(()) => StatusCode::NO_CONTENT,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Waits until all that was taken is written, or the disk did not take it, but not longer than this: before the process ends.
    pub(crate) fn settle(&self, most: Duration) {
        let until = Instant::now() + most;
        while self.counts.waiting.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The route that takes batches.
pub(crate) fn router(collector: Arc<Collector>) -> Router {
    let take = |State(collector): State<Arc<Collector>>, headers: HeaderMap, body: Bytes| async move {
        collector.take(&headers, &body)
    };
    Router::new().route(PATH, post(take)).layer(DefaultBodyLimit::max(BATCH)).with_state(collector)
}

fn open(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|e| Failure::failed(format!("{} cannot be written: {e}", path.display())))
}

fn write(out: &Out, file: File, batches: &Receiver<Vec<u8>>, counts: &Counts, say: impl Fn(&str)) {
    let mut file = Some(file);
    for batch in batches {
        match one(out, &mut file, &batch) {
            Ok(()) => {
                if counts.failing.swap(false, Ordering::Relaxed) {
                    say(&format!("{} can be written again", out.path.display()));
                }
                counts.written.fetch_add(batch.iter().filter(|b| **b == b'\n').count() as u64, Ordering::Relaxed);
            }
            Err(e) => {
                if !counts.failing.swap(true, Ordering::Relaxed) {
                    say(&format!("{} cannot be written: {e}; records are lost until it can", out.path.display()));
                }
            }
        }
        counts.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Writes a batch, whole or not at all.
fn one(out: &Out, open_file: &mut Option<File>, batch: &[u8]) -> std::io::Result<()> {
    let size = |file: &File| file.metadata().map(|about| about.len());
    // A file that was removed or set aside by somebody else is begun anew.
    if !out.path.exists() {
        *open_file = None;
    }
    if let Some(file) = open_file
        && size(file)? > 0
        && size(file)? + batch.len() as u64 > out.rotate
    {
        *open_file = None;
        rotate(out)?;
    }
    if open_file.is_none() {
        *open_file = Some(OpenOptions::new().create(true).append(true).open(&out.path)?);
    }
    let Some(file) = open_file else { return Ok(()) };
    let before = size(file)?;
    file.write_all(batch).inspect_err(|_| {
        let _cut = file.set_len(before);
    })
}

/// `FILE.1` is the newest that was set aside.
fn rotate(out: &Out) -> std::io::Result<()> {
    let name = |n: usize| {
        let mut name = out.path.as_os_str().to_owned();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    };
    if out.keep == 0 {
        return std::fs::remove_file(&out.path);
    }
    for n in (1..out.keep).rev() {
        if name(n).exists() {
            std::fs::rename(name(n), name(n + 1))?;
        }
    }
    std::fs::rename(&out.path, name(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(folder: &Path, rotate: u64, token: Option<&str>) -> (Arc<Collector>, PathBuf) {
        let path = folder.join("records.jsonl");
        let out = Out { path: path.clone(), rotate, keep: 2 };
        (Collector::start(out, token.map(str::to_owned), |_| {}).unwrap(), path)
    }

    fn wait(what: impl Fn() -> bool) {
        for _ in 0..2_000 {
            if what() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("it did not happen in 10 s");
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_batch_is_written_without_what_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let (collector, path) = collector(folder.path(), 1 << 20, Some("t"));
        let mut headers = HeaderMap::new();
        assert_eq!(collector.take(&headers, b"{}"), StatusCode::UNAUTHORIZED);
        headers.insert(header::AUTHORIZATION, "Bearer t".parse().unwrap());
        assert_eq!(collector.take(&headers, b"{\"a\":1}\nnonsense\n{\"b\":\n[1]\n{\"c\":2}"), StatusCode::NO_CONTENT);
        assert_eq!(collector.take(&headers, b"nonsense\n"), StatusCode::BAD_REQUEST);
        collector.settle(Duration::from_secs(60));
        assert_eq!(read(&path), "{\"a\":1}\n{\"c\":2}\n");
        assert_eq!(collector.counts.unreadable.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn the_file_is_set_aside_at_its_size_and_a_few_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (collector, path) = collector(folder.path(), 20, None);
        for i in 0..9 {
            let line = format!("{{\"n\":{i}}}");
            assert_eq!(collector.take(&HeaderMap::new(), line.as_bytes()), StatusCode::NO_CONTENT);
            wait(|| read(&path).contains(&line));
        }
        let aside = |n: usize| read(&folder.path().join(format!("records.jsonl.{n}")));
        assert_eq!(read(&path), "{\"n\":8}\n");
        assert_eq!((aside(1), aside(2)), ("{\"n\":6}\n{\"n\":7}\n".to_owned(), "{\"n\":4}\n{\"n\":5}\n".to_owned()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_full_disk_is_said_once_and_nothing_waits() {
        // A device that is always full.
        let full = Path::new("/dev/full");
        let said = Arc::new(std::sync::Mutex::new(Vec::new()));
        let theirs = Arc::clone(&said);
        let out = Out { path: full.to_owned(), rotate: 1 << 20, keep: 1 };
        let say = move |text: &str| theirs.lock().unwrap().push(text.to_owned());
        let collector = Collector::start(out, None, say).unwrap();
        assert_eq!(collector.take(&HeaderMap::new(), b"{}"), StatusCode::NO_CONTENT);
        wait(|| collector.counts.failing.load(Ordering::Relaxed));
        assert_eq!(collector.take(&HeaderMap::new(), b"{}"), StatusCode::SERVICE_UNAVAILABLE);
        wait(|| !said.lock().unwrap().is_empty());
        assert_eq!(said.lock().unwrap().len(), 1);
        assert_eq!(collector.counts.written.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn more_than_the_disk_takes_is_refused() {
        let (queue, batches) = sync_channel(1);
        let collector = Collector { queue, token: None, counts: Arc::default() };
        assert_eq!(collector.take(&HeaderMap::new(), b"{}"), StatusCode::NO_CONTENT);
        assert_eq!(collector.take(&HeaderMap::new(), b"{}"), StatusCode::SERVICE_UNAVAILABLE);
        drop(batches);
        assert_eq!(collector.take(&HeaderMap::new(), b"{}"), StatusCode::SERVICE_UNAVAILABLE);
    }
}
