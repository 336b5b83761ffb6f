//! How fast `headgate shadow analyze` reads records of comparisons, and whether its memory grows with them.
//!
//! Records as the filter writes them, 6 % of which disagree; one thread reads them from a file that the system holds in memory. The time is that of the
//! whole process, from its start to its end.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use headgate_tests::headgate_binary;

use crate::statistics::median;

/// Bytes of the smaller and of the larger file. In both, more numbers than are held for exact ranks.
const SIZES: [u64; 2] = [128 << 20, 512 << 20];
/// Pairs held for exact ranks.
const EXACT: &str = "100000";

/// One file, read a few times.
pub(crate) struct Read {
    /// 10^6 bytes.
    pub(crate) megabytes: f64,
    /// 10^6 bytes a second, the median of the runs.
    pub(crate) rate: f64,
    /// Peak of resident memory, 10^6 bytes: the largest that was seen while it ran.
    pub(crate) peak: f64,
}

/// Reads both files.
pub(crate) fn measure(quick: bool) -> Result<Vec<Read>> {
    let folder = tempfile::tempdir()?;
    let runs = if quick { 1 } else { 5 };
    let mut out = Vec::new();
    for size in SIZES {
        let path = folder.path().join("records.jsonl");
        let bytes = write(&path, if quick { size / 8 } else { size })?;
        #[expect(clippy::cast_precision_loss, reason = "a file's size")]
        let megabytes = bytes as f64 / 1e6;
        let seen: Vec<(f64, f64)> = (0..=runs).map(|_| analyze(&path)).collect::<Result<_>>()?;
        // The first run warms the system's cache.
        let rates: Vec<f64> = seen.iter().skip(1).map(|(seconds, _)| megabytes / seconds).collect();
        let peak = seen.iter().map(|(_, peak)| *peak).fold(0.0, f64::max);
        out.push(Read { megabytes, rate: median(&rates), peak });
    }
    Ok(out)
}

fn write(path: &Path, size: u64) -> Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = fastrand::Rng::with_seed(4);
    let (mut bytes, mut i) = (0_u64, 0_u64);
    while bytes < size {
        let user = random.u64(..5_000);
        let score = f64::from(random.u32(..1_000_000)) / 1e6;
        let off = if random.u32(..100) < 6 { 0.2 } else { 0.001 };
        let differs = off > 0.1;
        let found = if differs {
            format!(
                r#","kinds":["json"],"differences":[{{"path":"/label","kind":"value","primary":"{}","shadow":"{}"}},{{"path":"/score","kind":"value","primary":{score},"shadow":{}}}]"#,
                user % 7,
                user % 5,
                score + off
            )
        } else {
            String::new()
        };
        let us = 8_000 + random.u32(..40_000);
        let line = format!(
            r#"{{"record":1,"time":{},"route":"shop","variant":"canary","segment":"{}","requestId":"{i:08x}-9a7c-4f5e-8d2b-{i:012x}","key":"{:016x}","bucket":{},"primary":{{"status":200,"us":{us},"bytes":512}},"shadow":{{"status":200,"us":{},"bytes":498}},"agrees":{},"difference":{off},"number":{{"primary":{score},"shadow":{}}}{found}}}"#,
            1_795_000_000_000 + i,
            if user.is_multiple_of(9) { "mobile" } else { "default" },
            user.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            user % 32,
            us + random.u32(..3_000),
            !differs,
            score + off
        );
        writeln!(file, "{line}")?;
        bytes += line.len() as u64 + 1;
        i += 1;
    }
    file.flush()?;
    Ok(bytes)
}

/// Seconds, and the peak of memory in 10^6 bytes.
fn analyze(path: &Path) -> Result<(f64, f64)> {
    let began = Instant::now();
    let mut child = Command::new(headgate_binary()?)
        .args(["shadow", "analyze", "--exact", EXACT, "--json"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("headgate shadow analyze")?;
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Ok(text) = std::fs::read_to_string(format!("/proc/{}/status", child.id())) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            peak = peak.max(kb.unwrap_or(0.0) * 1_024.0 / 1e6);
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let seconds = began.elapsed().as_secs_f64();
    ensure!(status.success(), "headgate shadow analyze ended with {status}");
    Ok((seconds, peak))
}
