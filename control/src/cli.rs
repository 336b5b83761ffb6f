//! The command line: verbs, arguments and help. What they do is in `verbs`.

pub(crate) mod drift;
pub(crate) mod rollouts;
pub(crate) mod shadow;
pub(crate) mod stats;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXITS: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a document is refused, 4 pending on a proxy, 5 rejected by a proxy,
6 changed by somebody else meanwhile, 7 nothing written because a proxy lacks something.
Of run: 0 promoted, 10 rolled back, 11 held, 12 aborted. Of drift: 13 drifted, 14 not known.";

const STRATEGIES: &str = "\
Which strategy:

              who meets a bad version  cost beside stable    cut-over           decides on
  canary      1 %, then more, for      the canary's share    by steps, hours    safety: errors,
              minutes at most          of the load                              latency, any metric
  blue-green  everybody, until the     a second full set     at once, and back  readiness before,
              way back (at once)                             at once            safety after it
  shadow      nobody while copies are  a copy of the load,   by steps, later    safety before users
              judged; then as canary   then as canary                           see it, then after
  ab          half of the users, for   the variant's share   none: both stay    a business metric,
              the whole test           of the load           until it ends      till sure or time up
  bandit      fewer the worse it is    the variants' shares  weights follow     a business metric,
                                       of the load           the results        while it is learned

  Unsure, or the version is risky: shadow. Everyday releases: canary. Versions that cannot live
  side by side for long, or an instant cut-over: blue-green. Which of two ideas earns more: ab;
  which of many, quickly: bandit.

Examples:
  headgate init --strategy canary --name shop-v2 --target target.yaml --route shop
  headgate init --strategy shadow rollouts/model.yaml
  headgate init --strategy blue-green - | less";

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
    Validate(Validate),
    /// Print a configuration in the form that a proxy takes.
    #[command(
        after_help = "Examples:\n  headgate render plugin -f shop.yaml\n  headgate render ecds target.yaml -f shop.yaml > ecds.yaml\n  headgate render wasmplugin target.yaml -f shop.yaml | kubectl apply -f -"
    )]
    Render(Render),
    /// Publish a configuration and see it applied on every proxy. Routes of other rollouts stay, kills stay.
    #[command(
        after_help = "Examples:\n  headgate push target.yaml -f shop.yaml\n  headgate push target.yaml -f shop.yaml --dry-run\n  headgate push target.yaml -f shop.yaml --if-revision 17"
    )]
    Push(Push),
    /// Change the weights of one route, with old and new shown, and how many users move.
    #[command(
        after_help = "Examples:\n  headgate set target.yaml --route shop canary=5%\n  headgate set target.yaml --route shop canary=5 stable=95\n  headgate set target.yaml --route shop --segment premium canary=50%"
    )]
    Set(Set),
    /// Send everything to the stable version, now: by the proxies' runtime and by the configuration.
    #[command(
        after_help = "Examples:\n  headgate kill target.yaml\n  headgate kill target.yaml --route shop\n  headgate kill shop-v2 --reason \"wrong prices\""
    )]
    Kill(Kill),
    /// Clear a kill. Nothing else does.
    #[command(
        after_help = "Examples:\n  headgate revive target.yaml\n  headgate revive target.yaml --route shop\n  headgate revive shop-v2"
    )]
    Revive(Kill),
    /// Show where rollouts are, or what is asked for and in force on each proxy of a target.
    #[command(
        after_help = "Examples:\n  headgate status\n  headgate status shop-v2 --watch\n  headgate status target.yaml --watch 2s"
    )]
    Status(Status),
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
    Explain(Explain),
    /// Make a token that lets its holder use a route's overrides.
    #[command(
        after_help = "Examples:\n  HEADGATE_KEY_K1=… headgate token -f shop.yaml --variant canary --route shop --ttl 1h\n  headgate token --audience shop --key-id k1 --key-env HEADGATE_KEY_K1 --variant canary\n\nThe key is read from the environment and never shown."
    )]
    Token(Token),
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
    #[command(after_help = STRATEGIES)]
    Init(Init),
    /// Tell what a rollout would do with versions that behave so: the same state machine and judge, in virtual time.
    #[command(
        after_help = "What can be said of a version: error, clientError, timeout, hang, success (shares: 3%, 2x, +40%, -5points),\np50, p95 (times: 150ms, 2x, +40%, +20ms). A canary's values may be relative to stable's.\n\nExamples:\n  headgate simulate rollout.yaml --canary error=3%,p95=+40%\n  headgate simulate rollout.yaml --rps 20 --users 500 --canary error=2x --seeds 200\n  headgate simulate rollout.yaml --canary hang=5% --after 2h --report simulated.html"
    )]
    Simulate(Simulate),
    /// Write one self-contained HTML page about a rollout: weights, measurements against bounds, decisions and reasons.
    #[command(
        after_help = "Examples:\n  headgate report shop-v2\n  headgate report shop-v2 --output - > report.html\n\nThe page needs no network. It is made from the state file alone, also while the rollout runs."
    )]
    Report(Report),
    /// Print the JSON Schema of plugin configurations, target files or rollouts.
    #[command(
        after_help = "Examples:\n  headgate schema > plugin.schema.json\n  headgate schema target\n  headgate schema rollout"
    )]
    Schema(Schema),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  headgate completion bash > /etc/bash_completion.d/headgate")]
    Completion(Completion),
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Plugin configurations, YAML or JSON; `-` is standard input.
    #[arg(required_unless_present = "target")]
    pub(crate) files: Vec<PathBuf>,
    /// A target file to check too; the plugin configurations are then for it.
    #[arg(long)]
    pub(crate) target: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Render {
    /// What to print.
    #[arg(value_enum)]
    pub(crate) form: Form,
    /// The target file; not needed for `plugin`.
    #[arg(required_if_eq_any([("form", "ecds"), ("form", "wasmplugin"), ("form", "trafficextension")]))]
    pub(crate) target: Option<PathBuf>,
    /// The plugin configuration, YAML or JSON.
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// The revision to write. Default: the file's own, else 1.
    #[arg(long)]
    pub(crate) revision: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The plugin configuration as JSON.
    Plugin,
    /// The file for Envoy's `path_config_source`.
    Ecds,
    /// Istio's `WasmPlugin`.
    Wasmplugin,
    /// Istio's `TrafficExtension` (1.30 and newer).
    Trafficextension,
}

