//! The command line: verbs, arguments and help. What they do is in `verbs`.

pub(crate) mod drift;
pub(crate) mod init;
pub(crate) mod published;
pub(crate) mod requests;
pub(crate) mod rollouts;
pub(crate) mod shadow;
pub(crate) mod simulate;
pub(crate) mod stats;

use clap::{Args, Parser, Subcommand};

const EXITS: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a document is refused, 4 pending on a proxy, 5 rejected by a proxy,
6 changed by somebody else meanwhile, 7 nothing written because a proxy lacks something.
Of run: 0 promoted, 10 rolled back, 11 held, 12 aborted. Of drift: 13 drifted, 14 not known.";

/// Decides which version of a service answers each request, and shows it.
#[derive(Debug, Parser)]
#[command(name = "headgate", version, about, after_help = EXITS)]
pub(crate) struct Cli {
    /// Answer with one JSON document on standard output, failures too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check plugin configurations and target files; every problem at once.
    #[command(
        after_help = "Examples:\n  headgate validate shop.yaml\n  headgate validate --target target.yaml shop.yaml --json"
    )]
    Validate(published::Validate),
    /// Print a configuration in the form that a proxy takes.
    #[command(
        after_help = "Examples:\n  headgate render plugin -f shop.yaml\n  headgate render ecds target.yaml -f shop.yaml > ecds.yaml\n  headgate render wasmplugin target.yaml -f shop.yaml | kubectl apply -f -"
    )]
    Render(published::Render),
    /// Publish a configuration and see it applied on every proxy. Routes of other rollouts stay, kills stay.
    #[command(
        after_help = "Examples:\n  headgate push target.yaml -f shop.yaml\n  headgate push target.yaml -f shop.yaml --dry-run\n  headgate push target.yaml -f shop.yaml --if-revision 17"
    )]
    Push(published::Push),
    /// Change the weights of one route, with old and new shown, and how many users move.
    #[command(
        after_help = "Examples:\n  headgate set target.yaml --route shop canary=5%\n  headgate set target.yaml --route shop canary=5 stable=95\n  headgate set target.yaml --route shop --segment premium canary=50%"
    )]
    Set(published::Set),
    /// Send everything to the stable version, now: by the proxies' runtime and by the configuration.
    #[command(
        after_help = "Examples:\n  headgate kill target.yaml\n  headgate kill target.yaml --route shop\n  headgate kill shop-v2 --reason \"wrong prices\""
    )]
    Kill(published::Kill),
    /// Clear a kill. Nothing else does.
    #[command(
        after_help = "Examples:\n  headgate revive target.yaml\n  headgate revive target.yaml --route shop\n  headgate revive shop-v2"
    )]
    Revive(published::Kill),
    /// Show where rollouts are, or what is asked for and in force on each proxy of a target.
    #[command(
        after_help = "Examples:\n  headgate status\n  headgate status shop-v2 --watch\n  headgate status target.yaml --watch 2s"
    )]
    Status(published::Status),
    /// Run rollouts to their end: step by step, judged, and taken back when the numbers say so.
    #[command(
        after_help = "Examples:\n  headgate run rollout.yaml\n  headgate run shop.yaml cart.yaml --json\n  headgate run rollout.yaml --listen 127.0.0.1:8440 --public-url https://gates.example\n\nIt may be killed at any moment; `headgate run` with the same file goes on where it was.\nExit codes: 0 promoted, 10 rolled back, 11 held, 12 aborted, 2 bad file, 6 another process runs the target."
    )]
    Run(rollouts::Run),
    /// Pause a running rollout: the weights stay, and a failure is still acted on.
    #[command(after_help = "Examples:\n  headgate pause shop-v2 --reason lunch\n  headgate pause rollout.yaml")]
    Pause(rollouts::Command),
    /// Go on after a pause.
    #[command(after_help = "Example:\n  headgate resume shop-v2")]
    Resume(rollouts::Command),
    /// Go on to the next step from a pause, a gate or a hold; with --full to 100 %.
    #[command(
        after_help = "Examples:\n  headgate promote shop-v2\n  headgate promote shop-v2 --force --reason \"looked at it myself\"\n  headgate promote shop-v2 --full --force --reason \"hotfix\""
    )]
    Promote(rollouts::Promote),
    /// Stop a rollout and put all users back on the stable version (exit code 12 of its run).
    #[command(after_help = "Example:\n  headgate abort shop-v2 --reason \"wrong build\"")]
    Abort(rollouts::Command),
    /// Put all users of a rollout back on the stable version, now. Needs no running process and no readable state.
    #[command(
        after_help = "Examples:\n  headgate rollback shop-v2 --reason \"customers complain\"\n  headgate rollback rollout.yaml"
    )]
    Rollback(rollouts::Command),
    /// Begin the step that holds again.
    #[command(after_help = "Example:\n  headgate retry shop-v2")]
    Retry(rollouts::Command),
    /// Show who did what to a rollout, when, why, and what had been measured.
    #[command(after_help = "Examples:\n  headgate history shop-v2\n  headgate history shop-v2 --run 3 --json")]
    History(rollouts::History),
    /// Rehearse the way back on the live proxies, and forth again: how long it takes, and whether the old version answers.
    #[command(
        after_help = "Examples:\n  headgate drill rollout.yaml\n  headgate drill shop-v2 --check https://shop.example/health --within 10s\n\nRefused while the rollout is judged. A rollout may require a passed drill (`drill.requiredWithin`)."
    )]
    Drill(rollouts::Drill),
    /// Measure the stable version, to compare later rollouts with.
    Baseline(rollouts::Baseline),
    /// Watch what was promoted: has its latency, or its performance, drifted from what it was?
    #[command(
        after_help = "Examples:\n  headgate drift shop-v2\n  headgate drift rollout.yaml --once --json\n  headgate drift rollout.yaml --pages mon-0.txt mon-24.txt fri-0.txt fri-24.txt\n\nNeeds `spec.drift` in the rollout file. Exit codes with --once and --pages: 0 steady, 13 drifted, 14 not known."
    )]
    Drift(drift::Drift),
    /// Tell which variant a request gets, and every rule passed on the way.
    #[command(
        after_help = "Examples:\n  headgate explain -f shop.yaml -H 'x-user-id: 7'\n  headgate explain -f shop.yaml --host shop.example --path '/v1/cart?beta=1' --cookie sid=abc\n  headgate explain -f shop.yaml --claim payload.sub=alice --address 203.0.113.9"
    )]
    Explain(requests::Explain),
    /// Make a token that lets its holder use a route's overrides.
    #[command(
        after_help = "Examples:\n  HEADGATE_KEY_K1=… headgate token -f shop.yaml --variant canary --route shop --ttl 1h\n  headgate token --audience shop --key-id k1 --key-env HEADGATE_KEY_K1 --variant canary\n\nThe key is read from the environment and never shown."
    )]
    Token(requests::Token),
    /// Statistics on your own numbers: sample size, tests, sample ratio, segments.
    #[command(
        after_help = "Examples:\n  headgate stats sample-size --baseline 5% --to 6%\n  headgate stats sequential 12/4000 31/4000 --ratio 2 --floor 0.5%\n  headgate stats srm 600 400 --weights 50,50\n\nWhich test when: docs/statistics.md."
    )]
    Stats(stats::Stats),
    /// A shadow's answers beside those that users got: report, analyze, label, collect.
    #[command(
        after_help = "Examples:\n  headgate shadow report target.yaml --route shop\n  headgate shadow analyze records.jsonl --html shadow.html\n\nFrom bootstrap to verdict: docs/shadow.md."
    )]
    Shadow(shadow::Shadow),
    /// Write a commented rollout file to start from.
    #[command(after_help = init::STRATEGIES)]
    Init(init::Init),
    /// Tell what a rollout would do with versions that behave so: the same state machine and judge, in virtual time.
    #[command(
        after_help = "What can be said of a version: error, clientError, timeout, hang, success, conversion (shares: 3%, 2x, +40%, -5points),\np50, p95 (times: 150ms, 2x, +40%, +20ms), value, cpu, memory, custom (numbers: 0.5, 512MiB, 2x, +40%).\nEvery goal of the rollout is reached by the share `conversion` of requests; success and value are those of outcomes. A canary's values may be relative to stable's.\n\nExamples:\n  headgate simulate rollout.yaml --canary error=3%,p95=+40%\n  headgate simulate rollout.yaml --rps 20 --users 500 --canary error=2x --seeds 200\n  headgate simulate rollout.yaml --canary hang=5% --after 2h --report simulated.html"
    )]
    Simulate(simulate::Simulate),
    /// Write one self-contained HTML page about a rollout: weights, measurements against bounds, decisions and reasons.
    #[command(
        after_help = "Examples:\n  headgate report shop-v2\n  headgate report shop-v2 --output - > report.html\n\nThe page needs no network. It is made from the state file alone, also while the rollout runs."
    )]
    Report(simulate::Report),
    /// Print the JSON Schema of plugin configurations, target files or rollouts.
    #[command(
        after_help = "Examples:\n  headgate schema > plugin.schema.json\n  headgate schema target\n  headgate schema rollout"
    )]
    Schema(published::Schema),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  headgate completion bash > /etc/bash_completion.d/headgate")]
    Completion(Completion),
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
