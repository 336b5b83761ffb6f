//! A rollout lived through in virtual time: the same [`tick`] and judge as on live proxies, on synthetic users.
//!
//! It answers "with this traffic, would this plan notice?" before anybody is at risk. Proxies take what is published at once, gates say
//! yes, somebody resumes after pauses, the fail-safe route is in order: what is simulated is the judgement, not the network.
//! Goals, outcomes of success and their values are simulated, for A/B tests, bandits and criteria; so are CPU, memory and custom metrics: as
//! one number at a time that wobbles, which is how a provider tells them. What only another system can tell is left out, and [`Lived::left_out`] names it.
//! A hold that lasts as long as the step is taken for its end.

pub mod bandits;
mod outcomes;
mod random;
mod traffic;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::file::{Metric, WHOLE};
use crate::measure::Totals;
use crate::plan::{Plan, RewardSource, Source, StepKind, Weights};
use crate::state::{Baseline, Look, Outcome, State};
use crate::tick::{
    Action, Answer, Command, Confirmation, Event, GateAnswer, InForce, Input, Measured, Measurement, Newest,
    ProxyStatus, Reading, Recorded, Verb, tick, wanted,
};
use outcomes::Told;
use random::Random;
use traffic::Traffic;
use users::Counted;

/// How one version behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Version {
    /// Share of requests answered with 5xx, 0 to 1.
    pub error: f64,
    /// Share answered with 4xx.
    pub client_error: f64,
    /// Share that times out.
    pub timeout: f64,
    /// Share that is never answered.
    pub hang: f64,
    /// Median latency, ms, above 0; latencies are log-normal.
    pub p50_ms: f64,
    /// 95th percentile of latency, ms, at least the median.
    pub p95_ms: f64,
    /// Share of outcomes that are a success.
    pub success: f64,
    /// Share of requests that reach a goal: each of the rollout's goals for itself.
    pub conversion: f64,
    /// Mean value of an outcome; values are as spread as exponential ones (their standard deviation is their mean).
    pub value: f64,
    /// Share of answers to copies that agree with stable's, where the filter compares them.
    pub agreement: f64,
    /// Cores that one instance uses, as a provider tells them.
    pub cpu: f64,
    /// Bytes of memory that one instance uses.
    pub memory: f64,
    /// What a custom metric says of it.
    pub custom: f64,
}

impl Default for Version {
    fn default() -> Self {
        Self {
            error: 0.005,
            client_error: 0.0,
            timeout: 0.0,
            hang: 0.0,
            p50_ms: 20.0,
            p95_ms: 80.0,
            success: 0.9,
            conversion: 0.1,
            value: 1.0,
            agreement: 1.0,
            cpu: 0.5,
            memory: 500e6,
            custom: 1.0,
        }
    }
}

/// The traffic, and how both versions behave.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Requests a second to the route, all versions together.
    pub requests_per_s: f64,
    /// Users that they come from.
    pub users: u64,
    /// How alike requests of one user are: the intraclass correlation, 0 (not at all) to 1 (a user always gets the same).
    pub correlation: f64,
    /// The version in service.
    pub stable: Version,
    /// The new one.
    pub canary: Version,
    /// How a bandit's arms beyond the canary behave; those that are not here do as the canary.
    pub arms: BTreeMap<String, Version>,
    /// The new version behaves as the old one for so long, ms.
    pub good_for_ms: u64,
}

impl Scenario {
    /// How an arm of a bandit behaves.
    pub fn of_arm(&self, name: &str) -> Version {
        self.arms.get(name).copied().unwrap_or(self.canary)
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            requests_per_s: 100.0,
            users: 10_000,
            correlation: 0.05,
            stable: Version::default(),
            canary: Version::default(),
            arms: BTreeMap::new(),
            good_for_ms: 0,
        }
    }
}

/// How a simulated rollout went.
#[derive(Debug, Clone)]
pub struct Lived {
    /// Its last state.
    pub state: State,
    /// What happened and when, ms from [`BEGAN_MS`].
    pub events: Vec<(u64, Event)>,
    /// Every look, if they were to be kept.
    pub looks: Vec<Look>,
    /// When it ended, unix ms.
    pub ended_ms: u64,
    /// How often the state machine was called.
    pub ticks: u64,
    /// Criteria that cannot be simulated, by step.
    pub left_out: Vec<String>,
}

impl Lived {
    /// How it ended; a hold that nobody ends is [`Outcome::Held`].
    pub fn outcome(&self) -> Outcome {
        self.state.outcome.unwrap_or(Outcome::Held)
    }
}

/// When simulated rollouts begin, unix ms: 2027-01-15 08:00:00 UTC.
pub const BEGAN_MS: u64 = 1_800_000_000_000;
/// Looks at a step at most: where the plan's interval would make more, as in a day of monitoring, they are taken less often. Fewer looks
/// are no less valid, they only notice later.
const LOOKS: u64 = 2_400;
/// How long a recorded baseline was recorded, ms.
const RECORDED_MS: u64 = 3_600_000;
/// Standard deviation of a number that a provider tells, as a part of it: two scrapes are never the same.
const WOBBLE: f64 = 0.02;
/// The simulated proxy's name.
const PROXY: &str = "simulated";