/// How a write is watched.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// How long to wait for every proxy to apply it.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The target file.
    pub(crate) target: PathBuf,
    /// The plugin configuration, YAML or JSON.
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// The file is the whole configuration: routes that it does not name are removed.
    #[arg(long)]
    pub(crate) whole: bool,
    /// Push only if this revision is still the published one.
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_revision: Option<u64>,
    /// Let the filter's code or VM change with this push: proxies compile it anew.
    #[arg(long)]
    pub(crate) replace_vm: bool,
    /// Show what would change; write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The target file.
    pub(crate) target: PathBuf,
    /// The route.
    #[arg(long)]
    pub(crate) route: String,
    /// A segment of the route, whose weights are changed instead.
    #[arg(long)]
    pub(crate) segment: Option<String>,
    /// `variant=5%` (the whole is 100 %; one variant may be left out and takes the rest) or `variant=5` (relative weights).
    #[arg(required = true, value_name = "VARIANT=WEIGHT")]
    pub(crate) weights: Vec<String>,
    /// Set only if this revision is still the published one.
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_revision: Option<u64>,
    /// Show what would change; write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// The target file; or a rollout, by its name or file: then its route alone.
    #[arg(value_name = "TARGET|ROLLOUT")]
    pub(crate) subject: String,
    /// One route alone, by the configuration. Default: the whole target, by runtime and configuration.
    #[arg(long)]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) who: rollouts::Who,
    #[command(flatten)]
    pub(crate) state: rollouts::StateFolder,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// A target file; or a rollout, by its name or file. Default: all rollouts.
    #[arg(value_name = "TARGET|ROLLOUT")]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) state: rollouts::StateFolder,
    /// Show it again and again, with this pause, until interrupted.
    #[arg(long, value_parser = humantime::parse_duration, num_args = 0..=1, default_missing_value = "2s")]
    pub(crate) watch: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The plugin configuration, YAML or JSON.
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// A request header, as curl takes it. May be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A cookie. May be repeated.
    #[arg(long = "cookie", value_name = "NAME=VALUE")]
    pub(crate) cookies: Vec<String>,
    /// Path with query.
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
    /// Method.
    #[arg(short = 'X', long, default_value = "GET")]
    pub(crate) method: String,
    /// Host, with or without port.
    #[arg(long, default_value = "localhost")]
    pub(crate) host: String,
    /// A verified claim (`:=` for a number); the dots after the provider separate the claim's path. May be repeated.
    #[arg(long = "claim", value_name = "PROVIDER.CLAIM=VALUE")]
    pub(crate) claims: Vec<String>,
    /// The address of the connection.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The plugin configuration: audience and key are taken from it, variant and route checked against it.
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// The variant that the holder may ask for.
    #[arg(long)]
    pub(crate) variant: String,
    /// The one route it is for. Default: every route.
    #[arg(long)]
    pub(crate) route: Option<String>,
    /// How long it is valid, at most 24h.
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Duration,
    /// The audience (`tokens.audience`).
    #[arg(long, required_unless_present = "file")]
    pub(crate) audience: Option<String>,
    /// The key's id. Default: the file's first key.
    #[arg(long, required_unless_present = "file")]
    pub(crate) key_id: Option<String>,
    /// The environment variable that holds the key. Default: what the file says.
    #[arg(long, required_unless_present = "file")]
    pub(crate) key_env: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// How the new version reaches users.
    #[arg(long, value_enum)]
    pub(crate) strategy: Strategy,
    /// The file to write, which must not be there yet; `-` prints it.
    #[arg(default_value = "rollout.yaml")]
    pub(crate) file: PathBuf,
    /// The rollout's name.
    #[arg(long, default_value = "shop-v2")]
    pub(crate) name: String,
    /// The target file.
    #[arg(long, default_value = "target.yaml")]
    pub(crate) target: String,
    /// The route of the target's plugin configuration.
    #[arg(long, default_value = "shop")]
    pub(crate) route: String,
}

