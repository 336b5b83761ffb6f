//! The bounds of a configuration. `compile` refuses what is beyond them, with the path and the number.

/// Bytes of one plugin configuration.
pub const CONFIG_BYTES: usize = 4 << 20;
/// Bytes of one Kubernetes object that carries a configuration (etcd refuses requests above 1.5 MiB; the API server's
/// annotations and managed fields need room).
pub const KUBERNETES_BYTES: usize = 1 << 20;
/// Values of a wrong type, or missing, that one reading lists.
pub const PROBLEMS: usize = 100;
/// Routes of one configuration.
pub const ROUTES: usize = 2_000;
/// Variants of one route.
pub const VARIANTS: usize = 32;
/// A variant's weight: 2^20.
pub const WEIGHT: u32 = 1 << 20;
/// Segments of one route.
pub const SEGMENTS: usize = 32;
/// Overrides of one route.
pub const OVERRIDES: usize = 64;
/// Goals of one route.
pub const GOALS: usize = 16;
/// Predictions of one route.
pub const PREDICTIONS: usize = 8;
/// Edges or classes of one prediction.
pub const PREDICTION_BINS: usize = 32;
/// Goals of one configuration: each request is held against all of them.
pub const ALL_GOALS: usize = 128;
/// Key sources of one route.
pub const KEY_SOURCES: usize = 16;
/// Conditions of one match (hosts, methods, headers, query parameters and claims together).
pub const CONDITIONS: usize = 256;
/// Entries of all include and exclude lists of one configuration.
pub const LIST_ENTRIES: usize = 200_000;
/// Token keys of one configuration.
pub const TOKEN_KEYS: usize = 8;
/// Bytes of a regular expression's text.
pub const REGEX_BYTES: usize = 1_024;
/// Bytes of a compiled regular expression.
pub const REGEX_COMPILED_BYTES: usize = 64 << 10;
/// Nesting of a regular expression.
pub const REGEX_NEST: u32 = 32;
/// Regular expressions of one configuration.
pub const REGEXES: usize = 256;
/// Metric series that one configuration can lead to, as `compile` counts them.
pub const SERIES: usize = 500_000;
/// Bytes of a name (stage, route, variant, segment, salt, key id).
pub const NAME_BYTES: usize = 100;
/// Bytes of a key that are hashed; what is beyond does not take part.
pub const KEY_BYTES: usize = 1_024;
/// Buckets of keys from which a variance is estimated.
pub const REPLICATES: u8 = 32;
/// Longest life of an override token, in seconds: 24 hours.
pub const TOKEN_SECONDS: u64 = 86_400;
