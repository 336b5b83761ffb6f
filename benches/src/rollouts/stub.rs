//! Recorded statistics, served as if by many proxies.
//!
//! The page was recorded twice from a real Envoy, before and after the same requests; what is served goes on from there by the
//! same steps, one a second, so that every look finds new counts. A proxy of a target says that it has the revision in
//! force that the target's file names. What this server uses of CPU is not the controller's.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};

/// The name that the recorded target has.
pub(crate) const RECORDED: &str = "recorded-target";

/// A page that goes on.
#[derive(Debug)]
pub(crate) struct Recording {
    lines: Vec<(String, f64, f64)>,
}

impl Recording {
    /// From two pages of one proxy. Lines that the first lacks begin at 0.
    pub(crate) fn new(first: &str, second: &str) -> Self {
        let parse = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse::<f64>().ok()?))
        };
        let before: std::collections::HashMap<String, f64> = first.lines().filter_map(parse).collect();
        let lines = second
            .lines()
            .filter_map(parse)
            .map(|(name, value)| {
                let start = before.get(&name).copied().unwrap_or(0.0);
                (name, start, value - start)
            })
            .collect();
        Self { lines }
    }

    /// The page of `target` after `steps`, with `revision` in force.
    fn page(&self, steps: f64, target: &str, revision: u64) -> String {
        let mut out = String::with_capacity(self.lines.len() * 120);
        for (name, start, step) in &self.lines {
            let value = if name.starts_with("headgate_revision") {
                revision as f64
            } else if name.starts_with("headgate_acknowledgements") {
                // One worker and the main thread.
                (2 * revision) as f64
            } else {
                start + step * steps
            };
            // Writing to a `String` does not fail.
            let _ = if name.contains(RECORDED) {
                writeln!(out, "{} {value}", name.replace(RECORDED, target))
            } else {
                writeln!(out, "{name} {value}")
            };
        }
        out
    }
}

/// The server.
pub(crate) struct Stub {
    /// Where it listens: `/<target>/<proxy>` is a proxy's base.
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

/// The newest page.
struct Kept {
    /// Step, target and revision.
    of: (u64, String, u64),
    page: Arc<str>,
}

struct Shared {
    recording: Recording,
    /// In which folder the targets' files are, as `<target>.ecds`.
    published: PathBuf,
    start: Instant,
    asked: AtomicU64,
    kept: Mutex<Option<Kept>>,
}

impl Stub {
    /// Starts it. It serves until the process ends.
    pub(crate) fn start(recording: Recording, published: PathBuf) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let addr = listener.local_addr()?;
        let asked = AtomicU64::new(0);
        let shared = Arc::new(Shared { recording, published, start: Instant::now(), asked, kept: Mutex::default() });
        let serving = Arc::clone(&shared);
        std::thread::Builder::new().name("stub".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(stream, &shared));
            }
        })?;
        Ok(Self { addr, shared })
    }

    /// Pages served.
    pub(crate) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).ok()? == 0 {
            return None;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 2 {
            line.clear();
        }
        let target = first.split(' ').nth(1)?.split('/').nth(1)?.to_owned();
        let page = shared.page(&target).unwrap_or_else(|_| Arc::from(""));
        shared.asked.fetch_add(1, Ordering::Relaxed);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", page.len());
        // In one piece: whoever reads is woken once.
        writer.write_all([head.as_bytes(), page.as_bytes()].concat().as_slice()).ok()?;
    }
}

impl Shared {
    fn page(&self, target: &str) -> Result<Arc<str>> {
        // Before the first one there is revision 0.
        let published = std::fs::read_to_string(self.published.join(format!("{target}.ecds")));
        let published = published.unwrap_or_else(|_| "revision 0".to_owned());
        let after = published.split("revision").nth(1).context("no revision")?;
        let digits = after.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let revision = digits.get(..end).unwrap_or_default().parse()?;
        let of = (self.start.elapsed().as_secs(), target.to_owned(), revision);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = kept.as_ref().filter(|kept| kept.of == of) {
            return Ok(Arc::clone(&same.page));
        }
        let page: Arc<str> = self.recording.page(of.0 as f64, target, revision).into();
        *kept = Some(Kept { of, page: Arc::clone(&page) });
        Ok(page)
    }
}
