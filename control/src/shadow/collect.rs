//! Records of comparisons as proxies send them: taken in over HTTP, and written to a file by a thread of its own.
//!
//! A batch goes into a bounded queue or is refused (503), and its sender is answered once it is written, or could not be: what proxies count
//! as sent stands in the file, and what does not is counted by them as lost. What is written is whole: a write that failed in the middle (a
//! full disk) is cut off again, and the next one tries anew. The file is set aside at a size, and a number of those is kept.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use serde::de::IgnoredAny;
use tokio::sync::oneshot;

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

/// Records that came together, and who waits to hear that they are written.
#[derive(Debug)]
struct Batch {
    lines: Vec<u8>,
    records: u64,
    /// Lines of it that are no JSON objects, and left out.
    unreadable: u64,
    written: oneshot::Sender<bool>,
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Collector {
    queue: SyncSender<Batch>,
    token: Option<String>,
    counts: Arc<Counts>,
}

/// What became of records.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    /// Batches that were taken and are not written yet.
    waiting: AtomicU64,
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

    /// Takes a batch in; gives what tells whether it was written, or the status to answer with at once.
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> Result<oneshot::Receiver<bool>, StatusCode> {
        if let Some(token) = &self.token {
            let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
            if !crate::server::same(given, &format!("Bearer {token}")) {
                return Err(StatusCode::UNAUTHORIZED);
            }
        }
        let (written, told) = oneshot::channel();
        let mut batch = Batch { lines: Vec::with_capacity(body.len() + 1), records: 0, unreadable: 0, written };
        let _read = lines::each(body, |line, _| {
            if line.first() == Some(&b'{') && serde_json::from_slice::<IgnoredAny>(line).is_ok() {
                batch.lines.extend_from_slice(line);
                batch.lines.push(b'\n');
                batch.records += 1;
            } else {
                batch.unreadable += 1;
            }
        });
        if batch.records == 0 {
            return Err(StatusCode::BAD_REQUEST);
        }
        self.counts.waiting.fetch_add(1, Ordering::AcqRel);
        match self.queue.try_send(batch) {
            Ok(()) => Ok(told),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.counts.waiting.fetch_sub(1, Ordering::AcqRel);
                Err(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }

    /// The status to answer with, once it is known what became of a batch.
    async fn answer(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        match self.take(headers, body) {
            Ok(told) => match told.await {
                Ok(true) => StatusCode::NO_CONTENT,
                // Not written, or the writer is gone.
                Ok(false) | Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
            Err(status) => status,
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
        collector.answer(&headers, &body).await
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

fn write(out: &Out, file: File, batches: &Receiver<Batch>, counts: &Counts, say: impl Fn(&str)) {
    let mut file = Some(file);
    // Records lost since the disk took the last one, and whether lines that are none were told of.
    let (mut lost, mut told) = (0, false);
    for batch in batches {
        if batch.unreadable > 0 && !told {
            told = true;
            say(&format!(
                "of a batch {} lines are no JSON objects and were left out; more of them are not told of",
                batch.unreadable
            ));
        }
        let done = one(out, &mut file, &batch.lines);
        match &done {
            Ok(()) => {
                if lost > 0 {
                    say(&format!("{} can be written again; {lost} records were lost", out.path.display()));
                    lost = 0;
                }
                counts.written.fetch_add(batch.records, Ordering::Relaxed);
            }
            Err(e) => {
                if lost == 0 {
                    say(&format!("{} cannot be written: {e}; records are lost until it can", out.path.display()));
                }
                lost += batch.records;
            }
        }
        // A sender that went away meanwhile hears nothing.
        let _gone = batch.written.send(done.is_ok());
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

    type Said = Arc<std::sync::Mutex<Vec<String>>>;

    fn collector(path: &Path, rotate: u64, token: Option<&str>) -> (Arc<Collector>, Said) {
        let out = Out { path: path.to_owned(), rotate, keep: 2 };
        let said = Said::default();
        let theirs = Arc::clone(&said);
        let say = move |text: &str| theirs.lock().unwrap().push(text.to_owned());
        (Collector::start(out, token.map(str::to_owned), say).unwrap(), said)
    }

    /// What a sender hears in the end.
    fn send(collector: &Collector, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(collector.answer(headers, body))
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_batch_is_written_without_what_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        let (collector, said) = collector(&path, 1 << 20, Some("t"));
        let mut headers = HeaderMap::new();
        assert_eq!(send(&collector, &headers, b"{}"), StatusCode::UNAUTHORIZED);
        headers.insert(header::AUTHORIZATION, "Bearer t".parse().unwrap());
        let batch = b"{\"a\":1}\nnonsense\n{\"b\":\n[1]\n{\"c\":2}";
        assert_eq!(send(&collector, &headers, batch), StatusCode::NO_CONTENT);
        // Whoever is told so need not wait: it stands there.
        assert_eq!(read(&path), "{\"a\":1}\n{\"c\":2}\n");
        assert_eq!(send(&collector, &headers, b"nonsense\n"), StatusCode::BAD_REQUEST);
        assert_eq!(send(&collector, &headers, batch), StatusCode::NO_CONTENT);
        assert_eq!(read(&path).lines().count(), 4);
        let said = said.lock().unwrap();
        assert!(said.len() == 1 && said[0].contains("3 lines are no JSON objects"), "{said:?}");
    }

    #[test]
    fn the_file_is_set_aside_at_its_size_and_a_few_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records.jsonl");
        let (collector, _) = collector(&path, 20, None);
        for i in 0..9 {
            let line = format!("{{\"n\":{i}}}");
            assert_eq!(send(&collector, &HeaderMap::new(), line.as_bytes()), StatusCode::NO_CONTENT);
            assert!(read(&path).contains(&line), "{line}");
        }
        let aside = |n: usize| read(&folder.path().join(format!("records.jsonl.{n}")));
        assert_eq!(read(&path), "{\"n\":8}\n");
        assert_eq!((aside(1), aside(2)), ("{\"n\":6}\n{\"n\":7}\n".to_owned(), "{\"n\":4}\n{\"n\":5}\n".to_owned()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_told_to_each_sender_and_said_once() {
        // A device that is always full.
        let (collector, said) = collector(Path::new("/dev/full"), 1 << 20, None);
        for _ in 0..3 {
            assert_eq!(send(&collector, &HeaderMap::new(), b"{}\n{}"), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(said.lock().unwrap().len(), 1);
        assert_eq!(collector.counts.written.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn how_many_were_lost_is_said_once_the_disk_takes_records_again() {
        let folder = tempfile::tempdir().unwrap();
        let (aside, path) = (folder.path().join("aside"), folder.path().join("here/records.jsonl"));
        std::fs::create_dir(folder.path().join("here")).unwrap();
        let (collector, said) = collector(&path, 1 << 20, None);
        // The folder is away, and comes back.
        std::fs::rename(folder.path().join("here"), &aside).unwrap();
        for _ in 0..2 {
            assert_eq!(send(&collector, &HeaderMap::new(), b"{}\n{}"), StatusCode::SERVICE_UNAVAILABLE);
        }
        std::fs::rename(&aside, folder.path().join("here")).unwrap();
        assert_eq!(send(&collector, &HeaderMap::new(), b"{}"), StatusCode::NO_CONTENT);
        let said = said.lock().unwrap();
        assert!(said.len() == 2 && said[1].contains("4 records were lost"), "{said:?}");
        assert_eq!((read(&path).as_str(), collector.counts.written.load(Ordering::Relaxed)), ("{}\n", 1));
    }

    #[test]
    fn more_than_the_disk_takes_is_refused() {
        let (queue, batches) = sync_channel(1);
        let collector = Collector { queue, token: None, counts: Arc::default() };
        let waits = collector.take(&HeaderMap::new(), b"{}");
        assert!(waits.is_ok());
        assert_eq!(collector.take(&HeaderMap::new(), b"{}").unwrap_err(), StatusCode::SERVICE_UNAVAILABLE);
        // A writer that is gone has written nothing.
        drop(batches);
        assert!(waits.unwrap().blocking_recv().is_err());
        assert_eq!(collector.take(&HeaderMap::new(), b"{}").unwrap_err(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(collector.counts.waiting.load(Ordering::Relaxed), 1);
    }
}