/// How a new version reaches users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    /// A growing share of users, judged at each step.
    Canary,
    /// All at once, with a way back at once.
    BlueGreen,
    /// Copies first, then as canary.
    Shadow,
    /// Two versions side by side, compared by a business metric.
    Ab,
    /// Weights that follow a business metric.
    Bandit,
}

impl Strategy {
    /// Its name as on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::BlueGreen => "blue-green",
            Self::Shadow => "shadow",
            Self::Ab => "ab",
            Self::Bandit => "bandit",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The rollout file.
    pub(crate) file: PathBuf,
    /// How the version in service behaves.
    #[arg(long, default_value = "error=0.5%,p50=20ms,p95=80ms,success=90%", value_name = "NAME=VALUE,…")]
    pub(crate) stable: String,
    /// How the new version behaves; what is not named is as stable's.
    #[arg(long, default_value = "", value_name = "NAME=VALUE,…")]
    pub(crate) canary: String,
    /// How an arm of a bandit behaves: `short:success=14%`; arms that are not named do as the canary.
    #[arg(long, value_name = "ARM:NAME=VALUE,…")]
    pub(crate) arm: Vec<String>,
    /// Requests a second to the route, all versions together.
    #[arg(long, default_value_t = 100.0)]
    pub(crate) rps: f64,
    /// Users that they come from: the fewer, the less independent requests are.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) users: u64,
    /// How alike requests of one user are, 0 (not at all) to 1 (always the same).
    #[arg(long, default_value_t = 0.05)]
    pub(crate) correlation: f64,
    /// The new version behaves as stable for so long, and only then as said.
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) after: Duration,
    /// How many lives are lived, each with a seed of its own.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) seeds: u64,
    /// The first seed; its life is told step by step.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write the HTML report of the first seed's life.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Simulate also what is refused without `--force`.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The rollout's name.
    pub(crate) name: String,
    /// The file to write; `-` prints it. Default: the name with `.html`.
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    /// The folder of the state. Default: `$XDG_STATE_HOME/headgate`, else `~/.local/state/headgate`.
    #[arg(long, env = "HEADGATE_STATE", value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Of which document.
    #[arg(value_enum, default_value = "plugin")]
    pub(crate) of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Of {
    /// Plugin configurations.
    Plugin,
    /// Target files.
    Target,
    /// Rollout files.
    Rollout,
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