/// Lives through a rollout. The same arguments give the same life.
pub fn simulate(plan: &Plan, scenario: &Scenario, seed: u64, keep_looks: bool) -> Lived {
    let (plan, left_out) = simulated(plan);
    let further: Vec<String> = plan.bandit.as_ref().map_or_else(Vec::new, |b| b.arms.iter().skip(2).cloned().collect());
    let (interval_ms, give_up) = (plan.judging.interval_ms, BEGAN_MS + 4 * plan.shortest_ms().max(3_600_000));
    let traffic = Traffic::of_arms(scenario, &further, seed, counted(&plan), BEGAN_MS);
    let mut world = World {
        plan,
        scenario,
        seed,
        traffic,
        further,
        outcomes: Told::default(),
        in_force: Weights::none(),
        bad_from_ms: BEGAN_MS.saturating_add(scenario.good_for_ms),
        told: Random::new(seed ^ 0x7072_6f76_6964_6572),
        done: Vec::new(),
        resumed: 0,
    };
    let mut lived = Lived {
        state: State::new(world.plan.name.clone()),
        events: Vec::new(),
        looks: Vec::new(),
        ended_ms: BEGAN_MS,
        ticks: 0,
        left_out,
    };
    let mut now = BEGAN_MS;
    while now < give_up {
        let duration_ms = world.plan.step(lived.state.step).duration_ms.unwrap_or(0);
        world.plan.judging.interval_ms = interval_ms.max(duration_ms / LOOKS);
        let input = world.input(&lived.state, now);
        let state = core::mem::replace(&mut lived.state, State::new(""));
        let out = tick(&world.plan, state, &input);
        lived.ticks += 1;
        world.act(&out.effects);
        if keep_looks && let Some(look) = out.state.look.as_ref().filter(|look| look.at_ms == now) {
            lived.looks.push(look.clone());
        }
        lived.events.extend(out.events.into_iter().map(|event| (now, event)));
        lived.state = out.state;
        lived.ended_ms = now;
        if lived.state.outcome.is_some() && lived.state.phase.is_over() || held(&world.plan, &lived.state, now) {
            break;
        }
        now = out.next_ms.max(now + 1);
    }
    lived
}

/// A plan without what cannot be simulated.
fn simulated(plan: &Plan) -> (Plan, Vec<String>) {
    let mut plan = plan.clone();
    let mut left_out = Vec::new();
    for step in plan.steps.iter_mut().chain([&mut plan.monitoring]) {
        let name = step.name.clone();
        step.criteria.retain(|criterion| {
            let told = [Metric::Success, Metric::Value, Metric::Cpu, Metric::Memory, Metric::Custom];
            let fits = criterion.source == Source::Proxies || told.contains(&criterion.metric);
            if !fits {
                left_out.push(format!("{} of {name}", criterion.name));
            }
            fits
        });
    }
    (plan, left_out)
}

/// What a plan needs to have counted.
fn counted(plan: &Plan) -> Counted {
    let criteria = plan.steps.iter().chain([&plan.monitoring]).flat_map(|step| &step.criteria).map(|c| c.metric);
    let metrics: Vec<Metric> = criteria.chain(plan.test().map(|test| test.primary.metric)).collect();
    let rewards = |of_values: bool| {
        let source = plan.bandit.as_ref().map(|bandit| &bandit.source);
        matches!(source, Some(RewardSource::Outcomes { values }) if *values == of_values)
    };
    Counted {
        outcomes: metrics.contains(&Metric::Success) || rewards(false),
        values: metrics.contains(&Metric::Value) || rewards(true),
        goals: plan.goals.iter().map(|goal| goal.name.clone()).collect(),
    }
}

/// Whether a hold has lasted as long as its step takes.
fn held(plan: &Plan, state: &State, now: u64) -> bool {
    // An A/B test that holds has said what it has to say.
    if state.hold.is_some() && matches!(plan.step(state.step).kind, StepKind::Test(_)) {
        return true;
    }
    let patience = plan.step(state.step).duration_ms.unwrap_or(0).max(600_000);
    state.hold.as_ref().is_some_and(|hold| now.saturating_sub(hold.since_ms) >= patience)
}

/// Everything around the state machine.
struct World<'s> {
    plan: Plan,
    scenario: &'s Scenario,
    seed: u64,
    traffic: Traffic<'s>,
    in_force: Weights,
    bad_from_ms: u64,
    /// A bandit's arms beyond the canary.
    further: Vec<String>,
    outcomes: Told,
    /// For what providers tell: a stream of its own, so that who asks them changes nothing for the users.
    told: Random,
    done: Vec<u64>,
    resumed: usize,
}

