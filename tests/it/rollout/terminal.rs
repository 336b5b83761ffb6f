//! What people see: `headgate` on a real terminal (a pseudo-terminal of this system), and the same into a pipe.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use headgate_tests::{Result, headgate_binary, wait_until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::{Child, Command};

use super::world::{NAME, World};

/// A terminal of 40 lines and 160 columns, and all that was written to it.
struct Terminal {
    typed: Arc<Mutex<String>>,
    reader: std::thread::JoinHandle<()>,
}

impl Terminal {
    /// One on which this command runs.
    fn run(arguments: &[&str], state: (&str, &Path)) -> Result<(Self, Child)> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        tcsetwinsize(&master, Winsize { ws_row: 40, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 })?;
        let name = ptsname(&master, Vec::new())?.into_string()?;
        let open = || -> Result<Stdio> {
            Ok(Stdio::from(OwnedFd::from(OpenOptions::new().read(true).write(true).open(&name)?)))
        };
        let mut command = Command::new(headgate_binary()?);
        command.args(arguments).env(state.0, state.1).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).kill_on_drop(true);
        let child = command.spawn()?;
        let typed = Arc::<Mutex<String>>::default();
        let all = Arc::clone(&typed);
        // It ends when nobody has the other side open any more.
        let reader = std::thread::spawn(move || {
            let mut master = File::from(master);
            let mut piece = [0_u8; 4096];
            while let Ok(read @ 1..) = master.read(&mut piece) {
                let text = String::from_utf8_lossy(piece.get(..read).unwrap_or_default()).into_owned();
                all.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        // The command's own ends of it are closed here with `command`.
        drop(command);
        Ok((Self { typed, reader }, child))
    }

    fn text(&self) -> String {
        self.typed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it shows all of this.
    async fn shows(&self, what: &str, like: impl Fn(&str) -> bool) -> Result<()> {
        let waited = wait_until(what, || async { Ok(like(&plain(&self.text()))) }).await;
        waited.map_err(|e| headgate_tests::Fault::msg(format!("{e}; the terminal got {}", self.text())))
    }

    fn ended(self) -> String {
        let _joined = self.reader.join();
        self.typed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A text without the sequences that move the cursor and colour.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next != '\u{1b}' {
            out.push(next);
        } else if rest.next() == Some('[') {
            // Up to the letter that says what is meant.
            rest.by_ref().find(char::is_ascii_alphabetic);
        }
    }
    out
}

/// How far the bars of the step's measured time were filled, each time that they were painted.
fn bars(text: &str, step: &str) -> Vec<usize> {
    let lines = text.split(['\n', '\r']);
    let of_step = lines.filter(|line| line.contains(step) && line.contains("[") && line.contains("s of "));
    of_step.map(|line| line.matches('#').count()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_live_steps_their_progress_and_what_is_measured_against_what_is_allowed() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|_| {})?.display().to_string();
    let (name, folder) = world.state();
    let (running, mut child) = Terminal::run(&["run", &file], (name, &folder))?;
    running.shows("a step's progress", |text| bars(text, "20%").iter().any(|filled| *filled > 0)).await?;
    let (watching, mut watcher) = Terminal::run(&["status", NAME, "--watch", "200ms"], (name, &folder))?;
    watching.shows("where it stands", |text| text.contains("s of 3 s") && text.contains("errorRate")).await?;
    watching.shows("the next step, in its turn", |text| text.contains("s of 2 s")).await?;
    assert_eq!(child.wait().await?.code(), Some(0), "{}", running.text());
    watching.shows("the end", |text| text.contains("Succeeded")).await?;
    watcher.start_kill()?;
    watcher.wait().await?;

    let painted = running.ended();
    let text = plain(&painted);
    assert!(painted.contains("\u{1b}["), "nothing was painted anew: {painted:?}");
    for step in ["20%", "50%"] {
        let bars = bars(&text, step);
        assert!(bars.iter().min() < bars.iter().max(), "the bar of {step} stands still, {bars:?}: {text}");
    }
    // Measured against allowed, below the bar, while nothing is decided yet.
    let first = text.find("s of 3s").and_then(|at| text.get(at..)).unwrap_or_default();
    let until_decided = first.split("hold over").next().unwrap_or_default();
    assert!(
        until_decided.contains("errorRate is")
            && (until_decided.contains("allowed is") || until_decided.contains("within")),
        "{text}"
    );
    assert!(text.contains(&format!("{NAME}: promoted")), "{text}");
    // It is painted over itself, not written down again and again.
    let shown = watching.ended();
    assert!(shown.matches("\u{1b}[2J").count() > 2 && shown.contains("\u{1b}[36m"), "{shown:?}");

    // Into a pipe neither colour nor anything painted, and each event once.
    let mut command = Command::new(headgate_binary()?);
    let told = command.args(["status", NAME]).env(name, &folder).output().await?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("Succeeded") && !told.contains('\u{1b}'), "{told:?}");
    load.stop().await?;
    Ok(())
}
