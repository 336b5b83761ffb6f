//! What a terminal shows below the events of a running rollout, painted anew at each tick: the step with a bar of its measured time, and
//! a line for each criterion, measured against allowed. Lines are cut at the terminal's width. Into a pipe nothing of it goes.

use std::sync::{Mutex, PoisonError};

use headgate_rollout::State;
use headgate_rollout::state::Look;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::console::figures;

/// Of a step that ends by its time; seconds.
const TIMED: &str = "{prefix} [{bar:20}] {pos}s of {len}s, {wide_msg}";
/// Of whatever else.
const PLAIN: &str = "{wide_msg}";

/// The lines that are painted anew.
#[derive(Debug)]
pub(crate) struct Live {
    all: MultiProgress,
    lines: Mutex<Vec<ProgressBar>>,
}

impl Live {
    /// On standard output.
    pub(crate) fn stdout() -> Self {
        Self::on(ProgressDrawTarget::stdout())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        Self { all: MultiProgress::with_draw_target(target), lines: Mutex::default() }
    }

    /// Prints something above.
    pub(crate) fn above(&self, print: impl FnOnce()) {
        self.all.suspend(print);
    }

    /// Where the rollout stands.
    pub(crate) fn show(&self, state: &State) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let criteria = state.look.as_ref().map(figures).unwrap_or_default();
        while lines.len() > criteria.len() + 1 {
            if let Some(line) = lines.pop() {
                self.all.remove(&line);
            }
        }
        while lines.len() < criteria.len() + 1 {
            lines.push(self.all.add(ProgressBar::new(0).with_style(style(PLAIN))));
        }
        for (line, text) in lines.iter().skip(1).zip(criteria) {
            line.set_message(format!("  {text}"));
        }
        if let Some(first) = lines.first() {
            step(first, state);
        }
    }

    /// Nothing more comes.
    pub(crate) fn clear(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.drain(..) {
            line.finish_and_clear();
            self.all.remove(&line);
        }
    }
}

/// The step, its weight, its measured time, its requests.
fn step(line: &ProgressBar, state: &State) {
    let weight = state.weights.words();
    let Some(look) = &state.look else {
        line.set_style(style(PLAIN));
        line.set_message(format!("{} at {weight}: {}", state.phase.name(), state.because));
        return;
    };
    let began = format!("{} {} at {weight}", state.phase.name(), look.step);
    match look.duration_ms.filter(|duration| *duration > 0) {
        Some(duration) => {
            line.set_style(style(TIMED));
            line.set_length(duration / 1_000);
            line.set_position(look.measured_ms.min(duration) / 1_000);
            line.set_prefix(began);
            line.set_message(requests(look));
        }
        None => {
            line.set_style(style(PLAIN));
            line.set_message(format!("{began}, {}", requests(look)));
        }
    }
}

fn requests(look: &Look) -> String {
    format!("{} canary / {} stable requests, {}", look.canary_requests, look.stable_requests, look.sentence)
}

fn style(template: &str) -> ProgressStyle {
    // Both templates are known to be well-formed: a test paints them.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("#>.")
}

#[cfg(test)]
mod tests {
    use headgate_rollout::plan::Weights;
    use headgate_rollout::state::{Figures, VerdictKind};
    use indicatif::InMemoryTerm;

    use super::*;

    fn look(measured_ms: u64, criteria: &[(&str, VerdictKind, &str)]) -> Look {
        let figures = criteria.iter().map(|(name, verdict, sentence)| Figures {
            name: (*name).to_owned(),
            metric: headgate_rollout::file::Metric::ErrorRate,
            unit: "share".to_owned(),
            allowed: "at most 2 %".to_owned(),
            measured: Some(0.01),
            error: None,
            lower: None,
            upper: None,
            baseline: None,
            baseline_from: String::new(),
            limit: Some(0.02),
            samples: 400,
            verdict: *verdict,
            dry_run: false,
            plain: false,
            readings: 0,
            beyond: 0,
            at_ms: 0,
            sentence: (*sentence).to_owned(),
        });
        Look {
            at_ms: 0,
            step: "5%".to_owned(),
            weights: Weights::default(),
            measured_ms,
            duration_ms: Some(60_000),
            canary_requests: 400,
            stable_requests: 7_600,
            misrouted: 0,
            verdict: VerdictKind::Pass,
            sentence: "errorRate holds".to_owned(),
            bounds_at_ms: 0,
            figures: figures.collect(),
            test: None,
            bandit: None,
        }
    }

    #[test]
    fn a_terminal_shows_the_steps_progress_and_each_criterion_measured_against_allowed() {
        let terminal = InMemoryTerm::new(12, 110);
        let live = Live::on(ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255));
        let mut state = State::new("shop");
        let shown = |live: &Live, state: &State| {
            live.show(state);
            // The terminal is painted at most so often; printing above paints at once.
            live.above(|| ());
            terminal.contents()
        };
        assert!(shown(&live, &state).starts_with("Initializing at "), "{}", terminal.contents());

        let error = "errorRate is 1 % over 400, within 2 %";
        let late = "latencyP95 is 90 ms over 400, allowed is 80 ms; that is too few to say";
        state.look = Some(look(
            15_000,
            &[("errorRate", VerdictKind::Pass, error), ("latencyP95", VerdictKind::Inconclusive, late)],
        ));
        let text = shown(&live, &state);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("5%") && lines[0].contains("15s of 60s, 400 canary / 7600 stable"), "{text}");
        assert_eq!(lines[0].matches('#').count(), 5, "a quarter of twenty: {text}");
        assert_eq!(
            lines[1..],
            [format!("  pass         errorRate: {error}"), format!("  inconclusive latencyP95: {late}")]
        );

        state.look = Some(look(60_000, &[("errorRate", VerdictKind::Pass, error)]));
        let text = shown(&live, &state);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(text.matches('#').count(), 20, "{text}");
        live.clear();
        assert_eq!(terminal.contents(), "");
    }
}