impl World<'_> {
    fn input(&mut self, state: &State, now: u64) -> Input {
        let part = |parts: u32| f64::from(parts) / f64::from(WHOLE);
        let canary = if self.in_force.only_canary { 1.0 } else { part(self.in_force.canary) };
        let arms = &self.in_force.arms;
        let further: Vec<f64> = self.further.iter().map(|a| part(arms.get(a).copied().unwrap_or(0))).collect();
        let first = if arms.is_empty() { canary } else { part(arms.get(&self.plan.canary).copied().unwrap_or(0)) };
        let copies = (part(self.in_force.mirror), part(self.in_force.shadow));
        self.traffic.advance_arms(now, first, copies, now >= self.bad_from_ms, &further);
        let wanted = wanted(&self.plan, state);
        let yes = |detail: &str| Some(Answer { holds: true, detail: detail.to_owned() });
        let mut input = Input {
            now_ms: now,
            in_force: Some(InForce { weights: Some(self.in_force.clone()), ..InForce::default() }),
            proxies: vec![Confirmation {
                proxy: PROXY.to_owned(),
                fence: state.fence,
                status: ProxyStatus::Applied,
                why: "simulated".to_owned(),
            }],
            readiness: wanted.readiness.as_ref().and_then(|_| yes("simulated")),
            failsafe: if wanted.failsafe { yes("simulated") } else { None },
            last_drill_ms: Some(now),
            done: core::mem::take(&mut self.done),
            ..Input::default()
        };
        if wanted.readings {
            let snapshot = self.traffic.snapshot(&self.plan.stable, &self.plan.canary);
            input.readings.push(Reading { proxy: PROXY.to_owned(), snapshot: Ok(Arc::new(snapshot)) });
        }
        if let Some(gate) = wanted.gate {
            let reason = "simulated".to_owned();
            input.gates.push(GateAnswer { gate: gate.gate, approved: true, actor: "simulation".to_owned(), reason });
        }
        if let Some(name) = wanted.recorded {
            input.recorded = Some(Recorded::Found(Box::new(self.recorded(name, now))));
        }
        for ask in wanted.rewards {
            let now = self.traffic.outcomes_of_arms(&self.plan.stable, &self.plan.canary, ask.values);
            input.rewards.push(self.outcomes.rewards(&ask, now));
        }
        for ask in wanted.asks {
            let value = match ask.metric {
                Metric::Cpu => self.told(now, |v| v.cpu),
                Metric::Memory => self.told(now, |v| v.memory),
                Metric::Custom => self.told(now, |v| v.custom),
                of => {
                    let values = of == Metric::Value;
                    self.outcomes.measured(ask.since_ms, values, self.traffic.outcomes(values))
                }
            };
            input.measurements.push(Measurement { criterion: ask.criterion, at_ms: now, value });
        }
        let step = self.plan.step(state.step);
        let pauses = matches!(step.kind, StepKind::Pause) && step.duration_ms.is_none();
        if pauses && self.resumed <= state.step && state.started_ms > 0 {
            self.resumed = state.step + 1;
            input.commands.push(Command {
                id: format!("resume {}", state.step),
                actor: "simulation".to_owned(),
                reason: "simulated".to_owned(),
                at_ms: now,
                verb: Verb::Resume,
            });
        }
        input
    }

    fn act(&mut self, effects: &[crate::tick::Effect]) {
        for effect in effects {
            if let Action::Publish { weights, .. } = &effect.action {
                self.in_force = weights.clone();
            }
            self.done.push(effect.id);
        }
    }

    /// What a provider tells of both versions, once the new one has anybody.
    fn told(&mut self, now: u64, of: impl Fn(&Version) -> f64) -> Measured {
        if self.in_force.is_none() {
            return Measured::NoValues;
        }
        let canary = if now >= self.bad_from_ms { &self.scenario.canary } else { &self.scenario.stable };
        let mut wobbling = |number: f64| number * (1.0 + WOBBLE * self.told.normal());
        let (canary, stable) = (wobbling(of(canary)), wobbling(of(&self.scenario.stable)));
        // At 100 % nothing is left of the old one to measure.
        Measured::Values { canary, stable: (!self.in_force.is_full()).then_some(stable), newest: Newest::Whole }
    }

    /// A baseline of the same traffic, recorded before the rollout.
    fn recorded(&self, name: String, now: u64) -> Baseline {
        let mut before =
            Traffic::new(self.scenario, self.seed ^ 1, Counted::default(), now.saturating_sub(RECORDED_MS));
        before.advance(now, 0.0, 0.0, 0.0, false);
        let counters = before.stable().clone();
        let variants = [(self.plan.stable.clone(), [("default".to_owned(), counters)].into())].into();
        let totals = Totals { variants, ..Totals::default() };
        Baseline::of(name, &self.plan.stable, now.saturating_sub(RECORDED_MS), now, &totals)
    }
}

#[cfg(test)]
mod tests;
