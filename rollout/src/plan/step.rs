//! A step of a plan: what it does, for how long, and what it is judged by.

use serde::{Deserialize, Serialize};

use super::{Criterion, TestPlan, Weights};
use crate::file::{Action, ReadinessRequest, Webhook};

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub kind: StepKind,
    /// The shares in force while it lasts.
    pub weights: Weights,
    /// Measured time of a judged step, time of a pause, ms; none: until somebody decides.
    pub duration_ms: Option<u64>,
    /// What it is judged by; empty for steps that are not judged.
    pub criteria: Vec<Criterion>,
}

impl Step {
    /// Whether it measures and comes to a verdict.
    pub fn is_judged(&self) -> bool {
        matches!(
            self.kind,
            StepKind::Weight
                | StepKind::Shadow
                | StepKind::Compare { .. }
                | StepKind::Analysis
                | StepKind::Monitoring
                | StepKind::Bandit
                | StepKind::Test(_)
        )
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum StepKind {
    /// Sets a share and judges.
    Weight,
    /// Copies and judges the copies.
    Shadow,
    /// Copies, and judges how their answers compare with what users got.
    Compare {
        /// Comparisons that it needs to pass.
        min: u64,
    },
    /// Waits.
    Pause,
    /// Waits for an approval.
    Gate(Box<GatePlan>),
    /// Judges at the weights in force.
    Analysis,
    /// Asks the new side for the answers it must give.
    Readiness {
        /// The requests.
        requests: Vec<ReadinessRequest>,
    },
    /// Measures the old side for a baseline.
    Observe,
    /// Shares follow rewards; what is judged are guardrails.
    Bandit,
    /// The time at 100 % after the last step.
    Monitoring,
    /// Divides users once, and answers a question.
    Test(Box<TestPlan>),
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatePlan {
    /// Its name, unique in the rollout.
    pub name: String,
    /// What is asked.
    pub question: String,
    /// A webhook that answers; none: a person does.
    pub webhook: Option<Webhook>,
    /// How long it waits, ms.
    pub timeout_ms: Option<u64>,
    /// What happens then.
    pub on_timeout: Action,
}
