//! Arguments of the verbs about one request: what it gets, and tokens that it may carry.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

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
